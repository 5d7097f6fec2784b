//! Messages out of data frames: lent whole out of the input, assembled, or handed out in pieces.

use super::Receiver;
use crate::config::Delivery;
use crate::connection::event::{Event, Fragment};
use crate::error::{CapacityError, Error, PolicyError, ProtocolError};
use crate::frame::Header;
use crate::input::Input;
use crate::message::{Assembler, Kind};
use crate::utf8::Validator;

/// The message whose frames arrive.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) kind: Kind,
    /// Payload bytes that its headers declared so far; at most `max_message_size` unless it is
    /// compressed.
    pub(super) size: u64,
    /// Its frames so far, and those without payload.
    fragments: u64,
    empty_fragments: u32,
    /// Its payload goes through the inflater (RFC 7692 section 6).
    #[cfg(feature = "deflate")]
    pub(super) compressed: bool,
    /// Room was lent to be read into, and nothing was received since.
    pub(super) room_lent: bool,
    pub(super) parts: Parts,
}

#[derive(Debug)]
pub(super) enum Parts {
    /// Nothing was taken yet.
    None,
    Assembled(Assembler),
    /// Pieces are handed out. Text goes through the validator.
    Chunks(Validator),
}

impl Receiver {
    /// Decides on a data frame by its header and the message it is in. `None` is a continuation.
    pub(super) fn begin_data(&mut self, kind: Option<Kind>, header: &Header) -> Result<(), Error> {
        self.received.frames += 1;
        // 6455-5.4-02, 6455-5.4-07: fragments of two messages are not mixed.
        let before = match (kind, &self.message) {
            (Some(_), None) => 0,
            (None, Some(message)) => message.size,
            (None, None) => return Err(ProtocolError::UnexpectedContinuation.into()),
            (Some(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation.into()),
        };
        // 6455-10.4-01: limits are checked on what the header declares, before any payload is
        // taken.
        if header.len > self.max_frame_size {
            return Err(CapacityError::FrameTooLarge.into());
        }
        #[cfg(feature = "deflate")]
        let compressed = match &self.message {
            None => header.rsv & Header::RSV1 != 0,
            Some(message) => message.compressed,
        };
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        let max_size = if compressed {
            // What inflates to the limit may itself be larger: stored blocks have headers.
            self.max_message_size
                .saturating_add(self.max_message_size / 256 + 64)
        } else {
            self.max_message_size
        };
        let size = match before.checked_add(header.len) {
            Some(size) if size <= max_size => size,
            _ => return Err(CapacityError::MessageTooLarge.into()),
        };
        let message = self.message.get_or_insert_with(|| Incoming {
            kind: kind.unwrap_or(Kind::Binary),
            size,
            fragments: 0,
            empty_fragments: 0,
            #[cfg(feature = "deflate")]
            compressed,
            room_lent: false,
            parts: Parts::None,
        });
        message.size = size;
        message.fragments += 1;
        if message.fragments > self.max_fragments {
            return Err(PolicyError::TooManyFragments.into());
        }
        if header.len == 0 && !header.fin {
            message.empty_fragments += 1;
            if message.empty_fragments > self.max_empty_fragments {
                return Err(PolicyError::TooManyEmptyFragments.into());
            }
        }
        Ok(())
    }

    /// Takes what there is of a data frame's payload.
    pub(super) fn data<'b>(
        &mut self,
        fin: bool,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        #[cfg(feature = "deflate")]
        if self
            .message
            .as_ref()
            .is_some_and(|message| message.compressed)
        {
            return self.inflate(fin, input);
        }
        match self.delivery {
            Delivery::Messages => self.assemble(fin, input),
            Delivery::Chunks => self.chunk(fin, input),
        }
    }

    /// Appends what there is of a data frame's payload to the message.
    fn assemble<'b>(
        &mut self,
        fin: bool,
        input: &mut Input<'_>,
    ) -> Result<Option<Event<'b>>, Error> {
        let room = self.room(false);
        let growth = self.growth(self.max_message_size.min(room as u64));
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        if !matches!(message.parts, Parts::Assembled(_)) {
            message.parts = Parts::Assembled(Assembler::new(message.kind));
        }
        let Parts::Assembled(assembler) = &mut message.parts else {
            return Ok(None);
        };
        let (piece, mask) = self.decoder.payload_masked(input);
        if assembler.len() + piece.len() > room {
            return Err(CapacityError::OutOfMemory.into());
        }
        self.received.payload += piece.len() as u64;
        assembler
            .push(piece, mask, growth)
            .map_err(|_| Error::InvalidUtf8)?;
        if self.decoder.remaining() > 0 {
            return Ok(None);
        }
        self.end_of_frame(fin)
    }

    /// The message, if the frame that was appended to it was its last.
    pub(super) fn end_of_frame<'b>(&mut self, fin: bool) -> Result<Option<Event<'b>>, Error> {
        if !fin {
            return Ok(None);
        }
        match self.message.take().map(|message| message.parts) {
            Some(Parts::Assembled(assembler)) => {
                self.received.messages += 1;
                let message = assembler.finish().map_err(|_| Error::InvalidUtf8)?;
                Ok(Some(message.into()))
            }
            _ => Ok(None),
        }
    }

    /// Hands out what there is of a data frame's payload.
    fn chunk<'b>(&mut self, fin: bool, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Error> {
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        let first = !matches!(message.parts, Parts::Chunks(_));
        let mut validator = match message.parts {
            Parts::Chunks(validator) => validator,
            Parts::None | Parts::Assembled(_) => Validator::new(),
        };
        let piece = self.decoder.payload(input);
        let last = fin && self.decoder.remaining() == 0;
        self.received.payload += piece.len() as u64;
        self.received.messages += u64::from(last);
        if message.kind == Kind::Text {
            validator.push(piece).map_err(|_| Error::InvalidUtf8)?;
            if last {
                validator.finish().map_err(|_| Error::InvalidUtf8)?;
            }
        }
        if piece.is_empty() && !last {
            // Empty fragments cost nothing and say nothing.
            return Ok(None);
        }
        let kind = message.kind;
        if last {
            self.message = None;
        } else {
            message.parts = Parts::Chunks(validator);
        }
        Ok(Some(Event::Fragment(Fragment::new(
            kind,
            piece.into(),
            first,
            last,
        ))))
    }
}
