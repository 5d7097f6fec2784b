//! HARDENING F: frame headers and framing state.

use sockeye::{CapacityError, CloseCode, Config, ProtocolError};

use crate::wire::*;

const HELLO: &str = "8105 48656c6c6f";

#[test]
fn f_01_f_02_hello() {
    accepts(CLIENT, &hex("81 05 48656c6c6f"), &[text("Hello")]);
    let masked = hex("81 85 37fa213d 7f9f4d5158");
    check(
        Role::Server,
        &Config::new(),
        &masked,
        &[text("Hello")],
        None,
    );
}

#[test]
fn f_03_empty_messages() {
    accepts(BOTH, &hex("8200 8100"), &[binary(""), text("")]);
}

#[test]
fn f_04_headers_of_every_size() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let payload = vec![b'x'; len];
        accepts(BOTH, &frame(0x82, &payload), &[binary(&payload)]);
    }
}

#[test]
fn f_05_f_06_non_minimal_length() {
    let inputs = [
        "827E 007D",
        "827E 0000",
        "827E 0001",
        "827F 000000000000FFFF",
        "827F 0000000000000000",
        "827F 000000000000007D",
    ];
    for input in inputs {
        fails(BOTH, &hex(input), &[], ProtocolError::NonMinimalLength);
    }
}

#[test]
fn f_07_least_lengths_of_their_form() {
    for (header, len) in [("827E 007E", 126), ("827F 0000000000010000", 65_536)] {
        let input = [hex(header), vec![7; len]].concat();
        accepts(BOTH, &input, &[binary(vec![7; len])]);
    }
}

#[test]
fn f_08_f_09_top_bit_of_the_length() {
    for input in ["827F 8000000000000000", "827F FFFFFFFFFFFFFFFF", "817F 80"] {
        fails(BOTH, &hex(input), &[], ProtocolError::LengthMsb);
    }
}

#[test]
fn f_10_f_12_lengths_beyond_any_limit() {
    let lens = [
        u64::MAX >> 1,
        1 << 62,
        1 << 32,
        (1 << 32) - 1,
        1 << 31,
        (1 << 24) + 1,
    ];
    for len in lens {
        let input = [hex("827F"), len.to_be_bytes().into()].concat();
        fails(BOTH, &input, &[], CapacityError::FrameTooLarge);
    }
}

#[test]
fn f_11_the_limit_and_one_more() {
    let config = limits(1000, 200);
    for role in BOTH {
        let input = to(*role, &frame(0x82, [1; 200]));
        check(*role, &config, &input, &[binary([1; 200])], None);
        // The header is enough: no byte of payload.
        fails_with(
            &[*role],
            &config,
            &hex("827E 00C9"),
            &[],
            CapacityError::FrameTooLarge,
        );
        let input = hex("01 01 61 807E 00C9");
        fails_with(&[*role], &config, &input, &[], CapacityError::FrameTooLarge);
    }
}

#[test]
fn f_13_f_14_f_15_reserved_bits() {
    for rsv in (0x10..=0x70).step_by(0x10) {
        for first in [0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x01, 0x02] {
            fails(BOTH, &[first | rsv, 0], &[], ProtocolError::ReservedBits);
        }
        let input = [hex("0101 61"), vec![0x80 | rsv, 0]].concat();
        fails(BOTH, &input, &[], ProtocolError::ReservedBits);
    }
}

#[test]
fn f_16_f_18_reserved_opcodes() {
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        for fin in [0, 0x80] {
            let first = fin | opcode;
            fails(BOTH, &[first, 0], &[], ProtocolError::ReservedOpcode);
            fails(
                BOTH,
                &frame(first, "Hello"),
                &[],
                ProtocolError::ReservedOpcode,
            );
            fails(BOTH, &[first], &[], ProtocolError::ReservedOpcode);
        }
    }
}

#[test]
fn f_20_f_21_unmasked_to_a_server() {
    for input in [HELLO, "8904 70696e67", "8802 03E8", "8000", "8200", "0100"] {
        let mut input = hex(input);
        assert_eq!(fails_at(Role::Server, &input), Some(2));
        let error = Some(ProtocolError::Unmasked.into());
        check(Role::Server, &Config::new(), &input, &[], error);
        input.extend(to(Role::Server, &hex(LATER)));
        check(Role::Server, &Config::new(), &input, &[], error);
    }
}

#[test]
fn f_22_f_23_masked_to_a_client() {
    for input in [HELLO, "8802 03E8", "8200"] {
        let mut input = to(Role::Server, &hex(input));
        assert_eq!(fails_at(Role::Client, &input), Some(2));
        let error = Some(ProtocolError::Masked.into());
        check(Role::Client, &Config::new(), &input, &[], error);
        input.extend(hex(LATER));
        check(Role::Client, &Config::new(), &input, &[], error);
    }
    // Its code is not taken for the peer's.
    let mut conn = connection(Role::Client, &Config::new());
    let input = to(Role::Server, &hex("8802 03E8"));
    receive(&mut conn, START, &input, &mut Vec::new()).unwrap_err();
    assert_eq!(conn.peer_close(), None);
    conn.handle_eof().unwrap_err();
    assert_eq!(conn.closed().unwrap().code(), CloseCode::ABNORMAL);
}

#[test]
fn f_24_f_25_masking_keys_are_not_judged() {
    let hello = [hex("81 85 00000000"), b"Hello".to_vec()].concat();
    let input = [hello.clone(), hello].concat();
    check(
        Role::Server,
        &Config::new(),
        &input,
        &[text("Hello"), text("Hello")],
        None,
    );
}

#[test]
fn f_26_an_empty_frame_has_its_key() {
    let input = [hex("82 80 01020304"), to(Role::Server, &hex(HELLO))].concat();
    check(
        Role::Server,
        &Config::new(),
        &input,
        &[binary(""), text("Hello")],
        None,
    );
}

#[test]
fn f_34_fragmented_control() {
    for input in ["0900", "0A00", "0800"] {
        fails(BOTH, &hex(input), &[], ProtocolError::FragmentedControl);
        let inside = [hex("0101 61"), hex(input)].concat();
        fails(BOTH, &inside, &[], ProtocolError::FragmentedControl);
    }
}

#[test]
fn f_35_long_control() {
    for input in [
        "897E 007E",
        "8A7F 0000000000010000",
        "887E 0080",
        "897E",
        "8A7F",
    ] {
        for role in BOTH {
            assert_eq!(fails_at(*role, &to(*role, &hex(input))), Some(2));
        }
        fails(BOTH, &hex(input), &[], ProtocolError::ControlTooLong);
    }
}

#[test]
fn f_36_pings_of_every_size() {
    for len in [0, 1, 4, 124, 125] {
        let payload: Vec<u8> = (0..len).collect();
        accepts(BOTH, &frame(0x89, &payload), &[ping(payload)]);
    }
}

#[test]
fn f_43_every_two_way_split() {
    let input = [hex(HELLO), hex("8904 70696e67"), frame(0x82, [9; 300])].concat();
    let events = [text("Hello"), ping("ping"), binary([9; 300])];
    accepts(BOTH, &input, &events);
    for role in BOTH {
        let input = to(*role, &input);
        for split in 0..=input.len() {
            let mut sizes = [split, usize::MAX].into_iter();
            let mut conn = connection(*role, &Config::new());
            let outcome = feed_in(&mut conn, &input, || sizes.next().unwrap());
            assert_eq!(outcome.events, events);
        }
    }
}

#[test]
fn f_44_empty_reads() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        let mut events = Vec::new();
        for byte in to(*role, &hex("0101 61 8901 70 8001 62 8802 03E8")) {
            receive(&mut conn, START, &[], &mut events).unwrap();
            receive(&mut conn, START, &[byte], &mut events).unwrap();
            receive(&mut conn, START, &[], &mut events).unwrap();
        }
        assert_eq!(events, [ping("p"), text("ab"), close(1000, "")]);
    }
}

#[test]
fn m_02_every_length_at_every_split() {
    for len in 0..=67u8 {
        let payload: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(37)).collect();
        let input = to(Role::Server, &frame(0x82, &payload));
        for split in 6..input.len() {
            let mut sizes = [split, usize::MAX].into_iter();
            let mut conn = connection(Role::Server, &Config::new());
            let outcome = feed_in(&mut conn, &input, || sizes.next().unwrap());
            assert_eq!(outcome.events, [binary(&payload)]);
        }
    }
}
