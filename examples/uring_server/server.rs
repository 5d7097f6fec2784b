//! Connections as tokens, and what the kernel is asked to do for each of them.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use sockeye::handshake::{Acceptance, ServerHandshake};
use sockeye::{Config, Connection, Input, Instant, Limits, Role, State, Timeouts, Transport};

use crate::ring::{Done, Operation, Ring};

#[expect(clippy::print_stdout, reason = "it says where it listens")]
pub(crate) fn serve(port: u16, ring: Ring) -> io::Result<()> {
    let listener = Rc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
    println!("ws://{}", listener.local_addr()?);
    // Nothing is received while something is sent, so the queue holds the echoes of one receive
    // and needs no limit.
    let config = Config::new()
        .with_timeouts(Timeouts::suggested(Role::Server))
        .with_limits(Limits::new().with_max_queued(usize::MAX));
    let (sessions, last_token) = (HashMap::new(), 0);
    let mut server = Server {
        config,
        ring,
        listener,
        sessions,
        last_token,
    };
    server.accept()?;
    loop {
        server.turn()?;
    }
}

struct Server {
    config: Config,
    ring: Ring,
    listener: Rc<TcpListener>,
    /// Tokens are not used again: what is done after its session is nobody's.
    sessions: HashMap<u64, Session>,
    /// That of the connection to be accepted.
    last_token: u64,
}

impl Server {
    fn turn(&mut self) -> io::Result<()> {
        // With many connections, keep the deadlines in order, as `mio_server` does.
        let deadlines = self.sessions.values().filter_map(Session::poll_timeout);
        let deadline = deadlines.min();
        self.ring.wait(deadline.map(|at| at - Instant::now()))?;
        let now = Instant::now();
        while let Some(token) = self.complete(now)? {
            if token == self.last_token {
                if !self.sessions.contains_key(&token) {
                    // No file descriptors. Some will be free later.
                    std::thread::sleep(Duration::from_millis(50));
                }
                self.accept()?;
            }
            self.go_on(token)?;
        }
        let mut due = Vec::new();
        for (token, session) in &mut self.sessions {
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
                due.push(*token);
            }
        }
        due.into_iter().try_for_each(|token| self.go_on(token))
    }

    fn complete(&mut self, now: Instant) -> io::Result<Option<u64>> {
        let (sessions, config) = (&mut self.sessions, &self.config);
        let handle = |token, done: Done<'_>| match (done, sessions.get_mut(&token)) {
            (Done::Accepted(socket), _) => {
                sessions.insert(token, Session::new(socket, config, now));
            }
            (done, Some(session)) => session.handle(done, now, config),
            (_, None) => {}
        };
        self.ring.complete(handle)
    }

    fn accept(&mut self) -> io::Result<()> {
        self.last_token += 1;
        let operation = Operation::Accept(Rc::clone(&self.listener));
        self.ring.start(self.last_token, operation)
    }

    /// Asks the kernel for what is next.
    fn go_on(&mut self, token: u64) -> io::Result<()> {
        let Some(session) = self.sessions.get_mut(&token) else {
            return Ok(());
        };
        let socket = Rc::clone(&session.socket);
        if let Some(segment) = session.next_segment() {
            session.set_sending(true);
            let operation = Operation::Send(Rc::clone(&socket), segment);
            self.ring.start(token, operation)?;
        }
        match session.transport() {
            Transport::Open => {}
            Transport::ShutdownWrite => drop(socket.shutdown(Shutdown::Write)),
            Transport::Close => {
                // What is under way is soon done then. It keeps the socket until it is.
                let _or_gone = socket.shutdown(Shutdown::Both);
                self.sessions.remove(&token);
                return Ok(());
            }
        }
        // Who does not take its echoes is not read from.
        if !session.is_sending && !session.is_receiving {
            session.is_receiving = true;
            self.ring.start(token, Operation::Receive(socket))?;
        }
        Ok(())
    }
}

struct Session {
    socket: Rc<TcpStream>,
    phase: Phase,
    /// Taken from the connection and not with the kernel, in order.
    segments: VecDeque<Bytes>,
    is_sending: bool,
    is_receiving: bool,
}

enum Phase {
    Opening(Box<ServerHandshake>),
    Open(Box<Connection>),
    Failed,
}

impl Session {
    fn new(socket: TcpStream, config: &Config, now: Instant) -> Self {
        let _or_slower = socket.set_nodelay(true);
        Self {
            socket: Rc::new(socket),
            phase: Phase::Opening(Box::new(ServerHandshake::new(config, now))),
            segments: VecDeque::new(),
            is_sending: false,
            is_receiving: false,
        }
    }

    fn handle(&mut self, done: Done<'_>, now: Instant, config: &Config) {
        match done {
            Done::Received(bytes) => {
                self.is_receiving = false;
                self.receive(bytes, now, config);
            }
            Done::NoBuffer => self.is_receiving = false,
            Done::Sent(rest) => {
                self.set_sending(false);
                if !rest.is_empty() {
                    self.segments.push_front(rest);
                }
            }
            Done::Accepted(_) | Done::Failed => self.phase = Phase::Failed,
        }
    }

    fn receive(&mut self, bytes: &mut [u8], now: Instant, config: &Config) {
        let is_end = bytes.is_empty();
        let mut input = Input::new(bytes);
        if let Phase::Opening(handshake) = &mut self.phase {
            let accepted = match handshake.receive(now, &mut input) {
                Ok(None) if !is_end => return, // There is more to come.
                Ok(Some(_any)) => handshake.accept(Acceptance::new()).ok(),
                Ok(None) | Err(_) => None,
            };
            if let Some(answer) = handshake.poll_transmit() {
                // The first bytes always fit the socket's buffer.
                let _or_gone = (&*self.socket).write_all(answer);
            }
            self.phase = accepted.map_or(Phase::Failed, |negotiated| {
                Phase::Open(Box::new(Connection::server(config, negotiated, now)))
            });
        }
        // What came with the request belongs to the connection.
        if let Phase::Open(conn) = &mut self.phase {
            // An error ends the loop. The Close frame that tells the peer is queued already.
            while let Ok(Some(event)) = conn.receive(now, &mut input) {
                if let Ok(message) = event.into_message() {
                    let _closing = conn.send(message); // It is never full.
                }
            }
            if is_end {
                let _how = conn.handle_eof(); // It is in `closed`, too.
            }
        }
    }

    fn set_sending(&mut self, is_sending: bool) {
        self.is_sending = is_sending;
        if let Phase::Open(conn) = &mut self.phase {
            // It counts what was taken as sent, and is to notice if the peer does not take it.
            conn.set_unflushed(is_sending);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let is_over = match &mut self.phase {
            Phase::Opening(handshake) => handshake.handle_timeout(now).is_err(),
            Phase::Open(conn) => conn.handle_timeout(now).is_err(),
            Phase::Failed => true,
        };
        if is_over {
            self.phase = Phase::Failed;
        }
    }

    /// What to send, unless the kernel is still at it.
    fn next_segment(&mut self) -> Option<Bytes> {
        if self.is_sending {
            return None;
        }
        if let (true, Phase::Open(conn)) = (self.segments.is_empty(), &mut self.phase) {
            // Only now: what is taken counts as sent.
            let mut segments = Vec::new();
            conn.take_transmit(&mut segments);
            self.segments.extend(segments);
        }
        self.segments.pop_front()
    }

    fn transport(&self) -> Transport {
        match &self.phase {
            Phase::Opening(_) => Transport::Open,
            // The Close frame is not out.
            Phase::Open(conn) if self.is_sending && conn.state() == State::Closing => {
                Transport::Open
            }
            Phase::Open(conn) => conn.transport(),
            Phase::Failed => Transport::Close,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Opening(handshake) => handshake.poll_timeout(),
            Phase::Open(conn) => conn.poll_timeout(),
            Phase::Failed => None,
        }
    }
}
