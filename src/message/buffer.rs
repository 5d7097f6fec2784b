//! The buffer that a message is put together in.

use alloc::vec::Vec;
use core::mem;
use core::ops::{Deref, DerefMut};

use super::assembler::STEP;
use crate::mask::Mask;

/// The payload of a message so far. Its memory is the thread's, and goes back when it is dropped.
#[derive(Default)]
pub(crate) struct Buffer {
    /// All of it is initialized, so that a transport can read into what is not filled.
    memory: Vec<u8>,
    /// INVARIANT: no more than `memory` has.
    filled: usize,
}

/// How a buffer may grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// In bytes.
    pub(crate) limit: u64,
    /// Into memory of the thread's that was used before, which may be more than is needed.
    pub(crate) reuses: bool,
}

/// Memory that was used before may be so many times what came of a message: a peer that stops in the
/// middle of it is not to keep much more than it sent.
const MAX_SPARE: usize = 8;

impl Buffer {
    /// Bytes that the buffer has memory for.
    pub(crate) fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Memory of the thread's that was used before, for at least `needed` bytes, if there is some and
    /// it is not too much for a message of which `came` bytes came, in whatever form.
    #[cfg(feature = "deflate")]
    pub(crate) fn reusing(needed: usize, came: usize, growth: Growth) -> Self {
        let limit = usize::try_from(growth.limit).unwrap_or(usize::MAX);
        let max = came.saturating_mul(MAX_SPARE).min(limit);
        let spare = (growth.reuses && needed <= max).then(|| spare::take(needed, max));
        Self {
            memory: spare.flatten().unwrap_or_default(),
            filled: 0,
        }
    }

    /// Unmasks and appends a piece. The buffer grows with the bytes that came, never with a
    /// declared length, and to no more than its limit, which the caller has seen that they keep to.
    pub(crate) fn append(&mut self, piece: &[u8], mask: Option<Mask>, growth: Growth) {
        self.reserve(piece.len(), growth);
        let Some(mut mask) = mask else {
            return self.extend(piece);
        };
        let end = self.filled + piece.len();
        // One pass, unless the memory has still to be initialized.
        if let Some(room) = self.memory.get_mut(self.filled..end) {
            mask.copy(piece, room);
            self.filled = end;
            return;
        }
        for step in piece.chunks(STEP) {
            let start = self.filled;
            self.extend(step);
            mask.apply(self.get_mut(start..).unwrap_or_default());
        }
    }

    /// Room for up to `max` more bytes, to be read into. Where there is no memory yet, it is no more
    /// than what has come, because more may never come.
    pub(crate) fn room_mut(&mut self, max: usize, growth: Growth) -> &mut [u8] {
        self.with_room(max, growth).1
    }

    /// What came so far, and the room behind it that [`room_mut`](Self::room_mut) gives.
    pub(crate) fn with_room(&mut self, max: usize, growth: Growth) -> (&[u8], &mut [u8]) {
        // Memory beyond the end of the frame is for nothing, and may be more than the thread keeps.
        let most = self.filled.saturating_add(max);
        self.grow(max.min(self.filled), most, growth);
        // INVARIANT: of `max` bytes, so many are at hand from here on.
        let more = max.min(self.filled.max(self.at_hand()));
        let end = self.filled + more;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        let memory = self.memory.get_mut(..end).unwrap_or_default();
        let (filled, room) = memory.split_at_mut_checked(self.filled).unwrap_or_default();
        (filled, room)
    }

    /// How much of the room is there, in memory that is initialized.
    pub(crate) fn at_hand(&self) -> usize {
        self.memory.len() - self.filled
    }

    /// Notes that `count` bytes were read into the room, which has so many. Returns them.
    pub(crate) fn fill(&mut self, count: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled = (start + count).min(self.memory.len());
        self.memory.get_mut(start..self.filled).unwrap_or_default()
    }

    /// Whether most of the memory is filled, so that it may be kept with it.
    pub(crate) fn is_tight(&self) -> bool {
        self.memory.capacity() / 2 <= self.filled
    }

    /// The bytes to be kept: in memory of their own if there is much more than they need.
    pub(crate) fn into_tight(self) -> Vec<u8> {
        if self.is_tight() {
            self.into_vec()
        } else {
            self.to_vec()
        }
    }

    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        let mut memory = mem::take(&mut self.memory);
        memory.truncate(self.filled);
        memory
    }

    /// Makes memory for so many more bytes, as they come: of the thread's, or twice as much as there
    /// was.
    pub(super) fn reserve(&mut self, more: usize, growth: Growth) {
        self.grow(more, usize::MAX, growth);
    }

    /// The same, with new memory for at most so many in all, or for what is needed.
    fn grow(&mut self, more: usize, most: usize, growth: Growth) {
        let needed = self.filled + more;
        if needed <= self.memory.capacity() {
            return;
        }
        let limit = usize::try_from(growth.limit).unwrap_or(usize::MAX);
        let max_spare = needed.saturating_mul(MAX_SPARE).min(limit);
        let spare = growth.reuses.then(|| spare::take(needed, max_spare));
        if let Some(mut spare) = spare.flatten() {
            if let Some(start) = spare.get_mut(..self.filled) {
                start.copy_from_slice(self);
            } else {
                spare.clear();
                spare.extend_from_slice(self);
            }
            spare::put(mem::replace(&mut self.memory, spare));
            return;
        }
        let capacity = self
            .memory
            .capacity()
            .saturating_mul(2)
            .min(limit.min(most));
        // What is initialized and not filled is not worth a copy.
        self.memory.truncate(self.filled);
        self.memory
            .reserve_exact(capacity.max(needed) - self.filled);
    }

    fn extend(&mut self, piece: &[u8]) {
        let end = self.filled + piece.len();
        match self.memory.get_mut(self.filled..end) {
            Some(room) => room.copy_from_slice(piece),
            None => {
                self.memory.truncate(self.filled);
                self.memory.extend_from_slice(piece);
            }
        }
        self.filled = end;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.get(..self.filled).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    // Small where it is inlined: into the drop of every payload, which mostly is no buffer, and had to
    // be in memory if that were out of line.
    #[inline]
    fn drop(&mut self) {
        give_back(mem::take(&mut self.memory));
    }
}

#[cold]
fn give_back(memory: Vec<u8>) {
    if memory.capacity() > 0 {
        spare::put(memory);
    }
}

/// The thread's buffers that no message is in.
#[cfg(feature = "std")]
mod spare {
    use alloc::vec::Vec;

    use crate::spare::Spares;

    // A message of a mebibyte is received without an allocation once its buffer and those that it
    // outgrows on the way are there. That is four mebibytes at most.
    std::thread_local! {
        static SPARES: Spares = const { Spares::new(4, 1 << 20) };
    }

    pub(super) fn take(needed: usize, max: usize) -> Option<Vec<u8>> {
        // While a thread ends there are none any more.
        SPARES.try_with(|spares| spares.take(needed, max)).ok()?
    }

    pub(super) fn put(memory: Vec<u8>) {
        let _ended = SPARES.try_with(|spares| spares.put(memory));
    }
}

/// Without threads there is nobody to keep any.
#[cfg(not(feature = "std"))]
mod spare {
    use alloc::vec::Vec;

    pub(super) fn take(_needed: usize, _max: usize) -> Option<Vec<u8>> {
        None
    }

    pub(super) fn put(memory: Vec<u8>) {
        drop(memory);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];
    const ANY: Growth = Growth {
        limit: u64::MAX,
        reuses: true,
    };

    /// Its memory doubled beyond what the thread keeps, so the next one had none.
    #[test]
    fn regression_a_message_of_a_mebibyte_was_too_large_to_be_kept() {
        const LEN: usize = 1 << 20;
        let growth = Growth {
            reuses: false,
            ..ANY
        };
        let mut buffer = Buffer::default();
        buffer.append(&[1; 20_466], None, growth);
        while buffer.len() < LEN {
            let room = buffer.room_mut(LEN - buffer.len(), growth).len();
            buffer.fill(room);
        }
        assert_eq!(buffer.capacity(), LEN);
    }

    proptest! {
        /// Whether bytes are copied or read into place, and whatever was in the memory before.
        #[test]
        fn holds_what_was_put_in(pieces: Vec<(bool, bool, Vec<u8>)>, before in 0..100_usize) {
            let mut buffer = Buffer::default();
            buffer.append(&vec![7; before], None, ANY);
            drop(buffer);
            let mut buffer = Buffer::default();
            let mut expected = Vec::new();
            for (direct, masked, piece) in pieces {
                let mask = masked.then_some(Mask::new(KEY));
                let mut clear = piece.clone();
                if let Some(mut mask) = mask {
                    mask.apply(&mut clear);
                }
                expected.extend_from_slice(&clear);
                if direct && buffer.len() >= piece.len() {
                    let room = buffer.room_mut(piece.len(), ANY);
                    prop_assert_eq!(room.len(), piece.len());
                    room.copy_from_slice(&clear);
                    prop_assert_eq!(buffer.fill(piece.len()), &clear[..]);
                } else {
                    buffer.append(&piece, mask, ANY);
                }
                prop_assert_eq!(&*buffer, &expected[..]);
            }
            prop_assert_eq!(buffer.into_vec(), expected);
        }
    }

    #[test]
    fn grows_with_what_came_and_to_the_limit() {
        let growth = Growth {
            limit: 150,
            reuses: false,
        };
        let mut buffer = Buffer::default();
        buffer.append(&[0; 100], None, growth);
        buffer.append(&[0; 10], None, growth);
        assert_eq!(buffer.capacity(), 150);
        let mut buffer = Buffer::default();
        assert_eq!(buffer.room_mut(1 << 30, ANY).len(), 0, "nothing came");
        buffer.append(&[0; 100], None, ANY);
        let room = buffer.room_mut(1 << 30, ANY).len();
        assert!(room < MAX_SPARE * 100, "{room}");
    }

    #[test]
    fn what_is_kept_does_not_keep_much_more() {
        for len in [0, 1, 100, 499, 501, 1000] {
            let mut buffer = Buffer::default();
            buffer.append(&vec![7; 1000], None, ANY);
            buffer.filled = len;
            let kept = buffer.into_tight();
            assert_eq!(kept, vec![7; len]);
            assert!(
                kept.capacity() <= 2 * len + 1,
                "{} for {len}",
                kept.capacity()
            );
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn memory_is_used_again() {
        let mut first = Buffer::default();
        first.append(&[1; 1000], None, ANY);
        let address = first.as_ptr();
        drop(first);
        let mut second = Buffer::default();
        second.append(&[2; 200], None, ANY);
        assert_eq!((&*second, second.as_ptr()), (&[2; 200][..], address));
        let mut third = Buffer::default();
        drop(second);
        third.append(&[3; 100], None, ANY);
        assert_eq!(third.capacity(), 100, "ten times what came is too much");
    }
}
