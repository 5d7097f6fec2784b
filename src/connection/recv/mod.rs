//! The receiving half: frames in, events out.

mod budget;
mod count;
mod direct;
#[cfg(feature = "deflate")]
mod inflate;
mod memory;
mod message;
mod whole;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use budget::Budget;
use bytes::BytesMut;
pub use count::Received;
use message::Incoming;

use super::event::Event;
use super::observer::{Observed, Observer};
use crate::close::CloseFrame;
use crate::config::{Config, Delivery, Limits};
use crate::error::Error;
use crate::frame::{Decoder, Header, Masking, OpCode, Rules};
use crate::input::Input;
use crate::message::{Kind, Payload};
use crate::time::Instant;

/// The receiving half of a [`Connection`](super::Connection): parses, validates and assembles.
///
/// It owes nothing to the peer. What an event or error obliges this side to is the
/// [`Sender`](super::Sender)'s to do: hand it every event
/// ([`Sender::respond`](super::Sender::respond)) and the error
/// ([`Sender::fail`](super::Sender::fail)). `Connection` does that by itself; halves that were
/// [split](super::Connection::into_split) leave it to their owner.
///
/// Between calls it holds at most a partial header (14 bytes), a partial control payload (125
/// bytes) and the message being assembled.
pub struct Receiver {
    /// The next frame may be taken the shortest way; see `whole`. INVARIANT: only while nothing is
    /// under way, to be watched, or over.
    is_plain: bool,
    /// Every frame is masked: this is a server.
    is_masked: bool,
    /// The transport ended.
    eof: bool,
    decoder: Decoder,
    frame: Frame,
    message: Option<Incoming>,
    /// A control payload that is split over reads.
    control: BytesMut,
    max_frame_size: u64,
    max_message_size: u64,
    max_fragments: u64,
    max_empty_fragments: u32,
    /// What both halves may hold together, and what the other one holds of it. Of 32 bits: that keeps
    /// the connection small.
    max_memory: u32,
    held_elsewhere: u32,
    delivery: Delivery,
    /// No message is taken for a while.
    paused: bool,
    /// There is a budget, an observer, or a pause: one question in place of three, for every frame.
    watched: bool,
    /// The rates that the peer has to keep, if there are any.
    budget: Option<Box<Budget>>,
    /// What was received, but for the messages that lay whole in the input.
    received: Received,
    whole_messages: u64,
    observed: Observed,
    #[cfg(feature = "deflate")]
    inflation: Option<inflate::Inflation>,
    end: Option<End>,
}

/// The frame whose payload comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// None: a header comes next.
    None,
    Data {
        fin: bool,
    },
    Control(Control),
}

impl Frame {
    fn is_data(self) -> bool {
        matches!(self, Self::Data { .. })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Close,
    Ping,
    Pong,
}

/// Why nothing is received any more.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The peer's Close frame came: what follows is ignored (RFC 6455 section 1.4).
    Closed,
    /// 6455-7.1.7-05: after a failure no data is processed.
    Failed(Error),
}

impl Receiver {
    pub(super) fn new(config: &Config, rules: Rules) -> Self {
        let limits = config.limits();
        let mut receiver = Self {
            is_plain: false,
            is_masked: rules.masking() == Masking::Required,
            eof: false,
            decoder: Decoder::new(rules),
            frame: Frame::None,
            message: None,
            control: BytesMut::new(),
            max_frame_size: limits.max_frame_size(),
            max_message_size: limits.max_message_size(),
            max_fragments: limits.max_fragments().unwrap_or(u64::MAX),
            max_empty_fragments: limits.max_empty_fragments(),
            max_memory: memory::in_32_bits(limits.max_memory()),
            held_elsewhere: 0,
            delivery: config.delivery(),
            paused: false,
            watched: limits.has_rates(),
            budget: Budget::new(limits),
            received: Received::default(),
            whole_messages: 0,
            observed: Observed::default(),
            #[cfg(feature = "deflate")]
            inflation: None,
            end: None,
        };
        receiver.note_plain();
        receiver
    }

    /// Tells somebody what is received; see
    /// [`Connection::set_observer`](super::Connection::set_observer).
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.observed = Observed(Some(observer));
        self.note_watched();
    }

    /// Changes what the peer may do; see [`Connection::set_limits`](super::Connection::set_limits).
    pub fn set_limits(&mut self, limits: &Limits) {
        self.max_frame_size = limits.max_frame_size();
        self.max_message_size = limits.max_message_size();
        self.max_fragments = limits.max_fragments().unwrap_or(u64::MAX);
        self.max_empty_fragments = limits.max_empty_fragments();
        self.max_memory = memory::in_32_bits(limits.max_memory());
        let Received {
            floods, throttled, ..
        } = self.received();
        self.budget = Budget::new(limits);
        self.note_watched();
        (self.received.floods, self.received.throttled) = (floods, throttled);
        #[cfg(feature = "deflate")]
        self.set_inflate_limits(limits);
    }

    /// Whether [`receive`](Self::receive) goes by the time, because there are rates to keep. If not,
    /// any moment will do.
    pub fn needs_time(&self) -> bool {
        self.budget.is_some()
    }

    /// Whether the peer is not listened to until the next deadline, because it was above a rate.
    pub fn is_throttled(&self) -> bool {
        let budget = self.budget.as_ref();
        budget.is_some_and(|budget| budget.blocked_until().is_some())
    }

    /// Consumes input up to the next event. `None` means that all of it was consumed, unless the
    /// receiver is [paused](Self::pause) or the peer above a rate.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`](super::Connection::receive).
    // Out of line, every event would go through memory.
    #[inline(always)]
    pub fn receive<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        match self.take_plain(input) {
            Ok(None) => self.receive_any(now, input),
            result => result,
        }
    }

    /// As `receive`, whatever comes.
    pub(super) fn receive_any<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        match self.end {
            None => {}
            Some(End::Closed) => {
                input.take_all();
                return Ok(None);
            }
            Some(End::Failed(error)) => {
                input.take_all();
                return Err(error);
            }
        }
        if let Some(message) = &mut self.message {
            message.room_lent = false;
        }
        let before = input.consumed();
        let result = self.step(now, input);
        let taken = input.consumed() - before;
        self.received.bytes += taken as u64;
        if self.watched {
            self.watch(now, taken, &result);
        }
        match &result {
            Ok(Some(Event::Close(_))) => self.finish(End::Closed),
            Ok(_) => {}
            Err(error) => {
                self.fail(*error, input);
            }
        }
        self.note_plain();
        result
    }

    /// Takes no messages for a while; see [`Connection::pause`](super::Connection::pause).
    pub fn pause(&mut self) {
        self.paused = true;
        self.note_watched();
    }

    /// Whether no messages are taken.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes messages again.
    pub fn resume(&mut self) {
        self.paused = false;
        self.note_watched();
    }

    fn note_watched(&mut self) {
        self.watched = self.paused || self.budget.is_some() || self.observed.is_some();
        self.note_plain();
    }

    /// The transport ended.
    pub(super) fn note_eof(&mut self) {
        self.eof = true;
        self.note_plain();
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.release();
        self.note_plain();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let budget = self.budget.as_ref();
        let deadlines = [
            budget.and_then(|budget| budget.blocked_until()),
            self.inflater_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    #[cfg(not(feature = "deflate"))]
    fn inflater_timeout(&self) -> Option<Instant> {
        None
    }

    /// Listens again to a peer that was above a rate, and gives back what was not used for a while.
    /// Neither is an error.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(budget) = &mut self.budget {
            budget.handle_timeout(now);
        }
        #[cfg(feature = "deflate")]
        if let Some(inflater) = self.inflater() {
            inflater.handle_timeout(now);
        }
    }

    /// Gives back what a partial message holds, because the transport ended: it will never be
    /// delivered.
    pub fn release(&mut self) {
        #[cfg(feature = "deflate")]
        {
            self.inflation = None;
        }
        self.message = None;
        self.control = BytesMut::new();
        if let Some(budget) = &mut self.budget {
            budget.release();
        }
    }

    fn step<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        loop {
            if self.watched && !self.may_go_on(now, input)? {
                return Ok(None);
            }
            if self.frame == Frame::None {
                let whole = self.takes_whole().then(|| self.whole_message(input));
                if let Some(whole) = whole.flatten() {
                    if self.watched {
                        self.note_header();
                    }
                    return self.lend(whole, input).map(Some);
                }
                if input.capacity() > 0 && self.is_cut(input) {
                    return Ok(None);
                }
                let Some(header) = self.decoder.header(input)? else {
                    return Ok(None);
                };
                if self.watched {
                    self.note_header();
                }
                self.frame = self.begin(&header)?;
            }
            let event = match self.frame {
                Frame::None => None,
                Frame::Data { fin } => self.data(fin, input)?,
                Frame::Control(control) => self.control(control, input)?,
            };
            if self.decoder.remaining() == 0 && !self.has_more() {
                self.frame = Frame::None;
            } else if event.is_none() {
                // The frame goes on and the input is empty.
                return Ok(None);
            }
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn note_header(&mut self) {
        if let Some(budget) = &mut self.budget {
            budget.note_header();
        }
    }

    /// Counts what was taken, and tells the observer.
    fn watch(&mut self, now: Instant, taken: usize, result: &Result<Option<Event<'_>>, Error>) {
        if let Some(budget) = &mut self.budget {
            budget.note_bytes(now, taken);
        }
        if let Ok(Some(event)) = result {
            self.observed.tell(|observer| observer.received(event));
        }
    }

    /// Whether what comes next may be taken now: it may be a message in a pause, or too much for a
    /// rate.
    fn may_go_on(&mut self, now: Instant, input: &Input<'_>) -> Result<bool, Error> {
        if self.frame != Frame::None {
            if self.paused && self.frame.is_data() {
                return Ok(false);
            }
            return match input.is_empty() {
                true => Ok(true),
                false => self.ask_budget(|budget| budget.admits_more(now)),
            };
        }
        let Some(first) = self.decoder.first_byte(input) else {
            return Ok(true);
        };
        // 6455-5.5-01: control frames are those with the top bit of the opcode set.
        if self.paused && first & 0x08 == 0 {
            return Ok(false);
        }
        self.ask_budget(|budget| budget.admits(now, first))
    }

    /// Asks the rates, if there are any, and tells the observer if a pause begins.
    fn ask_budget(
        &mut self,
        admits: impl FnOnce(&mut Budget) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let Some(budget) = &mut self.budget else {
            return Ok(true);
        };
        let before = budget.pauses();
        let admitted = admits(budget)?;
        if budget.pauses() > before {
            self.observed.tell(|observer| observer.throttled());
        }
        Ok(admitted)
    }

    /// Whether the frame that was taken whole still has something to give.
    fn has_more(&self) -> bool {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &self.inflation {
            return inflation.has_more();
        }
        false
    }

    /// Decides on a frame by its header.
    fn begin(&mut self, header: &Header) -> Result<Frame, Error> {
        let kind = match header.opcode {
            OpCode::Close => return Ok(self.begin_control(Control::Close)),
            OpCode::Ping => return Ok(self.begin_control(Control::Ping)),
            OpCode::Pong => return Ok(self.begin_control(Control::Pong)),
            OpCode::Continuation => None,
            OpCode::Text => Some(Kind::Text),
            OpCode::Binary => Some(Kind::Binary),
        };
        self.begin_data(kind, header)?;
        Ok(Frame::Data { fin: header.fin })
    }

    fn begin_control(&mut self, control: Control) -> Frame {
        self.received.control_frames += 1;
        Frame::Control(control)
    }

    /// Takes what there is of a control frame's payload, at most 125 bytes in all.
    fn control<'b>(
        &mut self,
        control: Control,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        let piece = self.decoder.payload(input);
        let complete = self.decoder.remaining() == 0;
        let payload = if complete && self.control.is_empty() {
            Payload::from(piece)
        } else {
            self.control.extend_from_slice(piece);
            if !complete {
                return Ok(None);
            }
            Payload::from(core::mem::take(&mut self.control))
        };
        Ok(Some(match control {
            Control::Close => Event::Close(CloseFrame::parse(&payload)?),
            Control::Ping => Event::Ping(payload),
            Control::Pong => Event::Pong(payload),
        }))
    }
}

impl fmt::Debug for Receiver {
    /// Not the bytes that it holds: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("frame", &self.frame)
            .field("remaining", &self.decoder.remaining())
            .field("message", &self.message)
            .field("control", &self.control.len())
            .field("paused", &self.paused)
            .field("budget", &self.budget)
            .field("received", &self.received())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Receiver {
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_none() && self.control.capacity() == 0
    }

    /// Pretends that so many bytes of the message were declared.
    pub(super) fn pretend_size(&mut self, size: u64) {
        if let Some(message) = &mut self.message {
            message.size = size;
        }
    }
}
