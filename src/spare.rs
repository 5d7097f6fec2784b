//! Buffers that a thread keeps for whoever needs one next. So what is queued or assembled does not
//! cost an allocation for each message, and yet who is idle owns no buffer.

#[cfg(feature = "std")]
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::cell::RefCell;

/// Buffers of a thread that nobody uses, those that were put last.
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

    /// The largest buffer, as it was put, that has at least `needed` and no more than `max`.
    #[inline]
    pub(crate) fn take(&self, needed: usize, max: usize) -> Option<Vec<u8>> {
        let mut kept = self.kept.borrow_mut();
        let sizes = kept.iter().map(Vec::capacity).enumerate();
        let fitting = sizes.filter(|(_, size)| (needed..=max).contains(size));
        let (index, _) = fitting.max_by_key(|(_, size)| *size)?;
        Some(kept.remove(index))
    }

    #[inline]
    pub(crate) fn put(&self, buffer: Vec<u8>) {
        let mut kept = self.kept.borrow_mut();
        let is_wanted = (1..=self.max_capacity).contains(&buffer.capacity());
        if !is_wanted {
            return;
        }
        if kept.len() == self.max_kept {
            // Which sizes are of use changes with the traffic.
            kept.remove(0);
        }
        kept.push(buffer);
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    fn used(capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }

    fn sizes(spares: &Spares) -> Vec<usize> {
        let all = core::iter::from_fn(|| spares.take(0, usize::MAX));
        all.map(|buffer| buffer.capacity()).collect()
    }

    #[test]
    fn the_largest_that_fits_comes_first() {
        let spares = Spares::new(4, 1000);
        for capacity in [100, 300, 200] {
            spares.put(used(capacity));
        }
        assert_eq!(spares.take(0, 99), None);
        assert_eq!(spares.take(301, 1000), None);
        assert_eq!(spares.take(150, 250).unwrap().capacity(), 200);
        assert_eq!(sizes(&spares), [300, 100]);
    }

    #[test]
    fn few_are_kept_and_none_that_are_empty_or_too_large() {
        let spares = Spares::new(2, 1000);
        for capacity in [0, 1001, 1, 1000, 10, 5] {
            spares.put(used(capacity));
        }
        assert_eq!(sizes(&spares), [10, 5], "those that were put last");
    }
}
