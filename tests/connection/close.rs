//! HARDENING C: the closing handshake, and failures.

use std::time::Duration;

use sockeye::{
    CloseCode, Config, Connection, Error, Initiator, Instant, ProtocolError, SendError, State,
    Timeout, Timeouts, Transport,
};

use crate::pair::{PACES, Pair, Side};
use crate::wire::*;

const NORMAL: CloseCode = CloseCode::NORMAL;
/// The default close timeout.
const TIMEOUT: Duration = Duration::from_secs(5);

fn code(code: u16) -> CloseCode {
    code.into()
}

#[test]
fn c_01_empty() {
    accepts(BOTH, &hex("8800"), &[close(1005, "")]);
}

#[test]
fn c_02_c_03_code_and_reason() {
    accepts(BOTH, &hex("8802 03E8"), &[close(1000, "")]);
    accepts(BOTH, &hex("8807 03E8 68656c6c6f"), &[close(1000, "hello")]);
}

#[test]
fn c_04_the_longest_reason() {
    let reason = "r".repeat(123);
    let input = frame(0x88, [b"\x03\xE8", reason.as_bytes()].concat());
    accepts(BOTH, &input, &[close(1000, &reason)]);
}

#[test]
fn c_05_half_a_code() {
    fails(BOTH, &hex("8801 03"), &[], ProtocolError::CloseLength);
}

#[test]
fn c_06_too_long() {
    fails(BOTH, &hex("887E 007E"), &[], ProtocolError::ControlTooLong);
}

#[test]
fn c_07_c_08_reasons_are_text() {
    accepts(BOTH, &hex("8804 03E8 CEBA"), &[close(1000, "κ")]);
    for input in [
        "8805 03E8 EDA080",
        "8804 03E8 C328",
        "8804 03E8 E282",
        "8803 03E8 FF",
    ] {
        fails(BOTH, &hex(input), &[], Error::InvalidUtf8);
    }
}

#[test]
fn c_10_to_c_13_invalid_codes() {
    for number in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        let error = ProtocolError::CloseCode(code(number));
        fails(BOTH, &frame(0x88, number.to_be_bytes()), &[], error);
    }
}

#[test]
fn c_14_valid_codes_are_echoed() {
    for number in (1000..=1003u16)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        accepts(
            BOTH,
            &frame(0x88, number.to_be_bytes()),
            &[close(number, "")],
        );
    }
}

#[test]
fn c_15_what_cannot_be_sent() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        for number in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            let error = Err(SendError::InvalidCloseCode);
            assert_eq!(conn.close(START, code(number), ""), error);
        }
        let error = Err(SendError::ControlTooLong);
        assert_eq!(conn.close(START, NORMAL, &"r".repeat(124)), error);
        assert_eq!(
            (conn.state(), conn.queued(), conn.poll_timeout()),
            (State::Open, 0, None)
        );

        // 6455-7.4.1-01: all others can, each in its own right.
        for number in (1000..=1003).chain(1007..=1014).chain([3000, 4999]) {
            let mut conn = connection(*role, &Config::new());
            let reason = "r".repeat(123);
            conn.close(START, code(number), &reason).unwrap();
            let body = [&number.to_be_bytes(), reason.as_bytes()].concat();
            let sent = parse(*role, &drain(&mut conn));
            assert_eq!(brief(&sent), [(0x88, &body[..])]);
        }
    }
}

#[test]
fn c_20_c_21_after_the_peers_close() {
    let rest = [
        "8105 48656c6c6f",
        "8901 70",
        "FFFF FFFF",
        "8802 03E9",
        "83",
        "8101 FF",
    ];
    for rest in rest {
        let input = [hex("8802 03E8"), hex(rest)].concat();
        accepts(BOTH, &input, &[close(1000, "")]);
    }
}

#[test]
fn c_22_both_at_once() {
    for pace in PACES {
        let mut pair = Pair::new(&Config::new(), *pace);
        pair.client.conn.close(START, code(3001), "client").unwrap();
        pair.server.conn.close(START, code(3002), "server").unwrap();
        pair.run();
        assert_eq!(pair.elapsed(), Duration::ZERO);
        for (side, sent, received) in [(&pair.client, 3001, 3002), (&pair.server, 3002, 3001)] {
            assert_eq!(side.frames().len(), 1);
            let closed = side.conn.closed().unwrap();
            assert!(closed.clean);
            assert_eq!(closed.initiator, Initiator::Local);
            assert_eq!(
                (closed.sent, closed.code()),
                (Some(code(sent)), code(received))
            );
        }
        assert_eq!(pair.client.events, [close(3002, "server")]);
    }
}

#[test]
fn c_23_data_between_the_two_close_frames_is_delivered() {
    for pace in PACES {
        let mut pair = Pair::new(&Config::new(), *pace);
        pair.server.conn.send("first").unwrap();
        pair.client.conn.close(START, NORMAL, "bye").unwrap();
        pair.server.conn.send("second").unwrap();
        pair.run();
        assert_eq!(
            pair.client.events,
            [text("first"), text("second"), close(1000, "")]
        );
        assert_eq!(pair.server.events, [close(1000, "bye")]);
        for side in [&pair.client, &pair.server] {
            let closed = side.conn.closed().unwrap();
            assert!(closed.clean && closed.error.is_none());
        }
        // 6455-7.1.5-01, 6455-7.1.6-01: the code and reason received, never those sent.
        let closed = pair.server.conn.closed().unwrap();
        assert_eq!((closed.code(), closed.reason()), (NORMAL, "bye"));
        assert_eq!(closed.initiator, Initiator::Peer);
        let closed = pair.client.conn.closed().unwrap();
        assert_eq!((closed.code(), closed.reason()), (NORMAL, ""));
        assert_eq!(closed.initiator, Initiator::Local);
    }
}

#[test]
fn c_24_a_ping_after_our_close_is_answered() {
    for role in BOTH {
        for size in [1, usize::MAX] {
            let mut conn = connection(*role, &Config::new());
            conn.close(START, NORMAL, "").unwrap();
            let mut output = drain(&mut conn);
            let mut events = Vec::new();
            for input in ["8901 70", "8802 03E8 8901 71"] {
                let outcome = feed_in(&mut conn, &to(*role, &hex(input)), || size);
                assert_eq!(outcome.error, None);
                events.extend(outcome.events);
                output.extend(outcome.output);
            }
            assert_eq!(events, [ping("p"), close(1000, "")]);
            let sent = parse(*role, &output);
            assert_eq!(brief(&sent), [(0x88, &hex("03E8")[..]), (0x8A, b"p")]);
        }
    }
}

#[test]
fn c_26_the_peer_never_answers() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        let now = START + Duration::from_secs(100);
        conn.close(now, NORMAL, "").unwrap();
        drain(&mut conn);
        assert_eq!(conn.poll_timeout(), Some(now + TIMEOUT));
        let just_before = Instant::from_nanos((now + TIMEOUT).as_nanos() - 1);
        assert_eq!(conn.handle_timeout(just_before), Ok(()));
        assert_eq!(
            (conn.state(), conn.transport()),
            (State::Closing, Transport::Open)
        );

        let error = Error::Timeout(Timeout::Close);
        assert_eq!(conn.handle_timeout(now + TIMEOUT), Err(error));
        assert_eq!(
            (conn.state(), conn.transport()),
            (State::Closed, Transport::Close)
        );
        assert_eq!(conn.poll_timeout(), None);
        let closed = conn.closed().unwrap();
        assert_eq!((closed.code(), closed.clean), (CloseCode::ABNORMAL, false));
        assert_eq!((closed.sent, closed.error), (Some(NORMAL), Some(error)));
        // What comes after all is ignored, and repeats the error.
        let mut events = Vec::new();
        let late = to(*role, &hex("8802 03E8"));
        assert_eq!(receive(&mut conn, now, &late, &mut events), Err(error));
        assert_eq!((events.len(), conn.queued()), (0, 0));
        assert_eq!(conn.handle_eof(), Err(error));
    }
}

#[test]
fn c_27_c_28_the_transport_ends_without_a_close() {
    for role in BOTH {
        for before in [
            "",
            "81",
            "8105 4865",
            "0101 61",
            "827E",
            "8901 70",
            "8802",
            "8802 03",
        ] {
            for size in [1, usize::MAX] {
                let mut conn = connection(*role, &Config::new());
                let mut events = Vec::new();
                for read in to(*role, &hex(before)).chunks(size) {
                    receive(&mut conn, START, read, &mut events).unwrap();
                }
                assert!(events.iter().all(|event| *event == ping("p")));
                let count = events.len();
                for _ in 0..2 {
                    assert_eq!(conn.handle_eof(), Err(Error::Eof));
                }
                assert_eq!(
                    (conn.state(), conn.transport()),
                    (State::Closed, Transport::Close)
                );
                assert_eq!((conn.queued(), conn.poll_timeout()), (0, None));
                let closed = conn.closed().unwrap();
                assert_eq!((closed.code(), closed.clean), (CloseCode::ABNORMAL, false));
                assert_eq!((closed.initiator, closed.sent), (Initiator::Peer, None));
                // A partial message does not come late.
                let late = receive(&mut conn, START, &to(*role, &hex(LATER)), &mut events);
                assert_eq!((late, events.len()), (Err(Error::Eof), count));
            }
        }
    }
}

#[test]
fn a5_10_calls_after_the_end_have_nothing_to_do() {
    for role in BOTH {
        for before in ["", "8105 4865", "8802 03E8", "8300"] {
            let mut conn = connection(*role, &Config::new());
            conn.send("queued").unwrap();
            let _ = receive(&mut conn, START, &to(*role, &hex(before)), &mut Vec::new());
            let end = conn.handle_eof();
            drain(&mut conn);
            for _ in 0..3 {
                assert_eq!(conn.handle_eof(), end, "{before}");
                assert_eq!(conn.poll_timeout(), None);
                assert!(conn.poll_transmit().is_none());
                let never = Instant::from_nanos(u64::MAX);
                assert_eq!(conn.handle_timeout(never), Ok(()));
                assert_eq!(conn.transport(), Transport::Close);
            }
        }
    }
}

#[test]
fn c_29_the_transport_ends_before_our_reply_is_sent() {
    for role in BOTH {
        for size in [1, usize::MAX] {
            c_29_in_pieces(*role, size);
        }
    }
}

fn c_29_in_pieces(role: Role, size: usize) {
    let mut conn = connection(role, &Config::new());
    conn.send("accepted").unwrap();
    let input = to(role, &hex("8803 03E9 62"));
    for piece in input.chunks(size) {
        receive(&mut conn, START, piece, &mut Vec::new()).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(conn.handle_eof(), Ok(()));
    }
    // Later input produces nothing.
    let later = to(role, &hex(LATER));
    let mut events = Vec::new();
    receive(&mut conn, START, &later, &mut events).unwrap();
    assert_eq!(events, []);
    // The peer may have shut down its writing side only, so the rest can still be written.
    assert_eq!((conn.state(), conn.closed()), (State::Closing, None));
    let sent = parse(role, &drain(&mut conn));
    assert_eq!(
        brief(&sent),
        [(0x81, &b"accepted"[..]), (0x88, &hex("03E9")[..])]
    );
    assert_eq!(
        (conn.state(), conn.transport()),
        (State::Closed, Transport::Close)
    );
    let closed = conn.closed().unwrap();
    assert_eq!((closed.code(), closed.reason()), (code(1001), "b"));
    assert!(!closed.clean);
}

#[test]
fn c_30_who_closes_the_transport() {
    for role in BOTH {
        for we_begin in [true, false] {
            let mut conn = connection(*role, &Config::new());
            if we_begin {
                conn.close(START, NORMAL, "").unwrap();
                drain(&mut conn);
                assert_eq!(conn.transport(), Transport::Open);
            }
            let input = to(*role, &hex("8802 03E8"));
            receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
            drain(&mut conn);
            assert_eq!(conn.state(), State::Closing);
            match role {
                // 6455-5.5.1-13: the server at once, the client after a while.
                Role::Server => assert_eq!(conn.transport(), Transport::ShutdownWrite),
                Role::Client => assert_eq!(conn.transport(), Transport::Open),
            }
            assert_eq!(conn.poll_timeout(), Some(START + TIMEOUT));
            assert_eq!(conn.handle_timeout(START + TIMEOUT), Ok(()));
            assert_eq!(
                (conn.state(), conn.transport()),
                (State::Closed, Transport::Close)
            );
            assert!(conn.closed().unwrap().clean);
        }
    }
}

#[test]
fn c_31_a_failure_never_cuts_a_frame() {
    // Data that was accepted goes first, however much of it was written before.
    for role in BOTH {
        for size in [3, 300, 5000, 70_000] {
            for written in [1, 2, 5, size / 2 + 1] {
                let mut conn = connection(*role, &Config::new().with_max_fragment(None));
                conn.send(vec![7; size]).unwrap();
                conn.send(vec![8; size]).unwrap();
                let mut output =
                    crate::pair::write(&mut conn, crate::pair::Drain::Vectored(written));
                let bad = to(*role, &hex("8901 70 8300"));
                receive(&mut conn, START, &bad, &mut Vec::new()).unwrap_err();
                output.extend(drain(&mut conn));
                let sent = parse(*role, &output);
                let mut payloads = sent.iter().map(|frame| frame.payload[0]);
                assert!(payloads.by_ref().eq([7, b'p', 8, 3]), "{size} {written}");
            }
        }
    }
}

#[test]
fn c_31_a_failure_replaces_our_own_close() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        conn.send("kept").unwrap();
        conn.close(START, NORMAL, "replaced").unwrap();
        receive(&mut conn, START, &to(*role, &hex("8300")), &mut Vec::new()).unwrap_err();
        let sent = parse(*role, &drain(&mut conn));
        assert_eq!(
            brief(&sent),
            [(0x81, &b"kept"[..]), (0x88, &hex("03EA")[..])]
        );
        conn.handle_eof().unwrap_err();
        assert_eq!(conn.closed().unwrap().sent, Some(CloseCode::PROTOCOL_ERROR));

        // But there is only one Close frame: once the first has begun to leave, it is the one.
        for written in [1, 2, 4, usize::MAX] {
            let mut conn = connection(*role, &Config::new());
            conn.close(START, NORMAL, "").unwrap();
            let mut output = crate::pair::write(&mut conn, crate::pair::Drain::Chunk(written));
            receive(&mut conn, START, &to(*role, &hex("8300")), &mut Vec::new()).unwrap_err();
            output.extend(drain(&mut conn));
            let sent = parse(*role, &output);
            assert_eq!(brief(&sent), [(0x88, &hex("03E8")[..])]);
            assert_eq!(conn.transport(), Transport::ShutdownWrite);
        }
    }
}

/// Everything that sends is refused.
fn assert_nothing_can_be_sent(conn: &mut Connection) {
    use sockeye::Kind::Text;
    let queued = conn.queued();
    assert_eq!(conn.send("x"), Err(SendError::NotOpen));
    let refused = conn.send_fragment(Text, &b"x"[..], true);
    assert_eq!(refused, Err(SendError::NotOpen));
    assert_eq!(conn.ping(b""), Err(SendError::NotOpen));
    assert_eq!(conn.pong(b""), Err(SendError::NotOpen));
    assert_eq!(conn.close(START, NORMAL, ""), Err(SendError::NotOpen));
    assert_eq!(conn.queued(), queued);
}

#[test]
fn c_32_nothing_is_sent_after_the_end_began() {
    for role in BOTH {
        for input in ["8802 03E8", "8300"] {
            let mut conn = connection(*role, &Config::new());
            let _ = receive(&mut conn, START, &to(*role, &hex(input)), &mut Vec::new());
            assert_nothing_can_be_sent(&mut conn);
            drain(&mut conn);
            assert_nothing_can_be_sent(&mut conn);
            let _ = conn.handle_eof();
            assert_nothing_can_be_sent(&mut conn);
        }
        let mut conn = connection(*role, &Config::new());
        conn.close(START, NORMAL, "").unwrap();
        assert_nothing_can_be_sent(&mut conn);
        let mut conn = connection(*role, &Config::new());
        conn.handle_eof().unwrap_err();
        assert_nothing_can_be_sent(&mut conn);
    }
}

#[test]
fn an_unfinished_message_is_abandoned_at_the_close() {
    // 6455-6.1-03
    for pace in PACES {
        let mut pair = Pair::new(&Config::new(), *pace);
        pair.client
            .conn
            .send_fragment(sockeye::Kind::Text, &b"never"[..], false)
            .unwrap();
        pair.client.conn.close(START, NORMAL, "").unwrap();
        let refused = pair
            .client
            .conn
            .send_fragment(sockeye::Kind::Text, &b"more"[..], true);
        assert_eq!(refused, Err(SendError::NotOpen));
        pair.run();
        assert_eq!(pair.server.events, [close(1000, "")]);
        assert!(pair.server.conn.closed().unwrap().clean);
    }
}

#[test]
fn a_failure_ends_both_sides() {
    for pace in PACES {
        for role in BOTH {
            let mut pair = Pair::new(&Config::new(), *pace);
            let (good, _) = pair.sides(*role);
            // What the peer cannot send itself: a frame with a reserved opcode.
            good.inbox = to(*role, &hex("8101 61 8300 8101 62"));
            pair.run();
            // The side that failed waits for the end of the transport, not for a Close frame.
            let (failed, peer) = pair.sides(*role);
            assert_eq!(failed.events, [text("a")]);
            assert_eq!(failed.error, Some(ProtocolError::ReservedOpcode.into()));
            assert_eq!(peer.events, [close(1002, "")]);
            assert_eq!(failed.frames().len(), 1);
            assert_closed(failed, CloseCode::ABNORMAL);
            assert_closed(peer, CloseCode::PROTOCOL_ERROR);
            assert!(!failed.conn.closed().unwrap().clean);
        }
    }
}

fn assert_closed(side: &Side, code: CloseCode) {
    assert!(side.is_closed());
    assert_eq!(side.conn.closed().unwrap().code(), code);
}

#[test]
fn a_failed_side_does_not_wait_forever() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        let error =
            receive(&mut conn, START, &to(*role, &hex("8300")), &mut Vec::new()).unwrap_err();
        assert_eq!(conn.poll_timeout(), Some(START + TIMEOUT));
        assert_eq!(conn.handle_timeout(START + TIMEOUT), Ok(()));
        assert_eq!(
            (conn.state(), conn.transport()),
            (State::Closed, Transport::Close)
        );
        let closed = conn.closed().unwrap();
        assert_eq!((closed.error, closed.clean), (Some(error), false));
        assert_eq!(closed.sent, Some(CloseCode::PROTOCOL_ERROR));
        assert_eq!(conn.queued(), 0);
        assert_eq!(conn.handle_eof(), Err(error));
    }
}

#[test]
fn t_02_close_timeouts() {
    let config = |close| Config::new().with_timeouts(Timeouts::new().with_close(close));
    for role in BOTH {
        let mut conn = connection(*role, &config(None));
        conn.close(START, NORMAL, "").unwrap();
        assert_eq!(conn.poll_timeout(), None);
        for (timeout, deadline) in [
            (Duration::ZERO, START + Duration::from_millis(1)),
            (Duration::MAX, Instant::from_nanos(u64::MAX)),
        ] {
            let mut conn = connection(*role, &config(Some(timeout)));
            assert_eq!(conn.poll_timeout(), None);
            conn.close(START, NORMAL, "").unwrap();
            assert_eq!(conn.poll_timeout(), Some(deadline));
            assert_eq!(
                conn.handle_timeout(deadline),
                Err(Error::Timeout(Timeout::Close))
            );
        }
        // The first Close frame of either side starts the clock; the second does not set it back.
        let mut conn = connection(*role, &config(Some(TIMEOUT)));
        conn.close(START, NORMAL, "").unwrap();
        let later = START + Duration::from_secs(3);
        receive(&mut conn, later, &to(*role, &hex("8800")), &mut Vec::new()).unwrap();
        assert_eq!(conn.poll_timeout(), Some(START + TIMEOUT));
        // Nor does a failure.
        let mut conn = connection(*role, &config(Some(TIMEOUT)));
        conn.close(START, NORMAL, "").unwrap();
        let later = START + Duration::from_secs(3);
        let bad = to(*role, &hex("8300"));
        receive(&mut conn, later, &bad, &mut Vec::new()).unwrap_err();
        assert_eq!(conn.poll_timeout(), Some(START + TIMEOUT));
    }
}

#[test]
fn p_09_a_peer_that_stopped_reading_is_not_waited_for_forever() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        conn.send("stuck").unwrap();
        let input = to(*role, &hex("8802 03E8"));
        receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
        assert!(conn.queued() > 0);
        let error = Error::Timeout(Timeout::Close);
        assert_eq!(conn.handle_timeout(START + TIMEOUT), Err(error));
        assert_eq!((conn.queued(), conn.transport()), (0, Transport::Close));
        assert!(!conn.closed().unwrap().clean);
    }
}

/// A peer that closes and shuts down its writing side may still wait for answers.
#[test]
fn output_that_waits_outlives_the_end_of_input() {
    let mut conn = connection(Role::Server, &Config::new());
    conn.send("hi").unwrap();
    let input = to(Role::Server, &hex("8802 03E8"));
    receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
    conn.handle_eof().unwrap();
    assert_eq!(conn.state(), State::Closing);
    assert_eq!(conn.transport(), Transport::ShutdownWrite);
    assert!(conn.poll_timeout().is_some());
    assert_eq!(drain(&mut conn), b"\x81\x02hi\x88\x02\x03\xE8");
    assert_eq!(conn.transport(), Transport::Close);
    assert_eq!(conn.poll_timeout(), None);
    let closed = conn.closed().unwrap();
    assert!(!closed.clean && closed.error.is_none(), "{closed:?}");
}

#[test]
fn abort_ends_at_once() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        conn.send("never sent").unwrap();
        conn.abort();
        assert_eq!(conn.state(), State::Closed);
        assert_eq!(conn.transport(), Transport::Close);
        assert_eq!((conn.queued(), conn.poll_timeout()), (0, None));
        let closed = conn.closed().unwrap();
        assert!(!closed.clean);
        assert_eq!(closed.initiator, Initiator::Local);
    }
}
