//! Messages and fragments on their way into data frames.

use super::{SendOptions, Sender};
use crate::connection::state::State;
use crate::connection::transmit::{Place, Priority};
use crate::error::SendError;
use crate::frame::{Header, HeaderBytes, OpCode};
use crate::mask::Mask;
use crate::message::{Kind, Message, Payload, Pieces, Unsent};
use crate::utf8::Validator;

/// Payloads from this size stay where they are and become a segment of their own; smaller ones are
/// copied next to their header. Over a local socket both cost about the same between 4 and 8 KiB:
/// there the copy begins to cost more than another segment and its entry in a vectored write.
pub(super) const CHAIN_MIN: usize = 4096;

/// The message whose fragments are being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    kind: Kind,
    validator: Validator,
    #[cfg(feature = "deflate")]
    pub(super) compressed: bool,
}

/// A data frame, but for its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    /// Its message is compressed.
    pub(super) compressed: bool,
    pub(super) priority: Priority,
}

impl Sender {
    /// Queues a message; see [`Connection::send`](crate::Connection::send).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    // Out of line, every message would go through memory.
    #[inline(always)]
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SendError> {
        let message = message.into();
        if self.push_plain(&message) {
            return Ok(());
        }
        self.send_any(message, SendOptions::new())
    }

    pub(super) fn send_any(
        &mut self,
        message: Message<'_>,
        options: SendOptions,
    ) -> Result<(), SendError> {
        self.check_send(options.priority())?;
        self.push_message(message, options);
        Ok(())
    }

    /// Queues a message, in a class and compressed or not; see
    /// [`Connection::send_with`](crate::Connection::send_with).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    pub fn send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SendError> {
        self.send_any(message.into(), options.into())
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
        self.try_send_with(message, SendOptions::new())
    }

    /// As [`try_send`](Self::try_send), in a class and compressed or not.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    pub fn try_send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        let (message, options) = (message.into(), options.into());
        match self.check_send(options.priority()) {
            Ok(()) => {
                self.push_message(message, options);
                Ok(())
            }
            Err(error) => Err(Unsent::new(error, message)),
        }
    }

    fn push_message(&mut self, message: Message<'_>, options: SendOptions) {
        #[cfg(feature = "deflate")]
        if self.push_compressed(&message, options) {
            return;
        }
        let outline = Outline::message(message.kind(), options.priority());
        let payload = message.into_payload();
        let len = payload.len();
        self.push_data(outline, payload, len);
    }

    #[inline]
    pub(super) fn check_send(&mut self, priority: Priority) -> Result<(), SendError> {
        self.may_send(priority).map_err(|error| self.refuse(error))
    }

    #[inline]
    fn may_send(&self, priority: Priority) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if self.outgoing.is_some() {
            return Err(SendError::MessageInProgress);
        }
        self.check_room(priority)
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
        let len = payload.len();
        self.push_fragment(outgoing, fin, payload, len);
        Ok(())
    }

    /// Queues a fragment, which had `len` bytes before it was compressed.
    pub(super) fn push_fragment(
        &mut self,
        outgoing: Outgoing,
        fin: bool,
        payload: Payload<'_>,
        len: usize,
    ) {
        let opcode = match self.outgoing {
            Some(_) => OpCode::Continuation,
            None => opcode_of(outgoing.kind),
        };
        self.outgoing = (!fin).then_some(outgoing);
        let outline = Outline {
            opcode,
            fin,
            compressed: outgoing.is_compressed(),
            priority: Priority::Normal,
        };
        self.push_data(outline, payload, len);
    }

    pub(super) fn check_fragment(
        &mut self,
        kind: Kind,
        payload: &[u8],
        fin: bool,
    ) -> Result<Outgoing, SendError> {
        self.may_send_fragment(kind, payload, fin)
            .map_err(|error| self.refuse(error))
    }

    fn may_send_fragment(
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
        self.check_room(Priority::Normal)?;
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

    /// Queues a message or fragment, which had `len` bytes before it was compressed.
    #[inline]
    pub(super) fn push_data(&mut self, outline: Outline, payload: Payload<'_>, len: usize) {
        self.note_sent(&outline, len, payload.len());
        if payload.len() <= self.max_fragment as usize {
            self.push_one(outline, payload);
        } else {
            self.push_pieces(outline, payload);
        }
        self.note_room();
    }

    #[inline]
    pub(super) fn push_one(&mut self, outline: Outline, payload: Payload<'_>) {
        // 6455-5.3-02: a fresh key for each frame.
        let key = self.keys.as_mut().map(|keys| keys.next_key());
        let header = outline.header(key, payload.len());
        if payload.len() >= CHAIN_MIN {
            self.push_large(outline.place(), header, key, payload);
        } else {
            self.queue
                .push_frame(outline.place(), &header, key, &payload);
        }
    }

    /// Queues a frame without a copy where the payload allows it. A client's is masked before it
    /// leaves, in place if nobody else can see it.
    fn push_large(
        &mut self,
        place: Place,
        header: HeaderBytes,
        key: Option<[u8; 4]>,
        payload: Payload<'_>,
    ) {
        match payload.try_into_block() {
            Ok(payload) => self
                .queue
                .push_chained(place, header, payload, key.map(Mask::new)),
            Err(payload) => self.queue.push_frame(place, &header, key, &payload),
        }
    }

    /// Queues as several frames what is too large for one, and copies no more of it than of one.
    #[cold]
    fn push_pieces(&mut self, outline: Outline, payload: Payload<'_>) {
        let fin = outline.fin;
        let rest = payload.into_pieces(self.keys.is_none());
        self.push_rest(outline, fin, rest);
    }

    /// Queues the rest of what is too large for one frame.
    pub(super) fn push_rest(&mut self, mut outline: Outline, fin: bool, mut rest: Pieces<'_>) {
        while !rest.is_empty() {
            let piece = rest.next(self.max_fragment as usize);
            outline.fin = fin && rest.is_empty();
            self.sent.frames += u64::from(!rest.is_empty());
            self.push_one(outline, piece);
            outline.opcode = OpCode::Continuation;
        }
    }
}

impl Outline {
    /// A message in one frame.
    #[inline]
    pub(super) fn message(kind: Kind, priority: Priority) -> Self {
        Self {
            opcode: opcode_of(kind),
            fin: true,
            compressed: false,
            priority,
        }
    }

    #[inline]
    pub(super) fn header(&self, key: Option<[u8; 4]>, len: usize) -> HeaderBytes {
        // 7692-6.1-01, 7692-6.1-03
        let rsv = if self.compressed && self.is_first() {
            Header::RSV1
        } else {
            0
        };
        frame_header(self.opcode, rsv, self.fin, key, len)
    }

    #[inline]
    fn place(&self) -> Place {
        Place {
            priority: self.priority,
            first: self.is_first(),
            fin: self.fin,
            compressed: self.compressed,
        }
    }

    fn is_first(&self) -> bool {
        self.opcode != OpCode::Continuation
    }
}

impl Outgoing {
    #[cfg(feature = "deflate")]
    fn is_compressed(&self) -> bool {
        self.compressed
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "nothing is compressed")]
    fn is_compressed(&self) -> bool {
        false
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
