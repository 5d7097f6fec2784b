//! A device with two rings of 4 KiB and little heap is a client: a message of 1 MiB leaves it and comes
//! back in pieces, and nobody ever holds it as a whole. The server is in the same program, at the other
//! ends of the rings, and so within the same heap.
//!
//! `cargo run --example ring`
//!
//! Of `sockeye` it uses what there is without `std`, with the feature `handshake`; of the standard
//! library only what a device has in its own way: an allocator, and somewhere to print.
#![expect(clippy::print_stdout, reason = "it tells what it has done")]
#![expect(unsafe_code, reason = "an allocator that has a limit")]

extern crate alloc;

use alloc::boxed::Box;
use core::alloc::{GlobalAlloc, Layout};
use core::error::Error;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::alloc::System;

use sockeye::bytes::Buf;
use sockeye::handshake::{Acceptance, ClientHandshake, ClientRequest, ServerHandshake};
use sockeye::{
    CloseCode, Config, Connection, Delivery, Event, Input, Instant, Kind, Limits, State, Transport,
};

/// As a network stack for small devices has them, one in each direction.
const RING: usize = 4 * 1024;
const MESSAGE: usize = 1024 * 1024;
/// The device sends so much at a time.
const PIECE: usize = 512;
/// At most so much is read at a time, because the server's echoes of it have to be kept: in a buffer of
/// 1 KiB, where the last frame wants room for the longest header.
const PART: usize = 960;
/// Both ends send a ping whenever the device has sent so much.
const PING_EVERY: usize = 64 * 1024;
const PINGS: usize = MESSAGE / PING_EVERY;
/// All that program, device and server may have in use at a time. The most is 3.3 KiB, on 64-bit Linux:
/// 0.5 KiB that the standard library starts with, and the queues of both ends, of no more than `PART` and
/// a piece each, while they grow. The opening handshake takes 1 KiB, before.
const HEAP: usize = 4 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let limits = Limits::new().with_max_head_size(1024).with_max_queued(PART);
    let config = Config::new()
        .with_delivery(Delivery::Chunks)
        .with_limits(limits);
    let (mut up, mut down) = (Ring::new(), Ring::new());
    let (mut device, mut server) = open(&config, &mut up, &mut down)?;
    // A device has a timer. Here every turn takes a millisecond.
    for now in (0..1_000_000).map(Instant::from_millis) {
        device.turn(&mut down, &mut up, now)?;
        server.turn(&mut up, &mut down, now)?;
        if (device.conn.state(), server.conn.state()) == (State::Closed, State::Closed) {
            break;
        }
    }
    for end in [&device, &server] {
        let closed = end.conn.closed().ok_or("it does not come to an end")?;
        assert!(closed.clean, "{closed:?}");
        assert_eq!((end.sent, end.received), (MESSAGE, MESSAGE));
        assert_eq!((end.pings, end.pongs), (PINGS, PINGS));
    }
    let most = MOST.load(Relaxed);
    println!("{MESSAGE} bytes each way, in no more than {most} bytes of heap");
    Ok(())
}

/// The opening handshake. Either head fits in a part.
fn open(config: &Config, up: &mut Ring, down: &mut Ring) -> Result<(End, End), Box<dyn Error>> {
    let now = Instant::from_millis(0);
    // Not for production: nonce and keys must be unpredictable. A device has a generator for them.
    let (nonce, mut key) = (*b"the sample nonce", 0_u32);
    let keys = move || {
        key = key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        key.to_ne_bytes()
    };
    let request = ClientRequest::new("ws://server.example/device")?;
    let mut client = ClientHandshake::new(config, &request, nonce, now)?;
    let mut server = ServerHandshake::new(config, now);
    up.write(client.poll_transmit());
    let request = up.read(|input| server.receive(now, input))?;
    request.ok_or("it is incomplete")?;
    let negotiated = server.accept(Acceptance::new())?;
    down.write(server.poll_transmit());
    let accepted = down.read(|input| client.receive(now, input))?;
    let accepted = accepted.ok_or("it is incomplete")?;
    let device = Connection::client(config, accepted.negotiated, keys, now);
    let server = Connection::server(config, negotiated, now);
    Ok((End::new(device, true), End::new(server, false)))
}

struct End {
    conn: Connection,
    is_device: bool,
    /// Of the message.
    sent: usize,
    received: usize,
    pings: usize,
    pongs: usize,
}

impl End {
    fn new(conn: Connection, is_device: bool) -> Self {
        Self {
            conn,
            is_device,
            sent: 0,
            received: 0,
            pings: 0,
            pongs: 0,
        }
    }

    fn turn(&mut self, rx: &mut Ring, tx: &mut Ring, now: Instant) -> Result<(), Box<dyn Error>> {
        if self.conn.poll_timeout().is_some_and(|at| at <= now) {
            self.conn.handle_timeout(now)?;
        }
        tx.write(self.conn.poll_transmit());
        // The device takes whatever comes. The server takes no more before its echoes are out, so no
        // more than those of one part wait in it, and a device that is slow slows itself.
        while rx.len > 0 && (self.is_device || self.conn.queued() == 0) {
            rx.read(|input| self.receive(input, now))?;
            tx.write(self.conn.poll_transmit());
        }
        if rx.len == 0 && rx.is_shut {
            self.conn.handle_eof()?;
        }
        if self.is_device {
            self.talk(tx, now)?;
        }
        if self.conn.queued() == 0 && self.conn.transport() != Transport::Open {
            tx.is_shut = true;
        }
        Ok(())
    }

    /// Handles a piece where it lies: in the ring.
    fn receive(&mut self, input: &mut Input<'_>, now: Instant) -> Result<(), Box<dyn Error>> {
        while let Some(event) = self.conn.receive(now, input)? {
            // Pings and the Close frame are answered already.
            self.pongs += usize::from(matches!(event, Event::Pong(_)));
            let Event::Fragment(piece) = event else {
                continue;
            };
            let end = self.received + piece.payload().len();
            if self.is_device {
                let expected = (self.received..end).map(pattern);
                assert!(piece.payload().iter().copied().eq(expected));
            } else {
                let (kind, is_last) = (piece.kind(), piece.is_last());
                self.conn
                    .send_fragment(kind, piece.into_payload(), is_last)?;
                self.sent = end;
                self.ping()?;
            }
            self.received = end;
        }
        Ok(())
    }

    /// The device's part: sends as much as the ring takes, and closes when everything is back.
    fn talk(&mut self, tx: &mut Ring, now: Instant) -> Result<(), Box<dyn Error>> {
        while self.conn.queued() == 0 && self.sent < MESSAGE {
            let mut piece = [0; PIECE];
            for (byte, at) in piece.iter_mut().zip(self.sent..) {
                *byte = pattern(at);
            }
            self.sent += PIECE;
            let is_last = self.sent == MESSAGE;
            self.conn.send_fragment(Kind::Binary, &piece[..], is_last)?;
            self.ping()?;
            tx.write(self.conn.poll_transmit());
        }
        if self.received == MESSAGE && self.pongs == PINGS && self.conn.state() == State::Open {
            self.conn.close(now, CloseCode::NORMAL, "")?;
        }
        Ok(())
    }

    fn ping(&mut self) -> Result<(), Box<dyn Error>> {
        if self.sent / PING_EVERY > self.pings {
            self.pings += 1;
            self.conn.ping(b"still there?")?;
        }
        Ok(())
    }
}

/// The byte of the message at this place.
fn pattern(at: usize) -> u8 {
    let [low, middle, high, ..] = at.to_le_bytes();
    low.wrapping_mul(31) ^ middle ^ high
}

/// Bytes on their way. It lends its inside, as smoltcp's sockets and embassy's do.
struct Ring {
    bytes: [u8; RING],
    start: usize,
    len: usize,
    /// Nothing more comes after what is in it.
    is_shut: bool,
}

impl Ring {
    fn new() -> Self {
        Self {
            bytes: [0; RING],
            start: 0,
            len: 0,
            is_shut: false,
        }
    }

    /// Puts in what there is room for.
    fn write(&mut self, output: Option<impl Buf>) {
        let Some(mut output) = output else { return };
        while output.has_remaining() && self.len < RING {
            let end = (self.start + self.len) % RING;
            let (_, back) = self.bytes.split_at_mut(end);
            // Up to the end of the memory, or else up to what is in it.
            let room = match end < self.start {
                true => back.split_at_mut(self.start - end).0,
                false => back,
            };
            let count = room.len().min(output.remaining());
            output.copy_to_slice(room.split_at_mut(count).0);
            self.len += count;
        }
    }

    /// Lends a part of what is in it, and drops what was consumed of that.
    fn read<T>(&mut self, take: impl FnOnce(&mut Input<'_>) -> T) -> T {
        let (_, part) = self.bytes.split_at_mut(self.start);
        let count = self.len.min(part.len()).min(PART);
        let mut input = Input::new(part.split_at_mut(count).0);
        let result = take(&mut input);
        self.start = (self.start + input.consumed()) % RING;
        self.len -= input.consumed();
        result
    }
}

/// The heap: no more than `HEAP` bytes in use. Who asks for more gets nothing, and the program aborts.
struct Heap;

#[global_allocator]
static ALLOCATOR: Heap = Heap;
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: memory is the system's, and is given back to it with the layout that it came with.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let in_use = IN_USE.fetch_add(layout.size(), Relaxed) + layout.size();
        if in_use > HEAP {
            IN_USE.fetch_sub(layout.size(), Relaxed);
            return null_mut();
        }
        MOST.fetch_max(in_use, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}
