//! Classes of messages, automatic fragments, marks and age: what leaves, and in which order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sockeye::{
    CloseCode, Compress, Config, Connection, Deflate, Event, Input, Kind, Limits, Memory, Prepared,
    Priority, SendError, SendOptions, Timeouts,
};

use crate::pair::{Drain, write};
use crate::wire::*;

use Priority::{Bulk, High, Normal, Urgent};

/// Every way to write, for what differs between them.
const DRAINS: &[Drain] = &[
    Drain::Chunk(61),
    Drain::Chunk(1000),
    Drain::Chunk(usize::MAX),
    Drain::Vectored(1),
    Drain::Vectored(5000),
    Drain::Vectored(usize::MAX),
    Drain::Take,
];

/// A class of traffic starves no lower one for more than this, and what is under way.
const MAX_PASSED: usize = 256 * 1024;
/// The largest turn of a class that has waited for too long: a segment of small messages.
const MAX_TURN: usize = 20 * 1024;

fn open(conn: &mut Connection, drain: Drain) -> Vec<u8> {
    let mut output = Vec::new();
    while conn.queued() > 0 {
        output.extend(write(conn, drain));
    }
    output
}

fn texts(role: Role, output: &[u8]) -> Vec<String> {
    let frames = parse(role, output);
    let data = frames.iter().filter(|frame| frame.first & 0x08 == 0);
    data.map(|frame| String::from_utf8(frame.payload.clone()).unwrap())
        .collect()
}

#[test]
fn higher_classes_go_first() {
    for role in BOTH {
        for drain in DRAINS {
            let mut conn = connection(*role, &Config::new());
            for round in ["1", "2"] {
                conn.send_with(format!("bulk {round}"), Bulk).unwrap();
                conn.send(format!("normal {round}")).unwrap();
                conn.send_with(format!("high {round}"), High).unwrap();
                conn.send_with(format!("urgent {round}"), Urgent).unwrap();
            }
            let sent = texts(*role, &open(&mut conn, *drain));
            let expected = [
                "urgent 1", "urgent 2", "high 1", "high 2", "normal 1", "normal 2", "bulk 1",
                "bulk 2",
            ];
            assert_eq!(sent, expected);
        }
    }
}

#[test]
fn a_message_overtakes_where_the_next_begins() {
    for role in BOTH {
        for large in [10, 5000, 70_000] {
            for written in [0, 1, 2, 9, 5001] {
                let mut conn = connection(*role, &Config::new());
                for _ in 0..3 {
                    conn.send_with("b".repeat(large), Bulk).unwrap();
                }
                let mut output = Vec::new();
                if written > 0 {
                    output.extend(write(&mut conn, Drain::Chunk(written)));
                }
                let begun = output.len();
                conn.send_with("now", Urgent).unwrap();
                output.extend(open(&mut conn, Drain::Vectored(usize::MAX)));
                // The message that has begun goes on to its end; none begins before the urgent one.
                let mut position = 0;
                for frame in parse(*role, &output) {
                    if frame.payload == b"now" {
                        break;
                    }
                    assert!(frame.first & 0x0F == 0 || position < begun, "{written}");
                    position += wire_len(*role, frame.payload.len());
                }
                assert_eq!(position == 0, begun == 0);
            }
        }
    }
}

/// What a frame takes.
fn wire_len(role: Role, payload: usize) -> usize {
    let header = match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    header + payload + if role == Role::Client { 4 } else { 0 }
}

#[test]
fn no_class_starves() {
    for role in BOTH {
        for (size, drain) in [
            (0, Drain::Vectored(4096)),
            (100, Drain::Chunk(777)),
            (3000, Drain::Vectored(usize::MAX)),
            (40_000, Drain::Chunk(65_536)),
        ] {
            let mut conn = connection(*role, &Config::new());
            for _ in 0..4 {
                conn.send_with("b", Bulk).unwrap();
                conn.send_with("n", Normal).unwrap();
            }
            let mut output = Vec::new();
            let refill = |conn: &mut Connection| {
                while conn.has_room_for(High) {
                    conn.send_with(vec![0; size], Urgent).unwrap();
                    conn.send_with(vec![0; size], High).ok();
                }
            };
            while output.len() < 10 * MAX_PASSED {
                refill(&mut conn);
                output.extend(write(&mut conn, drain));
            }
            let slack = 3 * (MAX_TURN + size);
            for class in ["n", "b"] {
                let (mut position, mut last, mut seen) = (0, 0, 0);
                for frame in parse_some(*role, &output).0 {
                    if frame.payload == class.as_bytes() {
                        assert!(position - last <= MAX_PASSED + slack, "{}", position - last);
                        (last, seen) = (position, seen + 1);
                    }
                    position += wire_len(*role, frame.payload.len());
                }
                assert_eq!(seen, 4, "{class} of {size}");
            }
        }
    }
}

#[test]
fn a_short_wait_is_no_starvation() {
    let mut conn = connection(Role::Server, &Config::new());
    conn.send_with("b", Bulk).unwrap();
    for _ in 0..60 {
        conn.send_with(vec![0; 4000], Urgent).unwrap();
    }
    let frames = parse(Role::Server, &open(&mut conn, Drain::Chunk(100)));
    assert_eq!(frames.last().unwrap().payload, b"b");
}

#[test]
fn every_way_to_write_gives_the_same_bytes() {
    let busy = |role| {
        let mut conn = connection(role, &Config::new().with_max_fragment(Some(20_000)));
        for number in 0..100 {
            conn.send_with("u".repeat(number * 37 % 9000), Urgent)
                .unwrap();
            conn.send("n".repeat(number * 31 % 3000)).unwrap();
            conn.send_with(vec![b'b'; number * 1009 % 50_000], Bulk)
                .ok();
        }
        conn.ping(b"ping").unwrap();
        conn.close(START, CloseCode::NORMAL, "").unwrap();
        conn
    };
    for role in BOTH {
        let whole = drain(&mut busy(*role));
        for way in DRAINS {
            assert!(open(&mut busy(*role), *way) == whole, "{way:?}");
        }
        // What was offered at once may be advanced in steps.
        let mut conn = busy(*role);
        let mut output = Vec::new();
        while let Some(mut transmit) = conn.poll_transmit() {
            use bytes::Buf;
            let chunk = transmit.chunk().to_vec();
            for step in [1, chunk.len() / 3, chunk.len() - chunk.len() / 3 - 1] {
                transmit.advance(step.min(transmit.remaining()));
            }
            output.extend(chunk);
        }
        assert!(output == whole);
    }
}

#[test]
fn a_message_without_its_end_lets_others_go_first() {
    for role in BOTH {
        for ends in [true, false] {
            let mut conn = connection(*role, &Config::new());
            conn.send_with("bulk", Bulk).unwrap();
            conn.send("normal").unwrap();
            conn.send_fragment(Kind::Text, &b"one"[..], false).unwrap();
            let mut output = write(&mut conn, Drain::Chunk(1));
            conn.send_fragment(Kind::Text, &b"two"[..], ends).unwrap();
            if ends {
                conn.send("later").unwrap();
                conn.send_with("urgent", Urgent).unwrap();
            } else {
                conn.close(START, CloseCode::NORMAL, "").unwrap();
            }
            output.extend(open(&mut conn, Drain::Vectored(usize::MAX)));
            let expected: &[_] = if ends {
                &["normal", "urgent", "one", "two", "later", "bulk"]
            } else {
                // Nothing that was accepted is lost.
                &["normal", "bulk", "one", "two"]
            };
            assert_eq!(texts(*role, &output), expected);
        }
    }
}

#[test]
fn nothing_comes_between_the_fragments_of_a_message() {
    for role in BOTH {
        for written in 1..40 {
            let mut conn = connection(*role, &Config::new());
            conn.send_fragment(Kind::Text, &b"one"[..], false).unwrap();
            let mut output = write(&mut conn, Drain::Vectored(written));
            conn.send_fragment(Kind::Text, &b"two"[..], false).unwrap();
            conn.send_fragment(Kind::Text, &b"three"[..], true).unwrap();
            conn.send("normal").unwrap();
            output.extend(write(&mut conn, Drain::Vectored(written)));
            conn.send_with("urgent", Urgent).unwrap();
            conn.ping(b"").unwrap();
            output.extend(open(&mut conn, Drain::Vectored(written)));
            let texts = texts(*role, &output);
            assert_eq!(texts[..3], ["one", "two", "three"]);
            let begun = !output.is_empty() && texts[3] == "normal";
            assert_eq!(begun, first_two_writes_reach(*role, written), "{written}");
        }
    }
}

/// Whether the "normal" message of the test above had begun when the urgent one came.
fn first_two_writes_reach(role: Role, written: usize) -> bool {
    let one = wire_len(role, 3);
    let message = 2 * one + wire_len(role, 5);
    written.min(one) + written > message
}

#[test]
fn urgent_messages_have_room_behind_a_backlog() {
    let config = Config::new().with_limits(Limits::new().with_max_queued(100));
    let mut conn = connection(Role::Server, &config);
    let room = |conn: &Connection| Priority::ALL.map(|class| conn.has_room_for(class));
    conn.send_with(vec![0; 200], Bulk).unwrap();
    assert_eq!(conn.send_with("x", Bulk), Err(SendError::Full));
    assert_eq!(room(&conn), [true, true, true, false]);
    conn.send_with(vec![0; 200], High).unwrap();
    assert_eq!(room(&conn), [true, false, false, false]);
    assert_eq!(conn.send("x"), Err(SendError::Full));
    conn.send_with(vec![0; 200], Urgent).unwrap();
    assert_eq!(room(&conn), [false; 4]);
}

#[test]
fn a_ping_waits_for_one_frame() {
    const SIZE: usize = 300_000;
    for role in BOTH {
        for max in [1000, 4096, 65_535, 65_536] {
            let config = Config::new().with_max_fragment(Some(max));
            let sends: [fn(&mut Connection); 3] = [
                |conn| conn.send(&[b'x'; SIZE][..]).unwrap(),
                |conn| conn.send(vec![b'x'; SIZE]).unwrap(),
                |conn| {
                    let shared = Bytes::from(vec![b'x'; SIZE]);
                    conn.send(shared.clone()).unwrap();
                    assert!(shared.iter().all(|byte| *byte == b'x'));
                },
            ];
            for send in sends {
                for written in [1, 5000, 70_000, 200_001] {
                    let mut conn = connection(*role, &config);
                    send(&mut conn);
                    let mut output = write(&mut conn, Drain::Vectored(written));
                    let begun = output.len();
                    conn.ping(b"").unwrap();
                    output.extend(open(&mut conn, Drain::Take));
                    let frames = parse(*role, &output);
                    let ping = frames.iter().position(|frame| frame.first == 0x89);
                    let before = frames[..ping.unwrap()].iter();
                    let before: usize =
                        before.map(|sent| wire_len(*role, sent.payload.len())).sum();
                    assert!(before - begun < max + 14);
                    let data: Vec<_> = frames.iter().filter(|sent| sent.first != 0x89).collect();
                    assert!(data.iter().all(|sent| sent.payload.len() <= max));
                    assert_eq!(data.len(), SIZE.div_ceil(max));
                    let firsts: Vec<_> = data.iter().map(|sent| sent.first).collect();
                    assert_eq!(firsts[0], 0x02);
                    assert_eq!(firsts.last(), Some(&0x80));
                    assert!(firsts[1..firsts.len() - 1].iter().all(|first| *first == 0));
                    let whole: Vec<u8> =
                        data.iter().flat_map(|sent| sent.payload.clone()).collect();
                    assert!(whole == [b'x'; SIZE]);
                    if *role == Role::Client {
                        let mut keys: Vec<_> = data.iter().map(|sent| sent.key).collect();
                        keys.dedup();
                        assert_eq!(keys.len(), data.len(), "6455-5.3-02: a key for each frame");
                    }
                }
            }
        }
    }
}

#[test]
fn fragments_of_a_shared_payload_are_parts_of_it() {
    let shared = Bytes::from(vec![7; 204_800]);
    let mut conn = connection(Role::Server, &Config::new());
    conn.send(shared.clone()).unwrap();
    let mut segments = Vec::new();
    conn.take_transmit(&mut segments);
    let memory = shared.as_ptr_range();
    let parts = segments.iter().filter(|segment| segment.len() > 100);
    assert!(parts.clone().all(|part| memory.contains(&part.as_ptr())));
    assert_eq!(parts.map(Bytes::len).sum::<usize>(), shared.len());
}

#[test]
fn fragments_can_be_switched_off_and_are_never_empty() {
    let mut conn = connection(Role::Server, &Config::new().with_max_fragment(None));
    conn.send(vec![0; 1 << 20]).unwrap();
    assert_eq!(parse(Role::Server, &drain(&mut conn)).len(), 1);

    let mut conn = connection(Role::Server, &Config::new().with_max_fragment(Some(0)));
    conn.send("abc").unwrap();
    conn.send("").unwrap();
    conn.send_fragment(Kind::Text, &b"de"[..], false).unwrap();
    conn.send_fragment(Kind::Text, &b""[..], true).unwrap();
    let output = drain(&mut conn);
    let expected: [(u8, &[u8]); 7] = [
        (0x01, b"a"),
        (0x00, b"b"),
        (0x80, b"c"),
        (0x81, b""),
        (0x01, b"d"),
        (0x00, b"e"),
        (0x80, b""),
    ];
    assert_eq!(brief(&parse(Role::Server, &output)), expected);
}

fn compressing(memory: Memory) -> Config {
    with_deflate(Deflate::client().with_send_memory(memory))
}

#[test]
fn compressed_messages_keep_their_order() {
    // Only one class has compressed messages at a time, unless none refers to another.
    for role in BOTH {
        for memory in [Memory::Retained, Memory::Window, Memory::NoTakeover] {
            let mut conn = connection(*role, &compressing(memory));
            let message = "again and again ".repeat(10);
            let always = SendOptions::from(Compress::Always);
            let prepared = Prepared::new(message.as_str());
            conn.send_with(message.as_str(), always).unwrap();
            let urgent = always.with_priority(Urgent);
            conn.send_with(message.as_str(), urgent).unwrap();
            conn.send_prepared_with(&prepared, Bulk).unwrap();
            conn.send_prepared(&prepared).unwrap();
            let is_compressed = |output: &[u8]| -> Vec<_> {
                let frames = parse(*role, output);
                frames.iter().map(|sent| sent.first & 0x40 != 0).collect()
            };
            let alone = memory == Memory::NoTakeover;
            let output = drain(&mut conn);
            assert_eq!(is_compressed(&output), [alone, true, true, alone]);
            // Nothing waits any more.
            conn.send_prepared_with(&prepared, Bulk).unwrap();
            assert_eq!(is_compressed(&drain(&mut conn)), [true]);
        }
    }
}

#[test]
fn what_waits_uncompressed_keeps_nothing_from_being_compressed() {
    let mut conn = connection(Role::Server, &compressing(Memory::Window));
    let never = SendOptions::from(Compress::Never).with_priority(Bulk);
    conn.send_with(vec![0; 5000], never).unwrap();
    conn.send("again and again ".repeat(10)).unwrap();
    let frames = parse(Role::Server, &drain(&mut conn));
    assert_eq!([frames[0].first, frames[1].first], [0xC1, 0x82]);
}

#[test]
fn the_queue_drains_once() {
    let limits = Limits::new().with_max_queued(1000);
    for (limits, low) in [(limits.clone(), 500), (limits.with_low_water(10), 10)] {
        let mut conn = connection(Role::Server, &Config::new().with_limits(limits));
        for _ in 0..3 {
            conn.send(vec![0; 996]).unwrap();
            assert!(!conn.poll_drained(), "it has been full");
            conn.send("x").unwrap_err();
            while conn.queued() > low {
                assert!(!conn.poll_drained(), "with {}", conn.queued());
                write(&mut conn, Drain::Chunk(1));
            }
            assert!(conn.poll_drained());
            assert!(!conn.poll_drained());
            drain(&mut conn);
            assert!(!conn.poll_drained());
            // It was not full.
            conn.send(vec![0; 900]).unwrap();
            drain(&mut conn);
            assert!(!conn.poll_drained());
        }
        conn.send(vec![0; 2000]).unwrap();
        conn.abort();
        assert!(conn.poll_drained() && !conn.poll_drained());
    }
    assert_eq!(Limits::new().low_water(), Limits::new().max_queued() / 2);
    let nothing = Limits::new().with_max_queued(7).with_low_water(100);
    assert_eq!(nothing.low_water(), 7);
}

/// What was refused for want of memory is let in when there is some again.
#[test]
fn memory_drains() {
    let limits = Limits::new().with_max_memory(Some(1000));
    let config = Config::new().with_limits(limits);
    let mut conn = connection(Role::Server, &config);
    conn.send(vec![0; 1000]).unwrap();
    conn.send_with("x", Urgent).unwrap_err();
    assert!(!conn.poll_drained());
    drain(&mut conn);
    assert!(conn.poll_drained() && !conn.poll_drained());

    // A partial message of the peer's holds it as well.
    let mut first = to(Role::Server, &frame(0x02, [0; 600]));
    let mut last = to(Role::Server, &frame(0x80, ""));
    let event = conn.receive(START, &mut Input::new(&mut first));
    assert_eq!(event, Ok(None));
    conn.send(vec![0; 396]).unwrap();
    conn.send("x").unwrap_err();
    assert!(!conn.poll_drained());
    let event = conn.receive(START, &mut Input::new(&mut last));
    assert!(matches!(event, Ok(Some(Event::Binary(_)))));
    assert!(conn.poll_drained() && conn.has_room());
}

#[test]
fn each_class_that_was_full_drains() {
    let config = Config::new().with_limits(Limits::new().with_max_queued(1000));
    let mut conn = connection(Role::Server, &config);
    conn.send_with(vec![0; 2000], Bulk).unwrap();
    conn.send_with(vec![0; 2000], Urgent).unwrap();
    assert!(!conn.poll_drained());
    write(&mut conn, Drain::Chunk(2004));
    assert!(conn.poll_drained() && conn.has_room());
    assert!(!conn.has_room_for(Bulk) && !conn.poll_drained());
    drain(&mut conn);
    assert!(conn.poll_drained() && !conn.poll_drained());
}

#[test]
fn age_counts_from_where_data_was_seen_waiting() {
    let after = |seconds| START + Duration::from_secs(seconds);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let mut conn = connection(Role::Server, &Config::new());
    assert_eq!(conn.queued_age(START), None);
    conn.send("12345678").unwrap();
    assert_eq!(conn.queued_age(after(1)), seconds(0));
    assert_eq!(conn.queued_age(after(3)), seconds(2));
    conn.send("12345678").unwrap();
    write(&mut conn, Drain::Chunk(9));
    assert_eq!(
        conn.queued_age(after(4)),
        seconds(3),
        "a byte is left of it"
    );
    write(&mut conn, Drain::Chunk(1));
    assert_eq!(conn.queued_age(after(5)), seconds(0));
    assert_eq!(conn.queued_age(after(6)), seconds(1));
    drain(&mut conn);
    assert_eq!(conn.queued_age(after(7)), None);
    conn.ping(b"").unwrap();
    assert_eq!(conn.queued_age(after(7)), None, "that is no data");
    conn.send("x").unwrap();
    assert_eq!(conn.queued_age(after(9)), seconds(0));

    // With a deadline for writing the time is told without being asked for.
    let timeouts = Timeouts::new().with_write(Some(Duration::from_secs(60)));
    let mut conn = connection(Role::Server, &Config::new().with_timeouts(timeouts));
    conn.send("x").unwrap();
    assert!(conn.poll_timeout().unwrap() < START);
    conn.handle_timeout(START).unwrap();
    assert_eq!(conn.queued_age(after(30)), seconds(30));
}

/// Something that a sender does.
#[derive(Clone, Debug)]
enum Op {
    Send(Priority, usize, How),
    Fragment(usize, bool),
    Ping,
    Write(Drain),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Plain(Compress),
    Prepared,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let priority = prop::sample::select(&Priority::ALL[..]);
    let size = prop_oneof![4 => 0..200usize, 2 => 3000..6000usize, 1 => Just(20_000usize)];
    let how = prop_oneof![
        Just(How::Plain(Compress::Auto)),
        Just(How::Plain(Compress::Always)),
        Just(How::Plain(Compress::Never)),
        Just(How::Prepared),
    ];
    let drain = prop_oneof![
        3 => (1..300usize).prop_map(Drain::Chunk),
        3 => (1..9000usize).prop_map(Drain::Vectored),
        1 => Just(Drain::Take),
    ];
    let op = prop_oneof![
        6 => (priority, size, how).prop_map(|(class, size, how)| Op::Send(class, size, how)),
        2 => (0..3000usize, any::<bool>()).prop_map(|(size, fin)| Op::Fragment(size, fin)),
        1 => Just(Op::Ping),
        4 => drain.prop_map(Op::Write),
    ];
    vec(op, 1..60)
}

/// The plain way to put messages in order: a list for each class, and the begun one.
#[derive(Default)]
struct Model {
    waiting: [VecDeque<usize>; 4],
    /// The normal message whose end is not there yet.
    open: Option<usize>,
    /// Those that began to leave, in order.
    begun: Vec<usize>,
    /// Where the next frame begins in the output.
    next_frame: usize,
    counted: bool,
}

impl Model {
    /// Notes the messages that begin in what was written.
    fn note_output(&mut self, role: Role, output: &[u8]) {
        while let Some(first) = output.get(self.next_frame) {
            if !self.counted && matches!(first & 0x0F, 1 | 2) {
                self.begin();
            }
            self.counted = true;
            let rest = &output[self.next_frame..];
            let Some(second) = rest.get(1) else { return };
            let (extended, size) = match second & 0x7F {
                126 => (2, rest.get(2..4)),
                127 => (8, rest.get(2..10)),
                _ => (0, Some(&rest[..0])),
            };
            let Some(size) = size else { return };
            let len = match extended {
                0 => usize::from(second & 0x7F),
                _ => size
                    .iter()
                    .fold(0, |len, byte| len << 8 | usize::from(*byte)),
            };
            let key = if role == Role::Client { 4 } else { 0 };
            self.next_frame += 2 + extended + key + len;
            self.counted = false;
        }
    }

    fn begin(&mut self) {
        let open = self.open;
        let mut lists = self.waiting.iter_mut();
        let next = lists.find_map(|list| {
            let closed = list.front().copied() != open || open.is_none();
            if closed { list.pop_front() } else { None }
        });
        let next = next.or_else(|| self.waiting[Normal as usize].pop_front());
        self.begun.push(next.unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_mix_arrives_in_order(
        ops in ops(),
        role in prop::sample::select(BOTH),
        max in prop::sample::select(&[Some(100), Some(5000), Some(17_000), None][..]),
        memory in prop::sample::select(
            &[None, Some(Memory::Retained), Some(Memory::Window), Some(Memory::NoTakeover)][..]
        ),
    ) {
        let base = memory.map_or_else(Config::new, compressing);
        let config = base.with_max_fragment(max);
        let mut conn = connection(role, &config);
        let mut model = Model::default();
        let mut messages: Vec<Vec<u8>> = Vec::new();
        let mut output = Vec::new();
        let mut queued = 0;
        for op in ops {
            match op {
                // Beyond that somebody might be due.
                Op::Send(_, size, _) if queued + size > MAX_PASSED - 30_000 => {}
                Op::Send(class, size, how) => {
                    let payload = numbered(messages.len(), size);
                    let result = match how {
                        How::Plain(compress) => {
                            let options = SendOptions::new().with_priority(class);
                            conn.send_with(&payload[..], options.with_compress(compress))
                        }
                        How::Prepared => {
                            conn.send_prepared_with(&Prepared::new(&payload[..]), class)
                        }
                    };
                    if model.open.is_some() {
                        prop_assert_eq!(result, Err(SendError::MessageInProgress));
                    } else {
                        result.unwrap();
                        queued += size + 20;
                        model.waiting[class as usize].push_back(messages.len());
                        messages.push(payload);
                    }
                }
                Op::Fragment(size, fin) => {
                    let number = model.open.unwrap_or(messages.len());
                    let piece = numbered(number, size);
                    conn.send_fragment(Kind::Binary, &piece[..], fin).unwrap();
                    if model.open.is_none() {
                        model.waiting[Normal as usize].push_back(number);
                        messages.push(Vec::new());
                    }
                    messages[number].extend(piece);
                    model.open = (!fin).then_some(number);
                }
                Op::Ping => ignore(conn.ping(b"")),
                Op::Write(drain) => {
                    output.extend(write(&mut conn, drain));
                    model.note_output(role, &output);
                }
            }
        }
        if let Some(number) = model.open {
            conn.send_fragment(Kind::Binary, &b"end"[..], true).unwrap();
            messages[number].extend(b"end");
            model.open = None;
        }
        output.extend(drain(&mut conn));
        model.note_output(role, &output);

        // The other end takes it all.
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let mut peer = connection(other, &config);
        let mut events = Vec::new();
        receive(&mut peer, START, &output, &mut events).unwrap();
        events.retain(|event| matches!(event, Got::Binary(_)));
        let expected: Vec<_> = model.begun.iter().map(|index| binary(&messages[*index])).collect();
        prop_assert_eq!(model.begun.len(), messages.len());
        prop_assert!(events == expected);
        let max = max.unwrap_or(usize::MAX);
        prop_assert!(parse(role, &output).iter().all(|sent| sent.payload.len() <= max));
    }
}

/// A payload that differs from others, and refers to them once compressed.
fn numbered(number: usize, size: usize) -> Vec<u8> {
    let line = format!("message {number} of this connection, ");
    let mut payload = format!("{number}:").into_bytes();
    payload.extend(line.bytes().cycle().take(size));
    payload
}
