//! Text that is known to be UTF-8, and the buffer that makes sure of it while the text arrives.

use core::fmt;
use core::ops::Deref;
use core::str::Utf8Error;

use alloc::string::String;
use bytes::Bytes;

use super::assembler::STEP;
use super::buffer::{Buffer, Growth};
use super::payload::Payload;
use crate::mask::Mask;
use crate::utf8::{InvalidUtf8, Validator};

/// The payload of a text message: UTF-8, borrowed or owned as a [`Payload`] is.
///
/// It dereferences to `str`.
///
/// ```
/// use sockeye::Text;
///
/// let text = Text::from("héllo");
/// assert_eq!(text.to_uppercase(), "HÉLLO");
/// assert_eq!(text.into_string(), "héllo");
/// ```
#[derive(PartialEq, Eq)]
pub struct Text<'a>(
    // INVARIANT: UTF-8. Everything that makes a `Text` is in this file; nothing hands out the
    // bytes for change.
    Payload<'a>,
);

impl<'a> Text<'a> {
    /// Validates a payload.
    ///
    /// # Errors
    ///
    /// The payload is not UTF-8.
    pub fn from_utf8(payload: impl Into<Payload<'a>>) -> Result<Self, Utf8Error> {
        let payload = payload.into();
        #[cfg(test)]
        crate::steps::looked_at(payload.len());
        core::str::from_utf8(&payload)?;
        Ok(Self(payload))
    }

    /// Unmasks and validates what was received.
    #[inline(always)]
    pub(crate) fn unmask(bytes: &'a mut [u8], mask: Option<Mask>) -> Result<Self, InvalidUtf8> {
        let mut validator = Validator::new();
        match mask {
            Some(mut mask) => validator.push_masked(bytes, &mut mask)?,
            None => validator.push(bytes)?,
        }
        validator.finish()?;
        Ok(Self(bytes.into()))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        #[expect(unsafe_code, reason = "the text was validated when it arrived")]
        // SAFETY: the field's invariant. `From<&str>` and `From<String>` start from UTF-8;
        // `from_utf8` and `unmask` check the payload that it then owns or borrows exclusively
        // or immutably; `TextBuffer::finish` hands over bytes of which each went through one
        // validator, in order, that ended between two code points.
        unsafe {
            core::str::from_utf8_unchecked(&self.0)
        }
    }

    /// The text as bytes that can be shared: free unless it is borrowed, then one copy.
    #[inline]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The text as a `String`.
    pub fn into_string(self) -> String {
        match String::from_utf8(self.0.into_vec()) {
            Ok(string) => string,
            // The invariant rules this out.
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// The text as plain bytes.
    #[inline]
    pub fn into_payload(self) -> Payload<'a> {
        self.0
    }

    /// The text with bytes of its own: free unless it is borrowed, then one copy.
    pub fn into_owned(self) -> Text<'static> {
        Text(self.0.into_owned())
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough for a log line.
        const SHOWN: usize = 64;
        match self.char_indices().nth(SHOWN) {
            None => fmt::Debug::fmt(&**self, f),
            Some((end, _)) => {
                let shown = self.get(..end).unwrap_or_default();
                write!(f, "{shown:?}... ({} bytes)", self.len())
            }
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// Text while it arrives: every byte that is put in was validated, up to a code point that may
/// still be open at its end.
#[derive(Default)]
pub(crate) struct TextBuffer {
    // INVARIANT: exactly the bytes that `validator` accepted since it was new.
    bytes: Buffer,
    validator: Validator,
}

impl TextBuffer {
    /// Text that is put into this buffer, which is empty.
    #[cfg(feature = "deflate")]
    pub(super) fn new(bytes: Buffer) -> Self {
        Self {
            bytes,
            validator: Validator::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Unmasks and appends a piece.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        mut mask: Option<Mask>,
        growth: Growth,
    ) -> Result<(), InvalidUtf8> {
        self.bytes.reserve(piece.len(), growth);
        let result = piece
            .chunks(STEP)
            .try_for_each(|step| self.push_step(step, mask.as_mut(), growth));
        if result.is_err() {
            *self = Self::default();
        }
        result
    }

    fn push_step(
        &mut self,
        step: &[u8],
        mask: Option<&mut Mask>,
        growth: Growth,
    ) -> Result<(), InvalidUtf8> {
        self.bytes.append(step, None, growth);
        let start = self.bytes.len() - step.len();
        let appended = self.bytes.get_mut(start..).unwrap_or_default();
        // 6455-8.1-01, K5: the first impossible byte fails the connection, not the end of the
        // message.
        match mask {
            Some(mask) => self.validator.push_masked(appended, mask),
            None => self.validator.push(appended),
        }
    }

    /// Room to be read into; see [`Buffer::room_mut`].
    pub(super) fn room_mut(&mut self, max: usize, growth: Growth) -> &mut [u8] {
        self.bytes.room_mut(max, growth)
    }

    /// What came so far, and room; see [`Buffer::with_room`].
    #[cfg(feature = "deflate")]
    pub(super) fn with_room(&mut self, max: usize, growth: Growth) -> (&[u8], &mut [u8]) {
        self.bytes.with_room(max, growth)
    }

    pub(super) fn at_hand(&self) -> usize {
        self.bytes.at_hand()
    }

    #[cfg(feature = "deflate")]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes `count` bytes that were read into the room, and unmasks them.
    pub(super) fn fill(&mut self, count: usize, mut mask: Option<Mask>) -> Result<(), InvalidUtf8> {
        let mut steps = self.bytes.fill(count).chunks_mut(STEP);
        let result = steps.try_for_each(|step| match &mut mask {
            Some(mask) => self.validator.push_masked(step, mask),
            None => self.validator.push(step),
        });
        if result.is_err() {
            *self = Self::default();
        }
        result
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> Result<Text<'static>, InvalidUtf8> {
        self.validator.finish()?;
        Ok(Text(self.bytes.into()))
    }
}
