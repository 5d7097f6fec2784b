use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

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

/// In every way that there is: with vectors where they are for it, byte by byte, and masked.
fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]> + Clone) -> Result<(), usize> {
    let mut mask = Mask::new(KEY);
    let mut unmask = mask;
    let push = Validator::push;
    let push_scalar = |validator: &mut Validator, piece: &[u8]| {
        let state = scalar::after(validator.state, piece);
        validator.settle(state, piece)
    };
    let push_masked = |validator: &mut Validator, piece: &[u8]| {
        let mut masked = piece.to_vec();
        mask.apply(&mut masked);
        let result = validator.push_masked(&mut masked, &mut unmask);
        assert_eq!(masked, piece);
        assert_eq!(unmask, mask);
        result
    };
    let result = pushed(pieces.clone(), push);
    assert_eq!(pushed(pieces.clone(), push_scalar), result);
    assert_eq!(pushed(pieces, push_masked), result);
    result
}

fn pushed<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    mut push: impl FnMut(&mut Validator, &[u8]) -> Result<(), InvalidUtf8>,
) -> Result<(), usize> {
    let mut validator = Validator::new();
    let mut before = 0;
    for piece in pieces {
        push(&mut validator, piece).map_err(|error| before + error.position())?;
        before += piece.len();
    }
    validator.finish().map_err(|_| before)
}

/// Too short for vectors.
fn check(bytes: &[u8]) {
    let expected = by_std(bytes);
    let push = Validator::push;
    assert_eq!(pushed([bytes], push), expected, "{bytes:x?}");
    assert_eq!(pushed(bytes.chunks(1), push), expected, "{bytes:x?}");
}

fn fails_at(bytes: &[u8], position: usize) {
    assert_eq!(in_pieces([bytes]), Err(position), "{bytes:x?}");
    for split in 0..=bytes.len() {
        let (front, back) = bytes.split_at(split);
        assert_eq!(in_pieces([front, back]), Err(position), "{bytes:x?}");
    }
    // The same anywhere in a long text, as what comes last in a piece of it or not.
    for before in 0..99 {
        let long = [&[b'a'; 99][..before], bytes, &[b'a'; 99]].concat();
        assert_eq!(in_pieces([&long[..]]), Err(before + position), "{bytes:x?}");
        let (front, back) = long.split_at(before + position + 1);
        assert_eq!(in_pieces([front]), Err(before + position), "{bytes:x?}");
        assert_eq!(
            in_pieces([front, back]),
            Err(before + position),
            "{bytes:x?}"
        );
    }
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
        0x00, 0x28, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4,
        0xff,
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

/// Where a vector ends and the next one begins.
#[test]
fn u_10_every_pair_and_edge_in_a_long_text() {
    const EDGES: [u8; 16] = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4,
        0xf5,
    ];
    let check_at = |position: usize, bytes: &[u8]| {
        let text = [&[b'a'; 64][..position], bytes, b"bcd"].concat();
        let expected = by_std(&text);
        assert_eq!(in_pieces([&text[..]]), expected, "{bytes:x?}");
        let text = &text[..position + bytes.len()];
        let expected = by_std(text);
        assert_eq!(in_pieces([text]), expected, "{bytes:x?}");
    };
    for first in 0..=255 {
        for second in 0..=255 {
            check_at(31, &[first, second]);
            check_at(31, &[first, second, 0x80, 0x80]);
        }
    }
    for (first, second) in pairs(EDGES) {
        for (third, fourth) in pairs(EDGES) {
            check_at(30, &[first, second, third, fourth]);
        }
    }
}

#[test]
fn every_length_offset_and_cut() {
    let text = "aé€😀".repeat(40);
    for len in 0..=300 {
        for offset in 0..10 {
            let part = &text.as_bytes()[offset..offset + len];
            let expected = by_std(part);
            assert_eq!(in_pieces([part]), expected);
            for cut in [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 67, 128] {
                if let Some((front, back)) = part.split_at_checked(cut) {
                    assert_eq!(in_pieces([front, back]), expected, "{len} {offset} {cut}");
                }
            }
        }
    }
}

#[test]
fn u_11_ascii_where_a_continuation_is_due() {
    fails_at(b"\xe2\x28\xa1", 1);
    fails_at(b"\xf0\x28\x8c\xbc", 1);
    fails_at(b"\xc3\x28", 1);
    fails_at(b"\xe2\x82\x28", 2);
    fails_at(b"\xf0\x9f\x98\x28", 3);
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
    for size in [1, 7] {
        assert_eq!(pushed(all.as_bytes().chunks(size), Validator::push), Ok(()));
    }
    for size in [31, 33, 1 << 20] {
        assert_eq!(in_pieces(all.as_bytes().chunks(size)), Ok(()));
    }
}

/// Mostly valid text with some bytes overwritten.
fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof!["[a-z]{0,90}", "\\PC{0,40}", "[é€😀a]{0,90}"];
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
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_std_in_any_pieces(
        bytes in nearly_text(),
        offset in 0..40usize,
        size in 1..70usize,
    ) {
        let bytes = &bytes[offset.min(bytes.len())..];
        let expected = by_std(bytes);
        prop_assert_eq!(in_pieces([bytes]), expected);
        prop_assert_eq!(in_pieces(bytes.chunks(size)), expected);
    }
}
