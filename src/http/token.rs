//! Tokens, comma lists and field values: the grammar that handshake headers are made of (RFC 9110
//! section 5.6).
//!
//! Every function walks its bytes once and allocates nothing.

/// Whether `byte` may be in a token.
///
/// RFC 9110's `tchar` is the same set as RFC 2616's token, which RFC 6455 refers to: U+0021 to
/// U+007E but separators.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*'
        | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

/// [`is_token_byte`] for every byte: a look is cheaper than the ranges.
#[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_token_byte(byte);
        byte += 1;
    }
    table
};

fn is_listed(byte: u8) -> bool {
    TOKEN_BYTES.get(usize::from(byte)).is_some_and(|is| *is)
}

/// How many bytes at the front may be in a token.
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    // What names are mostly made of is told in few comparisons.
    let is_usual = |byte: u8| byte.is_ascii_alphabetic() | (byte == b'-') | (byte == b'_');
    let mut len = 0;
    loop {
        let rest = bytes.get(len..).unwrap_or_default();
        let usual = len_while(rest, is_usual);
        len += usual;
        match rest.get(usual) {
            Some(byte) if is_listed(*byte) => len += 1,
            _ => return len,
        }
    }
}

/// Whether `bytes` is one token, which is never empty.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    // Without a branch for each byte: mostly all of them are.
    !bytes.is_empty() && bytes.iter().fold(true, |all, byte| all & is_listed(*byte))
}

/// `bytes` as a string, if it is one token.
pub(crate) fn token_str(bytes: &[u8]) -> Option<&str> {
    if is_token(bytes) {
        core::str::from_utf8(bytes).ok()
    } else {
        None
    }
}

/// Whether `bytes` may be the value of a field: no control characters but tabs.
///
/// Line ends are what makes header injection possible (HARDENING A1.19).
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    field_value_len(bytes) == bytes.len()
}

/// How many bytes at the front may be in the value of a field.
pub(crate) fn field_value_len(bytes: &[u8]) -> usize {
    len_while(bytes, |byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// How many bytes at the front are printable ASCII or spaces.
pub(crate) fn printable_len(bytes: &[u8]) -> usize {
    len_while(bytes, |byte| matches!(byte, b' '..=b'~'))
}

/// How many bytes at the front are printable ASCII without spaces.
pub(crate) fn visible_len(bytes: &[u8]) -> usize {
    len_while(bytes, |byte| byte.is_ascii_graphic())
}

/// How many bytes at the front are such.
///
/// Blocks are looked at without a branch for each byte, and the outcome is one number, so that
/// compilers take vectors for it.
#[inline]
pub(crate) fn len_while(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk::<16>() {
        let mut others = [0; 16];
        for (other, byte) in others.iter_mut().zip(block) {
            *other = if is_such(*byte) { 0 } else { 0xff };
        }
        let others = u128::from_le_bytes(others);
        if others != 0 {
            return bytes.len() - rest.len() + others.trailing_zeros() as usize / 8;
        }
        rest = tail;
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_such(**byte)).count()
}

/// Where such bytes are, in order.
#[inline]
pub(crate) fn positions<F: Fn(u8) -> bool>(bytes: &[u8], is_such: F) -> Positions<'_, F> {
    Positions {
        rest: bytes,
        is_such,
        next_block: 0,
        block: 0,
        marks: 0,
    }
}

/// See [`positions`].
pub(crate) struct Positions<'a, F> {
    /// What was not looked at.
    rest: &'a [u8],
    is_such: F,
    /// Where `rest` starts, and the block before it.
    next_block: usize,
    block: usize,
    /// A bit for each byte of the block that is such and was not returned.
    marks: u64,
}

impl<F: Fn(u8) -> bool> Iterator for Positions<'_, F> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.marks == 0 {
            self.block = self.next_block;
            let (marks, len) = match self.rest.split_first_chunk() {
                Some((block, rest)) => {
                    self.rest = rest;
                    (marks(block, &self.is_such), BLOCK)
                }
                None if self.rest.is_empty() => return None,
                None => {
                    let rest = core::mem::take(&mut self.rest);
                    let mut block = [0; BLOCK];
                    if let Some(front) = block.get_mut(..rest.len()) {
                        front.copy_from_slice(rest);
                    }
                    let are_here = (1 << rest.len()) - 1;
                    (marks(&block, &self.is_such) & are_here, rest.len())
                }
            };
            self.marks = marks;
            self.next_block += len;
        }
        let place = self.marks.trailing_zeros() as usize;
        self.marks &= self.marks - 1;
        Some(self.block + place)
    }
}

/// How many bytes are looked at together: as many as a word has bits.
const BLOCK: usize = 64;

/// A bit for each byte that is such; the first byte is the lowest.
#[inline(always)]
fn marks(block: &[u8; BLOCK], is_such: impl Fn(u8) -> bool) -> u64 {
    // As in `len_while`, for vectors.
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is_such(*byte));
    }
    // The product has byte 0 in bit 56, byte 1 in bit 57, and so on: byte `i` is 2^8i, and the factor
    // has 2^(56 - 7i). No two of the other products meet in one bit, so nothing carries.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut marks = 0;
    let mut rest = flags.as_slice();
    while let Some((word, tail)) = rest.split_first_chunk() {
        let bits = u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56;
        marks = marks >> 8 | bits << 56;
        rest = tail;
    }
    marks
}

/// Whether `bytes` is printable ASCII without spaces, and not empty.
pub(crate) fn is_visible(bytes: &[u8]) -> bool {
    !bytes.is_empty() && visible_len(bytes) == bytes.len()
}

/// Without the spaces and tabs around it.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma list that may be spread over several lines, without empty ones.
pub(crate) fn members<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines
        .flat_map(|line| line.split(|byte| is_comma(*byte)))
        .map(trim_member)
        .filter(|member| !member.is_empty())
}

fn trim_member(member: &[u8]) -> &[u8] {
    let trimmed = trim(member);
    // What was passed, and what is to be looked at as a token.
    #[cfg(test)]
    crate::steps::looked_at(member.len());
    trimmed
}

fn is_comma(byte: u8) -> bool {
    #[cfg(test)]
    crate::steps::looked_at(1);
    byte == b','
}

/// Whether a comma list has the member `token`, which is in lower case here, in any case.
pub(crate) fn has_member<'a, const LEN: usize>(
    mut lines: impl Iterator<Item = &'a [u8]>,
    token: &[u8; LEN],
) -> bool {
    let is_it = |member: &[u8]| is_folded(member, token);
    // Mostly it is the only one, and then the line need not be taken apart.
    lines.any(|line| is_it(line) || members([line].into_iter()).any(is_it))
}

/// Whether `bytes` are `known`, which is in lower case, in any case. With a known length that takes
/// few instructions.
pub(crate) fn is_folded<const LEN: usize>(bytes: &[u8], known: &[u8; LEN]) -> bool {
    // 6455-2.1-01: only A to Z fold, so no Unicode lookalike matches.
    let is_same = |bytes: &[u8; LEN]| {
        let pairs = bytes.iter().zip(known);
        pairs.fold(true, |all, (a, b)| all & (a.to_ascii_lowercase() == *b))
    };
    bytes.len() == LEN && bytes.first_chunk().is_some_and(is_same)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn tokens() {
        let separators = b"()<>@,;:\\\"/[]?={} \t";
        for byte in 0..=255_u8 {
            let expected = (0x21..=0x7e).contains(&byte) && !separators.contains(&byte);
            assert_eq!(is_token_byte(byte), expected, "{byte}");
        }
        assert!(!is_token(b""));
        assert_eq!(token_str(b"a.b"), Some("a.b"));
        assert_eq!(token_str("é".as_bytes()), None);
    }

    #[test]
    fn lists() {
        let list = |lines: &[&'static str]| -> Vec<&'static [u8]> {
            members(lines.iter().map(|line| line.as_bytes())).collect()
        };
        assert_eq!(list(&["a,b"]), [b"a", b"b"]);
        assert_eq!(list(&[" a ,\t,b c,", "", "d"]), [&b"a"[..], b"b c", b"d"]);
        assert!(list(&[",", ", ,"]).is_empty());
        let kelvin = "websoc\u{212a}et".as_bytes();
        assert!(!has_member([kelvin].into_iter(), b"websocket"));
        assert!(has_member(
            [&b"h2c, WebSocket"[..]].into_iter(),
            b"websocket"
        ));
    }

    #[test]
    fn lengths_are_those_of_bytewise_walks() {
        let walk = |bytes: &[u8], is_such: fn(u8) -> bool| -> usize {
            bytes.iter().take_while(|byte| is_such(**byte)).count()
        };
        // Each byte at each place of texts that have nothing else to stop at.
        for filler in [&b"Sec-WebSocket_Accept-X.-1-a-!-b-|-c"[..], &[b'a'; 17]] {
            for len in [1, 15, 16, 17, 31, 35].map(|len| filler.len().min(len)) {
                for place in 0..len {
                    for byte in 0..=255 {
                        let mut text = filler[..len].to_vec();
                        text[place] = byte;
                        let is_whole = walk(&text, is_token_byte) == len;
                        assert_eq!(is_token(&text), is_whole);
                        let is_value = |byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
                        assert_eq!(token_len(&text), walk(&text, is_token_byte));
                        assert_eq!(field_value_len(&text), walk(&text, is_value));
                        let is_printable = |byte| matches!(byte, b' '..=b'~');
                        assert_eq!(printable_len(&text), walk(&text, is_printable));
                        let is_visible = |byte| matches!(byte, b'!'..=b'~');
                        assert_eq!(visible_len(&text), walk(&text, is_visible));
                    }
                }
            }
        }
    }

    #[test]
    fn positions_are_those_of_a_bytewise_walk() {
        // Runs of all lengths around a block, with what is looked for at each place and beside it.
        for len in [0, 1, 63, 64, 65, 127, 128, 130] {
            for (place, width) in
                (0..len).flat_map(|place| [1, 2, 9, 64].map(|width| (place, width)))
            {
                let mut text = alloc::vec![0; len];
                text.iter_mut()
                    .skip(place)
                    .take(width)
                    .for_each(|byte| *byte = 7);
                let found: Vec<_> = positions(&text, |byte| byte == 7).collect();
                let expected: Vec<_> = (0..len).filter(|at| text[*at] == 7).collect();
                assert_eq!(found, expected);
                // The rest of the last block is nothing that was there.
                let found: Vec<_> = positions(&text, |byte| byte == 0).collect();
                let expected: Vec<_> = (0..len).filter(|at| text[*at] == 0).collect();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn values() {
        assert!(is_field_value(b""));
        assert!(is_field_value(b"a\tb \xff"));
        for bad in [b"a\rb", b"a\nb", b"a\0b", b"a\x7fb"] {
            assert!(!is_field_value(bad));
        }
        assert_eq!(trim(b" \t"), b"");
        assert_eq!(trim(b"\t a b "), b"a b");
    }
}
