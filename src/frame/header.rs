//! The 2 to 14 bytes in front of every payload.

use core::fmt;
use core::ops::Deref;

use super::{OpCode, Rules};
use crate::error::ProtocolError;

/// A frame header (RFC 6455 section 5.2). 16 bytes, [`Copy`].
///
/// The fields say what is on the wire, valid or not; [`check`](Self::check) tells.
///
/// ```
/// use sockeye::frame::{Header, OpCode, Rules};
///
/// let header = Header::new(OpCode::Text, 5).with_mask([0x37, 0xfa, 0x21, 0x3d]);
/// let bytes = header.encode();
/// assert_eq!(*bytes, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
/// assert_eq!(
///     Header::decode(&bytes, &Rules::server()),
///     Ok(Some((header, 6)))
/// );
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
        let (masked, key) = match self.mask {
            Some(key) => (MASKED, u32::from_le_bytes(key)),
            None => (0, 0),
        };
        // 6455-5.2-06, 6455-5.2-08
        let swapped = self.len.swap_bytes();
        let (short, extended, bits) = match self.len {
            0..MIN_MEDIUM => (swapped >> 56, 0, 0),
            MIN_MEDIUM..MIN_LONG => (MEDIUM as u64, swapped >> 48, 16),
            _ => (LONG as u64, swapped, 64),
        };
        // One integer with the first byte lowest costs a few shifts, where byte by byte costs a
        // store for each of them.
        let start = first as u64 | (short | masked as u64) << 8;
        let wire = start as u128 | (extended as u128) << 16 | (key as u128) << (16 + bits);
        let [bytes @ .., _, _] = wire.to_le_bytes();
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
    // Out of line, the result goes through memory field by field, and costs more than the parsing.
    #[inline(always)]
    pub fn decode(bytes: &[u8], rules: &Rules) -> Result<Option<(Self, usize)>, ProtocolError> {
        #[cfg(test)]
        crate::steps::looked_at(bytes.len().min(Self::MAX_LEN));
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
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; Header::MAX_LEN],
        len: 0,
    };

    /// All bytes that there are, and how many of them it has.
    #[inline]
    pub(crate) fn parts(&self) -> (&[u8; Header::MAX_LEN], usize) {
        (&self.bytes, usize::from(self.len))
    }

    /// Takes away what was sent of it, which is no more than there is.
    pub(crate) fn advance(&mut self, count: usize) {
        let Some((_, rest)) = self.split_at_checked(count) else {
            return;
        };
        let mut left = Self::EMPTY;
        for byte in rest {
            left.push(*byte);
        }
        *self = left;
    }

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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::Masking;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    const OPCODES: [OpCode; 6] = [
        OpCode::Continuation,
        OpCode::Text,
        OpCode::Binary,
        OpCode::Close,
        OpCode::Ping,
        OpCode::Pong,
    ];
    const ALL_RSV: u8 = Header::RSV1 | Header::RSV2 | Header::RSV3;

    fn accepts(bytes: &[u8], rules: Rules, header: Header) {
        assert_eq!(
            Header::decode(bytes, &rules),
            Ok(Some((header, bytes.len()))),
            "{bytes:02x?}"
        );
        assert_eq!(*header.encode(), *bytes);
        assert_eq!(header.encoded_len(), bytes.len());
        assert_eq!(header.check(&rules), Ok(()));
        for len in 0..bytes.len() {
            assert_eq!(Header::decode(&bytes[..len], &rules), Ok(None));
        }
    }

    /// The fault shows at byte `at`, counted from 1: not before, and whatever comes after.
    fn refuses(bytes: &[u8], rules: Rules, error: ProtocolError, at: usize) {
        for len in 0..at {
            assert_eq!(
                Header::decode(&bytes[..len], &rules),
                Ok(None),
                "{bytes:02x?} {len}"
            );
        }
        for len in at..=bytes.len() {
            assert_eq!(
                Header::decode(&bytes[..len], &rules),
                Err(error),
                "{bytes:02x?} {len}"
            );
        }
    }

    fn both() -> [Rules; 2] {
        [Rules::server(), Rules::client()]
    }

    fn mask_bit(rules: Rules) -> u8 {
        if rules == Rules::server() { 0x80 } else { 0 }
    }

    #[test]
    fn rfc6455_5_7_examples() {
        let client = Rules::client();
        accepts(b"\x81\x05", client, Header::new(OpCode::Text, 5));
        accepts(
            b"\x81\x85\x37\xfa\x21\x3d",
            Rules::server(),
            Header::new(OpCode::Text, 5).with_mask(KEY),
        );
        accepts(
            b"\x01\x03",
            client,
            Header::new(OpCode::Text, 3).with_fin(false),
        );
        accepts(b"\x80\x02", client, Header::new(OpCode::Continuation, 2));
        accepts(b"\x89\x05", client, Header::new(OpCode::Ping, 5));
        accepts(
            b"\x8a\x85\x37\xfa\x21\x3d",
            Rules::server(),
            Header::new(OpCode::Pong, 5).with_mask(KEY),
        );
        accepts(
            b"\x82\x7e\x01\x00",
            client,
            Header::new(OpCode::Binary, 256),
        );
        accepts(
            b"\x82\x7f\0\0\0\0\0\x01\0\0",
            client,
            Header::new(OpCode::Binary, 65536),
        );
    }

    #[test]
    fn f_03_empty() {
        accepts(b"\x82\x00", Rules::client(), Header::new(OpCode::Binary, 0));
        accepts(b"\x81\x00", Rules::client(), Header::new(OpCode::Text, 0));
    }

    #[test]
    fn f_05_f_06_non_minimal() {
        let error = ProtocolError::NonMinimalLength;
        for len in 0..=125 {
            refuses(&[0x82, 126, 0, len, 1, 2], Rules::client(), error, 4);
            refuses(
                &[0x82, 0x80 | 126, 0, len, 1, 2, 3, 4],
                Rules::server(),
                error,
                4,
            );
        }
        for low in [[0, 0], [0, 125], [0, 126], [0xff, 0xff]] {
            let bytes = [&b"\x82\x7f\0\0\0\0\0\0"[..], &low].concat();
            refuses(&bytes, Rules::client(), error, 8);
            let bytes = [&b"\x82\xff\0\0\0\0\0\0"[..], &low, &KEY].concat();
            refuses(&bytes, Rules::server(), error, 8);
        }
    }

    #[test]
    fn f_07_f_10_lengths_at_every_boundary() {
        let lens = [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 1 << 31];
        // F-12: nothing is cut to 32 bits.
        let larger = [(1 << 32) - 1, 1 << 32, (1 << 32) + 5, (1 << 63) - 1];
        for len in lens.into_iter().chain(larger) {
            let header = Header::new(OpCode::Binary, len);
            accepts(&header.encode(), Rules::client(), header);
            let header = header.with_mask(KEY);
            accepts(&header.encode(), Rules::server(), header);
        }
        assert_eq!(
            *Header::new(OpCode::Binary, (1 << 63) - 1).encode(),
            *b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"
        );
    }

    #[test]
    fn f_08_f_09_length_msb() {
        let error = ProtocolError::LengthMsb;
        for bytes in [
            b"\x82\x7f\x80\0\0\0\0\0\0\0",
            b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            refuses(bytes, Rules::client(), error, 3);
        }
        refuses(b"\x82\xff\x80\0\0\0\0\0\0\0", Rules::server(), error, 3);
        for len in [1 << 63, u64::MAX] {
            let header = Header::new(OpCode::Binary, len);
            assert_eq!(header.check(&Rules::client()), Err(error));
        }
    }

    #[test]
    fn f_13_f_14_reserved_bits() {
        for rules in both() {
            for bits in 1..8 {
                for first in [0x80, 0x81, 0x82, 0x00, 0x01, 0x02] {
                    let bytes = [first | bits << 4, mask_bit(rules)];
                    refuses(&bytes, rules, ProtocolError::ReservedBits, 1);
                    // RSV1 is allowed, but only that, and only where a message starts.
                    let rules = rules.with_rsv(Header::RSV1);
                    if bits == Header::RSV1 && first & 0xf != 0 {
                        assert!(Header::decode(&bytes, &rules).is_ok());
                    } else {
                        refuses(&bytes, rules, ProtocolError::ReservedBits, 1);
                    }
                }
            }
        }
    }

    #[test]
    fn f_15_reserved_bits_on_control_frames() {
        for rules in both() {
            for bits in 1..8 {
                for first in [0x88, 0x89, 0x8a] {
                    let bytes = [first | bits << 4, mask_bit(rules)];
                    let rules = rules.with_rsv(ALL_RSV);
                    refuses(&bytes, rules, ProtocolError::ReservedBits, 1);
                }
            }
        }
    }

    #[test]
    fn f_16_f_18_reserved_opcodes() {
        for rules in both() {
            for opcode in (0x3..=0x7).chain(0xb..=0xf) {
                for fin in [0, 0x80] {
                    for len in [0, 5] {
                        let bytes = [fin | opcode, mask_bit(rules) | len];
                        refuses(&bytes, rules, ProtocolError::ReservedOpcode, 1);
                    }
                }
            }
        }
    }

    #[test]
    fn f_20_f_21_unmasked() {
        for opcode in OPCODES {
            for len in [0, 5] {
                let header = Header::new(opcode, len);
                let error = ProtocolError::Unmasked;
                refuses(&header.encode(), Rules::server(), error, 2);
                assert_eq!(header.check(&Rules::server()), Err(error));
                accepts(&header.encode(), Rules::any(), header);
            }
        }
    }

    #[test]
    fn f_22_f_23_masked() {
        for opcode in OPCODES {
            for len in [0, 5] {
                let header = Header::new(opcode, len).with_mask(KEY);
                let error = ProtocolError::Masked;
                refuses(&header.encode(), Rules::client(), error, 2);
                assert_eq!(header.check(&Rules::client()), Err(error));
                accepts(&header.encode(), Rules::any(), header);
            }
        }
    }

    #[test]
    fn f_24_zero_key() {
        let header = Header::new(OpCode::Text, 5).with_mask([0; 4]);
        accepts(b"\x81\x85\0\0\0\0", Rules::server(), header);
    }

    #[test]
    fn f_26_masked_and_empty() {
        let header = Header::new(OpCode::Text, 0).with_mask(KEY);
        accepts(b"\x81\x80\x37\xfa\x21\x3d", Rules::server(), header);
    }

    #[test]
    fn f_34_fragmented_control() {
        for rules in both() {
            for first in [0x08, 0x09, 0x0a] {
                let error = ProtocolError::FragmentedControl;
                refuses(&[first, mask_bit(rules)], rules, error, 1);
            }
        }
    }

    #[test]
    fn f_35_control_too_long() {
        for rules in both() {
            for bytes in [&b"\x89\x7e\x00\x7e"[..], b"\x8a\x7f\0", b"\x88\x7e\x00\x80"] {
                let mut bytes = bytes.to_vec();
                bytes[1] |= mask_bit(rules);
                refuses(&bytes, rules, ProtocolError::ControlTooLong, 2);
            }
        }
        let header = Header::new(OpCode::Ping, 125);
        assert_eq!(header.check(&Rules::client()), Ok(()));
        let header = Header::new(OpCode::Ping, 126);
        assert_eq!(
            header.check(&Rules::client()),
            Err(ProtocolError::ControlTooLong)
        );
    }

    #[test]
    fn every_pair_of_first_bytes() {
        for rules in [Rules::server(), Rules::client(), Rules::any()] {
            for allowed in 0..8 {
                let rules = rules.with_rsv(allowed);
                for first in 0..=255 {
                    for second in 0..=255 {
                        let bytes = [first, second];
                        assert_eq!(
                            Header::decode(&bytes, &rules).err(),
                            by_the_book(bytes, rules),
                            "{bytes:02x?} {rules:?}"
                        );
                    }
                }
            }
        }
    }

    fn by_the_book([first, second]: [u8; 2], rules: Rules) -> Option<ProtocolError> {
        let (opcode, rsv) = (first % 16, first / 16 % 8);
        let allowed = if matches!(opcode, 1 | 2) {
            rules.rsv()
        } else {
            0
        };
        let (control, masked) = (opcode >= 8, second >= 128);
        if !matches!(opcode, 0..=2 | 8..=10) {
            Some(ProtocolError::ReservedOpcode)
        } else if rsv | allowed != allowed {
            Some(ProtocolError::ReservedBits)
        } else if control && first < 128 {
            Some(ProtocolError::FragmentedControl)
        } else if rules.masking() == Masking::Required && !masked {
            Some(ProtocolError::Unmasked)
        } else if rules.masking() == Masking::Forbidden && masked {
            Some(ProtocolError::Masked)
        } else if control && second % 128 > 125 {
            Some(ProtocolError::ControlTooLong)
        } else {
            None
        }
    }

    #[test]
    fn rsv_is_cut_to_three_bits() {
        let mut header = Header::new(OpCode::Text, 0).with_rsv(0xff);
        assert_eq!(header.rsv, ALL_RSV);
        header.rsv = 0xff;
        assert_eq!(header.encode()[0], 0xf1);
    }

    #[test]
    fn sizes() {
        assert!(size_of::<Header>() <= 16);
        assert!(size_of::<HeaderBytes>() <= 16);
    }

    pub(in crate::frame) fn any_len() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..=130u64,
            0xfff0..=0x1_0010u64,
            0..1u64 << 32,
            0..1u64 << 63
        ]
    }

    pub(in crate::frame) fn any_header() -> impl Strategy<Value = Header> {
        let opcode = prop::sample::select(&OPCODES[..]);
        (
            opcode,
            any::<bool>(),
            0..8u8,
            any::<Option<[u8; 4]>>(),
            any_len(),
        )
            .prop_map(|(opcode, fin, rsv, mask, len)| {
                let mut header = if opcode.is_control() {
                    Header::new(opcode, len % 126)
                } else {
                    Header::new(opcode, len).with_fin(fin)
                };
                if opcode.starts_message() {
                    header.rsv = rsv;
                }
                header.mask = mask;
                header
            })
    }

    proptest! {
        #[test]
        fn encode_then_decode(header in any_header(), behind: Vec<u8>) {
            let bytes = header.encode();
            let rules = Rules::any().with_rsv(ALL_RSV);
            prop_assert_eq!(header.check(&rules), Ok(()));
            let wire = [&bytes[..], &behind].concat();
            prop_assert_eq!(Header::decode(&wire, &rules), Ok(Some((header, bytes.len()))));
            for len in 0..bytes.len() {
                prop_assert_eq!(Header::decode(&wire[..len], &rules), Ok(None));
            }
        }

        #[test]
        fn decode_then_encode(bytes: [u8; 14]) {
            for rules in [Rules::server(), Rules::client(), Rules::any()] {
                let rules = rules.with_rsv(ALL_RSV);
                if let Ok(Some((header, size))) = Header::decode(&bytes, &rules) {
                    prop_assert_eq!(&*header.encode(), &bytes[..size]);
                    prop_assert_eq!(header.check(&rules), Ok(()));
                }
            }
        }
    }
}
