//! How much waits: from where on messages are refused, and when that is over.

use super::Sender;
use crate::connection::transmit::Priority;
use crate::error::SendError;

/// The classes that had no room, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Full(u8);

impl Sender {
    /// Whether a message would be queued and not be refused as [`SendError::Full`].
    #[inline]
    pub fn has_room(&self) -> bool {
        self.has_room_for(Priority::Normal)
    }

    /// Whether a message of this class would be queued and not be refused as [`SendError::Full`].
    #[inline]
    pub fn has_room_for(&self, priority: Priority) -> bool {
        self.check_room(priority).is_ok()
    }

    /// Whether a class that had no room has drained; see
    /// [`Connection::poll_drained`](crate::Connection::poll_drained).
    pub fn poll_drained(&mut self) -> bool {
        let before = self.full;
        for class in Priority::ALL {
            let waiting = self.queue.data_ahead(class);
            if waiting <= self.low_water as usize && self.has_room_for(class) {
                self.full.remove(class);
            }
        }
        self.full != before
    }

    /// Whether no more data waits than [`Limits::low_water`](crate::Limits::low_water).
    pub fn is_drained(&self) -> bool {
        self.queue.data_len() <= self.low_water as usize
    }

    /// The limit is a mark: the message that reaches it is still taken, so the bound is the limit
    /// and one message. What a message overtakes does not keep it out.
    #[inline]
    pub(super) fn check_room(&self, priority: Priority) -> Result<(), SendError> {
        let queued = self.queue.data_ahead(priority);
        let is_full = queued > 0 && queued >= self.max_queued;
        // However urgent, there is no room where there is no memory. But what is held by others need
        // not become less while nothing waits, so then a message is taken.
        if is_full || (self.is_out_of_memory() && !self.queue.is_empty()) {
            return Err(SendError::Full);
        }
        Ok(())
    }

    #[inline]
    fn is_out_of_memory(&self) -> bool {
        let held = || self.held() + self.held_elsewhere as usize;
        self.has_max_memory() && held() >= self.max_memory as usize
    }

    /// Whether what may be held in all is limited; see
    /// [`Receiver::has_max_memory`](crate::Receiver::has_max_memory).
    pub fn has_max_memory(&self) -> bool {
        self.max_memory != u32::MAX
    }

    /// Bytes that are held: output that waits, and what is kept or in use to compress.
    pub fn held(&self) -> usize {
        self.queue.len() + self.held_to_deflate()
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "nothing is compressed")]
    fn held_to_deflate(&self) -> usize {
        0
    }

    /// How much of what may be held in all the other half holds
    /// ([`Receiver::held`](crate::Receiver::held)). It matters only with such a
    /// [limit](Self::has_max_memory).
    pub fn set_held_elsewhere(&mut self, held: usize) {
        self.held_elsewhere = super::in_32_bits(held);
        self.note_room();
    }

    /// Notes which classes have no room any more, after something was queued or held.
    #[inline]
    pub(super) fn note_room(&mut self) {
        if self.queue.data_len() >= self.max_queued || self.is_out_of_memory() {
            self.note_full();
        }
    }

    #[cold]
    fn note_full(&mut self) {
        for class in Priority::ALL {
            if self.check_room(class).is_err() {
                self.full.insert(class);
            }
        }
    }
}

impl Full {
    fn insert(&mut self, class: Priority) {
        self.0 |= 1 << class as u8;
    }

    fn remove(&mut self, class: Priority) {
        self.0 &= !(1 << class as u8);
    }
}
