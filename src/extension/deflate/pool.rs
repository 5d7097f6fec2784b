//! Codecs that wait for the next message, shared by the connections of a thread.

use core::cell::RefCell;

use std::vec::Vec;

use zlib_rs::{Deflate, DeflateConfig, Inflate};

use crate::config::MAX_WINDOW_BITS;

/// More codecs than this are not kept. A connection holds one only while it is in the middle of a message, so there is
/// seldom more than one a thread in use at a time.
const MAX_SPARE: usize = 4;

std::thread_local! {
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

/// An inflater without history. Its window is as large as the format allows, which is always enough (7692-7.2.2-07).
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
