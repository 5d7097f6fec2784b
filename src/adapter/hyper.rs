//! WebSocket connections from hyper 1 and what is built on it, such as axum.
//!
//! The HTTP server reads the request, and hands the connection over once the answer has left. In a
//! handler of axum, or in any service of hyper:
//!
//! ```
//! use axum::{Router, extract::Request, response::Response, routing::any};
//! use sockeye::Config;
//! use sockeye::handshake::{Acceptance, OriginPolicy, Scheme};
//!
//! async fn echo(mut request: Request) -> Response {
//!     let policy = OriginPolicy::same_origin(Scheme::Http); // with TLS in front: Scheme::Https
//!     sockeye::hyper::upgrade(
//!         &mut request,
//!         &Config::new(),
//!         |request| policy.check(request).map(|()| Acceptance::new()),
//!         async |mut ws| {
//!             let served = ws.serve(async |message, replies| replies.send(message).await);
//!             if let Err(error) = served.await {
//!                 println!("{error}");
//!             }
//!         },
//!     )
//! }
//!
//! // Not `get`: over HTTP/2 the method is CONNECT.
//! let app: Router = Router::new().route("/echo", any(echo));
//! ```
//!
//! A connection of hyper must be served `with_upgrades`, which axum does by itself.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::format;
use std::io::{self, IoSlice};
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use ::hyper::body::Body;
use ::hyper::rt::{Read as _, Write as _};
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use bytes::{Buf as _, BufMut as _, Bytes};

use super::tokio::TokioIo;
use super::{SocketError, WebSocket, WriteIo as _};
use crate::handshake::{
    Acceptance, Answer, ClientOffer, InvalidRequest, Refusal, Request, Response,
};
use crate::{Config, Connection, HandshakeError, RandomKeys};

/// Answers a request for a WebSocket, over HTTP/1.1 or HTTP/2 (RFC 8441), and runs `handle` with the
/// connection if it is accepted.
///
/// Over HTTP/2 the method is CONNECT, so the route must not be one for GET alone. There a WebSocket is
/// told by its `Sec-WebSocket-Version`, as by [`Request::from_http`]; [`upgrade_extended`] goes by the
/// `:protocol`.
///
/// `decide` says whether it is, and with which subprotocol and headers. It sees only requests that
/// are valid; all others are answered with the status that says why. What it has to wait for, such
/// as a database, comes before: [`Request::from_http`] gives the same view of the request.
///
/// `handle` runs in a task of its own, on tokio, when the answer has left. If that never happens,
/// because the client is gone, it is dropped. What the client sent ahead is kept: the first read
/// gets it.
///
/// The answer has status 500 if `decide` gave one that cannot be sent (see [`Acceptance::answer`] and
/// [`Refusal::answer`]), and says what is wrong with it.
///
/// The deadline of the handshake is the HTTP server's. The limits for heads
/// ([`Limits::max_head_size`](crate::Limits::max_head_size) and so on) hold besides its own.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn upgrade<R, B, D, H, F>(
    request: &mut ::http::Request<R>,
    config: &Config,
    decide: D,
    handle: H,
) -> ::http::Response<B>
where
    B: From<Bytes>,
    D: FnOnce(&Request) -> Result<Acceptance, Refusal>,
    H: FnOnce(WebSocket<TokioIo<Upgraded>>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let read = Request::from_http(request, config);
    upgrade_read(request, read, config, decide, handle)
}

/// As [`upgrade`], by the `:protocol` of a request over HTTP/2 or HTTP/3 (RFC 8441, RFC 9220): for
/// services that have other protocols too.
///
/// `protocol` is the `:protocol` of the request, if there is one. hyper keeps it in the extensions;
/// with its feature `http2`:
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use sockeye::Config;
/// use sockeye::handshake::Acceptance;
///
/// async fn echo<R>(mut request: http::Request<R>) -> http::Response<Full<Bytes>> {
///     let protocol = request.extensions().get::<hyper::ext::Protocol>().cloned();
///     let protocol = protocol.as_ref().map(|protocol| protocol.as_str());
///     let accept = |_: &_| Ok(Acceptance::new());
///     sockeye::hyper::upgrade_extended(&mut request, protocol, &Config::new(), accept, async |mut ws| {
///         let served = ws.serve(async |message, replies| replies.send(message).await);
///         let _closed = served.await;
///     })
/// }
/// ```
///
/// Another one, or none, gets 501. Over HTTP/1.1 it does not matter. The server must have announced
/// that it takes such requests: `enable_connect_protocol` of hyper's builder.
///
/// # Panics
///
/// Outside a tokio runtime.
pub fn upgrade_extended<R, B, D, H, F>(
    request: &mut ::http::Request<R>,
    protocol: Option<&str>,
    config: &Config,
    decide: D,
    handle: H,
) -> ::http::Response<B>
where
    B: From<Bytes>,
    D: FnOnce(&Request) -> Result<Acceptance, Refusal>,
    H: FnOnce(WebSocket<TokioIo<Upgraded>>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let read = match request.version() {
        ::http::Version::HTTP_2 | ::http::Version::HTTP_3 => {
            Request::from_http_extended(request, protocol, config)
        }
        _ => Request::from_http(request, config),
    };
    upgrade_read(request, read, config, decide, handle)
}

/// Goes on with what was read of the request.
fn upgrade_read<R, B, D, H, F>(
    request: &mut ::http::Request<R>,
    read: Result<Request, InvalidRequest>,
    config: &Config,
    decide: D,
    handle: H,
) -> ::http::Response<B>
where
    B: From<Bytes>,
    D: FnOnce(&Request) -> Result<Acceptance, Refusal>,
    H: FnOnce(WebSocket<TokioIo<Upgraded>>) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let read = match read {
        Ok(read) => read,
        Err(invalid) => return to_http(invalid.into_answer()),
    };
    let decided = match decide(&read) {
        Ok(acceptance) => acceptance
            .answer(&read, config)
            .map(|(answer, negotiated)| (answer, Some(negotiated))),
        Err(refusal) => refusal.answer(&read).map(|answer| (answer, None)),
    };
    let (answer, negotiated) = match decided {
        Ok(decided) => decided,
        Err(error) => return failed(&error),
    };
    if let Some(negotiated) = negotiated {
        let upgrade = ::hyper::upgrade::on(request);
        let config = config.clone();
        ::tokio::spawn(async move {
            // If it fails, the client is gone, and there is nobody to tell.
            if let Ok(upgraded) = upgrade.await {
                let io = TokioIo::new(Upgraded::new(upgraded));
                let connection = Connection::server(&config, negotiated, io.now());
                handle(WebSocket::new(io, connection, &[])).await;
            }
        });
    }
    to_http(answer)
}

fn to_http<B: From<Bytes>>(answer: Answer) -> ::http::Response<B> {
    match ::http::Response::try_from(answer) {
        Ok(response) => response.map(B::from),
        Err(error) => failed(&error),
    }
}

/// What the application wants to answer cannot be sent.
fn failed<B: From<Bytes>>(error: &dyn core::error::Error) -> ::http::Response<B> {
    let body = Bytes::from(format!("{error}\n"));
    let mut response = ::http::Response::new(body.into());
    *response.status_mut() = ::http::StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Goes on as a WebSocket where a client of hyper got its answer: of its connections
/// (`hyper::client::conn`) or of what is built on them.
///
/// ```
/// use http_body_util::Empty;
/// use hyper_util::rt::TokioIo;
/// use sockeye::handshake::{ClientOffer, ClientRequest};
/// use sockeye::{Config, RandomKeys};
/// use tokio::net::TcpStream;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::new();
/// let request = ClientRequest::new("ws://127.0.0.1:9001/chat")?;
/// let offer = ClientOffer::upgrade(&config, &request, RandomKeys::nonce())?;
///
/// let stream = TcpStream::connect("127.0.0.1:9001").await?;
/// let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
/// tokio::spawn(connection.with_upgrades());
/// let request = offer.http_request()?.map(|()| Empty::<bytes::Bytes>::new());
/// let response = sender.send_request(request).await?;
///
/// let (mut ws, _) = sockeye::hyper::client(&offer, response, &config).await?;
/// ws.send("hello").await?;
/// # Ok(())
/// # }
/// ```
///
/// The connection has to be one that is served `with_upgrades`. `config` is that of the offer.
///
/// # Errors
///
/// [`SocketError::Handshake`] for an answer that refuses, or is wrong, as by
/// [`ClientOffer::check`]; [`SocketError::Io`] if the connection is not handed over. A refusal comes
/// with as much of its body as fits into [`Limits::max_head_size`](crate::Limits::max_head_size)
/// beside its header lines, and arrives before the deadline of a handshake, which counts from this
/// call.
///
/// # Panics
///
/// Outside a tokio runtime, or in one without timers.
pub async fn client<B: Body>(
    offer: &ClientOffer,
    response: ::http::Response<B>,
    config: &Config,
) -> Result<(WebSocket<TokioIo<Upgraded>>, Response), SocketError> {
    let accepted = match offer.check_http(&response) {
        Err(HandshakeError::Refused(refusal)) => {
            let refusal = read_refusal(*refusal, response.into_body(), config).await;
            return Err(HandshakeError::Refused(refusal.into()).into());
        }
        checked => checked?,
    };
    let upgraded = ::hyper::upgrade::on(response)
        .await
        .map_err(io::Error::other)?;
    let io = TokioIo::new(Upgraded::new(upgraded));
    let connection = Connection::client(config, accepted.negotiated, RandomKeys::new(), io.now());
    Ok((WebSocket::new(io, connection, &[]), accepted.response))
}

/// A refusal with what [`ClientHandshake`](crate::handshake::ClientHandshake) would keep of its body.
async fn read_refusal<B: Body>(refusal: Response, body: B, config: &Config) -> Response {
    let line_len = |(name, value): (&str, &[u8])| name.len() + value.len() + b": \r\n".len();
    let head_size = refusal.headers().map(line_len).sum();
    let room = config.limits().max_head_size().saturating_sub(head_size);
    let mut kept = Vec::new();
    let reading = read_body(body, room, &mut kept);
    let is_complete = match config.timeouts().handshake() {
        Some(limit) => ::tokio::time::timeout(limit, reading).await == Ok(true),
        None => reading.await,
    };
    refusal.with_body(kept.into_boxed_slice(), is_complete)
}

/// Reads a body of which at most `max` bytes are kept. Returns whether that is all of it.
async fn read_body<B: Body>(body: B, max: usize, kept: &mut Vec<u8>) -> bool {
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        let Ok(mut data) = frame.into_data() else {
            continue; // trailers, which nobody asked for
        };
        let room = max - kept.len();
        kept.put((&mut data).take(room));
        if data.has_remaining() {
            return false;
        }
    }
    true
}

/// A connection that hyper handed over, as a tokio transport.
///
/// What hyper had read beyond the handshake comes first.
#[derive(Debug)]
pub struct Upgraded {
    // Never locked: it makes the connection `Sync`, so that tasks may hold references to it.
    inner: Mutex<::hyper::upgrade::Upgraded>,
    is_write_vectored: bool,
}

impl Upgraded {
    /// Wraps a connection.
    pub fn new(upgraded: ::hyper::upgrade::Upgraded) -> Self {
        Self {
            is_write_vectored: upgraded.is_write_vectored(),
            inner: Mutex::new(upgraded),
        }
    }

    /// The connection, unwrapped.
    pub fn into_inner(self) -> ::hyper::upgrade::Upgraded {
        let inner = self.inner.into_inner();
        inner.unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut ::hyper::upgrade::Upgraded> {
        let inner = self.get_mut().inner.get_mut();
        Pin::new(inner.unwrap_or_else(PoisonError::into_inner))
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The crate reads into memory that is initialized, so nothing is written here.
        let mut unfilled = ::hyper::rt::ReadBuf::new(buffer.initialize_unfilled());
        ready!(self.inner().poll_read(cx, unfilled.unfilled()))?;
        let read = unfilled.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.is_write_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
