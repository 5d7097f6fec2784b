//! `ws echo`: a server that sends everything back.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use sockeye::{CloseCode, Config, SocketError};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exit::{Exit, Failure};
use crate::output::{DIM, note};
use crate::server;
use crate::signals::Interrupts;

/// Sends every message back to who sent it.
///
/// The first line on stdout is the URL. Ctrl-C closes all connections with 1001 before it ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: server::Serve,
    /// Tell of every connection on stderr.
    #[arg(short, long)]
    verbose: bool,
}

pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::new()?;
    let (listener, url) = options.server.bind().await?;
    // Nobody has to read it.
    let _written = writeln!(io::stdout(), "{url}").and_then(|()| io::stdout().flush());

    let options = Arc::new(options);
    let config = options.server.config();
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = interrupts.asked() => break,
            Some(_ended) = connections.join_next() => {}
            (stream, peer) = server::next(&listener) => {
                let (options, config, stopped) = (Arc::clone(&options), config.clone(), stopped.clone());
                connections.spawn(async move {
                    let result = serve(stream, &options, &config, stopped).await;
                    if options.verbose {
                        tell(peer, result);
                    }
                });
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    while connections.join_next().await.is_some() {}
    Ok(Exit::Success)
}

async fn serve(
    stream: TcpStream,
    options: &Options,
    config: &Config,
    mut stopped: watch::Receiver<bool>,
) -> Result<sockeye::Closed, SocketError> {
    let stop = server::ended(&mut stopped);
    tokio::pin!(stop);
    let mut ws = tokio::select! {
        ws = options.server.accept(stream, config) => ws?,
        () = &mut stop => return Err(io::Error::from(io::ErrorKind::Interrupted).into()),
    };
    tokio::select! {
        closed = ws.serve(async |message, replies| replies.send(message).await) => return closed,
        () = &mut stop => {}
    }
    ws.close(CloseCode::GOING_AWAY, "the server ends").await
}

fn tell(peer: SocketAddr, result: Result<sockeye::Closed, SocketError>) {
    match result {
        Ok(closed) => note(format_args!(
            "{DIM}{peer}: closed with {}{DIM:#}",
            closed.code()
        )),
        Err(error) => note(format_args!("{DIM}{peer}: {error}{DIM:#}")),
    }
}
