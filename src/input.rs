//! The cursor over bytes that a transport delivered.

use core::{fmt, mem};

/// Bytes that arrived from the transport, consumed from the front.
///
/// It borrows the caller's read buffer mutably, because payloads are unmasked in place and lent out
/// of it. Each part is given away once, with the lifetime of the buffer and not of the cursor, so
/// the events of one read can be alive together.
///
/// ```
/// use sockeye::Input;
///
/// let mut buffer = *b"whatever was read";
/// let input = Input::new(&mut buffer);
/// assert_eq!(input.len(), 17);
/// assert_eq!(input.consumed(), 0);
/// ```
pub struct Input<'b> {
    rest: &'b mut [u8],
    consumed: usize,
}

impl<'b> Input<'b> {
    /// A cursor at the front of `bytes`.
    pub const fn new(bytes: &'b mut [u8]) -> Self {
        Self {
            rest: bytes,
            consumed: 0,
        }
    }

    /// How many bytes were consumed since [`new`](Self::new).
    pub const fn consumed(&self) -> usize {
        self.consumed
    }

    /// How many bytes are left.
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether every byte was consumed.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are left, without consuming them.
    pub const fn as_slice(&self) -> &[u8] {
        self.rest
    }

    /// Consumes up to `max` bytes and hands them out.
    #[inline]
    pub fn take(&mut self, max: usize) -> &'b mut [u8] {
        let rest = mem::take(&mut self.rest);
        let count = max.min(rest.len());
        let (front, back) = rest.split_at_mut(count);
        self.rest = back;
        self.consumed += count;
        front
    }

    /// Consumes everything that is left and hands it out.
    pub fn take_all(&mut self) -> &'b mut [u8] {
        self.take(usize::MAX)
    }
}

impl fmt::Debug for Input<'_> {
    /// Not the bytes: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("len", &self.len())
            .field("consumed", &self.consumed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_outlive_the_cursor() {
        let mut buffer = [1, 2, 3, 4, 5];
        let (first, second, rest);
        {
            let mut input = Input::new(&mut buffer);
            first = input.take(2);
            second = input.take(1);
            assert_eq!((input.consumed(), input.len()), (3, 2));
            rest = input.take_all();
            assert!(input.is_empty());
            assert_eq!(input.take(9), []);
        }
        first[0] = 9;
        assert_eq!(
            (&*first, &*second, &*rest),
            (&[9, 2][..], &[3][..], &[4, 5][..])
        );
    }
}
