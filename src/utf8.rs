//! UTF-8 that arrives in pieces (RFC 6455 section 8.1, RFC 3629 section 4).

use core::fmt;

use crate::error::Error;

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
        let mut state = self.state;
        let mut rest = bytes;
        while let Some((large, behind)) = rest.split_first_chunk::<LARGE>() {
            if state != START || !is_ascii(large) {
                (state, _) = run_in_blocks(state, large);
                if state == FAILED {
                    return Err(self.fail(bytes));
                }
            }
            rest = behind;
        }
        state = run_to_end(state, rest);
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
            self.state = step(self.state, byte);
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

/// How many bytes are tested for ASCII at once in a long text.
///
/// Small blocks alone reach a fifth of the speed on ASCII.
const LARGE: usize = 128;
/// How many bytes are tested for ASCII at once otherwise.
const SMALL: usize = 16;

/// Runs over whole blocks, and returns what is left.
#[inline(always)]
fn run_in_blocks(mut state: u8, mut bytes: &[u8]) -> (u8, &[u8]) {
    while let Some((block, rest)) = bytes.split_first_chunk::<SMALL>() {
        if state != START || !is_ascii(block) {
            state = run(state, block);
        }
        bytes = rest;
    }
    (state, bytes)
}

fn run_to_end(state: u8, bytes: &[u8]) -> u8 {
    let (state, rest) = run_in_blocks(state, bytes);
    // A block or two words that overlap what was checked before cover the rest without a loop.
    let ascii = match (bytes.last_chunk(), rest.first_chunk(), rest.last_chunk()) {
        (Some(block), _, _) => is_ascii::<SMALL>(block),
        (None, Some(first), Some(last)) => is_ascii::<8>(first) && is_ascii::<8>(last),
        (None, _, _) => false,
    };
    if state == START && ascii {
        return START;
    }
    run(state, rest)
}

#[inline(always)]
fn is_ascii<const N: usize>(bytes: &[u8; N]) -> bool {
    let mut all = 0;
    for eight in bytes.chunks_exact(8) {
        if let Some(eight) = eight.first_chunk() {
            all |= u64::from_ne_bytes(*eight);
        }
    }
    all & u64::from_ne_bytes([0x80; 8]) == 0
}

// The validator is a state machine of 9 states. A state is the number of bits by which to shift the
// word that `NEXT` has for a byte: the lowest 6 bits are then the next state. So each byte costs a
// load and a shift, and nothing to predict.

/// Between code points.
const START: u8 = 0;
/// Any continuation byte, then [`START`].
const ONE_MORE: u8 = 6;
/// Any continuation byte, then [`ONE_MORE`].
const TWO_MORE: u8 = 12;
/// Any continuation byte, then [`TWO_MORE`].
const THREE_MORE: u8 = 18;
/// After E0: no less than A0, or it were overlong.
const AFTER_E0: u8 = 24;
/// After ED: no more than 9F, or it were a surrogate.
const AFTER_ED: u8 = 30;
/// After F0: no less than 90, or it were overlong.
const AFTER_F0: u8 = 36;
/// After F4: no more than 8F, or it were above U+10FFFF.
const AFTER_F4: u8 = 42;
/// No byte can mend it.
const FAILED: u8 = 48;

#[expect(clippy::indexing_slicing, reason = "a mistake here would not compile")]
static NEXT: [u64; 256] = {
    let mut words = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let next = [
            match byte {
                0x00..=0x7f => START,
                0xc2..=0xdf => ONE_MORE,
                0xe0 => AFTER_E0,
                0xe1..=0xec | 0xee..=0xef => TWO_MORE,
                0xed => AFTER_ED,
                0xf0 => AFTER_F0,
                0xf1..=0xf3 => THREE_MORE,
                0xf4 => AFTER_F4,
                _ => FAILED,
            },
            next_within(byte, 0x80, 0xbf, START),
            next_within(byte, 0x80, 0xbf, ONE_MORE),
            next_within(byte, 0x80, 0xbf, TWO_MORE),
            next_within(byte, 0xa0, 0xbf, ONE_MORE),
            next_within(byte, 0x80, 0x9f, ONE_MORE),
            next_within(byte, 0x90, 0xbf, TWO_MORE),
            next_within(byte, 0x80, 0x8f, TWO_MORE),
            FAILED,
        ];
        let mut index = 0;
        while index < next.len() {
            words[byte] |= (next[index] as u64) << (6 * index);
            index += 1;
        }
        byte += 1;
    }
    words
};

const fn next_within(byte: usize, first: usize, last: usize, next: u8) -> u8 {
    if first <= byte && byte <= last {
        next
    } else {
        FAILED
    }
}

#[inline]
fn step(state: u8, byte: u8) -> u8 {
    run(state, &[byte])
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte cannot exceed 255")]
fn run(state: u8, bytes: &[u8]) -> u8 {
    let mut word = u64::from(state);
    for &byte in bytes {
        // Only the lowest 6 bits are the state. The mask is what the shift does anyway.
        word = NEXT[usize::from(byte)] >> (word & 63);
    }
    (word & 63) as u8
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The position of the first impossible byte; `Err(len)` if only the end is missing.
    fn by_std(bytes: &[u8]) -> Result<(), usize> {
        let Err(error) = core::str::from_utf8(bytes) else {
            return Ok(());
        };
        let valid = error.valid_up_to();
        match error.error_len() {
            None => Err(bytes.len()),
            Some(_) if !matches!(bytes[valid], 0xc2..=0xf4) => Err(valid),
            Some(len) => Err(valid + len),
        }
    }

    fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), usize> {
        let mut validator = Validator::new();
        let mut before = 0;
        for piece in pieces {
            validator
                .push(piece)
                .map_err(|error| before + error.position())?;
            before += piece.len();
        }
        validator.finish().map_err(|_| before)
    }

    fn check(bytes: &[u8]) {
        let expected = by_std(bytes);
        assert_eq!(in_pieces([bytes]), expected, "{bytes:x?}");
        assert_eq!(in_pieces(bytes.chunks(1)), expected, "{bytes:x?}");
    }

    fn fails_at(bytes: &[u8], position: usize) {
        assert_eq!(in_pieces([bytes]), Err(position), "{bytes:x?}");
        for split in 0..=bytes.len() {
            let (front, back) = bytes.split_at(split);
            assert_eq!(in_pieces([front, back]), Err(position), "{bytes:x?}");
        }
        // The same behind a long text, and with one that follows.
        let long = [&[b'a'; 99], bytes, &[b'a'; 99]].concat();
        assert_eq!(in_pieces([&long[..]]), Err(99 + position), "{bytes:x?}");
    }

    #[test]
    fn u_01_overlong_2() {
        fails_at(b"\xc0\xaf", 0);
        fails_at(b"\xc1\xbf", 0);
        fails_at(b"\xc0\x80", 0);
    }

    #[test]
    fn u_02_overlong_3() {
        fails_at(b"\xe0\x80\xaf", 1);
        fails_at(b"\xe0\x9f\xbf", 1);
    }

    #[test]
    fn u_03_overlong_4() {
        fails_at(b"\xf0\x80\x80\xaf", 1);
        fails_at(b"\xf0\x8f\xbf\xbf", 1);
    }

    #[test]
    fn u_04_surrogates() {
        fails_at(b"\xed\xa0\x80", 1);
        fails_at(b"\xed\xbf\xbf", 1);
        fails_at(b"\xed\xa0\x80\xed\xb0\x80", 1);
    }

    #[test]
    fn u_05_beyond_unicode() {
        fails_at(b"\xf4\x90\x80\x80", 1);
        fails_at(b"\xf5\x80\x80\x80", 0);
        fails_at(b"\xf8\x88\x80\x80\x80", 0);
        fails_at(b"\xfc\x84\x80\x80\x80\x80", 0);
        fails_at(b"\xfe", 0);
        fails_at(b"\xff", 0);
    }

    #[test]
    fn u_06_continuation_without_a_start() {
        fails_at(b"\x80", 0);
        fails_at(b"\xbf", 0);
        fails_at(b"a\x80", 1);
    }

    #[test]
    fn u_07_truncated_only_at_the_end() {
        for bytes in [&b"\xc2"[..], b"\xe2\x82", b"\xf0\x9f\x98"] {
            let mut validator = Validator::new();
            assert_eq!(validator.push(bytes), Ok(()));
            assert!(!validator.is_boundary());
            assert!(validator.finish().is_err());
            // It is ready for the next text.
            assert_eq!(validator.push(b"next"), Ok(()));
            assert_eq!(validator.finish(), Ok(()));
        }
    }

    #[test]
    fn u_08_one_code_point_in_four_pieces() {
        assert_eq!(in_pieces("\u{1f600}".as_bytes().chunks(1)), Ok(()));
    }

    #[test]
    fn u_10_every_state_and_byte() {
        let prefixes: [&[u8]; 9] = [
            b"", b"\xc2", b"\xe1", b"\xf1", b"\xe0", b"\xed", b"\xf0", b"\xf4", b"\xff",
        ];
        for prefix in prefixes {
            for byte in 0..=255 {
                check(&[prefix, &[byte]].concat());
            }
        }
    }

    #[test]
    fn u_10_every_start_and_edge_up_to_four_bytes() {
        const EDGES: [u8; 16] = [
            0x00, 0x28, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0,
            0xf4, 0xff,
        ];
        for first in 0..=255 {
            for second in 0..=255 {
                check(&[first, second]);
                for third in EDGES {
                    check(&[first, second, third]);
                }
                if first >= 0xf0 {
                    for (third, fourth) in pairs(EDGES) {
                        check(&[first, second, third, fourth]);
                    }
                }
            }
        }
    }

    fn pairs<const N: usize>(bytes: [u8; N]) -> impl Iterator<Item = (u8, u8)> {
        let pair = move |first| bytes.into_iter().map(move |second| (first, second));
        bytes.into_iter().flat_map(pair)
    }

    #[test]
    fn u_11_ascii_where_a_continuation_is_due() {
        fails_at(b"\xe2\x28\xa1", 1);
        fails_at(b"\xf0\x28\x8c\xbc", 1);
        fails_at(b"\xc3\x28", 1);
    }

    #[test]
    fn u_13_u_14_unusual_but_valid() {
        for text in [
            "\u{fffe}",
            "\u{ffff}",
            "\u{1ffff}",
            "\0",
            "\u{feff}",
            "\u{d7ff}",
            "\u{e000}",
            "\u{10ffff}",
            "\u{fffd}",
        ] {
            check(text.as_bytes());
            assert_eq!(in_pieces([text.as_bytes()]), Ok(()));
        }
    }

    #[test]
    fn u_16_fails_in_the_middle_and_stays_failed() {
        let mut validator = Validator::new();
        let mut bytes = [b'a'; 1000];
        bytes[700] = 0xff;
        assert_eq!(validator.push(&bytes).unwrap_err().position(), 700);
        assert_eq!(validator.push(b"a").unwrap_err().position(), 0);
        assert!(validator.push(b"").is_err());
        assert!(validator.finish().is_err());
        assert!(validator.finish().is_ok());
    }

    #[test]
    fn one_foreign_byte_anywhere_in_ascii() {
        for len in 0..=300 {
            for position in 0..len {
                let mut bytes = [b'a'; 300];
                bytes[position] = 0xff;
                assert_eq!(in_pieces([&bytes[..len]]), Err(position));
                bytes[position] = 0xc3;
                let next = (position + 1).min(len);
                assert_eq!(in_pieces([&bytes[..len]]), Err(next));
                bytes[next.min(299)] = 0xa9;
                let whole = if next < len { Ok(()) } else { Err(len) };
                assert_eq!(in_pieces([&bytes[..len]]).is_ok(), whole.is_ok());
            }
        }
    }

    #[test]
    fn every_code_point() {
        let all: alloc::string::String = (char::MIN..=char::MAX).collect();
        for size in [1, 7, 31, 32, 33, 1 << 20] {
            assert_eq!(in_pieces(all.as_bytes().chunks(size)), Ok(()));
        }
    }

    /// Mostly valid text with some bytes overwritten.
    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let text = prop_oneof!["[a-z]{0,90}", "\\PC{0,40}"];
        let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
        (prop::collection::vec(text, 0..4), damage).prop_map(|(texts, damage)| {
            let mut bytes = texts.concat().into_bytes();
            for (index, byte) in damage {
                if !bytes.is_empty() {
                    let index = index.index(bytes.len());
                    bytes[index] = byte;
                }
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn agrees_with_std_in_any_pieces(bytes in nearly_text(), size in 1..70usize) {
            let expected = by_std(&bytes);
            prop_assert_eq!(in_pieces([&bytes[..]]), expected);
            prop_assert_eq!(in_pieces(bytes.chunks(size)), expected);
        }
    }
}
