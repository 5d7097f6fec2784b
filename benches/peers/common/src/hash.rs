//! A hash that is fast enough to check every message.

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Depends on every byte and their order. Not for anything that an attacker can choose.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut lanes = [FACTOR, !FACTOR, FACTOR ^ 0x5555, FACTOR.rotate_left(17)];
    let (words, rest) = bytes.as_chunks::<8>();
    let (blocks, words) = words.as_chunks::<4>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block) {
            *lane = mix(*lane, u64::from_le_bytes(*word));
        }
    }
    let rotated = lanes.iter().zip([0, 13, 26, 39]);
    let mut hash = rotated.fold(0, |hash, (lane, by)| hash ^ lane.rotate_left(by));
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    for byte in rest {
        hash = mix(hash, u64::from(*byte));
    }
    hash ^ bytes.len() as u64
}

fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(FACTOR).rotate_left(29)
}
