//! What is to be sent, and which of it is measured.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Options;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) start: Instant,
    /// The end of the warm-up.
    pub(super) measured_from: Instant,
    pub(super) end: End,
    pub(super) depth: usize,
    pub(super) timeout: Duration,
    /// How many messages to be measured were sent.
    sent: AtomicU64,
    stopped: OnceLock<Instant>,
}

/// When nothing more is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    At(Instant),
    After(u64),
}

impl Plan {
    pub(super) fn new(options: &Options, start: Instant) -> Self {
        let measured_from = start + options.warmup;
        Self {
            start,
            measured_from,
            end: match options.messages {
                Some(count) => End::After(count),
                None => End::At(measured_from + options.duration),
            },
            depth: options.depth.unwrap_or(1) as usize,
            timeout: options.timeout,
            sent: AtomicU64::new(0),
            stopped: OnceLock::new(),
        }
    }

    /// Nothing is sent that is due later than now.
    pub(super) fn stop(&self) {
        self.stopped.get_or_init(Instant::now);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get().is_some()
    }

    /// Whether nothing that is due at this time is sent any more, as far as the clock tells.
    pub(super) fn is_over_by(&self, due: Instant) -> bool {
        matches!(self.end, End::At(end) if due >= end)
    }

    /// Whether a message that is due at this time is sent, and then, whether it is measured.
    pub(super) fn ticket(&self, due: Instant) -> Option<bool> {
        if self.stopped.get().is_some_and(|stopped| due > *stopped) {
            return None;
        }
        if due < self.measured_from {
            return Some(false);
        }
        match self.end {
            End::At(end) => (due < end).then_some(true),
            End::After(count) => {
                (self.sent.fetch_add(1, Ordering::Relaxed) < count).then_some(true)
            }
        }
    }
}
