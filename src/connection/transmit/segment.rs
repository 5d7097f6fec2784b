//! What waits in a lane, piece by piece.

use core::mem;
use core::ops::Deref;

use bytes::{Buf, Bytes};

use super::joined::Joined;
use super::lane::Ends;
use crate::frame::HeaderBytes;
use crate::mask::Mask;
use crate::message::Block;

/// Small frames one after the other, or one large frame whose payload stayed where it was.
pub(super) struct Segment {
    /// What is left of the large frame's header.
    header: HeaderBytes,
    bytes: Content,
    /// How much of `bytes` was sent.
    sent: usize,
    /// `bytes` has still to be masked with it. That is done when it is about to leave, so that it is
    /// in the cache then.
    mask: Option<Mask>,
    /// What its end ends.
    pub(super) ends: Ends,
}

enum Content {
    Joined(Joined),
    Payload(Block),
}

impl Segment {
    pub(super) fn frames(frames: Joined, ends: Ends) -> Self {
        Self::new(HeaderBytes::EMPTY, Content::Joined(frames), None, ends)
    }

    pub(super) fn chained(
        header: HeaderBytes,
        payload: Block,
        mask: Option<Mask>,
        ends: Ends,
    ) -> Self {
        Self::new(header, Content::Payload(payload), mask, ends)
    }

    fn new(header: HeaderBytes, bytes: Content, mask: Option<Mask>, ends: Ends) -> Self {
        Self {
            header,
            bytes,
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
        let Content::Payload(payload) = &mut self.bytes else {
            return;
        };
        if let Some(bytes) = payload.as_mut() {
            return mask.apply(bytes);
        }
        let masked = Joined::of_frame((&[], 0), Some(mask.key()), payload);
        self.bytes = Content::Joined(masked);
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
        if let Content::Joined(bytes) = self.bytes {
            bytes.release();
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
        self.bytes = Content::Payload(Block::Bytes(bytes));
        let ends = mem::replace(&mut self.ends, ends);
        Some(Self::chained(HeaderBytes::EMPTY, rest, None, ends))
    }

    fn take_rest(&mut self) -> Bytes {
        let mut bytes = match mem::take(&mut self.bytes) {
            Content::Joined(frames) => frames.into_bytes(),
            Content::Payload(payload) => payload.into_bytes(),
        };
        bytes.advance(mem::take(&mut self.sent));
        bytes
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Payload(Block::default())
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Joined(frames) => frames,
            Self::Payload(payload) => payload,
        }
    }
}
