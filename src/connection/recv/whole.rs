//! Messages in one frame that lies whole in the input: most of them. They are unmasked in place and
//! lent out of it.

use super::{End, Frame, Receiver};
use crate::config::Delivery;
use crate::connection::event::Event;
use crate::error::Error;
use crate::frame::{Header, OpCode, Whole};
use crate::input::Input;
use crate::mask::Mask;
use crate::message::Text;

impl Receiver {
    /// Takes such a message in the shortest way, if there is nothing else to be seen to. `None`
    /// leaves the input as it is.
    // Out of line, the event would go through memory, which costs as much as all of this.
    #[inline(always)]
    pub(in crate::connection) fn take_plain<'b>(
        &mut self,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        if !self.is_plain {
            return Ok(None);
        }
        let Some(whole) = self.whole_message(input) else {
            return Ok(None);
        };
        self.received.bytes += whole.len as u64;
        match self.lend(whole, input) {
            Ok(event) => Ok(Some(event)),
            Err(error) => Err(self.fail(error, input)),
        }
    }

    /// A message in one frame that lies whole in front of the input and is within the limits. Only
    /// between frames.
    #[inline(always)]
    pub(super) fn whole_message(&self, input: &Input<'_>) -> Option<Whole> {
        let whole = Whole::decode(input.as_slice(), self.is_masked)?;
        let len = whole.payload_len() as u64;
        (len <= self.max_frame_size && len <= self.max_message_size).then_some(whole)
    }

    /// Whether the input is the beginning of such a message, or may be, and all of it will fit where
    /// that is.
    #[cold]
    pub(super) fn is_cut(&self, input: &Input<'_>) -> bool {
        if !self.takes_whole() || input.is_empty() {
            return false;
        }
        match Header::decode(input.as_slice(), self.decoder.rules()) {
            // INVARIANT: what is left is less than the capacity, or nobody could read on.
            Ok(None) => input.capacity() >= Header::MAX_LEN,
            Ok(Some((header, header_len))) => {
                let is_message = matches!(header.opcode, OpCode::Text | OpCode::Binary);
                let len = header.len.saturating_add(header_len as u64);
                is_message
                    && header.fin
                    && header.rsv == 0
                    && len <= input.capacity() as u64
                    && len > input.len() as u64
                    && header.len <= self.max_frame_size.min(self.max_message_size)
            }
            Err(_) => false,
        }
    }

    /// Lends it out of the input.
    #[inline(always)]
    pub(super) fn lend<'b>(
        &mut self,
        whole: Whole,
        input: &mut Input<'b>,
    ) -> Result<Event<'b>, Error> {
        let frame = input.take(whole.len);
        // The header is in front of the frame, so there is no other case.
        let (header, payload) = frame
            .split_at_mut_checked(whole.header_len)
            .unwrap_or_default();
        self.whole_messages += 1;
        self.received.payload += payload.len() as u64;
        // RFC 6455 section 5.2: the masking key is the last part of the header.
        let key = header.last_chunk().copied().filter(|_| self.is_masked);
        if whole.is_text {
            let text = Text::unmask(payload, key.map(Mask::new));
            return Ok(Event::Text(text.map_err(|_| self.note_invalid())?));
        }
        if let Some(key) = key {
            Mask::new(key).apply(payload);
        }
        Ok(Event::Binary(payload.into()))
    }

    /// Counts as a frame what was counted as a message.
    #[cold]
    fn note_invalid(&mut self) -> Error {
        self.whole_messages -= 1;
        self.received.frames += 1;
        Error::InvalidUtf8
    }

    /// Ends receiving, with the error that is to be repeated.
    #[cold]
    pub(super) fn fail(&mut self, error: Error, input: &mut Input<'_>) -> Error {
        self.finish(End::Failed(error));
        input.take_all();
        error
    }

    /// Notes whether the next frame may be taken the shortest way.
    pub(super) fn note_plain(&mut self) {
        self.is_plain = self.takes_whole() && !self.watched && !self.eof && self.end.is_none();
    }

    /// Whether a whole message may be next.
    pub(super) fn takes_whole(&self) -> bool {
        self.frame == Frame::None
            && self.message.is_none()
            && self.delivery == Delivery::Messages
            && self.decoder.is_between_frames()
    }
}
