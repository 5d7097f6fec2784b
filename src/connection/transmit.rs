//! The output queue: what goes to the transport, and in which order.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
#[cfg(feature = "std")]
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

/// A segment of small frames is closed at this size. It bounds how much queued data goes out before a control frame,
/// and keeps what is written at once within the first-level cache.
const SEGMENT_SIZE: usize = 16 * 1024;

/// Waiting control frames in bytes, beyond which the application's are refused and pongs are coalesced: sixteen of the
/// largest. One would do for RFC 6455, but a peer that sends a few pings at once expects as many pongs (Autobahn 2.10).
pub(super) const MAX_CONTROL_QUEUED: usize = 16 * (2 + 4 + 125);

/// Frames on their way out, in three lanes.
///
/// Data goes in the order it was queued. Control frames overtake it at the next segment boundary, which is a frame
/// boundary, because RFC 6455 section 5.5 wants them answered soon. The Close frame comes behind the data that was
/// accepted before it. Nothing ever comes between the bytes of one frame.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Data in segments, oldest first. Some hold many small frames, some are the payload of one large frame.
    segments: VecDeque<Segment>,
    /// Small frames that came last, to be joined by more. INVARIANT: whole frames, none of it sent.
    tail: BytesMut,
    /// Bytes in `segments` and `tail`.
    data_len: usize,
    /// The first segment, or the one before it, is sent in part, so it must be finished. INVARIANT: if set, `segments`
    /// is not empty.
    mid_frame: bool,
    /// Encoded pings and pongs, oldest first, less what was sent.
    control: Vec<u8>,
    /// Where the latest automatic pong starts in `control`, while nothing of it was sent.
    pong: Option<usize>,
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
    pub(super) fn push_frame(&mut self, write: impl FnOnce(&mut BytesMut)) {
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
            bytes: mem::take(&mut self.tail).freeze(),
            ends_frame,
        });
    }

    /// Queues a ping or pong of the application's.
    pub(super) fn push_control(&mut self, frame: &[u8]) {
        self.control.extend_from_slice(frame);
    }

    /// Queues the answer to a ping.
    ///
    /// While few wait, every ping gets its own. Beyond that an answer replaces the one before it (6455-5.5.3-02), so
    /// the answer to the latest ping always goes out, and a flood costs no more than [`MAX_CONTROL_QUEUED`].
    pub(super) fn push_pong(&mut self, frame: &[u8]) {
        if let Some(start) = self.pong {
            if self.control.len() + frame.len() > MAX_CONTROL_QUEUED {
                // An unsent pong is whole; frames of the application's may follow it.
                let len = self.control.get(start..).map_or(0, control_frame_len);
                self.control.drain(start..start + len);
            }
        }
        self.pong = Some(self.control.len());
        self.control.extend_from_slice(frame);
    }

    /// Queues the Close frame, behind the data.
    pub(super) fn push_close(&mut self, frame: &[u8]) {
        self.close.extend_from_slice(frame);
    }

    /// Drops everything: the transport is gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
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

    /// Takes everything that waits as segments of its own, in the order of sending; it counts as sent.
    pub(super) fn take(&mut self, out: &mut Vec<Bytes>) {
        while let Some(lane) = self.lane() {
            match lane {
                Lane::Control => {
                    self.pong = None;
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
                        out.push(mem::take(&mut self.tail).freeze());
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
                self.tail = BytesMut::new();
                return len;
            }
            // What is sent in part must not grow, or control frames would wait for its end.
            self.close_tail(true);
        }
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

    fn advance_control(&mut self, max: usize) -> usize {
        let count = max.min(self.control.len());
        self.control.drain(..count);
        // A pong that has begun to leave can no longer be replaced.
        self.pong = self.pong.and_then(|start| start.checked_sub(count));
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
            let close_started = self.close_started;
            *self = Self::default();
            self.close_started = close_started;
        }
    }
}

/// The length of the control frame at the front of `bytes`.
fn control_frame_len(bytes: &[u8]) -> usize {
    // One byte of opcode, one of length and MASK bit; 6455-5.5-01: no control frame has an extended length.
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
