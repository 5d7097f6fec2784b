//! Sends messages to an echo server, checks what comes back, and measures: the same loop on each
//! adapter.
//!
//! ```text
//! cargo run --release --example echo_server -- --addr 127.0.0.1:9001
//! cargo run --release --example echo_client -- --url ws://127.0.0.1:9001 --adapter blocking --count 100000 --pipeline 64
//! ```
//!
//! It fails (exit code 1) if an echo differs from what was sent, or if the connection does not
//! close cleanly.
#![expect(clippy::print_stdout, reason = "a command line tool reports there")]

use core::error::Error;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum, value_parser};
use sockeye::handshake::ClientRequest;
use sockeye::{
    CloseCode, Closed, Config, Deflate, Event, Limits, Memory, Message, ReadIo, WebSocket, WriteIo,
    blocking,
};

/// Sends messages to a WebSocket echo server and checks the echoes.
#[derive(Debug, Parser)]
struct Options {
    /// The echo server.
    #[arg(long, default_value = "ws://127.0.0.1:9001")]
    url: String,
    /// Which adapter to run on.
    #[arg(long, value_enum, default_value_t = Adapter::Tokio)]
    adapter: Adapter,
    /// How many messages to send.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// The length of each message in bytes.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Send text, which is the default.
    #[arg(long, conflicts_with_all = ["binary", "json"])]
    text: bool,
    /// Send binary messages.
    #[arg(long)]
    binary: bool,
    /// Send text that compresses like the events of an application: JSON objects of many lengths.
    #[arg(long, conflicts_with_all = ["binary", "size"])]
    json: bool,
    /// How many messages may be under way at a time.
    #[arg(long, default_value = "1")]
    pipeline: NonZeroUsize,
    /// Insist on compression, and keep this between messages.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "retained")]
    deflate: Option<Keep>,
    /// The largest window to compress with.
    #[arg(long, requires = "deflate", default_value_t = 15, value_parser = value_parser!(u8).range(9..=15))]
    send_window_bits: u8,
    /// The largest window that the server may compress with.
    #[arg(long, requires = "deflate", default_value_t = 15, value_parser = value_parser!(u8).range(9..=15))]
    receive_window_bits: u8,
}

impl Options {
    fn deflate(&self) -> Option<Deflate> {
        let memory = match self.deflate? {
            Keep::Retained => Memory::Retained,
            Keep::Window => Memory::Window,
            Keep::Nothing => Memory::NoTakeover,
        };
        let deflate = Deflate::client()
            .with_send_memory(memory)
            .with_receive_memory(memory)
            .with_send_window_bits(self.send_window_bits)
            .with_receive_window_bits(self.receive_window_bits);
        Some(deflate.with_required(true))
    }
}

/// What the connection keeps between compressed messages.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Keep {
    Retained,
    Window,
    Nothing,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Adapter {
    Tokio,
    Blocking,
    Futures,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let request = ClientRequest::new(&options.url)?;
    // The server decides how it cuts its echoes into frames, so both limits have to allow the
    // whole.
    let limits = Limits::new();
    let size = limits.max_message_size().max(u64::try_from(options.size)?);
    let config = Config::new()
        .with_limits(limits.with_max_frame_size(size).with_max_message_size(size))
        .with_deflate(options.deflate());

    let mut run = Run::new(options);
    let closed = match options.adapter {
        Adapter::Tokio => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                let (ws, _response) = sockeye::tokio::connect_with(&request, &config).await?;
                drive(ws, &mut run).await
            }),
        Adapter::Futures => smol::block_on(async {
            let (ws, _response) = sockeye::futures::connect_with(&request, &config).await?;
            drive(ws, &mut run).await
        }),
        Adapter::Blocking => {
            let (ws, _response) = blocking::connect_with(&request, &config)?;
            drive_blocking(ws, &mut run)
        }
    }?;
    run.report();
    run.finish(&closed)
}

/// Feeds as many messages as may be under way, then waits for an echo.
///
/// Receiving writes what was fed while it waits. Sending and receiving in turn would get stuck with
/// messages larger than the buffers between the two ends: each would wait for the other to read.
async fn drive<I: ReadIo + WriteIo>(
    mut ws: WebSocket<I>,
    run: &mut Run,
) -> Result<Closed, Box<dyn Error>> {
    while !run.is_done() {
        while let Some(message) = run.next(ws.queued()) {
            ws.feed(message).await?;
        }
        // The event is lent out of the read buffer: nothing is copied to compare it.
        match ws.recv_with(|event, _| run.check(event)).await? {
            Some(checked) => checked?,
            None => break,
        }
    }
    Ok(ws.close(CloseCode::NORMAL, "done").await?)
}

/// As [`drive`], word for word but for the `await`s.
fn drive_blocking(
    mut ws: blocking::WebSocket<blocking::ClientStream>,
    run: &mut Run,
) -> Result<Closed, Box<dyn Error>> {
    while !run.is_done() {
        while let Some(message) = run.next(ws.queued()) {
            ws.feed(message)?;
        }
        match ws.recv_with(|event, _| run.check(event))? {
            Some(checked) => checked?,
            None => break,
        }
    }
    Ok(ws.close(CloseCode::NORMAL, "done")?)
}

/// The messages, which repeat only after so many that echoes cannot change places.
enum Content {
    /// Each message is a window of `size` bytes into the pattern, one byte further on than the one
    /// before.
    Pattern {
        pattern: String,
        size: usize,
        binary: bool,
    },
    Json(Vec<String>),
}

impl Content {
    const PATTERNS: usize = 95;
    const OBJECTS: usize = 400;

    fn new(options: &Options) -> Self {
        if options.json {
            return Self::Json((0..Self::OBJECTS).map(object).collect());
        }
        let printable = (' '..='~').cycle();
        Self::Pattern {
            pattern: printable.take(options.size + Self::PATTERNS).collect(),
            size: options.size,
            binary: options.binary,
        }
    }

    fn message(&self, number: usize) -> Message<'_> {
        match self {
            Self::Pattern {
                pattern,
                size,
                binary,
            } => {
                let start = number % Self::PATTERNS;
                let text = pattern.get(start..start + size).unwrap_or_default();
                match binary {
                    true => text.as_bytes().into(),
                    false => text.into(),
                }
            }
            Self::Json(objects) => {
                let object = objects.get(number % Self::OBJECTS);
                object.map_or("", String::as_str).into()
            }
        }
    }
}

/// Mostly 100 to 200 bytes; every 25th has more than 6000, every tenth is too short to be
/// compressed.
fn object(number: usize) -> String {
    if number % 10 == 9 {
        return format!("{{\"ping\":{number}}}");
    }
    let words = ["Grüße", "salmon", "鮭", "river", "🐟", "upstream", "again"];
    let length = if number % 25 == 24 {
        800
    } else {
        3 + number % 9
    };
    let text: Vec<_> = (0..length)
        .filter_map(|at| words.get((number * 31 + at * at) % words.len()).copied())
        .collect();
    format!(
        "{{\"id\":{number},\"user\":\"user-{}\",\"room\":\"lobby\",\"at\":{},\"text\":\"{}\"}}",
        number * 7 % 13,
        1_700_000_000 + number * 977,
        text.join(" "),
    )
}

/// What was sent, what came back, and when.
struct Run {
    content: Content,
    count: usize,
    pipeline: usize,
    /// When the first message was sent.
    started: Option<Instant>,
    /// When the messages under way were sent, oldest first.
    sent_at: VecDeque<Instant>,
    round_trips: Vec<Duration>,
    /// All that came back.
    bytes: usize,
}

impl Run {
    /// More than this need not wait in the connection, whatever the pipeline allows.
    const MAX_QUEUED: usize = 256 * 1024;

    fn new(options: &Options) -> Self {
        Self {
            content: Content::new(options),
            count: options.count,
            pipeline: options.pipeline.get(),
            started: None,
            sent_at: VecDeque::new(),
            round_trips: Vec::new(),
            bytes: 0,
        }
    }

    fn received(&self) -> usize {
        self.round_trips.len()
    }

    fn is_done(&self) -> bool {
        self.received() == self.count
    }

    /// The next message, if it may be sent now.
    fn next(&mut self, queued: usize) -> Option<Message<'_>> {
        let number = self.received() + self.sent_at.len();
        if number == self.count || self.sent_at.len() == self.pipeline || queued >= Self::MAX_QUEUED
        {
            return None;
        }
        let now = Instant::now();
        self.started.get_or_insert(now);
        self.sent_at.push_back(now);
        Some(self.content.message(number))
    }

    /// Compares an echo with what was sent. Pings and pongs are no echoes.
    fn check(&mut self, event: Event<'_>) -> Result<(), String> {
        if let Event::Close(frame) = &event {
            return Err(format!(
                "the server closed with code {} {:?} after {} of {} echoes",
                frame.code(),
                frame.reason(),
                self.received(),
                self.count,
            ));
        }
        let Ok(echo) = event.into_message() else {
            return Ok(());
        };
        let number = self.received();
        let Some(sent_at) = self.sent_at.pop_front() else {
            return Err(format!("{} bytes came that were not sent", echo.len()));
        };
        if echo != self.content.message(number) {
            return Err(format!(
                "the echo of message {number} differs: {} bytes of {:?}",
                echo.len(),
                echo.kind(),
            ));
        }
        self.round_trips.push(sent_at.elapsed());
        self.bytes += echo.len();
        Ok(())
    }

    fn report(&mut self) {
        let elapsed = self.started.map_or(Duration::ZERO, |at| at.elapsed());
        let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let per_second = self.received() as f64 / seconds;
        let mib_per_second = self.bytes as f64 / seconds / f64::from(1 << 20);
        println!(
            "{} echoes of {} bytes in {elapsed:.2?}: {per_second:.0} messages/s, {mib_per_second:.1} MiB/s each way",
            self.received(),
            self.bytes / self.received().max(1),
        );
        self.round_trips.sort_unstable();
        let last = self.received().saturating_sub(1);
        let percentile = |percent| self.round_trips.get(last * percent / 100);
        if let (Some(min), Some(median), Some(p99)) =
            (percentile(0), percentile(50), percentile(99))
        {
            println!("round trip: min {min:.1?}, median {median:.1?}, p99 {p99:.1?}");
        }
    }

    fn finish(&self, closed: &Closed) -> Result<(), Box<dyn Error>> {
        println!(
            "closed: code {} {:?}, {}",
            closed.code(),
            closed.reason(),
            if closed.clean { "clean" } else { "not clean" },
        );
        match (self.is_done(), closed.clean) {
            (false, _) => Err("not all echoes came".into()),
            (true, false) => Err("the connection did not close cleanly".into()),
            (true, true) => Ok(()),
        }
    }
}
