//! A connection over asynchronous I/O.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::sync::Arc;

use super::driver::{poll_event, poll_message};
use super::error::SocketError;
use super::inlet::Inlet;
use super::io::{ReadIo, WriteIo};
use super::output::Output;
use super::split::{ReceiveHalf, SendHalf, split};
use crate::{
    CloseCode, CloseFrame, Closed, Connection, Event, Limits, Message, Negotiated, Observer,
    Received, Rtt, SendError, Sender, Sent, State,
};

/// A WebSocket connection over a transport `I`.
///
/// The runtimes' modules make one: [`sockeye::tokio`](crate::tokio),
/// [`sockeye::futures`](crate::futures); with an own [`ReadIo`] and [`WriteIo`] it runs on any
/// other. It is also a `Stream` of received messages and a `Sink` of messages to send.
///
/// Receiving does everything that has to be done on the side: it writes answers to pings, what was
/// [fed](Self::feed), the closing handshake, and keeps its deadlines. So a task that only receives
/// is a good peer, and a task that never receives is none.
///
/// While it waits for input it owns no read buffer: that belongs to the thread.
///
/// # Cancel safety
///
/// Every method may be cancelled by dropping its future. [`recv`](Self::recv),
/// [`recv_event`](Self::recv_event), [`recv_with`](Self::recv_with) and [`flush`](Self::flush) lose
/// nothing: the next call goes on where the dropped one was. So does [`serve`](Self::serve), but
/// for the message that is being handled. [`feed`](Self::feed), [`send`](Self::send),
/// [`send_fragment`](Self::send_fragment), [`ping`](Self::ping) and [`probe`](Self::probe) queue at
/// once unless the queue is full, and then wait for room: dropped while waiting for room, the
/// message is not sent; dropped later, it is queued as a whole, and goes out with the next call of
/// any kind, once. [`close`](Self::close) has queued its Close frame when it is first polled;
/// dropped later, receiving goes on with the closing handshake.
#[derive(Debug)]
pub struct WebSocket<I> {
    pub(super) inlet: Inlet,
    pub(super) output: Output<I>,
    negotiated: Negotiated,
}

impl<I> WebSocket<I> {
    /// Runs a connection over a transport whose opening handshake is done.
    ///
    /// `leftover` is what was read of the transport beyond the handshake.
    pub fn new(io: I, connection: Connection, leftover: &[u8]) -> Self {
        let negotiated = connection.negotiated().clone();
        let (receiver, sender) = connection.into_split();
        Self {
            inlet: Inlet::new(receiver, leftover),
            output: Output::new(sender, io),
            negotiated,
        }
    }

    /// What the opening handshake settled.
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        self.output.sender().state()
    }

    /// The peer's Close frame, once it came: why nothing can be sent any more.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.output.sender().peer_close()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.output.sender().closed()
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.output.sender().queued()
    }

    /// What was received so far.
    pub fn received(&self) -> Received {
        self.inlet.intake.receiver.received()
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        self.output.sender().sent()
    }

    /// Tells somebody what happens from now on; see [`Observer`].
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.inlet
            .intake
            .receiver
            .set_observer(Arc::clone(&observer));
        self.output.sender_mut().set_observer(observer);
    }

    /// Changes the limits: small before a peer has said who it is, larger after. As
    /// [`Connection::set_limits`].
    pub fn set_limits(&mut self, limits: &Limits) {
        self.inlet.intake.receiver.set_limits(limits);
        let sender = self.output.sender_mut();
        sender.set_limits(limits);
        sender.set_held_elsewhere(self.inlet.intake.receiver.held());
    }

    /// The round trips that pings measured so far, or `None` if there was none: with
    /// [`Timeouts::with_ping`](crate::Timeouts::with_ping) or [`probe`](Self::probe).
    pub fn rtt(&self) -> Option<Rtt> {
        self.output.sender().rtt()
    }

    /// The transport.
    pub fn io(&self) -> &I {
        self.output.io()
    }

    /// The transport, for settings. Reading or writing breaks the connection.
    pub fn io_mut(&mut self) -> &mut I {
        self.output.io_mut()
    }

    /// The transport, without finishing anything.
    pub fn into_io(self) -> I {
        self.output.into_io()
    }

    pub(super) fn split_io<R, W>(
        self,
        divide: impl FnOnce(I) -> (R, W),
    ) -> (ReceiveHalf<R, W>, SendHalf<W>) {
        let (read, output) = self.output.map_io(divide);
        split(self.inlet, read, output)
    }
}

impl<I: ReadIo + WriteIo> WebSocket<I> {
    /// How long data has been waiting to be written, or `None` if there is none; see
    /// [`Connection::queued_age`].
    pub fn queued_age(&mut self) -> Option<Duration> {
        self.output.queued_age()
    }

    /// Receives the next message. `None` once the closing handshake is through;
    /// [`closed`](Self::closed) tells how.
    ///
    /// Pings, pongs and Close frames are handled and not shown; [`recv_event`](Self::recv_event)
    /// shows them, and the pieces of messages with
    /// [`Delivery::Chunks`](crate::Delivery::Chunks), which this one skips.
    ///
    /// # Errors
    ///
    /// [`SocketError::Connection`] if the connection failed, after the peer was told and had time
    /// to end the transport ([`Timeouts::with_close`](crate::Timeouts::with_close) bounds it);
    /// [`SocketError::Io`] if the transport failed before.
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, SocketError> {
        poll_fn(|cx| poll_message(&mut self.inlet, &mut self.output, cx)).await
    }

    /// Receives the next event. `None` once the closing handshake is through.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_event(&mut self) -> Result<Option<Event<'static>>, SocketError> {
        self.recv_with(|event, _| event.into_owned()).await
    }

    /// Receives the next event and lends it to `handle`, without a copy or an allocation.
    ///
    /// The event borrows the read buffer. `handle` also gets the sending half, to queue answers;
    /// they are written before the next wait for input.
    /// Wait for [`ready`](Self::ready) first, or they may find the queue full.
    ///
    /// ```
    /// # use sockeye::{Event, SocketError, WebSocket, ReadIo, WriteIo};
    /// # async fn echo<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<(), SocketError> {
    /// loop {
    ///     ws.ready().await?;
    ///     let sent = ws
    ///         .recv_with(|event, sender| match event.into_message() {
    ///             Ok(message) => sender.send(message),
    ///             Err(_) => Ok(()),
    ///         })
    ///         .await?;
    ///     match sent {
    ///         Some(sent) => sent?,
    ///         None => break,
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>, &mut Sender) -> T,
    ) -> Result<Option<T>, SocketError> {
        let mut handle =
            Some(|output: &mut Output<I>, event: Event<'_>| handle(event, output.sender_mut()));
        poll_fn(|cx| poll_event(&mut self.inlet, &mut self.output, cx, &mut handle)).await
    }

    /// Closes the connection: sends a Close frame behind what was sent before, and sees the closing
    /// handshake through.
    ///
    /// Messages that still arrive are dropped. If the connection is closing already, this only sees
    /// it through.
    ///
    /// # Errors
    ///
    /// [`SocketError::Send`] for an invalid code or a reason of more than 123 bytes; as
    /// [`recv`](Self::recv) if the closing handshake fails.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, SocketError> {
        match self.output.start_close(code, reason) {
            Ok(()) | Err(SendError::NotOpen) => {}
            Err(error) => return Err(error.into()),
        }
        poll_fn(|cx| self.poll_closed(cx)).await?;
        self.output.outcome()
    }

    pub(super) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        loop {
            let mut drop_event = Some(|_: &mut Output<I>, _: Event<'_>| ());
            let event = poll_event(&mut self.inlet, &mut self.output, cx, &mut drop_event);
            if ready!(event)?.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
