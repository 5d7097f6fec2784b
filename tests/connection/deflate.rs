//! HARDENING D, and F-13 to F-15, F-41, U-17 and U-18 with permessage-deflate.

use std::{iter, thread};

use sockeye::{
    CapacityError, CloseCode, Compress, Config, Connection, Deflate, DeflateParams, Delivery,
    Error, Kind, Limits, Memory, Negotiated, ProtocolError, SendError, State,
};

use crate::reference::{BitWriter, Reference};
use crate::text::{INVALID, VALID};
use crate::wire::*;

const MEMORIES: [Memory; 3] = [Memory::Retained, Memory::Window, Memory::NoTakeover];
const HELLO: &str = "f248cdc9c90700";
/// "Hello" in a message after [`HELLO`].
const AGAIN: &str = "f200110000";

fn with(memory: Memory) -> Config {
    let deflate = Deflate::client()
        .with_send_memory(memory)
        .with_receive_memory(memory);
    with_deflate(deflate)
}

fn with_limit(memory: Memory, message: u64) -> Config {
    with(memory).with_limits(Limits::new().with_max_message_size(message))
}

/// Frames are taken by both roles with every policy.
fn accepts_all(frames: &[u8], events: &[Got]) {
    for memory in MEMORIES {
        for role in BOTH {
            check(*role, &with(memory), &to(*role, frames), events, None);
        }
    }
}

fn fails_all(frames: &[u8], events: &[Got], error: impl Into<Error>) {
    let error = error.into();
    for memory in MEMORIES {
        fails_with(BOTH, &with(memory), frames, events, error);
    }
}

/// The payload of a compressed text frame is refused after one that is good.
fn fails_inflating(payload: &[u8]) {
    let frames = [frame(0xC1, hex(HELLO)), frame(0xC1, payload)].concat();
    fails_all(&frames, &[text("Hello")], Error::InvalidDeflate);
    for memory in MEMORIES {
        let binary = frame(0xC2, payload);
        fails_with(BOTH, &with(memory), &binary, &[], Error::InvalidDeflate);
    }
}

/// What a sender makes of a message; it has no context.
fn compress(message: &[u8], level: u8) -> Vec<u8> {
    let config = with_deflate(Deflate::client().with_level(level)).with_max_fragment(None);
    let mut conn = connection(Role::Server, &config);
    conn.send_with(message, Compress::Always).unwrap();
    let [frame] = &parse(Role::Server, &drain(&mut conn))[..] else {
        panic!("not one frame");
    };
    assert_eq!(frame.first, 0xC2);
    frame.payload.clone()
}

fn json(count: usize) -> Vec<u8> {
    let line = |n: usize| {
        format!(
            "{{\"id\":{n},\"name\":\"n{}\",\"on\":true}}\n",
            n * 7919 % 1000
        )
    };
    (0..count).flat_map(|n| line(n).into_bytes()).collect()
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn stored(bytes: &[u8]) -> Vec<u8> {
    let len = bytes.len() as u16;
    let head = [len.to_le_bytes(), (!len).to_le_bytes()].concat();
    [&[0][..], &head, bytes].concat()
}

#[test]
fn d_01_the_examples_of_the_rfc() {
    for payload in [
        HELLO,
        "000500faff48656c6c6f00",
        "f348cdc9c9070000",
        "f24805000000ffffcac9c90700",
    ] {
        let payload = hex(payload);
        accepts_all(&frame(0xC1, &payload), &[text("Hello")]);
        accepts_all(&frame(0xC2, &payload), &[binary("Hello")]);
    }
    accepts_all(&hex("4103 f248cd 8004 c9c90700"), &[text("Hello")]);
}

#[test]
fn d_02_d_25_the_context_is_kept_unless_agreed_otherwise() {
    for first in [HELLO, "000500faff48656c6c6f00", "f348cdc9c9070000"] {
        let frames = [frame(0xC1, hex(first)), frame(0xC1, hex(AGAIN))].concat();
        for memory in [Memory::Retained, Memory::Window] {
            for role in BOTH {
                let events = [text("Hello"), text("Hello")];
                check(*role, &with(memory), &to(*role, &frames), &events, None);
            }
        }
        let none = with(Memory::NoTakeover);
        fails_with(
            BOTH,
            &none,
            &frames,
            &[text("Hello")],
            Error::InvalidDeflate,
        );
    }
}

#[test]
fn the_context_is_kept_if_only_this_side_would_do_without() {
    // 7692-7.2.2-06
    let negotiated = Negotiated::new().with_deflate(DeflateParams::new());
    for role in BOTH {
        let mut conn = connection_with(*role, &with(Memory::NoTakeover), negotiated.clone());
        let frames = [frame(0xC1, hex(HELLO)), frame(0xC1, hex(AGAIN))].concat();
        let outcome = feed_in(&mut conn, &to(*role, &frames), || 1);
        assert_eq!(outcome.events, [text("Hello"), text("Hello")]);
    }
}

#[test]
fn d_03_to_d_05_f_13_to_f_15_reserved_bits() {
    let bits = ProtocolError::ReservedBits;
    for start in ["4103 f248cd", "0103 48656c"] {
        for next in ["C004 c9c90700", "4004 c9c90700", "A000", "9000"] {
            fails_all(&[hex(start), hex(next)].concat(), &[], bits);
        }
    }
    for input in ["A100", "9100", "F100", "E100", "D100", "B207"] {
        fails_all(&hex(input), &[], bits);
        fails(BOTH, &hex(input), &[], bits);
    }
    for opcode in ["8", "9", "A"] {
        for bits_of in ["C", "A", "9", "F"] {
            let input = hex(&format!("{bits_of}{opcode}00"));
            fails_all(&input, &[], bits);
            fails(BOTH, &input, &[], bits);
        }
    }
    // F-13: without an agreement, whatever is configured.
    for input in ["C100", "C107 f248cdc9c90700", "4100"] {
        fails(BOTH, &hex(input), &[], bits);
        for role in BOTH {
            let config = with(Memory::Window);
            for later in ["", LATER] {
                let input = to(*role, &[hex(input), hex(later)].concat());
                for size in [1, usize::MAX] {
                    let mut conn = connection_with(*role, &config, Negotiated::new());
                    let outcome = feed_in(&mut conn, &input, || size);
                    assert_eq!(
                        (&*outcome.events, outcome.error),
                        (&[][..], Some(bits.into()))
                    );
                    let sent = parse(*role, &outcome.output);
                    assert_eq!(brief(&sent), [(0x88, &1002u16.to_be_bytes()[..])]);
                }
            }
        }
    }
}

#[test]
fn d_06_fragments() {
    let hello = hex(HELLO);
    for empty in [false, true] {
        let mut frames = Vec::new();
        let mut first = 0x41;
        for byte in &hello {
            if empty {
                frames.extend(frame(first, []));
                first = 0x00;
            }
            frames.extend(frame(first, [*byte]));
            first = 0x00;
        }
        frames.extend(frame(0x80, []));
        accepts_all(&frames, &[text("Hello")]);
    }
    for cut in 0..=hello.len() {
        let (front, back) = hello.split_at(cut);
        let frames = [frame(0x42, front), frame(0x80, back)].concat();
        accepts_all(&frames, &[binary("Hello")]);
    }
}

#[test]
fn d_07_f_41_messages_and_control_frames_between() {
    let frames = [
        frame(0xC1, hex(HELLO)),
        frame(0x81, "plain"),
        frame(0x01, "in two "),
        frame(0x89, "f248"),
        frame(0x80, "pieces"),
        frame(0x41, &hex(HELLO)[..3]),
        frame(0x89, hex(HELLO)),
        frame(0x00, []),
        frame(0x8A, hex(HELLO)),
        frame(0x80, &hex(HELLO)[3..]),
    ]
    .concat();
    let events = [
        text("Hello"),
        text("plain"),
        ping("f248"),
        text("in two pieces"),
        ping(hex(HELLO)),
        Got::Pong(hex(HELLO)),
        text("Hello"),
    ];
    accepts_all(&frames, &events);
    let frames = [
        frame(0xC1, hex(HELLO)),
        frame(0x81, "plain"),
        frame(0xC1, hex(AGAIN)),
    ];
    for role in BOTH {
        let events = [text("Hello"), text("plain"), text("Hello")];
        let config = with(Memory::Window);
        check(*role, &config, &to(*role, &frames.concat()), &events, None);
    }
}

#[test]
fn d_08_nothing() {
    accepts_all(&hex("C101 00"), &[text("")]);
    accepts_all(&hex("4200 0001 00 8000"), &[binary("")]);
    let frames = [frame(0xC1, hex(HELLO)), hex("C201 00")].concat();
    accepts_all(&frames, &[text("Hello"), binary("")]);
}

#[test]
fn d_09_kinds_of_blocks() {
    let half = noise(65_535);
    let whole = [stored(&half), stored(&half[..70]), vec![0]].concat();
    let mut expected = half.clone();
    expected.extend(&half[..70]);
    for memory in MEMORIES {
        for role in BOTH {
            for size in [1, 999, usize::MAX] {
                let input = to(*role, &frame(0xC2, &whole));
                let outcome = feed_in(&mut connection(*role, &with(memory)), &input, || size);
                assert_eq!(outcome.events, [binary(&expected)]);
            }
        }
    }

    let many = [stored(b"").repeat(1000), hex(HELLO)].concat();
    accepts_all(&frame(0xC2, many), &[binary("Hello")]);

    // 7692-7.2.1-04: many blocks with BFINAL, each empty.
    let many = [[3, 0].repeat(1000), hex(HELLO)].concat();
    accepts_all(&frame(0xC2, many), &[binary("Hello")]);
    let many = [hex("f348cdc9c90700").repeat(50), vec![0]].concat();
    accepts_all(&frame(0xC1, many), &[text(&"Hello".repeat(50))]);

    let plain = json(300);
    let dynamic = compress(&plain, 9);
    assert_eq!(dynamic[0] & 0b110, 0b100, "not a dynamic block");
    accepts_all(&frame(0xC2, &dynamic), &[binary(&plain)]);
}

#[test]
fn final_blocks_are_not_a_way_to_burn_time() {
    // Two bytes each, for which the window has to be copied.
    let fill = stored(&vec![b'x'; 1 << 15]);
    let finals = |count: usize| [fill.clone(), [3, 0].repeat(count), vec![0]].concat();
    for memory in MEMORIES {
        let mut conn = connection(Role::Client, &with(memory));
        let outcome = feed_in(&mut conn, &frame(0xC2, finals(100)), || 4096);
        assert_eq!(outcome.events, [binary(vec![b'x'; 1 << 15])]);
        let mut conn = connection(Role::Client, &with(memory));
        let outcome = feed_in(&mut conn, &frame(0xC2, finals(1 << 20)), || 4096);
        assert_eq!(outcome.error, Some(Error::InvalidDeflate));
    }
}

#[test]
fn d_10_nothing_at_all() {
    fails_inflating(&[]);
    for frames in ["4100 8000", "4200 0000 0000 8000"] {
        fails_all(&hex(frames), &[], Error::InvalidDeflate);
    }
}

#[test]
fn d_11_to_d_17_malformed() {
    for payload in [
        "f248cdc9c907000000ffff",
        "f248cdc9c90700000000ffff",
        "f248cdc9c907",
        "f248cd",
        "f2",
        "07",
        "06",
        "ffffffffffff",
        "0005000000",
        "000500faff4865",
        "0005",
        "f348cdc9c90700",
        "0300",
        "0000",
        "000000",
    ] {
        fails_inflating(&hex(payload));
    }
    fails_all(&frame(0xC1, hex(AGAIN)), &[], Error::InvalidDeflate);
}

#[test]
fn d_16_wrong_codes() {
    let dynamic = |literals, distances, lens| {
        let writer = BitWriter::default().number(0, 1).number(2, 2);
        writer
            .number(literals, 5)
            .number(distances, 5)
            .number(lens, 4)
    };
    let lens = |writer: BitWriter, lens: &[usize]| {
        lens.iter()
            .fold(writer, |writer, len| writer.number(*len, 3))
    };
    let mut missing = [0; 18];
    // The codes of 18, a run of zeros, and of 1.
    (missing[2], missing[17]) = (1, 1);
    let missing = lens(dynamic(0, 0, 14), &missing)
        .code(0, 1)
        .code(0, 1)
        .code(1, 1)
        .number(127, 7)
        .code(1, 1)
        .number(106, 7)
        .code(0, 1);
    let distance = |code| {
        let fixed = BitWriter::default().number(0, 1).number(1, 2);
        let fixed = fixed.code(0x30 + 0x41, 8).code(1, 7);
        fixed.code(code, 5).code(0, 7)
    };
    let cases = [
        ("too many literals", lens(dynamic(30, 0, 15), &[1; 19])),
        ("too many distances", lens(dynamic(0, 30, 15), &[1; 19])),
        ("over-subscribed", lens(dynamic(0, 0, 15), &[1; 19])),
        ("incomplete", lens(dynamic(0, 0, 0), &[7, 0, 0, 0])),
        ("no end of block", missing),
        ("distance code 30", distance(30)),
        ("distance code 31", distance(31)),
        (
            "length code 286",
            BitWriter::default().number(2, 3).code(0b1100_0110, 8),
        ),
    ];
    for (_name, writer) in cases {
        let mut payload = writer.finish();
        payload.extend([0; 40]);
        fails_inflating(&payload);
    }
}

#[test]
fn a4_12_inflating_needs_little_stack() {
    let run = || {
        let many = [stored(b"").repeat(1000), [3, 0].repeat(1000), hex(HELLO)].concat();
        let messages = [compress(&json(3000), 9), compress(&noise(70_000), 9), many];
        for memory in MEMORIES {
            for message in &messages {
                let mut conn = connection(Role::Client, &with(memory));
                let outcome = feed_in(&mut conn, &frame(0xC2, message), || 4096);
                assert_eq!((outcome.events.len(), outcome.error), (1, None));
            }
        }
    };
    let thread = thread::Builder::new().stack_size(128 << 10);
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn every_truncation_fails_at_its_message() {
    let plain = json(20);
    for level in [1, 9] {
        let whole = compress(&plain, level);
        let next = frame(0x81, "next");
        for memory in MEMORIES {
            for role in BOTH {
                for end in 0..whole.len() {
                    let frames = [frame(0xC2, &whole[..end]), next.clone()].concat();
                    for delivery in [Delivery::Messages, Delivery::Chunks] {
                        let config = with(memory).with_delivery(delivery);
                        let input = to(*role, &frames);
                        let mut conn = connection(*role, &config);
                        let outcome = feed_in(&mut conn, &input, || 97);
                        assert_eq!(outcome.error, Some(Error::InvalidDeflate), "{end}");
                        assert_eq!(join(outcome.events), []);
                        let sent = parse(*role, &outcome.output);
                        assert_eq!(brief(&sent), [(0x88, &1007u16.to_be_bytes()[..])]);
                    }
                }
            }
        }
    }
}

#[test]
fn d_20_d_22_d_24_bombs() {
    let bomb = compress(&vec![0; 1 << 20], 9);
    let limit = 10_000;
    let too_large = CapacityError::MessageTooLarge;
    for memory in MEMORIES {
        let config = with_limit(memory, limit);
        fails_with(BOTH, &config, &frame(0xC2, &bomb), &[], too_large);
        // In many fragments.
        let mut frames = Vec::new();
        for (number, piece) in bomb.chunks(5).enumerate() {
            frames.extend(frame(if number == 0 { 0x42 } else { 0 }, piece));
            frames.extend(frame(0, []));
        }
        fails_with(BOTH, &config, &frames, &[], too_large);
        // The budget is that of a message: small messages go on.
        let small = compress(&vec![0; 9000], 9);
        let frames = [frame(0xC2, &small), frame(0xC2, &small)].concat();
        for role in BOTH {
            let events = [binary(vec![0; 9000]), binary(vec![0; 9000])];
            check(*role, &config, &to(*role, &frames), &events, None);
        }
    }
}

#[test]
fn d_21_the_limit_itself() {
    let sizes = [0, 1, 100, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 70_000];
    for size in sizes {
        // Noise takes as many reads as it has bytes.
        for plain in [vec![b'x'; size], noise(size.min(2000))] {
            let size = plain.len();
            let frames = frame(0xC2, compress(&plain, 6));
            for memory in MEMORIES {
                for role in BOTH {
                    let config = with_limit(memory, size as u64);
                    let input = to(*role, &frames);
                    check(*role, &config, &input, &[binary(&plain)], None);
                }
                if size > 0 {
                    let config = with_limit(memory, size as u64 - 1);
                    let error = CapacityError::MessageTooLarge;
                    fails_with(BOTH, &config, &frames, &[], error);
                }
            }
        }
    }
}

#[test]
fn d_23_the_limit_of_the_wire() {
    // The decision: a compressed message may exceed the limit by a 256th and 64 bytes.
    let limit = 1024;
    let allowed = limit + limit / 256 + 64;
    let error = CapacityError::MessageTooLarge;
    for memory in MEMORIES {
        let config = with_limit(memory, limit as u64);
        let payload = |len: usize| [stored(b"").repeat(len / 5), vec![0; 1 + len % 5]].concat();
        let fits = [stored(b"").repeat(218), vec![3, 0], vec![0]].concat();
        assert!(fits.len() > limit && fits.len() <= allowed + 5);
        let fits = [stored(b"").repeat(217), hex(HELLO)].concat();
        assert_eq!(fits.len(), allowed);
        for role in BOTH {
            let input = to(*role, &frame(0xC1, &fits));
            check(*role, &config, &input, &[text("Hello")], None);
        }
        let frames = frame(0xC1, payload(allowed));
        fails_with(BOTH, &config, &frames, &[], error);
        // The header is enough, and fragments are added up.
        let frames = [frame(0x41, &fits), hex("0001")].concat();
        fails_with(BOTH, &config, &frames, &[], error);
        let small = config.with_limits(Limits::new().with_max_frame_size(6));
        let frames = frame(0xC1, hex(HELLO));
        fails_with(BOTH, &small, &frames, &[], CapacityError::FrameTooLarge);
    }
}

#[test]
fn the_ratio_can_be_limited() {
    let bomb = compress(&vec![0; 1 << 20], 9);
    let limits = Limits::new().with_max_inflate_ratio(Some(100));
    for memory in MEMORIES {
        let config = with(memory).with_limits(limits.clone());
        let error = CapacityError::RatioTooHigh;
        fails_with(BOTH, &config, &frame(0xC2, &bomb), &[], error);
        // Small messages are free.
        let plain = vec![0; 64 * 1024];
        for role in BOTH {
            let input = to(*role, &frame(0xC2, compress(&plain, 9)));
            check(*role, &config, &input, &[binary(&plain)], None);
        }
    }
}

/// A message may begin with what is compressed far more than all of it.
#[test]
fn the_ratio_does_not_depend_on_reads() {
    let plain = [vec![0; 150_000], noise(4000)].concat();
    let compressed = compress(&plain, 9);
    assert!(plain.len() / compressed.len() < 40);
    let limits = Limits::new().with_max_inflate_ratio(Some(100));
    for memory in MEMORIES {
        let config = with(memory).with_limits(limits.clone());
        for role in BOTH {
            let input = to(*role, &frame(0xC2, &compressed));
            check(*role, &config, &input, &[binary(&plain)], None);
        }
    }
}

/// Nothing can be sent after a Close frame or a failure, so the compressor goes.
#[test]
fn closing_in_the_middle_of_a_compressed_message() {
    let config = with(Memory::Retained).with_timeouts(sockeye::Timeouts::new().with_close(None));
    for fails in [false, true] {
        let mut conn = connection(Role::Client, &config);
        conn.send_fragment_with(Kind::Text, &b"words, words"[..], false, Compress::Always)
            .unwrap();
        assert!(conn.poll_timeout().is_some(), "a codec is retained");
        if fails {
            receive(&mut conn, START, b"\x83\x00", &mut Vec::new()).unwrap_err();
        } else {
            conn.close(START, CloseCode::NORMAL, "").unwrap();
        }
        assert_eq!(conn.poll_timeout(), None);
    }
}

#[test]
fn d_26_many_messages() {
    for memory in [Memory::Retained, Memory::Window] {
        let mut server = connection(Role::Server, &with(memory));
        let mut client = connection(Role::Client, &with(memory));
        let mut reference = Reference::new(15, true);
        for number in 0..10_000 {
            let message = format!("message number {number} of many, many more messages than one");
            server
                .send_with(message.as_str(), Compress::Always)
                .unwrap();
            let output = drain(&mut server);
            let mut events = Vec::new();
            receive(&mut client, START, &output, &mut events).unwrap();
            assert_eq!(events, [text(&message)]);
            let frames = parse(Role::Server, &output);
            assert_eq!(reference.inflate(&frames[0].payload), message.as_bytes());
        }
    }
}

#[test]
fn d_27_beyond_the_agreed_window() {
    let plain = [noise(1000), noise(1000)].concat();
    let frames = frame(0xC2, compress(&plain, 9));
    assert!(frames.len() < 1200, "no reference of 1,000 bytes");
    for memory in MEMORIES {
        for role in BOTH {
            for size in [1, 7, usize::MAX] {
                let deflate = Deflate::client()
                    .with_receive_memory(memory)
                    .with_receive_window_bits(9);
                let mut conn = connection(*role, &with_deflate(deflate));
                let outcome = feed_in(&mut conn, &to(*role, &frames), || size);
                match outcome.error {
                    None => assert_eq!(outcome.events, [binary(&plain)]),
                    Some(error) => assert_eq!(error, Error::InvalidDeflate),
                }
            }
        }
    }
}

#[test]
fn distances_up_to_the_whole_window() {
    // 7692-7.2.2-08, 7692-7.2.2-10: as far back as the window goes, over messages.
    for bits in 9..=15u8 {
        let window = 1 << bits;
        let plain = noise(window);
        let blocks = stored(&plain);
        // Three bytes at a distance of the whole window.
        let extra = usize::from(bits) - 2;
        let back = BitWriter::default().number(2, 3).code(1, 7);
        let back = back
            .code(2 * usize::from(bits) - 1, 5)
            .number((1 << extra) - 1, extra)
            .code(0, 7)
            .number(0, 3)
            .finish();
        let frames = [frame(0xC2, [blocks, vec![0]].concat()), frame(0xC2, back)];
        let frames = frames.concat();
        for memory in [Memory::Retained, Memory::Window] {
            for role in BOTH {
                let deflate = Deflate::client()
                    .with_receive_memory(memory)
                    .with_receive_window_bits(bits);
                let mut conn = connection(*role, &with_deflate(deflate));
                let outcome = feed_in(&mut conn, &to(*role, &frames), || 1000);
                assert_eq!(outcome.error, None);
                assert_eq!(outcome.events, [binary(&plain), binary(&plain[..3])]);
            }
        }
    }
}

#[test]
fn d_28_d_29_the_end_inside_a_message() {
    let start = frame(0x41, &hex(HELLO)[..4]);
    let frames = [start.clone(), hex("8802 03e8"), frame(0xC1, hex(HELLO))].concat();
    for memory in MEMORIES {
        for role in BOTH {
            let input = to(*role, &frames);
            check(*role, &with(memory), &input, &[close(1000, "")], None);

            // The transport ends inside it, and a connection that failed inflates no more.
            let mut conn = connection(*role, &with(memory));
            receive(&mut conn, START, &to(*role, &start), &mut Vec::new()).unwrap();
            assert_eq!(conn.handle_eof(), Err(Error::Eof));
            let mut events = Vec::new();
            let late = to(*role, &frame(0x80, &hex(HELLO)[4..]));
            assert_eq!(
                receive(&mut conn, START, &late, &mut events),
                Err(Error::Eof)
            );
            assert_eq!(events, []);
        }
    }
}

#[test]
fn u_17_u_18_text_is_what_was_inflated() {
    let bad = [&[0xC3, 0x28][..], &[0xFF], &[0xED, 0xA0, 0x80], &[0xC3]];
    for bytes in bad {
        let frames = frame(0xC1, compress(bytes, 6));
        fails_all(&frames, &[], Error::InvalidUtf8);
        accepts_all(&frame(0xC2, compress(bytes, 6)), &[binary(bytes)]);
    }
    // Every row of U, whole and in fragments of one byte.
    let in_pieces = |payload: Vec<u8>| {
        let firsts = iter::once(0x41).chain(iter::repeat(0));
        let pieces = payload.into_iter().zip(firsts);
        let mut frames: Vec<_> = pieces
            .flat_map(|(byte, first)| frame(first, [byte]))
            .collect();
        frames.extend(hex("8000"));
        frames
    };
    for (digits, _) in INVALID {
        let payload = compress(&hex(digits), 6);
        fails_all(&frame(0xC1, &payload), &[], Error::InvalidUtf8);
        fails_all(&in_pieces(payload), &[], Error::InvalidUtf8);
    }
    for valid in VALID {
        let payload = compress(valid.as_bytes(), 6);
        accepts_all(&frame(0xC1, &payload), &[text(valid)]);
        accepts_all(&in_pieces(payload), &[text(valid)]);
    }
    // Code points are split over fragments, and the compressed bytes are no UTF-8.
    let words = "κόσμε😀".repeat(30);
    let payload = compress(words.as_bytes(), 6);
    assert!(std::str::from_utf8(&payload).is_err());
    let mut frames = Vec::new();
    for (number, piece) in payload.chunks(2).enumerate() {
        frames.extend(frame(if number == 0 { 0x41 } else { 0 }, piece));
    }
    frames.extend(hex("8000"));
    accepts_all(&frames, &[text(&words)]);
}

/// Sends with both roles and every policy, in fragments of `size` or whole, and inflates what comes
/// out.
fn sends(bits: u8, messages: &[Vec<u8>], size: Option<usize>) {
    for memory in MEMORIES {
        for role in BOTH {
            let deflate = Deflate::server()
                .with_send_memory(memory)
                .with_send_window_bits(bits);
            let mut conn = connection(*role, &with_deflate(deflate));
            let mut reference = Reference::new(bits, memory != Memory::NoTakeover);
            for message in messages {
                match size {
                    None => conn.send_with(message.clone(), Compress::Always).unwrap(),
                    Some(size) => send_pieces(&mut conn, message, size),
                }
                let frames = parse(*role, &drain(&mut conn));
                let last = frames.len() - 1;
                for (number, frame) in frames.iter().enumerate() {
                    let expected = match (number, number == last) {
                        (0, true) => 0xC2,
                        (0, false) => 0x42,
                        (_, true) => 0x80,
                        (_, false) => 0x00,
                    };
                    assert_eq!(frame.first, expected);
                }
                if message.is_empty() && size.is_none() {
                    assert_eq!(frames[0].payload, [0]);
                }
                let payload: Vec<_> = frames.into_iter().flat_map(|frame| frame.payload).collect();
                assert_eq!(&reference.inflate(&payload), message, "{memory:?} {size:?}");
            }
        }
    }
}

fn send_pieces(conn: &mut Connection, message: &[u8], size: usize) {
    let always = Compress::Always;
    for piece in message.chunks(size) {
        conn.send_fragment_with(Kind::Binary, piece, false, always)
            .unwrap();
    }
    conn.send_fragment_with(Kind::Binary, &b""[..], true, always)
        .unwrap();
}

#[test]
fn d_30_what_is_sent_can_be_inflated() {
    let messages = [
        vec![],
        vec![b'x'],
        json(20),
        json(21),
        noise(64 * 1024),
        vec![],
        vec![b'z'; 100_000],
        noise(300),
        json(500),
    ];
    for bits in [9, 15] {
        sends(bits, &messages, None);
    }
    for size in [1000, 1 << 20] {
        sends(12, &messages[..6], Some(size));
    }
    sends(
        9,
        &[vec![], vec![b'x'], json(5), noise(90), json(5)],
        Some(1),
    );
    // Lengths around the steps in which output grows.
    for len in (65_440..65_600).step_by(16) {
        let whole = with(Memory::Window).with_max_fragment(None);
        let mut conn = connection(Role::Server, &whole);
        let message = noise(len);
        conn.send_with(message.clone(), Compress::Always).unwrap();
        let frames = parse(Role::Server, &drain(&mut conn));
        let mut reference = Reference::new(15, true);
        assert_eq!(reference.inflate(&frames[0].payload), message);
    }
}

#[test]
fn d_31_without_takeover_the_same_is_the_same() {
    for role in BOTH {
        let mut conn = connection(*role, &with(Memory::NoTakeover));
        conn.send_with("again and again", Compress::Always).unwrap();
        conn.send_with("again and again", Compress::Always).unwrap();
        let frames = parse(*role, &drain(&mut conn));
        assert_eq!(frames[0].payload, frames[1].payload);

        let mut conn = connection(*role, &with(Memory::Window));
        conn.send_with("again and again", Compress::Always).unwrap();
        conn.send_with("again and again", Compress::Always).unwrap();
        let frames = parse(*role, &drain(&mut conn));
        assert!(frames[0].payload.len() > frames[1].payload.len());
    }
}

#[test]
fn d_32_refused_messages_leave_no_trace() {
    for memory in MEMORIES {
        for role in BOTH {
            let limits = Limits::new().with_max_queued(1);
            let mut conn = connection(*role, &with(memory).with_limits(limits));
            let mut reference = Reference::new(15, memory != Memory::NoTakeover);
            let mut expected = Vec::new();
            let mut sent = Vec::new();
            for number in 0..20u32 {
                let message = json(number as usize + 3);
                let other = json(100);
                conn.send(message.clone()).unwrap();
                expected.push(message);
                // Full.
                assert_eq!(conn.send(other.clone()), Err(SendError::Full));
                assert!(conn.try_send(other.clone()).is_err());
                let refused = conn.send_fragment(Kind::Binary, other.clone(), false);
                assert_eq!(refused, Err(SendError::Full));
                sent.extend(parse(*role, &drain(&mut conn)));
                // Between fragments.
                let start = json(9);
                conn.send_fragment(Kind::Text, start.clone(), false)
                    .unwrap();
                let output = drain(&mut conn);
                assert_eq!(conn.send(other.clone()), Err(SendError::MessageInProgress));
                let mixed = conn.send_fragment(Kind::Binary, other.clone(), true);
                assert_eq!(mixed, Err(SendError::KindMismatch));
                let bad = conn.send_fragment(Kind::Text, &b"\xFF"[..], true);
                assert_eq!(bad, Err(SendError::InvalidUtf8));
                conn.send_fragment(Kind::Text, &b"end"[..], true).unwrap();
                let mut frames = parse(*role, &output);
                frames.extend(parse(*role, &drain(&mut conn)));
                assert_eq!(frames.len(), 2);
                let payload = [&*frames[0].payload, &*frames[1].payload].concat();
                sent.push(Sent {
                    payload,
                    ..frames[0].clone()
                });
                expected.push([&*start, b"end"].concat());
            }
            for (frame, message) in sent.iter().zip(&expected) {
                assert_eq!(&reference.inflate(&frame.payload), message);
            }
        }
    }
}

#[test]
fn what_is_compressed() {
    let config = with_deflate(Deflate::server().with_threshold(100));
    let first = |message: &[u8], compress| {
        let mut conn = connection(Role::Server, &config);
        conn.send_with(message, compress).unwrap();
        parse(Role::Server, &drain(&mut conn))[0].first
    };
    assert_eq!(first(&[b'a'; 99], Compress::Auto), 0x82);
    assert_eq!(first(&[b'a'; 100], Compress::Auto), 0xC2);
    assert_eq!(first(&[b'a'; 99], Compress::Always), 0xC2);
    assert_eq!(first(b"", Compress::Always), 0xC2);
    assert_eq!(first(&[b'a'; 100], Compress::Never), 0x82);
    assert_eq!(first(&noise(1000), Compress::Auto), 0x82);
    assert_eq!(first(&noise(1000), Compress::Always), 0xC2);
    // The first fragment decides.
    for (size, expected) in [(99, [0x02, 0x80]), (100, [0x42, 0x80])] {
        let mut conn = connection(Role::Server, &config);
        let message = vec![b'a'; size];
        conn.send_fragment(Kind::Binary, message.clone(), false)
            .unwrap();
        conn.send_fragment(Kind::Binary, message, true).unwrap();
        let frames = parse(Role::Server, &drain(&mut conn));
        assert_eq!([frames[0].first, frames[1].first], expected);
    }
}

#[test]
fn windows_that_zlib_cannot_keep_to() {
    // 7692-7.2.1-13: with 8 bits agreed on, messages go as they are; what comes is inflated.
    let mut params = DeflateParams::new();
    (params.client_max_window_bits, params.server_max_window_bits) = (8, 8);
    for role in BOTH {
        for memory in MEMORIES {
            let negotiated = Negotiated::new().with_deflate(params);
            let mut conn = connection_with(*role, &with(memory), negotiated);
            conn.send_with(vec![b'a'; 500], Compress::Always).unwrap();
            assert_eq!(parse(*role, &drain(&mut conn))[0].first, 0x82);
            let input = to(*role, &frame(0xC1, hex(HELLO)));
            assert_eq!(feed_in(&mut conn, &input, || 1).events, [text("Hello")]);
        }
    }
}

#[test]
fn numbers_out_of_range_do_not_panic() {
    for bits in [0, 7, 16, 64, 255] {
        let mut params = DeflateParams::new();
        (params.client_max_window_bits, params.server_max_window_bits) = (bits, bits);
        for role in BOTH {
            for memory in MEMORIES {
                let negotiated = Negotiated::new().with_deflate(params);
                let mut conn = connection_with(*role, &with(memory), negotiated);
                conn.send_with(vec![b'a'; 500], Compress::Always).unwrap();
                drain(&mut conn);
                let input = to(*role, &frame(0xC1, hex(HELLO)));
                assert_eq!(feed_in(&mut conn, &input, || 1).events, [text("Hello")]);
            }
        }
    }
}

#[test]
fn shrinking_changes_nothing() {
    for memory in MEMORIES {
        let mut server = connection(Role::Server, &with(memory));
        let mut client = connection(Role::Client, &with(memory));
        for number in 1..60 {
            let message = json(number % 7 + 1);
            let mut events = Vec::new();
            if number % 2 == 0 {
                server.send(message.clone()).unwrap();
            } else {
                server
                    .send_fragment(Kind::Binary, &message[..10], false)
                    .unwrap();
                server.shrink();
                receive(&mut client, START, &drain(&mut server), &mut events).unwrap();
                client.shrink();
                server
                    .send_fragment(Kind::Binary, &message[10..], true)
                    .unwrap();
            }
            server.shrink();
            let output = drain(&mut server);
            let (front, back) = output.split_at(output.len() / 2);
            receive(&mut client, START, front, &mut events).unwrap();
            client.shrink();
            receive(&mut client, START, back, &mut events).unwrap();
            assert_eq!(events, [binary(&message)]);
            client.shrink();
        }
    }
}

#[test]
fn x_27_a_client_that_insists() {
    let config = with_deflate(Deflate::client().with_required(true));
    let mut conn = connection_with(Role::Client, &config, Negotiated::new());
    assert_eq!(conn.state(), State::Closing);
    assert_eq!(conn.send("x"), Err(SendError::NotOpen));
    let frames = parse(Role::Client, &drain(&mut conn));
    let reason = [&1010u16.to_be_bytes()[..], b"permessage-deflate"].concat();
    assert_eq!(brief(&frames), [(0x88, &*reason)]);
    let mut events = Vec::new();
    receive(&mut conn, START, &hex("8802 03f2"), &mut events).unwrap();
    assert_eq!(events, [close(1010, "")]);
    assert_eq!(
        conn.peer_close().unwrap().code(),
        CloseCode::EXTENSION_REQUIRED
    );

    let agreed = Negotiated::new().with_deflate(DeflateParams::new());
    let mut conn = connection_with(Role::Client, &config, agreed);
    assert_eq!(conn.state(), State::Open);
    assert_eq!(drain(&mut conn), []);
    // A server has nothing to insist on.
    let conn = connection_with(Role::Server, &config, Negotiated::new());
    assert_eq!(conn.state(), State::Open);
}
