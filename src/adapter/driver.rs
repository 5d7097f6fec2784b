//! Receives, keeps the deadlines and sees to it that what waits is written: what the adapters do while
//! a connection is open.

use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::buffer::ReadBuffer;
use super::error::SocketError;
use super::inlet::{Inlet, Intake};
use super::io::{ReadIo, WriteIo};
use super::output::Output;
use super::reading::{LastRead, Writes, poll_read, puts_off_write};
use super::signals::{Side, Signals};
use crate::{Closed, Error, Event, Input, Instant, Message, Receiver, Sender, State};

/// After so many reads in a row a task lets others run: a peer that always has something to say would
/// keep the thread. With 64, of 64 connections with 16 messages of 16 KiB under way, one message in a
/// hundred waited for 66 to 103 ms; with 8 it is 33 to 36 ms, at no cost.
pub(super) const MAX_READS: u8 = 8;

/// While a peer is above a rate, a blocking transport is not waited for, and the thread looks again
/// after this time.
const THROTTLED_WAIT: Duration = Duration::from_millis(10);

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

    /// What the sending side holds. Only asked for if there is a limit for both together.
    fn held(&mut self) -> usize;

    /// Tells the sending side what the receiving side holds.
    fn set_held(&mut self, held: usize);

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

    fn held(&mut self) -> usize {
        self.sender.held()
    }

    fn set_held(&mut self, held: usize) {
        self.sender.set_held_elsewhere(held);
        self.signals.set_held(Side::Receive, held);
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
    if inlet.intake.ended {
        return Poll::Ready(None);
    }
    let item = ready!(poll_message(inlet, link, cx)).transpose();
    inlet.intake.ended = !matches!(item, Some(Ok(_)));
    Poll::Ready(item)
}

/// Receives the next event and hands it to `handle`. `None` once the closing handshake is through.
pub(super) fn poll_event<L: Link, T>(
    inlet: &mut Inlet,
    link: &mut L,
    cx: &mut Context<'_>,
    handle: &mut Option<impl FnOnce(&mut L, Event<'_>) -> T>,
) -> Poll<Result<Option<T>, SocketError>> {
    let Inlet { buffer, intake } = inlet;
    loop {
        if let Some(event) = take_event(buffer, intake, link) {
            return Poll::Ready(Ok(handle.take().map(|handle| handle(link, event))));
        }
        if !ready!(poll_input(buffer, intake, link, cx, Writes::First))? {
            return Poll::Ready(Ok(None));
        }
    }
}

/// The next event in what was read, of which the sending side was told what it has to know.
// Out of line, every event would go through memory.
#[inline(always)]
pub(super) fn take_event<'b, L: Link>(
    buffer: &'b mut ReadBuffer,
    intake: &mut Intake,
    link: &mut L,
) -> Option<Event<'b>> {
    if intake.filled > 0 {
        return take_filled(intake, link);
    }
    let now = match intake.receiver.needs_time() {
        true => link.output(|output| output.io.now()),
        false => Instant::from_nanos(0),
    };
    // Also without input: a compressed message may have more to give than was asked for.
    match buffer.consume(|input| receive(&mut intake.receiver, link, now, input)) {
        Ok(event) => {
            let event = event?;
            match event {
                Event::Ping(_) | Event::Close(_) => {
                    // A pong is not put off.
                    intake.last_read = LastRead::Short;
                    link.output(|output| {
                        let now = output.io.now();
                        output.tend(|sender| sender.respond(now, &event));
                    });
                }
                Event::Pong(_) => link.output(|output| {
                    let now = output.io.now();
                    output.sender.respond(now, &event);
                }),
                Event::Text(_) | Event::Binary(_) | Event::Fragment(_) => intake.message = true,
            }
            Some(event)
        }
        Err(error) => {
            fail(link, error);
            None
        }
    }
}

/// The message whose last bytes were read into place.
// Out of line, it does not cost those that were not.
#[cold]
fn take_filled<L: Link>(intake: &mut Intake, link: &mut L) -> Option<Event<'static>> {
    match intake
        .receiver
        .filled(core::mem::take(&mut intake.filled) as usize)
    {
        Ok(event) => {
            intake.message |= event.is_some();
            event
        }
        Err(error) => {
            fail(link, error);
            None
        }
    }
}

fn fail<L: Link>(link: &mut L, error: Error) {
    link.output(|output| {
        let now = output.io.now();
        output.tend(|sender| sender.fail(now, error));
    });
}

/// Does what is to be done before more input is waited for, such as to write, and waits for it.
/// Ready when [`take_event`] is to look again, with `false` once the closing handshake is through.
pub(super) fn poll_input<L: Link>(
    buffer: &mut ReadBuffer,
    intake: &mut Intake,
    link: &mut L,
    cx: &mut Context<'_>,
    writes: Writes,
) -> Poll<Result<bool, SocketError>> {
    if intake.paused {
        intake.paused = false;
        link.output(|output| output.sender.resume());
    }
    buffer.release();
    if !L::SHARED {
        refresh(intake, link);
    }
    let needs_care = link.needs_care();
    // Only if a read comes next, and not a wait for a rate.
    let may_put_off = writes == Writes::MayWait && buffer.is_empty();
    let puts_off = needs_care && may_put_off && puts_off_write(intake, link);
    let cares = needs_care && !puts_off;
    if cares {
        link.signals().register(Side::Receive, cx.waker());
        if let Poll::Ready(result) = poll_care(intake, link, cx) {
            // A message that is not finished never will be.
            intake.receiver.release();
            return Poll::Ready(result.map(|()| false));
        }
    }
    let due = poll_due(intake, link, Side::Receive, cx);
    if puts_off && due.is_some() {
        // It may be the deadline of what waits.
        intake.last_read = LastRead::Short;
        return Poll::Ready(Ok(true));
    }
    let overdue = intake.overdue.take();
    if let Some(deadline) = due.filter(|due| Some(*due) <= overdue) {
        meet(intake, link, deadline);
        return Poll::Ready(Ok(true));
    }
    if intake.eof {
        // Only what is still to be written keeps the connection up.
        if link.output(Output::give_up) {
            return Poll::Ready(Ok(true));
        }
        if let Some(deadline) = due {
            meet(intake, link, deadline);
            return Poll::Ready(Ok(true));
        }
        return Poll::Pending;
    }
    if intake.reads >= MAX_READS {
        intake.reads = 0;
        cx.waker().wake_by_ref();
        return Poll::Pending;
    }
    if !buffer.is_empty() {
        // The peer was above a rate, and is not listened to before the deadline.
        intake.paused = true;
        let is_blocking = link.output(|output| {
            output.sender.pause();
            output.io.is_blocking()
        });
        if let Some(deadline) = due {
            meet(intake, link, deadline);
            return Poll::Ready(Ok(true));
        }
        if is_blocking {
            std::thread::sleep(THROTTLED_WAIT);
        }
        return Poll::Pending;
    }
    // Before a deadline is met: what the peer sent may have waited longer than the application
    // let this task run.
    let result = poll_read(buffer, intake, link, cx);
    if puts_off && matches!(result, Poll::Ready(Ok(0) | Err(_))) {
        // What was put off would be lost with the end of the transport.
        let _attempt = link.output(|output| output.poll_flush(Side::Receive, cx));
    }
    match result {
        Poll::Pending => {
            intake.reads = 0;
            if let Some(deadline) = due {
                meet(intake, link, deadline);
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
            intake.eof = true;
            let _eof = link.output(|output| output.end(Sender::handle_eof));
        }
        Poll::Ready(Ok(_)) => {
            intake.reads += 1;
            intake.heard = true;
            intake.overdue = due;
        }
        Poll::Ready(Err(error)) => {
            intake.eof = true;
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
    Poll::Ready(Ok(true))
}

/// Writes by `poll`, and meets the deadlines that do not depend on what the peer sends: nothing is
/// read meanwhile, unless another task does while this one is on the sending side.
pub(super) fn poll_writing<I: ReadIo + WriteIo, T>(
    side: Side,
    intake: &mut Intake,
    output: &mut Output<I>,
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Output<I>, &mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    loop {
        // A blocking transport, which nobody can wake, has to know the deadline before it waits.
        if output.io.is_blocking() {
            refresh(intake, output);
            let _due = poll_due(intake, output, side, cx);
        }
        if let Poll::Ready(result) = poll(output, cx) {
            return Poll::Ready(result);
        }
        if output.sender.poll_timeout().is_none() {
            return Poll::Pending;
        }
        let is_read = side == Side::Send
            && !output.io.is_blocking()
            && output.signals.expects_receiver(cx.waker());
        if !is_read {
            intake.paused = true;
            output.sender.pause();
        }
        refresh(intake, output);
        match poll_due(intake, output, side, cx) {
            Some(_) if is_read => {
                // Another task receives. It reads before it meets the deadline, and if it does not
                // come, this one is next.
                output.signals.call_receiver();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(deadline) => meet(intake, output, deadline),
            None => return Poll::Pending,
        }
    }
}

/// As [`Receiver::receive`]. With a limit for what both sides hold together, each learns what the
/// other one does.
#[inline(always)]
fn receive<'b, L: Link>(
    receiver: &mut Receiver,
    link: &mut L,
    now: Instant,
    input: &mut Input<'b>,
) -> Result<Option<Event<'b>>, Error> {
    if !receiver.has_max_memory() {
        return receiver.receive(now, input);
    }
    receiver.set_held_elsewhere(link.held());
    let result = receiver.receive(now, input);
    link.set_held(receiver.held());
    result
}

/// Does for the sending side what only the receiving task is there to do: writes answers, ends the
/// transport. Ready when the connection is closed.
fn poll_care<L: Link>(
    intake: &mut Intake,
    link: &mut L,
    cx: &mut Context<'_>,
) -> Poll<Result<(), SocketError>> {
    // A blocking transport has to know the deadline before it waits; others are told after it.
    if L::SHARED {
        refresh(intake, link);
    }
    if L::SHARED || link.output(|output| output.io.is_blocking()) {
        let _due = poll_due(intake, link, Side::Receive, cx);
    }
    let (ended, error) = link.output(|output| {
        let ended = output.poll_drive(cx).is_ready();
        (ended, output.sender.error())
    });
    if ended {
        return Poll::Ready(error.map_or(Ok(()), |error| Err(error.into())));
    }
    refresh(intake, link);
    Poll::Pending
}

/// Tells the sending side what came, and learns of its deadline.
fn refresh<L: Link>(intake: &mut Intake, link: &mut L) {
    let heard = core::mem::take(&mut intake.heard);
    let message = core::mem::take(&mut intake.message);
    intake.deadline = link.output(|output| {
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
    intake: &mut Intake,
    link: &mut L,
    side: Side,
    cx: &mut Context<'_>,
) -> Option<Instant> {
    let deadlines = [intake.deadline, intake.receiver.poll_timeout()];
    let deadline = deadlines.into_iter().flatten().min();
    if deadline.is_none() && !intake.timed {
        return None;
    }
    intake.timed = deadline.is_some();
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
fn meet<L: Link>(intake: &mut Intake, link: &mut L, deadline: Instant) {
    refresh(intake, link);
    let receiver = &mut intake.receiver;
    link.output(|output| {
        // A transport's timer may be ahead of its clock.
        let now = output.io.now().max(deadline);
        receiver.handle_timeout(now);
        output.handle_timeout(now);
    });
    refresh(intake, link);
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
