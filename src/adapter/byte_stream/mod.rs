//! A connection as a stream of bytes, for what knows nothing of messages: another protocol, a tunnel.

#[cfg(feature = "futures")]
mod futures;
#[cfg(feature = "tokio")]
mod tokio;

use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes};

use super::driver::{poll_event, poll_writing};
use super::error::SocketError;
use super::io::{ReadIo, WriteIo};
use super::output::Output;
use super::signals::Side;
use super::websocket::WebSocket;

use crate::{CloseCode, Closed, Error, Event, Kind, Payload, SendError};

/// A write becomes a message of at most so many bytes: what a peer has to hold at once, if it takes
/// whole messages. It is also what a frame has at most by default
/// ([`Config::with_max_fragment`](crate::Config::with_max_fragment)).
const MAX_MESSAGE: usize = 64 * 1024;

/// As soon as so much waits it is written, without a flush: what is written at once stays in the
/// first-level cache.
const WRITE_FROM: usize = 16 * 1024;

/// A connection as a stream of bytes over binary messages.
///
/// It is `AsyncRead + AsyncWrite` over tokio's and futures-io's transports, and `Read + Write` as
/// [`blocking::ByteStream`](crate::blocking::ByteStream). Where messages begin and end has no
/// meaning; text messages are refused with close code 1003.
///
/// **Reading** copies out of the read buffer and holds at most the rest of one message. With
/// [`Delivery::Chunks`](crate::Delivery::Chunks) that is the rest of one read, and messages may have
/// any size; so best set that. Reading does everything that receiving does.
///
/// **Writing** makes each call a message of up to 64 KiB. They are queued, up to
/// [`Limits::max_queued`](crate::Limits::max_queued), and written with a flush, by reading, or once
/// 16 KiB wait; so flush before you wait for an answer in another task than the one that reads.
///
/// **The end.** Shutting down sends a Close frame with code 1000 behind what was written. The other
/// side reads to its end, and can no longer write: WebSocket has no half-closed connections.
/// Reading goes on until the peer's Close frame, with what the peer sent before it knew. The end of
/// the stream is a closing handshake with code 1000 or none; any other end, which may have cut
/// something off, is an error. [`with_half_close`](Self::with_half_close) ends each direction by
/// itself, if both sides agree on it.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # mod example {
/// use sockeye::{Config, Delivery, SocketError};
/// use tokio::net::{TcpListener, TcpStream};
///
/// /// Hands what comes through WebSockets on to another port, and back.
/// async fn serve(listener: TcpListener, to: std::net::SocketAddr) -> std::io::Result<()> {
///     let config = Config::new().with_delivery(Delivery::Chunks);
///     loop {
///         let (stream, _) = listener.accept().await?;
///         let ws = sockeye::tokio::accept(stream, &config).await;
///         tokio::spawn(async move {
///             let mut near = ws?.into_byte_stream();
///             let mut far = TcpStream::connect(to).await?;
///             tokio::io::copy_bidirectional(&mut near, &mut far).await?;
///             Ok::<_, SocketError>(())
///         });
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct ByteStream<I> {
    ws: WebSocket<I>,
    /// What came and did not fit where it was read to.
    rest: Bytes,
    /// An empty message ends a direction.
    half_close: bool,
    /// That one came, or was sent.
    read_ended: bool,
    write_ended: bool,
}

impl<I> WebSocket<I> {
    /// The connection as a stream of bytes over binary messages.
    pub fn into_byte_stream(self) -> ByteStream<I> {
        ByteStream {
            ws: self,
            rest: Bytes::new(),
            half_close: false,
            read_ended: false,
            write_ended: false,
        }
    }
}

impl<I> ByteStream<I> {
    /// Ends each direction by itself: shutting down sends an empty message, and an empty message is
    /// the end of what is read. Once both directions have ended, the connection is closed with code
    /// 1000. Both sides have to do so: this is no part of the protocol.
    ///
    /// Whoever has read to the end does not read again, so from then on pings are answered and deadlines
    /// kept only while something is written. So use no
    /// [keep-alive](crate::Timeouts::with_ping) on either side with it: a direction that is silent for
    /// long would be taken for a dead peer.
    ///
    /// Default: off.
    #[must_use]
    pub fn with_half_close(mut self) -> Self {
        self.half_close = true;
        self
    }

    /// The connection: its counters, its transport, how it ended.
    pub fn websocket(&self) -> &WebSocket<I> {
        &self.ws
    }

    /// The connection, and what came of the last message and was not read.
    pub fn into_websocket(self) -> (WebSocket<I>, Bytes) {
        (self.ws, self.rest)
    }
}

impl<I: ReadIo + WriteIo> ByteStream<I> {
    /// Reads into `buffer`. 0 is the end, or says that `buffer` is empty.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if !self.rest.is_empty() {
            let count = buffer.len().min(self.rest.len());
            self.rest
                .copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
            return Poll::Ready(Ok(count));
        }
        loop {
            if self.read_ended {
                return self.poll_end(cx);
            }
            let mut handle = Some(|_: &mut Output<I>, event: Event<'_>| take(event, buffer));
            let WebSocket { inlet, output, .. } = &mut self.ws;
            let taken = ready!(poll_event(inlet, output, cx, &mut handle)).map_err(to_io)?;
            match taken {
                None => return Poll::Ready(end_of(self.ws.closed())),
                Some(Taken::Nothing) => {}
                Some(Taken::Empty) => self.read_ended = self.half_close,
                // Text is no bytes of this stream. Reading goes on until the connection is closed.
                Some(Taken::Text) => {
                    self.start_close(CloseCode::UNSUPPORTED_DATA, "binary messages only")?;
                }
                Some(Taken::Bytes(count, rest)) => {
                    self.rest = rest;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// The end of what is read, and of the connection if nothing is to be written either.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.write_ended {
            // The peer has all, so however the closing handshake goes, nothing is lost.
            let _closed = ready!(self.poll_close(cx));
        }
        Poll::Ready(Ok(0))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.start_close(CloseCode::NORMAL, "")?;
        self.ws.poll_closed(cx).map_err(to_io)
    }

    fn start_close(&mut self, code: CloseCode, reason: &str) -> io::Result<()> {
        match self.ws.output.start_close(code, reason) {
            Ok(()) | Err(SendError::NotOpen) => Ok(()),
            Err(error) => Err(to_io(error.into())),
        }
    }

    /// Does what receiving does on the side, once nobody reads any more. What comes is dropped.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // A transport that blocks would wait for input.
        if self.read_ended && !self.ws.io().is_blocking() {
            // How it failed shows when something is written.
            let _over = self.ws.poll_closed(cx);
        }
    }

    /// Queues up to [`MAX_MESSAGE`] bytes.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_ended {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let (message, _) = bytes.split_at(bytes.len().min(MAX_MESSAGE));
        // An empty message would be the end.
        if message.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.drive(cx);
        ready!(self.poll_queue(cx, message))?;
        if self.ws.queued() >= WRITE_FROM {
            // What does not go now goes later; there is a limit to it.
            if let Poll::Ready(Err(error)) = self.ws.poll_flush(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(message.len()))
    }

    fn poll_queue(&mut self, cx: &mut Context<'_>, message: &[u8]) -> Poll<io::Result<()>> {
        let WebSocket { inlet, output, .. } = &mut self.ws;
        let queued = poll_writing(Side::Send, &mut inlet.intake, output, cx, |output, cx| {
            output.poll_queue(cx, |sender| sender.send(message))
        });
        queued.map_err(to_io)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.drive(cx);
        self.ws.poll_flush(cx)
    }

    /// Ends what is written, and writes it.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_ended {
            if self.half_close {
                ready!(self.poll_queue(cx, &[]))?;
            } else {
                self.start_close(CloseCode::NORMAL, "")?;
            }
            self.write_ended = true;
        }
        if self.half_close && self.read_ended {
            return self.poll_close(cx);
        }
        self.ws.poll_flush(cx)
    }
}

/// What an event was to the reader.
enum Taken {
    /// Nothing: a ping, say.
    Nothing,
    /// An empty message.
    Empty,
    Text,
    /// So many bytes, and what did not fit.
    Bytes(usize, Bytes),
}

/// Copies the bytes of an event, and keeps what does not fit.
fn take(event: Event<'_>, buffer: &mut [u8]) -> Taken {
    let payload = match event {
        Event::Binary(payload) => payload,
        Event::Fragment(piece) if piece.kind() == Kind::Binary => {
            let is_whole = piece.is_first() && piece.is_last();
            let payload = piece.into_payload();
            if payload.is_empty() && !is_whole {
                return Taken::Nothing;
            }
            payload
        }
        Event::Text(_) | Event::Fragment(_) => return Taken::Text,
        Event::Ping(_) | Event::Pong(_) | Event::Close(_) => return Taken::Nothing,
    };
    if payload.is_empty() {
        return Taken::Empty;
    }
    let count = buffer.len().min(payload.len());
    if let (Some(place), Some(bytes)) = (buffer.get_mut(..count), payload.get(..count)) {
        place.copy_from_slice(bytes);
    }
    Taken::Bytes(count, rest_of(payload, count))
}

/// What is behind `start`, without a copy if the payload owns its bytes.
fn rest_of(payload: Payload<'_>, start: usize) -> Bytes {
    if start == payload.len() {
        return Bytes::new();
    }
    let mut bytes = payload.into_bytes();
    bytes.advance(start);
    bytes
}

/// What the end of the connection is to a reader: the end of the stream, unless something may be
/// missing.
fn end_of(closed: Option<Closed>) -> io::Result<usize> {
    let closed = closed.ok_or(ErrorKind::UnexpectedEof)?;
    match closed.code() {
        CloseCode::NORMAL | CloseCode::NO_STATUS if closed.clean => Ok(0),
        CloseCode::ABNORMAL => Err(ErrorKind::UnexpectedEof.into()),
        code => Err(io::Error::new(
            ErrorKind::ConnectionAborted,
            std::format!("closed with code {}", u16::from(code)),
        )),
    }
}

fn to_io(error: SocketError) -> io::Error {
    if let SocketError::Io(error) = error {
        return error;
    }
    let kind = if let SocketError::Connection(error) = error {
        match error {
            Error::Eof => ErrorKind::UnexpectedEof,
            Error::Timeout(_) => ErrorKind::TimedOut,
            Error::Protocol(_)
            | Error::InvalidUtf8
            | Error::InvalidDeflate
            | Error::Capacity(_)
            | Error::Policy(_) => ErrorKind::InvalidData,
        }
    } else if matches!(error, SocketError::Send(SendError::NotOpen)) {
        ErrorKind::BrokenPipe
    } else {
        ErrorKind::Other
    };
    io::Error::new(kind, error)
}
