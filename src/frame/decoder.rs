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
/// use sockeye::frame::{Decoder, OpCode, Rules};
/// use sockeye::Input;
///
/// let mut decoder = Decoder::new(Rules::server());
/// let mut first_read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f";
/// let mut second_read = *b"\x4d\x51\x58";
/// let mut text = Vec::new();
/// for read in [&mut first_read[..], &mut second_read[..]] {
///     let mut input = Input::new(read);
///     while !input.is_empty() {
///         if decoder.remaining() == 0 {
///             let Some(header) = decoder.header(&mut input)? else { break };
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
        let (piece, mask) = self.payload_masked(input);
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
    /// use sockeye::frame::{Decoder, Rules};
    /// use sockeye::Input;
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
        // A payload that does not fit the address space does not fit the input either.
        let max = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let piece = input.take(max);
        self.remaining -= piece.len() as u64;
        let mask = self.mask;
        if let Some(mask) = &mut self.mask {
            // 6455-5.3-05
            mask.advance(piece.len());
        }
        (piece, mask)
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
