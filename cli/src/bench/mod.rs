//! `ws bench`: measures an echo server.

mod load;
mod measure;
mod pace;
mod payload;
mod plan;
mod progress;
mod report;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sockeye::CloseCode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::args;
use crate::dial::{self, Socket};
use crate::exit::{Exit, Failure};
use crate::output::printable;
use crate::request;
use crate::signals::Interrupts;
use measure::Measurements;
use pace::Pace;
use payload::Payloads;
use plan::Plan;
use report::Report;

/// So many connections are made at the same time: no server's backlog overflows.
const CONNECTING: usize = 64;

/// Measures an echo server: throughput, and the latency of its answers.
///
/// Without --rate, every connection keeps --depth messages under way, and the latency is what one takes
/// under that load. With --rate, messages leave by the clock whether earlier ones were answered or not,
/// and the latency counts from when each was due: a server that stalls is not spared the messages it
/// would have got meanwhile. Every answer is compared with what was sent.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    request: request::Handshake,
    #[command(flatten)]
    dial: dial::Dial,
    /// How many connections to make.
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// The payload of a message, such as 64, 16k or 1M.
    #[arg(short, long, value_name = "SIZE", default_value = "128", value_parser = args::sent_size)]
    size: usize,
    /// How many messages each connection has under way. Default: 1.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "rate")]
    depth: Option<u32>,
    /// Messages a second, by all connections together.
    #[arg(short, long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How long to measure.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = args::interval)]
    duration: Duration,
    /// How many messages to measure, however long that takes.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "duration")]
    messages: Option<u64>,
    /// How long to send before what is measured.
    #[arg(long, value_name = "SECS", default_value = "1", value_parser = args::seconds)]
    warmup: Duration,
    /// How long an answer may take.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = args::interval)]
    timeout: Duration,
    /// Send text, which the server has to validate.
    #[arg(long)]
    text: bool,
    /// Write the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::new()?;
    let started = Instant::now();
    let sockets = tokio::select! {
        sockets = connect(&options) => sockets?,
        () = interrupts.asked() => return Ok(Exit::Interrupted),
    };
    let connecting = started.elapsed();
    let is_compressed = sockets
        .first()
        .is_some_and(|socket| socket.negotiated().deflate().is_some());

    let plan = Arc::new(Plan::new(&options, Instant::now()));
    let measurements = Arc::new(Measurements::new());
    let payloads = Arc::new(Payloads::new(options.size, options.text));
    let pace = Arc::new(Pace::new(sockets.len(), options.rate));
    pace.start(&plan);
    let mut loads = JoinSet::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let load = load::Load {
            index,
            plan: Arc::clone(&plan),
            pace: Arc::clone(&pace),
            payloads: Arc::clone(&payloads),
            measurements: Arc::clone(&measurements),
        };
        loads.spawn(load.run(socket));
    }

    let progress = progress::start(&plan, &measurements);
    loop {
        tokio::select! {
            ended = loads.join_next() => match ended {
                Some(_) => {}
                None => break,
            },
            // What was measured until now is told.
            () = interrupts.asked() => plan.stop(),
        }
    }
    plan.stop();
    progress.finish().await;

    let report = Report::new(&options, &plan, &measurements, connecting, is_compressed);
    let written = match options.json {
        true => report.write_json(&mut io::stdout()),
        false => report.write_text(&mut anstream::stdout()),
    };
    match written.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    match measurements.take_failure() {
        Some(failure) => Err(failure),
        None => Ok(Exit::Success),
    }
}

/// All connections, or the first failure: a measurement with fewer would be another one.
async fn connect(options: &Options) -> Result<Vec<Socket>, Failure> {
    let request = Arc::new(options.request.request()?);
    let connector = options.dial.connector(options.request.config(None))?;
    let turns = Arc::new(Semaphore::new(CONNECTING));
    let mut connecting = JoinSet::new();
    for _ in 0..options.connections {
        let (request, connector) = (Arc::clone(&request), connector.clone());
        let turns = Arc::clone(&turns);
        connecting.spawn(async move {
            // The semaphore is never closed.
            let _turn = turns.acquire().await;
            dial::connect(&connector, &request).await
        });
    }
    let mut sockets = Vec::new();
    while let Some(connected) = connecting.join_next().await {
        let Ok(connected) = connected else {
            continue; // it panicked, and said so
        };
        let (socket, _response) = connected.map_err(|error| {
            Failure::from(error).while_doing(format_args!(
                "{}, connection {}",
                printable(options.request.url()),
                sockets.len() + 1
            ))
        })?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Ends a connection when its load is done. What goes wrong now has no influence on the result.
async fn close(mut socket: Socket) {
    let _closed = socket.close(CloseCode::NORMAL, "").await;
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // Beyond that, the clock has no ticks for it.
        Ok(rate) if (0.001..=1e8).contains(&rate) => Ok(rate),
        _ => Err("a rate is from 0.001 to 100000000 messages a second".into()),
    }
}
