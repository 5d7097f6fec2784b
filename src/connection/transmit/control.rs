//! Pings and pongs on their way out.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

/// The largest control frame.
const MAX_FRAME: usize = 2 + 4 + 125;

/// Waiting bytes beyond which frames of the application's are refused: sixteen of the largest.
pub(in crate::connection) const MAX_CONTROL_QUEUED: usize = 16 * MAX_FRAME;

/// What a flood of pings may make wait.
pub(super) const MAX_PONGS_QUEUED: usize = 299;

/// Waiting bytes beyond which pongs are coalesced: with the largest frame on top, it is the most
/// that may wait. One pong would do for RFC 6455, but a peer that sends ten short pings at once
/// expects ten pongs (Autobahn 2.10).
const COALESCE_FROM: usize = MAX_PONGS_QUEUED - MAX_FRAME;

/// Encoded pings and pongs, oldest first.
#[derive(Default)]
pub(in crate::connection) struct Control {
    /// Less what was sent.
    waiting: Vec<u8>,
    /// Where the latest automatic pong starts, while nothing of it was sent.
    pong: Option<usize>,
    probe: Probe,
}

/// The last ping that measures the round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    None,
    /// It waits, and ends there.
    Ends(usize),
    Sent,
}

impl Control {
    /// Bytes that wait.
    #[inline]
    pub(in crate::connection) fn len(&self) -> usize {
        self.waiting.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// Queues a ping or pong of the application's.
    pub(in crate::connection) fn push(&mut self, frame: &[u8]) {
        self.waiting.extend_from_slice(frame);
    }

    /// Queues the ping that measures the round trip.
    pub(in crate::connection) fn push_probe(&mut self, frame: &[u8]) {
        self.push(frame);
        self.probe = Probe::Ends(self.waiting.len());
    }

    /// Whether the last such ping was sent.
    pub(in crate::connection) fn probe_left(&self) -> bool {
        self.probe == Probe::Sent
    }

    /// Queues the answer to a ping.
    ///
    /// While few wait, every ping gets its own. Beyond that an answer replaces the one before it
    /// (6455-5.5.3-02), so the answer to the latest ping always goes out, and a flood costs no
    /// more than [`MAX_PONGS_QUEUED`]: what is in front of the latest was at most
    /// [`COALESCE_FROM`] when that was added, and only shrinks.
    pub(in crate::connection) fn push_pong(&mut self, frame: &[u8]) {
        if let Some(start) = self.pong {
            if self.waiting.len() > COALESCE_FROM {
                // An unsent pong is whole; frames of the application's may follow it.
                let len = self.waiting.get(start..).map_or(0, frame_len);
                self.waiting.drain(start..start + len);
                match &mut self.probe {
                    Probe::Ends(end) if *end > start => *end -= len,
                    Probe::Ends(_) | Probe::None | Probe::Sent => {}
                }
            }
        }
        self.pong = Some(self.waiting.len());
        self.waiting.extend_from_slice(frame);
    }

    /// Notes that up to `max` bytes were sent, and returns how many.
    pub(super) fn advance(&mut self, max: usize) -> usize {
        let count = max.min(self.waiting.len());
        self.waiting.drain(..count);
        // A pong that has begun to leave can no longer be replaced.
        self.pong = self.pong.and_then(|start| start.checked_sub(count));
        if let Probe::Ends(end) = self.probe {
            self.probe = match end.checked_sub(count) {
                None | Some(0) => Probe::Sent,
                Some(end) => Probe::Ends(end),
            };
        }
        count
    }

    /// Takes all that waits; it counts as sent.
    pub(super) fn take(&mut self) -> Bytes {
        self.pong = None;
        if self.probe != Probe::None {
            self.probe = Probe::Sent;
        }
        mem::take(&mut self.waiting).into()
    }

    /// Gives the buffer back, with nothing waiting in it.
    pub(super) fn release(&mut self) {
        debug_assert!(self.is_empty(), "what waits is sent first");
        self.waiting = Vec::new();
        self.pong = None;
    }
}

/// The length of the control frame at the front of `bytes`.
fn frame_len(bytes: &[u8]) -> usize {
    // One byte of opcode, one of length and MASK bit; 6455-5.5-01: no control frame has an extended
    // length.
    let second = bytes.get(1).copied().unwrap_or_default();
    let masking_key = if second & 0x80 == 0 { 0 } else { 4 };
    2 + masking_key + usize::from(second & 0x7F)
}
