//! The core on io_uring: one thread, buffers that the kernel picks, and owned segments to send. All
//! that a turn asks of the kernel goes there in one call, with the wait for what is next.

#[cfg(target_os = "linux")]
#[path = "../uring.rs"]
mod uring;

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    server::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    panic!("io_uring is Linux's");
}

#[cfg(target_os = "linux")]
mod server {
    use std::collections::{BTreeSet, HashMap};
    use std::io;
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

    use bytes::Bytes;
    use sockeye::handshake::{Acceptance, ServerHandshake};
    use sockeye::{Config, Connection, Input, Instant, Limits, Transport};

    use crate::uring::{Completion, Ring};

    /// So much may wait behind a send until no more is received. The kernel takes a send at once as
    /// long as the peer reads.
    const HIGH_WATER: usize = 64 * 1024;

    pub fn run() -> io::Result<()> {
        let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
        let address = (Ipv4Addr::LOCALHOST, port.expect("a port"));
        let listener = TcpListener::bind(address)?;
        let mut server = Server {
            config: Config::new().with_limits(Limits::new().with_max_queued(usize::MAX)),
            ring: Ring::new()?,
            sessions: HashMap::new(),
            last_token: 0,
            touched: Vec::new(),
            deadlines: BTreeSet::new(),
            segments: Vec::new(),
        };
        server.ring.accept(&listener)?;
        loop {
            server.turn()?;
        }
    }

    struct Server {
        config: Config,
        ring: Ring,
        /// Tokens are not used again: what completes after its session is nobody's.
        sessions: HashMap<u64, Session>,
        last_token: u64,
        /// Those for whom something is complete in this turn, the first one first: who had to go
        /// without a buffer is to have one next.
        touched: Vec<u64>,
        /// The earliest first, one for each session that has any: its `wake`.
        deadlines: BTreeSet<(Instant, u64)>,
        /// Empty between uses.
        segments: Vec<Bytes>,
    }

    impl Server {
        fn turn(&mut self) -> io::Result<()> {
            let deadline = self.deadlines.first();
            self.ring
                .wait(deadline.map(|(at, _)| *at - Instant::now()))?;
            let now = Instant::now();
            while let Some(completion) = self.ring.complete() {
                let token = self.handle(completion, now);
                if let Some(session) = self.sessions.get_mut(&token) {
                    if !std::mem::replace(&mut session.is_touched, true) {
                        self.touched.push(token);
                    }
                }
            }
            // Only now: what was received for one of them is answered with one send.
            let mut touched = std::mem::take(&mut self.touched);
            for token in touched.drain(..) {
                self.go_on(token, now)?;
            }
            self.touched = touched;
            while let Some(&(_, token)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
                let session = self.sessions.get_mut(&token).expect("deadlines go with it");
                session.handle_timeout(now);
                self.go_on(token, now)?;
            }
            Ok(())
        }

        fn handle(&mut self, completion: Completion, now: Instant) -> u64 {
            match completion {
                Completion::Accepted(socket) => {
                    let _or_slower = socket.set_nodelay(true);
                    self.last_token += 1;
                    let session = Session::new(socket, &self.config, now);
                    self.sessions.insert(self.last_token, session);
                    self.last_token
                }
                Completion::Received {
                    token,
                    mut lent,
                    is_busy,
                    more,
                } => {
                    let session = self.sessions.get_mut(&token);
                    if let Some(session) = session {
                        session.is_receiving = more;
                        match &mut lent {
                            Some(lent) => {
                                let bytes = self.ring.received(lent);
                                session.receive(now, bytes, &self.config);
                            }
                            None => session.has_failed |= !is_busy,
                        }
                    }
                    lent.into_iter().for_each(|lent| self.ring.give_back(lent));
                    token
                }
                Completion::Sent { token, is_ok } => {
                    if let Some(session) = self.sessions.get_mut(&token) {
                        session.is_sending = false;
                        session.has_failed |= !is_ok;
                    }
                    token
                }
            }
        }

        /// Asks the kernel for what is next.
        fn go_on(&mut self, token: u64, now: Instant) -> io::Result<()> {
            let Some(session) = self.sessions.get_mut(&token) else {
                return Ok(());
            };
            session.is_touched = false;
            if !session.is_sending && !session.has_failed {
                // Only now: what is taken counts as sent.
                session.take_transmit(&mut self.segments);
                session.is_sending = !self.segments.is_empty();
                if session.is_sending {
                    let segments = self.segments.drain(..);
                    self.ring.send(token, &session.socket, segments)?;
                }
            }
            if session.has_ended && !session.is_sending {
                session.handle_eof();
            }
            let is_over = session.has_failed || session.transport() == Transport::Close;
            if session.transport() == Transport::ShutdownWrite {
                let _or_gone = session.socket.shutdown(Shutdown::Write);
            }
            if is_over {
                // What is under way completes, and is nobody's.
                let _or_gone = session.socket.shutdown(Shutdown::Both);
            } else if session.queued() > HIGH_WATER {
                // Who does not read is not read from.
                if session.is_receiving && !session.is_cancelled {
                    self.ring.cancel(token)?;
                    session.is_cancelled = true;
                }
            } else if !session.is_receiving && !session.has_ended {
                self.ring.receive(token, &session.socket)?;
                session.is_receiving = true;
                session.is_cancelled = false;
            }
            // A deadline that moved away keeps its place, and wakes in vain once.
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
                self.sessions.remove(&token);
            }
            Ok(())
        }
    }

    struct Session {
        socket: TcpStream,
        phase: Phase,
        is_touched: bool,
        is_receiving: bool,
        is_cancelled: bool,
        is_sending: bool,
        /// The peer sends no more.
        has_ended: bool,
        has_failed: bool,
        wake: Option<Instant>,
    }

    enum Phase {
        Opening(Box<ServerHandshake>),
        /// With the answer, until it is sent.
        Open(Box<Connection>, Bytes),
    }

    impl Session {
        fn new(socket: TcpStream, config: &Config, now: Instant) -> Self {
            Self {
                socket,
                phase: Phase::Opening(Box::new(ServerHandshake::new(config, now))),
                is_touched: false,
                is_receiving: false,
                is_cancelled: false,
                is_sending: false,
                has_ended: false,
                has_failed: false,
                wake: None,
            }
        }

        fn receive(&mut self, now: Instant, bytes: &mut [u8], config: &Config) {
            self.has_ended = bytes.is_empty();
            let mut input = Input::new(bytes);
            if let Phase::Opening(handshake) = &mut self.phase {
                match handshake.receive(now, &mut input) {
                    Ok(None) => self.has_failed = self.has_ended,
                    Ok(Some(_any)) => {
                        let negotiated = handshake.accept(Acceptance::new());
                        let negotiated = negotiated.expect("nothing that could be refused");
                        let answer = handshake.poll_transmit().map(|answer| answer.split_off(0));
                        let conn = Connection::server(config, negotiated, now);
                        self.phase = Phase::Open(Box::new(conn), answer.unwrap_or_default());
                    }
                    Err(_) => self.has_failed = true,
                }
            }
            if let Phase::Open(conn, _) = &mut self.phase {
                while let Ok(Some(event)) = conn.receive(now, &mut input) {
                    if let Ok(message) = event.into_message() {
                        let _closing = conn.send(message);
                    }
                }
            }
        }

        /// To be called when all is sent: what still waits is dropped.
        fn handle_eof(&mut self) {
            if let Phase::Open(conn, _) = &mut self.phase {
                let _how = conn.handle_eof();
            }
        }

        fn handle_timeout(&mut self, now: Instant) {
            match &mut self.phase {
                Phase::Opening(handshake) => {
                    self.has_failed |= handshake.handle_timeout(now).is_err();
                }
                Phase::Open(conn, _) => {
                    let _how = conn.handle_timeout(now);
                }
            }
        }

        fn take_transmit(&mut self, segments: &mut Vec<Bytes>) {
            if let Phase::Open(conn, answer) = &mut self.phase {
                if !answer.is_empty() {
                    segments.push(std::mem::take(answer));
                }
                if conn.queued() > 0 {
                    conn.take_transmit(segments);
                }
            }
        }

        fn queued(&self) -> usize {
            match &self.phase {
                Phase::Opening(_) => 0,
                Phase::Open(conn, _) => conn.queued(),
            }
        }

        fn transport(&self) -> Transport {
            match &self.phase {
                Phase::Open(conn, _) if !self.is_sending => conn.transport(),
                Phase::Open(..) | Phase::Opening(_) => Transport::Open,
            }
        }

        fn poll_timeout(&self) -> Option<Instant> {
            match &self.phase {
                Phase::Opening(handshake) => handshake.poll_timeout(),
                Phase::Open(conn, _) => conn.poll_timeout(),
            }
        }
    }
}
