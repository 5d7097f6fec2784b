//! A connection over asynchronous I/O.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use std::io;
use std::sync::Arc;

use super::buffer::ReadBuffer;
use super::driver::{Inlet, outcome, poll_event, poll_message, poll_writing};
use super::error::SocketError;
use super::io::{ReadIo, WriteIo};
use super::output::Output;
use super::signals::Side;
use super::split::{ReceiveHalf, SendHalf, split};
use crate::{
    CloseCode, CloseFrame, Closed, Connection, Event, Kind, Limits, Message, Negotiated, Observer,
    Payload, Received, Rtt, SendError, SendOptions, Sender, Sent, State, Unsent,
};
#[cfg(feature = "deflate")]
use crate::{Compress, Prepared};

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
/// nothing: the next call goes on where the dropped one was. [`feed`](Self::feed),
/// [`send`](Self::send), [`send_fragment`](Self::send_fragment), [`ping`](Self::ping) and
/// [`probe`](Self::probe) queue at once unless the queue is full, and then wait for room: dropped while waiting for room,
/// the message is not sent; dropped later, it is queued as a whole, and goes out with the next call
/// of any kind, once. [`close`](Self::close) has queued its Close frame when it is first polled;
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
            inlet: Inlet {
                receiver,
                buffer: ReadBuffer::with_unread(leftover),
                eof: false,
                reads: 0,
                deadline: None,
                timed: false,
                overdue: None,
                paused: false,
                heard: false,
                message: false,
                ended: false,
            },
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
        self.inlet.receiver.received()
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        self.output.sender().sent()
    }

    /// Tells somebody what happens from now on; see [`Observer`].
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.inlet.receiver.set_observer(Arc::clone(&observer));
        self.output.sender_mut().set_observer(observer);
    }

    /// Changes the limits: small before a peer has said who it is, larger after. As
    /// [`Connection::set_limits`], but of [`Limits::with_max_memory`] each direction has its own.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.inlet.receiver.set_limits(limits);
        self.output.sender_mut().set_limits(limits);
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

    /// Waits until there is room for a message: less than
    /// [`Limits::max_queued`](crate::Limits::max_queued) waits to be written.
    ///
    /// What a handler of [`recv_with`](Self::recv_with) sends is not refused if this was awaited
    /// before. While it waits nothing is received, so a peer that does not read is held back.
    ///
    /// # Errors
    ///
    /// [`SocketError::Io`] if the transport failed.
    pub async fn ready(&mut self) -> Result<(), SocketError> {
        let Self { inlet, output, .. } = self;
        poll_fn(|cx| poll_writing(inlet, output, cx, Output::poll_room)).await
    }

    /// Sends a message: queues it, and writes until nothing waits.
    ///
    /// # Errors
    ///
    /// [`SocketError::Send`] if the connection is not open, [`SocketError::Io`] if the transport
    /// failed.
    pub async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message, and writes only to make room. Follow up with [`flush`](Self::flush), or
    /// with receiving.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        let mut message = Some(message.into());
        self.queue(|sender| queue(sender, &mut message)).await
    }

    /// As [`send`](Self::send), in a class, compressed or not.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        self.feed_with(message, options).await?;
        self.flush().await
    }

    /// As [`feed`](Self::feed), in a class, compressed or not.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        let options = options.into();
        let mut message = Some(message.into());
        self.queue(|sender| queue_with(sender, &mut message, options))
            .await
    }

    /// As [`send`](Self::send), for a message that is shared with other connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub async fn send_prepared(&mut self, message: &Prepared) -> Result<(), SocketError> {
        self.feed_prepared(message).await?;
        self.flush().await
    }

    /// As [`feed`](Self::feed), for a message that is shared with other connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub async fn feed_prepared(&mut self, message: &Prepared) -> Result<(), SocketError> {
        self.queue(|sender| sender.send_prepared(message)).await
    }

    /// Queues a message if there is room, without waiting and without writing.
    ///
    /// Whether there is room depends on what was written before: call [`flush`](Self::flush) or
    /// receive in between.
    ///
    /// # Errors
    ///
    /// The message comes back with [`SendError::Full`] or [`SendError::NotOpen`].
    pub fn try_feed<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.output.sender_mut().try_send(message)
    }

    /// Writes until nothing waits.
    ///
    /// # Errors
    ///
    /// [`SocketError::Io`] if the transport failed, or if the connection ended before everything
    /// was written (`ConnectionAborted`).
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        poll_fn(|cx| self.poll_flush(cx)).await?;
        Ok(())
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { inlet, output, .. } = self;
        poll_writing(inlet, output, cx, |output, cx| {
            output.poll_flush(Side::Send, cx)
        })
    }

    /// Queues a fragment of a message, `fin` being set on the last, and writes until nothing waits.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and as [`Connection::send_fragment`].
    pub async fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SocketError> {
        let mut payload = Some(payload.into());
        self.queue(|sender| queue_fragment(sender, kind, &mut payload, fin))
            .await?;
        self.flush().await
    }

    /// As [`send_fragment`](Self::send_fragment); the choice at the first fragment is that of the
    /// whole message.
    ///
    /// # Errors
    ///
    /// As [`send_fragment`](Self::send_fragment).
    #[cfg(feature = "deflate")]
    pub async fn send_fragment_with<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
        compress: Compress,
    ) -> Result<(), SocketError> {
        let mut payload = Some(payload.into());
        self.queue(|sender| {
            with_room(sender, &mut payload, |sender, payload| {
                sender.send_fragment_with(kind, payload, fin, compress)
            })
        })
        .await?;
        self.flush().await
    }

    /// Gives back the codecs that are retained; see [`Connection::shrink`].
    #[cfg(feature = "deflate")]
    pub fn shrink(&mut self) {
        self.inlet.receiver.shrink();
        self.output.sender_mut().shrink();
    }

    /// Sends a ping with up to 125 bytes of payload, ahead of messages that wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::ControlTooLong`].
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        self.queue(|sender| sender.ping(payload)).await?;
        self.flush().await
    }

    /// Sends a ping that measures the round trip, unless one waits already. Receiving sees the
    /// answer, and then [`rtt`](Self::rtt) has it.
    ///
    /// With [`Timeouts::with_ping`](crate::Timeouts::with_ping) this happens by itself.
    ///
    /// ```
    /// # use sockeye::{SocketError, WebSocket, ReadIo, WriteIo};
    /// # async fn example<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<(), SocketError> {
    /// ws.probe().await?;
    /// while let Some(message) = ws.recv().await? {
    ///     if let Some(rtt) = ws.rtt() {
    ///         println!("{:?} away", rtt.smoothed);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn probe(&mut self) -> Result<(), SocketError> {
        self.queue(Sender::probe).await?;
        self.flush().await
    }

    /// Makes room until `attempt` no longer says that the queue is full.
    async fn queue(
        &mut self,
        mut attempt: impl FnMut(&mut Sender) -> Result<(), SendError>,
    ) -> Result<(), SocketError> {
        let Self { inlet, output, .. } = self;
        poll_fn(|cx| {
            poll_writing(inlet, output, cx, |output, cx| {
                output.poll_queue(cx, &mut attempt)
            })
        })
        .await
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
        match outcome(&mut self.output) {
            Some(closed) => Ok(closed),
            None => Err(SendError::NotOpen.into()),
        }
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        loop {
            let mut drop_event = Some(|_: &mut Output<I>, _: Event<'_>| ());
            let event = poll_event(&mut self.inlet, &mut self.output, cx, &mut drop_event);
            if ready!(event)?.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// Queues a message, which stays where it is while there is no room.
pub(super) fn queue<'p>(
    sender: &mut Sender,
    message: &mut Option<Message<'p>>,
) -> Result<(), SendError> {
    with_room(sender, message, |sender, message| sender.send(message))
}

/// Queues a message in a class, which has its own room.
pub(super) fn queue_with<'p>(
    sender: &mut Sender,
    message: &mut Option<Message<'p>>,
    options: SendOptions,
) -> Result<(), SendError> {
    if sender.state() == State::Open && !sender.has_room_for(options.priority()) {
        return Err(SendError::Full);
    }
    let message = message.take();
    message.map_or(Ok(()), |message| sender.send_with(message, options))
}

/// Queues a fragment, which stays where it is while there is no room.
pub(super) fn queue_fragment<'p>(
    sender: &mut Sender,
    kind: Kind,
    payload: &mut Option<Payload<'p>>,
    fin: bool,
) -> Result<(), SendError> {
    with_room(sender, payload, |sender, payload| {
        sender.send_fragment(kind, payload, fin)
    })
}

pub(super) fn with_room<T>(
    sender: &mut Sender,
    value: &mut Option<T>,
    send: impl FnOnce(&mut Sender, T) -> Result<(), SendError>,
) -> Result<(), SendError> {
    if sender.state() == State::Open && !sender.has_room() {
        return Err(SendError::Full);
    }
    value.take().map_or(Ok(()), |value| send(sender, value))
}
