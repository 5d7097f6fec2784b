//! WebSocket connections on futures-io: smol, async-std and whatever else has its traits.
//!
//! Everything works over any `AsyncRead + AsyncWrite`; [`connect`] makes the connection too, with TLS for `wss://` if the feature
//! `futures-rustls` is on.
//! Timers and sockets come from `async-io`, which runs under any executor.
//!
//! ```
//! use smol::net::TcpListener;
//! use sockeye::Config;
//!
//! # smol::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//!
//! let server = smol::spawn(async move {
//!     let (stream, _) = listener.accept().await?;
//!     let mut ws = sockeye::futures::accept(stream, &Config::new()).await?;
//!     ws.serve(async |message, replies| replies.send(message).await)
//!         .await
//! });
//!
//! let mut ws = sockeye::futures::connect(&url).await?;
//! ws.send("hello").await?;
//! let echo = ws.recv().await?.expect("a message");
//! assert_eq!(echo.as_text(), Some("hello"));
//! ws.close(sockeye::CloseCode::NORMAL, "done").await?;
//! server.await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod net;
mod transport;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::boxed::Box;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_io::Timer;
use futures_io::{AsyncRead, AsyncWrite};

use super::connect::client as run_client;
use super::connector::{Connector, establish};
use super::reconnect::{Clock, Reconnecting, attempts};
use super::{ReadIo, ReceiveHalf, SendHalf, SocketError, Upgrade, WebSocket, WriteIo};
use crate::handshake::{Acceptance, ClientRequest, Response};
use crate::{Config, Instant};

pub use transport::ClientStream;

use net::Futures;

/// A futures-io transport, or one half of it, with a timer.
#[derive(Debug)]
pub struct FuturesIo<S> {
    stream: S,
    timer: Option<(Instant, Timer)>,
}

impl<S> FuturesIo<S> {
    /// Wraps a transport.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            timer: None,
        }
    }

    /// The transport.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The transport, for settings.
    pub const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The transport, unwrapped.
    pub fn into_stream(self) -> S {
        self.stream
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            self.timer = None;
            return Poll::Pending;
        };
        if deadline <= Instant::from_nanos(0) {
            // Who only asks for the time needs no timer.
            return Poll::Ready(());
        }
        let (at, timer) = match &mut self.timer {
            Some(timer) => timer,
            empty => empty.insert((deadline, Timer::at(deadline.to_std()))),
        };
        loop {
            // Deadlines are mostly put off. Waking too early now and then costs less than winding
            // the timer on each time.
            if deadline < *at {
                timer.set_at(deadline.to_std());
                *at = deadline;
            }
            ready!(Pin::new(&mut *timer).poll(cx));
            if *at == deadline {
                self.timer = None;
                return Poll::Ready(());
            }
            timer.set_at(deadline.to_std());
            *at = deadline;
        }
    }
}

impl<S: AsyncRead + Unpin> ReadIo for FuturesIo<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.poll_timer(cx, deadline)
    }
}

impl<S: AsyncWrite + Unpin> WriteIo for FuturesIo<S> {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        match buffers {
            // To the kernel one buffer is less than a list of one.
            [buffer] => stream.poll_write(cx, buffer),
            _ => stream.poll_write_vectored(cx, buffers),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.poll_timer(cx, deadline)
    }
}

/// How to tell the time, and wait.
const CLOCK: Clock = Clock {
    now: Instant::now,
    sleep_until: |at| {
        Box::pin(async move {
            Timer::at(at.to_std()).await;
        })
    },
};

/// Connects to a `ws://` or `wss://` URL with the default settings. `wss://` needs the feature
/// `futures-rustls`.
///
/// # Errors
///
/// As [`connect_with`].
pub async fn connect(url: &str) -> Result<WebSocket<FuturesIo<ClientStream>>, SocketError> {
    let request = ClientRequest::new(url)?;
    let (ws, _) = connect_with(&request, &Config::new()).await?;
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
pub async fn connect_with(
    request: &ClientRequest,
    config: &Config,
) -> Result<(WebSocket<FuturesIo<ClientStream>>, Response), SocketError> {
    connect_through(&Connector::from(config), request).await
}

/// Connects to where a request is addressed, as a connector says: with its certificates, redirects and
/// deadlines.
///
/// The server's answer comes along, for its headers.
///
/// # Errors
///
/// [`SocketError::Request`] if the request is not valid, or is for `wss://` without the feature
/// `futures-rustls`. [`SocketError::Connect`] if the server could not be reached.
/// [`SocketError::Handshake`] if it refuses, breaks the protocol, or takes too long.
/// [`SocketError::Io`] if the transport fails then. [`SocketError::phase`] says how far it came.
pub async fn connect_through(
    connector: &Connector,
    request: &ClientRequest,
) -> Result<(WebSocket<FuturesIo<ClientStream>>, Response), SocketError> {
    establish(&Futures, connector, request).await
}

/// Does a client's opening handshake over a transport that is connected, such as a TLS stream.
///
/// # Errors
///
/// As [`connect_with`].
pub async fn client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: &ClientRequest,
    config: &Config,
) -> Result<(WebSocket<FuturesIo<S>>, Response), SocketError> {
    run_client(FuturesIo::new(stream), request, config, Instant::now()).await
}

/// A client that connects to a URL, and again whenever the connection is lost.
///
/// `request` makes the request of each attempt, so that each can have a fresh token. If it fails,
/// so does the attempt, and the error's class decides whether there is another:
/// `std::io::Error::other` makes an error that is worth one. Each attempt is bounded as
/// [`connect_with`]; what `request` waits for is not.
///
/// ```
/// use sockeye::handshake::ClientRequest;
/// use sockeye::{Config, reconnect::Update};
/// # async fn token() -> std::io::Result<String> { Ok(String::new()) }
/// # fn on_message(_: sockeye::Message<'static>) {}
///
/// # async fn run() -> Result<(), sockeye::SocketError> {
/// let mut client = sockeye::futures::reconnect(&Config::new(), || async {
///     let authorization = format!("Bearer {}", token().await?);
///     let request = ClientRequest::new("ws://127.0.0.1:9001/feed")?;
///     Ok(request.with_header("Authorization", authorization))
/// });
/// while let Some(update) = client.recv().await {
///     match update {
///         // A server that hangs up at once is news for `recv`, which comes next.
///         Update::Connected(_) => drop(client.send("subscribe").await),
///         Update::Message(message) => on_message(message),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn reconnect<R, F>(config: &Config, request: R) -> Reconnecting<FuturesIo<ClientStream>>
where
    R: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<ClientRequest, SocketError>> + Send + 'static,
{
    reconnect_through(&Connector::from(config), request)
}

/// As [`reconnect`], with attempts as by [`connect_through`].
pub fn reconnect_through<R, F>(
    connector: &Connector,
    mut request: R,
) -> Reconnecting<FuturesIo<ClientStream>>
where
    R: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<ClientRequest, SocketError>> + Send + 'static,
{
    let connector = connector.clone();
    reconnect_with(move || {
        let (request, connector) = (request(), connector.clone());
        async move { connect_through(&connector, &request.await?).await }
    })
}

/// As [`reconnect`], over transports that `dial` makes.
///
/// `dial` connects and does the opening handshake with [`client`]. What else it waits for it has to
/// bound itself.
pub fn reconnect_with<S, D, F>(dial: D) -> Reconnecting<FuturesIo<S>>
where
    S: 'static,
    D: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<(WebSocket<FuturesIo<S>>, Response), SocketError>> + Send + 'static,
{
    Reconnecting::new(attempts(dial), CLOCK)
}

/// Does a server's opening handshake, accepting every valid request.
///
/// Use [`receive`] to decide by the request.
///
/// # Errors
///
/// As [`Upgrade::receive`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Config,
) -> Result<WebSocket<FuturesIo<S>>, SocketError> {
    let upgrade = receive(stream, config).await?;
    upgrade.accept(Acceptance::new()).await
}

/// Reads a client's request, to be accepted or rejected.
///
/// # Errors
///
/// As [`Upgrade::receive`].
pub async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Config,
) -> Result<Upgrade<FuturesIo<S>>, SocketError> {
    Upgrade::receive(FuturesIo::new(stream), config).await
}

/// Reads a client's request, which may be plain HTTP.
///
/// # Errors
///
/// As [`Upgrade::receive_any`].
pub async fn receive_any<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Config,
) -> Result<Upgrade<FuturesIo<S>>, SocketError> {
    Upgrade::receive_any(FuturesIo::new(stream), config).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<FuturesIo<S>> {
    /// The receiving and the sending half, for two tasks. They lock the transport for each read and
    /// each write.
    pub fn split(
        self,
    ) -> (
        ReceiveHalf<FuturesIo<SharedStream<S>>, FuturesIo<SharedStream<S>>>,
        SendHalf<FuturesIo<SharedStream<S>>>,
    ) {
        self.split_with(|stream| {
            let shared = SharedStream(Arc::new(Mutex::new(stream)));
            (SharedStream(Arc::clone(&shared.0)), shared)
        })
    }
}

impl<S> WebSocket<FuturesIo<S>> {
    /// As `split`, with a transport that knows better how to be divided: an `async_net::TcpStream`
    /// can be cloned.
    pub fn split_with<R, W>(
        self,
        divide: impl FnOnce(S) -> (R, W),
    ) -> (
        ReceiveHalf<FuturesIo<R>, FuturesIo<W>>,
        SendHalf<FuturesIo<W>>,
    ) {
        self.split_io(|io| {
            let (read, write) = divide(io.stream);
            (FuturesIo::new(read), FuturesIo::new(write))
        })
    }
}

/// One half of a transport that cannot be divided.
#[derive(Debug)]
pub struct SharedStream<S>(Arc<Mutex<S>>);

impl<S> SharedStream<S> {
    fn lock(&self) -> MutexGuard<'_, S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SharedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SharedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_close(cx)
    }
}
