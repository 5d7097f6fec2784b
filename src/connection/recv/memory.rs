//! What is held of messages, and how much of it there may be.

use super::Receiver;
use super::message::Parts;
use crate::message::Growth;

impl Receiver {
    /// Bytes that are held: the buffer of a message that is not complete, and what is kept or in use
    /// to inflate. At most 200 bytes of a header and a control frame come on top.
    pub fn held(&self) -> usize {
        let parts = self.message.as_ref().map(|message| &message.parts);
        let buffer = match parts {
            Some(Parts::Assembled(assembler)) => assembler.capacity(),
            Some(Parts::None | Parts::Chunks(_)) | None => 0,
        };
        buffer + self.held_to_inflate()
    }

    /// Whether what may be held in all is limited
    /// ([`Limits::with_max_memory`](crate::Limits::with_max_memory)): then the two halves have to
    /// know what the other holds.
    pub fn has_max_memory(&self) -> bool {
        self.max_memory != u32::MAX
    }

    /// How much of what may be held in all the other half holds
    /// ([`Sender::held`](crate::Sender::held)).
    pub fn set_held_elsewhere(&mut self, held: usize) {
        self.held_elsewhere = in_32_bits(Some(held));
    }

    /// How much of a message may be held. How far it has come does not matter for that, or it would
    /// matter how it is cut into reads.
    pub(super) fn room(&self, compressed: bool) -> usize {
        if !self.has_max_memory() {
            return usize::MAX;
        }
        let besides = match compressed {
            true => self.most_to_inflate(),
            false => self.held_to_inflate(),
        };
        let left = self.max_memory.saturating_sub(self.held_elsewhere);
        (left as usize).saturating_sub(besides)
    }

    /// How a message may grow to `limit` bytes. Where what is held is limited, it has what it needs
    /// and no more: the rest is the other half's.
    pub(super) fn growth(&self, limit: u64) -> Growth {
        let reuses = !self.has_max_memory();
        Growth { limit, reuses }
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "nothing is compressed")]
    fn held_to_inflate(&self) -> usize {
        0
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "nothing is compressed")]
    fn most_to_inflate(&self) -> usize {
        0
    }
}

/// A number of bytes; from 4 GiB on, and without a limit, the largest there is.
pub(super) fn in_32_bits(bytes: Option<usize>) -> u32 {
    let bytes = bytes.map(u32::try_from);
    bytes.and_then(Result::ok).unwrap_or(u32::MAX)
}
