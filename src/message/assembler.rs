//! Puts messages together that arrive in more than one piece.

use alloc::vec::Vec;
use core::fmt;

use super::text::TextBuffer;
use super::{Kind, Message, Payload};
use crate::mask::Mask;
use crate::utf8::InvalidUtf8;

/// The payload of one message so far. One contiguous buffer: a fragment costs its bytes and nothing
/// else.
pub(crate) enum Assembler {
    Text(TextBuffer),
    Binary(Vec<u8>),
}

impl Assembler {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(TextBuffer::default()),
            Kind::Binary => Self::Binary(Vec::new()),
        }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Bytes that the buffer has memory for.
    pub(crate) fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Unmasks and appends a piece. The buffer grows with the bytes that came, never with a
    /// declared length, and to no more than `limit`, which the caller has seen that they keep to.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        mask: Option<Mask>,
        limit: u64,
    ) -> Result<(), InvalidUtf8> {
        match self {
            Self::Text(text) => text.push(piece, mask, limit),
            Self::Binary(bytes) => {
                append(bytes, piece, mask, limit);
                Ok(())
            }
        }
    }

    /// The message, at its end.
    pub(crate) fn finish(self) -> Result<Message<'static>, InvalidUtf8> {
        match self {
            Self::Text(text) => Ok(Message::Text(text.finish()?)),
            Self::Binary(bytes) => Ok(Message::Binary(Payload::from(bytes))),
        }
    }
}

impl fmt::Debug for Assembler {
    /// Not the bytes: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        };
        write!(f, "{kind:?}({} bytes)", self.len())
    }
}

/// Appends and unmasks.
fn append(buffer: &mut Vec<u8>, piece: &[u8], mask: Option<Mask>, limit: u64) {
    reserve(buffer, piece.len(), limit);
    append_masked(buffer, piece, mask);
}

/// Makes room for `count` bytes, which together with those that are there keep to `limit`.
pub(super) fn reserve(buffer: &mut Vec<u8>, count: usize, limit: u64) {
    let needed = buffer.len() + count;
    if needed > buffer.capacity() {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let capacity = buffer.capacity().saturating_mul(2).min(limit).max(needed);
        buffer.reserve_exact(capacity - buffer.len());
    }
}

/// Copies and masks in steps that stay in the first-level cache, which makes one pass over memory
/// of the two.
pub(crate) fn append_masked(buffer: &mut Vec<u8>, piece: &[u8], mask: Option<Mask>) {
    const STEP: usize = 4096;
    let Some(mut mask) = mask else {
        buffer.extend_from_slice(piece);
        return;
    };
    buffer.reserve(piece.len());
    for step in piece.chunks(STEP) {
        let start = buffer.len();
        buffer.extend_from_slice(step);
        mask.apply(buffer.get_mut(start..).unwrap_or_default());
    }
}
