//! WebSocket connections over blocking streams.
//!
//! [`Stream`] is what they need: `Read`, `Write` and timeouts. TCP and Unix sockets have it, and TLS
//! sessions over them, which [`connect`] makes for `wss://` if the feature `rustls` is on;
//! [`Untimed`] gives it to everything else. The streams must be in blocking mode.
//!
//! ```
//! use sockeye::{Config, blocking};
//! use std::net::TcpListener;
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//!
//! let server = std::thread::spawn(move || {
//!     let (stream, _) = listener.accept()?;
//!     let mut ws = blocking::accept(stream, &Config::new())?;
//!     while let Some(message) = ws.recv()? {
//!         ws.send(message)?;
//!     }
//!     Ok::<_, sockeye::SocketError>(())
//! });
//!
//! let mut ws = blocking::connect(&url)?;
//! ws.send("hello")?;
//! let echo = ws.recv()?.expect("a message");
//! assert_eq!(echo.as_text(), Some("hello"));
//! ws.close(sockeye::CloseCode::NORMAL, "done")?;
//! server.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod byte_stream;
mod halves;
mod net;
mod reconnect;
mod stream;
#[cfg(feature = "rustls")]
mod tls;
mod transport;

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;

use super::connect::client as run_client;
use super::connector::{Connector, establish};
use super::driver::poll_item;
use super::{SocketError, upgrade, websocket};
use crate::handshake::{Acceptance, ClientRequest, Refusal, Request, Response};
use crate::{
    CloseCode, CloseFrame, Closed, Config, Connection, Event, Instant, Kind, Limits, Message,
    Negotiated, Observer, Payload, Received, Rtt, SendOptions, Sender, Sent, State, Unsent,
};

#[cfg(feature = "deflate")]
use crate::{Compress, Prepared};

pub use byte_stream::ByteStream;
pub use halves::{ReceiveHalf, SendHalf};
pub use reconnect::{Reconnecting, reconnect, reconnect_through, reconnect_with};
pub use stream::{BlockingIo, Stream, Untimed};
#[cfg(feature = "rustls")]
pub use tls::TlsStream;
pub use transport::ClientStream;

use net::Blocking;

/// Runs a future whose transport blocks. It is pending only when a wait was cut short, so it is
/// polled again at once.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // Another thread may wait for the lock that this one has just released.
        std::thread::yield_now();
    }
}

/// Connects to a `ws://` or `wss://` URL with the default settings. `wss://` needs the feature
/// `rustls`.
///
/// # Errors
///
/// As [`connect_with`].
pub fn connect(url: &str) -> Result<WebSocket<ClientStream>, SocketError> {
    let request = ClientRequest::new(url)?;
    let (ws, _) = connect_with(&request, &Config::new())?;
    Ok(ws)
}

/// Connects to where a request is addressed, without Nagle's delay, within
/// [`Timeouts::with_handshake`](crate::Timeouts::with_handshake): as [`connect_through`] with a
/// connector that has these settings.
///
/// The server's answer comes along, for its headers.
///
/// # Errors
///
/// As [`connect_through`].
pub fn connect_with(
    request: &ClientRequest,
    config: &Config,
) -> Result<(WebSocket<ClientStream>, Response), SocketError> {
    connect_through(&Connector::from(config), request)
}

/// Connects to where a request is addressed, as a connector says: with its certificates, redirects and
/// deadlines.
///
/// The server's answer comes along, for its headers. For what the standard library cannot bound or do
/// at the same time, such as to look up a name or to try two addresses, there are threads while it lasts.
///
/// # Errors
///
/// [`SocketError::Request`] if the request is not valid, or is for `wss://` without the feature
/// `rustls`. [`SocketError::Connect`] if the server could not be reached.
/// [`SocketError::Handshake`] if it refuses, breaks the protocol, or takes too long.
/// [`SocketError::Io`] if the transport fails then. [`SocketError::phase`] says how far it came.
pub fn connect_through(
    connector: &Connector,
    request: &ClientRequest,
) -> Result<(WebSocket<ClientStream>, Response), SocketError> {
    let (ws, response) = block_on(establish(&Blocking, connector, request))?;
    Ok((WebSocket(ws), response))
}

/// Does a client's opening handshake over a transport that is connected, such as a TLS stream.
///
/// # Errors
///
/// As [`connect_with`].
pub fn client<S: Stream>(
    stream: S,
    request: &ClientRequest,
    config: &Config,
) -> Result<(WebSocket<S>, Response), SocketError> {
    let (ws, response) = block_on(run_client(
        BlockingIo::new(stream),
        request,
        config,
        Instant::now(),
    ))?;
    Ok((WebSocket(ws), response))
}

/// Does a server's opening handshake, accepting every valid request.
///
/// Use [`Upgrade`] to decide by the request.
///
/// # Errors
///
/// As [`Upgrade::receive`].
pub fn accept<S: Stream>(stream: S, config: &Config) -> Result<WebSocket<S>, SocketError> {
    Upgrade::receive(stream, config)?.accept(Acceptance::new())
}

/// A client's request, to be accepted or rejected. As [`sockeye::Upgrade`](crate::Upgrade).
#[derive(Debug)]
pub struct Upgrade<S>(upgrade::Upgrade<BlockingIo<S>>);

impl<S: Stream> Upgrade<S> {
    /// As [`sockeye::Upgrade::receive`](crate::Upgrade::receive).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive(stream: S, config: &Config) -> Result<Self, SocketError> {
        block_on(upgrade::Upgrade::receive(BlockingIo::new(stream), config)).map(Self)
    }

    /// As [`sockeye::Upgrade::receive_any`](crate::Upgrade::receive_any).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn receive_any(stream: S, config: &Config) -> Result<Self, SocketError> {
        let upgrade = upgrade::Upgrade::receive_any(BlockingIo::new(stream), config);
        block_on(upgrade).map(Self)
    }

    /// The request.
    pub fn request(&self) -> &Request {
        self.0.request()
    }

    /// The stream, for what it knows of the client.
    pub fn stream(&self) -> &S {
        self.0.io().stream()
    }

    /// As [`sockeye::Upgrade::accept`](crate::Upgrade::accept).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn accept(self, acceptance: Acceptance) -> Result<WebSocket<S>, SocketError> {
        block_on(self.0.accept(acceptance)).map(WebSocket)
    }

    /// As [`sockeye::Upgrade::reject`](crate::Upgrade::reject).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn reject(self, refusal: Refusal) -> Result<(), SocketError> {
        block_on(self.0.reject(refusal))
    }
}

/// A WebSocket connection over a blocking stream. As [`sockeye::WebSocket`](crate::WebSocket), but
/// its methods block.
#[derive(Debug)]
pub struct WebSocket<S>(websocket::WebSocket<BlockingIo<S>>);

impl<S> WebSocket<S> {
    /// As [`sockeye::WebSocket::new`](crate::WebSocket::new).
    pub fn new(stream: S, connection: Connection, leftover: &[u8]) -> Self {
        let io = BlockingIo::new(stream);
        Self(websocket::WebSocket::new(io, connection, leftover))
    }

    /// What the opening handshake settled.
    pub fn negotiated(&self) -> &Negotiated {
        self.0.negotiated()
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// The peer's Close frame, once it came: why nothing can be sent any more.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.0.peer_close()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.0.closed()
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    /// The round trips so far. As [`sockeye::WebSocket::rtt`](crate::WebSocket::rtt).
    pub fn rtt(&self) -> Option<Rtt> {
        self.0.rtt()
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        self.0.io().stream()
    }

    /// The stream, without finishing anything.
    pub fn into_stream(self) -> S {
        self.0.into_io().into_stream()
    }
}

impl<S: Stream> WebSocket<S> {
    /// As [`sockeye::WebSocket::queued_age`](crate::WebSocket::queued_age).
    pub fn queued_age(&mut self) -> Option<Duration> {
        self.0.queued_age()
    }

    /// As [`sockeye::WebSocket::recv`](crate::WebSocket::recv).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv(&mut self) -> Result<Option<Message<'static>>, SocketError> {
        block_on(self.0.recv())
    }

    /// As [`sockeye::WebSocket::recv_event`](crate::WebSocket::recv_event).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_event(&mut self) -> Result<Option<Event<'static>>, SocketError> {
        block_on(self.0.recv_event())
    }

    /// As [`sockeye::WebSocket::recv_with`](crate::WebSocket::recv_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>, &mut Sender) -> T,
    ) -> Result<Option<T>, SocketError> {
        block_on(self.0.recv_with(handle))
    }

    /// As [`sockeye::WebSocket::ready`](crate::WebSocket::ready).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ready(&mut self) -> Result<(), SocketError> {
        block_on(self.0.ready())
    }

    /// As [`sockeye::WebSocket::drained`](crate::WebSocket::drained).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drained(&mut self) -> Result<(), SocketError> {
        block_on(self.0.drained())
    }

    /// As [`sockeye::WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        block_on(self.0.send(message))
    }

    /// As [`sockeye::WebSocket::feed`](crate::WebSocket::feed).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        block_on(self.0.feed(message))
    }

    /// As [`sockeye::WebSocket::send_with`](crate::WebSocket::send_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        block_on(self.0.send_with(message, options))
    }

    /// As [`sockeye::WebSocket::feed_with`](crate::WebSocket::feed_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        block_on(self.0.feed_with(message, options))
    }

    /// As [`sockeye::WebSocket::send_prepared`](crate::WebSocket::send_prepared).
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SocketError> {
        block_on(self.0.send_prepared(message))
    }

    /// As [`sockeye::WebSocket::try_feed`](crate::WebSocket::try_feed).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_feed<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.0.try_feed(message)
    }

    /// As [`sockeye::WebSocket::try_feed_with`](crate::WebSocket::try_feed_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.0.try_feed_with(message, options)
    }

    /// As [`sockeye::WebSocket::flush`](crate::WebSocket::flush).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush(&mut self) -> Result<(), SocketError> {
        block_on(self.0.flush())
    }

    /// As [`sockeye::WebSocket::received`](crate::WebSocket::received).
    pub fn received(&self) -> Received {
        self.0.received()
    }

    /// As [`sockeye::WebSocket::sent`](crate::WebSocket::sent).
    pub fn sent(&self) -> Sent {
        self.0.sent()
    }

    /// As [`sockeye::WebSocket::set_observer`](crate::WebSocket::set_observer).
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.0.set_observer(observer);
    }

    /// As [`sockeye::WebSocket::set_limits`](crate::WebSocket::set_limits).
    pub fn set_limits(&mut self, limits: &Limits) {
        self.0.set_limits(limits);
    }

    /// As [`sockeye::WebSocket::shrink`](crate::WebSocket::shrink).
    #[cfg(feature = "deflate")]
    pub fn shrink(&mut self) {
        self.0.shrink();
    }

    /// As [`sockeye::WebSocket::send_fragment_with`](crate::WebSocket::send_fragment_with).
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_fragment_with<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
        compress: Compress,
    ) -> Result<(), SocketError> {
        block_on(self.0.send_fragment_with(kind, payload, fin, compress))
    }

    /// As [`sockeye::WebSocket::send_fragment`](crate::WebSocket::send_fragment).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SocketError> {
        block_on(self.0.send_fragment(kind, payload, fin))
    }

    /// As [`sockeye::WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        block_on(self.0.ping(payload))
    }

    /// As [`sockeye::WebSocket::probe`](crate::WebSocket::probe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn probe(&mut self) -> Result<(), SocketError> {
        block_on(self.0.probe())
    }

    /// As [`sockeye::WebSocket::close`](crate::WebSocket::close).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, SocketError> {
        block_on(self.0.close(code, reason))
    }
}

/// The messages that arrive, up to the end or the first error.
impl<S: Stream> Iterator for WebSocket<S> {
    type Item = Result<Message<'static>, SocketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let websocket::WebSocket { inlet, output, .. } = &mut self.0;
        block_on(poll_fn(|cx| poll_item(inlet, output, cx)))
    }
}
