//! The one place that calls the connection, and what the checks share: choices out of the fuzzer's
//! bytes, events to keep and to compare.

use sockeye::bytes::Buf;
use sockeye::{
    Config, Connection, Delivery, Error, Event, Input, Instant, Kind, Limits, Negotiated, State,
};

use super::naive::{self, Frame};

pub const START: Instant = Instant::from_millis(1);
/// Sixteen of the largest control frames, one pong more, and a Close: what waits at most besides
/// data.
pub const MAX_CONTROL_QUEUED: usize = 18 * (2 + 4 + 125);
pub const MAX_MESSAGE: usize = 600;

/// Whose end of the connection is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// The fuzzer's bytes. The first ones are choices; what follows is data as it is, so that it can be
/// read and be cut out of recordings. Where they have ended, every choice is 0.
pub struct Source<'a>(pub &'a [u8]);

impl<'a> Source<'a> {
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn flags(&mut self) -> Flags {
        Flags(self.byte())
    }

    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (front, back) = self.0.split_at(len.min(self.0.len()));
        self.0 = back;
        front
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Yes or no, eight times.
#[derive(Clone, Copy)]
pub struct Flags(u8);

impl Flags {
    pub fn bit(self, number: u8) -> bool {
        self.0 >> number & 1 != 0
    }

    pub fn number(self, first: u8, bits: u8) -> usize {
        usize::from(self.0 >> first) & ((1 << bits) - 1)
    }
}

/// How bytes are cut into reads.
#[derive(Clone)]
pub enum Cuts {
    Whole,
    Every(usize),
    /// Of any size, mostly small.
    Any(u32),
}

impl Cuts {
    pub fn new(choice: u8) -> Self {
        match choice {
            0..32 => Self::Every(usize::from(choice) + 1),
            _ => Self::Any(u32::from(choice).wrapping_mul(0x9E37_79B9)),
        }
    }

    pub fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.size().min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }

    fn size(&mut self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Every(size) => *size,
            Self::Any(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 17;
                *state ^= *state << 5;
                let widest = [4, 4, 20, 300][*state as usize >> 8 & 3];
                1 + (*state >> 16) as usize % widest
            }
        }
    }
}

/// Limits that short inputs reach.
pub fn small() -> Config {
    let limits = Limits::new()
        .with_max_frame_size(300)
        .with_max_message_size(MAX_MESSAGE as u64);
    Config::new().with_limits(limits)
}

pub fn chunked(config: &Config) -> Config {
    config.clone().with_delivery(Delivery::Chunks)
}

pub fn connection(role: Role, config: &Config, negotiated: Negotiated) -> Connection {
    match role {
        // The key is of no importance here.
        Role::Client => Connection::client(config, negotiated, || [0x37, 0xFA, 0x21, 0x3D], START),
        Role::Server => Connection::server(config, negotiated, START),
    }
}

/// An event, to keep and to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    Text(String),
    Binary(Vec<u8>),
    Piece(Kind, Vec<u8>, bool, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

impl Got {
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

impl From<Event<'_>> for Got {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => {
                let bytes = text.as_str().as_bytes();
                assert!(std::str::from_utf8(bytes).is_ok(), "text that is not UTF-8");
                Self::Text(text.into_string())
            }
            Event::Binary(payload) => Self::Binary(payload.into_vec()),
            Event::Fragment(piece) => {
                let (first, last) = (piece.is_first(), piece.is_last());
                Self::Piece(piece.kind(), piece.into_payload().into_vec(), first, last)
            }
            Event::Ping(payload) => Self::Ping(payload.into_vec()),
            Event::Pong(payload) => Self::Pong(payload.into_vec()),
            Event::Close(frame) => Self::Close(frame.code().into(), frame.reason().into()),
            other => panic!("unknown event {other:?}"),
        }
    }
}

/// Feeds one read as the contract says: until `None`, which means that all is consumed.
pub fn receive(
    conn: &mut Connection,
    now: Instant,
    read: &[u8],
    events: &mut Vec<Got>,
) -> Result<(), Error> {
    let (result, consumed) = receive_some(conn, now, read, events);
    assert_eq!(consumed, read.len(), "input is left over");
    result
}

/// As [`receive`], for a connection that may have paused. Tells how much it consumed.
pub fn receive_some(
    conn: &mut Connection,
    now: Instant,
    read: &[u8],
    events: &mut Vec<Got>,
) -> (Result<(), Error>, usize) {
    let mut bytes = read.to_vec();
    let mut input = Input::new(&mut bytes);
    loop {
        let before = input.consumed();
        let result = conn.receive(now, &mut input);
        match result {
            Ok(Some(event)) => {
                events.push(event.into());
                // What was taken in compressed may come out as many pieces.
                let may_wait = matches!(events.last(), Some(Got::Piece(..)));
                assert!(
                    input.consumed() > before || may_wait,
                    "an event out of nothing"
                );
            }
            Ok(None) => return (Ok(()), input.consumed()),
            Err(error) => return (Err(error), input.consumed()),
        }
    }
}

/// What came of an input.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub events: Vec<Got>,
    pub error: Option<Error>,
    pub output: Vec<u8>,
}

/// Feeds `input` in pieces; `between` is called after each.
pub fn feed(
    conn: &mut Connection,
    input: &[u8],
    cuts: &mut Cuts,
    mut between: impl FnMut(&mut Connection, &mut Vec<u8>),
) -> Outcome {
    let mut outcome = Outcome {
        events: Vec::new(),
        error: None,
        output: Vec::new(),
    };
    for piece in cuts.pieces(input) {
        let count = outcome.events.len();
        match (
            receive(conn, START, piece, &mut outcome.events),
            outcome.error,
        ) {
            (Ok(()), None) => {}
            (Err(new), None) => outcome.error = Some(new),
            // Errors are sticky, and nothing comes after them.
            (result, Some(old)) => assert_eq!((result, outcome.events.len()), (Err(old), count)),
        }
        between(conn, &mut outcome.output);
    }
    drain(conn, &mut outcome.output);
    outcome
}

/// Takes all output.
pub fn drain(conn: &mut Connection, output: &mut Vec<u8>) {
    while let Some(mut transmit) = conn.poll_transmit() {
        let chunk = transmit.chunk();
        assert!(!chunk.is_empty(), "an empty chunk of a waiting output");
        output.extend(chunk);
        let len = chunk.len();
        transmit.advance(len);
    }
    assert_eq!(conn.queued(), 0);
}

/// The frames that `role` sent: whole ones, masked as the role demands.
pub fn sent(role: Role, output: &[u8]) -> Vec<Frame> {
    let (frames, end) = naive::frames(output, Some(role == Role::Client), naive::RSV1);
    assert_eq!(end, naive::End::Clean, "not frames: {output:02x?}");
    frames
}

/// As [`sent`], for output that may end inside a frame.
pub fn sent_some(role: Role, output: &[u8]) -> Vec<Frame> {
    let (frames, end) = naive::frames(output, Some(role == Role::Client), naive::RSV1);
    assert!(
        !matches!(end, naive::End::Fault(..)),
        "not frames: {output:02x?}"
    );
    frames
}

/// Pieces of messages put together again.
pub fn join(events: Vec<Got>) -> Vec<Got> {
    let mut whole = Vec::new();
    let mut message: Option<(Kind, Vec<u8>)> = None;
    for event in events {
        let Got::Piece(kind, bytes, first, last) = event else {
            whole.push(event);
            continue;
        };
        assert_eq!(first, message.is_none());
        assert!(last || !bytes.is_empty(), "only the last may be empty");
        let (kind_before, joined) = message.get_or_insert_with(|| (kind, Vec::new()));
        assert_eq!(*kind_before, kind);
        joined.extend(bytes);
        if last {
            let (kind, bytes) = message.take().unwrap();
            whole.push(match kind {
                Kind::Text => Got::Text(String::from_utf8(bytes).unwrap()),
                Kind::Binary => Got::Binary(bytes),
            });
        }
    }
    whole
}

/// The laws of what a side that only receives has sent: pongs in the order of the pings, then one
/// Close frame, with the error's code or as an echo.
pub fn assert_answers(role: Role, outcome: &Outcome) {
    let mut frames = sent(role, &outcome.output);
    let mut close = None;
    if frames.last().is_some_and(|frame| frame.first == 0x88) {
        close = frames.pop().map(|frame| frame.payload);
    }
    // 6455-7.1.7-03, 6455-5.5.1-07
    let expected = match (outcome.error, outcome.events.last()) {
        (Some(error), _) => Some(close_code(error).to_be_bytes().to_vec()),
        (None, Some(Got::Close(1005, _))) => Some(Vec::new()),
        (None, Some(Got::Close(code, _))) => Some(code.to_be_bytes().to_vec()),
        (None, _) => None,
    };
    assert_eq!(close, expected);

    let mut pings = outcome.events.iter().filter_map(|event| match event {
        Got::Ping(payload) => Some(payload),
        _ => None,
    });
    // 6455-5.5.3-02: some may be left out, in a flood, but not the latest.
    let latest = pings.clone().next_back();
    assert_eq!(frames.last().map(|frame| &frame.payload), latest);
    for pong in frames {
        assert_eq!(pong.first, 0x8A);
        assert!(pings.any(|ping| *ping == pong.payload), "an unasked pong");
    }
}

fn close_code(error: Error) -> u16 {
    match error {
        Error::Protocol(_) => 1002,
        Error::InvalidUtf8 | Error::InvalidDeflate => 1007,
        Error::Capacity(_) => 1009,
        other => panic!("{other:?} has no close code"),
    }
}

/// The transport ends, by whatever means, and with it the connection.
pub fn end(conn: &mut Connection, outcome: &Outcome, how: usize) {
    let closed_by_peer = matches!(outcome.events.last(), Some(Got::Close(..)));
    match how {
        0 => conn.abort(),
        1 => {
            // 6455-7.1.1: there is always an end, if only by the deadline.
            while let Some(deadline) = conn.poll_timeout() {
                let _ = conn.handle_timeout(deadline);
                assert!(conn.poll_timeout().is_none_or(|next| next > deadline));
            }
            if conn.state() != State::Closed {
                assert_eq!((outcome.error, closed_by_peer), (None, false));
                return;
            }
        }
        _ => {
            let expected = match outcome.error {
                Some(error) => Err(error),
                None if closed_by_peer => Ok(()),
                None => Err(Error::Eof),
            };
            assert_eq!(conn.handle_eof(), expected);
            assert_eq!(conn.handle_eof(), expected, "the end can be told twice");
        }
    }
    drain(conn, &mut Vec::new());
    assert_eq!(conn.state(), State::Closed);
    assert_eq!(conn.poll_timeout(), None);
    let closed = conn.closed().unwrap();
    assert_eq!(closed.received.is_some(), closed_by_peer);
    if outcome.error.is_some() {
        assert_eq!(closed.error, outcome.error);
    }
    assert!(!closed.clean || closed_by_peer && outcome.error.is_none());
    // Nothing comes after the end.
    let before = outcome.events.clone();
    let mut events = before.clone();
    let _ = receive(
        conn,
        START,
        b"\x8A\x00\x8A\x80\x37\xFA\x21\x3D",
        &mut events,
    );
    assert_eq!(events, before);
}
