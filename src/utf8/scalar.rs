//! UTF-8 byte by byte, and ASCII in blocks. Any processor can.

/// How many bytes are tested for ASCII at once in a long text.
///
/// Small blocks alone reach a fifth of the speed on ASCII.
const LARGE: usize = 128;
/// How many bytes are tested for ASCII at once otherwise.
const SMALL: usize = 16;

/// The state after `bytes`, or [`FAILED`].
pub(super) fn after(mut state: u8, bytes: &[u8]) -> u8 {
    let mut rest = bytes;
    while let Some((large, behind)) = rest.split_first_chunk::<LARGE>() {
        if state != START || !is_ascii(large) {
            (state, _) = run_in_blocks(state, large);
            if state == FAILED {
                return FAILED;
            }
        }
        rest = behind;
    }
    run_to_end(state, rest)
}

/// Runs over whole blocks, and returns what is left.
#[inline(always)]
fn run_in_blocks(mut state: u8, mut bytes: &[u8]) -> (u8, &[u8]) {
    while let Some((block, rest)) = bytes.split_first_chunk::<SMALL>() {
        if state != START || !is_ascii(block) {
            state = run(state, block);
        }
        bytes = rest;
    }
    (state, bytes)
}

fn run_to_end(state: u8, bytes: &[u8]) -> u8 {
    let (state, rest) = run_in_blocks(state, bytes);
    // A block or two words that overlap what was checked before cover the rest without a loop.
    let ascii = match (bytes.last_chunk(), rest.first_chunk(), rest.last_chunk()) {
        (Some(block), _, _) => is_ascii::<SMALL>(block),
        (None, Some(first), Some(last)) => is_ascii::<8>(first) && is_ascii::<8>(last),
        (None, _, _) => false,
    };
    if state == START && ascii {
        return START;
    }
    run(state, rest)
}

#[inline(always)]
fn is_ascii<const N: usize>(bytes: &[u8; N]) -> bool {
    let mut all = 0;
    for eight in bytes.chunks_exact(8) {
        if let Some(eight) = eight.first_chunk() {
            all |= u64::from_ne_bytes(*eight);
        }
    }
    all & u64::from_ne_bytes([0x80; 8]) == 0
}

// The validator is a state machine of 9 states. A state is the number of bits by which to shift the
// word that `NEXT` has for a byte: the lowest 6 bits are then the next state. So each byte costs a
// load and a shift, and nothing to predict.

/// Between code points.
pub(super) const START: u8 = 0;
/// Any continuation byte, then [`START`].
const ONE_MORE: u8 = 6;
/// Any continuation byte, then [`ONE_MORE`].
const TWO_MORE: u8 = 12;
/// Any continuation byte, then [`TWO_MORE`].
const THREE_MORE: u8 = 18;
/// After E0: no less than A0, or it were overlong.
const AFTER_E0: u8 = 24;
/// After ED: no more than 9F, or it were a surrogate.
const AFTER_ED: u8 = 30;
/// After F0: no less than 90, or it were overlong.
const AFTER_F0: u8 = 36;
/// After F4: no more than 8F, or it were above U+10FFFF.
const AFTER_F4: u8 = 42;
/// No byte can mend it.
pub(super) const FAILED: u8 = 48;

#[expect(clippy::indexing_slicing, reason = "a mistake here would not compile")]
static NEXT: [u64; 256] = {
    let mut words = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let next = [
            match byte {
                0x00..=0x7f => START,
                0xc2..=0xdf => ONE_MORE,
                0xe0 => AFTER_E0,
                0xe1..=0xec | 0xee..=0xef => TWO_MORE,
                0xed => AFTER_ED,
                0xf0 => AFTER_F0,
                0xf1..=0xf3 => THREE_MORE,
                0xf4 => AFTER_F4,
                _ => FAILED,
            },
            next_within(byte, 0x80, 0xbf, START),
            next_within(byte, 0x80, 0xbf, ONE_MORE),
            next_within(byte, 0x80, 0xbf, TWO_MORE),
            next_within(byte, 0xa0, 0xbf, ONE_MORE),
            next_within(byte, 0x80, 0x9f, ONE_MORE),
            next_within(byte, 0x90, 0xbf, TWO_MORE),
            next_within(byte, 0x80, 0x8f, TWO_MORE),
            FAILED,
        ];
        let mut index = 0;
        while index < next.len() {
            words[byte] |= (next[index] as u64) << (6 * index);
            index += 1;
        }
        byte += 1;
    }
    words
};

const fn next_within(byte: usize, first: usize, last: usize, next: u8) -> u8 {
    if first <= byte && byte <= last {
        next
    } else {
        FAILED
    }
}

/// How many bytes end the code point that is open.
#[cfg(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2")))]
#[inline]
pub(super) const fn missing(state: u8) -> usize {
    match state {
        ONE_MORE => 1,
        TWO_MORE | AFTER_E0 | AFTER_ED => 2,
        THREE_MORE | AFTER_F0 | AFTER_F4 => 3,
        _ => 0,
    }
}

#[inline]
pub(super) fn step(state: u8, byte: u8) -> u8 {
    run(state, &[byte])
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte cannot exceed 255")]
pub(super) fn run(state: u8, bytes: &[u8]) -> u8 {
    let mut word = u64::from(state);
    for &byte in bytes {
        // Only the lowest 6 bits are the state. The mask is what the shift does anyway.
        word = NEXT[usize::from(byte)] >> (word & 63);
    }
    (word & 63) as u8
}
