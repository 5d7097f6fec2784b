//! Short messages on a connection with nothing else to see to: most of them.

use super::Sender;
use crate::frame::short_header;
use crate::message::{Kind, Message};

/// Longer messages may be queued without a copy; see `CHAIN_MIN`.
const MAX_PLAIN: usize = super::data::CHAIN_MIN - 1;

impl Sender {
    /// Queues a message in the shortest way. `false` if there is something else to be seen to.
    #[inline(always)]
    pub(super) fn push_plain(&mut self, message: &Message<'_>) -> bool {
        let payload = message.as_bytes();
        let Some(len) = u16::try_from(payload.len()).ok() else {
            return false;
        };
        let is_short = payload.len() <= MAX_PLAIN.min(self.max_fragment as usize);
        // A header has at most fourteen bytes. The message that reaches the limit takes the long
        // way, where that is noted.
        let is_full = self.queue.data_len() + payload.len() + 14 >= self.max_queued;
        if !is_short | is_full || !self.is_plain(payload.len()) {
            return false;
        }
        self.note_plain(payload.len());
        // 6455-5.3-02: a fresh key for each frame.
        let key = self.keys.as_mut();
        let key = key.map(|keys| keys.next_key());
        let is_text = message.kind() == Kind::Text;
        let (header, header_len) = short_header(is_text, len, key.map(u32::from_le_bytes));
        self.queue.push_whole((&header, header_len), key, payload);
        true
    }

    /// Counts such a message.
    #[inline(always)]
    pub(super) fn note_plain(&mut self, len: usize) {
        if let Some(timers) = &mut self.timers {
            timers.note_message();
        }
        self.sent.messages += 1;
        self.sent.payload += len as u64;
    }

    /// Whether nothing but the counters and the queue has to know of a message of so many bytes.
    #[inline(always)]
    pub(super) fn is_plain(&self, len: usize) -> bool {
        // Every question is asked, so there is one branch and not one for each.
        let is_closing = self.closing.ended | self.closing.eof | self.closing.initiator.is_some();
        let is_busy = self.outgoing.is_some() | self.observed.is_some() | self.queue.has_classes();
        let is_bounded = self.max_memory != u32::MAX;
        !(is_closing | is_busy | is_bounded) && !self.may_compress(len)
    }

    #[cfg(feature = "deflate")]
    #[inline(always)]
    fn may_compress(&self, len: usize) -> bool {
        let deflation = self.deflation.as_ref();
        deflation.is_some_and(|deflation| deflation.compresses_from() <= len)
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "nothing is compressed")]
    fn may_compress(&self, _len: usize) -> bool {
        false
    }
}
