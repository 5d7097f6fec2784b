//! HARDENING U: text is UTF-8, and fails at its first impossible byte.

use sockeye::{Error, Kind, SendError};

use crate::wire::*;

/// Invalid texts, with the byte that shows it; one more than the length where only the end shows
/// it.
pub(crate) const INVALID: &[(&str, usize)] = &[
    // U-01: overlong forms of two bytes
    ("C0AF", 1),
    ("C1BF", 1),
    ("C080", 1),
    // U-02: of three
    ("E080AF", 2),
    ("E09FBF", 2),
    // U-03: of four
    ("F08080AF", 2),
    ("F08FBFBF", 2),
    // U-04: surrogates
    ("EDA080", 2),
    ("EDBFBF", 2),
    ("EDA080EDB080", 2),
    // U-05: beyond Unicode
    ("F4908080", 2),
    ("F5808080", 1),
    ("F888808080", 1),
    ("FC8080808080", 1),
    ("FE", 1),
    ("FF", 1),
    // U-06: continuation bytes without a start
    ("80", 1),
    ("BF", 1),
    ("6180", 2),
    // U-07: cut off
    ("C2", 2),
    ("E282", 3),
    ("F09F98", 4),
    // U-11: ASCII where a continuation byte is due
    ("E228A1", 2),
    ("F0288CBC", 2),
    ("C328", 2),
    ("E28228", 3),
];

pub(crate) const VALID: &[&str] = &[
    "\u{FFFE}\u{FFFF}\u{1FFFF}", // U-13
    "\0",
    "\u{FEFF}bom",
    "\u{D7FF}\u{E000}\u{10FFFF}\u{FFFD}", // U-14
    "κόσμε😀",
    "plain",
];

#[test]
fn u_01_to_u_11_invalid_text() {
    for (digits, position) in INVALID {
        let bytes = hex(digits);
        fails(BOTH, &frame(0x81, &bytes), &[], Error::InvalidUtf8);
        // Behind ASCII that fills whole blocks, and in front of some.
        let long = [&[b'a'; 100][..], &bytes, &[b'a'; 100]].concat();
        fails(BOTH, &frame(0x81, &long), &[], Error::InvalidUtf8);
        for role in BOTH {
            let input = to(*role, &frame(0x81, &bytes));
            let header = input.len() - bytes.len();
            let last = header + (*position).min(bytes.len());
            assert_eq!(fails_at(*role, &input), Some(last), "{digits}");
        }
    }
}

#[test]
fn u_01_to_u_11_split_over_fragments_with_pings_between() {
    for (digits, position) in INVALID {
        let bytes = hex(digits);
        for split in 0..=bytes.len() {
            let (front, back) = bytes.split_at(split);
            let input = [frame(0x01, front), frame(0x89, "p"), frame(0x80, back)].concat();
            let pinged = if split < *position {
                &[ping("p")][..]
            } else {
                &[]
            };
            fails(BOTH, &input, pinged, Error::InvalidUtf8);
        }
    }
}

#[test]
fn u_07_an_open_code_point_fails_at_the_end_only() {
    for digits in ["C2", "E282", "F09F98"] {
        for role in BOTH {
            let open = to(*role, &frame(0x01, hex(digits)));
            assert_eq!(fails_at(*role, &open), None);
            let ended = [open, to(*role, &hex("8000"))].concat();
            assert_eq!(fails_at(*role, &ended), Some(ended.len()));
        }
    }
}

#[test]
fn u_08_u_09_one_code_point_in_four_fragments() {
    let fragments = hex("0101F0 8900 00019F 000198 8900 800180");
    accepts(BOTH, &fragments, &[ping(""), ping(""), text("😀")]);
    accepts(BOTH, &hex("8104 F09F9880"), &[text("😀")]);
}

#[test]
fn u_13_u_14_unusual_but_valid_at_every_split() {
    for valid in VALID {
        accepts(BOTH, &frame(0x81, valid), &[text(valid)]);
        for split in 0..=valid.len() {
            let (front, back) = valid.as_bytes().split_at(split);
            let input = [frame(0x01, front), frame(0x80, back)].concat();
            accepts(BOTH, &input, &[text(valid)]);
        }
    }
}

#[test]
fn u_15_only_text_is_text() {
    for (digits, _) in INVALID {
        let bytes = hex(digits);
        let input = [
            frame(0x82, &bytes),
            frame(0x89, &bytes),
            frame(0x8A, &bytes),
        ]
        .concat();
        let events = [binary(&bytes), ping(&bytes), Got::Pong(bytes.clone())];
        accepts(BOTH, &input, &events);
    }
}

#[test]
fn u_16_does_not_wait_for_the_rest() {
    // A bad byte in the middle of a frame of 1 MiB that is still arriving.
    let input = [hex("817F 0000000000100000"), vec![b'a'; 5000], hex("FF")].concat();
    fails(BOTH, &input, &[], Error::InvalidUtf8);
    // And in the first of many fragments.
    fails(BOTH, &hex("0102 61FF"), &[], Error::InvalidUtf8);
}

#[test]
fn u_19_fragments_of_text_are_checked_before_they_are_sent() {
    for role in BOTH {
        for (digits, _) in INVALID {
            let bytes = hex(digits);
            let mut conn = connection(*role, &sockeye::Config::new());
            let refused = conn.send_fragment(Kind::Text, &bytes[..], true);
            assert_eq!(refused, Err(SendError::InvalidUtf8));
            assert_eq!(conn.queued(), 0);
        }
        let mut conn = connection(*role, &sockeye::Config::new());
        conn.send_fragment(Kind::Text, &hex("F09F")[..], false)
            .unwrap();
        // A refused fragment changes nothing: the message goes on where it was.
        assert!(conn.send_fragment(Kind::Text, &b"a"[..], false).is_err());
        assert!(conn.send_fragment(Kind::Text, &b""[..], true).is_err());
        conn.send_fragment(Kind::Text, &hex("9880")[..], true)
            .unwrap();
        let sent = parse(*role, &drain(&mut conn));
        assert_eq!(
            brief(&sent),
            [(0x01, &hex("F09F")[..]), (0x80, &hex("9880")[..])]
        );
    }
}
