//! Buffers that a thread keeps for whoever needs one next. So what is queued or assembled does not
//! cost an allocation for each message, and yet who is idle owns no buffer.

#[cfg(feature = "std")]
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::cell::RefCell;

/// Buffers of a thread that nobody uses.
#[cfg(feature = "std")]
pub(crate) struct Spares {
    kept: RefCell<Vec<Vec<u8>>>,
    max_kept: usize,
    /// Larger ones are given back to the allocator.
    max_capacity: usize,
}

#[cfg(feature = "std")]
impl Spares {
    pub(crate) const fn new(max_kept: usize, max_capacity: usize) -> Self {
        Self {
            kept: RefCell::new(Vec::new()),
            max_kept,
            max_capacity,
        }
    }

    /// The buffer that was put last, as it was, if it has no more than `max_capacity`.
    #[inline]
    pub(crate) fn take(&self, max_capacity: usize) -> Option<Vec<u8>> {
        let mut kept = self.kept.borrow_mut();
        let fits = kept.last()?.capacity() <= max_capacity;
        if fits { kept.pop() } else { None }
    }

    #[inline]
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        let mut kept = self.kept.borrow_mut();
        let is_wanted = (1..=self.max_capacity).contains(&buffer.capacity());
        if is_wanted && kept.len() < self.max_kept {
            kept.push(buffer);
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    fn used(capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }

    #[test]
    fn the_last_one_comes_first() {
        let spares = Spares::new(2, 1000);
        let buffers = [used(100), used(200)];
        let addresses = [buffers[1].as_ptr(), buffers[0].as_ptr()];
        buffers.into_iter().for_each(|buffer| spares.put(buffer));
        let taken = [(); 2].map(|()| spares.take(1000).unwrap());
        assert_eq!([taken[0].as_ptr(), taken[1].as_ptr()], addresses);
        assert_eq!(spares.take(1000), None);
    }

    #[test]
    fn no_more_memory_than_asked_for() {
        let spares = Spares::new(2, 1000);
        spares.put(used(100));
        assert_eq!(spares.take(99), None);
        assert!(spares.take(100).is_some());
    }

    #[test]
    fn few_are_kept_and_none_that_are_empty_or_large() {
        let spares = Spares::new(2, 1000);
        for capacity in [0, 1001, 1, 1000, 10] {
            spares.put(used(capacity));
        }
        let mut taken = core::iter::from_fn(|| spares.take(usize::MAX));
        assert_eq!(taken.next().unwrap().capacity(), 1000);
        assert_eq!(taken.next().unwrap().capacity(), 1);
        assert_eq!(taken.next(), None);
    }
}
