//! Payloads that the transport reads straight into the message they belong to, without a read buffer
//! in between.

use super::message::Parts;
use super::{End, Frame, Receiver};
use crate::connection::event::Event;
use crate::error::Error;
use crate::message::Growth;

/// So much of the message has to be there before: room is no more than what came, and is to be worth
/// a read.
const MIN_BEFORE: usize = 1024;

/// For less it is not worth a read of its own: with what comes behind it, it is copied in no time.
const MIN_DIRECT: u64 = 4096;

impl Receiver {
    /// Memory to read into; see [`Connection::payload_mut`](crate::Connection::payload_mut).
    pub fn payload_mut(&mut self) -> Option<&mut [u8]> {
        let remaining = self.decoder.remaining();
        // Who is watched goes by what was consumed, and so does a limit for all that is held.
        let is_special = self.watched || self.has_max_memory() || self.end.is_some() || self.eof;
        if remaining < MIN_DIRECT || is_special || !self.frame.is_data() {
            return None;
        }
        let message = self.message.as_mut()?;
        #[cfg(feature = "deflate")]
        if message.compressed {
            return None;
        }
        let Parts::Assembled(assembler) = &mut message.parts else {
            return None;
        };
        if assembler.len() < MIN_BEFORE {
            return None;
        }
        let max = usize::try_from(remaining).unwrap_or(usize::MAX);
        // Of the last frame it is known how much memory will do.
        let limit = match self.frame {
            Frame::Data { fin: true } => message.size,
            Frame::Data { fin: false } | Frame::None | Frame::Control(_) => self.max_message_size,
        };
        let reuses = true;
        message.room_lent = true;
        Some(assembler.room_mut(max, Growth { limit, reuses }))
    }

    /// Takes what was read there; see [`Connection::filled`](crate::Connection::filled).
    ///
    /// # Errors
    ///
    /// As [`Connection::filled`](crate::Connection::filled).
    ///
    /// # Panics
    ///
    /// As [`Connection::filled`](crate::Connection::filled).
    pub fn filled(&mut self, count: usize) -> Result<Option<Event<'static>>, Error> {
        assert!(count <= self.lent(), "more than there was room for");
        if let Some(message) = &mut self.message {
            message.room_lent = false;
        }
        if let Some(End::Failed(error)) = self.end {
            return Err(error);
        }
        self.received.bytes += count as u64;
        let result = self.fill(count);
        if let Err(error) = &result {
            self.finish(End::Failed(*error));
        }
        self.note_plain();
        // It may be kept: it does not borrow anything.
        Ok(result?.map(Event::into_owned))
    }

    /// How many bytes of room were lent last, if nothing was received since.
    fn lent(&self) -> usize {
        let message = self.message.as_ref().filter(|message| message.room_lent);
        let Some(Parts::Assembled(assembler)) = message.map(|message| &message.parts) else {
            return 0;
        };
        let remaining = usize::try_from(self.decoder.remaining()).unwrap_or(usize::MAX);
        assembler.at_hand().min(remaining)
    }

    fn fill(&mut self, count: usize) -> Result<Option<Event<'static>>, Error> {
        let (Some(message), Frame::Data { fin }) = (&mut self.message, self.frame) else {
            return Ok(None);
        };
        let Parts::Assembled(assembler) = &mut message.parts else {
            return Ok(None);
        };
        self.received.payload += count as u64;
        let mask = self.decoder.skip(count);
        let filled = assembler.fill(count, mask);
        filled.map_err(|_| Error::InvalidUtf8)?;
        if self.decoder.remaining() > 0 {
            return Ok(None);
        }
        self.frame = Frame::None;
        self.end_of_frame(fin)
    }
}
