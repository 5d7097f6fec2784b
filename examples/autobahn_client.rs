//! The client under test by Autobahn's fuzzing server: runs all its cases, echoing what it sends.
//!
//! `autobahn/run.sh client` does the rest.
//!
//! ```sh
//! cargo run --release --example autobahn_client -- --url ws://127.0.0.1:9001 --adapter tokio
//! ```
#![expect(clippy::print_stdout, reason = "a program that tells what it does")]

use std::error::Error;

use clap::{Parser, ValueEnum};
use sockeye::handshake::ClientRequest;
use sockeye::{
    Config, Deflate, Event, Memory, ReadIo, Sender, SocketError, WebSocket, WriteIo, blocking,
};

/// Runs the cases of Autobahn's fuzzing server.
#[derive(Parser)]
struct Options {
    /// Where the fuzzing server listens.
    #[arg(long, default_value = "ws://127.0.0.1:9001")]
    url: String,
    /// What the connections run on.
    #[arg(long, value_enum, default_value_t = Adapter::Tokio)]
    adapter: Adapter,
    /// The name in the report.
    #[arg(long, default_value = "sockeye")]
    agent: String,
    /// Offer to compress, and keep this between messages.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "retained")]
    deflate: Option<Keep>,
}

impl Options {
    fn config(&self) -> Config {
        Config::new().with_deflate(self.deflate.map(|keep| {
            let memory = match keep {
                Keep::Retained => Memory::Retained,
                Keep::Window => Memory::Window,
                Keep::Nothing => Memory::NoTakeover,
            };
            Deflate::client()
                .with_send_memory(memory)
                .with_receive_memory(memory)
        }))
    }
}

/// What a connection keeps between compressed messages.
#[derive(Clone, Copy, ValueEnum)]
enum Keep {
    Retained,
    Window,
    Nothing,
}

#[derive(Clone, Copy, ValueEnum)]
enum Adapter {
    Tokio,
    Blocking,
    Futures,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let url = options.url.trim_end_matches('/');
    let (agent, config) = (&options.agent, &options.config());
    let count = match run(options.adapter, config, &format!("{url}/getCaseCount"))? {
        Some(text) => text.parse::<u32>()?,
        None => return Err("the server did not tell how many cases there are".into()),
    };
    for case in 1..=count {
        println!("case {case} of {count}");
        // Most cases end in an error, because the server breaks a rule; the report is the server's
        // to write.
        if let Err(error) = run(
            options.adapter,
            config,
            &format!("{url}/runCase?case={case}&agent={agent}"),
        ) {
            println!("  {error}");
        }
    }
    run(
        options.adapter,
        config,
        &format!("{url}/updateReports?agent={agent}"),
    )?;
    Ok(())
}

/// Echoes until the connection ends, and gives back the first text.
fn run(adapter: Adapter, config: &Config, url: &str) -> Result<Option<String>, SocketError> {
    let request = ClientRequest::new(url)?;
    match adapter {
        Adapter::Tokio => run_tokio(&request, config),
        Adapter::Blocking => run_blocking(&request, config),
        Adapter::Futures => smol::block_on(async {
            let (mut ws, _) = sockeye::futures::connect_with(&request, config).await?;
            echo_all(&mut ws).await
        }),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run_tokio(
    request: &ClientRequest,
    config: &Config,
) -> Result<Option<String>, SocketError> {
    let (mut ws, _) = sockeye::tokio::connect_with(request, config).await?;
    echo_all(&mut ws).await
}

async fn echo_all<I: ReadIo + WriteIo>(
    ws: &mut WebSocket<I>,
) -> Result<Option<String>, SocketError> {
    let mut first = None;
    loop {
        ws.ready().await?;
        let sent = ws
            .recv_with(|event, sender| echo(event, sender, &mut first))
            .await?;
        match sent {
            Some(sent) => sent?,
            None => return Ok(first),
        }
    }
}

fn run_blocking(request: &ClientRequest, config: &Config) -> Result<Option<String>, SocketError> {
    let (mut ws, _) = blocking::connect_with(request, config)?;
    let mut first = None;
    loop {
        ws.ready()?;
        match ws.recv_with(|event, sender| echo(event, sender, &mut first))? {
            Some(sent) => sent?,
            None => return Ok(first),
        }
    }
}

fn echo(
    event: Event<'_>,
    sender: &mut Sender,
    first: &mut Option<String>,
) -> Result<(), SocketError> {
    let Ok(message) = event.into_message() else {
        return Ok(());
    };
    if let (None, Some(text)) = (&first, message.as_text()) {
        *first = Some(text.to_owned());
    }
    sender.send(message).map_err(SocketError::from)
}
