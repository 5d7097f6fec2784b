//! Copies of small payloads, many in one allocation.

#[cfg(feature = "std")]
use core::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// Larger payloads get an allocation of their own, whose cost is little beside their copy.
#[cfg(feature = "std")]
const MAX_LEN: usize = 512;

/// What a copy that is kept may keep with it. Blocks are used again as soon as nothing in them is
/// kept any more, so larger ones would save little.
#[cfg(feature = "std")]
const BLOCK: usize = 4 * 1024;

#[cfg(feature = "std")]
std::thread_local! {
    /// What is left of a block, initialized: so a copy is a part of it that is written over.
    static SPACE: RefCell<Option<BytesMut>> = const { RefCell::new(None) };
}

/// As [`copy`], not to be changed any more.
pub(super) fn copy_frozen(payload: &[u8]) -> Bytes {
    copy(payload).freeze()
}

/// Copies a payload that was borrowed.
#[cfg(feature = "std")]
#[inline]
pub(super) fn copy(payload: &[u8]) -> BytesMut {
    if payload.len() > MAX_LEN || payload.is_empty() {
        return BytesMut::from(payload);
    }
    let copied = SPACE.try_with(|space| match &mut *space.borrow_mut() {
        Some(space) if payload.len() <= space.len() => copy_into(space, payload),
        space => copy_into(make_room(space), payload),
    });
    // While a thread ends there is no block any more.
    copied.unwrap_or_else(|_| BytesMut::from(payload))
}

#[cfg(feature = "std")]
#[inline(always)]
fn copy_into(space: &mut BytesMut, payload: &[u8]) -> BytesMut {
    let mut place = space.split_to(payload.len());
    place.copy_from_slice(payload);
    place
}

/// Uses the block again if nothing in it is kept, or makes another one.
#[cfg(feature = "std")]
#[cold]
fn make_room(space: &mut Option<BytesMut>) -> &mut BytesMut {
    let space = space.get_or_insert_default();
    // Its rest is too small for what comes next.
    space.clear();
    if !space.try_reclaim(BLOCK) {
        *space = BytesMut::with_capacity(BLOCK);
    }
    space.resize(BLOCK, 0);
    space
}

/// Without threads there is no place for a block.
#[cfg(not(feature = "std"))]
pub(super) fn copy(payload: &[u8]) -> BytesMut {
    BytesMut::from(payload)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn copies_share_a_block_and_nothing_else() {
        let mut copies: Vec<_> = (0..100_u8).map(|byte| copy(&[byte; 30])).collect();
        for copy in &mut copies {
            copy[0] = 200;
        }
        for (byte, copy) in (0_u8..).zip(&copies) {
            assert_eq!((copy[0], &copy[1..]), (200, &[byte; 29][..]));
        }
        let next_to = |pair: &[BytesMut]| pair[0].as_ptr_range().end == pair[1].as_ptr();
        assert!(copies.windows(2).filter(|pair| next_to(pair)).count() > 90);
    }

    #[test]
    fn a_block_is_used_again_when_nothing_in_it_is_kept() {
        let first = copy(&[1; 500]);
        let block = first.as_ptr() as usize;
        drop(first);
        for _ in 0..1000 {
            let again = copy(&[2; 500]).as_ptr() as usize;
            assert!((block..block + BLOCK).contains(&again));
        }
    }

    #[test]
    fn large_ones_are_alone() {
        let copied = copy(&[1; MAX_LEN + 1]);
        assert_eq!(copied.capacity(), MAX_LEN + 1);
    }
}
