//! Messages that are written at once: what the transport takes is not queued, and without a mask not
//! copied either.

use super::data::Outline;
use super::{SendOptions, Sender};
use crate::connection::transmit::{Joined, Priority};
use crate::error::SendError;
use crate::frame::{OpCode, short_header};
use crate::mask::Mask;
use crate::message::{Kind, Message, Payload};

/// Up to so many bytes go over the stack: more than most messages have, and little to clear.
const MAX_SMALL: usize = 248;

/// Of these there is even less to clear.
const MAX_TINY: usize = 56;

impl Sender {
    /// Sends a message through `write`; see
    /// [`Connection::send_through`](crate::Connection::send_through).
    ///
    /// # Errors
    ///
    /// As [`Connection::send_through`](crate::Connection::send_through).
    ///
    /// # Panics
    ///
    /// As [`Connection::send_through`](crate::Connection::send_through).
    // Out of line, every message would go through memory.
    #[inline(always)]
    pub fn send_through<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        mut write: impl FnMut(&[&[u8]]) -> usize,
    ) -> Result<(), SendError> {
        let message = message.into();
        let len = message.as_bytes().len();
        if !self.queue.is_empty() || !self.is_plain(len) {
            return self.send_any(message, SendOptions::new());
        }
        self.note_plain(len);
        let is_one = len <= self.max_fragment as usize;
        match (u16::try_from(len), &mut self.keys) {
            (Ok(short), Some(keys)) if is_one => {
                let key = keys.next_key();
                if len <= MAX_TINY {
                    self.write_joined::<{ MAX_TINY + 8 }>(&message, short, key, write);
                } else if len <= MAX_SMALL {
                    self.write_joined::<{ MAX_SMALL + 8 }>(&message, short, key, write);
                } else {
                    self.write_masked(&message, short, key, write);
                }
            }
            (Ok(short), None) if is_one => {
                let (written, is_all) = self.write_short(&message, short, write);
                if !is_all {
                    let outline = Outline::message(message.kind(), Priority::Normal);
                    self.queue_rest(&outline, message.into_payload(), written);
                }
            }
            _ => self.write_pieces(message, &mut write),
        }
        Ok(())
    }

    /// A message that is masked on its way to the stack.
    // In line, the message stays in registers.
    #[inline(always)]
    fn write_joined<const MAX: usize>(
        &mut self,
        message: &Message<'_>,
        len: u16,
        key: [u8; 4],
        write: impl FnOnce(&[&[u8]]) -> usize,
    ) {
        let payload = message.as_bytes();
        let key_in_header = Some(u32::from_le_bytes(key));
        let (header, header_len) = short_header(message.kind() == Kind::Text, len, key_in_header);
        let mut frame = [0; MAX];
        let (start, _) = frame.split_at_mut(header.len());
        start.copy_from_slice(&header);
        let end = header_len + payload.len();
        if let Some(place) = frame.get_mut(header_len..end) {
            Mask::new(key).copy(payload, place);
        }
        let frame = frame.get(..end).unwrap_or_default();
        let written = write(&[frame, &[]]);
        if written == frame.len() {
            self.queue.note_written(written, true);
        } else {
            // It is masked already.
            self.queue.push_whole((&[], 0), None, frame);
            self.queue.advance(written);
            self.note_room();
        }
    }

    /// A message that is put together in memory of the thread's, masked on the way.
    #[inline(always)]
    fn write_masked(
        &mut self,
        message: &Message<'_>,
        len: u16,
        key: [u8; 4],
        write: impl FnOnce(&[&[u8]]) -> usize,
    ) {
        let key_in_header = Some(u32::from_le_bytes(key));
        let (header, header_len) = short_header(message.kind() == Kind::Text, len, key_in_header);
        let frame = Joined::of_frame((&header, header_len), Some(key), message.as_bytes());
        let written = write(&[&frame, &[]]);
        if written == frame.len() {
            self.queue.note_written(written, true);
            frame.release();
        } else {
            self.queue.push_joined(frame);
            self.queue.advance(written);
            self.note_room();
        }
    }

    /// A short message without a mask: no more than a header in front of it. Returns how much was
    /// written, and whether that was all.
    // The message stays where it is: to move it would cost as much as the rest.
    #[inline]
    fn write_short(
        &mut self,
        message: &Message<'_>,
        len: u16,
        write: impl FnOnce(&[&[u8]]) -> usize,
    ) -> (usize, bool) {
        let payload = message.as_bytes();
        let (header, header_len) = short_header(message.kind() == Kind::Text, len, None);
        let header = header.get(..header_len).unwrap_or_default();
        let written = write(&[header, payload]);
        let is_all = written == header_len + payload.len();
        if is_all {
            self.queue.note_written(written, true);
        }
        (written, is_all)
    }

    /// A message in as many frames as it needs, each of which is masked when it is its turn.
    fn write_pieces(&mut self, message: Message<'_>, write: &mut dyn FnMut(&[&[u8]]) -> usize) {
        let mut outline = Outline::message(message.kind(), Priority::Normal);
        let payload = message.into_payload();
        let mut begun = 0;
        while self.queue.is_empty() {
            let rest = payload.get(begun..).unwrap_or_default();
            let (piece, later) = rest.split_at(rest.len().min(self.max_fragment as usize));
            outline.fin = later.is_empty();
            self.sent.frames += u64::from(!outline.fin);
            self.write_piece(&outline, piece, write);
            if outline.fin {
                return;
            }
            begun += piece.len();
            outline.opcode = OpCode::Continuation;
        }
        let mut rest = payload.into_pieces(self.keys.is_none());
        let _begun = rest.next(begun);
        self.push_rest(outline, true, rest);
        self.note_room();
    }

    fn write_piece(
        &mut self,
        outline: &Outline,
        piece: &[u8],
        write: &mut dyn FnMut(&[&[u8]]) -> usize,
    ) {
        if self.keys.is_some() {
            self.push_one(*outline, piece.into());
            let written = write(&self.queue.first_frame());
            self.queue.advance(written);
            return self.note_room();
        }
        let header = outline.header(None, piece.len());
        let written = write(&[&header, piece]);
        if written == header.len() + piece.len() {
            self.queue.note_written(written, outline.fin);
        } else {
            self.queue_rest(outline, piece.into(), written);
        }
    }

    /// Queues a frame without a mask of which `written` bytes are gone.
    // Without a mask it is encoded as before.
    #[cold]
    fn queue_rest(&mut self, outline: &Outline, payload: Payload<'_>, written: usize) {
        self.push_one(*outline, payload);
        self.queue.advance(written);
        self.note_room();
    }
}
