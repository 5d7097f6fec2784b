//! An echo server on mio: one thread, one read buffer for all connections, and one write for all
//! answers of a turn. Read `sans_io_min` first; this adds what many connections on a thread need.
//!
//! `cargo run --example mio_server -- 9001`
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use bytes::Buf;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use sockeye::handshake::{Acceptance, ServerHandshake};
use sockeye::{Config, Connection, Input, Instant, Limits, Role, Timeouts, Transport};

const LISTENER: Token = Token(0);
/// In one turn. Then it is the others'.
const MAX_READS: usize = 8;

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).map(|port| port.parse());
    let port = port.unwrap_or(Ok(9001)).map_err(io::Error::other)?;
    let timeouts = Timeouts::suggested(Role::Server);
    serve((Ipv4Addr::LOCALHOST, port).into(), timeouts)
}

pub(crate) fn serve(address: SocketAddr, timeouts: Timeouts) -> io::Result<()> {
    let (poll, mut listener) = (Poll::new()?, TcpListener::bind(address)?);
    println!("ws://{}", listener.local_addr()?);
    let registry = poll.registry();
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    // What waits is written before the next turn reads, so the queue holds the echoes of one turn
    // and needs no limit.
    let config = Config::new()
        .with_timeouts(timeouts)
        .with_limits(Limits::new().with_max_queued(usize::MAX));
    let mut server = Server {
        config,
        poll,
        listener,
        sessions: HashMap::new(),
        last_token: LISTENER,
        unfinished: Vec::new(),
        deadlines: BTreeSet::new(),
        buffer: vec![0; 20 * 1024],
    };
    server.run()
}

struct Server {
    config: Config,
    poll: Poll,
    listener: TcpListener,
    sessions: HashMap<Token, Session>,
    /// Tokens are not used again, so no event reaches the wrong session.
    last_token: Token,
    /// Those that have more to read than they did in their turn.
    unfinished: Vec<Token>,
    /// The earliest first, one for each session that has any: its `wake`.
    deadlines: BTreeSet<(Instant, Token)>,
    /// For all sessions: nothing stays in it.
    buffer: Vec<u8>,
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, self.longest_wait()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let now = Instant::now(); // Once for all: deadlines are not that exact.
            let mut ready = mem::take(&mut self.unfinished);
            for event in &events {
                if event.token() == LISTENER {
                    self.accept(now);
                } else if let Some(session) = self.sessions.get_mut(&event.token()) {
                    session.readable |= event.is_readable();
                    session.read_closed |= event.is_read_closed();
                    ready.push(event.token());
                }
            }
            ready.sort_unstable();
            ready.dedup();
            for token in ready {
                self.turn(token, now);
            }
            while let Some(&(_, token)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
                self.turn(token, now);
            }
        }
    }

    fn longest_wait(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let (deadline, _) = self.deadlines.first()?;
        Some(*deadline - Instant::now())
    }

    fn accept(&mut self, now: Instant) {
        // After an error the rest has to wait for the next connection that comes.
        while let Ok((mut stream, _peer)) = self.listener.accept() {
            let _or_slower = stream.set_nodelay(true);
            self.last_token.0 += 1;
            let registry = self.poll.registry();
            // One that cannot be watched is not worth the others.
            let watched = registry.register(&mut stream, self.last_token, Interest::READABLE);
            if watched.is_err() {
                continue;
            }
            let handshake = ServerHandshake::new(&self.config, now);
            let session = Session {
                stream,
                phase: Phase::Opening(Box::new(handshake)),
                readable: false,
                read_closed: false,
                watches_room: false,
                wake: None,
            };
            self.sessions.insert(self.last_token, session);
            self.turn(self.last_token, now);
        }
    }

    /// Lets a session do what it can, and sees to it that it is called again in time.
    fn turn(&mut self, token: Token, now: Instant) {
        let Some(session) = self.sessions.get_mut(&token) else {
            return;
        };
        let outcome = session.turn(now, &mut self.buffer, &self.config);
        let watched = session.watch(self.poll.registry(), token);
        let is_over = outcome.and(watched).is_err() || session.transport() == Transport::Close;
        // A deadline that moved away keeps its place: it wakes in vain once, but not every message
        // has to move it.
        let deadline = session.poll_timeout();
        let is_early = |wake: &Instant| now < *wake && deadline.is_none_or(|at| *wake <= at);
        let wake = session.wake.filter(is_early).or(deadline);
        let wake = wake.filter(|_| !is_over);
        if wake != session.wake {
            session.wake.map(|at| self.deadlines.remove(&(at, token)));
            self.deadlines.extend(wake.map(|at| (at, token)));
            session.wake = wake;
        }
        if is_over {
            self.sessions.remove(&token); // It closes the socket.
        } else if session.readable && !session.waits_for_room() {
            self.unfinished.push(token);
        }
    }
}

struct Session {
    stream: TcpStream,
    phase: Phase,
    /// mio tells once that there is something to read: this is so until the socket is empty.
    readable: bool,
    /// The peer's end was told together with its last bytes.
    read_closed: bool,
    /// Whether mio tells when there is room to write.
    watches_room: bool,
    /// Its entry in `deadlines`.
    wake: Option<Instant>,
}

enum Phase {
    Opening(Box<ServerHandshake>),
    Open(Box<Connection>),
}

impl Session {
    /// Time, some reads, and one write for all that follows from them. An error is the end of it.
    fn turn(&mut self, now: Instant, buffer: &mut [u8], config: &Config) -> io::Result<()> {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.handle_timeout(now)?;
        }
        self.write()?;
        // Who does not read is not read from.
        let mut reads = 0..if self.waits_for_room() { 0 } else { MAX_READS };
        while self.readable && reads.next().is_some() {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.write()?; // What still waits at the end is dropped.
                    return self.handle_eof();
                }
                Ok(count) => {
                    // On Linux a buffer that is not full is as good as the error below.
                    let is_short = cfg!(target_os = "linux") && count < buffer.len();
                    self.readable = self.read_closed || !is_short;
                    let bytes = buffer.get_mut(..count).unwrap_or_default();
                    self.receive(now, bytes, config)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.write()?;
        if self.transport() == Transport::ShutdownWrite {
            self.stream.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant, bytes: &mut [u8], config: &Config) -> io::Result<()> {
        let mut input = Input::new(bytes);
        if let Phase::Opening(handshake) = &mut self.phase {
            let accepted = match handshake.receive(now, &mut input) {
                Ok(None) => return Ok(()), // There is more to come.
                Ok(Some(_any)) => handshake
                    .accept(Acceptance::new())
                    .map_err(io::Error::other),
                Err(error) => Err(io::Error::other(error)),
            };
            if let Some(answer) = handshake.poll_transmit() {
                self.stream.write_all(answer)?; // The first bytes always fit the socket's buffer.
            }
            let negotiated = accepted?;
            self.phase = Phase::Open(Box::new(Connection::server(config, negotiated, now)));
        }
        // What came with the request belongs to the connection.
        if let Phase::Open(conn) = &mut self.phase {
            // An error ends the loop. The Close frame that tells the peer is queued already.
            while let Ok(Some(event)) = conn.receive(now, &mut input) {
                if let Ok(message) = event.into_message() {
                    let _closing = conn.send(message); // It is never full.
                }
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> io::Result<()> {
        match &mut self.phase {
            // Who sends no request in ten seconds needs no answer.
            Phase::Opening(handshake) => handshake.handle_timeout(now).map_err(io::Error::other),
            Phase::Open(conn) => conn.handle_timeout(now).or(Ok(())), // A Close frame is queued.
        }
    }

    fn handle_eof(&mut self) -> io::Result<()> {
        match &mut self.phase {
            Phase::Opening(handshake) => handshake.handle_eof().map_err(io::Error::other),
            Phase::Open(conn) => conn.handle_eof().or(Ok(())), // What it was is in `closed`, too.
        }
    }

    /// Writes what waits, as far as the socket takes it: usually all of it, at once.
    fn write(&mut self) -> io::Result<()> {
        let Phase::Open(conn) = &mut self.phase else {
            return Ok(());
        };
        while let Some(mut output) = conn.poll_transmit() {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = output.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            match self.stream.write_vectored(slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => output.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has mio tell when there is room to write, but only while something waits for it.
    fn watch(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.waits_for_room() == self.watches_room {
            return Ok(());
        }
        self.watches_room = !self.watches_room;
        let interest = match self.watches_room {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        registry.reregister(&mut self.stream, token, interest)
    }

    fn waits_for_room(&self) -> bool {
        matches!(&self.phase, Phase::Open(conn) if conn.queued() > 0)
    }

    /// What to do with the socket. What waits is written before.
    fn transport(&self) -> Transport {
        match &self.phase {
            Phase::Open(conn) if conn.queued() == 0 => conn.transport(),
            Phase::Open(_) | Phase::Opening(_) => Transport::Open,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Opening(handshake) => handshake.poll_timeout(),
            Phase::Open(conn) => conn.poll_timeout(),
        }
    }
}
