//! The output queue: what goes to the transport, and in which order.

mod control;
mod debug;
mod joined;
mod lane;
mod others;
mod schedule;
mod segment;
mod spare;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};

pub(super) use control::{Control, MAX_CONTROL_QUEUED};
pub(super) use joined::Joined;
use lane::{Ends, Lane};
use others::Others;
#[cfg(feature = "std")]
use schedule::ByClass;
pub use schedule::Priority;

use crate::frame::HeaderBytes;
use crate::mask::Mask;
use crate::message::Block;

/// Frames on their way out, in lanes.
///
/// Data goes in the order of its classes, and within a class in the order it was queued. Control
/// frames overtake it at the next frame boundary, because RFC 6455 section 5.5 wants them answered
/// soon. The Close frame comes behind the data that was accepted before it. Nothing ever comes
/// between the bytes of one frame, and nothing but control frames between those of one message.
#[derive(Default)]
pub(super) struct Queue {
    /// Messages of [`Priority::Normal`], which is all that most connections ever have.
    normal: Lane,
    /// Those of other classes, from the first one until nothing waits.
    others: Option<Box<Others>>,
    /// What the last byte of data that was sent ended. INVARIANT: if nothing, the rest of the frame
    /// is in front of its lane, and ends where a segment does.
    at: Ends,
    /// The last frame in `normal` does not end its message.
    is_open: bool,
    control: Control,
    /// Bytes that were sent in all.
    transmitted: u64,
    /// The transport took some of them and has not sent them.
    unflushed: bool,
    /// The encoded Close frame, less what was sent.
    close: Vec<u8>,
    /// Some of the Close frame was sent: from then on it comes first.
    close_started: bool,
}

/// What the queue has to know of a data frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) priority: Priority,
    /// It is the first of its message.
    pub(super) first: bool,
    /// It is the last of its message.
    pub(super) fin: bool,
    /// The message is compressed.
    pub(super) compressed: bool,
}

impl Place {
    /// What the frame before it in its lane ends, and what it ends itself.
    fn ends(&self) -> (Ends, Ends) {
        (Ends::message_if(self.first), Ends::message_if(self.fin))
    }
}

/// What is sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Data,
    Control,
    Close,
}

impl Queue {
    /// Bytes of data that wait.
    #[inline]
    pub(super) fn data_len(&self) -> usize {
        self.normal.len() + self.others.as_ref().map_or(0, |others| others.len())
    }

    /// Bytes of data that wait and that a message of this class does not overtake.
    #[inline]
    pub(super) fn data_ahead(&self, class: Priority) -> usize {
        let Some(others) = &self.others else {
            return self.normal.len();
        };
        let classes = Priority::ALL.into_iter().filter(|other| *other <= class);
        classes
            .map(|other| others.lane(&self.normal, other).len())
            .sum()
    }

    /// Whether a compressed message of another class waits.
    #[cfg(feature = "deflate")]
    pub(super) fn has_compressed_besides(&self, class: Priority) -> bool {
        let Some(others) = &self.others else {
            return class != Priority::Normal && self.normal.has_compressed();
        };
        let mut classes = Priority::ALL.into_iter().filter(|other| *other != class);
        classes.any(|other| others.lane(&self.normal, other).has_compressed())
    }

    /// Pings and pongs that wait.
    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    pub(super) fn control_mut(&mut self) -> &mut Control {
        &mut self.control
    }

    /// Bytes that wait in all lanes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.data_len() + self.control.len() + self.close.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are lanes of other classes than [`Priority::Normal`].
    #[inline]
    pub(super) fn has_classes(&self) -> bool {
        self.others.is_some()
    }

    /// Queues a message in one frame, if there are no other classes and none is open.
    #[inline(always)]
    pub(super) fn push_whole<const N: usize>(
        &mut self,
        header: (&[u8; N], usize),
        key: Option<[u8; 4]>,
        payload: &[u8],
    ) {
        let (last, ends) = (Ends::Message, Ends::Message);
        self.normal.push_frame(last, ends, header, key, payload);
    }

    /// Queues a message in one frame, while nothing waits.
    #[cold]
    pub(super) fn push_joined(&mut self, frame: Joined) {
        debug_assert!(self.is_empty(), "what waits goes first");
        self.normal.push_joined(frame);
    }

    /// Notes a data frame that was written without being queued, while nothing was.
    #[inline]
    pub(super) fn note_written(&mut self, len: usize, fin: bool) {
        debug_assert!(self.is_empty(), "what waits goes first");
        self.transmitted += len as u64;
        self.at = Ends::message_if(fin);
        self.is_open = !fin;
    }

    /// The frame that waits, in up to two pieces, if no other does.
    pub(super) fn first_frame(&self) -> [&[u8]; 2] {
        self.normal.first_frame()
    }

    /// Marks `count` bytes as sent; see [`Transmit::advance`].
    pub(super) fn advance(&mut self, count: usize) {
        Transmit(self).advance(count);
    }

    /// Queues a data frame in one piece, masked on the way.
    #[inline]
    pub(super) fn push_frame(
        &mut self,
        place: Place,
        header: &HeaderBytes,
        key: Option<[u8; 4]>,
        payload: &[u8],
    ) {
        let (last, ends) = place.ends();
        self.push(place, |lane| {
            lane.push_frame(last, ends, header.parts(), key, payload);
        });
    }

    /// Queues a data frame whose payload stays where it is.
    pub(super) fn push_chained(
        &mut self,
        place: Place,
        header: HeaderBytes,
        payload: Block,
        mask: Option<Mask>,
    ) {
        let (last, ends) = place.ends();
        self.push(place, |lane| {
            lane.push_chained(last, ends, header, payload, mask);
        });
    }

    #[inline]
    fn push(&mut self, place: Place, push: impl FnOnce(&mut Lane)) {
        if place.priority != Priority::Normal || self.others.is_some() {
            self.before_push(place);
        }
        let lane = match (place.priority, &mut self.others) {
            (Priority::Normal, _) | (_, None) => &mut self.normal,
            (class, Some(others)) => others.lane_mut(&mut self.normal, class),
        };
        push(lane);
        if place.compressed {
            lane.note_compressed();
        }
        if place.fin && !place.first {
            lane.end_message(self.at);
        }
        if place.priority == Priority::Normal {
            self.is_open = !place.fin;
        }
    }

    /// Makes the lanes, and looks after whose turn it is.
    #[cold]
    fn before_push(&mut self, place: Place) {
        let (at, is_open) = (self.at, self.is_open);
        let others = self.others.get_or_insert_default();
        if let Some(lower) = others.schedule.interrupt(place.priority) {
            if at != Ends::Message {
                let last = last(lower, is_open);
                let lane = others.lane_mut(&mut self.normal, lower);
                lane.isolate_message(at, last);
            }
        }
        if place.priority == Priority::Normal {
            if place.first && !place.fin {
                // It may have to wait for others, and what is before it not.
                self.normal.close_tail(Ends::Message);
                others.schedule.note_open(Some(self.normal.len()));
            } else if place.fin {
                others.schedule.note_open(None);
            }
        }
    }

    #[inline]
    pub(super) fn set_unflushed(&mut self, unflushed: bool) {
        self.unflushed = unflushed;
    }

    /// Whether the transport took output that it has not sent.
    #[inline]
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Bytes that were sent since the connection began.
    pub(super) fn transmitted(&self) -> u64 {
        self.transmitted
    }

    /// Queues the Close frame, behind the data. It replaces one that has not begun to leave.
    pub(super) fn set_close(&mut self, frame: &[u8]) {
        debug_assert!(!self.close_started, "there is only one Close frame");
        self.close.clear();
        self.close.extend_from_slice(frame);
    }

    /// Whether some or all of the Close frame was sent.
    pub(super) fn close_started(&self) -> bool {
        self.close_started
    }

    /// Drops everything: the transport is gone.
    pub(super) fn clear(&mut self) {
        *self = Self {
            transmitted: self.transmitted,
            ..Self::default()
        };
    }

    /// Whether the Close frame was sent, and so all data before it.
    pub(super) fn close_sent(&self) -> bool {
        self.close_started && self.close.is_empty()
    }

    /// What is sent next.
    fn next(&self) -> Option<Next> {
        if self.at == Ends::Nothing {
            // HARDENING C-31: a frame that is sent in part is finished first.
            Some(Next::Data)
        } else if self.close_started && !self.close.is_empty() {
            Some(Next::Close)
        } else if !self.control.is_empty() {
            Some(Next::Control)
        } else if self.data_len() > 0 {
            Some(Next::Data)
        } else if !self.close.is_empty() {
            Some(Next::Close)
        } else {
            None
        }
    }

    /// Whose data is next.
    fn class(&self) -> Priority {
        match &self.others {
            None => Priority::Normal,
            Some(others) => others.schedule.next(self.at, &others.waiting(&self.normal)),
        }
    }

    /// The data that is next.
    fn front(&self) -> &[u8] {
        match &self.others {
            None => self.normal.front(),
            Some(others) => others.lane(&self.normal, self.class()).front(),
        }
    }

    /// What the last frame of a class ends.
    fn last(&self, class: Priority) -> Ends {
        last(class, self.is_open)
    }

    /// Whether data of one class is all that waits, as it mostly is.
    #[inline]
    fn is_normal(&self) -> bool {
        self.others.is_none() && self.control.is_empty() && self.close.is_empty()
    }

    /// All that waits, if that is small frames of one class.
    #[cfg(feature = "std")]
    #[inline]
    fn only_frames(&self) -> Option<&[u8]> {
        self.normal.only_tail().filter(|_| self.is_normal())
    }

    /// Calls `visit` with each waiting piece in the order of sending, until it returns false.
    #[cfg(feature = "std")]
    fn visit<'a>(&'a self, visit: impl FnMut(&'a [u8]) -> bool) {
        match &self.others {
            None => self.visit_between(self.normal.pieces(self.last(Priority::Normal)), visit),
            Some(others) => self.visit_between(self.by_turns(others), visit),
        }
    }

    /// Calls `visit` with the data, and with what goes before, between and after.
    #[cfg(feature = "std")]
    fn visit_between<'a>(
        &'a self,
        mut data: impl Iterator<Item = (&'a [u8], Ends)>,
        mut visit: impl FnMut(&'a [u8]) -> bool,
    ) {
        if self.at == Ends::Nothing {
            for (bytes, ends) in data.by_ref() {
                if !visit(bytes) {
                    return;
                }
                if ends != Ends::Nothing {
                    break;
                }
            }
        }
        let (first, last): (&[u8], &[u8]) = if self.close_started {
            (&self.close, &[])
        } else {
            (&[], &self.close)
        };
        let _all = visit(first)
            && visit(self.control.waiting())
            && data.all(|(bytes, _)| visit(bytes))
            && self.is_ready()
            && visit(last);
    }

    /// Whether all data was visited, and not only what has its mask.
    #[cfg(feature = "std")]
    fn is_ready(&self) -> bool {
        let others = self.others.as_ref();
        self.normal.is_ready() && others.is_none_or(|others| others.is_ready())
    }

    /// The data of all classes, in the order of sending, with what each piece ends.
    #[cfg(feature = "std")]
    fn by_turns<'a>(&'a self, others: &'a Others) -> impl Iterator<Item = (&'a [u8], Ends)> {
        let mut lanes = ByClass::new(|class| {
            let lane = others.lane(&self.normal, class);
            lane.pieces(self.last(class))
        });
        let (mut waiting, mut schedule) = (others.waiting(&self.normal), others.schedule);
        let mut at = self.at;
        core::iter::from_fn(move || {
            let class = schedule.next(at, &waiting);
            let (bytes, ends) = lanes.of_mut(class).next()?;
            schedule.note(class, bytes.len(), bytes.len(), &waiting);
            *waiting.of_mut(class) -= bytes.len();
            at = ends;
            Some((bytes, ends))
        })
    }

    /// Takes everything that waits as segments of its own, in the order of sending; it counts as
    /// sent.
    pub(super) fn take(&mut self, out: &mut Vec<Bytes>) {
        self.transmitted += self.len() as u64;
        while let Some(next) = self.next() {
            out.push(match next {
                Next::Data => self.take_data(),
                Next::Control => self.control.take(),
                Next::Close => {
                    self.close_started = true;
                    mem::take(&mut self.close).into()
                }
            });
        }
        self.clear_if_sent();
    }

    fn take_data(&mut self) -> Bytes {
        let class = self.class();
        let last = self.last(class);
        let len = self.front().len();
        self.note_turn(class, len, len);
        let (bytes, ends) = self.lane_mut(class).take_front(last);
        self.at = ends;
        bytes
    }

    fn advance_data(&mut self, max: usize) -> usize {
        let (class, at) = (self.class(), self.at);
        let last = self.last(class);
        if self.others.is_some() {
            let len = self.front().len();
            self.note_turn(class, len, max.min(len));
        }
        let (count, ends) = self.lane_mut(class).advance(max, at, last);
        self.at = ends;
        count
    }

    fn lane_mut(&mut self, class: Priority) -> &mut Lane {
        match &mut self.others {
            None => &mut self.normal,
            Some(others) => others.lane_mut(&mut self.normal, class),
        }
    }

    /// Notes that `count` bytes of the front of a lane, of `len` bytes, are about to leave.
    fn note_turn(&mut self, class: Priority, len: usize, count: usize) {
        if let Some(others) = &mut self.others {
            let waiting = others.waiting(&self.normal);
            others.schedule.note(class, len, count, &waiting);
        }
    }

    fn advance_close(&mut self, max: usize) -> usize {
        let count = max.min(self.close.len());
        self.close.drain(..count);
        self.close_started = true;
        count
    }

    /// An idle connection owns no buffer.
    fn clear_if_sent(&mut self) {
        if self.is_empty() {
            self.control.release();
            self.normal.clear();
            self.others = None;
            self.close = Vec::new();
        }
    }
}

/// What the last frame of a class ends: only of [`Priority::Normal`] a message may go on.
fn last(class: Priority, is_open: bool) -> Ends {
    Ends::message_if(class != Priority::Normal || !is_open)
}

/// Output that waits for the transport, as a [`Buf`] in several chunks.
///
/// Write what [`chunks_vectored`](Buf::chunks_vectored) or [`chunk`](Buf::chunk) give, then
/// [`advance`](Buf::advance) by what the transport took. What is not advanced stays queued.
///
/// Slices are not always all that there is: a client masks large payloads when it is their turn. So
/// write in a loop, and [`chain`](Buf::chain) nothing behind it.
#[derive(Debug)]
pub struct Transmit<'a>(pub(super) &'a mut Queue);

impl Buf for Transmit<'_> {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.0.next() {
            Some(Next::Data) => self.0.front(),
            Some(Next::Control) => self.0.control.waiting(),
            Some(Next::Close) => &self.0.close,
            None => &[],
        }
    }

    #[cfg(feature = "std")]
    #[inline]
    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        if let (Some(frames), Some(slot)) = (self.0.only_frames(), dst.first_mut()) {
            *slot = IoSlice::new(frames);
            return usize::from(!frames.is_empty());
        }
        let mut slots = dst.iter_mut();
        let mut count = 0;
        self.0.visit(|bytes| {
            if !bytes.is_empty() {
                let Some(slot) = slots.next() else {
                    return false;
                };
                *slot = IoSlice::new(bytes);
                count += 1;
            }
            true
        });
        count
    }

    /// Marks `count` bytes as sent.
    ///
    /// # Panics
    ///
    /// If that is more than [`remaining`](Buf::remaining).
    #[inline]
    fn advance(&mut self, count: usize) {
        // Nothing is advanced by nothing: what was ended last stays so.
        if count > 0 && count == self.0.normal.len() && self.0.is_normal() {
            self.0.transmitted += count as u64;
            self.0.at = self.0.last(Priority::Normal);
            self.0.normal.clear();
            self.0.control.release();
        } else {
            self.advance_any(count);
        }
    }
}

impl Transmit<'_> {
    fn advance_any(&mut self, mut count: usize) {
        assert!(
            count <= self.remaining(),
            "cannot advance past the end of the output"
        );
        self.0.transmitted += count as u64;
        while count > 0 {
            count -= match self.0.next() {
                Some(Next::Data) => self.0.advance_data(count),
                Some(Next::Control) => self.0.control.advance(count),
                Some(Next::Close) => self.0.advance_close(count),
                None => return,
            };
        }
        self.0.clear_if_sent();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::control::MAX_PONGS_QUEUED;
    use super::*;
    use crate::frame::{Header, OpCode};

    const PLACE: Place = Place {
        priority: Priority::Normal,
        first: true,
        fin: true,
        compressed: false,
    };

    /// An unmasked frame of up to 125 bytes.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(payload.len()).unwrap();
        [&[first, len], payload].concat()
    }

    fn push(queue: &mut Queue, payload: &[u8]) {
        let header = Header::new(OpCode::Binary, payload.len() as u64).encode();
        queue.push_frame(PLACE, &header, None, payload);
    }

    fn push_chained(queue: &mut Queue, payload: &'static [u8]) {
        let header = Header::new(OpCode::Binary, payload.len() as u64).encode();
        queue.push_chained(
            PLACE,
            header,
            Block::Bytes(Bytes::from_static(payload)),
            None,
        );
    }

    fn send(queue: &mut Queue, count: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while sent.len() < count {
            let mut transmit = Transmit(queue);
            let chunk = transmit.chunk();
            let len = chunk.len().min(count - sent.len());
            sent.extend_from_slice(&chunk[..len]);
            transmit.advance(len);
        }
        sent
    }

    fn send_all(queue: &mut Queue) -> Vec<u8> {
        let len = queue.len();
        let sent = send(queue, len);
        assert!(queue.is_empty());
        sent
    }

    #[test]
    fn lanes() {
        let mut queue = Queue::default();
        queue.set_close(b"close");
        push(&mut queue, b"data");
        queue.control_mut().push(&frame(0x89, b"ping"));
        queue.control_mut().push_pong(&frame(0x8A, b"pong"));
        assert_eq!(queue.len(), 5 + 3 * 6);
        let sent = send_all(&mut queue);
        assert_eq!(sent, b"\x89\x04ping\x8A\x04pong\x82\x04dataclose");
    }

    #[test]
    fn a_control_frame_waits_for_the_frame_that_is_sent_in_part() {
        for count in 1..12 {
            let mut queue = Queue::default();
            push(&mut queue, b"one");
            push(&mut queue, b"two");
            push_chained(&mut queue, b"three");
            let mut sent = send(&mut queue, count);
            queue.control_mut().push(&frame(0x89, b"P"));
            sent.extend(send_all(&mut queue));
            let ping = sent.iter().position(|byte| *byte == 0x89).unwrap();
            let expected = match count {
                1..=5 => 5,
                6..=10 => 10,
                _ => 17,
            };
            assert_eq!(ping, expected, "after {count}");
        }
    }

    #[test]
    fn every_ping_has_its_pong_while_few_wait() {
        let mut queue = Queue::default();
        queue.control_mut().push_pong(&frame(0x8A, b"1"));
        queue.control_mut().push(&frame(0x89, b"a"));
        queue.control_mut().push_pong(&frame(0x8A, b"2"));
        assert_eq!(send_all(&mut queue), b"\x8A\x011\x89\x01a\x8A\x012");
    }

    #[test]
    fn beyond_that_a_pong_replaces_the_latest_that_waits() {
        for (begun, pongs) in [(0, "2"), (1, "12")] {
            let mut queue = Queue::default();
            queue.control_mut().push_pong(&frame(0x8A, b"1"));
            let mut sent = send(&mut queue, begun);
            while queue.control().len() + 3 <= MAX_PONGS_QUEUED {
                queue.control_mut().push(&frame(0x89, b"a"));
            }
            for _ in 0..1000 {
                queue.control_mut().push_pong(&frame(0x8A, b"2"));
                assert!(queue.control().len() <= MAX_PONGS_QUEUED + 3);
            }
            sent.extend(send_all(&mut queue));
            let is_pong = |frame: &&[u8]| frame[0] == 0x8A;
            let answers: Vec<_> = sent
                .chunks(3)
                .filter(is_pong)
                .map(|frame| frame[2])
                .collect();
            assert_eq!(answers, pongs.as_bytes());
        }
    }

    #[test]
    fn nothing_comes_between_the_bytes_of_the_close_frame() {
        let mut queue = Queue::default();
        queue.set_close(&frame(0x88, b"\x03\xE8"));
        let mut sent = send(&mut queue, 1);
        queue.control_mut().push_pong(&frame(0x8A, b"p"));
        sent.extend(send_all(&mut queue));
        assert_eq!(sent, b"\x88\x02\x03\xE8\x8A\x01p");
    }

    #[test]
    fn taking_goes_on_where_a_partial_write_ended() {
        let mut whole = Vec::new();
        for count in 0..30 {
            let mut queue = Queue::default();
            push(&mut queue, b"one");
            push_chained(&mut queue, b"three");
            push(&mut queue, b"four");
            queue.control_mut().push(&frame(0x89, b"ping"));
            queue.set_close(b"close");
            assert_eq!(queue.len(), 29);
            let mut sent = send(&mut queue, count.min(29));
            let mut segments = vec![];
            queue.take(&mut segments);
            assert!(queue.is_empty());
            sent.extend(segments.concat());
            if count == 0 {
                whole.clone_from(&sent);
            }
            assert_eq!(sent, whole);
        }
    }
}
