//! The output queue: what goes to the transport, and in which order.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::frame::{Header, Rules};

/// A segment of small frames is closed at this size, to keep what is written at once within the
/// first-level cache.
const SEGMENT_SIZE: usize = 16 * 1024;

/// The largest control frame.
const MAX_CONTROL_FRAME: usize = 2 + 4 + 125;

/// Waiting control frames in bytes, beyond which the application's are refused: sixteen of the
/// largest.
pub(super) const MAX_CONTROL_QUEUED: usize = 16 * MAX_CONTROL_FRAME;

/// Waiting control frames in bytes, beyond which pongs are coalesced: two of the largest. One pong
/// would do for RFC 6455, but a peer that sends ten short pings at once expects ten pongs (Autobahn
/// 2.10).
const MAX_PONGS_QUEUED: usize = 2 * MAX_CONTROL_FRAME;

/// Frames on their way out, in three lanes.
///
/// Data goes in the order it was queued. Control frames overtake it at the next frame boundary,
/// because RFC 6455 section 5.5 wants them answered soon. The Close frame comes behind the data
/// that was accepted before it. Nothing ever comes between the bytes of one frame.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Data in segments, oldest first. Some hold many small frames, some are the payload of one
    /// large frame.
    segments: VecDeque<Segment>,
    /// Small frames that came last, to be joined by more. INVARIANT: whole frames, none of it
    /// sent.
    tail: Vec<u8>,
    /// Bytes in `segments` and `tail`.
    data_len: usize,
    /// The first frame in `segments` is sent in part, so it must be finished. INVARIANT: if set,
    /// `segments` is not empty, and the frame ends where a segment does.
    mid_frame: bool,
    /// Encoded pings and pongs, oldest first, less what was sent.
    control: Vec<u8>,
    /// Where the latest automatic pong starts in `control`, while nothing of it was sent.
    pong: Option<usize>,
    /// Where the ping that measures the round trip ends in `control`, while it waits.
    probe: Option<usize>,
    /// That ping was sent.
    probe_left: bool,
    /// Bytes that were sent in all.
    transmitted: u64,
    /// The encoded Close frame, less what was sent.
    close: Vec<u8>,
    /// Some of the Close frame was sent: from then on it comes first.
    close_started: bool,
}

#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    /// Whether a frame ends at its end; if not, the frame goes on in the next segment.
    ends_frame: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Data,
    Control,
    Close,
}

impl Queue {
    /// Bytes of data that wait.
    pub(super) fn data_len(&self) -> usize {
        self.data_len
    }

    /// Bytes of control frames that wait, without the Close frame.
    pub(super) fn control_len(&self) -> usize {
        self.control.len()
    }

    /// Bytes that wait in all lanes.
    pub(super) fn len(&self) -> usize {
        self.data_len + self.control.len() + self.close.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Queues a data frame in one piece: `write` appends it to the buffer that it is given.
    pub(super) fn push_frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.data_len += self.tail.len() - before;
        if self.tail.len() >= SEGMENT_SIZE {
            self.close_tail(true);
        }
    }

    /// Queues a data frame whose payload stays where it is.
    pub(super) fn push_chained(&mut self, header: &[u8], payload: Bytes) {
        self.data_len += header.len() + payload.len();
        self.tail.extend_from_slice(header);
        self.close_tail(false);
        self.segments.push_back(Segment {
            bytes: payload,
            ends_frame: true,
        });
    }

    fn close_tail(&mut self, ends_frame: bool) {
        self.segments.push_back(Segment {
            bytes: mem::take(&mut self.tail).into(),
            ends_frame,
        });
    }

    /// Queues a ping or pong of the application's.
    pub(super) fn push_control(&mut self, frame: &[u8]) {
        self.control.extend_from_slice(frame);
    }

    /// Queues the ping that measures the round trip.
    pub(super) fn push_probe(&mut self, frame: &[u8]) {
        self.push_control(frame);
        self.probe = Some(self.control.len());
        self.probe_left = false;
    }

    /// Whether the last such ping was sent.
    pub(super) fn probe_left(&self) -> bool {
        self.probe_left
    }

    /// Bytes that were sent since the connection began.
    pub(super) fn transmitted(&self) -> u64 {
        self.transmitted
    }

    /// Queues the answer to a ping.
    ///
    /// While few wait, every ping gets its own. Beyond that an answer replaces the one before it
    /// (6455-5.5.3-02), so the answer to the latest ping always goes out, and a flood costs no
    /// more than [`MAX_PONGS_QUEUED`].
    pub(super) fn push_pong(&mut self, frame: &[u8]) {
        if let Some(start) = self.pong {
            if self.control.len() + frame.len() > MAX_PONGS_QUEUED {
                // An unsent pong is whole; frames of the application's may follow it.
                let len = self.control.get(start..).map_or(0, control_frame_len);
                self.control.drain(start..start + len);
                if let Some(end) = self.probe.as_mut().filter(|end| **end > start) {
                    *end -= len;
                }
            }
        }
        self.pong = Some(self.control.len());
        self.control.extend_from_slice(frame);
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
    fn lane(&self) -> Option<Lane> {
        if self.mid_frame {
            // HARDENING C-31: a frame that is sent in part is finished first.
            Some(Lane::Data)
        } else if self.close_started && !self.close.is_empty() {
            Some(Lane::Close)
        } else if !self.control.is_empty() {
            Some(Lane::Control)
        } else if self.data_len > 0 {
            Some(Lane::Data)
        } else if !self.close.is_empty() {
            Some(Lane::Close)
        } else {
            None
        }
    }

    /// Calls `visit` with each waiting piece in the order of sending, until it returns false.
    #[cfg(feature = "std")]
    fn visit<'a>(&'a self, mut visit: impl FnMut(&'a [u8]) -> bool) {
        let mut segments = self.segments.iter();
        if self.mid_frame {
            for segment in segments.by_ref() {
                if !visit(&segment.bytes) {
                    return;
                }
                if segment.ends_frame {
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
            && visit(&self.control)
            && segments.all(|segment| visit(&segment.bytes))
            && visit(&self.tail)
            && visit(last);
    }

    /// Takes everything that waits as segments of its own, in the order of sending; it counts as
    /// sent.
    pub(super) fn take(&mut self, out: &mut Vec<Bytes>) {
        self.transmitted += self.len() as u64;
        while let Some(lane) = self.lane() {
            match lane {
                Lane::Control => {
                    self.pong = None;
                    self.probe_left |= self.probe.take().is_some();
                    out.push(mem::take(&mut self.control).into());
                }
                Lane::Close => {
                    self.close_started = true;
                    out.push(mem::take(&mut self.close).into());
                }
                Lane::Data => match self.segments.pop_front() {
                    Some(segment) => {
                        self.data_len -= segment.bytes.len();
                        self.mid_frame = !segment.ends_frame;
                        out.push(segment.bytes);
                    }
                    None => {
                        self.data_len -= self.tail.len();
                        out.push(mem::take(&mut self.tail).into());
                    }
                },
            }
        }
        self.clear_if_sent();
    }

    fn advance_data(&mut self, max: usize) -> usize {
        if self.segments.is_empty() {
            let len = self.tail.len();
            if len <= max {
                self.data_len = 0;
                self.tail = Vec::new();
                return len;
            }
            // What is sent in part must not grow, or control frames would wait for its end.
            self.close_tail(true);
        }
        self.isolate(max);
        let Some(front) = self.segments.front_mut() else {
            return 0;
        };
        let count = max.min(front.bytes.len());
        front.bytes.advance(count);
        self.data_len -= count;
        self.mid_frame = true;
        if front.bytes.is_empty() {
            self.mid_frame = !front.ends_frame;
            self.segments.pop_front();
        }
        count
    }

    /// Gives the frame that the next `count` bytes end in a segment of its own, so that nothing
    /// else must go with it.
    fn isolate(&mut self, count: usize) {
        let Some(front) = self.segments.front_mut() else {
            return;
        };
        if self.mid_frame || count >= front.bytes.len() {
            return;
        }
        let end = frame_end(&front.bytes, count);
        if end < front.bytes.len() {
            let rest = Segment {
                bytes: front.bytes.split_off(end),
                ends_frame: mem::replace(&mut front.ends_frame, true),
            };
            self.segments.insert(1, rest);
        }
    }

    fn advance_control(&mut self, max: usize) -> usize {
        let count = max.min(self.control.len());
        self.control.drain(..count);
        // A pong that has begun to leave can no longer be replaced.
        self.pong = self.pong.and_then(|start| start.checked_sub(count));
        if let Some(end) = self.probe {
            self.probe = (end > count).then(|| end - count);
            self.probe_left |= self.probe.is_none();
        }
        count
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
            *self = Self {
                close_started: self.close_started,
                probe_left: self.probe_left,
                transmitted: self.transmitted,
                ..Self::default()
            };
        }
    }
}

/// The first end of a frame at or behind `count`, or the end of `frames` if the last one goes on
/// elsewhere.
fn frame_end(frames: &[u8], count: usize) -> usize {
    const RULES: Rules = Rules::any().with_rsv(Header::RSV1 | Header::RSV2 | Header::RSV3);
    let mut end = 0;
    while end < count {
        let rest = frames.get(end..).unwrap_or_default();
        let Ok(Some((header, size))) = Header::decode(rest, &RULES) else {
            return frames.len();
        };
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        end = end.saturating_add(size).saturating_add(len);
    }
    end.min(frames.len())
}

/// The length of the control frame at the front of `bytes`.
fn control_frame_len(bytes: &[u8]) -> usize {
    // One byte of opcode, one of length and MASK bit; 6455-5.5-01: no control frame has an extended
    // length.
    let second = bytes.get(1).copied().unwrap_or_default();
    let masking_key = if second & 0x80 == 0 { 0 } else { 4 };
    2 + masking_key + usize::from(second & 0x7F)
}

/// Output that waits for the transport, as a [`Buf`] in several chunks.
///
/// Write what [`chunks_vectored`](Buf::chunks_vectored) or [`chunk`](Buf::chunk) give, then
/// [`advance`](Buf::advance) by what the transport took. What is not advanced stays queued.
#[derive(Debug)]
pub struct Transmit<'a>(pub(super) &'a mut Queue);

impl Buf for Transmit<'_> {
    fn remaining(&self) -> usize {
        self.0.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.0.lane() {
            Some(Lane::Data) => match self.0.segments.front() {
                Some(segment) => &segment.bytes,
                None => &self.0.tail,
            },
            Some(Lane::Control) => &self.0.control,
            Some(Lane::Close) => &self.0.close,
            None => &[],
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
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
    fn advance(&mut self, mut count: usize) {
        assert!(
            count <= self.remaining(),
            "cannot advance past the end of the output"
        );
        self.0.transmitted += count as u64;
        while count > 0 {
            count -= match self.0.lane() {
                Some(Lane::Data) => self.0.advance_data(count),
                Some(Lane::Control) => self.0.advance_control(count),
                Some(Lane::Close) => self.0.advance_close(count),
                None => return,
            };
        }
        self.0.clear_if_sent();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// An unmasked frame of up to 125 bytes.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(payload.len()).unwrap();
        [&[first, len], payload].concat()
    }

    fn push(queue: &mut Queue, payload: &[u8]) {
        let frame = frame(0x82, payload);
        queue.push_frame(|buffer| buffer.extend_from_slice(&frame));
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
        queue.push_control(&frame(0x89, b"ping"));
        queue.push_pong(&frame(0x8A, b"pong"));
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
            queue.push_chained(&[0x82, 5], Bytes::from_static(b"three"));
            let mut sent = send(&mut queue, count);
            queue.push_control(&frame(0x89, b"P"));
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
        queue.push_pong(&frame(0x8A, b"1"));
        queue.push_control(&frame(0x89, b"a"));
        queue.push_pong(&frame(0x8A, b"2"));
        assert_eq!(send_all(&mut queue), b"\x8A\x011\x89\x01a\x8A\x012");
    }

    #[test]
    fn beyond_that_a_pong_replaces_the_latest_that_waits() {
        for (begun, pongs) in [(0, "2"), (1, "12")] {
            let mut queue = Queue::default();
            queue.push_pong(&frame(0x8A, b"1"));
            let mut sent = send(&mut queue, begun);
            while queue.control_len() + 3 <= MAX_PONGS_QUEUED {
                queue.push_control(&frame(0x89, b"a"));
            }
            for _ in 0..1000 {
                queue.push_pong(&frame(0x8A, b"2"));
                assert!(queue.control_len() <= MAX_PONGS_QUEUED + 3);
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
        queue.push_pong(&frame(0x8A, b"p"));
        sent.extend(send_all(&mut queue));
        assert_eq!(sent, b"\x88\x02\x03\xE8\x8A\x01p");
    }

    #[test]
    fn taking_goes_on_where_a_partial_write_ended() {
        let mut whole = Vec::new();
        for count in 0..30 {
            let mut queue = Queue::default();
            push(&mut queue, b"one");
            queue.push_chained(&[0x82, 5], Bytes::from_static(b"three"));
            push(&mut queue, b"four");
            queue.push_control(&frame(0x89, b"ping"));
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
