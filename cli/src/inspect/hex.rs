//! Bytes that were written as text.

/// Hex digits in pairs, with anything between that is neither a digit nor a letter, `0x` and `\x` in
/// front. Of dumps by `xxd` and `hexdump -C`, offsets and text columns are left out. `#` begins a
/// comment.
///
/// The error is the number of the first line that is something else.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        decode_line(&String::from_utf8_lossy(line), &mut bytes).ok_or(index + 1)?;
    }
    Ok(bytes)
}

fn decode_line(line: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let line = line.split('#').next()?.trim();
    for word in digits_of(line).split(|char: char| !char.is_alphanumeric()) {
        let digits = word
            .strip_prefix("0x")
            .or_else(|| word.strip_prefix('x'))
            .unwrap_or(word);
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        for pair in pairs {
            let pair = str::from_utf8(pair).ok()?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
        }
    }
    Some(())
}

/// The part of a line that has the digits.
fn digits_of(line: &str) -> &str {
    let is_offset =
        |word: &str| word.len() >= 7 && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    // xxd: "00000000: 8185 37fa  ..7."
    if let Some((offset, rest)) = line.split_once(": ")
        && is_offset(offset)
    {
        let rest = rest.trim_start();
        return rest.split("  ").next().unwrap_or(rest);
    }
    // hexdump -C: "00000000  81 85 37 fa  |..7.|", and a last line with the length alone
    let (front, has_text) = match line.split_once('|') {
        Some((front, _)) => (front, true),
        None => (line, false),
    };
    match front.split_once("  ") {
        Some((offset, rest)) if is_offset(offset) => rest,
        _ if has_text => front,
        _ if line.len() == 8 && line.starts_with("0000") && is_offset(line) => "",
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ways_to_write_it() {
        let hello = b"\x81\x05Hello";
        for text in [
            "810548656c6c6f",
            "81 05 48 65 6C 6C 6F\n",
            "81:05:48:65:6c:6c:6f",
            "0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f",
            "\\x81\\x05\\x48\\x65\\x6c\\x6c\\x6f",
            "81 05 # a header\n\n48656c6c6f # its payload",
            "00000000: 8105 4865 6c6c 6f                        ..Hello",
            "00000000  81 05 48 65 6c 6c 6f                              |..Hello|\n00000007",
        ] {
            assert_eq!(decode(text.as_bytes()), Ok(hello.to_vec()), "{text}");
        }
    }

    #[test]
    fn what_is_not_hex() {
        for (text, line) in [
            ("8", 1),
            ("81\n0g", 2),
            ("hello", 1),
            ("81\n\n\u{e9}\u{e9}", 3),
            ("\u{2460}\u{2461}", 1),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(line), "{text}");
        }
        assert_eq!(decode(b""), Ok(Vec::new()));
    }
}
