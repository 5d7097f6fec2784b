//! What was measured, by all connections together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::exit::Failure;

/// Connections share so many histograms: each takes some 100 KiB.
const SHARDS: usize = 16;

/// Three significant digits.
const DIGITS: u8 = 3;

pub(super) struct Measurements {
    histograms: Vec<Mutex<Histogram<u64>>>,
    /// All answers, those of the warm-up too.
    answered: AtomicU64,
    /// Messages that were measured and had no answer, or were due and not even sent.
    lost: AtomicU64,
    errors: AtomicU64,
    /// The first one.
    failure: Mutex<Option<Failure>>,
    last_answer: Mutex<Option<Instant>>,
}

impl Measurements {
    pub(super) fn new() -> Self {
        Self {
            histograms: (0..SHARDS).map(|_| Mutex::new(empty())).collect(),
            answered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failure: Mutex::new(None),
            last_answer: Mutex::new(None),
        }
    }

    pub(super) fn answer(&self, connection: usize, latency: Option<Duration>) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let shard = self.histograms.get(connection % SHARDS);
        if let (Some(latency), Some(histogram)) = (latency, shard) {
            let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            // It grows as needed.
            let _recorded = lock(histogram).record(nanos.max(1));
        }
    }

    /// A connection has got its last answer.
    pub(super) fn last_answer(&self, at: Instant) {
        let mut last = lock(&self.last_answer);
        *last = (*last).max(Some(at));
    }

    /// So many messages that are measured will have no answer.
    pub(super) fn lose(&self, messages: u64) {
        self.lost.fetch_add(messages, Ordering::Relaxed);
    }

    /// A connection failed.
    pub(super) fn fail(&self, failure: Failure) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        lock(&self.failure).get_or_insert(failure);
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        lock(&self.failure).take()
    }

    /// When the last answer came, and all latencies in nanoseconds.
    pub(super) fn total(&self) -> (Option<Instant>, Histogram<u64>) {
        let mut total = empty();
        for histogram in &self.histograms {
            // It grows as needed.
            let _added = total.add(&*lock(histogram));
        }
        (*lock(&self.last_answer), total)
    }
}

fn empty() -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).unwrap_or_else(|_| unreachable!("0 to 5 digits"));
    histogram.auto(true);
    histogram
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
