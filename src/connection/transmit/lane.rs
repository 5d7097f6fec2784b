//! Data frames of one class, in order.

use alloc::collections::VecDeque;
use core::mem;

use bytes::Bytes;

use super::joined::Joined;
use super::segment::Segment;
use super::spare;
use crate::frame::{Header, HeaderBytes, Rules};
use crate::mask::Mask;
use crate::message::Block;

/// A segment of small frames is closed at this size, to keep what is written at once within the
/// first-level cache.
const SEGMENT_SIZE: usize = 16 * 1024;

/// From this size on a segment is closed when its memory is full, as well: one more slice to write costs
/// less than a copy into more memory.
const MIN_SEGMENT: usize = 2 * 1024;

/// What ends where some bytes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ends {
    /// Nothing: a frame goes on.
    Nothing,
    /// A frame, of a message that goes on.
    Frame,
    #[default]
    Message,
}

impl Ends {
    pub(super) fn message_if(fin: bool) -> Self {
        if fin { Self::Message } else { Self::Frame }
    }
}

/// Data frames on their way out, oldest first.
///
/// INVARIANT: a segment that begins inside a message ends with it, or inside it. So the end of a
/// segment that has another message in it is not far.
#[derive(Default)]
pub(super) struct Lane {
    /// INVARIANT: the first one is ready to leave.
    segments: VecDeque<Segment>,
    /// Small frames that came last, to be joined by more. INVARIANT: whole frames, none of it
    /// sent.
    tail: Joined,
    /// Bytes in `segments` and `tail`.
    len: usize,
    /// Where the last compressed message ends, less what was sent.
    compressed: usize,
}

impl Lane {
    /// Bytes that wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a compressed message waits, or has not left as a whole.
    #[cfg(feature = "deflate")]
    pub(super) fn has_compressed(&self) -> bool {
        self.compressed > 0
    }

    /// All that waits so far is before the end of a compressed message.
    pub(super) fn note_compressed(&mut self) {
        self.compressed = self.len;
    }

    /// Ends the segment with the message that ended, if that began in another one; `at` is what was
    /// ended before all that waits.
    pub(super) fn end_message(&mut self, at: Ends) {
        if self.segments.back().map_or(at, |last| last.ends) == Ends::Frame {
            self.close_tail(Ends::Message);
        }
    }

    /// Queues a frame in one piece; see [`Joined::push`]. `last` is what the frame before it ends.
    #[inline(always)]
    pub(super) fn push_frame<const N: usize>(
        &mut self,
        last: Ends,
        ends: Ends,
        header: (&[u8; N], usize),
        key: Option<[u8; 4]>,
        payload: &[u8],
    ) {
        let max = N + payload.len();
        if max > self.tail.room() {
            self.make_room(last, max);
        }
        self.len += self.tail.push(header, key, payload);
        if self.tail.len() >= SEGMENT_SIZE {
            self.close_tail(ends);
        }
    }

    /// Queues a message that was put together elsewhere, while nothing waits.
    pub(super) fn push_joined(&mut self, frame: Joined) {
        self.len += frame.len();
        mem::replace(&mut self.tail, frame).release();
        if self.len >= SEGMENT_SIZE {
            self.close_tail(Ends::Message);
        }
    }

    /// Makes room for so many bytes more, in the segment or in another one; `last` is what the frame
    /// before them ends.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, last: Ends, more: usize) {
        if self.tail.len() >= MIN_SEGMENT {
            self.close_tail(last);
            // Where much waits, more will come: as much, as a rule. But if what waits before it leaves,
            // little may be in it for long, so it is no more than a segment.
            let needed = more.max(self.len.min(SEGMENT_SIZE));
            self.tail = Joined::within(needed, needed.max(SEGMENT_SIZE));
        } else {
            self.tail.grow(more);
        }
    }

    /// Queues a frame whose payload stays where it is; `last` is what the frame before it ends.
    pub(super) fn push_chained(
        &mut self,
        last: Ends,
        ends: Ends,
        header: HeaderBytes,
        payload: Block,
        mask: Option<Mask>,
    ) {
        self.close_tail(last);
        self.len += header.len() + payload.len();
        self.push_segment(Segment::chained(header, payload, mask, ends));
    }

    /// Lets the frames that come next begin a segment.
    pub(super) fn close_tail(&mut self, ends: Ends) {
        if !self.tail.is_empty() {
            let bytes = mem::take(&mut self.tail);
            self.push_segment(Segment::frames(bytes, ends));
        }
    }

    fn push_segment(&mut self, mut segment: Segment) {
        if self.segments.is_empty() {
            segment.make_ready();
            if self.segments.capacity() == 0 {
                self.segments = spare::take_queue();
            }
        }
        self.segments.push_back(segment);
    }

    fn pop_segment(&mut self) {
        if let Some(sent) = self.segments.pop_front() {
            sent.release();
        }
        if let Some(front) = self.segments.front_mut() {
            front.make_ready();
        }
    }

    /// The small frames, if nothing else waits.
    #[cfg(feature = "std")]
    #[inline]
    pub(super) fn only_tail(&self) -> Option<&[u8]> {
        self.segments.is_empty().then_some(&*self.tail)
    }

    /// Notes that all of it was sent, and gives its memory back.
    #[inline]
    pub(super) fn clear(&mut self) {
        mem::take(&mut self.tail).release();
        if self.segments.capacity() > 0 {
            self.clear_segments();
        }
        self.len = 0;
        self.compressed = 0;
    }

    fn clear_segments(&mut self) {
        let mut segments = mem::take(&mut self.segments);
        segments.drain(..).for_each(Segment::release);
        spare::put_queue(segments);
    }

    /// The frame that waits, in up to two pieces, if no other does.
    pub(super) fn first_frame(&self) -> [&[u8]; 2] {
        match self.segments.front() {
            Some(segment) => segment.pieces().map(|(piece, _)| piece),
            None => [&self.tail, &[]],
        }
    }

    /// What is sent next.
    pub(super) fn front(&self) -> &[u8] {
        match self.segments.front() {
            Some(segment) => segment.front().0,
            None => &self.tail,
        }
    }

    /// What waits and is ready, with what its end ends; `last` is what the last frame does.
    #[cfg(feature = "std")]
    pub(super) fn pieces(&self, last: Ends) -> impl Iterator<Item = (&[u8], Ends)> {
        let segments = self.segments.iter().map(Some).chain([None]);
        segments
            .take_while(|segment| segment.is_none_or(Segment::is_ready))
            .flat_map(move |segment| match segment {
                Some(segment) => segment.pieces(),
                None => [(&*self.tail, last), (&[], last)],
            })
            .filter(|(piece, _)| !piece.is_empty())
    }

    /// Whether all that waits is ready.
    #[cfg(feature = "std")]
    pub(super) fn is_ready(&self) -> bool {
        self.segments.iter().all(Segment::is_ready)
    }

    /// Takes the front away.
    pub(super) fn take_front(&mut self, last: Ends) -> (Bytes, Ends) {
        let (bytes, ends) = match self.segments.front_mut() {
            Some(segment) => {
                let (bytes, ends, is_all) = segment.take_front();
                if is_all {
                    self.pop_segment();
                }
                (bytes, ends)
            }
            None => (mem::take(&mut self.tail).into_bytes(), last),
        };
        self.note_sent(bytes.len());
        (bytes, ends)
    }

    /// Notes that up to `max` bytes of the front were sent, if `at` is what was ended before them.
    /// Returns how many, and what they end.
    pub(super) fn advance(&mut self, max: usize, at: Ends, last: Ends) -> (usize, Ends) {
        if self.segments.is_empty() {
            let len = self.tail.len();
            if len <= max {
                self.clear();
                return (len, last);
            }
            // What is sent in part must not grow, or control frames would wait for its end.
            self.close_tail(last);
        }
        if at != Ends::Nothing {
            self.isolate(max);
        }
        let Some(front) = self.segments.front_mut() else {
            return (0, at);
        };
        let (count, is_all) = front.advance(max);
        let mut ends = Ends::Nothing;
        if is_all {
            ends = front.ends;
            self.pop_segment();
        }
        self.note_sent(count);
        (count, ends)
    }

    fn note_sent(&mut self, count: usize) {
        self.len -= count;
        self.compressed = self.compressed.saturating_sub(count);
    }

    /// Gives the frame that the next `count` bytes end in a segment that ends where it does, so
    /// that nothing else must go with it.
    fn isolate(&mut self, count: usize) {
        let front = self.front();
        if count < front.len() {
            let end = Frames::new(front).find(|(end, _)| *end >= count);
            if let Some((end, fin)) = end {
                self.split(0, end, Ends::message_if(fin));
            }
        }
    }

    /// Lets a segment end where the message does that has begun to leave; `at` is what was ended
    /// last.
    pub(super) fn isolate_message(&mut self, mut at: Ends, last: Ends) {
        self.close_tail(last);
        let mut index = 0;
        while let Some(segment) = self.segments.get(index) {
            if at != Ends::Nothing {
                let end = Frames::new(segment.whole_frames()).find(|(_, fin)| *fin);
                if let Some((end, _)) = end {
                    return self.split(index, end, Ends::Message);
                }
            }
            at = segment.ends;
            if at == Ends::Message {
                return;
            }
            index += 1;
        }
    }

    fn split(&mut self, index: usize, end: usize, ends: Ends) {
        let segment = self.segments.get_mut(index);
        if let Some(rest) = segment.and_then(|segment| segment.split_off(end, ends)) {
            self.segments.insert(index + 1, rest);
        }
    }
}

/// The frames of a segment: where each ends, and whether its message does. One whose payload is in
/// the next segment is not among them.
struct Frames<'a> {
    bytes: &'a [u8],
    end: usize,
}

impl<'a> Frames<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, end: 0 }
    }
}

impl Iterator for Frames<'_> {
    type Item = (usize, bool);

    fn next(&mut self) -> Option<(usize, bool)> {
        const RULES: Rules = Rules::any().with_rsv(Header::RSV1 | Header::RSV2 | Header::RSV3);
        let rest = self.bytes.get(self.end..)?;
        let (header, size) = Header::decode(rest, &RULES).ok()??;
        let len = usize::try_from(header.len).ok()?;
        self.end = self.end.checked_add(size)?.checked_add(len)?;
        (self.end <= self.bytes.len()).then_some((self.end, header.fin))
    }
}
