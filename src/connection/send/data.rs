//! Messages and fragments on their way into data frames.

use alloc::vec::Vec;

use super::Sender;
use crate::connection::state::State;
use crate::error::SendError;
use crate::frame::{Header, HeaderBytes, OpCode};
use crate::mask::Mask;
use crate::message::{Kind, Message, Payload, Unsent, append_masked};
use crate::utf8::Validator;

/// Payloads from this size stay where they are and become a segment of their own; smaller ones are
/// copied next to their header. Over a local socket both cost about the same between 4 and 8 KiB:
/// there the copy begins to cost more than another segment and its entry in a vectored write.
const CHAIN_MIN: usize = 4096;

/// The message whose fragments are being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    kind: Kind,
    validator: Validator,
    #[cfg(feature = "deflate")]
    pub(super) compressed: bool,
}

impl Sender {
    /// Queues a message as one frame; see [`Connection::send`](crate::Connection::send).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    #[inline]
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SendError> {
        self.check_send()?;
        self.push_message(message.into());
        Ok(())
    }

    /// Queues a message, or hands it back; see
    /// [`Connection::try_send`](crate::Connection::try_send).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    pub fn try_send<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        let message = message.into();
        match self.check_send() {
            Ok(()) => {
                self.push_message(message);
                Ok(())
            }
            Err(error) => Err(Unsent::new(error, message)),
        }
    }

    #[inline]
    fn push_message(&mut self, message: Message<'_>) {
        #[cfg(feature = "deflate")]
        if self.push_compressed(&message, super::deflate::Compress::Auto) {
            return;
        }
        self.push_plain(message);
    }

    #[inline]
    pub(super) fn push_plain(&mut self, message: Message<'_>) {
        let opcode = opcode_of(message.kind());
        self.push_data(opcode, 0, true, message.into_payload());
    }

    pub(super) fn check_send(&self) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if self.outgoing.is_some() {
            return Err(SendError::MessageInProgress);
        }
        self.check_room()
    }

    /// The limit is a mark: the message that reaches it is still taken, so the bound is the limit
    /// and one message.
    fn check_room(&self) -> Result<(), SendError> {
        let queued = self.queue.data_len();
        let is_full = queued > 0 && queued >= self.max_queued;
        if is_full || queued + self.held_elsewhere >= self.max_memory {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Whether a message would be queued and not be refused as [`SendError::Full`].
    pub fn has_room(&self) -> bool {
        self.check_room().is_ok()
    }

    /// Queues a fragment; see [`Connection::send_fragment`](crate::Connection::send_fragment).
    ///
    /// # Errors
    ///
    /// As [`Connection::send_fragment`](crate::Connection::send_fragment).
    pub fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SendError> {
        let payload = payload.into();
        let outgoing = self.check_fragment(kind, &payload, fin)?;
        #[cfg(feature = "deflate")]
        if self.push_compressed_fragment(outgoing, &payload, fin, super::deflate::Compress::Auto) {
            return Ok(());
        }
        let opcode = self.next_opcode(kind);
        self.outgoing = (!fin).then_some(outgoing);
        self.push_data(opcode, 0, fin, payload);
        Ok(())
    }

    /// The opcode of the next fragment.
    pub(super) fn next_opcode(&self, kind: Kind) -> OpCode {
        match self.outgoing {
            Some(_) => OpCode::Continuation,
            None => opcode_of(kind),
        }
    }

    pub(super) fn check_fragment(
        &self,
        kind: Kind,
        payload: &[u8],
        fin: bool,
    ) -> Result<Outgoing, SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        let mut outgoing = self.outgoing.unwrap_or(Outgoing {
            kind,
            validator: Validator::new(),
            #[cfg(feature = "deflate")]
            compressed: false,
        });
        if outgoing.kind != kind {
            return Err(SendError::KindMismatch);
        }
        self.check_room()?;
        if kind == Kind::Text {
            // 6455-5.6-01: the message as a whole is UTF-8; fragments may split code points.
            let validator = &mut outgoing.validator;
            validator
                .push(payload)
                .map_err(|_| SendError::InvalidUtf8)?;
            if fin {
                validator.finish().map_err(|_| SendError::InvalidUtf8)?;
            }
        }
        Ok(outgoing)
    }

    #[inline]
    pub(super) fn push_data(&mut self, opcode: OpCode, rsv: u8, fin: bool, payload: Payload<'_>) {
        self.note_message();
        // 6455-5.3-02: a fresh key for each frame.
        let key = self.keys.as_mut().map(|keys| keys.next_key());
        let header = frame_header(opcode, rsv, fin, key, payload.len());
        if payload.len() >= CHAIN_MIN {
            self.push_large(&header, key, payload);
        } else {
            self.queue
                .push_frame(|buffer| append(buffer, &header, key, &payload));
        }
    }

    /// Queues a frame without a copy where the payload allows it: a server shares it, a client
    /// masks it in place if nobody else can see it.
    fn push_large(&mut self, header: &[u8], key: Option<[u8; 4]>, payload: Payload<'_>) {
        let payload = match key {
            None => payload.try_into_shared(),
            Some(key) => payload.try_into_unique().map(|mut bytes| {
                Mask::new(key).apply(&mut bytes);
                bytes.freeze()
            }),
        };
        match payload {
            Ok(payload) => self.queue.push_chained(header, payload),
            Err(payload) => self
                .queue
                .push_frame(|buffer| append(buffer, header, key, &payload)),
        }
    }
}

impl Outgoing {
    #[cfg(feature = "deflate")]
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

pub(super) const fn opcode_of(kind: Kind) -> OpCode {
    match kind {
        Kind::Text => OpCode::Text,
        Kind::Binary => OpCode::Binary,
    }
}

#[inline]
pub(super) fn frame_header(
    opcode: OpCode,
    rsv: u8,
    fin: bool,
    key: Option<[u8; 4]>,
    len: usize,
) -> HeaderBytes {
    let header = Header::new(opcode, len as u64).with_fin(fin).with_rsv(rsv);
    match key {
        Some(key) => header.with_mask(key).encode(),
        None => header.encode(),
    }
}

/// Appends a frame, masking on the way.
#[inline]
fn append(buffer: &mut Vec<u8>, header: &[u8], key: Option<[u8; 4]>, payload: &[u8]) {
    buffer.reserve(header.len() + payload.len());
    buffer.extend_from_slice(header);
    append_masked(buffer, payload, key.map(Mask::new));
}
