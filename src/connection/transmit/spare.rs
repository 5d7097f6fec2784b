//! What a thread keeps for the next lane that has something to send, so that a message costs no
//! allocation and an idle connection no memory.

use alloc::boxed::Box;
use alloc::vec;

pub(super) use thread::{put_buffer, put_queue, take_buffer, take_buffer_within, take_queue};

/// A buffer that is larger than needed, so that what grows frame by frame is not copied each time. Of
/// few sizes, so that it fits the next one, too.
fn new_buffer(needed: usize) -> Box<[u8]> {
    vec![0; needed.next_power_of_two()].into()
}

#[cfg(feature = "std")]
mod thread {
    use alloc::boxed::Box;
    use alloc::collections::VecDeque;
    use core::cell::Cell;

    use super::super::segment::Segment;
    use crate::spare::Spares;

    /// A queue that had more segments at once is not kept.
    const MAX_SEGMENTS: usize = 64;

    /// A buffer may be so many times what is put in it: one that waits long is not to keep much
    /// more than it holds.
    const MAX_SPARE: usize = 8;

    /// But a buffer of this size is nothing to fear.
    const ALWAYS: usize = 4096;

    /// A new buffer has as much, for more small frames than the first.
    const LEAST: usize = 1024;

    std::thread_local! {
        // A connection mostly sends all that it has before the next one has its turn: one buffer for
        // small frames, one for what is masked, some for those that wait. Each has room for an
        // automatic fragment, which makes a mebibyte a thread at most.
        static BUFFERS: Spares = const { Spares::new(8, 128 * 1024) };
        static QUEUE: Cell<VecDeque<Segment>> = const { Cell::new(VecDeque::new()) };
    }

    // While a thread ends there is nothing kept any more.

    /// A buffer of at least `needed` bytes, and not many more. There may be something in it.
    #[inline]
    pub(in super::super) fn take_buffer(needed: usize) -> Box<[u8]> {
        let max = needed.saturating_mul(MAX_SPARE).max(ALWAYS);
        take_buffer_within(needed, max)
    }

    /// A buffer of at least `needed` bytes, and of no more than `max` if it was used before.
    #[inline]
    pub(in super::super) fn take_buffer_within(needed: usize, max: usize) -> Box<[u8]> {
        let taken = BUFFERS.try_with(|spares| spares.take(needed, max));
        let new = || super::new_buffer(needed.max(LEAST));
        taken.ok().flatten().map_or_else(new, Box::from)
    }

    #[inline]
    pub(in super::super) fn put_buffer(buffer: Box<[u8]>) {
        let _ended = BUFFERS.try_with(|spares| spares.put(buffer.into()));
    }

    pub(in super::super) fn take_queue() -> VecDeque<Segment> {
        QUEUE.try_with(Cell::take).unwrap_or_default()
    }

    pub(in super::super) fn put_queue(queue: VecDeque<Segment>) {
        debug_assert!(queue.is_empty(), "nobody waits in it any more");
        if (1..=MAX_SEGMENTS).contains(&queue.capacity()) {
            let _ended = QUEUE.try_with(|place| place.set(queue));
        }
    }
}

/// Without threads there is nobody to keep anything.
#[cfg(not(feature = "std"))]
mod thread {
    use alloc::boxed::Box;
    use alloc::collections::VecDeque;

    use super::super::segment::Segment;

    pub(in super::super) fn take_buffer(needed: usize) -> Box<[u8]> {
        super::new_buffer(needed)
    }

    pub(in super::super) fn take_buffer_within(needed: usize, _max: usize) -> Box<[u8]> {
        super::new_buffer(needed)
    }

    #[expect(clippy::boxed_local, reason = "as with threads")]
    pub(in super::super) fn put_buffer(_buffer: Box<[u8]>) {}

    pub(in super::super) fn take_queue() -> VecDeque<Segment> {
        VecDeque::new()
    }

    pub(in super::super) fn put_queue(_queue: VecDeque<Segment>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without `std` each frame had a buffer of its size, and all before it were copied again.
    #[test]
    fn regression_what_grew_frame_by_frame_was_copied_each_time() {
        let mut buffer: Box<[u8]> = Box::default();
        let (mut filled, mut copied) = (0, 0);
        for _ in 1..=1000 {
            let needed = filled + 24;
            if needed > buffer.len() {
                copied += filled;
                buffer = new_buffer(needed);
            }
            filled = needed;
        }
        assert!(copied <= 2 * filled, "{copied}");
    }
}
