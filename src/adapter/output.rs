//! The sending half of a connection with its transport: queues, writes, and ends.

use core::slice;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::vec::Vec;

use bytes::Buf;

use super::error::SocketError;
use super::io::WriteIo;
use super::sending::queue;
use super::signals::{Side, Signals};
use crate::{CloseCode, Closed, Instant, Message, SendError, Sender, State, Transport};

/// How many segments go into one vectored write.
const MAX_SLICES: usize = 16;

/// A frame of up to so many bytes is written in one piece: over a local socket a write of two takes 70
/// to 370 ns longer with 16 to 128 bytes, and not every transport writes two at once.
const MAX_JOINED: usize = 256;

/// More than this is written before more is read. It is as much as one segment of the kernel's.
const MAX_PUT_OFF: usize = 64 * 1024;

/// The sending half of a connection with the transport that it writes to.
#[derive(Debug)]
pub(super) struct Output<W> {
    pub(super) sender: Sender,
    pub(super) io: W,
    pub(super) signals: Arc<Signals>,
    /// The writing side of the transport was shut down.
    shut_down: bool,
    /// Writing failed, and is not tried again.
    broken: Option<ErrorKind>,
    /// The deadline that the receiving task knows of.
    pub(super) told: Option<Instant>,
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
    pub(super) fn tend<T>(&mut self, change: impl FnOnce(&mut Sender) -> T) -> T {
        self.signals.set_needs_care(true);
        change(&mut self.sender)
    }

    /// Changes the sender in a way that may end the connection. What waits then is lost, and who
    /// waits for it is told.
    pub(super) fn end<T>(&mut self, end: impl FnOnce(&mut Sender) -> T) -> T {
        let waits = self.sender.queued() > 0 || self.sender.is_unflushed();
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
    pub(super) fn give_up(&mut self) -> bool {
        let is_broken = self.broken.is_some();
        if is_broken {
            self.end(Sender::abort);
        }
        is_broken
    }

    /// Whether there is something for the receiving task to do: to write, to end the transport, or
    /// to keep a deadline that it does not know of.
    pub(super) fn has_work(&self) -> bool {
        let to_write = self.sender.queued() > 0 || self.sender.is_unflushed();
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

    /// How the connection ended, for who has seen the closing handshake through.
    pub(super) fn outcome(&self) -> Result<Closed, SocketError> {
        let closed = self.sender.closed();
        closed.ok_or_else(|| SendError::NotOpen.into())
    }

    pub(super) fn write_error(&self) -> Option<io::Error> {
        self.broken.map(io::Error::from)
    }
}

impl<W: WriteIo> Output<W> {
    /// Whether there is time to read what is at hand before what waits is written.
    pub(super) fn may_put_off(&self) -> bool {
        // A read of a transport that blocks may last.
        let is_little = self.sender.queued() < MAX_PUT_OFF && self.sender.is_drained();
        is_little && !self.is_ending() && !self.has_news() && !self.io.is_blocking()
    }

    /// Starts the closing handshake, and wakes the receiving task, which has a deadline now.
    pub(super) fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        let now = self.io.now();
        self.tend(|sender| sender.close(now, code, reason))?;
        self.signals.wake_side(Side::Receive);
        Ok(())
    }

    /// Tells deadlines that start now the time, as long as none has passed: that is met after an
    /// attempt to read.
    pub(super) fn start_deadlines(&mut self) {
        if self.sender.poll_timeout() != Some(Instant::from_nanos(0)) {
            return;
        }
        let now = self.io.now();
        if self.floor.is_none_or(|floor| now < floor) {
            self.handle_timeout(now);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let _timeout = self.end(|sender| sender.handle_timeout(now));
        self.floor = self.sender.poll_timeout();
    }

    pub(super) fn queued_age(&mut self) -> Option<Duration> {
        let now = self.io.now();
        self.sender.queued_age(now)
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
        if self.is_clear() {
            self.note_flushed(side);
            return Poll::Ready(Ok(()));
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
        self.note_flushed(side);
        Poll::Ready(result)
    }

    /// Whether nothing waits, here and in the transport.
    fn is_clear(&self) -> bool {
        self.sender.queued() == 0 && !self.sender.is_unflushed()
    }

    /// Nothing waits any more, or it waits in vain.
    fn note_flushed(&mut self, side: Side) {
        self.start_deadlines();
        match side {
            // It may wait for room that there is now.
            Side::Receive => self.signals.wake_side(Side::Send),
            Side::Send => {
                self.writing = false;
                self.tell_receiving_side();
            }
        }
    }

    /// Sends a message: what the transport takes at once is not queued. Ready when nothing waits.
    ///
    /// Not for a transport that blocks: it has to know the deadline of what waits before it writes,
    /// and so that has to be queued before.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message<'_>>,
    ) -> Poll<Result<(), SocketError>> {
        if self.is_clear() && self.broken.is_none() {
            if let Some(message) = message.take() {
                self.send_through(message)?;
            }
        }
        if message.is_some() {
            ready!(self.poll_queue(cx, |sender| queue(sender, message)))?;
        }
        self.poll_flush(Side::Send, cx).map_err(SocketError::from)
    }

    /// Sends a message while nothing waits. What the transport does not take is queued.
    fn send_through(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let Self {
            sender,
            io,
            signals,
            ..
        } = self;
        // As in `poll_flush`, which comes next where this does not get through.
        let waker = Waker::from(Arc::clone(signals));
        let cx = &mut Context::from_waker(&waker);
        let (mut written, mut failed) = (0, None);
        sender.send_through(message, |pieces| {
            let mut small = [0; MAX_JOINED];
            let joined = join(pieces, &mut small);
            let pieces = joined.as_ref().map_or(pieces, slice::from_ref);
            let mut slices = [IoSlice::new(&[]); 2];
            let mut count = 0;
            for (slice, piece) in slices
                .iter_mut()
                .zip(pieces.iter().filter(|it| !it.is_empty()))
            {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let mut rest = slices.get_mut(..count).unwrap_or_default();
            let mut taken = 0;
            while !rest.is_empty() {
                match io.poll_write(cx, rest) {
                    Poll::Ready(Ok(count)) if count > 0 => {
                        taken += count;
                        IoSlice::advance_slices(&mut rest, count);
                    }
                    Poll::Ready(result) => {
                        // To write nothing and to try again would spin.
                        let error = result.err();
                        failed = Some(error.map_or(ErrorKind::WriteZero, |error| error.kind()));
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            written += taken;
            taken
        })?;
        if written > 0 {
            sender.set_unflushed(true);
        }
        if failed.is_none() && written > 0 && sender.queued() == 0 {
            match io.poll_flush(cx) {
                Poll::Ready(Ok(())) => sender.set_unflushed(false),
                Poll::Ready(Err(error)) => failed = Some(error.kind()),
                Poll::Pending => {}
            }
        }
        if let Some(error) = failed {
            self.break_off(error);
            self.note_flushed(Side::Send);
        }
        Ok(())
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
            self.sender.set_unflushed(true);
        }
        if self.sender.is_unflushed() {
            ready!(self.io.poll_flush(cx))?;
            self.sender.set_unflushed(false);
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

    /// Writes until little waits. On a connection that no longer sends that is so soon.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.poll_queue(cx, |sender| match sender.is_drained() {
            true => Ok(()),
            false => Err(SendError::Full),
        })
    }

    /// Writes, and ends what is to be ended. Ready once the connection is closed.
    pub(super) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut_down {
            ready!(self.io.poll_shutdown(cx))?;
            self.shut_down = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// Puts a small frame together that is in two pieces.
fn join<'a>(pieces: &[&[u8]], place: &'a mut [u8; MAX_JOINED]) -> Option<&'a [u8]> {
    let [header, payload] = *pieces else {
        return None;
    };
    if payload.is_empty() {
        return None;
    }
    let frame = place.get_mut(..header.len() + payload.len())?;
    let (start, rest) = frame.split_at_mut(header.len());
    start.copy_from_slice(header);
    rest.copy_from_slice(payload);
    Some(frame)
}
