//! Moves bytes between a transport and the core. Everything that the adapters do while a connection
//! is open is here.

use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::vec::Vec;

use bytes::Buf;

use super::buffer::ReadBuffer;
use super::error::SocketError;
use super::io::{ReadIo, WriteIo};
use super::signals::{Side, Signals};
use crate::{
    CloseCode, Closed, Event, Instant, Message, Receiver, SendError, Sender, State, Transport,
};

/// How many segments go into one vectored write.
const MAX_SLICES: usize = 16;

/// After so many reads in a row a task lets others run: a peer that always has something to say,
/// such as pings, would keep the thread. It is more than a megabyte, so the pause costs nothing.
pub(super) const MAX_READS: u32 = 64;

/// While a peer is above a rate, a blocking transport is not waited for, and the thread looks again
/// after this time.
const THROTTLED_WAIT: Duration = Duration::from_millis(10);

/// The sending half of a connection with the transport that it writes to.
#[derive(Debug)]
pub(super) struct Output<W> {
    sender: Sender,
    io: W,
    signals: Arc<Signals>,
    /// Something was written since the transport was flushed.
    unflushed: bool,
    /// The writing side of the transport was shut down.
    shut_down: bool,
    /// Writing failed, and is not tried again.
    broken: Option<ErrorKind>,
    /// The deadline that the receiving task knows of.
    told: Option<Instant>,
    /// None of the deadlines that have started passes before this one.
    floor: Option<Instant>,
    /// Another thread than the receiving one waits in a write, and will write what there is. To
    /// try that here as well would only hold up receiving.
    writing: bool,
}

impl<W> Output<W> {
    pub(super) fn new(sender: Sender, io: W) -> Self {
        Self {
            floor: sender.poll_timeout(),
            sender,
            io,
            signals: Arc::default(),
            unflushed: false,
            shut_down: false,
            broken: None,
            told: None,
            writing: false,
        }
    }

    /// The same over another transport: a half of the one before.
    pub(super) fn map_io<T, R>(self, map: impl FnOnce(W) -> (R, T)) -> (R, Output<T>) {
        let (rest, io) = map(self.io);
        let output = Output {
            io,
            sender: self.sender,
            signals: self.signals,
            unflushed: self.unflushed,
            shut_down: self.shut_down,
            broken: self.broken,
            // Another transport knows of none.
            told: None,
            floor: self.floor,
            writing: false,
        };
        (rest, output)
    }

    pub(super) fn sender(&self) -> &Sender {
        &self.sender
    }

    pub(super) fn sender_mut(&mut self) -> &mut Sender {
        &mut self.sender
    }

    pub(super) fn io(&self) -> &W {
        &self.io
    }

    pub(super) fn io_mut(&mut self) -> &mut W {
        &mut self.io
    }

    pub(super) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    pub(super) fn into_io(self) -> W {
        self.io
    }

    /// Changes the sender in a way that leaves the receiving side something to do.
    fn tend<T>(&mut self, change: impl FnOnce(&mut Sender) -> T) -> T {
        self.signals.set_needs_care(true);
        change(&mut self.sender)
    }

    /// Changes the sender in a way that may end the connection. What waits then is lost, and who
    /// waits for it is told.
    fn end<T>(&mut self, end: impl FnOnce(&mut Sender) -> T) -> T {
        let waits = self.sender.queued() > 0 || self.unflushed;
        let result = self.tend(end);
        if self.sender.state() == State::Closed {
            if waits {
                self.broken.get_or_insert(ErrorKind::ConnectionAborted);
            }
            self.signals.wake_side(Side::Send);
        }
        result
    }

    /// Ends a connection whose output can no longer be written. `false` if it can.
    fn give_up(&mut self) -> bool {
        let is_broken = self.broken.is_some();
        if is_broken {
            self.end(Sender::abort);
        }
        is_broken
    }

    /// Whether there is something for the receiving task to do: to write, to end the transport, or
    /// to keep a deadline that it does not know of.
    fn has_work(&self) -> bool {
        let to_write = self.sender.queued() > 0 || self.unflushed;
        to_write && !self.writing || self.is_ending() || self.has_news()
    }

    fn is_ending(&self) -> bool {
        self.sender.state() != State::Open || self.broken.is_some()
    }

    /// Whether there is a deadline that the receiving task does not know of, and that comes before
    /// the one that it does.
    fn has_news(&self) -> bool {
        match (self.sender.poll_timeout(), self.told) {
            (Some(deadline), Some(told)) => deadline < told,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    fn write_error(&self) -> Option<io::Error> {
        self.broken.map(io::Error::from)
    }
}

impl<W: WriteIo> Output<W> {
    /// Starts the closing handshake, and wakes the receiving task, which has a deadline now.
    pub(super) fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        let now = self.io.now();
        self.tend(|sender| sender.close(now, code, reason))?;
        self.signals.wake_side(Side::Receive);
        Ok(())
    }

    /// Tells deadlines that start now the time, as long as none has passed: that is met after an
    /// attempt to read.
    fn start_deadlines(&mut self) {
        if self.sender.poll_timeout() != Some(Instant::from_nanos(0)) {
            return;
        }
        let now = self.io.now();
        if self.floor.is_none_or(|floor| now < floor) {
            self.handle_timeout(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _timeout = self.end(|sender| sender.handle_timeout(now));
        self.floor = self.sender.poll_timeout();
    }

    /// Writes until nothing waits.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "the shape of every poll function"
    )]
    pub(super) fn poll_flush(&mut self, side: Side, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.write_error() {
            return Poll::Ready(Err(error));
        }
        // A transport remembers one waker, so it is always the one that wakes both sides: some
        // transports wake a waker that another one replaces. Most writes succeed at once, so the
        // task is registered only when one did not; what happened in between shows at the second
        // attempt.
        let waker = Waker::from(Arc::clone(&self.signals));
        let both = &mut Context::from_waker(&waker);
        let result = match self.poll_write_all(both) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                self.signals.register(side, cx.waker());
                match self.poll_write_all(both) {
                    Poll::Ready(result) => result,
                    Poll::Pending => {
                        self.start_deadlines();
                        if side == Side::Send {
                            self.writing = self.io.is_blocking();
                            self.tell_receiving_side();
                        }
                        return Poll::Pending;
                    }
                }
            }
        };
        if let Err(error) = &result {
            self.break_off(error.kind());
        }
        self.start_deadlines();
        match side {
            // It may wait for room that there is now.
            Side::Receive => self.signals.wake_side(Side::Send),
            Side::Send => {
                self.writing = false;
                self.tell_receiving_side();
            }
        }
        Poll::Ready(result)
    }

    /// Wakes the receiving task if it waits to end the transport, for input that will not come, or
    /// for too long.
    fn tell_receiving_side(&self) {
        if self.is_ending() || self.has_news() {
            self.signals.set_needs_care(true);
            self.signals.wake_side(Side::Receive);
        }
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(mut transmit) = self.sender.poll_transmit() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = transmit.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            let written = ready!(self.io.poll_write(cx, slices))?;
            if written == 0 {
                // Trying again would spin.
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            transmit.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(self.io.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn break_off(&mut self, error: ErrorKind) {
        self.broken = Some(error);
        self.signals.set_needs_care(true);
        if self.sender.state() == State::Open {
            // Nobody will miss it. But a Close frame that waits tells that the end was not clean.
            self.sender.take_transmit(&mut Vec::new());
        }
    }

    /// Makes room until `attempt` no longer says that the queue is full.
    pub(super) fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Sender) -> Result<(), SendError>,
    ) -> Poll<Result<(), SocketError>> {
        loop {
            if self.sender.state() == State::Open {
                if let Some(error) = self.write_error() {
                    return Poll::Ready(Err(error.into()));
                }
            }
            let flushed = match attempt(&mut self.sender) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(SendError::Full) => self.poll_flush(Side::Send, cx)?,
                Err(error) => return Poll::Ready(Err(error.into())),
            };
            if flushed.is_pending() {
                // A part may have gone.
                return match attempt(&mut self.sender) {
                    Err(SendError::Full) => Poll::Pending,
                    result => {
                        self.writing = false;
                        self.signals.set_needs_care(true);
                        Poll::Ready(result.map_err(SocketError::from))
                    }
                };
            }
        }
    }

    /// Makes room for a message. There is always room on a connection that no longer sends.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.poll_queue(cx, |sender| match sender.has_room() {
            true => Ok(()),
            false => Err(SendError::Full),
        })
    }

    /// Writes, and ends what is to be ended. Ready once the connection is closed.
    fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = match self.poll_flush(Side::Receive, cx) {
            Poll::Pending => false,
            // Nothing waits, or it waits in vain.
            Poll::Ready(Ok(()) | Err(_)) => true,
        };
        match self.sender.transport() {
            Transport::Open => Poll::Pending,
            Transport::ShutdownWrite if flushed => match self.poll_shutdown(cx) {
                Poll::Ready(Err(_)) => {
                    // The peer will not see the end of this side, so there is no point in waiting
                    // for its own.
                    let _eof = self.end(Sender::handle_eof);
                    // A Close frame that could not be written would keep it from ending.
                    let _broken = self.give_up();
                    Poll::Ready(())
                }
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            },
            Transport::ShutdownWrite => Poll::Pending,
            Transport::Close => {
                let _shut_down = self.poll_shutdown(cx);
                Poll::Ready(())
            }
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut_down {
            ready!(self.io.poll_shutdown(cx))?;
            self.shut_down = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// The receiving half of a connection with what was read and not consumed.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) receiver: Receiver,
    pub(super) buffer: ReadBuffer,
    /// The transport gave all that it had.
    pub(super) eof: bool,
    /// How many reads gave something since the last wait.
    pub(super) reads: u32,
    /// The sending side's deadline as far as this side knows. It may be too early, never too late.
    pub(super) deadline: Option<Instant>,
    /// The transport was told of a deadline.
    pub(super) timed: bool,
    /// A deadline that had passed before something was read. It is met as soon as that is consumed:
    /// there may always be more.
    pub(super) overdue: Option<Instant>,
    /// The sending side was told that nothing is read for a while.
    pub(super) paused: bool,
    /// Something was read of which the sending side was not told, and a message was in it.
    pub(super) heard: bool,
    pub(super) message: bool,
    /// The iterator or stream of messages gave its last item.
    pub(super) ended: bool,
}

/// How the receiving side reaches the transport and the sending side, which may be shared with
/// another task.
pub(super) trait Link {
    /// What the sending side writes to.
    type Write: WriteIo;

    /// Whether access to the sending side takes a lock, which another task may hold while it
    /// writes.
    const SHARED: bool;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()>;

    /// Whether the sending side may have something for the receiving task to do. Saves the lock
    /// while it has not.
    fn needs_care(&mut self) -> bool;

    fn output<T>(&mut self, access: impl FnOnce(&mut Output<Self::Write>) -> T) -> T;

    fn signals(&self) -> &Arc<Signals>;
}

/// A connection that is not split: the sending side is at hand.
impl<I: ReadIo + WriteIo> Link for Output<I> {
    type Write = I;

    const SHARED: bool = false;

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_read(cx, buffer)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.io.poll_deadline(cx, deadline)
    }

    fn needs_care(&mut self) -> bool {
        self.has_work()
    }

    fn output<T>(&mut self, access: impl FnOnce(&mut Self) -> T) -> T {
        access(self)
    }

    fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }
}

/// Receives the next message, skipping other events. `None` once the closing handshake is through.
pub(super) fn poll_message<L: Link>(
    inlet: &mut Inlet,
    link: &mut L,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Message<'static>>, SocketError>> {
    loop {
        let mut handle =
            Some(|_: &mut L, event: Event<'_>| event.into_message().ok().map(Message::into_owned));
        match ready!(poll_event(inlet, link, cx, &mut handle))? {
            Some(None) => {}
            Some(message) => return Poll::Ready(Ok(message)),
            None => return Poll::Ready(Ok(None)),
        }
    }
}

/// As [`poll_message`], for iterators and streams: ends after an error, which otherwise is
/// repeated.
pub(super) fn poll_item<L: Link>(
    inlet: &mut Inlet,
    link: &mut L,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Message<'static>, SocketError>>> {
    if inlet.ended {
        return Poll::Ready(None);
    }
    let item = ready!(poll_message(inlet, link, cx)).transpose();
    inlet.ended = !matches!(item, Some(Ok(_)));
    Poll::Ready(item)
}

/// Receives the next event and hands it to `handle`. `None` once the closing handshake is through.
pub(super) fn poll_event<L: Link, T>(
    inlet: &mut Inlet,
    link: &mut L,
    cx: &mut Context<'_>,
    handle: &mut Option<impl FnOnce(&mut L, Event<'_>) -> T>,
) -> Poll<Result<Option<T>, SocketError>> {
    if inlet.paused {
        inlet.paused = false;
        link.output(|output| output.sender.resume());
    }
    loop {
        // Also without input: a compressed message may have more to give than was asked for.
        let Inlet {
            receiver,
            buffer,
            message,
            ..
        } = &mut *inlet;
        let now = match receiver.needs_time() {
            true => link.output(|output| output.io.now()),
            false => Instant::from_nanos(0),
        };
        match buffer.consume(|input| receiver.receive(now, input)) {
            Ok(Some(event)) => {
                match event {
                    Event::Ping(_) | Event::Close(_) => link.output(|output| {
                        let now = output.io.now();
                        output.tend(|sender| sender.respond(now, &event));
                    }),
                    Event::Pong(_) => link.output(|output| {
                        let now = output.io.now();
                        output.sender.respond(now, &event);
                    }),
                    Event::Text(_) | Event::Binary(_) | Event::Fragment(_) => *message = true,
                }
                let handled = handle.take().map(|handle| handle(link, event));
                return Poll::Ready(Ok(handled));
            }
            Ok(None) => {}
            Err(error) => link.output(|output| {
                let now = output.io.now();
                output.tend(|sender| sender.fail(now, error));
            }),
        }
        inlet.buffer.release();
        if !L::SHARED {
            refresh(inlet, link);
        }
        let cares = link.needs_care();
        if cares {
            link.signals().register(Side::Receive, cx.waker());
            if let Poll::Ready(result) = poll_care(inlet, link, cx) {
                // A message that is not finished never will be.
                inlet.receiver.release();
                return Poll::Ready(result.map(|()| None));
            }
        }
        let due = poll_due(inlet, link, Side::Receive, cx);
        let overdue = inlet.overdue.take();
        if let Some(deadline) = due.filter(|due| Some(*due) <= overdue) {
            meet(inlet, link, deadline);
            continue;
        }
        if inlet.eof {
            // Only what is still to be written keeps the connection up.
            if link.output(Output::give_up) {
                continue;
            }
            if let Some(deadline) = due {
                meet(inlet, link, deadline);
                continue;
            }
            return Poll::Pending;
        }
        if inlet.reads >= MAX_READS {
            inlet.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !inlet.buffer.is_empty() {
            // The peer was above a rate, and is not listened to before the deadline.
            inlet.paused = true;
            let is_blocking = link.output(|output| {
                output.sender.pause();
                output.io.is_blocking()
            });
            if let Some(deadline) = due {
                meet(inlet, link, deadline);
                continue;
            }
            if is_blocking {
                std::thread::sleep(THROTTLED_WAIT);
            }
            return Poll::Pending;
        }
        // Before a deadline is met: what the peer sent may have waited longer than the application
        // let this task run.
        match inlet.buffer.fill(|bytes| read(link, cx, bytes)) {
            Poll::Pending => {
                inlet.reads = 0;
                if let Some(deadline) = due {
                    meet(inlet, link, deadline);
                } else if !cares {
                    link.signals().register(Side::Receive, cx.waker());
                    if !link.needs_care() {
                        return Poll::Pending;
                    }
                } else if poll_broken(link)?.is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(0)) => {
                // The error, if it is one, comes with the next turn.
                inlet.eof = true;
                let _eof = link.output(|output| output.end(Sender::handle_eof));
            }
            Poll::Ready(Ok(_)) => {
                inlet.reads += 1;
                inlet.heard = true;
                inlet.overdue = due;
            }
            Poll::Ready(Err(error)) => {
                inlet.eof = true;
                let was_open = link.output(|output| {
                    let was_open = output.sender.state() == State::Open;
                    let _eof = output.end(Sender::handle_eof);
                    was_open
                });
                if was_open {
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
    }
}

/// Writes by `poll`, and meets the deadlines that do not depend on what the peer sends: nothing is
/// read meanwhile, unless another task does.
pub(super) fn poll_writing<I: ReadIo + WriteIo, T>(
    inlet: &mut Inlet,
    output: &mut Output<I>,
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Output<I>, &mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    loop {
        // A blocking transport, which nobody can wake, has to know the deadline before it waits.
        if output.io.is_blocking() {
            refresh(inlet, output);
            let _due = poll_due(inlet, output, Side::Send, cx);
        }
        if let Poll::Ready(result) = poll(output, cx) {
            return Poll::Ready(result);
        }
        if output.sender.poll_timeout().is_none() {
            return Poll::Pending;
        }
        let is_read = !output.io.is_blocking() && output.signals.expects_receiver(cx.waker());
        if !is_read {
            inlet.paused = true;
            output.sender.pause();
        }
        refresh(inlet, output);
        match poll_due(inlet, output, Side::Send, cx) {
            Some(_) if is_read => {
                // Another task receives. It reads before it meets the deadline, and if it does not
                // come, this one is next.
                output.signals.call_receiver();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(deadline) => meet(inlet, output, deadline),
            None => return Poll::Pending,
        }
    }
}

fn read<L: Link>(
    link: &mut L,
    cx: &mut Context<'_>,
    bytes: &mut [u8],
) -> (usize, Poll<io::Result<usize>>) {
    let result = link.poll_read(cx, bytes);
    let count = match &result {
        Poll::Ready(Ok(count)) => *count,
        Poll::Ready(Err(_)) | Poll::Pending => 0,
    };
    (count, result)
}

/// Does for the sending side what only the receiving task is there to do: writes answers, ends the
/// transport. Ready when the connection is closed.
fn poll_care<L: Link>(
    inlet: &mut Inlet,
    link: &mut L,
    cx: &mut Context<'_>,
) -> Poll<Result<(), SocketError>> {
    // A blocking transport has to know the deadline before it waits.
    refresh(inlet, link);
    let _due = poll_due(inlet, link, Side::Receive, cx);
    let (ended, error) = link.output(|output| {
        let ended = output.poll_drive(cx).is_ready();
        (ended, output.sender.error())
    });
    if ended {
        return Poll::Ready(error.map_or(Ok(()), |error| Err(error.into())));
    }
    refresh(inlet, link);
    Poll::Pending
}

/// Tells the sending side what came, and learns of its deadline.
fn refresh<L: Link>(inlet: &mut Inlet, link: &mut L) {
    let heard = core::mem::take(&mut inlet.heard);
    let message = core::mem::take(&mut inlet.message);
    inlet.deadline = link.output(|output| {
        if heard {
            output.sender.note_life();
        }
        if message {
            output.sender.note_message();
        }
        output.start_deadlines();
        output.told = output.sender.poll_timeout();
        output.signals.set_needs_care(output.has_work());
        output.told
    });
}

/// The next deadline, if it has passed. If not, the task is woken when it has.
fn poll_due<L: Link>(
    inlet: &mut Inlet,
    link: &mut L,
    side: Side,
    cx: &mut Context<'_>,
) -> Option<Instant> {
    let deadlines = [inlet.deadline, inlet.receiver.poll_timeout()];
    let deadline = deadlines.into_iter().flatten().min();
    if deadline.is_none() && !inlet.timed {
        return None;
    }
    inlet.timed = deadline.is_some();
    let due = if L::SHARED || deadline.is_none() {
        link.poll_deadline(cx, deadline)
    } else {
        // A stream and a sink may be two tasks', and a timer remembers one waker.
        link.signals().register(side, cx.waker());
        let both = Waker::from(Arc::clone(link.signals()));
        link.poll_deadline(&mut Context::from_waker(&both), deadline)
    };
    match due {
        Poll::Ready(()) => deadline,
        Poll::Pending => None,
    }
}

/// Does what is to be done at a deadline that has passed, unless it was put off meanwhile. What
/// comes of it lasts in the two halves.
fn meet<L: Link>(inlet: &mut Inlet, link: &mut L, deadline: Instant) {
    refresh(inlet, link);
    let receiver = &mut inlet.receiver;
    link.output(|output| {
        // A transport's timer may be ahead of its clock.
        let now = output.io.now().max(deadline);
        receiver.handle_timeout(now);
        output.handle_timeout(now);
    });
    refresh(inlet, link);
}

/// Nothing to read: if writing failed, nothing ever will be. That is news only while the connection
/// is open.
fn poll_broken<L: Link>(link: &mut L) -> Poll<io::Result<()>> {
    link.output(|output| {
        let Some(error) = output.write_error() else {
            return Poll::Pending;
        };
        let was_open = output.sender.state() == State::Open;
        let _eof = output.end(Sender::handle_eof);
        // What waits, such as the answer to a Close frame, would keep it from ending.
        let _broken = output.give_up();
        Poll::Ready(if was_open { Err(error) } else { Ok(()) })
    })
}

/// How a connection ended, for who asks after it has.
pub(super) fn outcome<L: Link>(link: &mut L) -> Option<Closed> {
    link.output(|output| output.sender.closed())
}
