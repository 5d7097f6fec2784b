//! How much and how often a peer may, beyond the sizes of frames and messages.

use core::time::Duration;

use sockeye::{
    Action, CapacityError, CloseCode, Config, Connection, Error, Event, Input, Instant, Limits,
    Memory, PolicyError, Rate, SendError, State, Timeout, Timeouts,
};

use crate::wire::*;

fn with(limits: Limits) -> Config {
    Config::new().with_limits(limits)
}

fn later(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

/// Receives what may be received now; how many events there were, and what is left.
fn take(conn: &mut Connection, now: Instant, bytes: &[u8]) -> (usize, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let mut events = 0;
    while conn.receive(now, &mut input).unwrap().is_some() {
        events += 1;
    }
    (events, input.as_slice().to_vec())
}

/// Feeds all of it, and waits whenever it has to. How long that took.
fn take_all(conn: &mut Connection, bytes: &[u8]) -> (usize, Duration) {
    let (mut now, mut rest, mut events) = (START, bytes.to_vec(), 0);
    loop {
        let (more, left) = take(conn, now, &rest);
        (events, rest) = (events + more, left);
        if rest.is_empty() {
            return (events, now - START);
        }
        let until = conn.poll_timeout().expect("it says when to go on");
        assert!(until > now);
        now = until;
        conn.handle_timeout(now).unwrap();
    }
}

#[test]
fn g_05_ten_million_empty_continuations() {
    for role in BOTH {
        let mut conn = connection(*role, &Config::new());
        let mut start = to(*role, b"\x01\x00");
        conn.receive(START, &mut Input::new(&mut start)).unwrap();
        let batch = to(*role, &b"\x00\x00".repeat(999));
        assert_eq!(take(&mut conn, START, &batch), (0, vec![]));
        let mut one_more = to(*role, b"\x00\x00");
        let error = Error::Policy(PolicyError::TooManyEmptyFragments);
        let mut input = Input::new(&mut one_more);
        assert_eq!(conn.receive(START, &mut input), Err(error));
        assert_eq!(conn.state(), State::Closing);
        // The rest of the ten million changes nothing.
        let batch = to(*role, &b"\x00\x00".repeat(10_000));
        let mut read = batch.clone();
        for _ in 0..1000 {
            read.copy_from_slice(&batch);
            let mut input = Input::new(&mut read);
            assert_eq!(conn.receive(START, &mut input), Err(error));
            assert!(input.is_empty());
            assert_eq!(conn.held(), conn.queued());
        }
        let output = drain(&mut conn);
        assert_eq!(parse(*role, &output)[0].payload, [0x03, 0xF0], "1008");
        assert_eq!(error.close_code(), Some(CloseCode::POLICY_VIOLATION));
    }
    // The cap is a setting.
    let config = with(Limits::new().with_max_empty_fragments(u32::MAX));
    let mut frames = b"\x02\x00".to_vec();
    frames.extend(b"\x00\x00".repeat(100_000));
    frames.extend(b"\x80\x01x");
    check(Role::Client, &config, &frames, &[binary("x")], None);
}

#[test]
fn fragments_can_be_limited() {
    let config = with(Limits::new().with_max_fragments(Some(3)));
    let error = Error::Policy(PolicyError::TooManyFragments);
    for role in BOTH {
        let ok = to(*role, b"\x02\x01a\x00\x01b\x80\x01c\x02\x01a\x80\x01b");
        check(*role, &config, &ok, &[binary("abc"), binary("ab")], None);
        let long = to(*role, b"\x02\x01a\x00\x01b\x00\x01c\x80\x01d");
        check(*role, &config, &long, &[], Some(error));
    }
}

#[test]
fn messages_above_the_rate_wait() {
    let rate = Rate::new(10, 5);
    let config = with(Limits::new().with_message_rate(Some(rate)));
    for role in BOTH {
        let frames = to(*role, &b"\x81\x02hi\x89\x01p\x01\x01a\x80\x01b".repeat(10));
        let mut conn = connection(*role, &config);
        // Five at once; pings count as nothing.
        let (events, left) = take(&mut conn, START, &frames);
        assert_eq!(events, 5 + 2 + usize::from(events > 7));
        assert!(!left.is_empty());
        assert_eq!(conn.poll_timeout(), Some(later(100)));
        let mut conn = connection(*role, &config);
        let (events, elapsed) = take_all(&mut conn, &frames);
        assert_eq!(events, 30);
        assert_eq!(elapsed, Duration::from_millis(1500), "twenty, less five");
        // After a pause the burst is there again.
        let (events, _) = take(&mut conn, later(60_000), &frames);
        assert!(events >= 7);
    }
}

#[test]
fn bytes_above_the_rate_wait() {
    let config = with(Limits::new().with_byte_rate(Some(Rate::new(1000, 500))));
    for role in BOTH {
        let mut conn = connection(*role, &config);
        let frames = to(*role, &frame(0x82, [7; 100])).repeat(100);
        let (events, elapsed) = take_all(&mut conn, &frames);
        assert_eq!(events, 100);
        let seconds = (frames.len() - 500) as f64 / 1000.0;
        let difference = (elapsed.as_secs_f64() - seconds).abs();
        assert!(difference < 0.2, "{elapsed:?} {seconds}");
    }
}

#[test]
fn a_flood_of_pings_can_be_refused() {
    let limit = |action| {
        let rate = Rate::new(10, 20).with_action(action);
        with(Limits::new().with_control_rate(Some(rate)))
    };
    for role in BOTH {
        let pings = to(*role, &b"\x89\x00".repeat(100));
        let mut conn = connection(*role, &limit(Action::Close));
        let mut bytes = pings.clone();
        let mut input = Input::new(&mut bytes);
        for _ in 0..20 {
            assert!(matches!(
                conn.receive(START, &mut input),
                Ok(Some(Event::Ping(_)))
            ));
        }
        let error = Error::Policy(PolicyError::ControlRate);
        assert_eq!(conn.receive(START, &mut input), Err(error));
        assert_eq!(conn.receive(START, &mut Input::new(&mut [])), Err(error));

        let mut conn = connection(*role, &limit(Action::Report));
        assert_eq!(take(&mut conn, START, &pings), (100, vec![]));
        assert_eq!(conn.received().floods, 80);

        let mut conn = connection(*role, &limit(Action::Pause));
        assert_eq!(take_all(&mut conn, &pings).1, Duration::from_secs(8));
        // A Close frame is taken in any case.
        let (events, left) = take(&mut conn, later(8000), &to(*role, b"\x88\x02\x03\xE8"));
        assert_eq!((events, left.len()), (1, 0));
    }
}

/// What is not read cannot be a sign of life.
#[test]
fn who_is_throttled_is_not_taken_for_dead() {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts::new()
        .with_ping(Some(second))
        .with_pong(Some(second));
    let limits = Limits::new().with_message_rate(Some(Rate::new(1, 1)));
    let config = with(limits).with_timeouts(timeouts);
    let mut conn = connection(Role::Client, &config);
    let mut rest = b"\x81\x00".repeat(10);
    let mut now = START;
    while !rest.is_empty() {
        let (_, left) = take(&mut conn, now, &rest);
        rest = left;
        drain(&mut conn);
        let Some(until) = conn.poll_timeout() else {
            break;
        };
        now = now.max(until);
        conn.handle_timeout(now).unwrap();
    }
    assert!(now - START >= 9 * second);
    assert_eq!(conn.state(), State::Open);
}

/// The rates were lifted while the peer was above one, and the pause that was for them never ended:
/// no ping went out any more, and a dead peer was not found.
#[test]
fn regression_lifting_the_rates_left_the_keep_alive_paused() {
    let limits = Limits::new().with_message_rate(Some(Rate::new(1, 1)));
    let config = with(limits).with_timeouts(keep_alive());
    for role in BOTH {
        let mut conn = connection(*role, &config);
        let (_, left) = take(&mut conn, START, &to(*role, b"\x81\x00\x81\x00"));
        assert!(!left.is_empty());
        conn.set_limits(&Limits::new());
        assert_eq!(take(&mut conn, later(1), &left), (1, vec![]));
        assert_eq!(conn.poll_timeout(), Some(later(10_000)));
        conn.handle_timeout(later(10_000)).unwrap();
        assert_eq!(drain(&mut conn)[0], 0x89);
        conn.handle_timeout(later(10_000)).unwrap();
        let error = Error::Timeout(Timeout::Pong);
        assert_eq!(conn.handle_timeout(later(15_000)), Err(error));
    }
}

/// A pause of the application's lasts while a rate comes and goes, and the other way round.
#[test]
fn pauses_and_rates_do_not_end_each_other() {
    let limits = Limits::new().with_control_rate(Some(Rate::new(1, 1)));
    let config = with(limits).with_timeouts(keep_alive());
    for role in BOTH {
        let mut conn = connection(*role, &config);
        let pings = to(*role, b"\x89\x00\x89\x00");
        conn.pause();
        let (_, left) = take(&mut conn, START, &pings);
        conn.resume();
        assert_eq!(conn.poll_timeout(), Some(later(1000)), "only the rate's");
        conn.pause();
        conn.handle_timeout(later(1000)).unwrap();
        assert_eq!(take(&mut conn, later(1000), &left), (1, vec![]));
        assert_eq!(conn.poll_timeout(), None, "it is paused");
        conn.set_limits(&Limits::new());
        assert_eq!(conn.poll_timeout(), None);
        conn.resume();
        assert_eq!(conn.poll_timeout(), Some(later(10_000)));
    }
}

fn keep_alive() -> Timeouts {
    Timeouts::new()
        .with_ping(Some(Duration::from_secs(10)))
        .with_pong(Some(Duration::from_secs(5)))
}

#[test]
fn both_directions_share_what_may_be_held() {
    let limits = Limits::new().with_max_memory(Some(1000));
    for role in BOTH {
        let mut conn = connection(*role, &with(limits.clone()));
        let part = to(*role, &frame(0x02, [7; 600]));
        take(&mut conn, START, &part);
        assert_eq!(conn.held(), 600);
        conn.send(vec![1; 350]).unwrap();
        conn.send(vec![1; 100]).unwrap();
        assert_eq!(conn.send("more"), Err(SendError::Full));
        // There is no room left for the rest of the message.
        let mut more = to(*role, &frame(0x80, [7; 10]));
        let error = CapacityError::OutOfMemory.into();
        assert_eq!(conn.receive(START, &mut Input::new(&mut more)), Err(error));
        assert_eq!(error.close_code(), Some(CloseCode::TOO_BIG));

        // With the output gone, there is.
        let mut conn = connection(*role, &with(limits.clone()));
        conn.send(vec![1; 900]).unwrap();
        drain(&mut conn);
        take(&mut conn, START, &part);
        assert_eq!(
            take(&mut conn, START, &to(*role, &frame(0x80, [7; 300]))).0,
            1
        );
        assert_eq!(conn.held(), 0);
    }
}

/// What others hold need not become less, so one message is always taken: whoever waited for room
/// would wait for ever.
#[test]
fn a_message_goes_while_nothing_waits() {
    for role in BOTH {
        let limits = Limits::new().with_max_memory(Some(600));
        let mut conn = connection(*role, &with(limits));
        take(&mut conn, START, &to(*role, &frame(0x02, [7; 600])));
        assert_eq!(conn.held(), 600);
        for _ in 0..3 {
            assert!(conn.has_room());
            conn.send("one").unwrap();
            assert_eq!(conn.send("two"), Err(SendError::Full));
            drain(&mut conn);
            assert!(conn.poll_drained());
        }
    }
}

/// With compression the codecs are most of what a connection holds, and the limit did not count
/// them. In whatever pieces, a message has the room that they leave.
#[test]
fn regression_codecs_were_not_counted() {
    let inflater = 47 * 1024;
    for memory in [Memory::Retained, Memory::Window] {
        let deflate = sockeye::Deflate::client()
            .with_send_memory(memory)
            .with_receive_memory(memory);
        let bits = deflate.receive_window_bits();
        let message = "many words, ".repeat(1000);
        let mut peer = connection(Role::Server, &with_deflate(deflate.clone()));
        peer.send(&*message).unwrap();
        let compressed = drain(&mut peer);
        let needed = inflater + (1 << bits) + message.len();
        for (limit, fits) in [(needed, true), (needed - 1, false), (1000, false)] {
            let limits = Limits::new().with_max_memory(Some(limit));
            let config = with_deflate(deflate.clone()).with_limits(limits);
            for size in [1, 2, 100, usize::MAX] {
                let mut conn = connection(Role::Client, &config);
                let outcome = feed_in(&mut conn, &compressed, || size);
                let error = (!fits).then_some(CapacityError::OutOfMemory.into());
                assert_eq!(outcome.error, error, "{limit} of {needed}, in {size}");
            }
        }
        let mut conn = connection(Role::Client, &with_deflate(deflate));
        let events = &mut Vec::new();
        receive(&mut conn, START, &compressed, events).unwrap();
        let window = (1 << bits).min(message.len());
        let codec = if memory == Memory::Retained {
            inflater
        } else {
            0
        };
        assert_eq!(conn.held(), codec + window);
        conn.send(&*message).unwrap();
        drain(&mut conn);
        assert!(conn.held() >= 2 * codec + window);
        conn.shrink();
        assert!(conn.held() <= 2 * (1 << bits));
    }
}

#[test]
fn limits_change_while_open() {
    let strict = Limits::new().with_max_message_size(10);
    for role in BOTH {
        let mut conn = connection(*role, &with(strict.clone()));
        assert_eq!(
            take(&mut conn, START, &to(*role, b"\x82\x0atenletters")).0,
            1
        );
        conn.set_limits(&Limits::new());
        let large = to(*role, &frame(0x82, [0; 100_000]));
        assert_eq!(take(&mut conn, START, &large).0, 1);
        conn.set_limits(&strict);
        let mut large = large;
        let error = CapacityError::MessageTooLarge.into();
        assert_eq!(conn.receive(START, &mut Input::new(&mut large)), Err(error));
    }
}

/// In the middle of a message: a frame that has begun goes by the limits that it began with, the next
/// one by the new ones, and they count what came before.
#[test]
fn limits_change_inside_a_message() {
    let small = Limits::new().with_max_message_size(10);
    for role in BOTH {
        for begun in [0, 1, 7] {
            // More is allowed.
            let mut conn = connection(*role, &with(small.clone()));
            let first = to(*role, &frame(0x02, [1; 8]));
            assert_eq!(take(&mut conn, START, &first[..first.len() - begun]).0, 0);
            conn.set_limits(&Limits::new());
            let last = to(*role, &frame(0x80, [1; 100]));
            let rest = [&first[first.len() - begun..], &last].concat();
            assert_eq!(take(&mut conn, START, &rest).0, 1);

            // Less is allowed.
            let mut conn = connection(*role, &Config::new());
            let first = to(*role, &frame(0x02, [1; 50]));
            assert_eq!(take(&mut conn, START, &first[..first.len() - begun]).0, 0);
            conn.set_limits(&small);
            assert_eq!(take(&mut conn, START, &first[first.len() - begun..]).0, 0);
            let mut last = to(*role, &frame(0x80, [1; 1]));
            let error = CapacityError::MessageTooLarge.into();
            assert_eq!(conn.receive(START, &mut Input::new(&mut last)), Err(error));
        }
        // Of fragments as well, and of memory, which holds at once.
        let mut conn = connection(*role, &Config::new());
        let part = to(*role, &frame(0x02, [1; 50]));
        let next = to(*role, &frame(0x00, [1; 50]));
        take(&mut conn, START, &[&part[..], &next].concat());
        conn.set_limits(&Limits::new().with_max_fragments(Some(2)));
        let error = PolicyError::TooManyFragments.into();
        let mut third = next.clone();
        assert_eq!(conn.receive(START, &mut Input::new(&mut third)), Err(error));

        let mut conn = connection(*role, &Config::new());
        take(&mut conn, START, &part);
        conn.set_limits(&Limits::new().with_max_memory(Some(99)));
        let error = CapacityError::OutOfMemory.into();
        let mut second = next.clone();
        assert_eq!(
            conn.receive(START, &mut Input::new(&mut second)),
            Err(error)
        );
    }
}

#[test]
fn what_was_received_is_counted() {
    let config = with_deflate(sockeye::Deflate::client());
    let mut peer = connection(Role::Server, &config);
    let mut conn = connection(Role::Client, &config);
    let text = "words, words, words, words, words, words, words, words, words, words";
    peer.send(text).unwrap();
    peer.send_with("as it is", sockeye::Compress::Never)
        .unwrap();
    peer.send_fragment(sockeye::Kind::Binary, &b"ab"[..], false)
        .unwrap();
    peer.ping(b"!").unwrap();
    peer.send_fragment(sockeye::Kind::Binary, &b"c"[..], true)
        .unwrap();
    let wire = drain(&mut peer);
    for size in [1, 5, 1000] {
        for part in wire.chunks(size) {
            take(&mut conn, START, part);
        }
    }
    let received = conn.received();
    assert_eq!(received.bytes, 3 * wire.len() as u64);
    assert_eq!((received.messages, received.frames), (9, 12));
    assert_eq!(received.control_frames, 3);
    assert_eq!(received.payload, 3 * (text.len() + 8 + 3) as u64);
    assert_eq!(received.inflated, 3 * text.len() as u64);
    assert!(received.compressed > 0 && received.compressed < received.inflated / 2);
    assert!(received.compression_ratio().unwrap() < 0.5);
    assert_eq!(received.floods, 0);
}
