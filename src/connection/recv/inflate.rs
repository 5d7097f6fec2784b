//! Receiving compressed messages (RFC 7692 section 6.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::BytesMut;

use super::Receiver;
use super::message::{Incoming, Parts};
use crate::config::{Config, DeflateParams, Delivery, Limits, MAX_WINDOW_BITS, Memory};
use crate::connection::event::{Event, Fragment};
use crate::error::{CapacityError, Error};
use crate::extension::deflate::{INFLATE_SIZE, Inflater, with_scratch};
use crate::frame::Rules;
use crate::input::Input;
use crate::message::{Assembler, Growth, Kind};
use crate::time::Instant;
use crate::utf8::Validator;

/// With [`Delivery::Chunks`], so many compressed bytes are taken at a time: what they inflate to in
/// excess of one piece waits as these few bytes.
const TAKE: usize = 2048;

/// In less room than this, inflating goes a detour: it comes in many small steps, and slowly.
const MIN_ROOM: usize = 16 * 1024;

/// So few compressed bytes may be nothing but the end of the last block.
const END: usize = 16;

/// Below this size a message may be compressed as much as it likes.
const RATIO_FROM: u64 = 64 * 1024;

/// Compressed bytes count for the ratio in steps: all of one as soon as its first byte is inflated,
/// but never more than were declared. The outcome must not depend on how bytes are cut into reads,
/// and a message may begin with what compresses far more than the rest of it. So it may be ahead of
/// what came by this many bytes times the ratio.
const RATIO_STEP: u64 = 4096;

/// What was agreed on for received messages, and the inflater once the first one came.
#[derive(Debug)]
pub(super) struct Inflation {
    memory: Memory,
    takeover: bool,
    window_bits: u8,
    max_ratio: Option<u32>,
    idle_release: Option<Duration>,
    active: Option<Box<Active>>,
}

struct Active {
    inflater: Inflater,
    /// Bytes that the message became so far.
    inflated: u64,
    /// Compressed bytes that were taken and not inflated yet: with `Delivery::Chunks` only.
    pending: Vec<u8>,
    /// There is more to be had without further input.
    more: bool,
    /// The last output was as much as there was room for, so some may be left inside the codec.
    full: bool,
}

/// How much a message may become.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    size: u64,
    ratio: Option<u32>,
    /// Compressed bytes that the headers declared so far.
    declared: u64,
}

impl Bounds {
    /// The bound that is reached first, and what it means, for what comes of the compressed bytes
    /// up to `end`.
    fn tighter(self, end: u64) -> (u64, CapacityError) {
        let by_ratio = self.ratio.map(|ratio| {
            let compressed = end.min(self.declared);
            compressed.saturating_mul(ratio.into()).max(RATIO_FROM)
        });
        match by_ratio {
            Some(allowed) if allowed < self.size => (allowed, CapacityError::RatioTooHigh),
            _ => (self.size, CapacityError::MessageTooLarge),
        }
    }

    /// Where the step ends that the next compressed byte is in, or the last one if that has more to
    /// give.
    fn step_end(self, consumed: u64, full: bool) -> u64 {
        let whole = consumed - consumed % RATIO_STEP;
        match self.ratio {
            None => u64::MAX,
            Some(_) if full && consumed > 0 && whole == consumed => consumed,
            Some(_) => whole.saturating_add(RATIO_STEP),
        }
    }
}

impl Receiver {
    /// Gets ready for compressed messages.
    pub(in crate::connection) fn with_deflate(
        mut self,
        config: &Config,
        rules: Rules,
        params: DeflateParams,
        is_server: bool,
    ) -> Self {
        let (no_takeover, window_bits) = if is_server {
            (
                params.client_no_context_takeover,
                params.client_max_window_bits,
            )
        } else {
            (
                params.server_no_context_takeover,
                params.server_max_window_bits,
            )
        };
        self.decoder = crate::frame::Decoder::new(rules.with_rsv(crate::frame::Header::RSV1));
        self.inflation = Some(Inflation {
            memory: config
                .deflate()
                .map_or(Memory::Window, crate::config::Deflate::receive_memory),
            takeover: !no_takeover,
            window_bits,
            max_ratio: config.limits().max_inflate_ratio(),
            idle_release: config
                .deflate()
                .and_then(crate::config::Deflate::idle_release),
            active: None,
        });
        self
    }

    /// Gives back the codec that is retained; see
    /// [`Connection::shrink`](crate::Connection::shrink).
    pub fn shrink(&mut self) {
        if let Some(inflater) = self.inflater() {
            inflater.shrink();
        }
    }

    pub(super) fn set_inflate_limits(&mut self, limits: &Limits) {
        if let Some(inflation) = &mut self.inflation {
            inflation.max_ratio = limits.max_inflate_ratio();
        }
    }

    pub(super) fn inflater(&mut self) -> Option<&mut Inflater> {
        let active = self.inflation.as_mut()?.active.as_mut()?;
        Some(&mut active.inflater)
    }

    pub(super) fn inflater_timeout(&self) -> Option<Instant> {
        let active = self.inflation.as_ref()?.active.as_ref()?;
        active.inflater.poll_timeout()
    }

    /// Bytes that are held now, besides messages.
    pub(super) fn held_to_inflate(&self) -> usize {
        let active = self.inflation.as_ref().and_then(|it| it.active.as_ref());
        active.map_or(0, |active| {
            active.inflater.held() + active.pending.capacity()
        })
    }

    /// The most that is held in the middle of a compressed message, besides it.
    pub(super) fn most_to_inflate(&self) -> usize {
        let window = |inflation: &Inflation| 1 << inflation.window_bits.min(MAX_WINDOW_BITS);
        INFLATE_SIZE + self.inflation.as_ref().map_or(0, window)
    }

    /// Takes and inflates what there is of a data frame's payload.
    pub(super) fn inflate<'b>(
        &mut self,
        fin: bool,
        input: &mut Input<'_>,
    ) -> Result<Option<Event<'b>>, Error> {
        match self.delivery {
            Delivery::Messages => self.inflate_message(fin, input),
            Delivery::Chunks => self.inflate_chunk(fin, input),
        }
    }

    fn inflate_message<'b>(
        &mut self,
        fin: bool,
        input: &mut Input<'_>,
    ) -> Result<Option<Event<'b>>, Error> {
        let room = self.room(true);
        let growth = self.growth(self.max_message_size.min(room as u64));
        let (Some(message), Some(inflation)) = (&mut self.message, &mut self.inflation) else {
            return Ok(None);
        };
        let bounds = Bounds {
            size: self.max_message_size,
            ratio: inflation.max_ratio,
            declared: message.size,
        };
        let active = inflation.activate();
        let piece = self.decoder.payload(input);
        if matches!(message.parts, Parts::None) {
            let assembler = Assembler::reusing(message.kind, MIN_ROOM, piece.len(), growth);
            message.parts = Parts::Assembled(assembler);
        }
        let Parts::Assembled(assembler) = &mut message.parts else {
            return Ok(None);
        };
        self.received.compressed += piece.len() as u64;
        let mut rest = &*piece;
        loop {
            let (count, result) = match room_in_place(assembler, rest.len(), growth) {
                Some(len) => active.inflate_in_place(&mut rest, assembler, len, growth, bounds),
                None => active.inflate_beside(&mut rest, assembler, room, growth, bounds),
            };
            self.received.inflated += count as u64;
            result?;
            if !active.more {
                break;
            }
        }
        if !fin || self.decoder.remaining() > 0 {
            return Ok(None);
        }
        let parts = self.message.take().map(|message| message.parts);
        let Some(Parts::Assembled(assembler)) = parts else {
            return Ok(None);
        };
        // In the order in which pieces are checked: text, then its compression.
        self.received.messages += 1;
        self.received.payload += assembler.len() as u64;
        let message = assembler.finish().map_err(|_| Error::InvalidUtf8)?;
        active.finish(message.as_bytes())?;
        Ok(Some(message.into()))
    }

    fn inflate_chunk<'b>(
        &mut self,
        fin: bool,
        input: &mut Input<'_>,
    ) -> Result<Option<Event<'b>>, Error> {
        let (Some(message), Some(inflation)) = (&mut self.message, &mut self.inflation) else {
            return Ok(None);
        };
        let bounds = Bounds {
            size: self.max_message_size,
            ratio: inflation.max_ratio,
            declared: message.size,
        };
        let active = inflation.activate();
        loop {
            let mut pending = core::mem::take(&mut active.pending);
            let (plaintext, result) = if active.more {
                let mut rest = &*pending;
                let inflated = active.inflate_owned(&mut rest, bounds);
                let consumed = pending.len() - rest.len();
                pending.drain(..consumed);
                active.pending = pending;
                inflated
            } else {
                let piece = self.decoder.payload_up_to(input, TAKE);
                self.received.compressed += piece.len() as u64;
                let mut rest = &*piece;
                let inflated = active.inflate_owned(&mut rest, bounds);
                active.pending = rest.to_vec();
                inflated
            };
            let last = result.is_ok() && fin && self.decoder.remaining() == 0 && !active.more;
            self.received.inflated += plaintext.len() as u64;
            self.received.payload += plaintext.len() as u64;
            self.received.messages += u64::from(last);
            if !plaintext.is_empty() || last {
                let event = message.fragment(plaintext, last)?;
                result?;
                if last {
                    active.finish(&[])?;
                    self.message = None;
                }
                return Ok(Some(event));
            }
            result?;
            if !active.more && (input.is_empty() || self.decoder.remaining() == 0) {
                return Ok(None);
            }
        }
    }
}

/// How much may be inflated into the message where it is, if that is worth it: there is memory for
/// it already, or enough has come that it may double.
fn room_in_place(assembler: &Assembler, compressed: usize, growth: Growth) -> Option<usize> {
    let limit = usize::try_from(growth.limit).unwrap_or(usize::MAX);
    let left = limit.saturating_sub(assembler.len());
    let at_hand = left.min(assembler.at_hand());
    if at_hand >= MIN_ROOM {
        return Some(at_hand);
    }
    let may_double = assembler.len() >= MIN_ROOM && compressed > END;
    (may_double && left >= MIN_ROOM).then_some(left)
}

impl Incoming {
    /// The next piece of a message that is handed out as it comes.
    fn fragment(&mut self, plaintext: BytesMut, last: bool) -> Result<Event<'static>, Error> {
        let (first, mut validator) = match self.parts {
            Parts::Chunks(validator) => (false, validator),
            Parts::None | Parts::Assembled(_) => (true, Validator::new()),
        };
        if self.kind == Kind::Text {
            validator.push(&plaintext).map_err(|_| Error::InvalidUtf8)?;
            if last {
                validator.finish().map_err(|_| Error::InvalidUtf8)?;
            }
        }
        self.parts = Parts::Chunks(validator);
        let fragment = Fragment::new(self.kind, plaintext.into(), first, last);
        Ok(Event::Fragment(fragment))
    }
}

impl Inflation {
    pub(super) fn has_more(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.more)
    }

    /// The inflater. A connection that receives nothing compressed has none.
    fn activate(&mut self) -> &mut Active {
        self.active.get_or_insert_with(|| {
            Box::new(Active {
                inflater: Inflater::new(
                    self.memory,
                    self.takeover,
                    self.window_bits,
                    self.idle_release,
                ),
                inflated: 0,
                pending: Vec::new(),
                more: false,
                full: false,
            })
        })
    }
}

impl Active {
    /// Inflates into the message, of which there are `len` bytes more at most.
    fn inflate_in_place(
        &mut self,
        input: &mut &[u8],
        assembler: &mut Assembler,
        len: usize,
        growth: Growth,
        bounds: Bounds,
    ) -> (usize, Result<(), Error>) {
        let (before, room) = assembler.with_room(len, growth);
        let (count, result) = self.inflate(input, before, room, bounds);
        // 7692-6.1-05: UTF-8 is asked of what was inflated.
        let taken = assembler.fill(count, None);
        (count, taken.map_err(|_| Error::InvalidUtf8).and(result))
    }

    /// Inflates into the thread's space, while the message may have no end of memory, or may end
    /// soon. It may take up to `room` bytes.
    fn inflate_beside(
        &mut self,
        input: &mut &[u8],
        assembler: &mut Assembler,
        room: usize,
        growth: Growth,
        bounds: Bounds,
    ) -> (usize, Result<(), Error>) {
        with_scratch(|scratch| {
            let (count, result) = self.inflate(input, assembler.as_bytes(), scratch, bounds);
            if assembler.len() + count > room {
                return (0, Err(CapacityError::OutOfMemory.into()));
            }
            let plaintext = scratch.get(..count).unwrap_or_default();
            let taken = assembler.push(plaintext, None, growth);
            (count, taken.map_err(|_| Error::InvalidUtf8).and(result))
        })
    }

    /// Inflates from the front of `input` into `output`, and counts as it goes: no byte beyond the
    /// bounds is counted. `before` is what is at hand of the message. Returns how many bytes came.
    ///
    /// What came before a fault comes with it: text is to be checked first, or it would depend on
    /// how the input is cut which of two faults is found.
    fn inflate(
        &mut self,
        input: &mut &[u8],
        before: &[u8],
        output: &mut [u8],
        bounds: Bounds,
    ) -> (usize, Result<(), Error>) {
        let consumed = self.inflater.consumed();
        let end = bounds.step_end(consumed, self.full);
        let (allowed, error) = bounds.tighter(end);
        // One byte more than allowed is enough to know.
        let left = allowed.saturating_sub(self.inflated).saturating_add(1);
        let room = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(output.len());
        let room = output.get_mut(..room).unwrap_or_default();
        let step = usize::try_from(end - consumed).unwrap_or(usize::MAX);
        let (mut part, rest) = input.split_at(step.min(input.len()));
        let (mut count, inflated) = self.inflater.inflate(&mut part, before, room);
        *input = input
            .get(input.len() - part.len() - rest.len()..)
            .unwrap_or_default();
        self.full = count == room.len();
        self.more = inflated.is_ok() && (!input.is_empty() || self.full);
        self.inflated += count as u64;
        let result = if self.inflated > allowed {
            count = count.saturating_sub(1);
            Err(error.into())
        } else {
            inflated.map_err(|_| Error::InvalidDeflate)
        };
        (count, result)
    }

    fn inflate_owned(
        &mut self,
        input: &mut &[u8],
        bounds: Bounds,
    ) -> (BytesMut, Result<(), Error>) {
        with_scratch(|scratch| {
            let (count, result) = self.inflate(input, &[], scratch, bounds);
            let plaintext = scratch.get(..count).unwrap_or_default();
            self.inflater.note(plaintext);
            (BytesMut::from(plaintext), result)
        })
    }

    /// Ends a message, of which so much is at hand.
    fn finish(&mut self, message: &[u8]) -> Result<(), Error> {
        (self.inflated, self.full) = (0, false);
        self.pending = Vec::new();
        self.inflater
            .finish(message)
            .map_err(|_| Error::InvalidDeflate)
    }
}

impl fmt::Debug for Active {
    /// Not the bytes that wait, from which a message can be had.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active")
            .field("inflater", &self.inflater)
            .field("inflated", &self.inflated)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
