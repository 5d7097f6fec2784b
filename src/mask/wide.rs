//! The loops over blocks, compiled for the vectors of AVX2 as well, which are twice as wide: half as
//! many instructions for a payload.

use super::{apply_blocks, copy_blocks};

/// For less, to ask for the processor costs what it saves.
const MIN: usize = 256;

/// Whether the processor has AVX2 and it pays.
#[inline]
fn pays(len: usize) -> bool {
    #[cfg(feature = "std")]
    let has_it = || std::is_x86_feature_detected!("avx2");
    #[cfg(not(feature = "std"))]
    let has_it = || cfg!(target_feature = "avx2");
    len >= MIN && has_it()
}

/// As [`apply_blocks`].
pub(super) fn apply(bytes: &mut [u8], front: [u8; 4], back: [u8; 4]) {
    #[target_feature(enable = "avx2")]
    fn wide(bytes: &mut [u8], front: [u8; 4], back: [u8; 4]) {
        apply_blocks(bytes, front, back);
    }
    if !pays(bytes.len()) {
        return apply_blocks(bytes, front, back);
    }
    #[expect(unsafe_code, reason = "the processor has what the function needs")]
    // SAFETY: AVX2 is all that the function asks for, and `pays` has just found it.
    unsafe {
        wide(bytes, front, back);
    }
}

/// As [`copy_blocks`].
pub(super) fn copy(src: &[u8], dst: &mut [u8], front: [u8; 4], back: [u8; 4]) {
    #[target_feature(enable = "avx2")]
    fn wide(src: &[u8], dst: &mut [u8], front: [u8; 4], back: [u8; 4]) {
        copy_blocks(src, dst, front, back);
    }
    if !pays(src.len()) {
        return copy_blocks(src, dst, front, back);
    }
    #[expect(unsafe_code, reason = "the processor has what the function needs")]
    // SAFETY: as above.
    unsafe {
        wide(src, dst, front, back);
    }
}
