//! `ws connect`: a client between a server and stdin and stdout.

use std::io::{IsTerminal as _, stderr, stdin};
use std::time::Duration;

use crate::args::{self, Close, Patience};
use crate::dial;
use crate::exit::{Exit, Failure};
use crate::input::Cut;
use crate::output::{DIM, note, printable};
use crate::request::{self, show_request, show_response};
use crate::session;
use crate::signals::Interrupts;

/// How long after the end of stdin answers are waited for: nobody can tell when the last one came.
const WAIT: Duration = Duration::from_secs(1);

/// Connects to a server: lines of stdin go out as messages, and messages come out as lines.
///
/// Into a pipe, text is written with a line end and binary as it is. On a terminal binary is shown as
/// hex, and control characters are escaped. Ctrl-C closes properly.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    request: request::Handshake,
    #[command(flatten)]
    dial: dial::Dial,
    /// Send stdin as one binary message, while it is read.
    #[arg(long)]
    binary: bool,
    /// Send stdin as binary messages of this size.
    #[arg(long, value_name = "SIZE", value_parser = args::size, conflicts_with = "binary")]
    chunk: Option<usize>,
    /// Close after the first message.
    #[arg(long)]
    one: bool,
    /// Close after this many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "one")]
    count: Option<u64>,
    /// How long to wait for messages after the end of stdin, or 'forever'. Default: 1, or forever with
    /// --one and --count, or not at all if stdin is a terminal.
    #[arg(long, value_name = "SECS", value_parser = args::patience)]
    wait: Option<Patience>,
    /// The Close frame to end with. Default: 1000.
    #[arg(long, value_name = "CODE[:REASON]", value_parser = args::close)]
    close: Option<Close>,
    /// Send a ping this often, and give up without a sign of life for 20 seconds after one.
    #[arg(long, value_name = "SECS", value_parser = args::interval)]
    ping: Option<Duration>,
    /// Show headers, pings, pongs, round trips and close codes on stderr.
    #[arg(short, long)]
    verbose: bool,
}

impl Options {
    fn session(&self) -> Result<session::Options, Failure> {
        let cut = match self.chunk {
            Some(0) => return Err(Failure::usage("--chunk must be more than 0")),
            Some(size) => Cut::Chunks(size),
            None if self.binary => Cut::Whole,
            None => Cut::Lines,
        };
        let count = if self.one { Some(1) } else { self.count };
        let wait = match count {
            Some(_) => Patience::Forever,
            None if stdin().is_terminal() => Patience::For(Duration::ZERO),
            None => Patience::For(WAIT),
        };
        Ok(session::Options {
            cut,
            count,
            wait: self.wait.unwrap_or(wait),
            close: self.close.clone().unwrap_or_default(),
            verbose: self.verbose,
        })
    }
}

pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let session = options.session()?;
    let request = options.request.request()?;
    let config = options.request.config(options.ping);
    let connector = options.dial.connector(config.clone())?;
    let url = printable(options.request.url());
    let mut interrupts = Interrupts::new()?;
    if options.verbose {
        show_request(&request, &config);
    }
    let connected = tokio::select! {
        connected = dial::connect(&connector, &request) => connected,
        () = interrupts.asked() => return Ok(Exit::Interrupted),
    };
    let (ws, response) = connected.map_err(|error| {
        if let Some(response) = dial::refusal(&error).filter(|_| options.verbose) {
            show_response(response);
        }
        Failure::from(error).while_doing(&url)
    })?;
    if options.verbose {
        if let Some(tls) = dial::describe_tls(&ws) {
            note(format_args!("{DIM}* {tls}{DIM:#}"));
        }
        show_response(&response);
    } else if stdin().is_terminal() && stderr().is_terminal() {
        note(format_args!(
            "{DIM}connected to {url}, Ctrl-C closes{DIM:#}"
        ));
    }
    session::run(ws, session, &mut interrupts).await
}
