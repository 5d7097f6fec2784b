//! HARDENING F-30 to F-42 and G: messages in fragments, and limits.

use sockeye::{CapacityError, Config, Delivery, Input, Limits, ProtocolError, State};

use crate::wire::*;

#[test]
fn f_30_nothing_to_continue() {
    for input in ["8000", "0000", "8001 61"] {
        fails(
            BOTH,
            &hex(input),
            &[],
            ProtocolError::UnexpectedContinuation,
        );
    }
}

#[test]
fn f_31_f_32_a_message_inside_a_message() {
    for (first, second) in [
        ("0101 61", "8101 62"),
        ("0101 61", "0201 62"),
        ("0201 61", "8201 62"),
        ("0100", "8100"),
    ] {
        let input = [hex(first), hex(second)].concat();
        fails(BOTH, &input, &[], ProtocolError::ExpectedContinuation);
    }
}

#[test]
fn f_33_a_continuation_too_many() {
    let input = hex("0101 61 8001 62 8001 63");
    fails(
        BOTH,
        &input,
        &[text("ab")],
        ProtocolError::UnexpectedContinuation,
    );
}

#[test]
fn f_40_control_frames_between_fragments() {
    let events = [ping("p"), text("Hello")];
    accepts(BOTH, &hex("0103 48656c 8901 70 8002 6c6f"), &events);
    // 6455-5.4-15: the kind is that of the first fragment.
    let events = [
        Got::Pong(b"q".into()),
        ping("p"),
        binary("Hello"),
        text("!"),
    ];
    accepts(
        BOTH,
        &hex("0203 48656c 8A01 71 0000 8901 70 8002 6c6f 8101 21"),
        &events,
    );
}

#[test]
fn f_42_close_inside_a_message() {
    accepts(BOTH, &hex("0103 48656c 8802 03E8"), &[close(1000, "")]);
    accepts(
        BOTH,
        &hex("0103 48656c 8802 03E8 8002 6c6f"),
        &[close(1000, "")],
    );
}

#[test]
fn empty_fragments_anywhere() {
    let events = [text("ab")];
    for input in [
        "0100 8002 6162",
        "0102 6162 8000",
        "0100 0001 61 0000 0001 62 8000",
    ] {
        accepts(BOTH, &hex(input), &events);
    }
    accepts(
        BOTH,
        &hex("0100 0000 8000 0200 8000"),
        &[text(""), binary("")],
    );
}

/// A message in fragments of one byte each.
fn in_single_bytes(len: usize) -> Vec<u8> {
    let mut frames = frame(0x02, "x");
    frames.extend(frame(0x00, "x").repeat(len - 1));
    frames.extend(frame(0x80, ""));
    frames
}

#[test]
fn g_01_single_byte_fragments_up_to_the_limit() {
    for role in BOTH {
        let input = to(*role, &in_single_bytes(3000));
        check(
            *role,
            &limits(3000, 3000),
            &input,
            &[binary(vec![b'x'; 3000])],
            None,
        );
    }
    // Memory: `allocation.rs`.
}

#[test]
fn g_02_the_sum_is_one_too_much() {
    let config = limits(100, 100);
    let input = [frame(0x01, [b'a'; 60]), hex("8029")].concat();
    fails_with(BOTH, &config, &input, &[], CapacityError::MessageTooLarge);
    for role in BOTH {
        let input = to(
            *role,
            &[frame(0x02, [1; 60]), frame(0x80, [1; 40])].concat(),
        );
        check(*role, &config, &input, &[binary([1; 100])], None);
        // The next message counts from zero.
        let twice = input.repeat(2);
        check(
            *role,
            &config,
            &twice,
            &[binary([1; 100]), binary([1; 100])],
            None,
        );
    }
}

#[test]
fn g_03_a_message_without_end() {
    let mut input = frame(0x02, [0; 1024]);
    input.extend(frame(0x00, [0; 1024]).repeat(10));
    fails_with(
        BOTH,
        &limits(8192, 8192),
        &input,
        &[],
        CapacityError::MessageTooLarge,
    );
}

/// A3.9: without any setting a message has an end, however it is cut into frames, and it is the
/// header that is one too many.
#[test]
fn a3_09_the_default_limit_is_for_the_sum_of_fragments() {
    const PART: usize = 1 << 20;
    let most = Limits::new().max_message_size();
    assert_eq!(most % PART as u64, 0);
    for role in BOTH {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            for size in [1, usize::MAX] {
                let config = Config::new().with_delivery(delivery);
                let mut conn = connection(*role, &config);
                let mut sum = 0;
                while sum < most {
                    let first = if sum == 0 { 0x02 } else { 0x00 };
                    let mut part = to(*role, &frame(first, ""));
                    part[1] |= 127;
                    part.splice(2..2, (PART as u64).to_be_bytes());
                    part.resize(part.len() + PART, 0);
                    let mut input = Input::new(&mut part);
                    while conn.receive(START, &mut input).unwrap().is_some() {}
                    sum += PART as u64;
                }
                assert_eq!(conn.state(), State::Open);
                let more = to(*role, &hex("8001 00"));
                let outcome = feed_in(&mut conn, &more, || size);
                let error = CapacityError::MessageTooLarge.into();
                assert_eq!(outcome.error, Some(error), "{role:?}, {delivery:?}");
            }
        }
    }
}

#[test]
fn g_04_the_sum_overflows() {
    // In what can be declared; `src/connection/tests.rs` has the sum in 64 bits.
    let most = u64::MAX >> 1;
    let input = [frame(0x02, "x"), hex("807F"), most.to_be_bytes().into()].concat();
    fails_with(
        BOTH,
        &limits(most, u64::MAX),
        &input,
        &[],
        CapacityError::MessageTooLarge,
    );
}

#[test]
fn g_05_empty_fragments_by_the_thousand() {
    for role in BOTH {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let limits = Limits::new().with_max_empty_fragments(u32::MAX);
            let config = Config::new().with_delivery(delivery).with_limits(limits);
            let mut conn = connection(*role, &config);
            let mut events = Vec::new();
            let empty = to(*role, &hex("0000")).repeat(1000);
            receive(&mut conn, START, &to(*role, &hex("0101 61")), &mut events).unwrap();
            for _ in 0..100 {
                receive(&mut conn, START, &empty, &mut events).unwrap();
            }
            for byte in &empty {
                receive(&mut conn, START, &[*byte], &mut events).unwrap();
            }
            receive(&mut conn, START, &to(*role, &hex("8001 62")), &mut events).unwrap();
            assert_eq!(join(events), [text("ab")]);
        }
    }
}

#[test]
fn g_06_a_header_and_then_silence() {
    // Nothing happens by itself; memory: `allocation.rs`.
    for role in BOTH {
        let header = [hex("827F"), (16u64 << 20).to_be_bytes().into()].concat();
        for size in [1, usize::MAX] {
            let mut conn = connection(*role, &Config::new());
            let outcome = feed_in(&mut conn, &to(*role, &header), || size);
            assert_eq!((&*outcome.events, outcome.error), (&[][..], None));
            assert_eq!(outcome.output, []);
            assert_eq!(conn.poll_timeout(), None);
            assert_eq!(conn.handle_eof(), Err(sockeye::Error::Eof));
        }
    }
}

#[test]
fn g_07_a_large_frame_in_one_read_and_in_single_bytes() {
    // Memory: `allocation.rs`.
    for role in BOTH {
        for first in [0x81, 0x82] {
            let payload = vec![b'x'; 100_000];
            let mut input = to(*role, &frame(first, &payload));
            input.extend(to(*role, &hex("8901 70")));
            let config = limits(100_000, 100_000);
            let message = match first {
                0x81 => text(&"x".repeat(100_000)),
                _ => binary(&payload),
            };
            for size in [1, usize::MAX] {
                let outcome = feed_in(&mut connection(*role, &config), &input, || size);
                assert_eq!(outcome.events, [message.clone(), ping("p")]);
            }
        }
    }
}

#[test]
fn g_08_events_are_pulled_one_by_one() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        let message = to(*role, &hex("8201 07"));
        let mut read = message.repeat(10_000);
        let mut input = Input::new(&mut read);
        for count in 1..=10_000 {
            assert!(conn.receive(START, &mut input).unwrap().is_some());
            assert_eq!(input.consumed(), count * message.len());
        }
        assert_eq!(conn.receive(START, &mut input), Ok(None));
    }
}

#[test]
fn g_09_extreme_limits() {
    for role in BOTH {
        let nothing = limits(0, 0);
        let input = to(*role, &hex("8200 8901 70 0100 8000"));
        check(
            *role,
            &nothing,
            &input,
            &[binary(""), ping("p"), text("")],
            None,
        );
        fails_with(
            &[*role],
            &nothing,
            &hex("8201"),
            &[],
            CapacityError::FrameTooLarge,
        );
        fails_with(
            &[*role],
            &limits(0, 1),
            &hex("8201"),
            &[],
            CapacityError::MessageTooLarge,
        );

        let everything = limits(u64::MAX, u64::MAX);
        let input = to(*role, &[frame(0x01, [b'a'; 70_000]), hex("8000")].concat());
        check(
            *role,
            &everything,
            &input,
            &[text(&"a".repeat(70_000))],
            None,
        );
        let mut conn = connection(*role, &everything);
        let header = to(*role, &hex("827F 7FFFFFFFFFFFFFFF 0102"));
        assert_eq!(receive(&mut conn, START, &header, &mut Vec::new()), Ok(()));
    }
}

#[test]
fn pieces_say_where_a_message_starts_and_ends() {
    let chunks = Config::new().with_delivery(Delivery::Chunks);
    let mut conn = connection(Role::Client, &chunks);
    let mut events = Vec::new();
    for read in ["0105 4865", "6c6c", "6f", "0000 8000", "8200", "8201 07"] {
        receive(&mut conn, START, &hex(read), &mut events).unwrap();
    }
    use sockeye::Kind::{Binary, Text};
    let piece = |kind, bytes: &str, first, last| Got::Piece(kind, bytes.into(), first, last);
    let expected = [
        piece(Text, "He", true, false),
        piece(Text, "ll", false, false),
        piece(Text, "o", false, false),
        piece(Text, "", false, true),
        piece(Binary, "", true, true),
        piece(Binary, "\x07", true, true),
    ];
    assert_eq!(events, expected);
}
