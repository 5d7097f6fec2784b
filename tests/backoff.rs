//! When to connect again, and after what.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

use std::time::Duration;

use proptest::prelude::*;
use sockeye::backoff::{Backoff, Class, Decision, GiveUp};
use sockeye::{
    CapacityError, CloseCode, Closed, Config, Connection, Error, Input, Instant, Negotiated,
    ProtocolError, Timeout, Timeouts,
};

const OVERLOADED: Class = Class::Overloaded { retry_after: None };
const START: Instant = Instant::from_millis(1_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[track_caller]
fn delay(decision: Decision) -> Duration {
    match decision {
        Decision::Retry { delay, .. } => delay,
        Decision::GiveUp(reason) => panic!("{reason:?}"),
    }
}

// ---- the table

#[test]
fn close_codes() {
    for (code, class) in [
        (1000, Class::Done),
        (1001, Class::Transient),
        (1002, Class::Fatal),
        (1003, Class::Fatal),
        (1004, Class::Fatal),
        (1005, Class::Transient),
        (1006, Class::Transient),
        (1007, Class::Fatal),
        (1008, Class::Fatal),
        (1009, Class::Fatal),
        (1010, Class::Fatal),
        (1011, Class::Transient),
        (1012, Class::Transient),
        (1013, OVERLOADED),
        (1014, Class::Transient),
        (1015, Class::Fatal),
        (2999, Class::Fatal),
        (3000, Class::Fatal),
        (3001, Class::Transient),
        (3003, Class::Fatal),
        (3008, Class::Transient),
        (4000, Class::Transient),
        (4999, Class::Transient),
        (5000, Class::Fatal),
        (0, Class::Fatal),
    ] {
        assert_eq!(CloseCode::from(code).class(), class, "{code}");
    }
}

#[test]
fn errors() {
    for (error, class) in [
        (Error::from(ProtocolError::Masked), Class::Fatal),
        (Error::InvalidUtf8, Class::Fatal),
        (Error::InvalidDeflate, Class::Fatal),
        (CapacityError::MessageTooLarge.into(), Class::Fatal),
        (Error::Timeout(Timeout::Handshake), Class::Transient),
        (Error::Timeout(Timeout::Close), Class::Transient),
        (Error::Eof, Class::Transient),
    ] {
        assert_eq!(error.class(), class, "{error}");
        assert_eq!(class.is_retryable(), class == Class::Transient);
    }
}

/// A client's connection that did `act`, received `bytes` and then the end of the transport.
fn closed(act: impl FnOnce(&mut Connection), bytes: &[u8]) -> Closed {
    let keys = || [0; 4];
    let mut connection = Connection::client(&Config::new(), Negotiated::new(), keys, START);
    act(&mut connection);
    connection.take_transmit(&mut Vec::new());
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    while let Ok(Some(_)) = connection.receive(START, &mut input) {}
    connection.take_transmit(&mut Vec::new());
    let _eof = connection.handle_eof();
    connection.closed().unwrap()
}

#[test]
fn ends_of_connections() {
    let close = |connection: &mut Connection| {
        let closed = connection.close(START, CloseCode::GOING_AWAY, "");
        closed.unwrap();
    };
    // This side closed: whatever the peer made of it.
    for bytes in [
        &b"\x88\x02\x03\xe9"[..],
        b"\x88\x02\x03\xf4",
        b"\x88\x00",
        b"",
    ] {
        assert_eq!(closed(close, bytes).class(), Class::Done, "{bytes:?}");
    }
    for (bytes, class) in [
        (&b"\x88\x02\x03\xe8"[..], Class::Done),
        (b"\x88\x02\x03\xe9", Class::Transient),
        (b"\x88\x02\x03\xf0", Class::Fatal),
        (b"\x88\x02\x03\xf5", OVERLOADED),
        (b"\x88\x00", Class::Transient),
        (b"", Class::Transient),
        // This side failed the connection, which it began, but did not want.
        (b"\xff\x00", Class::Fatal),
        (b"\x81\x01\xff", Class::Fatal),
    ] {
        assert_eq!(closed(|_| {}, bytes).class(), class, "{bytes:?}");
    }
}

/// A connection that has lasted long enough is to be replaced.
#[test]
fn deadlines_of_this_side() {
    let short = Some(seconds(1));
    for timeouts in [
        Timeouts::new().with_lifetime(short, Duration::ZERO),
        Timeouts::new().with_idle(short),
    ] {
        let config = Config::new().with_timeouts(timeouts);
        let keys = || [0; 4];
        let mut connection = Connection::client(&config, Negotiated::new(), keys, START);
        connection.handle_timeout(START + seconds(2)).unwrap();
        connection.take_transmit(&mut Vec::new());
        let mut bytes = *b"\x88\x02\x03\xe9";
        let mut input = Input::new(&mut bytes);
        while let Ok(Some(_)) = connection.receive(START + seconds(2), &mut input) {}
        let _eof = connection.handle_eof();
        let closed = connection.closed().unwrap();
        assert!(closed.clean);
        assert_eq!(closed.class(), Class::Transient, "{closed:?}");
    }
}

#[cfg(feature = "std")]
#[test]
fn io_errors() {
    use std::io::ErrorKind;
    for (kind, class) in [
        (ErrorKind::ConnectionRefused, Class::Transient),
        (ErrorKind::ConnectionReset, Class::Transient),
        (ErrorKind::BrokenPipe, Class::Transient),
        (ErrorKind::TimedOut, Class::Transient),
        (ErrorKind::UnexpectedEof, Class::Transient),
        (ErrorKind::NetworkUnreachable, Class::Transient),
        (ErrorKind::NotFound, Class::Transient),
        (ErrorKind::Other, Class::Transient),
        (ErrorKind::OutOfMemory, OVERLOADED),
        (ErrorKind::InvalidData, Class::Fatal),
        (ErrorKind::PermissionDenied, Class::Fatal),
        (ErrorKind::Unsupported, Class::Fatal),
        (ErrorKind::InvalidInput, Class::Misuse),
    ] {
        assert_eq!(Class::from(kind), class, "{kind}");
    }
}

#[cfg(feature = "handshake")]
mod handshake {
    use sockeye::HandshakeError;
    use sockeye::handshake::{ClientHandshake, ClientRequest};

    use super::*;

    fn refusal(head: &str) -> HandshakeError {
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let nonce = *b"the sample nonce";
        let mut handshake = ClientHandshake::new(&Config::new(), &request, nonce, START).unwrap();
        handshake.poll_transmit().unwrap().clear();
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        let mut bytes = head.into_bytes();
        handshake
            .receive(START, &mut Input::new(&mut bytes))
            .unwrap_err()
    }

    #[test]
    fn statuses() {
        for (status, class) in [
            (200, Class::Fatal),
            (301, Class::Fatal),
            (307, Class::Fatal),
            (400, Class::Fatal),
            (401, Class::Fatal),
            (403, Class::Fatal),
            (404, Class::Fatal),
            (407, Class::Fatal),
            (408, Class::Transient),
            (425, Class::Transient),
            (426, Class::Fatal),
            (429, OVERLOADED),
            (500, Class::Transient),
            (501, Class::Fatal),
            (502, Class::Transient),
            (503, OVERLOADED),
            (504, Class::Transient),
            (505, Class::Fatal),
            (511, Class::Fatal),
            (522, Class::Transient),
            (600, Class::Fatal),
        ] {
            let error = refusal(&format!("{status} x"));
            assert_eq!(error.response().unwrap().status(), status);
            assert_eq!(error.class(), class, "{status}");
        }
    }

    #[test]
    fn retry_after() {
        let asked = |time| Class::Overloaded {
            retry_after: Some(seconds(time)),
        };
        for (head, class) in [
            ("503 x\r\nRetry-After: 120", asked(120)),
            ("429 x\r\nretry-after: 0", asked(0)),
            ("502 x\r\nRetry-After: 7", asked(7)),
            ("503 x\r\nRetry-After: soon", OVERLOADED),
            ("502 x\r\nRetry-After: soon", Class::Transient),
            // It asks for nothing where there is nothing to retry.
            ("401 x\r\nRetry-After: 7", Class::Fatal),
            (
                "503 x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                 Retry-After: Sun, 06 Nov 1994 08:51:07 GMT",
                asked(90),
            ),
            (
                "503 x\r\nRetry-After: Sun, 06 Nov 1994 08:51:07 GMT",
                OVERLOADED,
            ),
        ] {
            assert_eq!(refusal(head).class(), class, "{head}");
        }
    }

    #[test]
    fn other_errors() {
        assert_eq!(HandshakeError::Timeout.class(), Class::Transient);
        assert_eq!(HandshakeError::Eof.class(), Class::Transient);
        assert_eq!(HandshakeError::AcceptMismatch.class(), Class::Fatal);
        assert_eq!(HandshakeError::UnofferedProtocol.class(), Class::Fatal);
    }
}

// ---- the delays

#[test]
fn delays_double_up_to_the_cap() {
    let mut backoff = Backoff::new();
    let delays: Vec<_> = (0..6)
        .map(|_| delay(backoff.handle_disconnect(START, Class::Transient, u64::MAX)))
        .map(|delay| delay.as_secs_f64().round())
        .collect();
    assert_eq!(delays, [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]);
    assert_eq!(backoff.retries(), 6);
    let mut backoff = Backoff::new().with_cap(seconds(2));
    let first = backoff.handle_disconnect(START, Class::Transient, u64::MAX / 2);
    assert_eq!(delay(first).as_millis(), 999);
}

#[test]
fn an_overloaded_server_gets_half_of_the_ceiling_at_least() {
    let mut backoff = Backoff::new();
    let first = backoff.handle_disconnect(START, OVERLOADED, 0);
    assert_eq!(delay(first), Duration::from_millis(2500));
    let transient = backoff.handle_disconnect(START, Class::Transient, 0);
    assert_eq!(delay(transient), Duration::ZERO);
}

#[test]
fn retry_after_is_a_floor_and_has_a_bound() {
    let asked = |time| Class::Overloaded {
        retry_after: Some(seconds(time)),
    };
    let mut backoff = Backoff::new().with_max_retry_after(seconds(100));
    assert_eq!(
        delay(backoff.handle_disconnect(START, asked(30), 0)),
        seconds(30)
    );
    let second = delay(backoff.handle_disconnect(START, asked(30), u64::MAX));
    assert!(second > seconds(39) && second <= seconds(40), "{second:?}");
    let third = backoff.handle_disconnect(START, asked(u64::MAX), 0);
    assert_eq!(delay(third), seconds(100));
}

#[test]
fn only_a_stable_connection_starts_anew() {
    let mut backoff = Backoff::new().with_stable(seconds(10));
    let mut now = START;
    for _ in 0..3 {
        backoff.handle_connect(now);
        now = now + Duration::from_millis(9_999);
        delay(backoff.handle_disconnect(now, Class::Transient, 0));
    }
    assert_eq!(backoff.retries(), 3);
    backoff.handle_connect(now);
    now = now + seconds(10);
    assert_eq!(backoff.ceiling(), seconds(40));
    delay(backoff.handle_disconnect(now, Class::Transient, 0));
    assert_eq!(backoff.retries(), 1);
    // The time is counted once.
    delay(backoff.handle_disconnect(now + seconds(99), Class::Transient, 0));
    assert_eq!(backoff.retries(), 2);
    backoff.reset();
    assert_eq!((backoff.retries(), backoff.ceiling()), (0, seconds(5)));
}

#[test]
fn budgets() {
    let mut backoff = Backoff::new().with_max_retries(Some(2));
    delay(backoff.handle_disconnect(START, Class::Transient, 0));
    delay(backoff.handle_disconnect(START, Class::Transient, 0));
    let third = backoff.handle_disconnect(START, Class::Transient, 0);
    assert_eq!(third, Decision::GiveUp(GiveUp::Retries));

    // The third attempt would start right after the limit.
    let mut backoff = Backoff::new().with_max_time(Some(seconds(10)));
    delay(backoff.handle_disconnect(START, Class::Transient, 0));
    delay(backoff.handle_disconnect(START + seconds(10), Class::Transient, 0));
    let late = START + Duration::from_millis(10_001);
    let third = backoff.handle_disconnect(late, Class::Transient, 0);
    assert_eq!(third, Decision::GiveUp(GiveUp::Time));
    // The time starts anew with a stable connection.
    backoff.handle_connect(late);
    delay(backoff.handle_disconnect(late + seconds(60), Class::Transient, 0));
}

#[test]
fn what_is_not_retried() {
    for (class, reason) in [
        (Class::Done, GiveUp::Done),
        (Class::Fatal, GiveUp::Fatal),
        (Class::Misuse, GiveUp::Misuse),
    ] {
        let decision = Backoff::new().handle_disconnect(START, class, 0);
        assert_eq!(decision, Decision::GiveUp(reason));
        assert!(!class.is_retryable());
    }
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_nanos),
        Just(Duration::ZERO),
        Just(Duration::MAX),
    ]
}

fn any_retryable() -> impl Strategy<Value = Class> {
    prop_oneof![
        3 => Just(Class::Transient),
        1 => Just(OVERLOADED),
        1 => any_duration().prop_map(|asked| Class::Overloaded { retry_after: Some(asked) }),
    ]
}

fn any_backoff() -> impl Strategy<Value = Backoff> {
    let times = prop::array::uniform4(any_duration());
    let max_retries = prop::option::of(0..20_u32);
    let max_time = prop::option::of(any_duration());
    (times, max_retries, max_time).prop_map(
        |([first, cap, stable, max_retry_after], max_retries, max_time)| {
            Backoff::new()
                .with_first(first)
                .with_cap(cap)
                .with_stable(stable)
                .with_max_retry_after(max_retry_after)
                .with_max_retries(max_retries)
                .with_max_time(max_time)
        },
    )
}

proptest! {
    /// Whatever the settings, the failures and the random numbers are.
    #[test]
    fn without_stable_connections(
        settings in any_backoff(),
        cap in any_duration(),
        max_retry_after in any_duration(),
        max_retries in 0..20_u32,
        max_time in any_duration(),
        failures in prop::collection::vec((any_retryable(), any::<u64>(), any_duration()), 1..40),
    ) {
        let mut backoff = settings
            .with_cap(cap)
            .with_max_retry_after(max_retry_after)
            .with_max_retries(Some(max_retries))
            .with_max_time(Some(max_time));
        let mut now = START;
        let mut granted = 0;
        let mut last_ceiling = Duration::ZERO;
        for (class, random, takes) in failures {
            let ceiling = backoff.ceiling();
            prop_assert!(last_ceiling <= ceiling && ceiling <= cap, "grows up to the cap");
            last_ceiling = ceiling;
            match backoff.handle_disconnect(now, class, random) {
                Decision::Retry { delay, at } => {
                    granted += 1;
                    prop_assert!(granted <= max_retries);
                    prop_assert!(at - START <= max_time);
                    prop_assert_eq!(at, now + delay);
                    let asked = match class {
                        Class::Overloaded { retry_after: Some(asked) } => asked.min(max_retry_after),
                        Class::Overloaded { retry_after: None } => {
                            prop_assert!(delay >= ceiling / 2);
                            Duration::ZERO
                        }
                        _ => Duration::ZERO,
                    };
                    prop_assert!(asked <= delay && delay <= asked.saturating_add(ceiling));
                    now = at + takes;
                }
                Decision::GiveUp(GiveUp::Retries) => prop_assert_eq!(granted, max_retries),
                Decision::GiveUp(GiveUp::Time) => {
                    let longest = max_retry_after.saturating_add(cap);
                    prop_assert!((now + longest) - START > max_time);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    /// More random is later, and any part of the range is reached.
    #[test]
    fn delays_are_uniform(millis in 1..1_000_000_u64, random: u64) {
        let ceiling = Duration::from_millis(millis);
        let mut backoff = Backoff::new().with_first(ceiling).with_cap(ceiling);
        let drawn = delay(backoff.handle_disconnect(START, Class::Transient, random));
        let share = drawn.as_secs_f64() / ceiling.as_secs_f64();
        prop_assert!((share - random as f64 / 2_f64.powi(64)).abs() < 1e-5);
    }

    /// Nothing that happens makes it panic, and what is fatal ends it.
    #[test]
    fn with_connections(
        mut backoff in any_backoff(),
        steps in prop::collection::vec((any_retryable(), any::<u64>(), any_duration(), any::<bool>()), 1..40),
    ) {
        let mut now = START;
        for (class, random, takes, connects) in steps {
            if connects {
                backoff.handle_connect(now);
            }
            now = now + takes;
            backoff.handle_disconnect(now, class, random);
        }
        prop_assert_eq!(
            backoff.handle_disconnect(now, Class::Fatal, 0),
            Decision::GiveUp(GiveUp::Fatal)
        );
    }
}
