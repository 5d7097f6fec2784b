//! Small frames, one after the other, in memory that is all initialized: so a payload is copied and
//! masked in one pass.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::ops::{Deref, RangeInclusive};

use bytes::Bytes;

use super::spare;
use crate::mask::Mask;

/// So many bytes are copied faster than they are masked with nothing: by a fifth at 1 KiB. More are not,
/// where glibc copies them with `rep movsb`: some processors take 25 times as long for that if both ends are
/// less than 32 bytes apart, modulo 4 KiB.
const COPIED: RangeInclusive<usize> = 256..=2048;

/// Frames in one piece of memory, which is the thread's and goes back with [`release`](Self::release).
#[derive(Default)]
pub(in crate::connection) struct Joined {
    memory: Box<[u8]>,
    /// INVARIANT: no more than `memory` has.
    filled: usize,
}

impl Joined {
    /// One frame; see [`push`](Self::push).
    #[inline]
    pub(in crate::connection) fn of_frame<const N: usize>(
        header: (&[u8; N], usize),
        key: Option<[u8; 4]>,
        payload: &[u8],
    ) -> Self {
        let memory = spare::take_buffer(N + payload.len());
        let mut frame = Self { memory, filled: 0 };
        frame.push(header, key, payload);
        frame
    }

    /// Nothing yet, with memory for `needed` bytes, which may be the thread's if it is no more than `max`.
    pub(super) fn within(needed: usize, max: usize) -> Self {
        let memory = spare::take_buffer_within(needed, max);
        Self { memory, filled: 0 }
    }

    /// Memory for so many bytes more.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        self.memory.len() - self.filled
    }

    /// Makes room for so many bytes more, in a larger buffer of the thread's.
    pub(super) fn grow(&mut self, more: usize) {
        let mut larger = spare::take_buffer(self.filled + more);
        if let Some(start) = larger.get_mut(..self.filled) {
            start.copy_from_slice(self);
        }
        spare::put_buffer(mem::replace(&mut self.memory, larger));
    }

    /// Appends a frame for which there is [`room`](Self::room), masking on the way, and returns its
    /// size. The header is as many of the bytes
    /// as it says: to copy all of them costs less than a few.
    #[inline(always)]
    pub(super) fn push<const N: usize>(
        &mut self,
        (header, header_len): (&[u8; N], usize),
        key: Option<[u8; 4]>,
        payload: &[u8],
    ) -> usize {
        let room = self.memory.get_mut(self.filled..).unwrap_or_default();
        // Else what was in it before would leave.
        debug_assert!(N + payload.len() <= room.len(), "there is room");
        if let Some(start) = room.first_chunk_mut() {
            *start = *header;
        }
        let end = header_len + payload.len();
        if let Some(place) = room.get_mut(header_len..end) {
            match key {
                None if COPIED.contains(&payload.len()) => place.copy_from_slice(payload),
                // Without a key nothing changes, and to ask whether there is one costs more.
                _ => Mask::new(key.unwrap_or_default()).copy(payload, place),
            }
            self.filled += end;
        }
        end
    }

    /// The bytes, to be kept by somebody else.
    pub(super) fn into_bytes(self) -> Bytes {
        let mut memory = Vec::from(self.memory);
        memory.truncate(self.filled);
        memory.into()
    }

    /// Gives the memory back to the thread.
    #[inline]
    pub(in crate::connection) fn release(self) {
        if !self.memory.is_empty() {
            spare::put_buffer(self.memory);
        }
    }
}

impl Deref for Joined {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.memory.get(..self.filled).unwrap_or_default()
    }
}
