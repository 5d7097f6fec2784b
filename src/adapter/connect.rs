//! Opening handshakes over I/O: what both roles share, and the client's side.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use std::boxed::Box;
use std::io::{self, ErrorKind, IoSlice};

use bytes::{Buf, Bytes};

use super::buffer::ReadBuffer;
use super::driver::MAX_READS;
use super::error::SocketError;
use super::io::{ReadIo, WriteIo};
use super::websocket::WebSocket;
use crate::handshake::{Accepted, ClientHandshake, ClientRequest, Response};
use crate::{Config, Connection, HandshakeError, Input, Instant, RandomKeys};

/// A handshake of either role.
pub(super) trait Exchange {
    type Output;
    type Error: Into<SocketError>;

    fn receive(
        &mut self,
        now: Instant,
        input: &mut Input<'_>,
    ) -> Result<Option<Self::Output>, Self::Error>;
    fn output(&mut self) -> Option<&mut Bytes>;
    fn deadline(&self) -> Option<Instant>;
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Self::Error>;
    /// The transport ended too early.
    fn handle_eof(&mut self) -> Self::Error;
    /// The transport failed. What is known by then counts for more, if it says why there is nothing to
    /// wait for.
    fn handle_failure(&mut self, error: io::Error) -> SocketError {
        error.into()
    }

    /// Writes until nothing waits.
    fn poll_write<I: WriteIo>(&mut self, io: &mut I, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(output) = self.output() {
            let written = ready!(io.poll_write(cx, &[IoSlice::new(output)]))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            output.advance(written);
        }
        io.poll_flush(cx)
    }

    /// Runs the deadline.
    fn poll_late<I: ReadIo + WriteIo>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Result<(), Self::Error> {
        while let Some(deadline) = self.deadline() {
            if io.poll_deadline(cx, Some(deadline)).is_pending() {
                break;
            }
            self.handle_timeout(io.now().max(deadline))?;
        }
        Ok(())
    }

    /// Writes until nothing waits, within the deadline. If it has passed already, there is one
    /// attempt.
    fn poll_answer<I: ReadIo + WriteIo>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SocketError>> {
        // A blocking transport has to know the deadline before it waits.
        let deadline = self.deadline();
        let is_late = io.poll_deadline(cx, deadline).is_ready();
        if self.poll_write(io, cx)?.is_ready() {
            end_deadline(io, cx);
            return Poll::Ready(Ok(()));
        }
        if let Some(deadline) = deadline.filter(|_| is_late) {
            self.handle_timeout(io.now().max(deadline))
                .map_err(Into::into)?;
        }
        Poll::Pending
    }
}

/// Writes and reads until the handshake has a result.
pub(super) async fn exchange<I: ReadIo + WriteIo, E: Exchange>(
    io: &mut I,
    buffer: &mut ReadBuffer,
    handshake: &mut E,
) -> Result<E::Output, SocketError> {
    poll_fn(|cx| {
        loop {
            if !buffer.is_empty() {
                let result = buffer.consume(|input| handshake.receive(io.now(), input));
                if let Some(result) = result.map_err(Into::into)? {
                    end_deadline(io, cx);
                    return Poll::Ready(Ok(result));
                }
            }
            handshake.poll_late(io, cx).map_err(Into::into)?;
            // A server that refuses before it read the request does not take all of it.
            let written = handshake.poll_write(io, cx);
            match buffer.fill(false, |bytes| read(io, cx, bytes)) {
                Poll::Pending => {
                    let _written = written?;
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(handshake.handle_eof().into()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(handshake.handle_failure(error)));
                }
            }
        }
    })
    .await
}

/// The connection has no deadline when it starts, and a transport remembers the last one.
fn end_deadline<I: ReadIo>(io: &mut I, cx: &mut Context<'_>) {
    let _none = io.poll_deadline(cx, None);
}

fn read<I: ReadIo>(
    io: &mut I,
    cx: &mut Context<'_>,
    bytes: &mut [u8],
) -> (usize, Poll<io::Result<usize>>) {
    let result = io.poll_read(cx, bytes);
    let count = match &result {
        Poll::Ready(Ok(count)) => *count,
        Poll::Ready(Err(_)) | Poll::Pending => 0,
    };
    (count, result)
}

/// Ends a transport after an HTTP answer: writes it, shuts down, and reads until the peer has done
/// the same.
///
/// Closing while input is unread resets the connection, and the reset can overtake the answer. The
/// close timeout bounds it all. Errors say nothing that matters by now.
pub(super) async fn finish<I: ReadIo + WriteIo, E: Exchange>(
    io: &mut I,
    buffer: &mut ReadBuffer,
    handshake: &mut E,
    config: &Config,
) {
    let deadline = config.timeouts().close().map(|timeout| io.now() + timeout);
    let mut shut_down = false;
    poll_fn(|cx| {
        for _ in 0..MAX_READS {
            if io.poll_deadline(cx, deadline).is_ready() {
                return Poll::Ready(());
            }
            match handshake.poll_write(io, cx) {
                Poll::Ready(Ok(())) if !shut_down => match io.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => shut_down = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                },
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            buffer.consume(|input| {
                input.take_all();
            });
            match buffer.fill(false, |bytes| read(io, cx, bytes)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The client's side of the opening handshake, with masking keys and nonce from a secure generator.
pub(super) async fn client<I: ReadIo + WriteIo>(
    mut io: I,
    request: &ClientRequest,
    config: &Config,
    started: Instant,
) -> Result<(WebSocket<I>, Response), SocketError> {
    let mut handshake = ClientHandshake::new(config, request, RandomKeys::nonce(), started)?;
    let mut buffer = ReadBuffer::default();
    let accepted = exchange(&mut io, &mut buffer, &mut handshake).await?;
    let Accepted {
        negotiated,
        response,
        ..
    } = accepted;
    let connection = Connection::client(config, negotiated, RandomKeys::new(), io.now());
    let leftover = buffer.into_unread();
    Ok((WebSocket::new(io, connection, &leftover), response))
}

impl Exchange for ClientHandshake {
    type Output = Accepted;
    type Error = HandshakeError;

    fn receive(
        &mut self,
        now: Instant,
        input: &mut Input<'_>,
    ) -> Result<Option<Accepted>, HandshakeError> {
        Self::receive(self, now, input)
    }

    fn output(&mut self) -> Option<&mut Bytes> {
        self.poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        Self::handle_timeout(self, now)
    }

    fn handle_eof(&mut self) -> HandshakeError {
        Self::handle_eof(self).err().unwrap_or(HandshakeError::Eof)
    }

    /// A refusal is one without the rest of its body too: servers that do not read the request reset
    /// the connection, and many TLS peers end without `close_notify`. Then the body is not complete
    /// even if nothing else tells where it ends (RFC 9112 section 8).
    fn handle_failure(&mut self, error: io::Error) -> SocketError {
        match Self::handle_eof(self) {
            Err(HandshakeError::Refused(response)) => {
                let body = response.body().to_vec();
                HandshakeError::Refused(Box::new(response.with_body(body, false))).into()
            }
            _ => error.into(),
        }
    }
}
