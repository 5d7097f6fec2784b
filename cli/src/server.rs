//! What `listen` and `echo` have in common: they bind, they accept, they end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sockeye::handshake::Acceptance;
use sockeye::tokio::TokioIo;
use sockeye::{Config, Deflate, SocketError, Upgrade, WebSocket};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::args::MaxMessage;
use crate::exit::Failure;
use crate::output::{note, printable};

/// Where and how to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where to listen, as 127.0.0.1:9001. A port alone is on 127.0.0.1, and :PORT on all interfaces.
    addr: String,
    /// A subprotocol to agree to. May be repeated; the client's favourite among them is chosen.
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// Agree to permessage-deflate.
    #[arg(long)]
    compress: bool,
    #[command(flatten)]
    max_message: MaxMessage,
}

impl Serve {
    pub(crate) fn config(&self) -> Config {
        Config::new()
            .with_limits(self.max_message.limits())
            .with_deflate(self.compress.then(Deflate::server))
    }

    /// Listens, and returns the URL to connect to.
    pub(crate) async fn bind(&self) -> Result<(TcpListener, String), Failure> {
        let addr = &self.addr;
        let bound = match addr.strip_prefix(':') {
            Some(port) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
            None if addr.parse::<u16>().is_ok() => {
                TcpListener::bind(format!("127.0.0.1:{addr}")).await
            }
            None => TcpListener::bind(addr).await,
        };
        let listener = bound.map_err(|error| {
            let failure = match error.kind() {
                io::ErrorKind::InvalidInput => {
                    Failure::usage(error.to_string()).with_hint("an address is as 127.0.0.1:9001")
                }
                io::ErrorKind::AddrInUse => {
                    Failure::from(error).with_hint("another program listens there")
                }
                io::ErrorKind::PermissionDenied => {
                    Failure::from(error).with_hint("ports below 1024 are for root")
                }
                _ => error.into(),
            };
            failure.while_doing(format_args!("cannot listen on {}", printable(addr)))
        })?;
        let addr = listener.local_addr()?;
        Ok((listener, format!("ws://{addr}/")))
    }

    /// Does the opening handshake with a client.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        config: &Config,
    ) -> Result<WebSocket<TokioIo<TcpStream>>, SocketError> {
        self.answer(asked(stream, config).await?).await
    }

    /// Accepts what a client asked for.
    pub(crate) async fn answer(
        &self,
        upgrade: Upgrade<TokioIo<TcpStream>>,
    ) -> Result<WebSocket<TokioIo<TcpStream>>, SocketError> {
        let chosen = upgrade
            .request()
            .subprotocols()
            .find(|name| self.subprotocols.iter().any(|own| own == name));
        let acceptance = match chosen {
            Some(name) => Acceptance::new().with_subprotocol(name),
            None => Acceptance::new(),
        };
        upgrade.accept(acceptance).await
    }
}

/// What a client asks for.
pub(crate) async fn asked(
    stream: TcpStream,
    config: &Config,
) -> Result<Upgrade<TokioIo<TcpStream>>, SocketError> {
    stream.set_nodelay(true)?;
    sockeye::tokio::receive(stream, config).await
}

/// The next client. Without file descriptors no connection can be accepted; some will be free later.
/// Cancel safe.
pub(crate) async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                note(format_args!("cannot accept a connection: {error}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Ready when the server ends. Cancel safe.
pub(crate) async fn ended(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can tell any more.
    let _told = stopped.wait_for(|stop| *stop).await;
}
