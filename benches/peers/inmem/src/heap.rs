//! An allocator that counts what the thread allocates. It costs a few instructions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

/// What the thread allocated so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub allocations: u64,
    pub bytes: u64,
    /// Bytes that were not freed.
    pub live: i64,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, bytes: 0, live: 0 }) };
}

pub fn counts() -> Counts {
    COUNTS.get()
}

#[inline]
fn add(allocations: u64, bytes: usize, live: i64) {
    let _ended = COUNTS.try_with(|cell| {
        let counts = cell.get();
        cell.set(Counts {
            allocations: counts.allocations + allocations,
            bytes: counts.bytes + bytes as u64,
            live: counts.live + live,
        });
    });
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size(), layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(1, layout.size(), layout.size() as i64);
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let grown = size as i64 - layout.size() as i64;
        add(1, size.saturating_sub(layout.size()), grown);
        unsafe { System.realloc(pointer, layout, size) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(0, 0, -(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }
}
