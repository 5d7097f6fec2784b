//! Frames into bytes, piece by piece.

use super::header::HeaderBytes;
use super::{Header, Rules};
use crate::error::ProtocolError;
use crate::mask::Mask;

/// Makes frames out of payloads that are at hand in pieces, without allocation.
///
/// Write the bytes of [`header`](Self::header), then the pieces that [`payload`](Self::payload)
/// or [`copy`](Self::copy) make, until [`remaining`](Self::remaining) is 0. It has 16 bytes.
///
/// Its rules are those of the end that reads: a client writes under [`Rules::server`], a server
/// under [`Rules::client`].
///
/// ```
/// use sockeye::frame::{Encoder, Header, OpCode, Rules};
///
/// // A client sends "Hello".
/// let mut encoder = Encoder::new(Rules::server());
/// let header = Header::new(OpCode::Text, 5).with_mask([0x37, 0xfa, 0x21, 0x3d]);
/// let mut wire = encoder.header(&header)?.to_vec();
/// let mut text = *b"Hello";
/// for piece in text.chunks_mut(3) {
///     wire.extend_from_slice(encoder.payload(piece));
/// }
/// assert_eq!(encoder.remaining(), 0);
/// assert_eq!(wire, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Encoder {
    remaining: u64,
    mask: Option<Mask>,
    rules: Rules,
}

impl Encoder {
    /// An encoder in front of the first frame, for a reader with these rules.
    #[inline]
    pub const fn new(rules: Rules) -> Self {
        Self {
            remaining: 0,
            mask: None,
            rules,
        }
    }

    /// Starts a frame, and returns the bytes to write in front of its payload.
    ///
    /// Only call it when [`remaining`](Self::remaining) is 0: the reader would take the rest of an
    /// unfinished payload from whatever follows.
    ///
    /// # Errors
    /// The rule of the reader that the header breaks: see [`Header::check`]. Nothing changes then.
    #[inline]
    pub fn header(&mut self, header: &Header) -> Result<HeaderBytes, ProtocolError> {
        header.check(&self.rules)?;
        self.remaining = header.len;
        self.mask = header.mask.map(Mask::new);
        Ok(header.encode())
    }

    /// How many bytes of the current frame's payload are still to be written.
    #[inline]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Masks the next piece of the payload in place, and returns what to write.
    ///
    /// That is all of `bytes`, or its front if it has more than [`remaining`](Self::remaining).
    #[inline]
    #[must_use = "bytes beyond the end of the payload are not in it"]
    pub fn payload<'b>(&mut self, bytes: &'b mut [u8]) -> &'b mut [u8] {
        let count = self.advance(bytes.len());
        let (piece, _) = bytes.split_at_mut(count);
        if let Some(mask) = &mut self.mask {
            mask.apply(piece);
        }
        piece
    }

    /// Masks the next piece of the payload on its way from `src` to `dst`, and returns its size.
    ///
    /// That is the least of the two lengths and [`remaining`](Self::remaining).
    #[inline]
    #[must_use = "not every byte needs to have been copied"]
    pub fn copy(&mut self, src: &[u8], dst: &mut [u8]) -> usize {
        let count = self.advance(src.len().min(dst.len()));
        let (src, _) = src.split_at(count);
        let (dst, _) = dst.split_at_mut(count);
        match &mut self.mask {
            Some(mask) => mask.copy(src, dst),
            None => dst.copy_from_slice(src),
        }
        count
    }

    /// Takes up to `count` bytes from what remains.
    #[inline]
    fn advance(&mut self, count: usize) -> usize {
        let count = usize::try_from(self.remaining).map_or(count, |rest| count.min(rest));
        self.remaining -= count as u64;
        count
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::frame::OpCode;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    #[test]
    fn rfc6455_5_7_examples() {
        let mut server = Encoder::new(Rules::client());
        let header = server.header(&Header::new(OpCode::Text, 5)).unwrap();
        assert_eq!(*header, [0x81, 0x05]);
        assert_eq!(server.payload(&mut b"Hello".to_vec()), b"Hello");

        let mut client = Encoder::new(Rules::server());
        let header = Header::new(OpCode::Pong, 5).with_mask(KEY);
        let header = client.header(&header).unwrap();
        assert_eq!(*header, [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
        let mut wire = [0; 5];
        assert_eq!(client.copy(b"Hello", &mut wire), 5);
        assert_eq!(wire, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(client.remaining(), 0);
    }

    #[test]
    fn the_rules_of_the_reader() {
        let text = Header::new(OpCode::Text, 5);
        for (rules, header, error) in [
            (Rules::server(), text, ProtocolError::Unmasked),
            (Rules::client(), text.with_mask(KEY), ProtocolError::Masked),
            (
                Rules::client(),
                text.with_rsv(Header::RSV1),
                ProtocolError::ReservedBits,
            ),
            (
                Rules::client(),
                Header::new(OpCode::Ping, 126),
                ProtocolError::ControlTooLong,
            ),
            (
                Rules::client(),
                Header::new(OpCode::Ping, 0).with_fin(false),
                ProtocolError::FragmentedControl,
            ),
        ] {
            let mut encoder = Encoder::new(rules);
            assert_eq!(encoder.header(&header).unwrap_err(), error);
            assert_eq!(encoder.remaining(), 0);
        }
    }

    #[test]
    fn pieces_stop_at_the_end_of_the_payload() {
        for (first, second) in [(0, 20), (1, 20), (9, 1), (10, 10), (15, 5)] {
            let mut whole = *b"0123456789";
            Mask::new(KEY).apply(&mut whole);

            let mut encoder = Encoder::new(Rules::server());
            let header = Header::new(OpCode::Binary, 10).with_mask(KEY);
            encoder.header(&header).unwrap();
            let mut source = b"0123456789beyond the end".to_vec();
            let (front, back) = source.split_at_mut(first);
            let front = encoder.payload(front).to_vec();
            let count = back.len().min(second);
            let mut copied = vec![0; count];
            let count = encoder.copy(&back[..count], &mut copied);
            assert_eq!([&front, &copied[..count]].concat(), whole);
            assert_eq!(encoder.remaining(), 0);
            assert!(encoder.payload(&mut [1]).is_empty());
        }
    }

    #[test]
    fn an_unmasked_payload_is_only_copied() {
        let mut encoder = Encoder::new(Rules::client());
        encoder.header(&Header::new(OpCode::Text, 5)).unwrap();
        let mut wire = [0; 3];
        assert_eq!(encoder.copy(b"Hello", &mut wire), 3);
        assert_eq!(wire, *b"Hel");
        assert_eq!(encoder.remaining(), 2);
    }

    #[test]
    fn size() {
        assert!(size_of::<Encoder>() <= 16);
    }
}
