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
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_token_byte(byte);
        byte += 1;
    }
    table
};

/// How many bytes at the front may be in a token.
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    let is_part = |byte: &u8| TOKEN_BYTES.get(usize::from(*byte)) == Some(&true);
    let mut rest = bytes;
    // Eight at a time while they are letters and dashes, which names are made of.
    while let Some((word, after_word)) = rest.split_first_chunk() {
        match letters_and_dashes(*word) {
            8 => rest = after_word,
            plain => match rest.split_at_checked(plain) {
                Some((_, [byte, after @ ..])) if is_part(byte) => rest = after,
                _ => return bytes.len() - rest.len() + plain,
            },
        }
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_part(byte)).count()
}

/// How many bytes at the front are letters or dashes.
fn letters_and_dashes(word: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(word);
    // In what follows each byte is below 128, so that no sum of two reaches the next byte.
    let low = word & !HIGHEST;
    let folded = low | all(0x20);
    let at_least = |least: u8| folded + all(0x80 - least);
    let is_letter = at_least(b'a') & !at_least(b'z' + 1);
    let is_no_dash = (low ^ all(b'-')) + all(0x7f);
    let others = (word | (!is_letter & is_no_dash)) & HIGHEST;
    others.trailing_zeros() as usize / 8
}

/// The highest bit of each byte.
const HIGHEST: u64 = all(0x80);

/// Eight times this byte.
const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Whether `bytes` is one token, which is never empty.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_len(bytes) == bytes.len()
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
    let mut len = 0;
    loop {
        let rest = bytes.get(len..).unwrap_or_default();
        let printable = printable_len(rest);
        len += printable;
        match rest.get(printable) {
            Some(b'\t') => len += 1,
            _ => return len,
        }
    }
}

/// How many bytes at the front are no control characters.
fn printable_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Eight at a time. What is below a number borrows when the number is subtracted, which shows in
    // the highest bit of the byte. That can be wrong for the byte after one that borrowed, but never
    // for the first.
    while let Some((word, tail)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        let delete = word ^ all(0x7f);
        let is_below_space = word.wrapping_sub(all(b' ')) & !word;
        let is_delete = delete.wrapping_sub(all(1)) & !delete;
        let controls = (is_below_space | is_delete) & HIGHEST;
        if controls != 0 {
            return bytes.len() - rest.len() + controls.trailing_zeros() as usize / 8;
        }
        rest = tail;
    }
    let is_printable = |byte: &&u8| matches!(byte, b' '..=b'~' | 0x80..);
    bytes.len() - rest.len() + rest.iter().take_while(is_printable).count()
}

/// Whether `bytes` is printable ASCII without spaces, and not empty.
pub(crate) fn is_visible(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
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

/// Whether a comma list has the member `token`, ignoring ASCII case.
pub(crate) fn has_member<'a>(lines: impl Iterator<Item = &'a [u8]>, token: &str) -> bool {
    // 6455-2.1-01: only A to Z fold, so no Unicode lookalike matches.
    let is_it = |member: &[u8]| member.eq_ignore_ascii_case(token.as_bytes());
    let mut lines = lines;
    // Mostly it is the only one, and then the line need not be taken apart.
    lines.any(|line| is_it(line) || members([line].into_iter()).any(is_it))
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
        assert!(!has_member([kelvin].into_iter(), "websocket"));
        assert!(has_member(
            [&b"h2c, WebSocket"[..]].into_iter(),
            "websocket"
        ));
    }

    /// A text in which nothing ends early, and each byte at each place of it.
    fn each_byte_at_each_place(filler: &[u8], check: impl Fn(&[u8])) {
        for len in 0..=filler.len() {
            for place in 0..len {
                for byte in 0..=255 {
                    let mut text = filler[..len].to_vec();
                    text[place] = byte;
                    check(&text);
                    // A borrow or a carry might reach the next one.
                    for near in [b' ', b'!', 0x7f, 0x80, b'a', b'{', b'-', b'.'] {
                        if place + 1 < len {
                            text[place + 1] = near;
                            check(&text);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_are_those_of_bytewise_walks() {
        each_byte_at_each_place(b"Sec-WebSocket-Accept", |text| {
            let walked = text.iter().take_while(|byte| is_token_byte(**byte)).count();
            assert_eq!(token_len(text), walked, "{text:?}");
        });
        each_byte_at_each_place(b"deflate; a=1 \t~, \xff\x80", |text| {
            let is_part = |byte: &&u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
            let walked = text.iter().take_while(is_part).count();
            assert_eq!(field_value_len(text), walked, "{text:?}");
        });
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
