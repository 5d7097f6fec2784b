//! The result of a measurement, for people and as JSON.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Options;
use super::measure::Measurements;
use super::plan::{End, Plan};
use crate::output::{BOLD, CYAN, DIM, RED, printable};

/// The longest bar of the histogram.
const BAR: u64 = 40;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    connections: u32,
    size: usize,
    kind: &'static str,
    /// Whether the server agreed to.
    compressed: bool,
    /// Messages under way on each connection; none with a rate.
    depth: Option<u32>,
    rate: Option<f64>,
    warmup_seconds: f64,
    connecting_seconds: f64,
    /// From the end of the warm-up to the last answer.
    seconds: f64,
    /// Measured messages that were answered.
    messages: u64,
    messages_per_second: f64,
    /// Of payload, in each direction.
    bytes_per_second: f64,
    /// Connections that failed.
    errors: u64,
    /// Messages without an answer on those, and those that were due and never sent.
    lost: u64,
    latency_us: Option<Latency>,
    histogram: Vec<Bucket>,
}

#[derive(Debug, Serialize)]
struct Latency {
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
}

/// How many latencies were below a limit and not below that of the bucket before.
#[derive(Debug, Serialize)]
struct Bucket {
    below_us: u64,
    count: u64,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        plan: &Plan,
        measurements: &Measurements,
        connecting: Duration,
        compressed: bool,
    ) -> Self {
        let (last_answer, latencies) = measurements.total();
        let end = match (last_answer, plan.end) {
            (Some(last), _) => last,
            (None, End::At(end)) => end,
            (None, End::After(_)) => plan.measured_from,
        };
        let seconds = end
            .saturating_duration_since(plan.measured_from)
            .as_secs_f64();
        let messages = latencies.len();
        let per_second = match seconds {
            0.0 => 0.0,
            seconds => messages as f64 / seconds,
        };
        let bytes_per_second = per_second * options.size as f64;
        Self {
            url: options.request.url().into(),
            connections: options.connections,
            size: options.size,
            kind: if options.text { "text" } else { "binary" },
            compressed,
            depth: options.rate.is_none().then(|| options.depth.unwrap_or(1)),
            rate: options.rate,
            warmup_seconds: options.warmup.as_secs_f64(),
            connecting_seconds: connecting.as_secs_f64(),
            seconds,
            messages,
            messages_per_second: per_second,
            bytes_per_second,
            errors: measurements.errors(),
            lost: measurements.lost(),
            latency_us: (messages > 0).then(|| Latency::new(&latencies)),
            histogram: buckets(&latencies),
        }
    }

    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Self {
            url,
            connections,
            kind,
            messages,
            errors,
            lost,
            ..
        } = self;
        let compressed = if self.compressed { ", compressed" } else { "" };
        let load = match (self.rate, self.depth) {
            (Some(rate), _) => format!("{rate} messages/s by the clock"),
            (None, depth) => format!("{} under way on each", depth.unwrap_or(1)),
        };
        writeln!(out, "{BOLD}{}{BOLD:#}", printable(url))?;
        writeln!(
            out,
            "  {connections} connections, {} {kind}{compressed}, {load}",
            bytes(self.size as f64)
        )?;
        writeln!(
            out,
            "  {} messages in {:.2} s, after {} s of warm-up",
            grouped(*messages),
            self.seconds,
            self.warmup_seconds
        )?;
        #[expect(clippy::cast_possible_truncation, reason = "rounded, for eyes")]
        let rate = grouped(self.messages_per_second as u64);
        writeln!(
            out,
            "  {BOLD}{rate} messages/s{BOLD:#}, {}/s each way",
            bytes(self.bytes_per_second)
        )?;
        if *errors > 0 || *lost > 0 {
            writeln!(
                out,
                "  {RED}{errors} connections failed{RED:#}, {lost} messages lost"
            )?;
        }
        let Some(latency) = &self.latency_us else {
            return Ok(());
        };
        writeln!(out, "\n{BOLD}latency{BOLD:#}")?;
        for (name, micros) in [
            ("min", latency.min),
            ("mean", latency.mean),
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p99_9),
            ("max", latency.max),
        ] {
            writeln!(out, "  {DIM}{name:<6}{DIM:#} {:>9}", time(micros))?;
        }
        writeln!(out)?;
        let most = self.histogram.iter().map(|bucket| bucket.count).max();
        for bucket in &self.histogram {
            let (limit, share) = (
                bucket.below_us as f64,
                bucket.count as f64 / (*messages).max(1) as f64,
            );
            let length = (bucket.count * BAR).div_ceil(most.unwrap_or(1).max(1));
            let bar = "#".repeat(usize::try_from(length).unwrap_or(0));
            writeln!(
                out,
                "  {DIM}<{DIM:#} {:>9} {:>6.2}% {CYAN}{bar}{CYAN:#}",
                time(limit),
                share * 100.0
            )?;
        }
        Ok(())
    }
}

impl Latency {
    fn new(nanos: &Histogram<u64>) -> Self {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        Self {
            min: micros(nanos.min()),
            mean: nanos.mean() / 1000.0,
            p50: micros(nanos.value_at_quantile(0.5)),
            p90: micros(nanos.value_at_quantile(0.9)),
            p99: micros(nanos.value_at_quantile(0.99)),
            p99_9: micros(nanos.value_at_quantile(0.999)),
            max: micros(nanos.max()),
        }
    }
}

/// A bucket for each power of two microseconds, from the first to the last that has something.
fn buckets(nanos: &Histogram<u64>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = (0..44)
        .map(|bits| Bucket {
            below_us: 1 << bits,
            count: 0,
        })
        .collect();
    for step in nanos.iter_recorded() {
        let micros = step.value_iterated_to() / 1000;
        // 0 for what is below 1, 1 for what is below 2, and so on.
        let bits = (u64::BITS - micros.leading_zeros()) as usize;
        if let Some(bucket) = buckets.get_mut(bits) {
            bucket.count += step.count_since_last_iteration();
        }
    }
    let is_empty = |bucket: &Bucket| bucket.count == 0;
    let first = buckets.iter().take_while(|bucket| is_empty(bucket)).count();
    buckets.drain(..first);
    while buckets.last().is_some_and(is_empty) {
        buckets.pop();
    }
    buckets
}

/// A number with a comma after every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn time(micros: f64) -> String {
    match micros {
        0.0..1000.0 => format!("{micros:.1} us"),
        0.0..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

fn bytes(count: f64) -> String {
    match count {
        0.0..1024.0 => format!("{count:.0} B"),
        0.0..1_048_576.0 => format!("{:.1} KiB", count / 1024.0),
        0.0..1_073_741_824.0 => format!("{:.1} MiB", count / 1_048_576.0),
        _ => format!("{:.2} GiB", count / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(time(12.34), "12.3 us");
        assert_eq!(time(12_340.0), "12.34 ms");
        assert_eq!(bytes(1536.0), "1.5 KiB");
    }

    #[test]
    fn every_latency_is_in_a_bucket() {
        let mut histogram = Histogram::new(3).unwrap();
        for nanos in [1, 999, 1000, 1999, 5_000_000, 3_600_000_000_000] {
            histogram.record(nanos).unwrap();
        }
        let buckets = buckets(&histogram);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 6);
        assert_eq!((buckets[0].below_us, buckets[0].count), (1, 2));
        assert_eq!((buckets[1].below_us, buckets[1].count), (2, 2));
    }
}
