//! A client and a server with a virtual clock and two byte pipes between them.

use std::io::IoSlice;
use std::time::Duration;

use bytes::Buf;
use sockeye::{Config, Connection, Error, Instant, Negotiated, State, Transport};

use crate::wire::{self, Got, Role, START, connection_with};

/// How output leaves a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Up to so many bytes of one chunk at a time.
    Chunk(usize),
    /// Up to so many bytes of a vectored write at a time.
    Vectored(usize),
    /// As owned segments.
    Take,
}

/// How bytes move: in reads of `read` bytes, and drained as `drain` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) read: usize,
    pub(crate) drain: Drain,
}

pub(crate) const PACES: &[Pace] = &[
    Pace {
        read: 1,
        drain: Drain::Chunk(1),
    },
    Pace {
        read: 2,
        drain: Drain::Vectored(1),
    },
    Pace {
        read: 3,
        drain: Drain::Chunk(7),
    },
    Pace {
        read: 7,
        drain: Drain::Vectored(5),
    },
    Pace {
        read: 4096,
        drain: Drain::Take,
    },
    Pace {
        read: usize::MAX,
        drain: Drain::Chunk(usize::MAX),
    },
    Pace {
        read: usize::MAX,
        drain: Drain::Vectored(usize::MAX),
    },
];

pub(crate) struct Side {
    pub(crate) role: Role,
    pub(crate) conn: Connection,
    pub(crate) events: Vec<Got>,
    /// What failed it, from whichever call.
    pub(crate) error: Option<Error>,
    /// Every byte that it sent.
    pub(crate) sent: Vec<u8>,
    /// Bytes on their way to it.
    pub(crate) inbox: Vec<u8>,
    /// The peer has shut down its writing: after the inbox comes the end.
    pub(crate) peer_ended: bool,
    saw_end: bool,
}

impl Side {
    fn new(role: Role, conn: Connection) -> Self {
        Self {
            role,
            conn,
            events: Vec::new(),
            error: None,
            sent: Vec::new(),
            inbox: Vec::new(),
            peer_ended: false,
            saw_end: false,
        }
    }

    fn note(&mut self, result: Result<(), Error>) {
        match (result, self.error) {
            (Err(error), None) => self.error = Some(error),
            (Err(error), Some(before)) => assert_eq!(error, before, "errors are sticky"),
            (Ok(()), _) => {}
        }
    }

    /// Writes up to `drain` bytes to `peer`, and what the transport is to do after the last.
    pub(crate) fn transmit(&mut self, drain: Drain, peer: &mut Self) -> bool {
        let written = write(&mut self.conn, drain);
        self.sent.extend(&written);
        peer.inbox.extend(&written);
        let ends = self.conn.queued() == 0 && self.conn.transport() != Transport::Open;
        let progress = !written.is_empty() || ends && !peer.peer_ended;
        peer.peer_ended |= ends;
        progress
    }

    /// Reads up to `size` bytes, or the end.
    pub(crate) fn read(&mut self, now: Instant, size: usize) -> bool {
        if self.inbox.is_empty() {
            if self.peer_ended && !self.saw_end {
                self.saw_end = true;
                let result = self.conn.handle_eof();
                assert_eq!(self.conn.handle_eof(), result, "the end can be told twice");
                self.note(result);
                return true;
            }
            return false;
        }
        let rest = self.inbox.split_off(size.min(self.inbox.len()));
        let read = std::mem::replace(&mut self.inbox, rest);
        let result = wire::receive(&mut self.conn, now, &read, &mut self.events);
        self.note(result);
        true
    }

    /// Lets the deadline pass if it is due. After that the next one is later.
    pub(crate) fn tick(&mut self, now: Instant) {
        let result = self.conn.handle_timeout(now);
        self.note(result);
        assert!(
            self.conn
                .poll_timeout()
                .is_none_or(|deadline| deadline > now)
        );
    }

    /// The frames that it sent, whole ones.
    pub(crate) fn frames(&self) -> Vec<wire::Sent> {
        wire::parse_some(self.role, &self.sent).0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.conn.state() == State::Closed
    }
}

/// Takes output away as `drain` says.
pub(crate) fn write(conn: &mut Connection, drain: Drain) -> Vec<u8> {
    if drain == Drain::Take {
        let mut segments = Vec::new();
        conn.take_transmit(&mut segments);
        assert_eq!(conn.queued(), 0);
        return segments.concat();
    }
    let queued = conn.queued();
    let Some(mut transmit) = conn.poll_transmit() else {
        assert_eq!(queued, 0);
        return Vec::new();
    };
    assert_eq!(transmit.remaining(), queued);
    let mut slices = [IoSlice::new(&[]); 8];
    let (count, mut room) = match drain {
        Drain::Vectored(max) => (transmit.chunks_vectored(&mut slices), max),
        Drain::Chunk(max) => (1, max),
        Drain::Take => unreachable!("it has returned"),
    };
    slices[0] = IoSlice::new(transmit.chunk());
    let mut written = Vec::new();
    for slice in &slices[..count] {
        let taken = &slice[..room.min(slice.len())];
        room -= taken.len();
        written.extend(taken);
    }
    transmit.advance(written.len());
    assert_eq!(conn.queued(), queued - written.len());
    written
}

pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) now: Instant,
    pub(crate) pace: Pace,
}

impl Pair {
    pub(crate) fn new(config: &Config, pace: Pace) -> Self {
        Self::with(config, config, &Negotiated::new(), pace)
    }

    pub(crate) fn with(
        client: &Config,
        server: &Config,
        negotiated: &Negotiated,
        pace: Pace,
    ) -> Self {
        let client = connection_with(Role::Client, client, negotiated.clone());
        let server = connection_with(Role::Server, server, negotiated.clone());
        Self {
            client: Side::new(Role::Client, client),
            server: Side::new(Role::Server, server),
            now: START,
            pace,
        }
    }

    /// One side, and the other.
    pub(crate) fn sides(&mut self, role: Role) -> (&mut Side, &mut Side) {
        match role {
            Role::Client => (&mut self.client, &mut self.server),
            Role::Server => (&mut self.server, &mut self.client),
        }
    }

    /// Moves bytes until none move any more. Time stands still.
    pub(crate) fn run(&mut self) {
        let Pace { read, drain } = self.pace;
        loop {
            let mut progress = self.client.transmit(drain, &mut self.server);
            progress |= self.server.transmit(drain, &mut self.client);
            progress |= self.client.read(self.now, read);
            progress |= self.server.read(self.now, read);
            if !progress {
                return;
            }
        }
    }

    /// Moves the clock to the earliest deadline. False if there is none.
    pub(crate) fn jump(&mut self) -> bool {
        let deadlines = [&self.client, &self.server].map(|side| side.conn.poll_timeout());
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.client.tick(self.now);
        self.server.tick(self.now);
        true
    }

    /// Runs through all deadlines to the end.
    pub(crate) fn finish(&mut self) {
        self.run();
        while self.jump() {
            self.run();
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - START
    }
}
