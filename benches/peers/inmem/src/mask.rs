//! The floor's masks: plain loops over arrays, compiled for several instruction sets.

use multiversion::multiversion;

/// Masks in place.
#[inline]
pub fn xor(bytes: &mut [u8], key: [u8; 4]) {
    if bytes.len() < 64 {
        narrow(bytes, key);
    } else {
        wide(bytes, key);
    }
}

/// Masks on the way to `to`, which is as long.
#[inline]
pub fn xor_copy(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    if from.len() < 64 {
        to.copy_from_slice(from);
        narrow(to, key);
    } else {
        wide_copy(to, from, key);
    }
}

/// The key as it is after so many bytes.
#[inline]
pub fn rotated(mut key: [u8; 4], count: usize) -> [u8; 4] {
    key.rotate_left(count % 4);
    key
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn wide(bytes: &mut [u8], key: [u8; 4]) {
    let repeated = repeated(key);
    let (blocks, rest) = bytes.as_chunks_mut::<64>();
    for block in blocks {
        for (byte, key) in block.iter_mut().zip(repeated) {
            *byte ^= key;
        }
    }
    narrow(rest, key);
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
fn wide_copy(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    let repeated = repeated(key);
    let (to_blocks, to_rest) = to.as_chunks_mut::<64>();
    let (from_blocks, from_rest) = from.as_chunks::<64>();
    for (to, from) in to_blocks.iter_mut().zip(from_blocks) {
        for index in 0..64 {
            to[index] = from[index] ^ repeated[index];
        }
    }
    to_rest.copy_from_slice(from_rest);
    narrow(to_rest, key);
}

#[inline(always)]
fn repeated(key: [u8; 4]) -> [u8; 64] {
    let mut repeated = [0; 64];
    for part in repeated.as_chunks_mut::<4>().0 {
        *part = key;
    }
    repeated
}

#[inline(always)]
fn narrow(bytes: &mut [u8], key: [u8; 4]) {
    let key = u128::from_ne_bytes([key; 4].as_flattened().try_into().expect("16 bytes"));
    let (blocks, rest) = bytes.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ key).to_ne_bytes();
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key as u64).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
    }
}
