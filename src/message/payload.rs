//! Bytes that are borrowed, shared or owned, whichever is free.

use core::fmt;
use core::ops::Deref;

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use super::arena;
use super::buffer::Buffer;

/// The payload of a frame or message.
///
/// A received payload borrows the caller's read buffer if it lay whole in one read, and owns its
/// bytes if it had to be assembled. A payload to be sent is whatever the application has: a slice,
/// a `Vec`, shared `Bytes`. It dereferences to `[u8]`.
///
/// ```
/// use sockeye::Payload;
///
/// let payload = Payload::from(&b"abc"[..]);
/// assert_eq!(payload.len(), 3);
/// assert_eq!(payload.into_bytes(), "abc");
/// ```
pub struct Payload<'a>(Repr<'a>);

enum Repr<'a> {
    Borrowed(&'a [u8]),
    Lent(&'a mut [u8]),
    Shared(Bytes),
    Unique(BytesMut),
    /// As `Unique`, in memory that goes back to the thread.
    Buffer(Buffer),
}

/// Bytes that a queue can own.
pub(crate) enum Block {
    Bytes(Bytes),
    Unique(BytesMut),
    Buffer(Buffer),
}

impl<'a> Payload<'a> {
    /// The bytes for change, if nobody else can see them: always so for received payloads.
    pub fn as_mut(&mut self) -> Option<&mut [u8]> {
        if let Repr::Shared(bytes) = &mut self.0 {
            match core::mem::take(bytes).try_into_mut() {
                Ok(unique) => self.0 = Repr::Unique(unique),
                Err(shared) => *bytes = shared,
            }
        }
        match &mut self.0 {
            Repr::Borrowed(_) | Repr::Shared(_) => None,
            Repr::Lent(bytes) => Some(bytes),
            Repr::Unique(bytes) => Some(bytes),
            Repr::Buffer(bytes) => Some(bytes),
        }
    }

    /// The bytes as `Bytes`: free unless they are borrowed, then one copy.
    ///
    /// Copies of up to 512 bytes share blocks of 4 KiB of the thread's, which saves most allocations.
    /// Each keeps its block, so copy it once more ([`Bytes::copy_from_slice`]) to keep it for long.
    // In line, so that a borrowed payload does not go through memory first.
    #[inline(always)]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Borrowed(bytes) => arena::copy_frozen(bytes),
            Repr::Lent(bytes) => arena::copy_frozen(bytes),
            Repr::Shared(bytes) => bytes,
            Repr::Unique(bytes) => bytes.freeze(),
            Repr::Buffer(bytes) => bytes.into_tight().into(),
        }
    }

    /// The bytes as a `Vec`: free if they are the only owner of a whole allocation, else one copy.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Repr::Borrowed(bytes) => bytes.to_vec(),
            Repr::Lent(bytes) => bytes.to_vec(),
            Repr::Shared(bytes) => bytes.into(),
            Repr::Unique(bytes) => {
                let mut bytes = Vec::from(bytes);
                // It may be all of a block that others are no longer in.
                if bytes.capacity() / 2 > bytes.len() {
                    bytes.shrink_to_fit();
                }
                bytes
            }
            Repr::Buffer(bytes) => bytes.into_tight(),
        }
    }

    /// The payload with bytes of its own: free unless they are borrowed, then one copy, as by
    /// [`into_bytes`](Self::into_bytes).
    pub fn into_owned(self) -> Payload<'static> {
        Payload(match self.0 {
            Repr::Borrowed(bytes) => Repr::Unique(arena::copy(bytes)),
            Repr::Lent(bytes) => Repr::Unique(arena::copy(bytes)),
            Repr::Shared(bytes) => Repr::Shared(bytes),
            Repr::Unique(bytes) => Repr::Unique(bytes),
            Repr::Buffer(bytes) if bytes.is_tight() => Repr::Buffer(bytes),
            Repr::Buffer(bytes) => Repr::Shared(bytes.into_tight().into()),
        })
    }

    /// The payload to be taken in pieces. They are parts of the same memory where a piece can be
    /// queued without a copy: if it is shared and that `keeps_shared` ones as they are, or if
    /// nobody else can see it.
    pub(crate) fn into_pieces(self, keeps_shared: bool) -> Pieces<'a> {
        Pieces(match self.0 {
            // Its memory goes back when the last piece is dropped.
            Repr::Buffer(bytes) if bytes.is_tight() => Repr::Shared(Bytes::from_owner(bytes)),
            Repr::Buffer(bytes) => Repr::Shared(bytes.into_tight().into()),
            Repr::Shared(bytes) if !keeps_shared => {
                let bytes = bytes.try_into_mut();
                bytes.map_or_else(Repr::Shared, Repr::Unique)
            }
            repr @ (Repr::Borrowed(_) | Repr::Lent(_) | Repr::Shared(_) | Repr::Unique(_)) => repr,
        })
    }

    /// The bytes for queueing without a copy, or the payload back if they have to be copied.
    pub(crate) fn try_into_block(self) -> Result<Block, Self> {
        match self.0 {
            Repr::Unique(bytes) => Ok(Block::Unique(bytes)),
            Repr::Shared(bytes) => Ok(Block::Bytes(bytes)),
            Repr::Buffer(bytes) if bytes.is_tight() => Ok(Block::Buffer(bytes)),
            // A large buffer of which little is filled goes back to the thread, and what is in it into
            // another.
            repr @ (Repr::Borrowed(_) | Repr::Lent(_) | Repr::Buffer(_)) => Err(Self(repr)),
        }
    }
}

/// A payload that is taken in pieces.
pub(crate) struct Pieces<'a>(Repr<'a>);

impl<'a> Pieces<'a> {
    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.0 {
            Repr::Borrowed(rest) => rest.is_empty(),
            Repr::Lent(rest) => rest.is_empty(),
            Repr::Shared(rest) => rest.is_empty(),
            Repr::Unique(rest) => rest.is_empty(),
            Repr::Buffer(rest) => rest.is_empty(),
        }
    }

    /// Up to `max` more bytes.
    pub(crate) fn next(&mut self, max: usize) -> Payload<'a> {
        Payload(match &mut self.0 {
            Repr::Borrowed(rest) => {
                let (piece, later) = rest.split_at(max.min(rest.len()));
                *rest = later;
                Repr::Borrowed(piece)
            }
            Repr::Lent(rest) => {
                let whole = core::mem::take(rest);
                let (piece, later) = whole.split_at_mut(max.min(whole.len()));
                *rest = later;
                Repr::Lent(piece)
            }
            Repr::Shared(rest) => Repr::Shared(rest.split_to(max.min(rest.len()))),
            Repr::Unique(rest) => Repr::Unique(rest.split_to(max.min(rest.len()))),
            // INVARIANT: `into_pieces` makes none; to be whole is to be in one piece.
            Repr::Buffer(rest) => Repr::Buffer(core::mem::take(rest)),
        })
    }
}

impl Deref for Payload<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(bytes) => bytes,
            Repr::Lent(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
            Repr::Unique(bytes) => bytes,
            Repr::Buffer(bytes) => bytes,
        }
    }
}

impl Block {
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Unique(bytes) => bytes.freeze(),
            Self::Buffer(bytes) => Bytes::from_owner(bytes),
        }
    }

    /// The bytes for change, if nobody else can see them.
    pub(crate) fn as_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Bytes(_) => None,
            Self::Unique(bytes) => Some(bytes),
            Self::Buffer(bytes) => Some(bytes),
        }
    }
}

impl Default for Block {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Unique(bytes) => bytes,
            Self::Buffer(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Payload<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Repr::Borrowed(bytes))
    }
}

impl<'a> From<&'a mut [u8]> for Payload<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self(Repr::Lent(bytes))
    }
}

impl From<Bytes> for Payload<'_> {
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Shared(bytes))
    }
}

impl From<BytesMut> for Payload<'_> {
    fn from(bytes: BytesMut) -> Self {
        Self(Repr::Unique(bytes))
    }
}

impl From<Vec<u8>> for Payload<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Repr::Shared(bytes.into()))
    }
}

impl From<Buffer> for Payload<'_> {
    fn from(bytes: Buffer) -> Self {
        Self(Repr::Buffer(bytes))
    }
}

impl PartialEq for Payload<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload<'_> {}

impl PartialEq<[u8]> for Payload<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Payload<'_> {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == other[..]
    }
}

impl PartialEq<&[u8]> for Payload<'_> {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Payload<'_> {
    /// Shows the length and the first bytes, for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        let shown = self.get(..SHOWN).unwrap_or(self);
        write!(
            f,
            "Payload({} bytes: \"{}\"",
            self.len(),
            shown.escape_ascii()
        )?;
        f.write_str(if self.len() > SHOWN { "...)" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;

    #[test]
    fn conversions_keep_the_bytes() {
        let mut lent = *b"abc";
        let all = [
            Payload::from(&b"abc"[..]),
            Payload::from(&mut lent[..]),
            Payload::from(Bytes::from_static(b"abc")),
            Payload::from(BytesMut::from("abc")),
            Payload::from(vec![b'a', b'b', b'c']),
        ];
        for payload in all {
            assert_eq!(payload, b"abc");
            let owned = payload.into_owned();
            assert_eq!(owned, b"abc");
            assert_eq!(owned.into_bytes(), "abc");
        }
    }

    #[test]
    fn owned_bytes_are_not_copied() {
        let vec = vec![7u8; 1000];
        let address = vec.as_ptr();
        let payload = Payload::from(vec).into_owned();
        assert_eq!(payload.as_ptr(), address);
        let block = payload.try_into_block().ok().unwrap();
        assert_eq!(block.as_ptr(), address);
    }

    #[test]
    fn debug_is_short() {
        assert_eq!(
            format!("{:?}", Payload::from(&b"a\x00\""[..])),
            "Payload(3 bytes: \"a\\x00\\\"\")"
        );
        assert!(format!("{:?}", Payload::from(vec![0; 10_000])).len() < 200);
    }
}
