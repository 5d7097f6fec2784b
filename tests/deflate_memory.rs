//! What compression costs in memory, by a counting allocator: a bomb is stopped within the limits,
//! and a connection keeps no more than its policy says.
//!
//! Codecs and scratch space belong to the thread and are lent to its connections. Unless a
//! connection retains its own, they are there before anything is measured.
#![cfg(feature = "deflate")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and prints what it measures"
)]
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Buf;
use sockeye::{
    CapacityError, Compress, Config, Connection, Deflate, DeflateParams, Delivery, Error, Input,
    Instant, Limits, Memory, Negotiated,
};

/// Counts for each thread, because tests run on threads of their own.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that ends frees things after its locals are gone.
    let _ = BYTES.try_with(|cell| {
        cell.set(cell.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(cell.get())));
    });
}

// SAFETY: everything is the system allocator's; only numbers are kept beside it, in places that do
// not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The most bytes above those at the start of `work`, and those that it left.
fn measure<T>(work: impl FnOnce() -> T) -> (T, isize, isize) {
    let bytes = BYTES.get();
    PEAK.set(bytes);
    let result = work();
    (result, PEAK.get() - bytes, BYTES.get() - bytes)
}

const NOW: Instant = Instant::from_millis(1);
const MEMORIES: [Memory; 3] = [Memory::Retained, Memory::Window, Memory::NoTakeover];

fn config(memory: Memory, bits: u8) -> Config {
    let deflate = Deflate::server()
        .with_send_memory(memory)
        .with_receive_memory(memory)
        .with_send_window_bits(bits)
        .with_receive_window_bits(bits);
    Config::new().with_deflate(deflate)
}

fn agreed(memory: Memory, bits: u8) -> Negotiated {
    let mut params = DeflateParams::new();
    params.client_no_context_takeover = memory == Memory::NoTakeover;
    params.server_no_context_takeover = memory == Memory::NoTakeover;
    params.client_max_window_bits = bits;
    params.server_max_window_bits = bits;
    Negotiated::new().with_deflate(params)
}

fn server(config: &Config, negotiated: Negotiated) -> Connection {
    Connection::server(config, negotiated, NOW)
}

fn client(config: &Config, negotiated: Negotiated) -> Connection {
    Connection::client(config, negotiated, || [1, 2, 3, 4], NOW)
}

/// Moves what `from` has to `to`, which takes it.
fn pump(from: &mut Connection, to: &mut Connection, buffer: &mut Vec<u8>) {
    buffer.clear();
    while let Some(mut output) = from.poll_transmit() {
        let len = output.chunk().len();
        buffer.extend_from_slice(output.chunk());
        output.advance(len);
    }
    let mut input = Input::new(buffer);
    while to.receive(NOW, &mut input).unwrap().is_some() {}
}

/// A client and a server that talk: both compress, and both windows fill up.
fn talk(client: &mut Connection, server: &mut Connection, buffer: &mut Vec<u8>) {
    let message = |number: usize| {
        let line = |line: usize| format!("{{\"id\":{line},\"of\":{}}}", number * line % 977);
        (0..150).map(line).collect::<String>()
    };
    for number in 0..40 {
        let message = message(number);
        client
            .send_with(message.as_str(), Compress::Always)
            .unwrap();
        pump(client, server, buffer);
        server
            .send_with(message.as_str(), Compress::Always)
            .unwrap();
        pump(server, client, buffer);
    }
}

/// The thread's pooled codecs and its scratch space are there afterwards. The level is not that
/// of what is measured where codecs are retained, because those come from the pool, too, if there
/// is one that fits.
fn warm_up(memory: Memory, bits: u8, buffer: &mut Vec<u8>) {
    let (memory, level) = match memory {
        Memory::Retained => (Memory::Window, 1),
        other => (other, 6),
    };
    let deflate = config(memory, bits).deflate().unwrap().clone();
    let config = Config::new().with_deflate(deflate.with_level(level));
    let mut near = client(&config, agreed(memory, bits));
    let mut far = server(&config, agreed(memory, bits));
    talk(&mut near, &mut far, buffer);
}

/// Lets the thread keep as much memory for messages as it ever does, so that no more of it stays.
fn fill_spares() {
    let mut conns: [_; 4] = std::array::from_fn(|_| {
        Connection::client(&Config::new(), Negotiated::new(), || [0; 4], NOW)
    });
    let mut give = |mut bytes: Vec<u8>| {
        for conn in &mut conns {
            let mut input = Input::new(&mut bytes);
            while conn.receive(NOW, &mut input).unwrap().is_some() {}
        }
    };
    let len = (1_u64 << 20).to_be_bytes();
    give([&[0x02, 127], &len[..], &[0; 1 << 20]].concat());
    give(vec![0x80, 0]);
}

/// On a thread of its own, whose pool is empty.
fn alone(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work).join().unwrap();
}

#[test]
fn an_idle_connection_holds_nothing() {
    println!("Connection: {} bytes", size_of::<Connection>());
    assert!(size_of::<Connection>() <= 816);
    for memory in MEMORIES {
        let config = config(memory, 15);
        let negotiated = agreed(memory, 15);
        let (_conn, peak, _) = measure(|| server(&config, negotiated.clone()));
        assert_eq!(peak, 0, "{memory:?}");
        let (mut conn, _, _) = measure(|| client(&config, negotiated.clone()));
        let ((), peak, left) = measure(|| {
            let mut ping = *b"\x89\x01p";
            let mut text = *b"\x81\x05Hello";
            for bytes in [&mut ping[..], &mut text[..]] {
                let mut input = Input::new(bytes);
                while conn.receive(NOW, &mut input).unwrap().is_some() {}
            }
            let mut output = conn.poll_transmit().unwrap();
            output.advance(output.remaining());
        });
        assert!(peak < 2048, "{peak}");
        assert_eq!(left, 0, "{memory:?}");
    }
}

#[test]
fn after_traffic() {
    println!("bytes on the heap for each connection after traffic in both directions:");
    for memory in MEMORIES {
        for bits in 9..=15 {
            alone(move || after_traffic_with(memory, bits));
        }
    }
}

fn after_traffic_with(memory: Memory, bits: u8) {
    let mut buffer = Vec::with_capacity(1 << 20);
    warm_up(memory, bits, &mut buffer);
    let config = config(memory, bits);
    let mut near = client(&config, agreed(memory, bits));
    let mut far = server(&config, agreed(memory, bits));
    let start = BYTES.get();
    talk(&mut near, &mut far, &mut buffer);
    let each = (BYTES.get() - start) / 2;
    let windows = 2 << bits;
    match memory {
        Memory::Window => assert!(each <= windows + 1024, "{each}"),
        Memory::NoTakeover => assert!(each <= 512, "{each}"),
        _ => assert!(each > windows),
    }
    if memory == Memory::Window && bits == 12 {
        assert!(each <= 10 * 1024, "{each}");
    }
    // The deflaters of both go to the pool.
    near.shrink();
    far.shrink();
    let shrunk = (BYTES.get() - start) / 2;
    println!("{memory:?}, {bits} bits: {each}, with what went to the pool: {shrunk}");
}

/// Lets each connection meet its deadlines until it has none.
fn sit_idle(conns: &mut [Connection]) {
    for conn in conns {
        let mut met = 0;
        while let Some(deadline) = conn.poll_timeout() {
            let now = deadline.max(NOW);
            conn.handle_timeout(now).unwrap();
            let next = conn.poll_timeout();
            assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
            met += 1;
            assert!(met < 10);
        }
    }
}

/// A retained codec goes when it was not used for a while. The context stays.
#[test]
fn an_idle_connection_gives_its_codecs_back() {
    const PAIRS: usize = 8;
    alone(|| {
        let mut buffer = Vec::with_capacity(1 << 20);
        warm_up(Memory::Retained, 12, &mut buffer);
        let config = config(Memory::Retained, 12);
        let mut conns = Vec::with_capacity(2 * PAIRS);
        let start = BYTES.get();
        for _ in 0..PAIRS {
            let mut near = client(&config, agreed(Memory::Retained, 12));
            let mut far = server(&config, agreed(Memory::Retained, 12));
            assert_eq!(near.poll_timeout(), None, "nothing to give back");
            talk(&mut near, &mut far, &mut buffer);
            conns.extend([near, far]);
        }
        let each = (BYTES.get() - start) / conns.len() as isize;
        sit_idle(&mut conns);
        let (first, rest) = conns.split_first_mut().unwrap();
        talk(first, &mut rest[0], &mut buffer);
        sit_idle(&mut conns);
        // The thread's pool has some of the compressors, which stay.
        let (count, before) = (conns.len() as isize, BYTES.get());
        drop(conns);
        let idle = (before - BYTES.get()) / count - size_of::<Connection>() as isize;
        println!("Retained, 12 bits: {each} bytes a connection, {idle} once it is idle");
        assert!(each > 200 << 10, "{each}");
        assert!(idle <= (2 << 12) + 1024, "{idle}");
    });
}

/// A codec that is in use stays, also in the middle of a message.
#[test]
fn a_busy_connection_keeps_its_codecs() {
    let config = config(Memory::Retained, 12);
    let mut near = client(&config, agreed(Memory::Retained, 12));
    let mut far = server(&config, agreed(Memory::Retained, 12));
    let mut buffer = Vec::new();
    let mut now = NOW;
    for number in 0..10 {
        let text = [&b"some words, "[..], b"more words"][number % 2];
        near.send_fragment_with(sockeye::Kind::Text, text, number == 9, Compress::Always)
            .unwrap();
        pump(&mut near, &mut far, &mut buffer);
        for conn in [&mut near, &mut far] {
            now = now + core::time::Duration::from_secs(20);
            conn.handle_timeout(now).unwrap();
            assert!(conn.poll_timeout().is_some_and(|next| next > now));
        }
    }
    sit_idle(&mut [near, far]);
}

#[test]
fn a_connection_that_ended_holds_nothing() {
    for memory in MEMORIES {
        for abort in [false, true] {
            alone(move || {
                let mut buffer = Vec::with_capacity(1 << 20);
                warm_up(memory, 12, &mut buffer);
                let config = config(memory, 12);
                let mut near = client(&config, agreed(memory, 12));
                let mut far = server(&config, agreed(memory, 12));
                talk(&mut near, &mut far, &mut buffer);
                for mut conn in [near, far] {
                    if abort {
                        conn.abort();
                    } else {
                        assert_eq!(conn.handle_eof(), Err(Error::Eof));
                    }
                    let before = BYTES.get();
                    drop(conn);
                    let held = before - BYTES.get();
                    assert!(held <= 64, "{memory:?}, {abort}: {held}");
                }
            });
        }
    }
}

/// A mebibyte of zeros, compressed so that it can be repeated.
fn mebibyte_of_zeros() -> Vec<u8> {
    let config = Config::new().with_deflate(Deflate::client().with_level(9));
    let mut conn = server(
        &config,
        Negotiated::new().with_deflate(DeflateParams::new()),
    );
    let zeros = vec![0; 1 << 20];
    conn.send_fragment_with(sockeye::Kind::Binary, zeros, false, Compress::Always)
        .unwrap();
    let mut output = conn.poll_transmit().unwrap();
    let frame = output.copy_to_bytes(output.remaining());
    // A header with 16 bits of length; it ends with a flush, so it can be repeated.
    assert_eq!(frame[1], 126);
    frame[4..].to_vec()
}

/// Feeds the client a message of so many mebibytes of zeros in reads of `size`.
fn explode(conn: &mut Connection, piece: &[u8], mebibytes: usize, size: usize) -> Option<Error> {
    let total = (piece.len() * mebibytes + 1) as u64;
    let mut header = match u16::try_from(total) {
        Ok(total) => [&[0xC2, 126][..], &total.to_be_bytes()].concat(),
        Err(_) => [&[0xC2, 127][..], &total.to_be_bytes()].concat(),
    };
    conn.receive(NOW, &mut Input::new(&mut header)).unwrap();
    let mut buffer = vec![0; size.min(piece.len())];
    for _ in 0..mebibytes {
        for part in piece.chunks(size) {
            let read = &mut buffer[..part.len()];
            read.copy_from_slice(part);
            let mut input = Input::new(read);
            loop {
                match conn.receive(NOW, &mut input) {
                    Ok(None) => break,
                    Ok(Some(_)) => {}
                    Err(error) => return Some(error),
                }
            }
        }
    }
    conn.receive(NOW, &mut Input::new(&mut [0])).err()
}

#[test]
fn d_20_d_24_bombs() {
    let piece = mebibyte_of_zeros();
    println!("a mebibyte of zeros: {} bytes", piece.len());
    let too_large = Error::Capacity(CapacityError::MessageTooLarge);
    for memory in MEMORIES {
        let mut worst = 0;
        for (limit, mebibytes, size) in [
            (100_000, 1, usize::MAX),
            (100_000, 1, 1),
            (1 << 20, 64, usize::MAX),
            (1 << 20, 64, 1),
            (2 << 20, 1024, 1000),
            (5_000_000, 1024, usize::MAX),
            (5_000_000, 64, 1),
        ] {
            for delivery in [Delivery::Messages, Delivery::Chunks] {
                let limits = Limits::new()
                    .with_max_message_size(limit)
                    .with_max_frame_size(1 << 30);
                let config = config(memory, 15)
                    .with_limits(limits)
                    .with_delivery(delivery);
                let mut buffer = Vec::with_capacity(1 << 20);
                warm_up(memory, 15, &mut buffer);
                fill_spares();
                let mut conn = client(&config, agreed(memory, 15));
                let run = || explode(&mut conn, &piece, mebibytes, size);
                let (error, peak, left) = measure(run);
                assert_eq!(error, Some(too_large));
                let over = peak - limit as isize;
                worst = worst.max(over);
                assert!(over <= OVERHEAD, "{memory:?} {limit} {delivery:?}: {over}");
                // Pieces are not kept, so the limit does not count: window, codec and piece do.
                let in_pieces = (32 << 10) + (48 << 10) + (20 << 10);
                assert!(
                    delivery == Delivery::Messages || peak <= in_pieces,
                    "{peak}"
                );
                assert!(left <= 1024, "{memory:?}: {left}");
            }
        }
        println!("{memory:?}: a bomb takes {worst} bytes more than the limit");
    }
}

/// A frame to a client, of a compressed binary message or of its continuation.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = match payload.len() {
        len @ 0..=125 => vec![first, len as u8],
        len @ 126..=0xFFFF => [&[first, 126][..], &(len as u16).to_be_bytes()].concat(),
        len => [&[first, 127][..], &(len as u64).to_be_bytes()].concat(),
    };
    [&header, payload].concat()
}

/// Frames of a message of which each has so many bytes, with an empty one behind each.
fn fragments(compressed: &[u8], size: usize) -> Vec<u8> {
    let mut wire = frame(0x42, b"");
    for piece in compressed.chunks(size) {
        wire.extend(frame(0x00, piece));
        wire.extend(frame(0x00, b""));
    }
    wire.extend(frame(0x80, b""));
    wire
}

/// Feeds a client with a warm pool, in reads of `size`, and returns how many events it had or how
/// it failed.
fn receive(
    config: &Config,
    memory: Memory,
    wire: &[u8],
    size: usize,
) -> (Result<usize, Error>, isize, isize) {
    let mut wire = wire.to_vec();
    warm_up(memory, 15, &mut Vec::with_capacity(1 << 20));
    fill_spares();
    let mut conn = client(config, agreed(memory, 15));
    measure(|| {
        let mut events = 0;
        for read in wire.chunks_mut(size) {
            let mut input = Input::new(read);
            while conn.receive(NOW, &mut input)?.is_some() {
                events += 1;
            }
        }
        Ok(events)
    })
}

/// Window, codec and room for what is under way: all that a compressed message takes beyond the
/// limit of its size.
const OVERHEAD: isize = (32 << 10) + (64 << 10);

#[test]
fn d_06_d_21_d_22_fragments_up_to_the_limit_and_beyond() {
    const LIMIT: usize = 1 << 20;
    // Without the end of the block it is no message; an empty stored block ends it.
    let exact = [&mebibyte_of_zeros()[..], &[0]].concat();
    let bomb = [mebibyte_of_zeros().repeat(16), vec![0]].concat();
    let limits = Limits::new()
        .with_max_message_size(LIMIT as u64)
        .with_max_empty_fragments(u32::MAX);
    let mut worst = 0;
    for memory in MEMORIES {
        let config = config(memory, 15).with_limits(limits.clone());
        for (size, read) in [(1, 1), (1, 4096), (10, 1), (1000, 4096)] {
            let wire = fragments(&exact, size);
            let (events, peak, left) = receive(&config, memory, &wire, read);
            assert_eq!(events, Ok(1));
            assert!(peak <= LIMIT as isize + OVERHEAD, "{memory:?}: {peak}");
            assert!(left <= OVERHEAD, "{memory:?}: {left}");
            worst = worst.max(peak - LIMIT as isize);

            let wire = fragments(&bomb, size);
            let (events, peak, left) = receive(&config, memory, &wire, read);
            let too_large = Error::Capacity(CapacityError::MessageTooLarge);
            assert_eq!(events, Err(too_large));
            assert!(peak <= LIMIT as isize + OVERHEAD, "{memory:?}: {peak}");
            assert!(left <= 1024, "{memory:?}: {left}");
            worst = worst.max(peak - LIMIT as isize);
        }
    }
    println!("a message in fragments takes {worst} bytes more than the limit");
}

/// Blocks without content: as much on the wire as the limit lets through, and nothing in it.
#[test]
fn d_23_what_inflates_to_nothing_takes_nothing() {
    const LIMIT: usize = 1 << 20;
    let limits = Limits::new().with_max_message_size(LIMIT as u64);
    let nothing = [&b"\0\0\0\xFF\xFF".repeat(LIMIT / 5)[..], &[0]].concat();
    let mut worst = 0;
    for memory in MEMORIES {
        let config = config(memory, 15).with_limits(limits.clone());
        for size in [1, usize::MAX] {
            for (wire, expected) in [
                (frame(0xC2, &nothing), Ok(1)),
                (
                    frame(0xC2, &nothing.repeat(2)),
                    Err(Error::Capacity(CapacityError::MessageTooLarge)),
                ),
            ] {
                let (events, peak, _) = receive(&config, memory, &wire, size.min(wire.len()));
                assert_eq!(events, expected);
                assert!(peak <= OVERHEAD, "{memory:?}: {peak}");
                worst = worst.max(peak);
            }
        }
    }
    println!("a mebibyte that inflates to nothing takes {worst} bytes");
}

#[test]
fn d_26_ten_thousand_messages_take_no_more_than_the_first() {
    for memory in MEMORIES {
        alone(move || {
            let mut buffer = Vec::with_capacity(1 << 20);
            warm_up(memory, 12, &mut buffer);
            let config = config(memory, 12);
            let mut near = client(&config, agreed(memory, 12));
            let mut far = server(&config, agreed(memory, 12));
            talk(&mut near, &mut far, &mut buffer);
            let ((), peak, left) = measure(|| {
                for number in 0..10_000 {
                    let message = format!("message {number} of many, many more messages than one");
                    far.send_with(message.as_str(), Compress::Always).unwrap();
                    pump(&mut far, &mut near, &mut buffer);
                }
            });
            assert!(peak <= 8 << 10 && left <= 0, "{memory:?}: {peak}, {left}");
            println!("{memory:?}: 10,000 messages take {peak} bytes and leave {left}");
        });
    }
}

#[test]
fn codecs() {
    for bits in [9, 12, 15] {
        for mem_level in [1, 5, 8] {
            alone(move || codec(bits, mem_level));
        }
    }
}

/// What a codec takes that is retained.
fn codec(bits: u8, mem_level: u8) {
    warm_up(Memory::NoTakeover, 15, &mut Vec::new());
    let memory = Memory::Retained;
    let deflate = config(memory, bits).deflate().unwrap().clone();
    let config = Config::new().with_deflate(deflate.with_mem_level(mem_level).with_level(7));
    let mut far = server(&config, agreed(memory, bits));
    let text = "some words, some words";
    let ((), _, deflate) = measure(|| far.send_with(text, Compress::Always).unwrap());
    let mut output = far.poll_transmit().unwrap();
    let mut wire = output.copy_to_bytes(output.remaining()).to_vec();
    let mut near = client(&config, agreed(memory, bits));
    let ((), _, inflate) = measure(|| {
        let mut input = Input::new(&mut wire);
        while near.receive(NOW, &mut input).unwrap().is_some() {}
    });
    println!("{bits} bits, mem_level {mem_level}: deflater {deflate}, inflater {inflate}");
    assert!(inflate <= 48 << 10);
    // What is counted is what is taken, but for less than a KiB, and for the buffers of the thread's: those
    // for a small message have up to 4 KiB.
    let bytes = far.held() - far.queued();
    assert!(
        (deflate - bytes as isize).abs() < 5 * 1024,
        "{deflate} {bytes}"
    );
    let bytes = near.held();
    assert!(
        (inflate - bytes as isize).abs() < 5 * 1024,
        "{inflate} {bytes}"
    );
}
