//! The two halves of a connection, for two tasks or threads.

use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::driver::{Link, outcome, poll_event, poll_message};
use super::error::SocketError;
use super::inlet::Inlet;
use super::io::{ReadIo, WriteIo};
use super::output::Output;
#[cfg(feature = "deflate")]
use super::sending::with_room;
use super::sending::{queue, queue_fragment, queue_with};
use super::signals::{Side, Signals};
use crate::{
    CloseCode, CloseFrame, Closed, Event, Instant, Kind, Limits, Message, Observer, Payload,
    Received, Rtt, SendOptions, Sender, Sent, State, Unsent,
};
#[cfg(feature = "deflate")]
use crate::{Compress, Prepared};

/// What both halves reach.
#[derive(Debug)]
struct Shared<W> {
    output: Mutex<Output<W>>,
    /// Who wants the output waits for it with this in hand. So the two take turns: a thread that
    /// writes again and again does not keep the other out.
    turn: Mutex<()>,
    signals: Arc<Signals>,
}

impl<W> Shared<W> {
    fn output(&self) -> Access<'_, W> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // A transport that panicked halfway is as good as one that failed halfway.
        Access::new(self.output.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The output, while one of the halves has it. With a limit for what both hold together, it learns
/// what the receiving half holds, and says what it holds itself.
pub(super) struct Access<'a, W>(MutexGuard<'a, Output<W>>);

impl<'a, W> Access<'a, W> {
    fn new(mut output: MutexGuard<'a, Output<W>>) -> Self {
        if output.sender.has_max_memory() {
            let held = output.signals.held(Side::Receive);
            output.sender.set_held_elsewhere(held);
        }
        Self(output)
    }
}

impl<W> Deref for Access<'_, W> {
    type Target = Output<W>;

    fn deref(&self) -> &Output<W> {
        &self.0
    }
}

impl<W> DerefMut for Access<'_, W> {
    fn deref_mut(&mut self) -> &mut Output<W> {
        &mut self.0
    }
}

impl<W> Drop for Access<'_, W> {
    fn drop(&mut self) {
        if self.sender.has_max_memory() {
            self.signals.set_held(Side::Send, self.sender.held());
        }
    }
}

pub(super) fn split<R, W>(
    inlet: Inlet,
    read: R,
    output: Output<W>,
) -> (ReceiveHalf<R, W>, SendHalf<W>) {
    // What was queued before the split is still to be written.
    output.signals().set_needs_care(true);
    output.signals().set_held(Side::Send, output.sender.held());
    let shared = Arc::new(Shared {
        signals: Arc::clone(output.signals()),
        output: Mutex::new(output),
        turn: Mutex::new(()),
    });
    let link = SplitLink {
        read,
        shared: Arc::clone(&shared),
    };
    (ReceiveHalf { inlet, link }, SendHalf { shared })
}

/// The receiving half of a [`WebSocket`](super::WebSocket).
///
/// It writes the answers to pings and to the peer's Close frame itself, and keeps the deadlines, so
/// it has to be polled for the connection to work. It takes no lock for a message, only for such
/// answers.
///
/// Dropping it leaves the connection to the sending half, which can then only send, and keeps the
/// deadlines while it does.
#[derive(Debug)]
pub struct ReceiveHalf<R, W> {
    pub(super) inlet: Inlet,
    pub(super) link: SplitLink<R, W>,
}

impl<R: ReadIo, W: WriteIo> ReceiveHalf<R, W> {
    /// As [`WebSocket::recv`](super::WebSocket::recv), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`](super::WebSocket::recv).
    pub async fn recv(&mut self) -> Result<Option<Message<'static>>, SocketError> {
        poll_fn(|cx| poll_message(&mut self.inlet, &mut self.link, cx)).await
    }

    /// As [`WebSocket::recv_event`](super::WebSocket::recv_event), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`](super::WebSocket::recv).
    pub async fn recv_event(&mut self) -> Result<Option<Event<'static>>, SocketError> {
        self.recv_with(|event| event.into_owned()).await
    }

    /// As [`WebSocket::recv_with`](super::WebSocket::recv_with), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::recv`](super::WebSocket::recv).
    pub async fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>) -> T,
    ) -> Result<Option<T>, SocketError> {
        let mut handle = Some(|_: &mut SplitLink<R, W>, event: Event<'_>| handle(event));
        poll_fn(|cx| poll_event(&mut self.inlet, &mut self.link, cx, &mut handle)).await
    }

    /// What was received so far.
    pub fn received(&self) -> Received {
        self.inlet.intake.receiver.received()
    }

    /// Tells somebody what is received from now on; see [`Observer`].
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.inlet.intake.receiver.set_observer(observer);
    }

    /// Changes the limits of what is received; see
    /// [`WebSocket::set_limits`](super::WebSocket::set_limits). The sending half has those of what is
    /// sent. Give both the same [`Limits::with_max_memory`].
    pub fn set_limits(&mut self, limits: &Limits) {
        self.inlet.intake.receiver.set_limits(limits);
    }

    /// How the connection ended, once it has.
    pub fn closed(&mut self) -> Option<Closed> {
        outcome(&mut self.link)
    }
}

/// The sending half of a [`WebSocket`](super::WebSocket).
///
/// Several tasks may share it in an `Arc` with a lock of their choice. Dropping it closes nothing.
///
/// The deadlines are the receiving half's to keep. Once that is dropped nothing is read any more, so
/// there are neither pings nor the peer's Close frame; this half keeps the other deadlines, for
/// writing, closing, idling and the lifetime, while one of its methods waits. One that passes in
/// between is met by the next call. To end such a connection, [`close`](Self::close) it and drop the
/// half.
#[derive(Debug)]
pub struct SendHalf<W> {
    shared: Arc<Shared<W>>,
}

impl<W> SendHalf<W> {
    pub(super) fn output(&self) -> Access<'_, W> {
        self.shared.output()
    }
}

impl<W: WriteIo> SendHalf<W> {
    /// Writes by `poll`, and keeps the deadlines if there is no receiving half to do it.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Output<W>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let signals = &self.shared.signals;
        if !signals.is_alone() {
            let result = poll(&mut self.output(), cx);
            // Dropped just now, the other half may have come too early to wake this task.
            if result.is_ready() || !signals.is_alone() {
                return result;
            }
        }
        self.output().poll_alone(cx, poll)
    }

    /// As [`WebSocket::ready`](super::WebSocket::ready), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ready(&mut self) -> Result<(), SocketError> {
        self.write(Output::poll_room).await
    }

    /// As [`WebSocket::drained`](super::WebSocket::drained), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn drained(&mut self) -> Result<(), SocketError> {
        self.write(Output::poll_drained).await
    }

    /// As [`WebSocket::send`](super::WebSocket::send), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](super::WebSocket::send).
    pub async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        let is_blocking = self.output().io().is_blocking();
        if is_blocking {
            self.feed(message).await?;
            return self.flush().await;
        }
        let mut message = Some(message.into());
        self.write(|output, cx| output.poll_send(cx, &mut message))
            .await
    }

    /// As [`WebSocket::feed`](super::WebSocket::feed), and as cancel safe, but follow up with
    /// [`flush`](Self::flush): the receiving half does not write messages.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](super::WebSocket::send).
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

    /// As [`WebSocket::try_feed`](super::WebSocket::try_feed).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_feed<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.try_feed_with(message, SendOptions::new())
    }

    /// As [`WebSocket::try_feed_with`](super::WebSocket::try_feed_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.output().sender_mut().try_send_with(message, options)
    }

    /// As [`WebSocket::send_fragment`](super::WebSocket::send_fragment), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As there.
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

    /// As [`WebSocket::send_fragment_with`](super::WebSocket::send_fragment_with), and as cancel
    /// safe.
    ///
    /// # Errors
    ///
    /// As there.
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

    /// As [`WebSocket::ping`](super::WebSocket::ping), and as cancel safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::ping`](super::WebSocket::ping).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        self.queue(|sender| sender.ping(payload)).await?;
        self.flush().await
    }

    /// As [`WebSocket::probe`](super::WebSocket::probe), and as cancel safe. The receiving half sees
    /// the answer.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::probe`](super::WebSocket::probe).
    pub async fn probe(&mut self) -> Result<(), SocketError> {
        self.queue(Sender::probe).await?;
        self.flush().await
    }

    async fn queue(
        &self,
        mut attempt: impl FnMut(&mut Sender) -> Result<(), crate::SendError>,
    ) -> Result<(), SocketError> {
        self.write(|output, cx| output.poll_queue(cx, &mut attempt))
            .await
    }

    async fn write<T>(
        &self,
        mut poll: impl FnMut(&mut Output<W>, &mut Context<'_>) -> Poll<T>,
    ) -> T {
        let hand_over = HandOver(&self.shared.signals);
        let result = poll_fn(|cx| self.poll(cx, &mut poll)).await;
        core::mem::forget(hand_over);
        result
    }

    /// Writes until nothing waits.
    ///
    /// # Errors
    ///
    /// [`SocketError::Io`] if the transport failed, or if the connection ended before everything
    /// was written (`ConnectionAborted`).
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        let flush =
            |output: &mut Output<W>, cx: &mut Context<'_>| output.poll_flush(Side::Send, cx);
        Ok(self.write(flush).await?)
    }

    /// Sends a Close frame behind what was sent before. The receiving half sees the closing
    /// handshake through.
    ///
    /// Cancel safe: the Close frame is queued when the future is first polled.
    ///
    /// # Errors
    ///
    /// [`SocketError::Send`] if the connection is not open, or for an invalid code or a reason of
    /// more than 123 bytes; [`SocketError::Io`] if the transport failed.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SocketError> {
        self.output().start_close(code, reason)?;
        self.flush().await
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        self.output().sender().state()
    }

    /// The peer's Close frame, once it came: why nothing can be sent any more.
    pub fn peer_close(&self) -> Option<CloseFrame> {
        self.output().sender().peer_close().cloned()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.output().sender().closed()
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        self.output().sender().sent()
    }

    /// Changes the limits of what is sent: how much may wait, and
    /// [`Limits::with_max_memory`], of which the receiving half has to be told as well.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.output().sender_mut().set_limits(limits);
    }

    /// Tells somebody what is sent from now on, and how it ends; see [`Observer`].
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.output().sender_mut().set_observer(observer);
    }

    /// How long data has been waiting to be written. As
    /// [`WebSocket::queued_age`](super::WebSocket::queued_age).
    pub fn queued_age(&self) -> Option<Duration> {
        self.output().queued_age()
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.output().sender().queued()
    }

    /// The round trips so far. As [`WebSocket::rtt`](super::WebSocket::rtt).
    pub fn rtt(&self) -> Option<Rtt> {
        self.output().sender().rtt()
    }
}

/// Leaves what is queued to the receiving half if the future that was to write it is dropped.
struct HandOver<'a>(&'a Signals);

impl Drop for HandOver<'_> {
    fn drop(&mut self) {
        self.0.set_needs_care(true);
        self.0.wake_side(Side::Receive);
    }
}

#[derive(Debug)]
pub(super) struct SplitLink<R, W> {
    read: R,
    shared: Arc<Shared<W>>,
}

impl<R: ReadIo, W: WriteIo> Link for SplitLink<R, W> {
    type Write = W;

    const SHARED: bool = true;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read.poll_read(cx, buffer)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.read.poll_deadline(cx, deadline)
    }

    fn needs_care(&mut self) -> bool {
        self.shared.signals.needs_care()
    }

    fn output<T>(&mut self, access: impl FnOnce(&mut Output<W>) -> T) -> T {
        access(&mut self.shared.output())
    }

    fn held(&mut self) -> usize {
        self.shared.signals.held(Side::Send)
    }

    fn set_held(&mut self, held: usize) {
        self.shared.signals.set_held(Side::Receive, held);
    }

    fn signals(&self) -> &Arc<Signals> {
        &self.shared.signals
    }
}

impl<R, W> Drop for SplitLink<R, W> {
    fn drop(&mut self) {
        self.shared.signals.leave_alone();
    }
}
