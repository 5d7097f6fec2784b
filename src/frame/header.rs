//! The 2 to 14 bytes in front of every payload.

use core::fmt;
use core::ops::Deref;

use super::{OpCode, Rules};
use crate::error::ProtocolError;

/// A frame header (RFC 6455 section 5.2). 24 bytes at most, [`Copy`].
///
/// The fields say what is on the wire, valid or not; [`check`](Self::check) tells.
///
/// ```
/// use sockeye::frame::{Header, OpCode, Rules};
///
/// let header = Header::new(OpCode::Text, 5).with_mask([0x37, 0xfa, 0x21, 0x3d]);
/// let bytes = header.encode();
/// assert_eq!(*bytes, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(Header::decode(&bytes, &Rules::server()), Ok(Some((header, 6))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Header {
    /// Whether the frame is the last one of its message.
    pub fin: bool,
    /// The reserved bits, in the low 3 bits: [`RSV1`](Self::RSV1) and so on.
    pub rsv: u8,
    /// What the frame is for.
    pub opcode: OpCode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// How many bytes of payload follow the header. At most 2^63 - 1.
    pub len: u64,
}

impl Header {
    /// The most bytes that a header takes.
    pub const MAX_LEN: usize = 14;
    /// The most bytes of payload in a control frame (RFC 6455 section 5.5).
    pub const MAX_CONTROL_PAYLOAD: u64 = 125;
    /// The first reserved bit: the message is compressed (RFC 7692 section 6).
    pub const RSV1: u8 = 0b100;
    /// The second reserved bit.
    pub const RSV2: u8 = 0b010;
    /// The third reserved bit.
    pub const RSV3: u8 = 0b001;

    /// The header of an unmasked frame that is a message of its own.
    #[inline]
    pub const fn new(opcode: OpCode, len: u64) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            len,
        }
    }

    /// Sets whether the frame is the last one of its message.
    #[inline]
    #[must_use]
    pub const fn with_fin(mut self, fin: bool) -> Self {
        self.fin = fin;
        self
    }

    /// Sets the reserved bits, such as [`RSV1`](Self::RSV1). Only the low 3 bits count.
    #[inline]
    #[must_use]
    pub const fn with_rsv(mut self, bits: u8) -> Self {
        self.rsv = bits & 0b111;
        self
    }

    /// Sets the masking key: a fresh and unpredictable one for each frame (RFC 6455 section 5.3).
    #[inline]
    #[must_use]
    pub const fn with_mask(mut self, key: [u8; 4]) -> Self {
        self.mask = Some(key);
        self
    }

    /// How many bytes [`encode`](Self::encode) makes of it: 2 to 14.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        let key = if self.mask.is_some() { 4 } else { 0 };
        key + match self.len {
            0..MIN_MEDIUM => 2,
            MIN_MEDIUM..MIN_LONG => 4,
            _ => 10,
        }
    }

    /// The bytes of the header, with the length in its shortest form.
    #[inline]
    pub const fn encode(&self) -> HeaderBytes {
        let fin = if self.fin { FIN } else { 0 };
        let first = fin | (self.rsv & 0b111) << 4 | self.opcode as u8;
        let (masked, [k, l, m, n]) = match self.mask {
            Some(key) => (MASKED, key),
            None => (0, [0; 4]),
        };
        let [a, b, c, d, e, f, g, h] = self.len.to_be_bytes();
        // 6455-5.2-06, 6455-5.2-08
        let bytes = match self.len {
            0..MIN_MEDIUM => [first, masked | h, k, l, m, n, 0, 0, 0, 0, 0, 0, 0, 0],
            MIN_MEDIUM..MIN_LONG => [first, masked | MEDIUM, g, h, k, l, m, n, 0, 0, 0, 0, 0, 0],
            _ => [first, masked | LONG, a, b, c, d, e, f, g, h, k, l, m, n],
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 14")]
        let len = self.encoded_len() as u8;
        HeaderBytes { bytes, len }
    }

    /// Reads a header from the front of `bytes`, and returns it with its size.
    ///
    /// `None` if it is not complete: call again with more bytes. But a fault shows as soon as its
    /// byte is there, even if the header is not complete.
    ///
    /// # Errors
    /// What [`check`](Self::check) says, and besides, all with close code 1002:
    /// * [`ReservedOpcode`](ProtocolError::ReservedOpcode) at byte 1;
    /// * [`LengthMsb`](ProtocolError::LengthMsb) at byte 3;
    /// * [`NonMinimalLength`](ProtocolError::NonMinimalLength) at byte 4, or at byte 8 of the
    ///   64-bit form.
    #[inline]
    pub fn decode(bytes: &[u8], rules: &Rules) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        // 6455-5.2-04
        let Some(opcode) = OpCode::from_u8(first & 0xf) else {
            return Err(ProtocolError::ReservedOpcode);
        };
        let fin = first & FIN != 0;
        let rsv = first >> 4 & 0b111;
        rules.check_kind(fin, rsv, opcode)?;

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let masked = second & MASKED != 0;
        let short = second & !MASKED;
        rules.check_size(opcode, masked, short.into())?;

        let (len, rest, size) = match short {
            LONG => match rest.split_first_chunk() {
                Some((bytes, rest)) => (long_len(*bytes)?, rest, 10),
                None => return check_partial_long(rest).and(Ok(None)),
            },
            MEDIUM => match rest.split_first_chunk() {
                Some((bytes, rest)) => (medium_len(*bytes)?, rest, 4),
                None => return Ok(None),
            },
            short => (u64::from(short), rest, 2),
        };
        let (mask, size) = if masked {
            match rest.first_chunk() {
                Some(key) => (Some(*key), size + 4),
                None => return Ok(None),
            }
        } else {
            (None, size)
        };
        let header = Self {
            fin,
            rsv,
            opcode,
            mask,
            len,
        };
        Ok(Some((header, size)))
    }

    /// Whether a receiver with these rules takes the frame.
    ///
    /// # Errors
    /// In this order, all with close code 1002:
    /// * [`ReservedBits`](ProtocolError::ReservedBits): a bit that the rules do not allow, or any
    ///   on a continuation or control frame;
    /// * [`FragmentedControl`](ProtocolError::FragmentedControl): a control frame without FIN;
    /// * [`Unmasked`](ProtocolError::Unmasked) or [`Masked`](ProtocolError::Masked) against the
    ///   rules;
    /// * [`ControlTooLong`](ProtocolError::ControlTooLong): a control frame of more than 125 bytes;
    /// * [`LengthMsb`](ProtocolError::LengthMsb): 2^63 bytes or more.
    #[inline]
    pub const fn check(&self, rules: &Rules) -> Result<(), ProtocolError> {
        if let Err(error) = rules.check_kind(self.fin, self.rsv, self.opcode) {
            return Err(error);
        }
        if let Err(error) = rules.check_size(self.opcode, self.mask.is_some(), self.len) {
            return Err(error);
        }
        check_msb(self.len)
    }
}

/// The encoded form of a [`Header`]: 2 to 14 bytes, held inline.
#[derive(Clone, Copy)]
pub struct HeaderBytes {
    bytes: [u8; Header::MAX_LEN],
    len: u8,
}

impl HeaderBytes {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; Header::MAX_LEN],
        len: 0,
    };

    /// Appends a byte of a header that is not complete, so there is room.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
            *slot = byte;
            self.len += 1;
        }
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl AsRef<[u8]> for HeaderBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for HeaderBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderBytes").field(&&**self).finish()
    }
}

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The 7 bits that announce a 16-bit length.
const MEDIUM: u8 = 126;
/// The 7 bits that announce a 64-bit length.
const LONG: u8 = 127;
/// The least length that needs 16 bits: the 7 bits have two values less for themselves.
const MIN_MEDIUM: u64 = MEDIUM as u64;
/// The least length that needs 64 bits.
const MIN_LONG: u64 = 1 << 16;

#[inline]
const fn medium_len(bytes: [u8; 2]) -> Result<u64, ProtocolError> {
    let [a, b] = bytes;
    let len = u64::from_be_bytes([0, 0, 0, 0, 0, 0, a, b]);
    if len < MIN_MEDIUM {
        // 6455-5.2-08
        return Err(ProtocolError::NonMinimalLength);
    }
    Ok(len)
}

#[inline]
fn long_len(bytes: [u8; 8]) -> Result<u64, ProtocolError> {
    let len = u64::from_be_bytes(bytes);
    check_msb(len)?;
    if len < MIN_LONG {
        // 6455-5.2-08
        return Err(ProtocolError::NonMinimalLength);
    }
    Ok(len)
}

#[inline]
const fn check_msb(len: u64) -> Result<(), ProtocolError> {
    // 6455-5.2-07, 6455-5.2-11
    if len >> 63 != 0 {
        return Err(ProtocolError::LengthMsb);
    }
    Ok(())
}

/// Checks the first 0 to 7 bytes of a 64-bit length.
#[cold]
fn check_partial_long(bytes: &[u8]) -> Result<(), ProtocolError> {
    match bytes {
        [0x80..=0xff, ..] => Err(ProtocolError::LengthMsb),
        // Whatever the last two bytes are, 16 bits hold them.
        [0, 0, 0, 0, 0, 0, ..] => Err(ProtocolError::NonMinimalLength),
        _ => Ok(()),
    }
}
