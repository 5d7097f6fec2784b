//! A byte stream for blocking transports.

use core::future::poll_fn;
use std::io::{self, Read, Write};

use bytes::Bytes;

use super::super::byte_stream;
use super::{BlockingIo, Stream, WebSocket, block_on};
use crate::Closed;

/// A connection over a blocking stream as a stream of bytes over binary messages. As
/// [`sockeye::ByteStream`](crate::ByteStream), but `Read + Write`.
///
/// ```
/// use std::io::{self, Read, Write};
/// use sockeye::blocking;
///
/// fn ask(url: &str) -> Result<String, Box<dyn std::error::Error>> {
///     let mut stream = blocking::connect(url)?.into_byte_stream();
///     stream.write_all(b"hello")?;
///     stream.shutdown()?;
///     Ok(io::read_to_string(&mut stream)?)
/// }
/// ```
#[derive(Debug)]
pub struct ByteStream<S>(byte_stream::ByteStream<BlockingIo<S>>);

impl<S> WebSocket<S> {
    /// The connection as a stream of bytes over binary messages.
    pub fn into_byte_stream(self) -> ByteStream<S> {
        ByteStream(self.0.into_byte_stream())
    }
}

impl<S> ByteStream<S> {
    /// As [`sockeye::ByteStream::with_half_close`](crate::ByteStream::with_half_close).
    #[must_use]
    pub fn with_half_close(self) -> Self {
        Self(self.0.with_half_close())
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.0.websocket().closed()
    }

    /// The stream below.
    pub fn stream(&self) -> &S {
        self.0.websocket().io().stream()
    }

    /// The connection, and what came of the last message and was not read.
    pub fn into_websocket(self) -> (WebSocket<S>, Bytes) {
        let (ws, rest) = self.0.into_websocket();
        (WebSocket(ws), rest)
    }
}

impl<S: Stream> ByteStream<S> {
    /// Ends what is written, and writes it. What the peer sends can still be read.
    ///
    /// # Errors
    ///
    /// Those of the transport; `UnexpectedEof` and others of the connection's.
    pub fn shutdown(&mut self) -> io::Result<()> {
        block_on(poll_fn(|cx| self.0.poll_shutdown(cx)))
    }
}

impl<S: Stream> Read for ByteStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        block_on(poll_fn(|cx| self.0.poll_read(cx, buffer)))
    }
}

impl<S: Stream> Write for ByteStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        block_on(poll_fn(|cx| self.0.poll_write(cx, bytes)))
    }

    fn flush(&mut self) -> io::Result<()> {
        block_on(poll_fn(|cx| self.0.poll_flush(cx)))
    }
}
