//! Read buffers, which belong to the thread and not to the connection.

use core::cell::RefCell;
use core::fmt;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use crate::Input;

/// Fits a 16 KiB frame with its header, and stays in the first-level cache together with what is
/// done to it.
const BUFFER_SIZE: usize = 20 * 1024;

/// What large messages are read into that follow one another: several at once.
const LARGE_SIZE: usize = 64 * 1024;

/// More buffers than this are not kept: connections of a thread that hold one at the same time are
/// those with unread input, and they are few.
const MAX_SPARE: usize = 8;

std::thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static LARGE: RefCell<Option<Box<[u8]>>> = const { RefCell::new(None) };
}

fn take_spare(is_large: bool) -> Box<[u8]> {
    // While a thread ends there is no pool any more.
    let spare = match is_large {
        true => LARGE.try_with(|large| large.take()),
        false => SPARE.try_with(|spare| spare.borrow_mut().pop()),
    };
    spare.ok().flatten().unwrap_or_else(|| {
        let size = if is_large { LARGE_SIZE } else { BUFFER_SIZE };
        vec![0; size].into_boxed_slice()
    })
}

fn put_spare(bytes: Box<[u8]>) {
    let _ended = match bytes.len() {
        BUFFER_SIZE => SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MAX_SPARE {
                spare.push(bytes);
            }
        }),
        LARGE_SIZE => LARGE.try_with(|large| *large.borrow_mut() = Some(bytes)),
        // It was somebody else's.
        _ => Ok(()),
    };
}

/// Bytes that were read and not consumed yet. It holds memory only while there are some.
#[derive(Default)]
pub(super) struct ReadBuffer {
    bytes: Option<Box<[u8]>>,
    /// What is unread lies from `start` to `end`. INVARIANT: `start <= end <=` the length of
    /// `bytes`.
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// Starts with bytes that somebody else read.
    pub(super) fn with_unread(bytes: &[u8]) -> Self {
        Self {
            start: 0,
            end: bytes.len(),
            bytes: (!bytes.is_empty()).then(|| bytes.into()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Runs `consume` over the unread bytes, and forgets what it consumed before the result can be
    /// used.
    #[inline(always)]
    pub(super) fn consume<'b, T>(&'b mut self, consume: impl FnOnce(&mut Input<'b>) -> T) -> T {
        let unread = self.bytes.as_deref_mut().unwrap_or_default();
        let unread = unread.get_mut(self.start..self.end).unwrap_or_default();
        let mut input = Input::new(unread);
        let result = consume(&mut input);
        self.start += input.consumed();
        result
    }

    /// Runs `read` over empty space, and notes how many bytes it put there. Only to be called when
    /// nothing is unread.
    pub(super) fn fill<T>(
        &mut self,
        is_large: bool,
        read: impl FnOnce(&mut [u8]) -> (usize, T),
    ) -> T {
        self.release();
        let mut bytes = take_spare(is_large);
        let (count, result) = read(&mut bytes);
        self.start = 0;
        self.end = count.min(bytes.len());
        self.bytes = Some(bytes);
        if self.is_empty() {
            self.release();
        }
        result
    }

    /// Gives the memory back to the thread, if nothing is unread.
    pub(super) fn release(&mut self) {
        if !self.is_empty() {
            return;
        }
        if let Some(bytes) = self.bytes.take() {
            put_spare(bytes);
        }
    }

    /// Takes what is unread out.
    pub(super) fn into_unread(mut self) -> Vec<u8> {
        let unread = self.consume(|input| input.take_all().to_vec());
        self.release();
        unread
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.start = self.end;
        self.release();
    }
}

impl fmt::Debug for ReadBuffer {
    /// Not the bytes: they are the peer's, or what was read before for another connection of the
    /// thread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer")
            .field("unread", &(self.end - self.start))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    /// The buffers of a thread go from one connection to the next, with what was read before still
    /// in them, and `Debug` showed all of it.
    #[test]
    fn regression_debug_showed_what_another_connection_had_read() {
        let mut first = ReadBuffer::default();
        first.fill(false, |bytes| {
            bytes[..6].copy_from_slice(b"secret");
            (6, ())
        });
        assert_eq!(format!("{first:?}"), "ReadBuffer { unread: 6 }");
        first.consume(|input| input.take_all().len());
        first.release();
        let mut second = ReadBuffer::default();
        second.fill(false, |_| (1, ()));
        assert_eq!(format!("{second:?}"), "ReadBuffer { unread: 1 }");
    }

    /// One large buffer stays with the thread, and goes nowhere that a small one is wanted.
    #[test]
    fn a_large_buffer_is_for_one_read() {
        let size = |buffer: &mut ReadBuffer, is_large| {
            buffer.fill(is_large, |bytes| (0, (bytes.as_ptr(), bytes.len())))
        };
        let mut buffer = ReadBuffer::default();
        let (large, len) = size(&mut buffer, true);
        assert_eq!(len, LARGE_SIZE);
        assert!(buffer.bytes.is_none());
        assert_eq!(size(&mut buffer, false).1, BUFFER_SIZE);
        assert_eq!(size(&mut buffer, true), (large, LARGE_SIZE));
    }
}
