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

/// Whether `bytes` is one token, which is never empty.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
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
    bytes
        .iter()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// Whether `bytes` is printable ASCII without spaces, and not empty.
pub(crate) fn is_visible(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

/// Without the spaces and tabs around it.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
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
    members(lines).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
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
