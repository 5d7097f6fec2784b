//! Puts messages together that arrive in more than one piece.

use core::fmt;

use super::buffer::{Buffer, Growth};
use super::text::TextBuffer;
use super::{Kind, Message, Payload};
use crate::mask::Mask;
use crate::utf8::InvalidUtf8;

/// The payload of one message so far. One contiguous buffer: a fragment costs its bytes and nothing
/// else.
pub(crate) enum Assembler {
    Text(TextBuffer),
    Binary(Buffer),
}

impl Assembler {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(TextBuffer::default()),
            Kind::Binary => Self::Binary(Buffer::default()),
        }
    }

    /// With memory that was used before; see [`Buffer::reusing`].
    #[cfg(feature = "deflate")]
    pub(crate) fn reusing(kind: Kind, needed: usize, came: usize, growth: Growth) -> Self {
        let buffer = Buffer::reusing(needed, came, growth);
        match kind {
            Kind::Text => Self::Text(TextBuffer::new(buffer)),
            Kind::Binary => Self::Binary(buffer),
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
    /// declared length, and to no more than its limit, which the caller has seen that they keep to.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        mask: Option<Mask>,
        growth: Growth,
    ) -> Result<(), InvalidUtf8> {
        match self {
            Self::Text(text) => text.push(piece, mask, growth),
            Self::Binary(bytes) => {
                bytes.append(piece, mask, growth);
                Ok(())
            }
        }
    }

    /// Room for up to `max` more bytes, to be read into; see [`Buffer::room_mut`].
    pub(crate) fn room_mut(&mut self, max: usize, growth: Growth) -> &mut [u8] {
        match self {
            Self::Text(text) => text.room_mut(max, growth),
            Self::Binary(bytes) => bytes.room_mut(max, growth),
        }
    }

    /// What came so far, and room for up to `max` more bytes; see [`Buffer::with_room`].
    #[cfg(feature = "deflate")]
    pub(crate) fn with_room(&mut self, max: usize, growth: Growth) -> (&[u8], &mut [u8]) {
        match self {
            Self::Text(text) => text.with_room(max, growth),
            Self::Binary(bytes) => bytes.with_room(max, growth),
        }
    }

    /// What came so far.
    #[cfg(feature = "deflate")]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// How many bytes of that are initialized.
    pub(crate) fn at_hand(&self) -> usize {
        match self {
            Self::Text(text) => text.at_hand(),
            Self::Binary(bytes) => bytes.at_hand(),
        }
    }

    /// Takes `count` bytes that were read into the room, and unmasks them.
    pub(crate) fn fill(&mut self, count: usize, mask: Option<Mask>) -> Result<(), InvalidUtf8> {
        match self {
            Self::Text(text) => text.fill(count, mask),
            Self::Binary(bytes) => {
                let filled = bytes.fill(count);
                if let Some(mut mask) = mask {
                    mask.apply(filled);
                }
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

/// What is done to bytes one thing after the other is done in steps that stay in the first-level
/// cache, which makes one pass over memory of them.
///
/// Longer copies are slow on some processors: glibc makes them with `rep movsb`.
pub(super) const STEP: usize = 2048;
