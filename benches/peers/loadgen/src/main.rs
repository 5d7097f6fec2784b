//! One load generator for all servers: raw frames over non-blocking sockets, and every byte that comes
//! back is compared with what was sent. `../README.md` has the method.
//!
//! ```text
//! loadgen [quick] [load|memory] [point=CONNECTIONSxSIZExDEPTH] [out=FILE] NAME=PROGRAM...
//! ```
//!
//! Each `PROGRAM` is started anew for each point, as `PROGRAM PORT [deflate] [batch]`, on the first processor.
//! Prints tables, and writes lines of JSON to `FILE`.

mod client;
mod frames;
mod histogram;
mod load;
mod memory;
mod server;
mod upgrade;

use std::fs::File;
use std::io::{self, BufWriter, Write, sink};
use std::time::{Duration, Instant};

use common::{JsonLine, size_name, table};

use load::{Load, Point};
use memory::Memory;
use server::{Program, Server};

/// The depth is how many messages a connection has under way.
const DEPTHS: [usize; 2] = [1, 16];
const CONNECTIONS: [usize; 3] = [1, 64, 512];
const SIZES: [usize; 4] = [16, 1 << 10, 16 << 10, 1 << 20];
/// Of each kind something: few and many, small and large, one and more under way.
const QUICK: [Point; 5] = [
    Point::new(1, 16, 1),
    Point::new(64, 16, 16),
    Point::new(64, 1 << 10, 1),
    Point::new(64, 16 << 10, 16),
    Point::new(1, 1 << 20, 1),
];

/// So much under way takes a tenth of a second to come back.
const SOME: usize = 32 << 20;
/// And this seconds.
const MUCH: usize = 256 << 20;

const LOAD_HEAD: [&str; 10] = [
    "",
    "messages/s",
    "MB/s",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "CPU s/M",
    "system",
    "server",
    "client",
];
const MEMORY_HEAD: [&str; 3] = ["", "idle", "after 1 KiB"];

struct Options {
    quick: bool,
    load: bool,
    memory: bool,
    /// The only one.
    point: Option<Point>,
    out: Option<String>,
    programs: Vec<Program>,
}

impl Options {
    fn from_args() -> Self {
        let mut options = Self {
            quick: false,
            load: true,
            memory: true,
            point: None,
            out: None,
            programs: Vec::new(),
        };
        for arg in std::env::args().skip(1) {
            match arg.split_once('=') {
                Some(("point", point)) => options.point = Some(parse_point(point)),
                Some(("out", file)) => options.out = Some(file.to_owned()),
                Some((name, path)) => options.programs.push(Program::new(name, path)),
                None if arg == "quick" => options.quick = true,
                None if arg == "load" => options.memory = false,
                None if arg == "memory" => options.load = false,
                None => panic!("{arg}: what is that?"),
            }
        }
        options
    }
}

fn main() -> io::Result<()> {
    let options = Options::from_args();
    let mut out: Box<dyn Write> = match &options.out {
        Some(file) => Box::new(BufWriter::new(File::create(file)?)),
        None => Box::new(sink()),
    };
    let start = Instant::now();
    if options.load {
        let points = match options.point {
            Some(point) => vec![point],
            None if options.quick => QUICK.to_vec(),
            None => all_points(),
        };
        for point in points {
            let (rounds, millis) = match options.quick {
                _ if point.in_flight() > MUCH => (1, 8000),
                true => (1, 500),
                false if point.in_flight() > SOME => (3, 2000),
                false => (5, 400),
            };
            let time = Duration::from_millis(millis);
            load_all(&options.programs, point, rounds, time, &mut out)?;
        }
    }
    if options.memory {
        let connections = if options.quick { 500 } else { 5000 };
        for deflate in [false, true] {
            memory_of_all(&options.programs, connections, deflate, &mut out)?;
        }
    }
    println!("\n{:.0} s in all", start.elapsed().as_secs_f64());
    out.flush()
}

fn parse_point(text: &str) -> Point {
    let numbers: Option<Vec<usize>> = text.split('x').map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[connections, size, depth]) => Point::new(connections, size, depth),
        _ => panic!("{text}: what is that?"),
    }
}

fn all_points() -> Vec<Point> {
    let mut points = Vec::new();
    for size in SIZES {
        for connections in CONNECTIONS {
            for depth in DEPTHS {
                points.push(Point::new(connections, size, depth));
            }
        }
    }
    points
}

/// All programs in turn, round by round: what slows the machine down for a while slows all of them down.
fn load_all(
    programs: &[Program],
    point: Point,
    rounds: usize,
    time: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    // One message makes no batch.
    let programs = programs.iter();
    let programs = programs.filter(|program| point.depth > 1 || !program.is_batch());
    let mut columns: Vec<_> = programs.map(|program| (program, Vec::new())).collect();
    for _ in 0..rounds {
        for (program, loads) in &mut columns {
            let server = Server::start(program, false);
            match server.and_then(|server| load::run(&server, point, time)) {
                Ok(load) => loads.push(load),
                Err(error) => println!("FAIL {}: {point:?}: {error}", program.name),
            }
        }
    }
    let mut rows = Vec::new();
    for (program, loads) in columns {
        if let Some(load) = Load::median(&loads).filter(|_| loads.len() == rounds) {
            writeln!(out, "{}", load_line(&program.name, point, &load))?;
            rows.push(load_row(&program.name, &load));
        }
    }
    let size = size_name(point.size);
    println!(
        "\n## {} connections, {size}, depth {}\n\n{}",
        point.connections,
        point.depth,
        table(&LOAD_HEAD, &rows)
    );
    Ok(())
}

fn load_row(name: &str, load: &Load) -> Vec<String> {
    let percent = |share: f64| format!("{:.0}%", 100.0 * share);
    let [p50, p99, p999] = load.latencies.map(|micros| format!("{micros:.1}"));
    vec![
        name.to_owned(),
        format!("{:.0}", load.messages),
        format!("{:.1}", load.megabytes),
        p50,
        p99,
        p999,
        format!("{:.3}", load.cpu_per_million),
        percent(load.system),
        percent(load.server),
        percent(load.client),
    ]
}

fn load_line(name: &str, point: Point, load: &Load) -> String {
    let [p50, p99, p999] = load.latencies;
    JsonLine::new()
        .text("case", "load")
        .text("peer", name)
        .value("connections", point.connections)
        .value("size", point.size)
        .value("depth", point.depth)
        .real("messages_s", load.messages)
        .real("megabytes_s", load.megabytes)
        .real("p50_us", p50)
        .real("p99_us", p99)
        .real("p999_us", p999)
        .real("cpu_s_per_million", load.cpu_per_million)
        .real("system_share", load.system)
        .real("server_cpu", load.server)
        .real("client_cpu", load.client)
        .end()
}

fn memory_of_all(
    programs: &[Program],
    connections: usize,
    deflate: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut rows = Vec::new();
    // They hold what the loops of one message at a time do.
    for program in programs.iter().filter(|program| !program.is_batch()) {
        let server = Server::start(program, deflate);
        match server.and_then(|server| memory::run(&server, connections, deflate)) {
            Ok(memory) if memory.deflate == deflate => {
                let Memory { idle, used, .. } = memory;
                let line = JsonLine::new()
                    .text("case", "memory")
                    .text("peer", &program.name)
                    .value("connections", connections)
                    .value("deflate", deflate)
                    .real("idle_kib", idle)
                    .real("used_kib", used);
                writeln!(out, "{}", line.end())?;
                let name = program.name.clone();
                rows.push(vec![name, format!("{idle:.2}"), format!("{used:.2}")]);
            }
            Ok(_) => {} // it does not compress
            Err(error) => println!("FAIL {}: memory: {error}", program.name),
        }
    }
    let compressed = if deflate { ", compressed" } else { "" };
    println!(
        "\n## KiB of each of {connections} connections{compressed}\n\n{}",
        table(&MEMORY_HEAD, &rows)
    );
    Ok(())
}
