//! The deadlines of an open connection, on a clock that is only a number.

use core::time::Duration;

use bytes::Buf;
use proptest::prelude::*;
use sockeye::{
    CloseCode, Config, Connection, Delivery, Error, Initiator, Input, Instant, Role, SendError,
    State, Timeout, Timeouts, Transport,
};

use crate::wire::{self, BOTH, START, drain, to};

const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

fn at(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

fn connection(role: wire::Role, timeouts: Timeouts) -> Connection {
    wire::connection(role, &Config::new().with_timeouts(timeouts))
}

fn keep_alive() -> Timeouts {
    Timeouts::new().with_ping(Some(PING)).with_pong(Some(PONG))
}

/// Meets what is due, as a loop would: also what only asks for the time.
fn meet(conn: &mut Connection, now: Instant) -> Result<(), Error> {
    for _ in 0..10 {
        match conn.poll_timeout() {
            Some(deadline) if deadline <= now => conn.handle_timeout(now)?,
            _ => return Ok(()),
        }
        let next = conn.poll_timeout();
        assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
    }
    panic!("it never ends");
}

/// A turn of a loop whose transport takes everything.
fn turn(conn: &mut Connection, now: Instant) -> Result<Vec<u8>, Error> {
    meet(conn, now)?;
    let output = drain(conn);
    meet(conn, now)?;
    Ok(output)
}

fn feed(conn: &mut Connection, now: Instant, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    while conn.receive(now, &mut input).unwrap().is_some() {}
}

/// The unmasked payload of a ping.
fn ping_payload(frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[0], 0x89);
    let len = usize::from(frame[1] & 0x7F);
    match frame[1] & 0x80 {
        0 => frame[2..2 + len].to_vec(),
        _ => {
            let key = &frame[2..6];
            let masked = frame[6..6 + len].iter().zip(key.iter().cycle());
            masked.map(|(byte, key)| byte ^ key).collect()
        }
    }
}

fn pong(role: wire::Role, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    to(role, &[&[0x8A, len], payload].concat())
}

#[test]
fn without_timeouts_there_is_no_deadline() {
    for role in BOTH {
        let mut conn = connection(*role, Timeouts::new());
        assert_eq!(conn.poll_timeout(), None);
        conn.send("waits").unwrap();
        assert_eq!(conn.poll_timeout(), None);
        drain(&mut conn);
        assert_eq!(conn.poll_timeout(), None);
    }
}

#[test]
fn pings_go_out_and_measure_the_round_trip() {
    for role in BOTH {
        let mut conn = connection(*role, keep_alive());
        assert_eq!(conn.poll_timeout(), Some(at(30)));
        assert_eq!(conn.rtt(), None);
        let mut now = START;
        for (number, millis) in [200, 100, 300].into_iter().enumerate() {
            now = conn.poll_timeout().unwrap();
            assert_eq!(now, at(30 * (number as u64 + 1)));
            let frame = turn(&mut conn, now).unwrap();
            let payload = ping_payload(&frame);
            assert_eq!(conn.poll_timeout(), Some(now + PONG));
            let later = now + Duration::from_millis(millis);
            feed(&mut conn, later, &pong(*role, &payload));
            assert_eq!(conn.poll_timeout(), Some(now + PING));
            assert_eq!(conn.rtt().unwrap().last, Duration::from_millis(millis));
            // Again, or to no ping at all: nothing comes of it (P-05).
            let before = conn.rtt();
            feed(&mut conn, later + PONG, &pong(*role, &payload));
            feed(&mut conn, later + PONG, &pong(*role, b"nobody asked"));
            assert_eq!(conn.rtt(), before);
        }
        let rtt = conn.rtt().unwrap();
        assert_eq!(rtt.min, Duration::from_millis(100));
        // 200, then 200 * 7/8 + 100/8, and so on.
        let smoothed = (200.0 * 0.875 + 12.5) * 0.875 + 37.5;
        let difference = rtt.smoothed.as_secs_f64() * 1000.0 - smoothed;
        assert!(difference.abs() < 0.001, "{rtt:?}");
        assert_eq!(conn.state(), State::Open);
        let _last = now;
    }
}

#[test]
fn t_02_a_dead_peer_is_found_in_ping_and_pong_time() {
    for role in BOTH {
        let mut conn = connection(*role, keep_alive());
        turn(&mut conn, at(30)).unwrap();
        assert_eq!(turn(&mut conn, at(49)), Ok(vec![]));
        assert_eq!(conn.poll_timeout(), Some(at(50)));
        let error = Error::Timeout(Timeout::Pong);
        assert_eq!(conn.handle_timeout(at(50)), Err(error));
        assert_eq!(
            (conn.state(), conn.transport()),
            (State::Closed, Transport::Close)
        );
        let closed = conn.closed().unwrap();
        assert_eq!(closed.error, Some(error));
        assert_eq!(closed.expired, Some(Timeout::Pong));
        assert_eq!(closed.initiator, Initiator::Local);
        assert_eq!(closed.since, Some(at(50)));
        assert!(!closed.clean);
        assert_eq!(conn.poll_timeout(), None);
        assert_eq!(conn.handle_timeout(at(5000)), Ok(()));
    }
}

/// A ping that is sent while the one before has no answer must not begin the wait anew. It did, so
/// an interval that was shorter than the deadline never found a dead peer.
#[test]
fn regression_pings_in_short_intervals_put_off_the_deadline() {
    for role in BOTH {
        let timeouts = keep_alive().with_ping(Some(Duration::from_secs(10)));
        let mut conn = connection(*role, timeouts);
        for second in [10, 20] {
            assert!(!turn(&mut conn, at(second)).unwrap().is_empty());
        }
        assert_eq!(conn.poll_timeout(), Some(at(30)));
        let error = Error::Timeout(Timeout::Pong);
        assert_eq!(conn.handle_timeout(at(30)), Err(error));
    }
}

/// Any byte is a sign of life: of a pong, of a message, of half a header.
#[test]
fn any_byte_is_a_sign_of_life() {
    for role in BOTH {
        for bytes in [&b"\x8A"[..], b"\x82\x7E", b"\x81\x03any"] {
            let mut conn = connection(*role, keep_alive());
            turn(&mut conn, at(30)).unwrap();
            let bytes = to(*role, bytes);
            feed(&mut conn, at(49), &bytes[..1]);
            assert_eq!(turn(&mut conn, at(59)), Ok(vec![]));
            assert_eq!(turn(&mut conn, at(60)).unwrap()[0], 0x89, "the next ping");
            assert_eq!(conn.poll_timeout(), Some(at(80)));
        }
        let mut conn = connection(*role, keep_alive());
        turn(&mut conn, at(30)).unwrap();
        conn.confirm_alive();
        assert_eq!(turn(&mut conn, at(59)), Ok(vec![]));
        assert_eq!(conn.state(), State::Open);
    }
}

/// Of the halves of a connection that is split only the events go from one to the other. Only pongs
/// counted as signs of life there, so a peer that talked all the time was taken for dead.
#[test]
fn regression_only_pongs_told_of_life_between_halves() {
    for role in BOTH {
        for event in [
            &b"\x81\x02hi"[..],
            b"\x82\x00",
            b"\x89\x01?",
            b"\x8A\x00",
            b"\x01\x01a",
        ] {
            let config = Config::new()
                .with_timeouts(keep_alive())
                .with_delivery(Delivery::Chunks);
            let (mut receiver, mut sender) = wire::connection(*role, &config).into_split();
            sender.handle_timeout(at(30)).unwrap();
            sender.take_transmit(&mut Vec::new());
            sender.handle_timeout(at(30)).unwrap();
            let mut bytes = to(*role, event);
            let mut input = Input::new(&mut bytes);
            while let Some(event) = receiver.receive(at(40), &mut input).unwrap() {
                sender.respond(at(40), &event);
            }
            assert_eq!(sender.handle_timeout(at(50)), Ok(()), "{role:?} {event:?}");
        }
    }
}

/// The deadline starts when the ping leaves: whoever cannot write has no right to an answer.
#[test]
fn the_pong_is_due_after_the_ping_left() {
    for role in BOTH {
        let mut conn = connection(*role, keep_alive());
        conn.send(vec![1; 100_000]).unwrap();
        let mut output = conn.poll_transmit().unwrap();
        output.advance(10);
        meet(&mut conn, at(30)).unwrap();
        for second in [31, 100, 200] {
            meet(&mut conn, at(second)).unwrap();
            assert_eq!(conn.state(), State::Open, "{second}");
        }
        // Only one ping waits, however long it takes.
        let output = drain(&mut conn);
        let pings = output.len() - (100_000 + if *role == wire::Role::Server { 0 } else { 4 });
        assert!(pings < 20, "{pings}");
        assert!(conn.poll_timeout().unwrap() < START, "it asks for the time");
        meet(&mut conn, at(210)).unwrap();
        assert_eq!(conn.poll_timeout(), Some(at(230)));
        meet(&mut conn, at(229)).unwrap();
        assert_eq!(meet(&mut conn, at(230)), Err(Error::Timeout(Timeout::Pong)));
    }
}

#[test]
fn a_paused_reader_is_not_killed_by_its_own_keep_alive() {
    for role in BOTH {
        let mut conn = connection(*role, keep_alive());
        turn(&mut conn, at(30)).unwrap();
        conn.pause();
        assert_eq!(conn.poll_timeout(), None);
        assert_eq!(turn(&mut conn, at(1000)), Ok(vec![]));
        conn.resume();
        assert_eq!(turn(&mut conn, at(1000)).unwrap()[0], 0x89, "overdue");
        assert_eq!(conn.poll_timeout(), Some(at(1020)));
        assert_eq!(
            meet(&mut conn, at(1020)),
            Err(Error::Timeout(Timeout::Pong))
        );
    }
    // A ping that was under way when reading paused has all its time again.
    let mut conn = connection(wire::Role::Client, keep_alive());
    turn(&mut conn, at(30)).unwrap();
    conn.pause();
    meet(&mut conn, at(45)).unwrap();
    conn.resume();
    meet(&mut conn, at(45)).unwrap();
    meet(&mut conn, at(59)).unwrap();
    assert_eq!(conn.state(), State::Open);
}

/// Over a line that takes longer than the interval of the pings, each answer came after the next
/// ping, and only the answer to the last one counted: so nothing was ever measured.
#[test]
fn regression_pings_faster_than_the_round_trip_measured_nothing() {
    let timeouts = keep_alive().with_ping(Some(Duration::from_secs(1)));
    for role in BOTH {
        let mut conn = connection(*role, timeouts.clone());
        let mut on_the_way = std::collections::VecDeque::new();
        let mut measured = 0;
        for second in 1..20 {
            let frame = turn(&mut conn, at(second)).unwrap();
            on_the_way.push_back(pong(*role, &ping_payload(&frame)));
            if on_the_way.len() > 3 {
                let before = conn.rtt();
                feed(&mut conn, at(second), &on_the_way.pop_front().unwrap());
                measured += u32::from(conn.rtt() != before);
            }
        }
        let rtt = conn.rtt().unwrap();
        let three = Duration::from_secs(3);
        assert_eq!((rtt.last, rtt.min), (three, three));
        assert!(measured > 0);
    }
}

/// A peer may answer the latest ping in place of those before (RFC 6455 section 5.5.3). That
/// measures nothing, since nobody knows for which it waited, but the next one does again.
#[test]
fn an_answer_to_a_later_ping_makes_room_for_the_next() {
    for role in BOTH {
        let mut conn = connection(*role, Timeouts::new());
        let mut payloads = Vec::new();
        for second in 1..4 {
            conn.probe().unwrap();
            let frame = turn(&mut conn, at(second)).unwrap();
            payloads.push(ping_payload(&frame));
        }
        feed(&mut conn, at(5), &pong(*role, b"\0\0\0\x04"));
        feed(&mut conn, at(5), &pong(*role, &payloads[1]));
        feed(&mut conn, at(5), &pong(*role, &payloads[0]));
        feed(&mut conn, at(6), &pong(*role, &payloads[2]));
        assert_eq!(conn.rtt(), None);
        conn.probe().unwrap();
        let frame = turn(&mut conn, at(7)).unwrap();
        feed(&mut conn, at(9), &pong(*role, &ping_payload(&frame)));
        assert_eq!(conn.rtt().unwrap().last, Duration::from_secs(2));
    }
}

#[test]
fn a_probe_measures_without_a_keep_alive() {
    for role in BOTH {
        let mut conn = connection(*role, Timeouts::new());
        conn.probe().unwrap();
        conn.probe().unwrap();
        let frame = turn(&mut conn, at(5)).unwrap();
        let payload = ping_payload(&frame);
        assert!(frame.len() <= 10, "one is enough");
        assert_eq!(
            conn.poll_timeout(),
            None,
            "nobody said how long it may take"
        );
        feed(&mut conn, at(7), &pong(*role, &payload));
        assert_eq!(conn.rtt().unwrap().last, Duration::from_secs(2));
        conn.close(at(8), CloseCode::NORMAL, "").unwrap();
        assert_eq!(conn.probe(), Err(SendError::NotOpen));
        assert!(conn.rtt().is_some(), "to be looked at afterwards");
    }
}

#[test]
fn p_09_output_that_nobody_takes_ends_the_connection() {
    let timeouts = Timeouts::new().with_write(Some(Duration::from_secs(10)));
    for role in BOTH {
        let mut conn = connection(*role, timeouts.clone());
        assert_eq!(conn.poll_timeout(), None);
        conn.send(vec![1; 1000]).unwrap();
        meet(&mut conn, at(1)).unwrap();
        assert_eq!(conn.poll_timeout(), Some(at(11)));
        // Progress, however little, starts it anew.
        for second in [10, 19, 28] {
            let mut output = conn.poll_transmit().unwrap();
            output.advance(1);
            meet(&mut conn, at(second)).unwrap();
            assert_eq!(conn.poll_timeout(), Some(at(second + 10)));
        }
        let rest = drain(&mut conn);
        assert!(!rest.is_empty());
        assert_eq!(conn.poll_timeout(), None);
        meet(&mut conn, at(500)).unwrap();
        // A ping of the peer's is enough to be stuck with.
        feed(&mut conn, at(500), &to(*role, b"\x89\x00"));
        meet(&mut conn, at(500)).unwrap();
        let error = Error::Timeout(Timeout::Write);
        assert_eq!(meet(&mut conn, at(510)), Err(error));
        assert_eq!((conn.queued(), conn.transport()), (0, Transport::Close));
        assert_eq!(conn.closed().unwrap().expired, Some(Timeout::Write));
    }
}

#[test]
fn t_02_a_connection_without_messages_is_closed() {
    let timeouts = keep_alive().with_idle(Some(Duration::from_secs(100)));
    for role in BOTH {
        let mut conn = connection(*role, timeouts.clone());
        // Messages of either side keep it up.
        conn.send("hello").unwrap();
        turn(&mut conn, at(20)).unwrap();
        feed(&mut conn, at(25), &to(*role, b"\x81\x02hi"));
        turn(&mut conn, at(25)).unwrap();
        // Pings and pongs do not.
        for second in [30, 60, 90, 120] {
            let frame = turn(&mut conn, at(second)).unwrap();
            feed(&mut conn, at(second), &pong(*role, &ping_payload(&frame)));
        }
        assert_eq!(conn.poll_timeout(), Some(at(125)));
        let close = turn(&mut conn, at(125)).unwrap();
        assert_eq!(close[0], 0x88);
        assert_eq!(conn.state(), State::Closing);
        feed(&mut conn, at(126), &to(*role, b"\x88\x02\x03\xE9"));
        conn.handle_eof().unwrap();
        let closed = conn.closed().unwrap();
        assert_eq!(closed.sent, Some(CloseCode::GOING_AWAY));
        assert_eq!((closed.error, closed.expired), (None, Some(Timeout::Idle)));
        assert_eq!(closed.since, Some(at(125)));
        assert!(closed.clean);
    }
}

/// The first reason stays, if the closing handshake takes too long as well.
#[test]
fn the_deadline_that_passed_first_is_told() {
    let timeouts = Timeouts::new().with_idle(Some(PING));
    for role in BOTH {
        let mut conn = connection(*role, timeouts.clone());
        turn(&mut conn, at(30)).unwrap();
        let error = Error::Timeout(Timeout::Close);
        assert_eq!(turn(&mut conn, at(35)), Err(error));
        let closed = conn.closed().unwrap();
        assert_eq!(
            (closed.expired, closed.error),
            (Some(Timeout::Idle), Some(error))
        );
    }
}

#[test]
fn t_02_a_lifetime_ends_with_a_close() {
    let hour = Duration::from_secs(3600);
    let jitter = Duration::from_secs(600);
    let timeouts = Timeouts::new().with_lifetime(Some(hour), jitter);
    let config = Config::new().with_timeouts(timeouts);
    let mut ends = Vec::new();
    for number in 0..100 {
        let start = START + Duration::from_micros(number);
        let conn = Connection::server(&config, sockeye::Negotiated::new(), start);
        ends.push(conn.poll_timeout().unwrap() - start);
    }
    ends.sort_unstable();
    assert!(ends[0] > hour - jitter && ends[99] <= hour);
    assert!(ends[0] < hour - jitter * 9 / 10 && ends[99] > hour - jitter / 10);
    let distinct: std::collections::BTreeSet<_> = ends.iter().collect();
    assert_eq!(distinct.len(), 100);

    let exact = Timeouts::new().with_lifetime(Some(hour), Duration::ZERO);
    let mut conn = connection(wire::Role::Server, exact);
    assert_eq!(conn.poll_timeout(), Some(at(3600)));
    conn.send("the last words").unwrap();
    let output = turn(&mut conn, at(3600)).unwrap();
    assert_eq!(&output[..16], b"\x81\x0Ethe last words");
    assert_eq!(&output[16..], b"\x88\x02\x03\xE9");
    // What the peer still says is heard.
    feed(
        &mut conn,
        at(3601),
        &to(wire::Role::Server, b"\x81\x00\x88\x02\x03\xE9"),
    );
    conn.handle_eof().unwrap();
    let closed = conn.closed().unwrap();
    assert_eq!(closed.expired, Some(Timeout::Lifetime));
    assert!(closed.clean);
}

#[test]
fn suggestions_are_what_the_page_says() {
    for (role, ping) in [(Role::Client, 25), (Role::Server, 30)] {
        let timeouts = Timeouts::suggested(role);
        assert_eq!(timeouts.ping(), Some(Duration::from_secs(ping)));
        assert!(timeouts.ping() < Some(Duration::from_secs(60)), "proxies");
        assert!(timeouts.pong().is_some() && timeouts.write().is_some());
        assert_eq!((timeouts.idle(), timeouts.lifetime()), (None, None));
    }
}

/// T-01: early, late, again and again, and with a clock that goes backwards.
#[test]
fn t_01_calls_out_of_order_do_nothing() {
    for role in BOTH {
        let mut conn = connection(*role, Timeouts::suggested(Role::Server));
        for second in [0, 29, 1, 0, 29] {
            conn.handle_timeout(at(second)).unwrap();
            assert_eq!(conn.poll_timeout(), Some(at(30)));
        }
        assert!(drain(&mut conn).is_empty());
        conn.handle_timeout(at(30)).unwrap();
        conn.handle_timeout(at(3)).unwrap();
        assert_eq!(drain(&mut conn)[0], 0x89);
    }
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    let span = || prop::option::of((0_u64..5000).prop_map(Duration::from_millis));
    (span(), span(), span(), span(), span(), span()).prop_map(
        |(ping, pong, idle, write, lifetime, close)| {
            Timeouts::new()
                .with_ping(ping)
                .with_pong(pong)
                .with_idle(idle)
                .with_write(write)
                .with_lifetime(lifetime, Duration::from_millis(100))
                .with_close(close)
        },
    )
}

/// A ping that a deadline queues is output, which has a deadline of its own.
#[test]
fn a_ping_by_deadline_starts_the_deadline_for_writing() {
    let millisecond = Duration::from_millis(1);
    let zero = Some(Duration::ZERO);
    for role in BOTH {
        let mut conn = connection(*role, Timeouts::new().with_ping(zero).with_write(zero));
        let now = START + millisecond;
        conn.handle_timeout(now).unwrap();
        assert_eq!(conn.poll_timeout(), Some(now + millisecond));
        assert_eq!(
            conn.handle_timeout(now + millisecond),
            Err(Error::Timeout(Timeout::Write))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, after `handle_timeout(t)` the next deadline is none or later than `t`.
    #[test]
    fn deadlines_advance(
        timeouts in timeouts(),
        is_server in any::<bool>(),
        steps in prop::collection::vec((0..10_u8, 0_u64..3000), 0..60),
    ) {
        let role = if is_server { wire::Role::Server } else { wire::Role::Client };
        let mut conn = connection(role, timeouts);
        let mut now = START;
        for (step, millis) in steps {
            match step {
                0 => { let _sent = conn.send("message"); }
                1 => if let Some(mut output) = conn.poll_transmit() {
                    let some = output.remaining().min(7);
                    output.advance(some);
                },
                2 => { drain(&mut conn); }
                3 => { let _state = conn.probe(); }
                4 => conn.pause(),
                5 => conn.resume(),
                6 => {
                    let mut bytes = to(role, b"\x81\x00");
                    let _event = conn.receive(now, &mut Input::new(&mut bytes));
                }
                7 => { let _sent = conn.ping(b"of the application"); }
                _ => {
                    now = now + Duration::from_millis(millis);
                    let _error = conn.handle_timeout(now);
                    let next = conn.poll_timeout();
                    prop_assert!(next.is_none_or(|next| next > now), "{next:?} {now:?}");
                }
            }
        }
        // A loop that does nothing but meet deadlines ends or gets on.
        for _ in 0..1000 {
            let Some(deadline) = conn.poll_timeout() else { break };
            now = now.max(deadline);
            let _error = conn.handle_timeout(now);
            prop_assert!(conn.poll_timeout().is_none_or(|next| next > now));
        }
    }
}

/// What stays in the caller's buffer until all of it is there is a sign of life once: given again
/// without anything new it would keep a dead peer alive for ever.
#[test]
fn what_was_left_over_is_no_sign_of_life() {
    for role in BOTH {
        let mut conn = connection(*role, keep_alive());
        let mut bytes = to(*role, &wire::frame(0x82, [7; 1000]));
        let mut left = |conn: &mut Connection, now, end: usize| {
            let mut input = Input::new(&mut bytes[..end]).with_capacity(2000);
            assert_eq!(conn.receive(now, &mut input), Ok(None));
            assert_eq!(input.len(), end);
        };
        turn(&mut conn, at(30)).unwrap();
        left(&mut conn, at(40), 100);
        assert_eq!(turn(&mut conn, at(50)), Ok(vec![]), "something came");
        turn(&mut conn, at(60)).unwrap();
        left(&mut conn, at(70), 101);
        assert_eq!(turn(&mut conn, at(80)), Ok(vec![]), "more of it came");
        turn(&mut conn, at(90)).unwrap();
        left(&mut conn, at(100), 101);
        let mut input = Input::new(&mut bytes[..101]);
        assert_eq!(conn.receive(at(105), &mut input), Ok(None));
        let error = Error::Timeout(Timeout::Pong);
        assert_eq!(turn(&mut conn, at(110)), Err(error));
    }
}
