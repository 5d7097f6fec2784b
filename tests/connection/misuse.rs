//! HARDENING T: every call in every state, and clocks that are wrong. A misuse is refused and
//! changes nothing.

use std::time::Duration;

use sockeye::{
    CloseCode, Config, Connection, Deflate, Delivery, Error, Event, Instant, Kind, Limits,
    SendError, State, Timeouts,
};

use crate::wire::*;

#[test]
fn t_01_spurious_timeouts() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        for millis in [0, 1, 1_000_000, 5, 0, u64::MAX] {
            assert_eq!(conn.handle_timeout(Instant::from_millis(millis)), Ok(()));
            assert_eq!((conn.poll_timeout(), conn.state()), (None, State::Open));
        }
        let now = START + Duration::from_secs(60);
        conn.close(now, CloseCode::NORMAL, "").unwrap();
        let deadline = conn.poll_timeout();
        for millis in [60_000, 0, 65_000, 1, 65_000] {
            assert_eq!(conn.handle_timeout(Instant::from_millis(millis)), Ok(()));
            assert_eq!(
                (conn.poll_timeout(), conn.state()),
                (deadline, State::Closing)
            );
        }
        // A clock that goes backwards, once a deadline is set.
        receive(
            &mut conn,
            Instant::from_nanos(0),
            &to(*role, &hex("8800")),
            &mut Vec::new(),
        )
        .unwrap();
        assert_eq!(conn.poll_timeout(), deadline);
    }
}

#[test]
fn fragments_and_messages_do_not_mix() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        conn.send_fragment(Kind::Binary, &b"a"[..], false).unwrap();
        let queued = conn.queued();
        let unsent = conn.try_send("whole").unwrap_err();
        assert_eq!(unsent.error, SendError::MessageInProgress);
        assert_eq!(conn.send("whole"), Err(SendError::MessageInProgress));
        assert_eq!(unsent.value.as_text(), Some("whole"));
        let refused = conn.send_fragment(Kind::Text, &b"t"[..], true);
        assert_eq!(refused, Err(SendError::KindMismatch));
        assert_eq!(conn.queued(), queued);

        // 6455-5.4-04: control frames do. 6455-6.1-07: the last fragment may be empty.
        conn.ping(b"between").unwrap();
        conn.send_fragment(Kind::Binary, &b""[..], true).unwrap();
        conn.send("whole").unwrap();
        let sent = parse(*role, &drain(&mut conn));
        let expected: [(u8, &[u8]); 4] = [
            (0x89, b"between"),
            (0x02, b"a"),
            (0x80, b""),
            (0x81, b"whole"),
        ];
        assert_eq!(brief(&sent), expected);
    }
}

#[test]
fn control_payloads_have_a_limit() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        assert_eq!(conn.ping(&[0; 126]), Err(SendError::ControlTooLong));
        assert_eq!(conn.pong(&[0; 126]), Err(SendError::ControlTooLong));
        assert_eq!(conn.queued(), 0);
        conn.ping(&[1; 125]).unwrap();
        conn.pong(&[2; 125]).unwrap();
        conn.pong(&[]).unwrap();
        let sent = parse(*role, &drain(&mut conn));
        assert_eq!(
            brief(&sent),
            [(0x89, &[1; 125][..]), (0x8A, &[2; 125]), (0x8A, &[])]
        );
    }
}

/// Brings a connection into a state.
type Reach = fn(&mut Connection, Role);

const STATES: &[Reach] = &[
    |_, _| {},
    |conn, role| feed(conn, role, "8105 4865"),
    |conn, role| feed(conn, role, "0101 61 8905 70"),
    |conn, _| conn.send_fragment(Kind::Text, &b"x"[..], false).unwrap(),
    |conn, _| conn.close(START, CloseCode::NORMAL, "").unwrap(),
    |conn, role| feed(conn, role, "8802 03E8"),
    |conn, role| feed(conn, role, "8300"),
    |conn, _| ignore(conn.handle_eof()),
    |conn, role| {
        feed(conn, role, "8802 03E8");
        let _ = conn.handle_timeout(Instant::from_nanos(u64::MAX));
    },
];

fn feed(conn: &mut Connection, role: Role, input: &str) {
    let _ = receive(conn, START, &to(role, &hex(input)), &mut Vec::new());
}

#[test]
fn t_03_every_call_in_every_state() {
    let calls: &[Reach] = &[
        |conn, role| feed(conn, role, "8105 48656c6c6f"),
        |conn, role| feed(conn, role, "8901 70"),
        |conn, role| feed(conn, role, "8802 03E8"),
        |conn, role| feed(conn, role, "8300"),
        |conn, role| feed(conn, role, ""),
        |conn, _| ignore(conn.handle_eof()),
        |conn, _| ignore(conn.handle_timeout(START)),
        |conn, _| ignore(conn.handle_timeout(Instant::from_nanos(u64::MAX))),
        |conn, _| ignore(conn.send("text")),
        |conn, _| ignore(conn.send(vec![0; 10_000])),
        |conn, _| ignore(conn.send_fragment(Kind::Text, &b"x"[..], false)),
        |conn, _| ignore(conn.send_fragment(Kind::Text, &b"x"[..], true)),
        |conn, _| ignore(conn.ping(b"ping")),
        |conn, _| ignore(conn.pong(b"pong")),
        |conn, _| ignore(conn.close(START, CloseCode::NORMAL, "reason")),
        |conn, _| ignore(drain(conn)),
        |conn, _| conn.take_transmit(&mut Vec::new()),
        |conn, _| ignore(crate::pair::write(conn, crate::pair::Drain::Chunk(1))),
    ];
    for role in BOTH {
        for reach in STATES {
            for first in calls {
                for second in calls {
                    let mut conn = connection(*role, &Config::new());
                    reach(&mut conn, *role);
                    for call in [first, second] {
                        call(&mut conn, *role);
                        assert_consistent(&mut conn);
                    }
                }
            }
        }
    }
}

#[test]
fn t_06_extreme_settings() {
    let deflate = |number: u8| {
        Deflate::client()
            .with_level(number)
            .with_mem_level(number)
            .with_send_window_bits(number)
            .with_receive_window_bits(number)
            .with_threshold(usize::from(number))
    };
    for number in [0, 255] {
        let set = deflate(number);
        assert!((1..=9).contains(&set.level()) && (1..=9).contains(&set.mem_level()));
        for bits in [set.send_window_bits(), set.receive_window_bits()] {
            assert!((9..=15).contains(&bits));
        }
    }
    let nothing = Limits::new()
        .with_max_frame_size(0)
        .with_max_message_size(0)
        .with_max_inflate_ratio(Some(0))
        .with_max_queued(0);
    let everything = Limits::new()
        .with_max_frame_size(u64::MAX)
        .with_max_message_size(u64::MAX)
        .with_max_inflate_ratio(Some(u32::MAX))
        .with_max_queued(usize::MAX);
    let timeouts = [None, Some(Duration::ZERO), Some(Duration::MAX)];
    for limits in [nothing, everything] {
        for timeout in timeouts {
            for number in [0, 255] {
                for delivery in [Delivery::Messages, Delivery::Chunks] {
                    let config = Config::new()
                        .with_limits(limits.clone())
                        .with_timeouts(Timeouts::new().with_close(timeout))
                        .with_delivery(delivery)
                        .with_deflate(deflate(number).with_idle_release(timeout));
                    extremes(&config, limits.max_message_size() > 0);
                }
            }
        }
    }
}

/// Both ends send each other a message, which is taken or too large, and close.
fn extremes(config: &Config, has_room: bool) {
    let far = Instant::from_nanos(u64::MAX);
    for role in BOTH {
        let mut conn = connection(*role, config);
        conn.send("a message that is long enough to be compressed by all".repeat(9))
            .unwrap();
        assert_eq!(conn.has_room(), has_room);
        drain(&mut conn);
        let mut events = Vec::new();
        for (message, payload) in [(0x81, b"Hello".to_vec()), (0xC1, hex("f248cdc9c90700"))] {
            let mut conn = connection(*role, config);
            let input = to(*role, &frame(message, payload));
            let result = receive(&mut conn, far, &input, &mut events);
            assert_eq!(result.is_ok(), has_room, "{result:?}");
        }
        assert_eq!(join(events).len(), if has_room { 2 } else { 0 });

        conn.close(START, CloseCode::NORMAL, "").unwrap();
        drain(&mut conn);
        let mut ended = Ok(());
        for _ in 0..5 {
            if let Some(deadline) = conn.poll_timeout() {
                let result = conn.handle_timeout(deadline);
                ended = ended.and(result);
            }
        }
        let waits = config.timeouts().close().is_none();
        assert_eq!((ended.is_ok(), conn.poll_timeout()), (waits, None));
    }
}

/// What the getters say fits together.
fn assert_consistent(conn: &mut Connection) {
    use sockeye::Transport;
    assert_eq!(conn.state() == State::Closed, conn.closed().is_some());
    assert_eq!(
        conn.state() == State::Closed,
        conn.transport() == Transport::Close
    );
    match conn.state() {
        State::Open => assert_eq!(
            (conn.transport(), conn.poll_timeout()),
            (Transport::Open, None)
        ),
        State::Closing => assert!(conn.poll_timeout().is_some()),
        State::Closed => assert_eq!((conn.queued(), conn.poll_timeout()), (0, None)),
        other => panic!("{other:?}"),
    }
    assert_eq!(conn.queued() > 0, conn.poll_transmit().is_some());
    assert!(!format!("{conn:?}").is_empty());
}

#[test]
fn split_halves_behave_like_the_whole() {
    for role in BOTH {
        let mut input = to(*role, &hex("8105 48656c6c6f 8901 70 8802 03E8"));
        let (mut receiver, mut sender) = connection(*role, &Config::new()).into_split();
        let mut read = sockeye::Input::new(&mut input);
        let mut events = Vec::new();
        while let Some(event) = receiver.receive(START, &mut read).unwrap() {
            sender.respond(START, &event);
            events.push(Got::from(event));
        }
        assert_eq!(events, [text("Hello"), ping("p"), close(1000, "")]);
        let mut segments = Vec::new();
        sender.take_transmit(&mut segments);
        let sent = parse(*role, &segments.concat());
        assert_eq!(brief(&sent), [(0x8A, &b"p"[..]), (0x88, &hex("03E8")[..])]);
        assert_eq!(sender.handle_eof(), Ok(()));
        assert!(sender.closed().unwrap().clean);

        let mut input = to(*role, &hex("8300"));
        let (mut receiver, mut sender) = connection(*role, &Config::new()).into_split();
        let error = receiver
            .receive(START, &mut sockeye::Input::new(&mut input))
            .unwrap_err();
        for _ in 0..2 {
            sender.fail(START, error);
            assert_eq!(
                (sender.state(), sender.error()),
                (State::Closing, Some(error))
            );
        }
        sender.take_transmit(&mut segments);
        assert_eq!(
            brief(&parse(*role, &segments.pop().unwrap())),
            [(0x88, &hex("03EA")[..])]
        );
    }
}

#[test]
fn a_sending_half_is_not_misled_by_late_reports() {
    let close = |role| {
        let mut input = to(role, &hex("8802 03E9"));
        let (mut receiver, _) = connection(role, &Config::new()).into_split();
        let event = receiver.receive(START, &mut sockeye::Input::new(&mut input));
        event.unwrap().unwrap().into_owned()
    };
    for role in BOTH {
        let closed = close(*role);
        let ends: &[fn(&mut sockeye::Sender, &Event<'_>)] = &[
            |sender, close| sender.respond(START, close),
            |sender, _| sender.fail(START, Error::InvalidUtf8),
            |sender, _| ignore(sender.handle_eof()),
        ];
        for end in ends {
            let (_, mut sender) = connection(*role, &Config::new()).into_split();
            end(&mut sender, &closed);
            let before = (sender.queued(), sender.state(), sender.error());
            sender.respond(START, &Event::Ping(b"late"[..].into()));
            sender.respond(START, &closed);
            assert_eq!((sender.queued(), sender.state(), sender.error()), before);
        }
        // No receiver reports this.
        let (_, mut sender) = connection(*role, &Config::new()).into_split();
        sender.respond(START, &Event::Ping([0; 126][..].into()));
        assert_eq!(sender.queued(), 0);
    }
}
