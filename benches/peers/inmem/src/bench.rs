//! Times one case, all columns in turn.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::{JsonLine, Random, table};

use crate::case::{Case, Work};
use crate::column::{Column, Run};
use crate::{heap, io as transport};

/// Connections are replaced after so many rounds.
const ROUNDS_OF_CONNECTION: usize = 6;

const HEAD: [&str; 12] = [
    "",
    "min ns",
    "median ns",
    "GiB/s",
    "messages/s",
    "x best",
    "x floor",
    "allocations",
    "bytes",
    "reads",
    "writes",
    "wire",
];

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// How long each column's turn takes, at least.
    pub slice: Duration,
}

/// A column at work.
struct Runner {
    column: Column,
    run: Run,
    /// Messages in a turn.
    count: usize,
    /// Nanoseconds a message in each round.
    times: Vec<f64>,
    /// Bytes on the wire of a message that is sent.
    wire: usize,
    calls: Calls,
}

/// What a message costs besides time.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    allocations: f64,
    bytes: f64,
    reads: f64,
    writes: f64,
}

/// Runs a case, prints a table, and writes a line for each column to `out`.
pub fn bench(
    case: &Case,
    columns: &[Column],
    effort: Effort,
    out: &mut impl Write,
) -> io::Result<()> {
    let work = Work::new(case);
    let step = case.step(&work);
    let mut runners: Vec<Runner> = columns
        .iter()
        .filter_map(|column| Runner::new(*column, case, &work))
        .collect();
    for runner in &mut runners {
        runner.calibrate(effort.slice, step);
    }
    let mut moves = Moves::new();
    for round in 1..=effort.rounds {
        if round % ROUNDS_OF_CONNECTION == 0 {
            for runner in &mut runners {
                moves.restart(runner, case, &work);
            }
        }
        for runner in &mut runners {
            let time = runner.time();
            runner.times.push(time);
        }
    }
    report(case, &mut runners, out)
}

impl Runner {
    /// `None` if the peer cannot do it, or does it wrong.
    fn new(column: Column, case: &Case, work: &Work) -> Option<Self> {
        if !column.can(case) {
            return None;
        }
        let verified = catch_unwind(AssertUnwindSafe(|| (column.verify)(case, work)));
        let wire = match verified.unwrap_or_else(|_| Err("it panicked".to_owned())) {
            Ok(wire) => wire,
            Err(error) => {
                println!("FAIL {}: {}: {error}", column.name, case.name);
                return None;
            }
        };
        Some(Self {
            column,
            run: (column.start)(case, work),
            count: 1,
            times: Vec::new(),
            wire,
            calls: Calls::default(),
        })
    }

    /// Nanoseconds a message.
    fn time(&mut self) -> f64 {
        let start = Instant::now();
        (self.run)(self.count);
        start.elapsed().as_nanos() as f64 / self.count as f64
    }

    /// Finds out how many messages fill a turn: whole steps, so that work which some peers do for
    /// several messages at once is not left to another turn. Counts what one costs.
    fn calibrate(&mut self, slice: Duration, step: usize) {
        let slice = slice.as_nanos() as f64;
        self.count = step;
        self.time();
        let mut time = self.time();
        while time * (self.count as f64) < slice / 4.0 {
            self.count *= 2;
            time = self.time();
        }
        self.count = ((slice / time) as usize / step).max(1) * step;

        let (heap, io) = (heap::counts(), transport::calls());
        (self.run)(self.count);
        let (heap_after, io_after) = (heap::counts(), transport::calls());
        let each = |before, after| (after - before) as f64 / self.count as f64;
        self.calls = Calls {
            allocations: each(heap.allocations, heap_after.allocations),
            bytes: each(heap.bytes, heap_after.bytes),
            reads: each(io.0, io_after.0),
            writes: each(io.1, io_after.1),
        };
    }
}

/// Fresh connections, at other addresses: how buffers lie to one another is worth a quarter at
/// 16 KiB, because loads and stores that are a multiple of 4 KiB apart are taken for the same.
struct Moves {
    random: Random,
    gaps: Vec<Vec<u8>>,
}

impl Moves {
    fn new() -> Self {
        Self {
            random: Random::new(17),
            gaps: Vec::new(),
        }
    }

    fn restart(&mut self, runner: &mut Runner, case: &Case, work: &Work) {
        runner.run = Box::new(|_| ());
        let gap = 64 + self.random.word() % 9000;
        self.gaps.push(vec![0; gap as usize]);
        runner.run = (runner.column.start)(case, work);
        runner.time();
    }
}

fn report(case: &Case, runners: &mut [Runner], out: &mut impl Write) -> io::Result<()> {
    for runner in &mut *runners {
        runner.times.sort_by(f64::total_cmp);
    }
    let median = |runner: &Runner| runner.times[runner.times.len() / 2];
    let peers = runners.iter().filter(|runner| runner.column.is_peer());
    let best = peers.map(median).fold(f64::NAN, f64::min);
    let floor = runners.iter().find(|runner| runner.column.name == "floor");
    let floor = floor.map_or(f64::NAN, median);
    let mut rows = Vec::new();
    for runner in runners.iter() {
        let (fastest, median) = (runner.times[0], median(runner));
        let (name, calls) = (runner.column.name, runner.calls);
        let gib = case.size as f64 / median * 1e9 / f64::from(1 << 30);
        rows.push(vec![
            name.to_owned(),
            format!("{fastest:.1}"),
            format!("{median:.1}"),
            format!("{gib:.3}"),
            format!("{:.0}", 1e9 / median),
            format!("{:.2}", median / best),
            format!("{:.2}", median / floor),
            format!("{:.3}", calls.allocations),
            format!("{:.0}", calls.bytes),
            format!("{:.3}", calls.reads),
            format!("{:.3}", calls.writes),
            runner.wire.to_string(),
        ]);
        let line = JsonLine::new()
            .text("case", &case.name)
            .text("peer", name)
            .value("size", case.size)
            .real("min_ns", fastest)
            .real("median_ns", median)
            .real("gib_s", gib)
            .real("allocations", calls.allocations)
            .real("allocated_bytes", calls.bytes)
            .real("reads", calls.reads)
            .real("writes", calls.writes)
            .value("wire_bytes", runner.wire)
            .value("rounds", runner.times.len());
        writeln!(out, "{}", line.end())?;
    }
    println!("\n## {}\n\n{}", case.name, table(&HEAD, &rows));
    Ok(())
}
