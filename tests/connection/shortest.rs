//! The shortest ways, for messages that need nothing else, do what the long ways do.

use std::sync::Arc;

use proptest::prelude::*;
use sockeye::{Config, Connection, Input, Limits, Observer, Rate, SendOptions};

use crate::wire::*;

/// Whoever is watched goes the long way.
struct Watch;

impl Observer for Watch {}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

/// A frame as a peer sends it, mostly right.
fn frames(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => Just(0x81_u8),
        8 => Just(0x82),
        2 => Just(0x01),
        2 => Just(0x80),
        1 => Just(0x89),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        8 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (120..140_usize).prop_map(|len| vec![b'x'; len]),
        1 => (65_530..65_540_usize).prop_map(|len| vec![b'x'; len]),
        1 => (1..20_000_usize).prop_map(|len| "€".repeat(len).into_bytes()),
    ];
    let one =
        (first, payload, prop::bool::weighted(0.02)).prop_map(move |(first, payload, wrong)| {
            let other = match role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            };
            to(if wrong { other } else { role }, &frame(first, payload))
        });
    prop::collection::vec(one, 0..20).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn receiving(
        (role, input) in role().prop_flat_map(|role| (Just(role), frames(role))),
        sizes in prop::collection::vec(1..3000_usize, 1..10),
        max in prop_oneof![Just(1 << 20), 0..300_u64],
    ) {
        let limits = Limits::new().with_max_message_size(max);
        let config = Config::new().with_limits(limits);
        let mut outcomes = [false, true].map(|is_watched| {
            let mut conn = connection(role, &config);
            if is_watched {
                conn.set_observer(Arc::new(Watch));
            }
            let mut sizes = sizes.iter().copied().cycle();
            let outcome = feed_in(&mut conn, &input, || sizes.next().unwrap());
            (outcome.events, outcome.error, outcome.output, conn.received())
        });
        // Masking keys differ, but what they mask does not.
        for (_, _, output, _) in &mut outcomes {
            let parsed = parse(role, output);
            *output = parsed.iter().flat_map(|frame| [&[frame.first][..], &frame.payload].concat()).collect();
        }
        let [short, long] = outcomes;
        prop_assert_eq!(short, long);
    }

    /// With a buffer in which a message stays until all of it is there.
    #[test]
    fn receiving_what_stays(
        (role, input) in role().prop_flat_map(|role| (Just(role), frames(role))),
        reads in prop::collection::vec((1..3000_usize, any::<bool>()), 1..10),
        capacity in prop_oneof![1..40_usize, 40..5000_usize, Just(70_000)],
        max in prop_oneof![Just(1 << 20), 0..300_u64],
        is_watched: bool,
        has_rate: bool,
    ) {
        let rate = has_rate.then(|| Rate::new(1 << 30, 1 << 30));
        let limits = Limits::new().with_max_message_size(max).with_message_rate(rate);
        let config = Config::new().with_limits(limits);
        let connect = || {
            let mut conn = connection(role, &config);
            if is_watched {
                conn.set_observer(Arc::new(Watch));
            }
            conn
        };
        let mut conn = connect();
        let whole = feed_in(&mut conn, &input, || usize::MAX);
        let received = conn.received();

        let mut conn = connect();
        let (mut events, mut error) = (Vec::new(), None);
        let mut reads = reads.into_iter().cycle();
        let (mut buffer, mut kept) = (vec![0; capacity], 0);
        let mut rest = &input[..];
        while !rest.is_empty() || kept > 0 {
            let (size, is_more) = reads.next().unwrap();
            let room = capacity - kept;
            prop_assert!(room > 0, "nothing more can be read");
            let (read, later) = rest.split_at(size.min(room).min(rest.len()));
            rest = later;
            buffer[kept..kept + read.len()].copy_from_slice(read);
            let filled = &mut buffer[..kept + read.len()];
            let all = filled.len();
            let stays = is_more && !rest.is_empty();
            let mut input = Input::new(filled).with_capacity(if stays { capacity } else { 0 });
            let result = loop {
                match conn.receive(START, &mut input) {
                    Ok(Some(event)) => events.push(event.into()),
                    Ok(None) => break Ok(()),
                    Err(new) => break Err(new),
                }
            };
            prop_assert!(stays || input.is_empty(), "input is left over");
            error = error.or_else(|| result.err());
            let taken = input.consumed();
            buffer.copy_within(taken..all, 0);
            kept = all - taken;
        }
        let output = drain(&mut conn);
        let brief = |output: &[u8]| {
            let frames = parse(role, output).into_iter();
            frames.map(|frame| (frame.first, frame.payload)).collect::<Vec<_>>()
        };
        prop_assert_eq!(brief(&output), brief(&whole.output));
        prop_assert_eq!((events, error), (whole.events, whole.error));
        if error.is_none() {
            prop_assert_eq!(conn.received(), received);
        }
    }

    /// With a transport that puts payloads where they belong.
    #[test]
    fn receiving_into_place(
        (role, input) in role().prop_flat_map(|role| (Just(role), frames(role))),
        sizes in prop::collection::vec(1..30_000_usize, 1..10),
        max in prop_oneof![Just(1 << 20), 0..30_000_u64],
    ) {
        let config = Config::new().with_limits(Limits::new().with_max_message_size(max));
        let mut copied = connection(role, &config);
        let mut cycle = sizes.iter().copied().cycle();
        let expected = feed_in(&mut copied, &input, || cycle.next().unwrap());
        let mut placed = connection(role, &config);
        let (mut events, mut error) = (Vec::new(), None);
        let mut rest = &input[..];
        for size in sizes.iter().copied().cycle() {
            if rest.is_empty() {
                break;
            }
            let mut count = size.min(rest.len());
            let result = if let Some(room) = placed.payload_mut() {
                count = count.min(room.len());
                room[..count].copy_from_slice(&rest[..count]);
                placed.filled(START, count).map(|event| events.extend(event.map(Got::from)))
            } else {
                receive(&mut placed, START, &rest[..count], &mut events)
            };
            error = error.or_else(|| result.err());
            rest = &rest[count..];
        }
        let output = drain(&mut placed);
        if role == Role::Server {
            prop_assert_eq!(&output, &expected.output);
        }
        prop_assert_eq!(output.len(), expected.output.len());
        prop_assert_eq!((events, error), (expected.events, expected.error));
        let (placed, copied) = (placed.received(), copied.received());
        prop_assert_eq!((placed.frames, placed.messages), (copied.frames, copied.messages));
        // How much comes with what is wrong depends on where the reads end.
        if error.is_none() {
            prop_assert_eq!(placed, copied);
        }
    }

    /// A message counted that failed.
    #[test]
    fn regression_a_message_that_was_no_text_was_counted(split in 0..10_usize) {
        let mut conn = connection(Role::Client, &Config::new());
        let mut bytes = *b"\x81\x01a\x81\x05bcd\xffe";
        let (first, second) = bytes.split_at_mut(split);
        let (mut events, mut error) = (Vec::new(), None);
        for part in [first, second] {
            let failed = receive(&mut conn, START, part, &mut events).err();
            error = error.or(failed);
        }
        prop_assert_eq!(error, Some(sockeye::Error::InvalidUtf8));
        let received = conn.received();
        prop_assert_eq!((received.frames, received.messages), (2, 1));
    }

    /// With a transport that takes some of each frame before it is queued.
    #[test]
    fn sending_through(
        role in role(),
        sizes in prop::collection::vec(
            prop_oneof![0..200_usize, 4000..4200_usize, 60_000..70_000_usize, Just(200_000)],
            1..12,
        ),
        taken in prop::collection::vec(prop_oneof![Just(usize::MAX), Just(0), 0..70_000_usize], 1..6),
        max in prop_oneof![Just(1 << 20), 0..10_000_usize],
    ) {
        let config = Config::new().with_limits(Limits::new().with_max_queued(max));
        let (mut through, mut queued) = (connection(role, &config), connection(role, &config));
        let (mut written, mut sent) = (Vec::new(), Vec::new());
        let mut taken = taken.into_iter().cycle();
        for (index, size) in sizes.into_iter().enumerate() {
            let payload = vec![index as u8; size];
            if index % 3 == 2 {
                // Then it is queued.
                prop_assert_eq!(through.ping(b"p"), queued.ping(b"p"));
            }
            let mut write = |pieces: &[&[u8]]| {
                let frame = pieces.concat();
                let count = taken.next().unwrap_or(0).min(frame.len());
                written.extend_from_slice(&frame[..count]);
                count
            };
            let result = if index % 2 == 0 {
                through.send_through(&payload[..], &mut write)
            } else {
                through.send_through(payload.clone(), &mut write)
            };
            prop_assert_eq!(result, queued.send(payload));
            written.extend(drain(&mut through));
            sent.extend(drain(&mut queued));
            // What went through did not fill the queue, so that has not drained either.
            prop_assert!(through.poll_drained() <= queued.poll_drained());
        }
        let (written, sent) = (parse(role, &written), parse(role, &sent));
        prop_assert_eq!(brief(&written), brief(&sent));
        prop_assert_eq!(through.sent(), queued.sent());
    }

    #[test]
    fn sending(
        role in role(),
        sizes in prop::collection::vec(prop_oneof![0..200_usize, 4000..4200_usize, Just(70_000)], 1..20),
        max in prop_oneof![Just(1 << 20), 0..10_000_usize],
    ) {
        let config = Config::new().with_limits(Limits::new().with_max_queued(max));
        let (mut short, mut long) = (connection(role, &config), connection(role, &config));
        for (index, size) in sizes.into_iter().enumerate() {
            let text = "x".repeat(size);
            if index % 2 == 0 {
                prop_assert_eq!(short.send(&*text), long.send_with(&*text, SendOptions::new()));
            } else {
                let bytes = text.as_bytes();
                prop_assert_eq!(short.send(bytes), long.send_with(bytes, SendOptions::new()));
            }
            prop_assert_eq!(short.queued(), long.queued());
            prop_assert_eq!(short.has_room(), long.has_room());
            if index % 5 == 4 {
                let frames = [&mut short, &mut long].map(|conn| {
                    let output = drain(conn);
                    parse(role, &output).into_iter().map(|frame| (frame.first, frame.payload)).collect::<Vec<_>>()
                });
                prop_assert_eq!(&frames[0], &frames[1]);
                prop_assert_eq!(short.poll_drained(), long.poll_drained());
            }
        }
        prop_assert_eq!(short.sent(), long.sent());
    }
}

/// What is watched goes by what `receive` consumed, so nothing is read past it.
#[test]
fn no_room_for_who_is_watched() {
    let rated = Limits::new().with_byte_rate(Some(Rate::new(1 << 20, 1 << 20)));
    let bounded = Limits::new().with_max_memory(Some(1 << 20));
    for (limits, watched, paused, has_room) in [
        (Limits::new(), false, false, true),
        (Limits::new(), true, false, false),
        (Limits::new(), false, true, false),
        (rated, false, false, false),
        (bounded, false, false, false),
    ] {
        let mut conn = connection(Role::Server, &Config::new().with_limits(limits));
        if watched {
            conn.set_observer(Arc::new(Watch));
        }
        let input = to(Role::Server, &frame(0x82, vec![7; 100_000]));
        receive(&mut conn, START, &input[..20_000], &mut Vec::new()).unwrap();
        if paused {
            conn.pause();
        }
        assert_eq!(conn.payload_mut().is_some(), has_room);
    }
}

/// Without room, or beyond it, there is only what others left in the memory.
#[test]
fn no_more_than_there_was_room_for() {
    let begun = || {
        let mut conn = connection(Role::Server, &Config::new());
        let input = to(Role::Server, &frame(0x82, vec![7; 100_000]));
        receive(&mut conn, START, &input[..20_000], &mut Vec::new()).unwrap();
        conn
    };
    let fills = |mut conn: Connection, count| {
        std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
            conn.filled(START, count).unwrap();
        }))
        .is_ok()
    };
    assert!(!fills(begun(), 1));
    for (more, is_fine) in [(0, true), (1, false)] {
        let mut conn = begun();
        let room = conn.payload_mut().unwrap().len();
        assert_eq!(fills(conn, room + more), is_fine);
    }
    let mut conn = begun();
    conn.payload_mut().unwrap();
    receive(&mut conn, START, &[7; 10], &mut Vec::new()).unwrap();
    assert!(!fills(conn, 1));
}

/// A message that the end of a read cuts is lent out of the buffer all the same.
#[test]
fn what_stays_is_not_copied() {
    let mut conn = connection(Role::Server, &Config::new());
    let mut buffer = to(Role::Server, &frame(0x82, [7; 1000]));
    let capacity = buffer.len();
    for end in [1, 7, 500, capacity - 1] {
        let mut input = Input::new(&mut buffer[..end]).with_capacity(capacity);
        assert_eq!(conn.receive(START, &mut input), Ok(None));
        assert_eq!(input.len(), end);
    }
    let range = buffer.as_ptr_range();
    let mut input = Input::new(&mut buffer).with_capacity(capacity);
    let message = conn.receive(START, &mut input).unwrap().unwrap();
    let message = message.into_message().unwrap();
    assert_eq!(message.as_bytes(), [7; 1000]);
    assert!(range.contains(&message.as_bytes().as_ptr()));
}

/// Only what can come whole stays: a buffer that is full could not be read into.
#[test]
fn what_does_not_fit_does_not_stay() {
    let masked = |first, len| to(Role::Server, &frame(first, vec![7; len]));
    let limits = Limits::new().with_max_message_size(5000);
    for (first, len, capacity, stays) in [
        (0x82, 1000, 1008, true),
        (0x82, 1000, 1007, false),
        (0x81, 1000, 1008, true),
        (0x82, 5001, 10_000, false),
        (0x02, 1000, 10_000, false),
        (0x89, 100, 10_000, false),
    ] {
        let mut conn = connection(Role::Server, &Config::new().with_limits(limits.clone()));
        let mut bytes = masked(first, len);
        let mut input = Input::new(&mut bytes[..20]).with_capacity(capacity);
        let _event = conn.receive(START, &mut input);
        assert_eq!(!input.is_empty(), stays, "{first:x}, {len} in {capacity}");
    }
    // Not even a header, if that may not fit.
    for (capacity, stays) in [(13, false), (14, true)] {
        let mut conn = connection(Role::Server, &Config::new());
        let mut bytes = masked(0x82, 200);
        let mut input = Input::new(&mut bytes[..7]).with_capacity(capacity);
        assert_eq!(conn.receive(START, &mut input), Ok(None));
        assert_eq!(!input.is_empty(), stays);
    }
}
