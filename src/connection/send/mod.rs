//! The sending half: messages and obligations in, bytes out.

mod count;
mod data;
#[cfg(feature = "deflate")]
mod deflate;
mod options;
#[cfg(feature = "deflate")]
mod prepared;
mod room;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;

pub use count::Sent;
use data::{Outgoing, frame_header};
#[cfg(feature = "deflate")]
pub use deflate::Compress;
pub use options::SendOptions;
#[cfg(feature = "deflate")]
pub use prepared::Prepared;
use room::Full;

use super::event::Event;
use super::observer::{Observed, Observer};
use super::state::{Closed, Closing, Initiator, State, Transport};
use super::timers::{Progress, Rtt, Timer, Timers};
use super::transmit::{MAX_CONTROL_QUEUED, Queue, Transmit};
use crate::close::{CloseCode, CloseFrame, MAX_REASON_LEN};
use crate::config::{Config, Limits, Timeouts};
use crate::error::{Error, SendError, Timeout};
use crate::frame::OpCode;
use crate::mask::Mask;
use crate::message::Kind;
use crate::random::MaskKeys;
use crate::time::Instant;

/// The payload limit of control frames (RFC 6455 section 5.5).
const MAX_CONTROL_LEN: usize = 125;

/// The sending half of a [`Connection`](super::Connection): encodes, queues, and keeps the closing
/// handshake and its deadline.
///
/// A connection that was [split](super::Connection::into_split) has one owner for each half. The
/// owner of the [`Receiver`](super::Receiver) reports to this half what came:
/// [`respond`](Self::respond) for each event, [`fail`](Self::fail) for the error,
/// [`handle_eof`](Self::handle_eof) for the end.
pub struct Sender {
    /// A client masks, a server does not (RFC 6455 section 5.1).
    keys: Option<Box<dyn MaskKeys>>,
    queue: Queue,
    /// The message whose fragments are being sent.
    outgoing: Option<Outgoing>,
    #[cfg(feature = "deflate")]
    deflation: Option<deflate::Deflation>,
    closing: Closing,
    sent: Sent,
    observed: Observed,
    /// What the observer was told that the message is made of whose fragments are being sent.
    kind: Kind,
    /// The observer knows that the connection is over.
    told_closed: bool,
    /// The deadlines of an open connection, if there are any.
    timers: Option<Box<Timers>>,
    max_queued: usize,
    /// What may be held in all, and what the other half holds of it.
    max_memory: usize,
    held_elsewhere: usize,
    /// Of 32 bits, like the next: that keeps the connection small.
    low_water: u32,
    /// The classes that had no room since they last had drained.
    full: Full,
    max_fragment: u32,
    close_timeout: Option<Duration>,
}

impl Sender {
    pub(super) fn new(config: &Config, keys: Option<Box<dyn MaskKeys>>, now: Instant) -> Self {
        let timeouts = config.timeouts();
        let timers = Timers::are_wanted(timeouts).then(|| Box::new(Timers::new(timeouts, now)));
        Self {
            timers,
            sent: Sent::default(),
            observed: Observed::default(),
            kind: Kind::Binary,
            told_closed: false,
            keys,
            queue: Queue::default(),
            outgoing: None,
            #[cfg(feature = "deflate")]
            deflation: None,
            closing: Closing::default(),
            max_queued: config.limits().max_queued(),
            max_memory: config.limits().max_memory().unwrap_or(usize::MAX),
            held_elsewhere: 0,
            low_water: config.limits().low_water().try_into().unwrap_or(u32::MAX),
            full: Full::default(),
            max_fragment: config
                .max_fragment()
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or(u32::MAX),
            close_timeout: config.timeouts().close(),
        }
    }

    /// Tells somebody what is sent, and how it ends; see
    /// [`Connection::set_observer`](super::Connection::set_observer).
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.observed = Observed(Some(observer));
    }

    /// Tells the observer, once, if the connection is over.
    fn tell_closed(&mut self) {
        if self.observed.0.is_some() && !self.told_closed {
            if let Some(closed) = self.closed() {
                self.told_closed = true;
                self.observed.tell(|observer| observer.closed(&closed));
            }
        }
    }

    /// Changes what may be queued; see
    /// [`Connection::set_limits`](super::Connection::set_limits).
    pub fn set_limits(&mut self, limits: &Limits) {
        self.max_queued = limits.max_queued();
        self.low_water = limits.low_water().try_into().unwrap_or(u32::MAX);
        self.max_memory = limits.max_memory().unwrap_or(usize::MAX);
    }

    /// How much of what may be held in all the other half holds.
    pub(super) fn set_held_elsewhere(&mut self, held: usize) {
        self.held_elsewhere = held;
    }

    /// Queues a ping; see [`Connection::ping`](super::Connection::ping).
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`](super::Connection::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.push_control(OpCode::Ping, payload)
    }

    /// Queues an unsolicited pong; see [`Connection::pong`](super::Connection::pong).
    ///
    /// # Errors
    ///
    /// As [`Connection::pong`](super::Connection::pong).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.push_control(OpCode::Pong, payload)
    }

    fn push_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
        self.check_control(payload)?;
        let frame = ControlFrame::new(opcode, self.next_key(), payload);
        self.sent.control_frames += 1;
        self.queue.push_control(frame.as_bytes());
        Ok(())
    }

    fn check_control(&self, payload: &[u8]) -> Result<(), SendError> {
        self.may_send_control(payload)
            .map_err(|error| self.refuse(error))
    }

    fn may_send_control(&self, payload: &[u8]) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong);
        }
        if self.queue.control_len() + payload.len() > MAX_CONTROL_QUEUED {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Queues a ping that measures the round trip; see
    /// [`Connection::probe`](super::Connection::probe).
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`](super::Connection::ping).
    pub fn probe(&mut self) -> Result<(), SendError> {
        self.check_control(&[])?;
        let timers = self.timers();
        let Some(payload) = timers.next_ping() else {
            return Ok(());
        };
        timers.note_ping();
        let frame = ControlFrame::new(OpCode::Ping, self.next_key(), &payload);
        self.sent.control_frames += 1;
        self.queue.push_probe(frame.as_bytes());
        Ok(())
    }

    /// For those who ask for what only deadlines would need otherwise.
    fn timers(&mut self) -> &mut Timers {
        self.timers
            .get_or_insert_with(|| Box::new(Timers::new(&Timeouts::new(), Instant::AT_ONCE)))
    }

    /// The round trips so far; see [`Connection::rtt`](super::Connection::rtt).
    pub fn rtt(&self) -> Option<Rtt> {
        self.timers.as_ref()?.rtt()
    }

    /// Whether there are deadlines or round trips to watch.
    pub(super) fn has_timers(&self) -> bool {
        self.timers.is_some()
    }

    /// Something came from the peer, so it is alive. [`respond`](Self::respond) tells so as well.
    #[inline]
    pub fn note_life(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.note_life();
        }
    }

    /// A message was received. [`respond`](Self::respond) tells so as well.
    #[inline]
    pub fn note_message(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.note_message();
        }
    }

    /// The application does not read for a while: the deadline for a sign of life stands still.
    pub fn pause(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.pause();
        }
    }

    /// The application reads again.
    pub fn resume(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.resume();
        }
    }

    fn next_key(&mut self) -> Option<[u8; 4]> {
        self.keys.as_mut().map(|keys| keys.next_key())
    }

    /// Starts the closing handshake; see [`Connection::close`](super::Connection::close).
    ///
    /// # Errors
    ///
    /// As [`Connection::close`](super::Connection::close).
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if !code.is_sendable() {
            return Err(SendError::InvalidCloseCode);
        }
        if reason.len() > MAX_REASON_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.begin_closing(Initiator::Local, Some(now));
        self.push_close(now, code, reason);
        Ok(())
    }

    fn push_close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        // 6455-6.1-03: a message whose fragments were not all sent is abandoned.
        self.abandon_message();
        let mut body = [0; MAX_CONTROL_LEN];
        let len = if code == CloseCode::NO_STATUS {
            0
        } else {
            let parts = u16::from(code).to_be_bytes();
            let parts = parts.iter().chain(reason.as_bytes());
            body.iter_mut()
                .zip(parts)
                .map(|(to, from)| *to = *from)
                .count()
        };
        let body = body.get(..len).unwrap_or_default();
        let frame = ControlFrame::new(OpCode::Close, self.next_key(), body);
        self.sent.control_frames += 1;
        self.queue.set_close(frame.as_bytes());
        self.closing.sent = Some(code);
        self.start_close_timer(now);
    }

    fn begin_closing(&mut self, initiator: Initiator, now: Option<Instant>) {
        self.closing.begin(initiator, now);
        if let Some(timers) = &mut self.timers {
            timers.stop();
        }
    }

    fn start_close_timer(&mut self, now: Instant) {
        if self.closing.deadline.is_none() {
            self.closing.deadline = self.close_timeout.map(|timeout| now.after(timeout));
        }
    }

    /// Answers what has to be answered: a ping with a pong, the peer's Close frame with one of this
    /// side.
    pub fn respond(&mut self, now: Instant, event: &Event<'_>) {
        match event {
            Event::Ping(payload) => self.respond_ping(payload),
            Event::Close(frame) => self.respond_close(now, frame),
            Event::Pong(payload) => {
                if let Some(timers) = &mut self.timers {
                    if let Some(rtt) = timers.note_pong(now, payload) {
                        self.observed.tell(|observer| observer.measured(rtt));
                    }
                }
            }
            Event::Text(_) | Event::Binary(_) | Event::Fragment(_) => self.note_message(),
        }
    }

    fn respond_ping(&mut self, payload: &[u8]) {
        // 6455-5.5.2-02, K9: also after this side's Close frame, as long as the peer's did not
        // come.
        if self.closing.received.is_some() || self.closing.error.is_some() || self.closing.ended {
            return;
        }
        if payload.len() > MAX_CONTROL_LEN {
            // Not from a `Receiver`.
            return;
        }
        let frame = ControlFrame::new(OpCode::Pong, self.next_key(), payload);
        self.sent.control_frames += 1;
        self.queue.push_pong(frame.as_bytes());
    }

    fn respond_close(&mut self, now: Instant, frame: &CloseFrame) {
        if self.closing.received.is_some() || self.closing.error.is_some() || self.closing.ended {
            return;
        }
        self.begin_closing(Initiator::Peer, Some(now));
        self.closing.received = Some(frame.clone());
        // 6455-5.5.1-08, 6455-5.5.1-14: exactly one Close frame; the reply has the peer's code.
        if self.closing.sent.is_none() {
            self.push_close(now, frame.code(), "");
        }
    }

    /// Fails the connection: queues a Close frame with the error's code, unless one has begun to
    /// leave (RFC 6455 section 7.1.7).
    ///
    /// Like every Close frame it goes behind the data that was accepted before.
    pub fn fail(&mut self, now: Instant, error: Error) {
        if self.closing.error.is_some() || self.closing.ended {
            return;
        }
        self.begin_closing(Initiator::Local, Some(now));
        self.closing.error = Some(error);
        self.observed.tell(|observer| observer.failed(error));
        self.abandon_message();
        match error.close_code() {
            None => self.end(),
            // A Close frame that has begun to leave stays the only one; one that still waits is
            // replaced.
            Some(_) if self.queue.close_started() => self.start_close_timer(now),
            Some(code) => self.push_close(now, code, ""),
        }
    }

    /// The transport ended; see [`Connection::handle_eof`](super::Connection::handle_eof).
    ///
    /// # Errors
    ///
    /// As [`Connection::handle_eof`](super::Connection::handle_eof).
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        self.closing.end_of_input(self.queue.close_sent());
        if self.closing.received.is_none() && self.closing.error.is_none() {
            self.begin_closing(Initiator::Peer, None);
            self.closing.error = Some(Error::Eof);
            self.observed.tell(|observer| observer.failed(Error::Eof));
        }
        if self.closing.error.is_some() || self.queue.close_sent() {
            self.end();
        }
        // After a Close frame the peer may have shut down its writing side only, and still wait for
        // what is queued.
        self.closing.error.map_or(Ok(()), Err)
    }

    /// Ends the connection at once; see [`Connection::abort`](super::Connection::abort).
    pub fn abort(&mut self) {
        if self.state() != State::Closed {
            self.begin_closing(Initiator::Local, None);
            self.end();
        }
    }

    fn end(&mut self) {
        self.closing.end_of_input(self.queue.close_sent());
        self.closing.end();
        self.abandon_message();
        self.queue.clear();
        self.tell_closed();
    }

    /// No message is sent any more, so the compressor goes as well.
    fn abandon_message(&mut self) {
        self.outgoing = None;
        #[cfg(feature = "deflate")]
        {
            self.deflation = None;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state() == State::Closed {
            return None;
        }
        let timers = self.timers.as_ref();
        let deadlines = [
            self.closing.deadline,
            timers.and_then(|timers| timers.next(self.progress())),
            self.deflater_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    #[cfg(not(feature = "deflate"))]
    fn deflater_timeout(&self) -> Option<Instant> {
        None
    }

    fn progress(&self) -> Progress {
        Progress {
            transmitted: self.queue.transmitted(),
            waits: !self.queue.is_empty(),
            ping_left: self.queue.probe_left(),
        }
    }

    /// Acts on the deadlines that passed; see
    /// [`Connection::handle_timeout`](super::Connection::handle_timeout).
    ///
    /// # Errors
    ///
    /// As [`Connection::handle_timeout`](super::Connection::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        #[cfg(feature = "deflate")]
        if let Some(deflater) = self.present_deflater() {
            deflater.handle_timeout(now);
        }
        if self.state() == State::Closed {
            return Ok(());
        }
        if self
            .closing
            .deadline
            .is_some_and(|deadline| deadline <= now)
        {
            return self.end_closing();
        }
        if self.timers.is_some() {
            let _age = self.queued_age(now);
        }
        loop {
            let progress = self.progress();
            let Some(timers) = &mut self.timers else {
                return Ok(());
            };
            // What one deadline leads to may start another.
            timers.start(now, progress);
            match timers.take_passed(now) {
                Some(timer) => self.expire(now, timer)?,
                None => return Ok(()),
            }
        }
    }

    /// Does what is to be done when a deadline of an open connection passed.
    fn expire(&mut self, now: Instant, timer: Timer) -> Result<(), Error> {
        let timeout = match timer {
            Timer::Ping => {
                // If there is no room, the transport is stuck, which another deadline is about.
                let _full = self.probe();
                return Ok(());
            }
            Timer::Pong => Timeout::Pong,
            Timer::Write => Timeout::Write,
            Timer::Idle => return self.close_for(now, Timeout::Idle),
            Timer::Lifetime => return self.close_for(now, Timeout::Lifetime),
        };
        // Nobody is there to be told.
        let error = Error::Timeout(timeout);
        self.fail(now, error);
        Err(error)
    }

    /// Closes the connection for a deadline that is no error.
    fn close_for(&mut self, now: Instant, timeout: Timeout) -> Result<(), Error> {
        self.closing.expired = Some(timeout);
        let _open = self.close(now, CloseCode::GOING_AWAY, "");
        Ok(())
    }

    /// The closing handshake has had its time.
    fn end_closing(&mut self) -> Result<(), Error> {
        if self.closing.error.is_some() || (self.closing.is_clean() && self.queue.close_sent()) {
            // The peer had its chance to end the transport.
            self.end();
            return Ok(());
        }
        let error = Error::Timeout(Timeout::Close);
        self.closing.error = Some(error);
        self.observed.tell(|observer| observer.failed(error));
        self.end();
        Err(error)
    }

    /// Output that waits for the transport, or `None`.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.queue.is_empty() {
            // What was queued when the transport ended has gone.
            self.tell_closed();
            None
        } else {
            Some(Transmit(&mut self.queue))
        }
    }

    /// Takes all output as owned segments; see
    /// [`Connection::take_transmit`](super::Connection::take_transmit).
    pub fn take_transmit(&mut self, out: &mut Vec<Bytes>) {
        self.queue.take(out);
    }

    /// How many bytes wait for the transport, control frames included.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How long data has been waiting; see
    /// [`Connection::queued_age`](super::Connection::queued_age).
    pub fn queued_age(&mut self, now: Instant) -> Option<Duration> {
        let (transmitted, waiting) = (self.queue.transmitted(), self.queue.data_len());
        self.timers().queued_age(now, transmitted, waiting)
    }

    /// How far the connection is.
    #[inline]
    pub fn state(&self) -> State {
        if self.closing.eof && self.queue.is_empty() {
            return State::Closed;
        }
        self.closing.state()
    }

    /// What failed the connection, if something did.
    pub fn error(&self) -> Option<Error> {
        self.closing.error
    }

    /// What the transport is to do when [`poll_transmit`](Self::poll_transmit) gives nothing.
    pub fn transport(&self) -> Transport {
        if self.state() == State::Closed {
            Transport::Close
        } else if self.closing.error.is_some() || self.closing.eof {
            Transport::ShutdownWrite
        } else if self.keys.is_none() && self.closing.is_clean() {
            // 6455-5.5.1-13: the server closes first, the client waits for it.
            Transport::ShutdownWrite
        } else {
            Transport::Open
        }
    }

    /// The peer's Close frame, once it came.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.closing.received.as_ref()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        (self.state() == State::Closed).then(|| self.closing.outcome())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("masks", &self.keys.is_some())
            .field("queued", &self.queue.len())
            .field("outgoing", &self.outgoing)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

/// A control frame, encoded.
struct ControlFrame {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl ControlFrame {
    /// Two bytes, the masking key, the payload.
    const MAX_LEN: usize = 2 + 4 + MAX_CONTROL_LEN;

    /// Encodes up to 125 bytes; callers check that there are no more.
    fn new(opcode: OpCode, key: Option<[u8; 4]>, payload: &[u8]) -> Self {
        let header = frame_header(opcode, 0, true, key, payload.len());
        let mut bytes = [0; Self::MAX_LEN];
        let (to_header, rest) = bytes.split_at_mut(header.len());
        to_header.copy_from_slice(&header);
        let to_payload = rest.get_mut(..payload.len()).unwrap_or_default();
        to_payload.copy_from_slice(payload);
        if let Some(key) = key {
            Mask::new(key).apply(to_payload);
        }
        Self {
            len: header.len() + payload.len(),
            bytes,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
