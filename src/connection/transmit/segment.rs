//! What waits in a lane, piece by piece.

use core::mem;

use alloc::vec::Vec;
use bytes::{Buf, Bytes};

use super::lane::Ends;
use super::spare;
use crate::frame::HeaderBytes;
use crate::mask::Mask;
use crate::message::{Block, append_masked};

/// Small frames one after the other, or one large frame whose payload stayed where it was.
pub(super) struct Segment {
    /// What is left of the large frame's header.
    header: HeaderBytes,
    bytes: Block,
    /// How much of `bytes` was sent.
    sent: usize,
    /// `bytes` has still to be masked with it. That is done when it is about to leave, so that it is
    /// in the cache then.
    mask: Option<Mask>,
    /// What its end ends.
    pub(super) ends: Ends,
}

impl Segment {
    pub(super) fn frames(frames: Vec<u8>, ends: Ends) -> Self {
        Self::chained(HeaderBytes::EMPTY, Block::Vec(frames), None, ends)
    }

    pub(super) fn chained(
        header: HeaderBytes,
        payload: Block,
        mask: Option<Mask>,
        ends: Ends,
    ) -> Self {
        Self {
            header,
            bytes: payload,
            sent: 0,
            mask,
            ends,
        }
    }

    /// Whether it is as it leaves.
    #[cfg(feature = "std")]
    pub(super) fn is_ready(&self) -> bool {
        self.mask.is_none()
    }

    /// Masks what has to be: in place if nobody else can see it, else in a copy.
    #[inline]
    pub(super) fn make_ready(&mut self) {
        if let Some(mask) = self.mask.take() {
            self.apply(mask);
        }
    }

    fn apply(&mut self, mut mask: Mask) {
        if let Some(bytes) = self.bytes.as_mut() {
            return mask.apply(bytes);
        }
        let mut masked = spare::take_buffer(self.bytes.len());
        append_masked(&mut masked, &self.bytes, Some(mask));
        self.bytes = Block::Vec(masked);
    }

    /// The header, which may have left, and what is behind it, with what they end.
    #[inline]
    pub(super) fn pieces(&self) -> [(&[u8], Ends); 2] {
        [(&self.header, Ends::Nothing), (self.rest(), self.ends)]
    }

    /// The piece that is next, with what it ends.
    pub(super) fn front(&self) -> (&[u8], Ends) {
        match self.pieces() {
            [([], _), rest] => rest,
            [header, _] => header,
        }
    }

    /// Its frames, unless it is one in two pieces.
    pub(super) fn whole_frames(&self) -> &[u8] {
        if self.header.is_empty() {
            self.rest()
        } else {
            &[]
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Marks up to `max` bytes of the front piece as sent. Returns how many, and whether that was
    /// all of the segment.
    pub(super) fn advance(&mut self, max: usize) -> (usize, bool) {
        let (front, _) = self.front();
        let count = max.min(front.len());
        if self.header.is_empty() {
            self.sent += count;
        } else {
            self.header.advance(count);
        }
        (count, self.header.is_empty() && self.rest().is_empty())
    }

    /// Gives the memory of what was sent back.
    pub(super) fn release(self) {
        if let Block::Vec(bytes) = self.bytes {
            spare::put_buffer(bytes);
        }
    }

    /// Takes the front piece, with what it ends, and tells whether that was all of the segment.
    pub(super) fn take_front(&mut self) -> (Bytes, Ends, bool) {
        let (front, ends) = self.front();
        if self.header.is_empty() {
            return (self.take_rest(), ends, true);
        }
        let header = Bytes::copy_from_slice(front);
        self.header = HeaderBytes::EMPTY;
        (header, ends, self.rest().is_empty())
    }

    /// Takes what is behind `end` of the rest away, as a segment of its own, if there is something.
    /// The segment ends `ends` then.
    pub(super) fn split_off(&mut self, end: usize, ends: Ends) -> Option<Self> {
        if end >= self.rest().len() {
            return None;
        }
        let mut bytes = self.take_rest();
        let rest = Block::Bytes(bytes.split_off(end));
        self.bytes = Block::Bytes(bytes);
        let ends = mem::replace(&mut self.ends, ends);
        Some(Self::chained(HeaderBytes::EMPTY, rest, None, ends))
    }

    fn take_rest(&mut self) -> Bytes {
        let mut bytes = mem::take(&mut self.bytes).into_bytes();
        bytes.advance(mem::take(&mut self.sent));
        bytes
    }
}
