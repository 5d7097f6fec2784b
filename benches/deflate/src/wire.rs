//! A transport over memory that is always ready, until its input is at its end.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// Peers read at most so much at a time, as from a socket.
const READ: usize = 64 * 1024;

#[derive(Clone)]
pub struct Wire {
    input: Arc<[u8]>,
    at: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    arrived: AtomicBool,
    written: AtomicUsize,
}

impl Wire {
    pub fn new(input: &Arc<[u8]>) -> Self {
        Self {
            input: input.clone(),
            at: 0,
            shared: Arc::default(),
        }
    }

    pub fn arrive(&self) {
        self.shared.arrived.store(true, Ordering::Relaxed);
    }

    pub fn written(&self) -> usize {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// The next bytes of the input; `None` is "wait".
    pub fn take(&mut self, most: usize) -> Option<&[u8]> {
        let rest = self
            .input
            .get(self.at..)
            .filter(|rest| !rest.is_empty() && self.shared.arrived.load(Ordering::Relaxed))?;
        let taken = &rest[..rest.len().min(most).min(READ)];
        self.at += taken.len();
        Some(taken)
    }

    /// As [`take`](Self::take), but copied.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let taken = self.take(buffer.len())?;
        buffer[..taken.len()].copy_from_slice(taken);
        Some(taken.len())
    }

    /// Counts what is written.
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.shared
            .written
            .fetch_add(bytes.len(), Ordering::Relaxed);
        bytes.len()
    }
}

/// Runs a future that has no reason to wait.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("it waits");
}

/// Polls a future that waits.
pub fn wait<F: Future>(future: F) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(future).as_mut().poll(&mut context).is_pending());
}
