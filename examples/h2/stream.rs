//! A stream of HTTP/2 as a transport: what is left of it after an extended CONNECT was accepted (RFC
//! 8441 section 5).

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind, IoSlice};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both directions of a stream.
///
/// The end of the other direction is the end of input, and shutting down ends this one: END_STREAM.
/// A reset is an error. Dropped before both have ended, the stream is reset with CANCEL, which is
/// what h2 does.
#[derive(Debug)]
pub(crate) struct H2Stream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What was received and not read yet.
    unread: Bytes,
    is_shut_down: bool,
}

impl H2Stream {
    pub(crate) fn new(send: SendStream<Bytes>, receive: RecvStream) -> Self {
        Self {
            send,
            receive,
            unread: Bytes::new(),
            is_shut_down: false,
        }
    }

    /// Waits for room and tells how much there is, up to `wanted`.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(wanted);
        loop {
            // `poll_capacity` tells only of room that is new.
            match self.send.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room.min(wanted))),
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                None => return Poll::Ready(Err(self.closed(cx))),
            }
        }
    }

    /// Why nothing can be sent any more.
    fn closed(&mut self, cx: &mut Context<'_>) -> io::Error {
        match self.send.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => failed(reason.into()),
            Poll::Ready(Err(error)) => failed(error),
            Poll::Pending => ErrorKind::BrokenPipe.into(),
        }
    }
}

/// An error of h2: that of its transport, or else a reset, by whichever side.
fn failed(error: h2::Error) -> io::Error {
    if error.is_io() {
        let is_io = "h2 said that it is one";
        return error.into_io().unwrap_or_else(|| io::Error::other(is_io));
    }
    io::Error::new(ErrorKind::ConnectionReset, error)
}

impl AsyncRead for H2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Frames may be empty, and that is not the end.
        while self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                Some(Ok(data)) => self.unread = data,
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(count));
        // The peer may send as much again. Not before: what is not read holds it back.
        let released = self.receive.flow_control().release_capacity(count);
        Poll::Ready(released.map_err(failed))
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.poll_room(cx, wanted))?;
        // One frame of HTTP/2 for what is written together.
        let mut data = BytesMut::with_capacity(room);
        for buffer in buffers {
            let (front, _) = buffer.split_at(buffer.len().min(room - data.len()));
            data.extend_from_slice(front);
        }
        let sent = self.send.send_data(data.freeze(), false);
        Poll::Ready(sent.map(|()| room).map_err(failed))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The task of the HTTP/2 connection writes.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut_down {
            return Poll::Ready(Ok(()));
        }
        self.is_shut_down = true;
        let ended = self.send.send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(failed))
    }
}
