//! How a connection to a server is made: the one place that knows of transports.

use sockeye::handshake::{ClientRequest, Response};
use sockeye::tokio::TokioIo;
use sockeye::{Config, HandshakeError, SocketError, WebSocket};
use tokio::net::TcpStream;

/// What a connection runs on.
pub(crate) type Stream = TcpStream;

/// A client's connection.
pub(crate) type Socket = WebSocket<TokioIo<Stream>>;

/// How to get to the server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Dial {}

impl Dial {
    /// Connects and does the opening handshake, within
    /// [`Timeouts::with_handshake`](sockeye::Timeouts::with_handshake).
    pub(crate) async fn connect(
        &self,
        request: &ClientRequest,
        config: &Config,
    ) -> Result<(Socket, Response), SocketError> {
        sockeye::tokio::connect_with(request, config).await
    }
}

/// The server's answer, if it refused.
pub(crate) fn refusal(error: &SocketError) -> Option<&Response> {
    match error {
        SocketError::Handshake(HandshakeError::Refused(response)) => Some(response),
        _ => None,
    }
}
