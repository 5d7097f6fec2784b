//! Latencies, counted in steps that are a thirty-second of their value.

use std::time::Duration;

const STEPS: usize = 32;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            counts: vec![0; 64 * STEPS],
            total: 0,
        }
    }

    pub fn add(&mut self, latency: Duration) {
        let nanos = (latency.as_nanos() as u64).max(STEPS as u64);
        let exponent = nanos.ilog2() as usize;
        let step = (nanos >> (exponent - 5)) as usize % STEPS;
        self.counts[exponent * STEPS + step] += 1;
        self.total += 1;
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    /// In microseconds.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut left = (self.total as f64 * share) as u64;
        for (index, count) in self.counts.iter().enumerate() {
            if *count > left {
                let (exponent, step) = (index / STEPS, index % STEPS);
                let nanos = ((STEPS + step) as u64) << (exponent - 5);
                return nanos as f64 / 1000.0;
            }
            left -= count;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros));
        }
        assert_eq!(histogram.count(), 1000);
        for (share, micros) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0)] {
            let off = histogram.quantile(share) / micros - 1.0;
            assert!(off.abs() < 0.05, "{share}: {off}");
        }
    }
}
