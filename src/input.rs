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
    /// How much the caller can have at once, if what is left stays with it.
    capacity: usize,
}

impl<'b> Input<'b> {
    /// A cursor at the front of `bytes`.
    pub const fn new(bytes: &'b mut [u8]) -> Self {
        Self {
            rest: bytes,
            consumed: 0,
            capacity: 0,
        }
    }

    /// The same cursor over a buffer of `capacity` bytes, in which what is left at the end stays: the
    /// caller will read more behind it, and give it again.
    ///
    /// So a message that the end of a read cuts need not be put together elsewhere.
    /// [`Connection::receive`](crate::Connection::receive) leaves it over if it is in one frame, not
    /// compressed, and fits the buffer, as it does part of a header; everything else it consumes as ever.
    /// What is left is less than `capacity`, so there is room to read, unless the connection is paused or
    /// the peer above a rate. Invalid text in it is seen when all of it is there.
    ///
    /// It is worth its while if there is more to read at once. If there is not, give what is left
    /// without a capacity, and the buffer is free for other connections.
    ///
    /// ```
    /// # use sockeye::*;
    /// # use std::io::Read;
    /// # let now = Instant::from_nanos(0);
    /// # let mut conn = Connection::client(&Config::new(), Negotiated::new(), || [0; 4], now);
    /// let mut transport = &b"\x81\x05Hello\x81\x07, world"[..];
    /// let (mut buffer, mut unread) = ([0; 12], 0..0);
    /// let mut text = String::new();
    /// loop {
    ///     if unread.start > 0 {
    ///         buffer.copy_within(unread.clone(), 0);
    ///     }
    ///     let count = transport.read(&mut buffer[unread.len()..])?;
    ///     if count == 0 {
    ///         break;
    ///     }
    ///     unread = 0..unread.len() + count;
    ///     let mut input = Input::new(&mut buffer[unread.clone()]).with_capacity(12);
    ///     while let Some(event) = conn.receive(now, &mut input)? {
    ///         text += event.into_message().unwrap().as_text().unwrap();
    ///     }
    ///     unread.start += input.consumed();
    /// }
    /// assert_eq!(text, "Hello, world");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
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

    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
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
            .field("capacity", &self.capacity)
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
