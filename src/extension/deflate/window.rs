//! The plaintext window: what the next compressed message may refer back to.

use alloc::vec::Vec;

/// The last bytes of plaintext that went through a codec, up to the size of the window.
///
/// It is all that context takeover needs: a fresh codec that is primed with it goes on exactly
/// where another one stopped. It grows with what is put in, so a connection that sends little keeps
/// little.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// A ring once it has its full size; before that, `start` is 0.
    bytes: Vec<u8>,
    /// Where the oldest byte is. INVARIANT: less than the length of `bytes`, or 0.
    start: usize,
}

impl Window {
    /// Notes plaintext that was compressed or inflated; `size` is how much the window may hold.
    pub(super) fn push(&mut self, plaintext: &[u8], size: usize) {
        // Of a message larger than the window only its end stays.
        let skip = plaintext.len().saturating_sub(size);
        let mut rest = plaintext.get(skip..).unwrap_or_default();
        if rest.len() == size {
            self.clear();
        }
        let room = size.saturating_sub(self.bytes.len()).min(rest.len());
        if room > 0 {
            self.grow(room, size);
            let (front, back) = rest.split_at(room);
            self.bytes.extend_from_slice(front);
            rest = back;
        }
        while !rest.is_empty() {
            // Full: the newest bytes take the place of the oldest.
            let len = self.bytes.len();
            let end = len.min(self.start + rest.len());
            let target = self.bytes.get_mut(self.start..end).unwrap_or_default();
            if target.is_empty() {
                return;
            }
            let (front, back) = rest.split_at(target.len());
            target.copy_from_slice(front);
            rest = back;
            self.start = if end == len { 0 } else { end };
        }
    }

    /// Doubles, but never beyond the window's size: a full window owns exactly that.
    fn grow(&mut self, more: usize, size: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let capacity = needed.max(2 * self.bytes.capacity()).min(size);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The window's content, oldest first, in two parts.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        let (newest, oldest) = self.bytes.split_at(self.start);
        (oldest, newest)
    }

    /// The last `size` bytes of the content and what came after it, oldest first.
    pub(super) fn last<'a>(&'a self, later: [&'a [u8]; 2], size: usize) -> [&'a [u8]; 4] {
        let (oldest, newest) = self.parts();
        let [before, last] = later;
        let mut parts = [oldest, newest, before, last];
        let mut left = size;
        for part in parts.iter_mut().rev() {
            let skip = part.len().saturating_sub(left);
            *part = part.get(skip..).unwrap_or_default();
            left -= part.len();
        }
        parts
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_the_last_bytes(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..30), size in 1usize..40) {
            let mut window = Window::default();
            let mut all = Vec::new();
            for piece in &pieces {
                window.push(piece, size);
                all.extend_from_slice(piece);
                let last = &all[all.len().saturating_sub(size)..];
                let (oldest, newest) = window.parts();
                prop_assert_eq!([oldest, newest].concat(), last);
                prop_assert!(window.bytes.capacity() <= size);
            }
            // And with what was not put in yet.
            let later = [&b"before"[..], b"last"];
            all.extend_from_slice(&later.concat());
            let last = &all[all.len().saturating_sub(size)..];
            prop_assert_eq!(window.last(later, size).concat(), last);
        }
    }
}
