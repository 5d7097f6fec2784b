//! HARDENING P and M: output, its order and bounds, and masking.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Buf, Bytes};
use sockeye::{CloseCode, Config, Connection, Input, Limits, Message, Negotiated, SendError};

use crate::pair::{Drain, PACES, Pair, write};
use crate::wire::*;

const DRAINS: &[Drain] = &[
    Drain::Chunk(1),
    Drain::Chunk(3),
    Drain::Chunk(usize::MAX),
    Drain::Vectored(1),
    Drain::Vectored(17),
    Drain::Vectored(5000),
    Drain::Vectored(usize::MAX),
    Drain::Take,
];

/// Drains everything, always in the same way.
fn drain_as(conn: &mut Connection, drain: Drain) -> Vec<u8> {
    let mut output = Vec::new();
    while conn.queued() > 0 {
        output.extend(write(conn, drain));
    }
    output
}

#[test]
fn messages_of_every_size_and_owner_arrive() {
    let sizes = [
        0, 1, 125, 126, 4095, 4096, 4097, 16_384, 65_535, 65_536, 200_000,
    ];
    for pace in PACES {
        if pace.read < 100 {
            continue;
        }
        let mut pair = Pair::new(&Config::new(), *pace);
        let mut expected = Vec::new();
        for role in [Role::Client, Role::Server] {
            expected.clear();
            for size in sizes {
                let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
                let (side, _) = pair.sides(role);
                side.conn.send(&bytes[..]).unwrap();
                side.conn.send(bytes.clone()).unwrap();
                side.conn.send(Bytes::from(bytes.clone())).unwrap();
                side.conn.send("t".repeat(size)).unwrap();
                expected.extend([
                    binary(&bytes),
                    binary(&bytes),
                    binary(&bytes),
                    text(&"t".repeat(size)),
                ]);
                pair.run();
            }
        }
        assert_eq!(pair.server.events, expected);
        assert_eq!(pair.client.events, expected);
    }
}

/// What waits at the most while nothing is read.
const MAX_PENDING: usize = 299;

/// Numbers that look random, and are the same each time (Knuth's MMIX).
fn numbers() -> impl FnMut(u64) -> usize {
    let mut state = 1_u64;
    move |end| {
        let next = state.wrapping_mul(6_364_136_223_846_793_005);
        state = next.wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % end) as usize
    }
}

/// Pings of all sizes: in most runs of them one size is more frequent than others.
fn pings_of_mixed_sizes(mut number: impl FnMut(u64) -> usize) -> Vec<u8> {
    let (usual, seldom) = (number(126), 1 + number(50));
    let mut pings = Vec::new();
    for _ in 0..100 {
        let size = match number(seldom as u64) {
            0 => [0, 125, number(126)][number(3)],
            _ => usual,
        };
        pings.extend(frame(0x89, &[b'p'; 125][..size]));
    }
    pings
}

/// A peer that sends pings and never reads costs less than 300 bytes.
#[test]
fn p_01_a_million_pings_to_a_peer_that_never_reads() {
    for role in BOTH {
        let mut number = numbers();
        let mut conn = connection(*role, &Config::new());
        let mut batches: Vec<_> = (0..100)
            .map(|_| to(*role, &pings_of_mixed_sizes(&mut number)))
            .collect();
        batches[0] = to(*role, &frame(0x89, [b'p'; 125])).repeat(100);
        for _ in 0..10_000 {
            let mut read = batches[number(100)].clone();
            let mut input = Input::new(&mut read);
            while conn.receive(START, &mut input).unwrap().is_some() {
                assert!(conn.queued() <= MAX_PENDING, "{}", conn.queued());
            }
        }
    }
}

/// The answers to many empty pings and then one long one made 383 bytes: a short answer went to make
/// room for one that was much longer.
#[test]
fn regression_a_long_pong_took_the_place_of_a_short_one() {
    for role in BOTH {
        for (few, many) in [(0, 125), (1, 124), (30, 125)] {
            let mut conn = connection(*role, &Config::new());
            let short = frame(0x89, &[0; 125][..few]).repeat(200);
            let input = [short, frame(0x89, &[0; 125][..many])].concat();
            receive(&mut conn, START, &to(*role, &input), &mut Vec::new()).unwrap();
            assert!(conn.queued() <= MAX_PENDING, "{}", conn.queued());
            let sent = parse(*role, &drain(&mut conn));
            assert_eq!(sent.last().unwrap().payload.len(), many);
        }
    }
}

/// However little of it the peer takes at times.
#[test]
fn p_01_mixed_pings_to_a_peer_that_reads_little() {
    let mut number = numbers();
    for _ in 0..200 {
        for role in BOTH {
            let mut conn = connection(*role, &Config::new());
            let mut output = Vec::new();
            let mut input = to(*role, &pings_of_mixed_sizes(&mut number));
            let mut input = Input::new(&mut input);
            while conn.receive(START, &mut input).unwrap().is_some() {
                assert!(conn.queued() <= MAX_PENDING, "{}", conn.queued());
                if number(10) == 0 {
                    output.extend(write(&mut conn, Drain::Chunk(1 + number(200))));
                }
            }
            output.extend(drain(&mut conn));
            assert!(parse(*role, &output).iter().all(|pong| pong.first == 0x8A));
        }
    }
}

#[test]
fn p_01_a_flood_of_pings_costs_a_few_pongs() {
    for role in BOTH {
        for begun in [0, 1, 2, 60] {
            let mut conn = connection(*role, &Config::new());
            let mut output = Vec::new();
            for number in 0..1000u32 {
                let payload = [&number.to_be_bytes()[..], &[0; 121]].concat();
                let input = to(*role, &frame(0x89, payload));
                receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
                if number == 500 && begun > 0 {
                    output.extend(write(&mut conn, Drain::Chunk(begun)));
                }
                assert!(conn.queued() <= MAX_PENDING);
            }
            output.extend(drain(&mut conn));
            let sent = parse(*role, &output);
            let number = |pong: &Sent| u32::from_be_bytes(*pong.payload.first_chunk().unwrap());
            let numbers: Vec<_> = sent.iter().map(number).collect();
            assert!(sent.iter().all(|pong| pong.first == 0x8A));
            assert!(numbers.is_sorted() && numbers.starts_with(&[0]));
            assert_eq!(numbers.last(), Some(&999));
        }
    }
}

#[test]
fn pings_that_come_together_are_all_answered() {
    // As Autobahn case 2.10 has it.
    for role in BOTH {
        let pings: Vec<_> = (0..10u8).map(|number| frame(0x89, [number; 8])).collect();
        let events: Vec<_> = (0..10u8).map(|number| ping([number; 8])).collect();
        accepts(&[*role], &pings.concat(), &events);
    }
}

#[test]
fn p_01_the_applications_own_are_not_replaced() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        let mut own = 0;
        for _ in 0..1000 {
            own += usize::from(conn.ping(b"own").is_ok());
            let input = to(*role, &frame(0x89, [0; 100]));
            receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
        }
        let sent = parse(*role, &drain(&mut conn));
        assert!(own > 0);
        assert_eq!(
            sent.iter().filter(|frame| frame.payload == b"own").count(),
            own
        );
        assert_eq!(sent.last().unwrap().first, 0x8A);
    }
}

#[test]
fn p_03_a_pong_has_room_when_data_has_none() {
    let config = Config::new().with_limits(Limits::new().with_max_queued(10));
    for role in BOTH {
        let mut conn = connection(*role, &config);
        conn.send("twelve bytes").unwrap();
        assert_eq!(conn.send("x"), Err(SendError::Full));
        assert!(!conn.has_room());
        while conn.ping(&[0; 125]).is_ok() {}
        let input = to(*role, &hex("8901 70"));
        receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
        let sent = parse(*role, &drain(&mut conn));
        let pong = &sent[sent.len() - 2];
        assert_eq!((pong.first, &*pong.payload), (0x8A, &b"p"[..]));
        assert_eq!(sent.last().unwrap().payload, b"twelve bytes");
    }
}

#[test]
fn p_04_p_05_pongs_are_only_told() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        conn.ping(b"mine").unwrap();
        drain(&mut conn);
        let mut events = Vec::new();
        let pongs = to(*role, &hex("8A04 6d696e65 8A04 6d696e65 8A00 8A01 78"));
        receive(&mut conn, START, &pongs, &mut events).unwrap();
        assert_eq!((events.len(), conn.queued()), (4, 0));
        assert_eq!(events[0], Got::Pong(b"mine".into()));
    }
}

#[test]
fn p_06_a_full_queue_hands_the_message_back() {
    let config = Config::new().with_limits(Limits::new().with_max_queued(100));
    for role in BOTH {
        let mut conn = connection(*role, &config);
        assert!(conn.send("a".repeat(50)).is_ok());
        // The message that reaches the mark is still taken.
        conn.send("b".repeat(50_000)).unwrap();
        let queued = conn.queued();
        let unsent = conn.try_send("c".repeat(5000)).unwrap_err();
        assert_eq!(unsent.error, SendError::Full);
        assert_eq!(unsent.value, Message::from("c".repeat(5000)));
        let refused = conn.send_fragment(sockeye::Kind::Binary, &b"d"[..], false);
        assert_eq!(refused, Err(SendError::Full));
        assert_eq!(conn.queued(), queued);

        let mut output: Vec<u8> = Vec::new();
        while conn.queued() >= 100 {
            output.extend(write(&mut conn, Drain::Chunk(7)));
        }
        conn.send("e").unwrap();
        output.extend(drain(&mut conn));
        let sent = parse(*role, &output);
        let firsts: Vec<_> = sent.iter().map(|frame| frame.payload[0]).collect();
        assert_eq!(firsts, *b"abe");
    }
    // A mark of nothing lets one message through at a time.
    let nothing = Config::new().with_limits(Limits::new().with_max_queued(0));
    let mut conn = connection(Role::Server, &nothing);
    for _ in 0..3 {
        conn.send("one").unwrap();
        conn.send("two").unwrap_err();
        drain(&mut conn);
    }
}

/// Output with something in every lane, small and large.
fn busy(role: Role) -> Connection {
    let mut conn = connection(role, &Config::new());
    conn.send("small").unwrap();
    conn.send(vec![1; 5000]).unwrap();
    conn.send("").unwrap();
    for _ in 0..50 {
        conn.send("x".repeat(500)).unwrap();
    }
    conn.ping(b"ping").unwrap();
    conn.send(vec![2; 20_000]).unwrap();
    conn.send(&[3; 6000][..]).unwrap();
    conn.pong(b"pong").unwrap();
    conn.send("last").unwrap();
    receive(
        &mut conn,
        START,
        &to(role, &hex("8901 70")),
        &mut Vec::new(),
    )
    .unwrap();
    conn.close(START, CloseCode::NORMAL, "done").unwrap();
    conn
}

#[test]
fn p_07_every_way_to_drain_gives_the_same_bytes() {
    for role in BOTH {
        let whole = drain(&mut busy(*role));
        assert_eq!(parse(*role, &whole).len(), 60);
        for way in DRAINS {
            assert_eq!(drain_as(&mut busy(*role), *way), whole, "{way:?}");
        }
        // Taking what is left of a partial write.
        for written in [1, 5, 20, 3000, 5100, 30_000] {
            let mut conn = busy(*role);
            let mut output = Vec::new();
            while output.len() < written {
                output.extend(write(&mut conn, Drain::Chunk(written - output.len())));
            }
            output.extend(drain_as(&mut conn, Drain::Take));
            assert_eq!(output, whole);
        }
    }
}

#[test]
fn p_08_a_write_of_nothing_changes_nothing() {
    for role in BOTH {
        let whole = drain(&mut busy(*role));
        let mut conn = busy(*role);
        let mut output: Vec<u8> = Vec::new();
        while let Some(mut transmit) = conn.poll_transmit() {
            for _ in 0..3 {
                transmit.advance(0);
            }
            output.extend(&transmit.chunk()[..1]);
            transmit.advance(1);
        }
        assert_eq!(output, whole);
    }
}

#[test]
#[should_panic(expected = "cannot advance past the end")]
fn output_cannot_be_advanced_past_its_end() {
    let mut conn = connection(Role::Server, &Config::new());
    conn.send("x").unwrap();
    conn.poll_transmit().unwrap().advance(4);
}

#[test]
fn p_10_the_close_has_room_and_goes_last() {
    let config = Config::new().with_limits(Limits::new().with_max_queued(1));
    for role in BOTH {
        for by_peer in [true, false] {
            let mut conn = connection(*role, &config);
            conn.send("accepted").unwrap();
            assert_eq!(conn.send("refused"), Err(SendError::Full));
            while conn.ping(b"").is_ok() {}
            match by_peer {
                true => {
                    let input = to(*role, &hex("8802 03E9"));
                    receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
                }
                false => conn.close(START, CloseCode::GOING_AWAY, "").unwrap(),
            }
            let sent = parse(*role, &drain(&mut conn));
            let ends = &brief(&sent)[sent.len() - 2..];
            assert_eq!(ends, [(0x81, &b"accepted"[..]), (0x88, &hex("03E9")[..])]);
        }
    }
}

#[test]
fn pongs_go_ahead_of_data_at_the_next_frame() {
    // 6455-5.5.2-03: never inside a frame, and not behind frames that have not begun.
    for role in BOTH {
        for large in [10, 10_000] {
            for written in [0, 1, 3, 9] {
                let mut conn = connection(*role, &Config::new());
                conn.send("first").unwrap();
                conn.send("second").unwrap();
                conn.send(vec![b'L'; large]).unwrap();
                let mut output = match written {
                    0 => Vec::new(),
                    written => write(&mut conn, Drain::Chunk(written)),
                };
                receive(
                    &mut conn,
                    START,
                    &to(*role, &hex("8901 70")),
                    &mut Vec::new(),
                )
                .unwrap();
                output.extend(drain(&mut conn));
                let sent = parse(*role, &output);
                let position = sent.iter().position(|frame| frame.first == 0x8A).unwrap();
                let begun = match (written, role) {
                    (0, _) => 0,
                    (9, Role::Server) => 2,
                    _ => 1,
                };
                assert_eq!(position, begun, "{role:?}, {written} of {large} written");
            }
        }
    }
}

#[test]
fn m_01_a_fresh_key_for_each_frame() {
    let keys = Keys::default();
    let mut conn = Connection::client(&Config::new(), Negotiated::new(), keys.source(), START);
    let mut output = Vec::new();
    for _ in 0..1000 {
        conn.send("text").unwrap();
        conn.send("").unwrap();
        conn.send(vec![0; 5000]).unwrap();
        conn.send_fragment(sockeye::Kind::Binary, &b"a"[..], false)
            .unwrap();
        conn.send_fragment(sockeye::Kind::Binary, &b""[..], true)
            .unwrap();
        conn.ping(b"").unwrap();
        conn.pong(b"p").unwrap();
        receive(&mut conn, START, &hex("8901 70"), &mut Vec::new()).unwrap();
        // What is refused draws no key.
        conn.ping(&[0; 126]).unwrap_err();
        output.extend(drain(&mut conn));
    }
    conn.close(START, CloseCode::NORMAL, "").unwrap();
    output.extend(drain(&mut conn));
    let mut used: Vec<_> = parse(Role::Client, &output)
        .iter()
        .map(|frame| frame.key.unwrap())
        .collect();
    let mut drawn = keys.drawn();
    assert_eq!(used.len(), 8001);
    used.sort_unstable();
    drawn.sort_unstable();
    assert_eq!(used, drawn);
    drawn.dedup();
    assert_eq!(drawn.len(), 8001);
}

#[cfg(feature = "rand")]
#[test]
fn m_01_random_keys_and_nonces_differ() {
    use sockeye::RandomKeys;

    let keys = RandomKeys::new();
    let mut conn = Connection::client(&Config::new(), Negotiated::new(), keys, START);
    for _ in 0..10_000 {
        conn.send("").unwrap();
    }
    let frames = parse(Role::Client, &drain(&mut conn));
    let keys: HashSet<_> = frames.iter().map(|frame| frame.key.unwrap()).collect();
    // By chance two in a hundred runs have a pair of equal keys, and none has ten.
    assert!(frames.len() == 10_000 && keys.len() > 9990);
    assert_ne!(RandomKeys::nonce(), RandomKeys::nonce());
}

#[test]
fn m_03_the_callers_copy_is_left_alone() {
    for size in [10, 10_000] {
        let shared = Bytes::from(vec![b'x'; size]);
        let mut conn = connection(Role::Client, &Config::new());
        conn.send(shared.clone()).unwrap();
        conn.send(shared.slice(1..)).unwrap();
        assert!(shared.iter().all(|byte| *byte == b'x'));
        let sent = parse(Role::Client, &drain(&mut conn));
        assert_eq!(brief(&sent), [(0x82, &shared[..]), (0x82, &shared[1..])]);
    }
}

#[test]
fn m_04_a_source_that_gives_no_key_sends_nothing() {
    // It can only panic, so there is no key to go on with.
    let sends: &[fn(&mut Connection)] = &[
        |conn| ignore(conn.send("text")),
        |conn| ignore(conn.send(vec![7; 10_000])),
        |conn| ignore(conn.send_fragment(sockeye::Kind::Binary, &b"a"[..], false)),
        |conn| ignore(conn.ping(b"ping")),
        |conn| ignore(conn.close(START, CloseCode::NORMAL, "")),
        |conn| ignore(receive(conn, START, &hex("8901 70"), &mut Vec::new())),
    ];
    for send in sends {
        let source = || -> [u8; 4] { panic!("no entropy") };
        let mut conn = Connection::client(&Config::new(), Negotiated::new(), source, START);
        let attempt = AssertUnwindSafe(|| send(&mut conn));
        assert!(catch_unwind(attempt).is_err());
        assert_eq!(drain(&mut conn), []);
    }
}

#[test]
fn m_05_attackers_do_not_choose_what_is_on_the_wire() {
    let attack = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut conn = connection(Role::Client, &Config::new());
    for size in [1, 200] {
        conn.send(attack.repeat(size)).unwrap();
        conn.send(&attack.repeat(size)[..]).unwrap();
    }
    conn.ping(attack).unwrap();
    let output = drain(&mut conn);
    assert!(output.windows(attack.len()).all(|window| window != attack));
    assert!(output.windows(9).all(|window| window != &attack[..9]));
}
