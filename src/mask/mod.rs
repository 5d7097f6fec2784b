//! Masking: the XOR of a payload with a 4-byte key (RFC 6455 section 5.3).
//!
//! Masking and unmasking are the same operation. It hides nothing; it keeps a hostile script from
//! choosing the bytes that a browser puts on the wire.

#[cfg(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2")))]
mod wide;

/// Elsewhere there is one width.
#[cfg(not(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2"))))]
mod wide {
    pub(super) use super::{apply_blocks as apply, copy_blocks as copy};
}

/// A masking key and how far into the payload it is.
///
/// Each call goes on where the one before stopped, so a payload may come in pieces of any size.
/// Start a new one for each frame. 4 bytes, no allocation.
///
/// ```
/// use sockeye::mask::Mask;
///
/// let mut payload = *b"Hello";
/// let mut mask = Mask::new([0x37, 0xfa, 0x21, 0x3d]);
/// let (front, back) = payload.split_at_mut(3);
/// mask.apply(front);
/// mask.apply(back);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Rotated: its first byte belongs to the next byte of the payload.
    key: [u8; 4],
}

impl Mask {
    /// A mask at the first byte of a frame's payload.
    #[inline]
    pub const fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// The key, as it is for the next byte of the payload.
    #[inline]
    pub(crate) const fn key(self) -> [u8; 4] {
        self.key
    }

    /// Masks or unmasks the next `bytes` of the payload in place.
    #[inline]
    pub fn apply(&mut self, bytes: &mut [u8]) {
        #[cfg(test)]
        crate::steps::looked_at(bytes.len());
        let (front, back) = self.advance(bytes.len());
        // Up to 128 bytes, two blocks that may overlap cover everything without a loop. Both are
        // read before either is written, and where they overlap they agree.
        match bytes.len() {
            0..4 => apply_tiny(bytes, front),
            4..8 => apply_edges::<4>(bytes, front, back),
            8..16 => apply_edges::<8>(bytes, front, back),
            16..32 => apply_edges::<16>(bytes, front, back),
            32..64 => apply_edges::<32>(bytes, front, back),
            64..=128 => apply_edges::<64>(bytes, front, back),
            _ => wide::apply(bytes, front, back),
        }
    }

    /// Masks or unmasks the next bytes of the payload on their way from `src` to `dst`.
    ///
    /// One pass instead of a copy and an [`apply`](Self::apply).
    ///
    /// ```
    /// use sockeye::mask::Mask;
    ///
    /// let mut wire = [0; 5];
    /// Mask::new([0x37, 0xfa, 0x21, 0x3d]).copy(b"Hello", &mut wire);
    /// assert_eq!(wire, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    /// ```
    ///
    /// # Panics
    /// If the lengths differ, like [`slice::copy_from_slice`].
    #[inline]
    pub fn copy(&mut self, src: &[u8], dst: &mut [u8]) {
        assert_eq!(src.len(), dst.len(), "source and target differ in length");
        #[cfg(test)]
        crate::steps::looked_at(src.len());
        let (front, back) = self.advance(src.len());
        match src.len() {
            0..4 => {
                dst.copy_from_slice(src);
                apply_tiny(dst, front);
            }
            4..8 => copy_edges::<4>(src, dst, front, back),
            8..16 => copy_edges::<8>(src, dst, front, back),
            16..32 => copy_edges::<16>(src, dst, front, back),
            32..64 => copy_edges::<32>(src, dst, front, back),
            64..=128 => copy_edges::<64>(src, dst, front, back),
            _ => wide::copy(src, dst, front, back),
        }
    }

    /// Moves on by `count` bytes, and returns the key before and after.
    ///
    /// The key after is also the key of any last block whose size is a multiple of 4.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) -> ([u8; 4], [u8; 4]) {
        let before = self.key;
        // 6455-5.3-05: a piece that is no multiple of 4 leaves the key in the middle.
        #[expect(clippy::cast_possible_truncation, reason = "at most 3")]
        let bits = 8 * (count % 4) as u32;
        self.key = u32::from_le_bytes(before).rotate_right(bits).to_le_bytes();
        (before, self.key)
    }
}

/// The block of the bulk loops: two or four vector registers.
const BLOCK: usize = 64;

#[inline]
fn apply_tiny(bytes: &mut [u8], key: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[inline(always)]
fn apply_edges<const N: usize>(bytes: &mut [u8], front: [u8; 4], back: [u8; 4]) {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return;
    };
    let (first, last) = (xor(first, front), xor(last, back));
    if let Some(target) = bytes.first_chunk_mut() {
        *target = first;
    }
    if let Some(target) = bytes.last_chunk_mut() {
        *target = last;
    }
}

#[inline(always)]
fn apply_blocks(bytes: &mut [u8], front: [u8; 4], back: [u8; 4]) {
    let Some(last) = bytes.last_chunk::<BLOCK>() else {
        return;
    };
    let last = xor(last, back);
    let mut rest = &mut *bytes;
    while let Some((block, behind)) = rest.split_first_chunk_mut::<BLOCK>() {
        *block = xor(block, front);
        rest = behind;
    }
    if let Some(target) = bytes.last_chunk_mut() {
        *target = last;
    }
}

#[inline(always)]
fn copy_edges<const N: usize>(src: &[u8], dst: &mut [u8], front: [u8; 4], back: [u8; 4]) {
    if let (Some(block), Some(target)) = (src.first_chunk::<N>(), dst.first_chunk_mut::<N>()) {
        *target = xor(block, front);
    }
    if let (Some(block), Some(target)) = (src.last_chunk::<N>(), dst.last_chunk_mut::<N>()) {
        *target = xor(block, back);
    }
}

#[inline(always)]
fn copy_blocks(src: &[u8], dst: &mut [u8], front: [u8; 4], back: [u8; 4]) {
    for (block, target) in src.chunks_exact(BLOCK).zip(dst.chunks_exact_mut(BLOCK)) {
        if let (Some(block), Some(target)) =
            (block.first_chunk::<BLOCK>(), target.first_chunk_mut())
        {
            *target = xor(block, front);
        }
    }
    if let (Some(block), Some(target)) = (src.last_chunk::<BLOCK>(), dst.last_chunk_mut()) {
        *target = xor(block, back);
    }
}

/// 6455-5.3-04. The fixed size makes this a few vector instructions, alignment or not.
#[inline(always)]
fn xor<const N: usize>(block: &[u8; N], key: [u8; 4]) -> [u8; N] {
    let key = u32::from_ne_bytes(key);
    let mut out = *block;
    for quad in out.chunks_exact_mut(4) {
        if let Some(quad) = quad.first_chunk_mut() {
            *quad = (u32::from_ne_bytes(*quad) ^ key).to_ne_bytes();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn naive(bytes: &[u8], phase: usize) -> Vec<u8> {
        let byte = |(index, byte)| byte ^ KEY[(index + phase) % 4];
        bytes.iter().copied().enumerate().map(byte).collect()
    }

    fn at_phase(phase: usize) -> Mask {
        let mut mask = Mask::new(KEY);
        mask.apply(&mut [0; 4][..phase]);
        mask
    }

    fn noise(len: usize) -> Vec<u8> {
        (0..=250).cycle().take(len).collect()
    }

    #[test]
    fn m_02_equals_the_naive_loop_at_every_length_offset_and_phase() {
        let source = noise(300);
        for len in 0..=260 {
            for offset in 0..8 {
                for phase in 0..4 {
                    let range = offset..offset + len;
                    let mut expected = source.clone();
                    expected[range.clone()].copy_from_slice(&naive(&source[range.clone()], phase));

                    let mut applied = source.clone();
                    let mut mask = at_phase(phase);
                    mask.apply(&mut applied[range.clone()]);
                    assert_eq!(applied, expected, "{len} {offset} {phase}");
                    assert_eq!(mask, at_phase((phase + len) % 4));

                    // The source and the target of a copy are aligned differently.
                    let mut copied = [&[0; 3], &source[..]].concat();
                    let mut mask = at_phase(phase);
                    mask.copy(&source[range.clone()], &mut copied[3..][range]);
                    assert_eq!(copied[3..], expected, "{len} {offset} {phase}");
                    assert_eq!(mask, at_phase((phase + len) % 4));
                }
            }
        }
    }

    #[test]
    fn m_02_equals_the_naive_loop_at_every_split() {
        for len in 0..=260 {
            let source = noise(len);
            let expected = naive(&source, 0);
            for split in 0..=len {
                let mut applied = source.clone();
                let mut mask = Mask::new(KEY);
                let (front, back) = applied.split_at_mut(split);
                mask.apply(front);
                mask.apply(back);
                assert_eq!(applied, expected, "{len} {split}");

                let mut copied = noise(len);
                copied.fill(0xee);
                let mut mask = Mask::new(KEY);
                mask.copy(&source[..split], &mut copied[..split]);
                mask.copy(&source[split..], &mut copied[split..]);
                assert_eq!(copied, expected, "{len} {split}");
            }
        }
    }

    #[test]
    fn f_24_a_zero_key_changes_nothing() {
        let mut bytes = noise(100);
        Mask::new([0; 4]).apply(&mut bytes);
        assert_eq!(bytes, noise(100));
    }

    #[test]
    #[should_panic(expected = "differ in length")]
    fn copy_refuses_different_lengths() {
        Mask::new(KEY).copy(&[1, 2], &mut [0]);
    }

    proptest! {
        #[test]
        fn pieces_of_any_size(
            source in prop::collection::vec(any::<u8>(), 0..3000),
            cuts in prop::collection::vec(0..1000_u16, 0..10),
        ) {
            let mut masked = source.clone();
            let mut mask = Mask::new(KEY);
            let mut rest = &mut masked[..];
            for cut in cuts {
                let (piece, behind) = rest.split_at_mut(rest.len().min(cut.into()));
                mask.apply(piece);
                rest = behind;
            }
            mask.apply(rest);
            prop_assert_eq!(masked, naive(&source, 0));
        }
    }
}
