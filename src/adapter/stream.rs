//! Connections as streams of messages to receive, and sinks of messages to send.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;

use super::driver::{poll_item, poll_writing};
use super::output::Output;
use super::reconnect::{Reconnecting, Update};
use super::sending::queue;
use super::signals::Side;
use super::{ReadIo, ReceiveHalf, SendHalf, SocketError, WebSocket, WriteIo};
use crate::{CloseCode, Message, SendError};

impl<I: ReadIo + WriteIo + Unpin> Stream for WebSocket<I> {
    type Item = Result<Message<'static>, SocketError>;

    /// As [`recv`](WebSocket::recv); ends after an error.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        poll_item(&mut this.inlet, &mut this.output, cx)
    }
}

impl<R: ReadIo + Unpin, W: WriteIo> Stream for ReceiveHalf<R, W> {
    type Item = Result<Message<'static>, SocketError>;

    /// As [`recv`](ReceiveHalf::recv); ends after an error.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        poll_item(&mut this.inlet, &mut this.link, cx)
    }
}

impl<I: ReadIo + WriteIo + Unpin> Stream for Reconnecting<I> {
    type Item = Update;

    /// As [`recv`](Reconnecting::recv).
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_update(cx)
    }
}

impl<I: ReadIo + WriteIo + Unpin> Sink<Message<'static>> for WebSocket<I> {
    type Error = SocketError;

    /// Ready while less than [`Limits::max_queued`](crate::Limits::max_queued) waits.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        let Self { inlet, output, .. } = self.get_mut();
        poll_writing(Side::Send, &mut inlet.intake, output, cx, Output::poll_room)
    }

    fn start_send(self: Pin<&mut Self>, message: Message<'static>) -> Result<(), SocketError> {
        let sender = self.get_mut().output.sender_mut();
        Ok(queue(sender, &mut Some(message))?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        let flushed = ready!(self.get_mut().poll_flush(cx));
        Poll::Ready(flushed.map_err(SocketError::from))
    }

    /// Starts the closing handshake with code 1000 and writes its Close frame. Receiving sees it
    /// through.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        let this = self.get_mut();
        match this.output.start_close(CloseCode::NORMAL, "") {
            Ok(()) | Err(SendError::NotOpen) => {}
            Err(error) => return Poll::Ready(Err(error.into())),
        }
        let flushed = ready!(this.poll_flush(cx));
        Poll::Ready(flushed.map_err(SocketError::from))
    }
}

impl<W: WriteIo> Sink<Message<'static>> for SendHalf<W> {
    type Error = SocketError;

    /// Ready while less than [`Limits::max_queued`](crate::Limits::max_queued) waits.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.poll(cx, Output::poll_room)
    }

    fn start_send(self: Pin<&mut Self>, message: Message<'static>) -> Result<(), SocketError> {
        Ok(queue(self.output().sender_mut(), &mut Some(message))?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        let flushed = self.poll(cx, |output, cx| output.poll_flush(Side::Send, cx));
        Poll::Ready(ready!(flushed).map_err(SocketError::from))
    }

    /// Starts the closing handshake with code 1000 and writes its Close frame. The receiving half
    /// sees it through.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        match self.output().start_close(CloseCode::NORMAL, "") {
            Ok(()) | Err(SendError::NotOpen) => {}
            Err(error) => return Poll::Ready(Err(error.into())),
        }
        self.poll_flush(cx)
    }
}
