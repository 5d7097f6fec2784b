//! What the two tasks of one connection tell each other.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// Which task waits: a connection may be used from one that receives and one that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Receive,
    Send,
}

/// The wakers of both tasks. A transport remembers only the last waker it was polled with, so it
/// gets this one, which wakes both.
#[derive(Debug, Default)]
pub(super) struct Signals {
    slots: Mutex<Slots>,
    /// The receiving side has to look after the output. Cleared only by who has access to the
    /// output.
    care: AtomicBool,
    /// The receiving half was dropped: the other one is alone.
    alone: AtomicBool,
    /// What each side holds, if there is a limit for both together, which has no more bits either.
    held_by_receiver: AtomicU32,
    held_by_sender: AtomicU32,
}

#[derive(Debug, Default)]
struct Slots {
    receive: Option<Waker>,
    send: Option<Waker>,
    /// The receiving task was woken, and has not come yet.
    called: bool,
}

impl Slots {
    fn slot(&mut self, side: Side) -> &mut Option<Waker> {
        match side {
            Side::Receive => &mut self.receive,
            Side::Send => &mut self.send,
        }
    }
}

impl Signals {
    /// Remembers that a side waits.
    pub(super) fn register(&self, side: Side, waker: &Waker) {
        let mut slots = self.lock();
        if side == Side::Receive {
            slots.called = false;
        }
        match slots.slot(side) {
            Some(present) => present.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    /// Wakes a side, if it waits.
    pub(super) fn wake_side(&self, side: Side) {
        let mut slots = self.lock();
        let waker = slots.slot(side).take();
        slots.called |= side == Side::Receive && waker.is_some();
        drop(slots);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a task other than this one receives: it waits, or was woken just now.
    pub(super) fn expects_receiver(&self, this: &Waker) -> bool {
        let slots = self.lock();
        match &slots.receive {
            Some(waker) => !waker.will_wake(this),
            None => slots.called,
        }
    }

    /// Wakes the receiving task, if it waits. If it was woken before, it is no longer expected.
    pub(super) fn call_receiver(&self) {
        self.lock().called = false;
        self.wake_side(Side::Receive);
    }

    pub(super) fn needs_care(&self) -> bool {
        self.care.load(Ordering::Acquire)
    }

    pub(super) fn set_needs_care(&self, needed: bool) {
        self.care.store(needed, Ordering::Release);
    }

    /// Whether there is no receiving half any more.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }

    /// The receiving half is dropped, with all that it holds.
    pub(super) fn leave_alone(&self) {
        self.held_by_receiver.store(0, Ordering::Relaxed);
        self.alone.store(true, Ordering::Release);
        self.wake_side(Side::Send);
    }

    /// What a side held when it said so last.
    pub(super) fn held(&self, side: Side) -> usize {
        self.held_by(side).load(Ordering::Relaxed) as usize
    }

    /// Says what a side holds. If it is less than before, there may be room for the other one.
    pub(super) fn set_held(&self, side: Side, held: usize) {
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        let before = self.held_by(side).swap(held, Ordering::Relaxed);
        if side == Side::Receive && held < before {
            self.wake_side(Side::Send);
        }
    }

    fn held_by(&self, side: Side) -> &AtomicU32 {
        match side {
            Side::Receive => &self.held_by_receiver,
            Side::Send => &self.held_by_sender,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Nothing in here can panic halfway.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Signals {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_side(Side::Receive);
        self.wake_side(Side::Send);
    }
}
