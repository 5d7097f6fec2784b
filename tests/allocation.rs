//! What a connection allocates, by a counting allocator: nothing where it promises nothing, and
//! never more than its limits, whatever the peer sends or declares.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and knows its numbers"
)]
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Buf;
use sockeye::{
    CloseCode, Closed, Config, Connection, Delivery, Error, Event, Input, Instant, Kind, Limits,
    Message, Negotiated, Priority, Receiver, SendError, Sender, WebSocket,
};

/// Counts for each thread, because tests run on threads of their own.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(asked: Option<usize>, change: isize) {
    // A thread that ends frees things after its locals are gone.
    if let Some(asked) = asked {
        let _ = CALLS.try_with(|cell| cell.set(cell.get() + 1));
        let _ = ASKED.try_with(|cell| cell.set(cell.get() + asked));
    }
    let _ = BYTES.try_with(|cell| {
        cell.set(cell.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(cell.get())));
    });
}

// SAFETY: everything is the system allocator's; only numbers are kept beside it, in places that do
// not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(Some(layout.size()), layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(None, -(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(Some(size), size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// What `work` did to memory.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    /// Allocations and reallocations.
    calls: usize,
    /// Their sizes in all: what moves with a buffer that grows is less.
    asked: usize,
    /// The most bytes above those at its start.
    peak: isize,
    /// Bytes that it left behind.
    left: isize,
}

const NOTHING: Use = Use {
    calls: 0,
    asked: 0,
    peak: 0,
    left: 0,
};

fn measure<T>(work: impl FnOnce() -> T) -> (T, Use) {
    let (calls, asked, bytes) = (CALLS.get(), ASKED.get(), BYTES.get());
    PEAK.set(bytes);
    let result = work();
    let used = Use {
        calls: CALLS.get() - calls,
        asked: ASKED.get() - asked,
        peak: PEAK.get() - bytes,
        left: BYTES.get() - bytes,
    };
    (result, used)
}

const NOW: Instant = Instant::from_millis(1);
const KEY: [u8; 4] = [1, 2, 3, 4];

fn server(config: &Config) -> Connection {
    Connection::server(config, Negotiated::new(), NOW)
}

fn client(config: &Config) -> Connection {
    Connection::client(config, Negotiated::new(), || KEY, NOW)
}

/// Both roles, and whether what they receive is masked.
fn both(config: &Config) -> [(Connection, bool); 2] {
    [(client(config), false), (server(config), true)]
}

/// A frame of `len` times the byte `x`.
fn frame(first: u8, len: usize, masked: bool) -> Vec<u8> {
    let mut frame = header(first, len as u64, masked);
    let key = if masked { KEY } else { [0; 4] };
    frame.extend((0..len).map(|index| b'x' ^ key[index % 4]));
    frame
}

fn header(first: u8, len: u64, masked: bool) -> Vec<u8> {
    let bit = if masked { 0x80 } else { 0 };
    let mut header = match len {
        0..=125 => vec![first, bit | len as u8],
        126..=0xFFFF => [&[first, bit | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, bit | 127][..], &len.to_be_bytes()].concat(),
    };
    header.extend(masked.then_some(KEY).iter().flatten());
    header
}

/// Feeds one read and returns how many events it had.
fn receive(conn: &mut Connection, read: &mut [u8]) -> Result<usize, Error> {
    let mut input = Input::new(read);
    let mut events = 0;
    while conn.receive(NOW, &mut input)?.is_some() {
        events += 1;
    }
    Ok(events)
}

/// Makes the thread keep as many buffers as it ever does, so that no more of them stay. Those for
/// messages are of no use where a message may only have [`LIMIT`].
fn fill_spares() {
    let mut conns: [_; 8] = std::array::from_fn(|_| server(&Config::new()));
    for conn in &mut conns {
        conn.send(&[0; 60_000][..]).unwrap();
        for _ in 0..40 {
            conn.send(vec![0; 5000]).unwrap();
        }
        receive(conn, &mut frame(0x02, LIMIT + 1, true)).unwrap();
    }
    for conn in &mut conns {
        drain(conn);
        receive(conn, &mut frame(0x80, 0, true)).unwrap();
    }
}

/// Writes everything to nowhere.
fn drain(conn: &mut Connection) {
    while let Some(mut transmit) = conn.poll_transmit() {
        let len = transmit.chunk().len();
        transmit.advance(len);
    }
}

/// Whoever uses one class of messages pays for no other.
#[test]
fn lanes_are_made_for_the_first_message_of_another_class() {
    fill_spares();
    for (mut conn, _) in both(&Config::new()) {
        let mut send = |priority| {
            let ((), used) = measure(|| {
                conn.send("first").unwrap();
                conn.send_with("second", priority).unwrap();
            });
            let ((), sent) = measure(|| {
                while let Some(mut output) = conn.poll_transmit() {
                    output.advance(output.remaining());
                }
            });
            assert!(used.left + sent.left <= 0, "nothing stays");
            used
        };
        // So that the buffers are there.
        send(Priority::Bulk);
        let normal = send(Priority::Normal);
        let bulk = send(Priority::Bulk);
        assert_eq!(send(Priority::Normal), normal);
        assert_eq!(normal.calls, 0, "the buffer is the thread's");
        // The lanes.
        assert_eq!(bulk.calls, 1, "{bulk:?}");
        assert!(bulk.left > normal.left + 100 && bulk.left < normal.left + 500);
    }
}

#[test]
fn sizes() {
    assert!(
        size_of::<Connection>() <= 808,
        "{}",
        size_of::<Connection>()
    );
    assert!(size_of::<Event<'_>>() <= 48, "{}", size_of::<Event<'_>>());
    assert!(
        size_of::<Message<'_>>() <= 48,
        "{}",
        size_of::<Message<'_>>()
    );
    assert!(size_of::<Error>() <= 8 && size_of::<SendError>() <= 8);
}

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}
const _: () = {
    is_send::<Connection>();
    is_send::<Receiver>();
    is_send::<Sender>();
    is_send::<Event<'_>>();
    is_send::<Closed>();
    // A connection holds the caller's mask keys, which only have to be `Send`.
    is_sync::<Receiver>();
    is_sync::<Event<'_>>();
    is_sync::<Closed>();
    is_sync::<Error>();
};

#[test]
fn a_message_whole_in_the_input_is_lent_out() {
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        for (mut conn, masked) in both(&Config::new().with_delivery(delivery)) {
            for first in [0x81, 0x82] {
                let mut read = [0, 1, 125, 126, 5000, 65_535, 65_536, 1 << 20]
                    .map(|len| frame(first, len, masked))
                    .concat();
                let bounds = read.as_ptr_range();
                let ((), used) = measure(|| {
                    let mut input = Input::new(&mut read);
                    while let Some(event) = conn.receive(NOW, &mut input).unwrap() {
                        let payload = match &event {
                            Event::Text(text) => text.as_bytes(),
                            Event::Binary(payload) => payload,
                            Event::Fragment(piece) => piece.payload(),
                            other => panic!("{other:?}"),
                        };
                        let range = payload.as_ptr_range();
                        assert!(bounds.start <= range.start && range.end <= bounds.end);
                    }
                });
                assert_eq!(used, NOTHING);
            }
        }
    }
}

#[test]
fn chunks_are_lent_out_whatever_their_size() {
    for (mut conn, masked) in both(&Config::new().with_delivery(Delivery::Chunks)) {
        let mut stream = [frame(0x01, 10_000, masked), frame(0x80, 100_000, masked)].concat();
        let ((), used) = measure(|| {
            for read in stream.chunks_mut(777) {
                receive(&mut conn, read).unwrap();
            }
        });
        assert_eq!(used, NOTHING);
    }
}

#[test]
fn a_ping_costs_the_buffer_of_its_pong() {
    for (mut conn, masked) in both(&Config::new()) {
        for len in [0, 5, 125] {
            let mut read = frame(0x89, len, masked);
            let (result, used) = measure(|| receive(&mut conn, &mut read));
            assert_eq!(result, Ok(1));
            // One buffer, which goes when the pong is sent.
            assert_eq!(used.calls, 1);
            assert!(used.left <= 256);
            let (_, sent) = measure(|| drain(&mut conn));
            assert_eq!((sent.calls, used.left + sent.left), (0, 0));
        }
    }
}

#[test]
fn a_small_message_costs_nothing() {
    for (mut conn, _) in both(&Config::new()) {
        for len in [0, 1, 100, 4000] {
            let payload = vec![7; len];
            let mut send = |count| {
                let ((), used) = measure(|| {
                    for _ in 0..count {
                        conn.send(&payload[..len.min(4000 / count)]).unwrap();
                    }
                    drain(&mut conn);
                });
                used
            };
            // The second time: then the buffers are there.
            for count in [1, 100] {
                send(count);
                assert_eq!(send(count), NOTHING, "{count} of {len}");
            }
        }
    }
}

#[test]
fn a_large_owned_message_is_not_copied() {
    const LEN: isize = 1 << 20;
    for (mut conn, _) in both(&Config::new()) {
        let payload = vec![7; LEN as usize];
        let ((), used) = measure(|| conn.send(payload).unwrap());
        assert!(used.peak < 4096, "{used:?}");
        let ((), used) = measure(|| drain(&mut conn));
        assert!(used.peak <= 0 && used.left <= -LEN, "{used:?}");
    }
}

#[test]
fn f_10_g_06_a_declared_length_allocates_nothing() {
    let everything = Limits::new()
        .with_max_message_size(u64::MAX)
        .with_max_frame_size(u64::MAX);
    for len in [1 << 40, u64::MAX >> 1] {
        for first in [0x81, 0x82, 0x02] {
            for (mut conn, masked) in both(&Config::new().with_limits(everything.clone())) {
                let mut read = header(first, len, masked);
                let (result, used) = measure(|| receive(&mut conn, &mut read));
                assert_eq!((result, used), (Ok(0), NOTHING));
                // What comes is kept, and no more.
                let mut some =
                    frame(first, 1000, masked).split_off(header(first, 1000, masked).len());
                let (result, used) = measure(|| receive(&mut conn, &mut some));
                assert_eq!(result, Ok(0));
                assert!(used.peak <= 2 * 1000 + 64, "{used:?}");
            }
        }
        // And beyond the limits, neither does the failure, but for its Close frame.
        for (mut conn, masked) in both(&Config::new()) {
            let mut read = header(0x82, len, masked);
            let (result, used) = measure(|| receive(&mut conn, &mut read));
            assert!(result.is_err());
            assert!(used.peak <= 64, "{used:?}");
        }
    }
}

const LIMIT: usize = 256 * 1024;
/// Above twice a limit, for everything else.
const CONSTANT: isize = 1024;

/// Asks that a message as large as the limit took no more memory than it may, and that its buffer
/// doubled as it grew: copying what it holds with each piece would be quadratic.
fn assert_doubling(used: &Use) {
    assert!(used.peak <= 2 * LIMIT as isize + CONSTANT, "{used:?}");
    assert!(used.asked <= 3 * LIMIT, "{used:?}");
}

fn limited() -> Config {
    let limit = LIMIT as u64;
    Config::new().with_limits(
        Limits::new()
            .with_max_message_size(limit)
            .with_max_frame_size(limit),
    )
}

#[test]
fn g_01_single_byte_fragments_cost_their_bytes() {
    for kind in [0x01, 0x02] {
        for (mut conn, masked) in both(&limited()) {
            fill_spares();
            let pieces = [
                frame(kind, 1, masked),
                frame(0x00, 1, masked).repeat(LIMIT - 1),
            ]
            .concat();
            let mut end = frame(0x80, 0, masked);
            let mut reads: Vec<_> = pieces.chunks(4000).map(<[u8]>::to_vec).collect();
            let (events, used) = measure(|| {
                for read in &mut reads {
                    assert_eq!(receive(&mut conn, read), Ok(0));
                }
                receive(&mut conn, &mut end)
            });
            assert!(events == Ok(1) && used.left <= 0, "{used:?}");
            assert_doubling(&used);
        }
    }
}

#[test]
fn g_03_a_message_without_end_stops_at_the_limit() {
    for (mut conn, masked) in both(&limited()) {
        fill_spares();
        receive(&mut conn, &mut frame(0x02, 1024, masked)).unwrap();
        let piece = frame(0x00, 1024, masked);
        let mut read = piece.clone();
        let (count, used) = measure(|| {
            (0..1_000_000).position(|_| {
                read.copy_from_slice(&piece);
                receive(&mut conn, &mut read).is_err()
            })
        });
        assert_eq!(count, Some(LIMIT / 1024 - 1));
        assert_doubling(&used);
        assert!(used.left <= CONSTANT, "{used:?}");
    }
}

#[test]
fn g_05_ten_million_empty_fragments_cost_nothing() {
    let limits = Limits::new().with_max_empty_fragments(u32::MAX);
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        let config = Config::new().with_delivery(delivery);
        for (mut conn, masked) in both(&config.with_limits(limits.clone())) {
            receive(&mut conn, &mut frame(0x02, 0, masked)).unwrap();
            let mut read = frame(0x00, 0, masked).repeat(10_000);
            let reads = match (delivery, masked) {
                (Delivery::Messages, true) => 1000,
                _ => 50,
            };
            let (_, used) = measure(|| {
                for _ in 0..reads {
                    assert_eq!(receive(&mut conn, &mut read), Ok(0));
                }
            });
            assert_eq!(used, NOTHING);
        }
    }
}

#[test]
fn g_05_empty_fragments_above_the_cap_cost_a_close_frame() {
    for (mut conn, masked) in both(&Config::new()) {
        receive(&mut conn, &mut frame(0x02, 0, masked)).unwrap();
        let mut read = frame(0x00, 0, masked).repeat(10_000);
        let (result, used) = measure(|| receive(&mut conn, &mut read));
        assert_eq!(
            result.unwrap_err().close_code(),
            Some(CloseCode::POLICY_VIOLATION)
        );
        assert!(used.peak <= 64, "{used:?}");
        let (_, used) = measure(|| {
            for _ in 0..1000 {
                receive(&mut conn, &mut read).unwrap_err();
            }
        });
        assert_eq!(used, NOTHING);
    }
}

#[test]
fn g_07_single_byte_reads_of_a_large_frame() {
    for first in [0x81, 0x82] {
        for (mut conn, masked) in both(&limited()) {
            fill_spares();
            let mut stream = frame(first, LIMIT, masked);
            let (events, used) = measure(|| {
                let reads = stream.chunks_mut(1);
                reads
                    .map(|read| receive(&mut conn, read).unwrap())
                    .sum::<usize>()
            });
            assert!(events == 1 && used.left <= 0, "{used:?}");
            assert_doubling(&used);
        }
    }
}

#[test]
fn g_08_a_million_messages_in_a_read_are_not_queued() {
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        for (mut conn, masked) in both(&Config::new().with_delivery(delivery)) {
            let mut read = frame(0x81, 1, masked).repeat(1_000_000);
            let (events, used) = measure(|| receive(&mut conn, &mut read));
            assert_eq!((events, used), (Ok(1_000_000), NOTHING));
        }
    }
}

/// Feeds a million control frames, and never drains. Returns the most that was queued, too.
fn flood(conn: &mut Connection, frame: &[u8]) -> (usize, Use) {
    let fresh = frame.repeat(1000);
    let mut read = fresh.clone();
    measure(|| {
        let queued = (0..1000).map(|_| {
            read.copy_from_slice(&fresh);
            assert_eq!(receive(conn, &mut read), Ok(1000));
            conn.queued()
        });
        queued.max().unwrap()
    })
}

/// A buffer doubles while it grows, and only what was in it was counted: up to half of the memory
/// was not, and the limit for all that is held could be passed by as much.
#[test]
fn regression_buffers_were_counted_by_what_is_in_them() {
    const LIMIT: usize = 10_000;
    let config = Config::new().with_limits(Limits::new().with_max_memory(Some(LIMIT)));
    // What the thread keeps of one goes when it keeps that of the next: so many of the same size.
    for (mut conn, masked) in [both(&config), both(&config)].into_iter().flatten() {
        assert_eq!(receive(&mut conn, &mut frame(0x02, LIMIT, masked)), Ok(0));
    }
    for first in [0x01, 0x02] {
        for size in [1, 7, 100] {
            for (mut conn, masked) in both(&config) {
                let mut bytes = frame(first, LIMIT, masked);
                for piece in bytes.chunks_mut(size) {
                    let ((), used) = measure(|| {
                        assert_eq!(receive(&mut conn, piece), Ok(0));
                    });
                    assert!(used.peak <= 2 * LIMIT as isize);
                    let (held, used) = (conn.held() as isize, used.left);
                    assert!(used <= held && held <= LIMIT as isize, "{used} {held}");
                }
                let held = conn.held();
                let ((), used) = measure(|| drop(conn));
                let freed = usize::try_from(-used.left).unwrap();
                assert!((held..=held + 200).contains(&freed), "{freed} {held}");
            }
        }
    }
}

#[test]
fn p_01_a_million_pings_cost_a_few_pongs() {
    for len in [0, 5, 125] {
        for (mut conn, masked) in both(&Config::new()) {
            let (queued, used) = flood(&mut conn, &frame(0x89, len, masked));
            assert!(0 < queued && queued < 300, "{queued}");
            assert!(used.peak <= 600, "{used:?}");
        }
    }
}

#[test]
fn p_04_a_million_pongs_cost_nothing() {
    for (mut conn, masked) in both(&Config::new()) {
        let pong = frame(0x8A, 5, masked);
        assert_eq!(flood(&mut conn, &pong), (0, NOTHING));
    }
}

#[test]
fn p_06_p_09_a_peer_that_never_reads_costs_the_limit() {
    for size in [1, 100, 5000, 100_000] {
        let config = Config::new().with_limits(Limits::new().with_max_queued(LIMIT));
        for (mut conn, masked) in both(&config) {
            let payload = vec![b'x'; size];
            let ((), used) = measure(|| while conn.send(&payload[..]).is_ok() {});
            // The message that reaches the limit is still taken.
            let most = LIMIT + size + 14;
            assert!(conn.queued() <= most, "{}", conn.queued());
            assert!(used.peak <= 2 * most as isize + CONSTANT, "{used:?}");
            // What is refused leaves nothing behind; what the protocol owes has room of its own.
            let (_, used) = measure(|| {
                for _ in 0..10_000 {
                    conn.send(&payload[..]).unwrap_err();
                    let _ = conn.ping(b"ping");
                    receive(&mut conn, &mut frame(0x89, 125, masked)).unwrap();
                }
                conn.close(NOW, CloseCode::NORMAL, "bye").unwrap();
            });
            assert!(used.peak <= 4 * CONSTANT, "{used:?}");
            assert!(conn.queued() <= most + 4096, "{}", conn.queued());
            let (_, used) = measure(|| drain(&mut conn));
            assert!(used.peak <= CONSTANT, "{used:?}");
        }
    }
}

#[test]
fn an_idle_connection_owns_no_buffer() {
    fill_spares();
    for (mut conn, masked) in both(&Config::new()) {
        let stream = [
            frame(0x81, 10_000, masked),
            frame(0x02, 3000, masked),
            frame(0x89, 125, masked),
            frame(0x80, 3000, masked),
            frame(0x8A, 10, masked),
        ]
        .concat();
        let ((), used) = measure(|| {
            for size in [1, 13, 4096] {
                let mut stream = stream.clone();
                for read in stream.chunks_mut(size) {
                    receive(&mut conn, read).unwrap();
                }
            }
            for _ in 0..100 {
                conn.send("x".repeat(500)).unwrap();
                conn.send(vec![1; 10_000]).unwrap();
                let _ = conn.ping(b"ping");
            }
            drain(&mut conn);
            conn.send_fragment(Kind::Text, &b"a"[..], false).unwrap();
            conn.send_fragment(Kind::Text, &b"b"[..], true).unwrap();
            drain(&mut conn);
        });
        assert!(used.left <= 0, "{used:?}");
    }
}

fn ignore<T>(_: T) {}

#[test]
fn t_05_a_connection_dropped_anywhere_leaves_nothing() {
    let calls: &[fn(&mut Connection, bool)] = &[
        |_, _| {},
        |conn, masked| ignore(receive(conn, &mut frame(0x82, 5000, masked)[..3000])),
        |conn, masked| ignore(receive(conn, &mut frame(0x01, 5000, masked))),
        |conn, masked| ignore(receive(conn, &mut frame(0x89, 125, masked)[..50])),
        |conn, masked| ignore(receive(conn, &mut frame(0x89, 125, masked))),
        |conn, masked| ignore(receive(conn, &mut frame(0x88, 0, masked))),
        |conn, masked| ignore(receive(conn, &mut header(0x83, 0, masked))),
        |conn, _| ignore(conn.send(vec![1; 10_000])),
        |conn, _| ignore(conn.send("small")),
        |conn, _| ignore(conn.send_fragment(Kind::Text, &b"a"[..], false)),
        |conn, _| ignore(conn.close(NOW, CloseCode::NORMAL, "bye")),
        |conn, _| {
            if let Some(mut transmit) = conn.poll_transmit() {
                transmit.advance(1);
            }
        },
        |conn, _| ignore(conn.handle_eof()),
        |conn, _| conn.abort(),
    ];
    fill_spares();
    for first in calls {
        for second in calls {
            for role in 0..2 {
                let ((), used) = measure(|| {
                    let [client, server] = both(&Config::new());
                    let (mut conn, masked) = if role == 0 { client } else { server };
                    first(&mut conn, masked);
                    second(&mut conn, masked);
                });
                assert!(used.left <= 0, "{used:?}");
            }
        }
    }
}

#[cfg(feature = "handshake")]
#[test]
fn a1_15_a_handshake_that_failed_holds_nothing() {
    use sockeye::handshake::{
        Acceptance, ClientHandshake, ClientRequest, Refusal, ServerHandshake,
    };

    const NAMES: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n";
    let long = format!("X: {}\r\n", "x".repeat(8000));
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    // What is malformed, what is missing, and what the application refuses.
    for (last, is_valid) in [("X : y\r\n", false), ("", false), (key, true)] {
        let mut head = format!("GET / HTTP/1.1\r\n{NAMES}{long}{last}\r\n").into_bytes();
        let mut server = ServerHandshake::new(&Config::new(), NOW);
        let (outcome, used) = measure(|| {
            let outcome = server.receive(NOW, &mut Input::new(&mut head));
            let outcome = outcome.map(|request| drop(request.expect("the head is complete")));
            if is_valid {
                server.reject(Refusal::new(403)).unwrap();
            }
            drop(std::mem::take(server.poll_transmit().unwrap()));
            outcome
        });
        assert_eq!(outcome.is_ok(), is_valid);
        assert!(server.accept(Acceptance::new()).is_err());
        assert_eq!(used.left, 0, "{last} {used:?}");
    }

    let request = ClientRequest::new("ws://h/").unwrap();
    let mut answer = format!("HTTP/1.1 101 x\r\n{long}\r\n").into_bytes();
    let mut used = None;
    let ((), all) = measure(|| {
        let mut client = ClientHandshake::new(&Config::new(), &request, [0; 16], NOW).unwrap();
        drop(std::mem::take(client.poll_transmit().unwrap()));
        let (failed, during) =
            measure(|| client.receive(NOW, &mut Input::new(&mut answer)).is_err());
        assert!(failed);
        used = Some(during.left);
    });
    assert!(used <= Some(0), "{used:?}");
    assert_eq!(all.left, 0);
}

#[test]
fn a_failed_connection_gives_everything_back() {
    fill_spares();
    for (mut conn, masked) in both(&Config::new()) {
        let mut half = frame(0x02, 100_000, masked);
        let mut bad = header(0x83, 0, masked);
        let ((), used) = measure(|| {
            receive(&mut conn, &mut half).unwrap();
            conn.send(vec![1; 100_000]).unwrap();
            receive(&mut conn, &mut bad).unwrap_err();
            drain(&mut conn);
        });
        assert!(used.left <= 0, "{used:?}");
    }
}

/// A transport that gives a number of messages in one read, and then nothing.
struct OneRead(Vec<u8>);

impl sockeye::ReadIo for OneRead {
    fn poll_read(&mut self, _: &mut Context<'_>, to: &mut [u8]) -> Poll<std::io::Result<usize>> {
        if self.0.is_empty() {
            return Poll::Pending;
        }
        let count = self.0.len();
        to[..count].copy_from_slice(&self.0);
        self.0.clear();
        Poll::Ready(Ok(count))
    }

    fn poll_deadline(&mut self, _: &mut Context<'_>, _: Option<Instant>) -> Poll<()> {
        Poll::Pending
    }
}

impl sockeye::WriteIo for OneRead {
    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        from: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(from.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// To lend messages to a handler takes no memory, and neither do its replies.
#[test]
fn serving_costs_no_allocation() {
    let serve = |count: usize, replies: bool| {
        let io = OneRead(frame(0x82, 16, true).repeat(count));
        let mut ws = WebSocket::new(io, server(&Config::new()), &[]);
        let (_, used) = measure(|| {
            let serving = ws.serve(async |message, to| match replies {
                true => to.send(message).await,
                false => Ok(()),
            });
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(serving).poll(&mut cx).is_pending());
        });
        assert_eq!(ws.received().messages, count as u64);
        used
    };
    // The thread's buffers.
    serve(1, false);
    fill_spares();
    assert_eq!(serve(100, false), NOTHING);
    serve(100, true);
    assert_eq!(serve(100, true), NOTHING);
}

/// Lets another connection of the thread receive a message of a mebibyte, whose memory stays.
fn receive_a_mebibyte() {
    let mut conn = server(&Config::new());
    receive(&mut conn, &mut frame(0x02, 1 << 20, true)).unwrap();
    receive(&mut conn, &mut frame(0x80, 0, true)).unwrap();
}

/// A message began with whatever memory the thread had, so eight bytes could keep a mebibyte.
#[test]
fn regression_a_header_kept_memory_of_the_thread() {
    let conns: Vec<_> = (0..20)
        .map(|_| {
            receive_a_mebibyte();
            let mut conn = server(&Config::new());
            receive(&mut conn, &mut header(0x02, 5000, true)).unwrap();
            assert!(conn.payload_mut().is_none(), "nothing came");
            receive(&mut conn, &mut [7; 100]).unwrap();
            conn
        })
        .collect();
    let held: usize = conns.iter().map(Connection::held).sum();
    assert!(held <= 20 * 800, "{held}");
}

/// An echo of a message in much more memory than it needs was queued with all of it.
#[test]
fn regression_a_queued_message_kept_more_than_was_counted() {
    let config = Config::new().with_limits(Limits::new().with_max_queued(LIMIT));
    let mut conn = server(&config);
    let ((), used) = measure(|| {
        loop {
            receive_a_mebibyte();
            let mut frame = frame(0x82, 4096, true);
            let (front, back) = frame.split_at_mut(1000);
            assert!(conn.receive(NOW, &mut Input::new(front)).unwrap().is_none());
            let mut input = Input::new(back);
            let event = conn.receive(NOW, &mut input).unwrap().unwrap();
            if conn.send(event.into_message().unwrap()).is_err() {
                break;
            }
        }
    });
    assert!(used.left <= 3 << 20, "{used:?}");
}

/// One byte that was kept kept a block with it, also as a `String` of its own.
#[test]
fn regression_a_string_was_a_whole_block() {
    let text = sockeye::Text::from("a").into_owned();
    let string = text.into_string();
    assert!(string.capacity() < 100, "{}", string.capacity());
}
