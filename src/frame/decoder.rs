//! Frames out of bytes that arrive in pieces.

use super::header::HeaderBytes;
use super::{Header, Rules};
use crate::error::ProtocolError;
use crate::input::Input;
use crate::mask::Mask;

/// Takes frames out of bytes that arrive in pieces of any size, without allocation.
///
/// Alternate between [`header`](Self::header) and, while [`remaining`](Self::remaining) is not 0,
/// [`payload`](Self::payload). Payloads are lent out of the input, whatever their size; between two
/// inputs the decoder holds no more than a part of a header. It has 40 bytes.
///
/// It checks each header against [`Rules`], but knows no messages: it does not care whether a
/// continuation frame continues anything, what a Close frame says, or how long a frame is.
///
/// ```
/// use sockeye::Input;
/// use sockeye::frame::{Decoder, OpCode, Rules};
///
/// let mut decoder = Decoder::new(Rules::server());
/// let mut first_read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f";
/// let mut second_read = *b"\x4d\x51\x58";
/// let mut text = Vec::new();
/// for read in [&mut first_read[..], &mut second_read[..]] {
///     let mut input = Input::new(read);
///     while !input.is_empty() {
///         if decoder.remaining() == 0 {
///             let Some(header) = decoder.header(&mut input)? else {
///                 break;
///             };
///             assert_eq!(header.opcode, OpCode::Text);
///         }
///         text.extend_from_slice(decoder.payload(&mut input));
///     }
/// }
/// assert_eq!(text, b"Hello");
/// # Ok::<(), sockeye::ProtocolError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    remaining: u64,
    partial: HeaderBytes,
    mask: Option<Mask>,
    rules: Rules,
    failed: Option<ProtocolError>,
}

impl Decoder {
    /// A decoder in front of the first frame.
    #[inline]
    pub const fn new(rules: Rules) -> Self {
        Self {
            remaining: 0,
            partial: HeaderBytes::EMPTY,
            mask: None,
            rules,
            failed: None,
        }
    }

    /// The header of the next frame, once it is complete.
    ///
    /// `None` means that all input is consumed; an incomplete header is kept inside.
    ///
    /// Only call it when [`remaining`](Self::remaining) is 0. Inside a payload it is `None` and
    /// consumes nothing.
    ///
    /// # Errors
    /// The first rule that the header breaks, with close code 1002: see [`Header::decode`]. The
    /// input is consumed up to and with the byte that shows it. The error lasts: every later call
    /// repeats it.
    #[inline]
    pub fn header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, ProtocolError> {
        if self.remaining != 0 {
            return Ok(None);
        }
        if self.partial.is_empty() {
            if let Ok(Some((header, size))) = Header::decode(input.as_slice(), &self.rules) {
                input.take(size);
                self.begin(&header);
                return Ok(Some(header));
            }
        }
        self.header_bytewise(input)
    }

    pub(crate) const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether the next byte begins a frame.
    #[inline]
    pub(crate) fn is_between_frames(&self) -> bool {
        // INVARIANT: after a failure `partial` is not empty.
        self.remaining == 0 && self.partial.is_empty()
    }

    /// The first byte of the next frame, if it is there: FIN, reserved bits and opcode.
    pub(crate) fn first_byte(&self, input: &Input<'_>) -> Option<u8> {
        let first = self.partial.first().or_else(|| input.as_slice().first());
        first.copied().filter(|_| self.remaining == 0)
    }

    /// How many bytes of the current frame's payload are still to come.
    #[inline]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next piece of the current frame's payload, unmasked in place.
    ///
    /// As much as the input has; empty if the input or the payload is at its end. The input can be
    /// any memory: whoever knows [`remaining`](Self::remaining) can read the transport straight
    /// into the place where the payload belongs, and make that the [`Input`].
    #[inline]
    pub fn payload<'b>(&mut self, input: &mut Input<'b>) -> &'b mut [u8] {
        self.payload_up_to(input, usize::MAX)
    }

    /// As [`payload`](Self::payload), but no more than `max` bytes.
    #[inline]
    pub fn payload_up_to<'b>(&mut self, input: &mut Input<'b>, max: usize) -> &'b mut [u8] {
        let (piece, mask) = self.masked_up_to(input, max);
        if let Some(mut mask) = mask {
            mask.apply(piece);
        }
        piece
    }

    /// The next piece of the current frame's payload as it is on the wire, with its mask.
    ///
    /// For who copies anyway, and so can unmask in the same pass with [`Mask::copy`], and for who
    /// passes it on as it is.
    ///
    /// ```
    /// use sockeye::Input;
    /// use sockeye::frame::{Decoder, Rules};
    ///
    /// let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    /// let mut input = Input::new(&mut read);
    /// let mut decoder = Decoder::new(Rules::server());
    /// decoder.header(&mut input)?;
    /// let (piece, mask) = decoder.payload_masked(&mut input);
    /// let mut text = [0; 5];
    /// mask.unwrap().copy(piece, &mut text);
    /// assert_eq!(text, *b"Hello");
    /// # Ok::<(), sockeye::ProtocolError>(())
    /// ```
    #[inline]
    pub fn payload_masked<'b>(&mut self, input: &mut Input<'b>) -> (&'b mut [u8], Option<Mask>) {
        self.masked_up_to(input, usize::MAX)
    }

    #[inline]
    fn masked_up_to<'b>(
        &mut self,
        input: &mut Input<'b>,
        max: usize,
    ) -> (&'b mut [u8], Option<Mask>) {
        // A payload that does not fit the address space does not fit the input either.
        let remaining = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let piece = input.take(remaining.min(max));
        let mask = self.skip(piece.len());
        (piece, mask)
    }

    /// Goes on behind the next `count` bytes of the payload, which somebody else has; there are so
    /// many. Returns their mask.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) -> Option<Mask> {
        self.remaining -= count as u64;
        let mask = self.mask;
        if let Some(mask) = &mut self.mask {
            // 6455-5.3-05
            mask.advance(count);
        }
        mask
    }

    /// One byte at a time, so that a fault is found at its byte. At most 14 of them a read.
    fn header_bytewise(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while let Some(&byte) = input.take(1).first() {
            self.partial.push(byte);
            match Header::decode(&self.partial, &self.rules) {
                Ok(None) => {}
                Ok(Some((header, _))) => {
                    self.partial = HeaderBytes::EMPTY;
                    self.begin(&header);
                    return Ok(Some(header));
                }
                // INVARIANT: `partial` keeps what failed, so the fast path cannot be taken again.
                Err(error) => {
                    self.failed = Some(error);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    #[inline]
    fn begin(&mut self, header: &Header) {
        self.remaining = header.len;
        self.mask = header.mask.map(Mask::new);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::OpCode;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    type Frames = Vec<(Header, Vec<u8>)>;

    /// The frames of all pieces, and the error with the number of bytes consumed before it.
    fn decode<'a>(
        rules: Rules,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        fused: bool,
    ) -> (Frames, Option<(ProtocolError, usize)>) {
        let mut decoder = Decoder::new(rules);
        let mut frames = Frames::new();
        let mut before = 0;
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = Input::new(&mut piece);
            while !input.is_empty() {
                if decoder.remaining() == 0 {
                    match decoder.header(&mut input) {
                        Ok(Some(header)) => frames.push((header, Vec::new())),
                        Ok(None) => assert!(input.is_empty()),
                        Err(error) => {
                            let consumed = before + input.consumed();
                            // Sticky, and nothing more is consumed.
                            assert_eq!(decoder.header(&mut input), Err(error));
                            assert_eq!(before + input.consumed(), consumed);
                            return (frames, Some((error, consumed)));
                        }
                    }
                }
                let Some((_, payload)) = frames.last_mut() else {
                    continue;
                };
                if fused {
                    let (part, mask) = decoder.payload_masked(&mut input);
                    let start = payload.len();
                    payload.resize(start + part.len(), 0);
                    match mask {
                        Some(mut mask) => mask.copy(part, &mut payload[start..]),
                        None => payload[start..].copy_from_slice(part),
                    }
                } else {
                    payload.extend_from_slice(decoder.payload(&mut input));
                }
            }
            before += piece.len();
        }
        (frames, None)
    }

    fn wire(frames: &Frames) -> Vec<u8> {
        let mut wire = Vec::new();
        for (header, payload) in frames {
            wire.extend_from_slice(&header.encode());
            let start = wire.len();
            wire.extend_from_slice(payload);
            if let Some(key) = header.mask {
                Mask::new(key).apply(&mut wire[start..]);
            }
        }
        wire
    }

    fn frame(opcode: OpCode, payload: &[u8]) -> (Header, Vec<u8>) {
        let header = Header::new(opcode, payload.len() as u64).with_mask(KEY);
        (header, payload.to_vec())
    }

    #[test]
    fn f_02_masked_hello() {
        let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(wire(&vec![frame(OpCode::Text, b"Hello")]), bytes);
        let (frames, error) = decode(Rules::server(), [&bytes[..]], false);
        assert_eq!(frames, [frame(OpCode::Text, b"Hello")]);
        assert_eq!(error, None);
    }

    #[test]
    fn f_04_f_43_every_split_of_every_header_size() {
        let frames: Frames = [0, 5, 126, 300, 65536]
            .into_iter()
            .flat_map(|len| {
                let payload = vec![0x5a; len];
                let masked = Header::new(OpCode::Binary, len as u64).with_mask(KEY);
                let plain = Header::new(OpCode::Binary, len as u64);
                [(masked, payload.clone()), (plain, payload)]
            })
            .collect();
        for frame in &frames {
            // One frame behind it shows that the end is found.
            let all = vec![frame.clone(), (Header::new(OpCode::Ping, 1), vec![7])];
            let bytes = wire(&all);
            for split in 0..bytes.len().min(40) {
                let (front, back) = bytes.split_at(split);
                assert_eq!(decode(Rules::any(), [front, back], false).0, all);
            }
            for size in [1, 2, 3, 7, 13, 14, 15] {
                assert_eq!(decode(Rules::any(), bytes.chunks(size), true).0, all);
            }
        }
    }

    #[test]
    fn m_02_phase_survives_every_split() {
        let payload: Vec<u8> = (0..68).collect();
        for len in 0..68 {
            let all = vec![frame(OpCode::Binary, &payload[..len])];
            let bytes = wire(&all);
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    assert_eq!(decode(Rules::server(), pieces, false).0, all);
                    assert_eq!(decode(Rules::server(), pieces, true).0, all);
                }
            }
        }
    }

    #[test]
    fn f_12_lengths_beyond_the_address_space() {
        let len = (1 << 63) - 1;
        let mut bytes = Header::new(OpCode::Binary, len).encode().to_vec();
        bytes.extend_from_slice(b"abc");
        let mut input = Input::new(&mut bytes);
        let mut decoder = Decoder::new(Rules::client());
        assert_eq!(decoder.header(&mut input).unwrap().unwrap().len, len);
        assert_eq!(decoder.payload(&mut input), b"abc");
        assert_eq!(decoder.remaining(), len - 3);
    }

    #[test]
    fn f_20_an_error_is_sticky_and_knows_its_byte() {
        let good = wire(&vec![frame(OpCode::Text, b"ok")]);
        for (bad, error, at) in [
            (&b"\x83\x80"[..], ProtocolError::ReservedOpcode, 1),
            (b"\x81\x05Hello", ProtocolError::Unmasked, 2),
            (b"\x82\xff\x80\0\0\0\0", ProtocolError::LengthMsb, 3),
            (b"\x82\xfe\0\x7d", ProtocolError::NonMinimalLength, 4),
            (
                b"\x82\xff\0\0\0\0\0\0\xff\xffmask",
                ProtocolError::NonMinimalLength,
                8,
            ),
        ] {
            let bytes = [&good[..], bad].concat();
            let expected = (
                vec![frame(OpCode::Text, b"ok")],
                Some((error, good.len() + at)),
            );
            for size in 1..=bytes.len() {
                let result = decode(Rules::server(), bytes.chunks(size), false);
                assert_eq!(result, expected);
            }
        }
    }

    #[test]
    fn f_44_empty_input_changes_nothing() {
        let bytes = wire(&vec![frame(OpCode::Text, b"Hello")]);
        let pieces = bytes.chunks(1).flat_map(|byte| [&[][..], byte, &[]]);
        let mut decoder = Decoder::new(Rules::server());
        assert_eq!(decoder.header(&mut Input::new(&mut [])), Ok(None));
        assert!(decoder.payload(&mut Input::new(&mut [])).is_empty());
        let (frames, error) = decode(Rules::server(), pieces, false);
        assert_eq!((frames.len(), error), (1, None));
    }

    #[test]
    fn a_header_inside_a_payload_is_none_and_consumes_nothing() {
        let mut bytes = wire(&vec![frame(OpCode::Text, b"Hello")]);
        let mut input = Input::new(&mut bytes);
        let mut decoder = Decoder::new(Rules::server());
        assert!(decoder.header(&mut input).unwrap().is_some());
        assert_eq!(decoder.header(&mut input), Ok(None));
        assert_eq!((input.consumed(), decoder.remaining()), (6, 5));
        assert_eq!(decoder.payload(&mut input), b"Hello");
    }

    #[test]
    fn a_payload_read_into_its_place() {
        let bytes = wire(&vec![frame(OpCode::Text, b"Hello, world")]);
        let (read, rest) = bytes.split_at(8);
        let mut read = read.to_vec();
        let mut input = Input::new(&mut read);
        let mut decoder = Decoder::new(Rules::server());
        decoder.header(&mut input).unwrap();
        let mut message = decoder.payload(&mut input).to_vec();
        let start = message.len();
        message.extend_from_slice(rest);
        decoder.payload(&mut Input::new(&mut message[start..]));
        assert_eq!(message, b"Hello, world");
        assert_eq!(decoder.remaining(), 0);
    }

    #[test]
    fn size() {
        assert!(size_of::<Decoder>() <= 40);
    }

    fn any_frames() -> impl Strategy<Value = Frames> {
        let frame = (
            prop::sample::select(vec![OpCode::Text, OpCode::Continuation, OpCode::Ping]),
            any::<Option<[u8; 4]>>(),
            prop_oneof![0..10usize, 120..130usize, 0..400usize],
        );
        let frame = frame.prop_map(|(opcode, mask, len)| {
            let len = if opcode.is_control() { len % 126 } else { len };
            let mut header = Header::new(opcode, len as u64);
            header.mask = mask;
            (header, (0..=250).cycle().take(len).collect())
        });
        prop::collection::vec(frame, 0..6)
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_frames(frames in any_frames(), cuts: Vec<u8>, fused: bool) {
            let bytes = wire(&frames);
            prop_assert_eq!(&decode(Rules::any(), [&bytes[..]], fused).0, &frames);
            prop_assert_eq!(&decode(Rules::any(), cut(&bytes, &cuts), fused).0, &frames);
        }

        #[test]
        fn any_bytes_give_the_same_in_any_pieces(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0)], 0..200),
            cuts: Vec<u8>,
        ) {
            for rules in [Rules::server(), Rules::client(), Rules::any().with_rsv(7)] {
                let whole = decode(rules, [&bytes[..]], false);
                prop_assert_eq!(decode(rules, cut(&bytes, &cuts), true), whole);
            }
        }
    }

    fn cut<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        for &cut in cuts {
            let (front, back) = bytes.split_at(bytes.len().min(cut.into()));
            pieces.push(front);
            bytes = back;
        }
        pieces.push(bytes);
        pieces
    }
}
