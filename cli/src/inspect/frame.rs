//! A frame as it is on the wire, valid or not.
//!
//! [`Header::decode`](sockeye::frame::Header::decode) stops at the first fault. Here every header that
//! is complete can be read, because what is wrong is what is to be seen.

use sockeye::mask::Mask;

/// The 7 bits that announce a 16-bit length.
const MEDIUM: u8 = 126;
/// The 7 bits that announce a 64-bit length.
const LONG: u8 = 127;

#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// Where it begins in the capture.
    at: usize,
    first: u8,
    /// The byte with the mask bit and the short length, and the bytes of a longer one.
    length: &'a [u8],
    key: &'a [u8],
    header: &'a [u8],
    /// How long the payload claims to be.
    len: u64,
    /// What the capture has of the payload, as it is on the wire.
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at this place, if its header is complete (RFC 6455 section 5.2).
    pub(super) fn parse(capture: &'a [u8], at: usize) -> Option<Self> {
        let bytes = capture.get(at..)?;
        let (&[first, second], extended) = bytes.split_first_chunk::<2>()?;
        let (len, extended_size) = match second & 0x7f {
            LONG => (u64::from_be_bytes(*extended.first_chunk()?), 8),
            MEDIUM => (u16::from_be_bytes(*extended.first_chunk()?).into(), 2),
            len => (len.into(), 0),
        };
        let length_end = 2 + extended_size;
        let key_size = if second & 0x80 == 0 { 0 } else { 4 };
        let (header, rest) = bytes.split_at_checked(length_end + key_size)?;
        let payload = match usize::try_from(len) {
            Ok(len) => rest.get(..len).unwrap_or(rest),
            Err(_) => rest,
        };
        Some(Self {
            at,
            first,
            length: header.get(1..length_end)?,
            key: header.get(length_end..)?,
            header,
            len,
            payload,
        })
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn header(&self) -> &'a [u8] {
        self.header
    }

    pub(super) fn first_byte(&self) -> u8 {
        self.first
    }

    pub(super) fn length_bytes(&self) -> &'a [u8] {
        self.length
    }

    pub(super) fn key_bytes(&self) -> &'a [u8] {
        self.key
    }

    pub(super) fn is_final(&self) -> bool {
        self.first & 0x80 != 0
    }

    /// The reserved bits, as [`Header::rsv`](sockeye::frame::Header::rsv).
    pub(super) fn rsv(&self) -> u8 {
        self.first >> 4 & 0b111
    }

    pub(super) fn opcode(&self) -> u8 {
        self.first & 0xf
    }

    pub(super) fn is_masked(&self) -> bool {
        !self.key.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The payload as it is on the wire.
    pub(super) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    pub(super) fn payload_at(&self) -> usize {
        self.at + self.header.len()
    }

    /// How much of the payload the capture does not have.
    pub(super) fn missing(&self) -> u64 {
        self.len - self.payload.len() as u64
    }

    /// The payload as it was meant.
    pub(super) fn unmasked(&self) -> Vec<u8> {
        let mut payload = self.payload.to_vec();
        if let Some(key) = self.key.first_chunk() {
            Mask::new(*key).apply(&mut payload);
        }
        payload
    }

    /// Where the next frame begins, if the capture has all of this one.
    pub(super) fn next(&self) -> Option<usize> {
        (self.missing() == 0).then_some(self.payload_at() + self.payload.len())
    }
}
