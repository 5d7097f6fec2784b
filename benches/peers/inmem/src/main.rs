//! The crates side by side in one process, without sockets. `../README.md` has the method.
//!
//! ```text
//! inmem [quick] [PREFIX] [peers=NAME,...] [out=FILE]
//! ```
//!
//! `PREFIX` selects cases, such as `recv_bin/16B`; `memory` and `limits` are cases too. Prints tables,
//! and writes lines of JSON to `FILE`.

mod bench;
mod case;
mod column;
mod heap;
mod io;
mod limits;
mod mask;
mod memory;
mod peer;
mod peers;
mod upgrade;
mod verify;

use std::fs::File;
use std::io::{BufWriter, Write, sink};
use std::time::{Duration, Instant};

use bench::Effort;

const FULL: Effort = Effort {
    rounds: 61,
    slice: Duration::from_millis(4),
};
const QUICK: Effort = Effort {
    rounds: 11,
    slice: Duration::from_millis(1),
};

#[derive(Debug)]
struct Options {
    effort: Effort,
    prefix: String,
    /// The columns, or all if there is none.
    peers: Vec<String>,
    out: Option<String>,
}

impl Options {
    fn from_args() -> Self {
        let mut options = Self {
            effort: FULL,
            prefix: String::new(),
            peers: Vec::new(),
            out: None,
        };
        for arg in std::env::args().skip(1) {
            match arg.split_once('=') {
                Some(("peers", names)) => {
                    options.peers = names.split(',').map(String::from).collect()
                }
                Some(("out", file)) => options.out = Some(file.to_owned()),
                _ if arg == "quick" => options.effort = QUICK,
                _ => options.prefix = arg,
            }
        }
        options
    }

    fn wants(&self, case: &str) -> bool {
        case.starts_with(&self.prefix)
    }
}

fn main() -> std::io::Result<()> {
    let options = Options::from_args();
    let mut out: Box<dyn Write> = match &options.out {
        Some(file) => Box::new(BufWriter::new(File::create(file)?)),
        None => Box::new(sink()),
    };
    // Some have timers of tokio's. Nobody drives them, because nothing lasts that long.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let _entered = runtime.enter();
    let mut columns = peers::all();
    columns.retain(|column| {
        let peers = &options.peers;
        peers.is_empty() || peers.iter().any(|peer| peer == column.name)
    });

    let start = Instant::now();
    if options.wants("memory") {
        memory::report(&columns, &mut out)?;
    }
    for case in case::all() {
        if options.wants(&case.name) {
            bench::bench(&case, &columns, options.effort, &mut out)?;
        }
    }
    if options.wants("limits") {
        limits::report(options.effort, &mut out)?;
    }
    println!("\n{:.0} s in all", start.elapsed().as_secs_f64());
    out.flush()
}
