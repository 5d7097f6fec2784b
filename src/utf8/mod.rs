//! UTF-8 that arrives in pieces (RFC 6455 section 8.1, RFC 3629 section 4).

mod scalar;
#[cfg(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2")))]
mod simd;
#[cfg(test)]
mod tests;

use core::fmt;

use self::scalar::{FAILED, START};
use crate::error::Error;
use crate::mask::Mask;

/// Checks a text that arrives in pieces, cut anywhere.
///
/// It fails at the first byte that no valid text can have there, and does not wait for the end of
/// a code point. 1 byte, no allocation.
///
/// ```
/// use sockeye::utf8::Validator;
///
/// let mut validator = Validator::new();
/// validator.push(b"caf\xc3")?;
/// assert!(!validator.is_boundary());
/// validator.push(b"\xa9")?;
/// validator.finish()?;
///
/// // A surrogate shows at its second byte.
/// validator.push(b"\xed")?;
/// assert_eq!(validator.push(b"\xa0").unwrap_err().position(), 0);
/// # Ok::<(), sockeye::utf8::InvalidUtf8>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    state: u8,
}

impl Validator {
    /// A validator at the start of a text.
    #[inline]
    pub const fn new() -> Self {
        Self { state: START }
    }

    /// Checks the next `bytes` of the text.
    ///
    /// # Errors
    /// [`InvalidUtf8`] at the first byte that cannot be there (close code 1007). The failure lasts:
    /// every later `push` fails too, until [`finish`](Self::finish).
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        #[cfg(test)]
        crate::steps::looked_at(bytes.len());
        self.settle(after(self.state, bytes), bytes)
    }

    /// Unmasks the next bytes of the text, and checks them in the same pass.
    #[inline]
    pub(crate) fn push_masked(
        &mut self,
        bytes: &mut [u8],
        mask: &mut Mask,
    ) -> Result<(), InvalidUtf8> {
        #[cfg(test)]
        crate::steps::looked_at(bytes.len());
        let state = unmask(self.state, bytes, mask);
        self.settle(state, bytes)
    }

    #[inline]
    fn settle(&mut self, state: u8, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        if state == FAILED {
            return Err(self.fail(bytes));
        }
        self.state = state;
        Ok(())
    }

    /// Ends the text, and makes ready for the next one.
    ///
    /// # Errors
    /// [`InvalidUtf8`] if the text stops inside a code point, or failed before (close code 1007).
    #[inline]
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        let whole = self.is_boundary();
        *self = Self::new();
        if whole {
            Ok(())
        } else {
            Err(InvalidUtf8 { position: 0 })
        }
    }

    /// Whether the text so far ends with a whole code point.
    #[inline]
    pub const fn is_boundary(&self) -> bool {
        self.state == START
    }

    /// Finds the byte in `bytes` that broke the text. Off the hot path, so it may start again.
    #[cold]
    fn fail(&mut self, bytes: &[u8]) -> InvalidUtf8 {
        #[cfg(test)]
        crate::steps::looked_at(bytes.len());
        let breaks = |&byte: &u8| {
            self.state = scalar::step(self.state, byte);
            self.state == FAILED
        };
        let position = bytes.iter().position(breaks).unwrap_or(0);
        InvalidUtf8 { position }
    }
}

/// The text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidUtf8 {
    position: usize,
}

impl InvalidUtf8 {
    /// Where the first byte is that cannot be there, counted from the start of that `push`.
    ///
    /// 0 from [`Validator::finish`], where the next byte is missing.
    pub const fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid UTF-8 at byte {}", self.position)
    }
}

impl core::error::Error for InvalidUtf8 {}

impl From<InvalidUtf8> for Error {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

// Vectors take it from where no code point is open. The three bytes that may be missing to that are
// less than the least for them.

/// The state after `bytes`.
#[inline]
fn after(state: u8, bytes: &[u8]) -> u8 {
    #[cfg(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2")))]
    if let Some(vectors) = simd::Avx2::for_len(bytes.len()) {
        let (front, rest) = bytes.split_at(scalar::missing(state));
        let state = scalar::run(state, front);
        if state == START && rest.len() >= simd::MIN {
            return after_end(vectors.is_possible(rest), rest);
        }
        return scalar::after(state, rest);
    }
    scalar::after(state, bytes)
}

/// Unmasks `bytes`, and returns the state after them.
#[inline]
fn unmask(state: u8, bytes: &mut [u8], mask: &mut Mask) -> u8 {
    #[cfg(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2")))]
    if let Some(vectors) = simd::Avx2::for_len(bytes.len()) {
        let (front, rest) = bytes.split_at_mut(scalar::missing(state));
        mask.apply(front);
        let state = scalar::run(state, front);
        if state == START && rest.len() >= simd::MIN {
            let (key, _) = mask.advance(rest.len());
            return after_end(vectors.unmask(rest, key), rest);
        }
        return unmask_in_steps(state, rest, mask);
    }
    unmask_in_steps(state, bytes, mask)
}

/// In steps that stay in the first-level cache, which makes one pass over memory of the two.
fn unmask_in_steps(mut state: u8, bytes: &mut [u8], mask: &mut Mask) -> u8 {
    const STEP: usize = 4096;
    for step in bytes.chunks_mut(STEP) {
        mask.apply(step);
        state = scalar::after(state, step);
    }
    state
}

/// The state after a text of which no byte is wrong but for what may be open at its end.
#[cfg(all(target_arch = "x86_64", any(feature = "std", target_feature = "avx2")))]
#[inline(always)]
fn after_end(is_possible: bool, text: &[u8]) -> u8 {
    match *text {
        _ if !is_possible => FAILED,
        [.., first @ 0xc0..=0xff] => scalar::run(START, &[first]),
        [.., first @ 0xe0..=0xff, second] => scalar::run(START, &[first, second]),
        [.., first @ 0xf0..=0xff, second, third] => scalar::run(START, &[first, second, third]),
        _ => START,
    }
}
