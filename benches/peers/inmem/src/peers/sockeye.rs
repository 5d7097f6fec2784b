//! The core: a `Connection` in a short loop, as `docs/EMBEDDING.md` teaches it.

use std::io::{IoSlice, Read};
use std::ops::Range;

use bytes::{Buf, Bytes};
use sockeye::handshake::{Acceptance, ClientHandshake, ClientRequest, ServerHandshake};
use sockeye::{
    Config, Connection, Deflate, DeflateParams, Input, Instant, Memory, Message, Negotiated,
    RandomKeys,
};

use crate::case::LEVEL;
use crate::io::MemIo;
use crate::peer::{Abilities, Compression, Peer, Role, Setup};
use crate::upgrade;

/// What is read at a time. It fits a message of 16 KiB, and stays in the first-level cache together
/// with where it is read from.
const READ: usize = 17 * 1024;
/// From this size on a server does not copy payloads that it is given as `Bytes`.
const SHARE_MIN: usize = 4096;
/// So much is queued before it is written, as others have it by default: it is still in the cache then.
const WRITE: usize = 64 * 1024;
/// How many segments go into one write.
const MAX_SLICES: usize = 16;

/// Messages are lent.
pub type Sockeye = Core<false>;
/// Messages are handed out as `Bytes`, to keep.
pub type SockeyeOwned = Core<true>;

pub struct Core<const OWNED: bool> {
    io: MemIo,
    conn: Connection,
    /// A loop has one for all its connections, and nothing stays in it when there is no more to read
    /// at once. Here each has its own and there always is, so that fresh connections have it at other
    /// addresses.
    buffer: Vec<u8>,
    /// A loop would not stop in the middle of a read. The benchmark does when it has counted enough
    /// messages.
    unread: Range<usize>,
}

impl<const OWNED: bool> Core<OWNED> {
    /// Hands the next `count` messages to `handle`.
    ///
    /// The clock is read once for all of them, as a loop reads it once when it is woken for many
    /// sockets.
    #[inline]
    fn turn(&mut self, count: usize, handler: &mut impl Handle) {
        let now = now();
        let mut left = count;
        loop {
            let unread = &mut self.buffer[self.unread.clone()];
            let mut input = Input::new(unread).with_capacity(READ);
            while left > 0 {
                let event = self.conn.receive(now, &mut input).expect("valid frames");
                let Some(event) = event else { break };
                let message = event.into_message().expect("nothing but messages");
                handler.handle(&mut self.conn, &mut self.io, message);
                left -= 1;
            }
            self.unread.start += input.consumed();
            meet_deadline(&mut self.conn, now);
            if left == 0 {
                return;
            }
            if let Some(messages) = self.read_into_place(now, handler) {
                left -= messages;
                continue;
            }
            self.buffer.resize(READ, 0);
            let kept = self.unread.len();
            if self.unread.start > 0 {
                self.buffer.copy_within(self.unread.clone(), 0);
            }
            let room = &mut self.buffer[kept..];
            let count = self.io.read(room).expect("endless input");
            self.unread = 0..kept + count;
        }
    }
}

/// Does something with a message.
trait Handle {
    // Always in line, which closures cannot ask for: it is a part of the loop.
    fn handle(&mut self, conn: &mut Connection, io: &mut MemIo, message: Message<'_>);
}

/// Looks at it, borrowed or kept.
struct Visit<F, const OWNED: bool>(F);

impl<F: FnMut(&[u8]), const OWNED: bool> Handle for Visit<F, OWNED> {
    #[inline(always)]
    fn handle(&mut self, _: &mut Connection, _: &mut MemIo, message: Message<'_>) {
        if OWNED {
            self.0(&message.into_payload().into_bytes());
        } else {
            self.0(message.as_bytes());
        }
    }
}

/// Sends it back.
struct Echo {
    index: usize,
    flush_every: usize,
}

impl Handle for Echo {
    #[inline(always)]
    fn handle(&mut self, conn: &mut Connection, io: &mut MemIo, message: Message<'_>) {
        // What would have to be copied, and is much, is written from where it is.
        let now = self.flush_every == 1 || message.as_bytes().len() >= SHARE_MIN;
        send(conn, io, message, now);
        self.index += 1;
        if !now && self.index % self.flush_every == 0 {
            flush(conn, io);
        }
    }
}

impl<const OWNED: bool> Core<OWNED> {
    /// Reads the rest of a large frame where it belongs, if there is one, and returns how many
    /// messages that gave.
    // Out of line, so that the other way, which most messages go, is one with what handles them.
    #[inline(never)]
    fn read_into_place(&mut self, now: Instant, handler: &mut dyn Handle) -> Option<usize> {
        let mut room = self.conn.payload_mut()?;
        loop {
            let most = room.len().min(READ);
            let count = self.io.read(&mut room[..most]).expect("endless input");
            let event = self.conn.filled(now, count).expect("valid frames");
            if let Some(event) = event {
                let message = event.into_message().expect("nothing but messages");
                handler.handle(&mut self.conn, &mut self.io, message);
                return Some(1);
            }
            let Some(more) = self.conn.payload_mut() else {
                return Some(0);
            };
            room = more;
        }
    }
}

impl<const OWNED: bool> Peer for Core<OWNED> {
    const NAME: &'static str = if OWNED { "sockeye-owned" } else { "sockeye" };
    const ABILITIES: Abilities = Abilities {
        sending: !OWNED,
        handshakes: !OWNED,
        ..Abilities::ALL
    };
    type Server = (MemIo, Connection);
    type Client = (MemIo, Connection);

    fn open(io: MemIo, setup: Setup) -> Self {
        Self {
            io,
            conn: connection(setup),
            buffer: Vec::new(),
            unread: 0..0,
        }
    }

    fn receive(&mut self, count: usize, visit: impl FnMut(&[u8])) {
        self.turn(count, &mut Visit::<_, OWNED>(visit));
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
            let (conn, io) = (&mut self.conn, &mut self.io);
            let now = flush_every == 1;
            // What is written at once need not be shared.
            if now || payload.len() < SHARE_MIN {
                send(conn, io, &payload[..], now);
            } else {
                send(conn, io, payload.clone(), now);
            }
            if !now && index % flush_every == 0 {
                flush(conn, io);
            }
        }
        flush(&mut self.conn, &mut self.io);
        meet_deadline(&mut self.conn, now());
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        let index = 0;
        self.turn(count, &mut Echo { index, flush_every });
        flush(&mut self.conn, &mut self.io);
    }

    fn wait(&mut self) {
        self.buffer.resize(READ, 0);
        assert!(self.io.read(&mut self.buffer).is_err());
        self.buffer = Vec::new();
        self.unread = 0..0;
    }

    fn accept(mut io: MemIo) -> Self::Server {
        let (config, now) = (Config::new(), now());
        let mut handshake = ServerHandshake::new(&config, now);
        let mut buffer = [0; 2048];
        let count = io.read(&mut buffer).expect("a request");
        let mut input = Input::new(&mut buffer[..count]);
        let request = handshake.receive(now, &mut input);
        let _request = request.expect("a valid request").expect("all of it");
        let negotiated = handshake.accept(Acceptance::new());
        let negotiated = negotiated.expect("a valid answer");
        while let Some(output) = handshake.poll_transmit() {
            output.advance(io.write_bytes(output));
        }
        (io, Connection::server(&config, negotiated, now))
    }

    fn connect(mut io: MemIo) -> Self::Client {
        let (config, now) = (Config::new(), now());
        let request = ClientRequest::new(upgrade::URL).expect("a URL");
        let handshake = ClientHandshake::new(&config, &request, RandomKeys::nonce(), now);
        let mut handshake = handshake.expect("a valid request");
        while let Some(output) = handshake.poll_transmit() {
            output.advance(io.write_bytes(output));
        }
        let mut buffer = [0; 2048];
        let count = io.read(&mut buffer).expect("an answer");
        let mut input = Input::new(&mut buffer[..count]);
        let accepted = handshake.receive(now, &mut input);
        let accepted = accepted.expect("a valid answer").expect("all of it");
        let keys = RandomKeys::new();
        let conn = Connection::client(&config, accepted.negotiated, keys, now);
        (io, conn)
    }
}

/// With the defaults: limits are on, messages of more than 64 KiB leave in several frames, and masking
/// keys come from the secure generator.
pub(super) fn connection(setup: Setup) -> Connection {
    let (mut config, mut negotiated) = (Config::new(), Negotiated::new());
    if let Some((deflate, params)) = deflate(setup.compression) {
        config = config.with_deflate(deflate);
        negotiated = negotiated.with_deflate(params);
    }
    match setup.role {
        Role::Server => Connection::server(&config, negotiated, now()),
        Role::Client => Connection::client(&config, negotiated, RandomKeys::new(), now()),
    }
}

/// The fastest policy for few connections where contexts are kept; windows and level as everybody
/// else's.
fn deflate(compression: Compression) -> Option<(Deflate, DeflateParams)> {
    let memory = match compression {
        Compression::Off => return None,
        Compression::Context => Memory::Retained,
        Compression::NoContext => Memory::NoTakeover,
    };
    let deflate = Deflate::server()
        .with_level(LEVEL)
        .with_send_window_bits(15)
        .with_receive_window_bits(15)
        .with_send_memory(memory)
        .with_receive_memory(memory);
    let mut params = DeflateParams::new();
    params.server_no_context_takeover = memory == Memory::NoTakeover;
    params.client_no_context_takeover = memory == Memory::NoTakeover;
    Some((deflate, params))
}

/// Whoever sends small payloads has no need to share them: they are copied next to their headers
/// anyhow.
pub(super) fn message(payload: &Bytes) -> Message<'_> {
    if payload.len() < SHARE_MIN {
        Message::from(&payload[..])
    } else {
        Message::from(payload.clone())
    }
}

/// Writes a message now, or queues it.
#[inline(always)]
fn send<'m>(conn: &mut Connection, io: &mut MemIo, message: impl Into<Message<'m>>, now: bool) {
    if now {
        let sent = conn.send_through(message, |pieces| io.write_slices(pieces.iter().copied()));
        sent.expect("room, on an open connection");
        if conn.queued() > 0 {
            flush(conn, io);
        }
    } else {
        if conn.queued() >= WRITE {
            flush(conn, io);
        }
        conn.send(message).expect("room, on an open connection");
    }
}

fn flush(conn: &mut Connection, io: &mut MemIo) {
    while let Some(mut output) = conn.poll_transmit() {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = output.chunks_vectored(&mut slices);
        let written = io.write_slices(slices[..count].iter().map(|slice| &**slice));
        output.advance(written);
    }
}

fn meet_deadline(conn: &mut Connection, now: Instant) {
    if conn.poll_timeout().is_some_and(|deadline| deadline <= now) {
        conn.handle_timeout(now).expect("nothing is late");
    }
}

fn now() -> Instant {
    std::time::Instant::now().into()
}
