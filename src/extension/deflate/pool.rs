//! Codecs that wait for the next message, shared by the connections of a thread.

use core::cell::RefCell;

use std::vec::Vec;

use zlib_rs::{Deflate, DeflateConfig, Inflate};

use crate::config::MAX_WINDOW_BITS;

/// More codecs than this are not kept. A connection holds one only while it is in the middle of a
/// message, so there is seldom more than one a thread in use at a time.
const MAX_SPARE: usize = 4;

/// Space to inflate into before it is known where the bytes belong.
const SCRATCH_SIZE: usize = 16 * 1024;

/// A buffer that one large message made larger than this is not kept.
const MAX_OUTPUT_KEPT: usize = 64 * 1024;

/// What an inflater takes, whatever its window: 32 KiB of it, and tables.
pub(crate) const INFLATE_SIZE: usize = 47 << 10;

std::thread_local! {
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static INFLATERS: RefCell<Vec<Inflate>> = const { RefCell::new(Vec::new()) };
    static DEFLATERS: RefCell<Vec<(Shape, Deflate)>> = const { RefCell::new(Vec::new()) };
}

/// What a compressor is made for. Compressors of one shape can stand in for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) level: u8,
    pub(crate) mem_level: u8,
    /// 9 to 15.
    pub(crate) window_bits: u8,
}

impl Shape {
    /// What a compressor of this shape takes: twice the window, as much again for chains of
    /// matches, a hash table, symbols and output, and its state.
    pub(super) fn codec_size(self) -> usize {
        const HASH_TABLE: usize = 128 << 10;
        const STATE: usize = 3400;
        (4 << self.window_bits) + HASH_TABLE + (7 << (self.mem_level + 6)) + STATE
    }
}

/// An inflater without history. Its window is as large as the format allows, which is always enough
/// (7692-7.2.2-07).
pub(super) fn take_inflate() -> Inflate {
    // While a thread ends there is no pool any more.
    let spare = INFLATERS.try_with(|spare| spare.borrow_mut().pop());
    spare
        .ok()
        .flatten()
        .unwrap_or_else(|| Inflate::new(false, MAX_WINDOW_BITS))
}

pub(super) fn put_inflate(mut inflate: Inflate) {
    let _ended = INFLATERS.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            inflate.reset(false);
            spare.push(inflate);
        }
    });
}

/// A compressor without history.
pub(super) fn take_deflate(shape: Shape) -> Deflate {
    let spare = DEFLATERS.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        let found = spare.iter().position(|(other, _)| *other == shape)?;
        Some(spare.swap_remove(found).1)
    });
    spare.ok().flatten().unwrap_or_else(|| {
        Deflate::new_with_config(DeflateConfig {
            level: i32::from(shape.level),
            mem_level: i32::from(shape.mem_level),
            // Negative: without a zlib header.
            window_bits: -i32::from(shape.window_bits),
            ..DeflateConfig::default()
        })
    })
}

pub(super) fn put_deflate(shape: Shape, mut deflate: Deflate) {
    let _ended = DEFLATERS.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() == MAX_SPARE {
            // The oldest of another shape may never be asked for again.
            spare.remove(0);
        }
        deflate.reset();
        spare.push((shape, deflate));
    });
}

/// Lends the thread's scratch space.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    // While a thread ends, or if it is lent already, there is a new one.
    let mut scratch = SCRATCH
        .try_with(|scratch| scratch.take())
        .unwrap_or_default();
    scratch.resize(SCRATCH_SIZE, 0);
    let result = work(&mut scratch);
    let _ended = SCRATCH.try_with(|kept| kept.replace(scratch));
    result
}

/// Lends the thread's buffer for compressed messages, empty.
pub(crate) fn with_output<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut output = OUTPUT.try_with(|output| output.take()).unwrap_or_default();
    output.clear();
    let result = work(&mut output);
    if output.capacity() <= MAX_OUTPUT_KEPT {
        let _ended = OUTPUT.try_with(|kept| kept.replace(output));
    }
    result
}
