//! Frames by hand, and the one way that every input is fed: whole and in pieces, in both
//! deliveries, with the same result.

use std::sync::{Arc, Mutex};

use bytes::Buf;
use sockeye::{
    Config, Connection, Deflate, DeflateParams, Delivery, Error, Event, Input, Instant, Kind,
    Limits, Memory, Negotiated,
};

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
pub(crate) const START: Instant = Instant::from_millis(1);

/// Whose end of the connection is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

pub(crate) const BOTH: &[Role] = &[Role::Client, Role::Server];
pub(crate) const CLIENT: &[Role] = &[Role::Client];

/// An event, to keep and to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Text(String),
    Binary(Vec<u8>),
    Piece(Kind, Vec<u8>, bool, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

pub(crate) fn text(text: &str) -> Got {
    Got::Text(text.into())
}

pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> Got {
    Got::Binary(bytes.as_ref().into())
}

pub(crate) fn ping(bytes: impl AsRef<[u8]>) -> Got {
    Got::Ping(bytes.as_ref().into())
}

pub(crate) fn close(code: u16, reason: &str) -> Got {
    Got::Close(code, reason.into())
}

impl From<Event<'_>> for Got {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into_string()),
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

/// Bytes from hexadecimal digits; spaces are for the eye.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|digit| *digit != b' ').collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect(pair))
        .collect()
}

/// An unmasked frame with its length in the shortest form.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = payload.len();
    let mut frame = vec![first];
    match len {
        0..=125 => frame.push(len as u8),
        126..=0xFFFF => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// What the peer of `role` would send: the same frames, masked if they go to a server. Takes frames
/// that are wrong or cut off, too.
pub(crate) fn to(role: Role, unmasked: &[u8]) -> Vec<u8> {
    if role == Role::Client {
        return unmasked.to_vec();
    }
    let mut masked = Vec::new();
    let mut rest = unmasked;
    while let [first, second, ..] = *rest {
        masked.extend([first, second | 0x80]);
        let (header, after) = split_header(rest);
        masked.extend(&rest[2..header.min(rest.len())]);
        let Some((len, after)) = after else {
            return masked;
        };
        masked.extend(KEY);
        let (payload, after) = after.split_at(len.min(after.len()));
        masked.extend(xor(payload, KEY));
        rest = after;
    }
    masked.extend(rest);
    masked
}

pub(crate) fn xor(payload: &[u8], key: [u8; 4]) -> impl Iterator<Item = u8> {
    payload
        .iter()
        .zip(key.into_iter().cycle())
        .map(|(byte, key)| byte ^ key)
}

/// The length of a header without its masking key, and if that is all there, the payload's length
/// and the rest.
fn split_header(bytes: &[u8]) -> (usize, Option<(usize, &[u8])>) {
    let extended = match bytes[1] & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let header = 2 + extended;
    let Some((head, after)) = bytes.split_at_checked(header) else {
        return (header, None);
    };
    let len = match extended {
        0 => u64::from(head[1] & 0x7F),
        _ => head[2..]
            .iter()
            .fold(0, |len, byte| len << 8 | u64::from(*byte)),
    };
    (
        header,
        Some((usize::try_from(len).unwrap_or(usize::MAX), after)),
    )
}

/// A frame that this side sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) key: Option<[u8; 4]>,
}

/// Parses what `role` sent, which must be whole frames, masked as the role demands, with lengths in
/// the shortest form.
pub(crate) fn parse(role: Role, output: &[u8]) -> Vec<Sent> {
    let (frames, rest) = parse_some(role, output);
    assert!(rest.is_empty(), "a frame is cut off: {rest:02x?}");
    frames
}

/// As [`parse`], for output that may end inside a frame.
pub(crate) fn parse_some(role: Role, output: &[u8]) -> (Vec<Sent>, &[u8]) {
    let mut frames = Vec::new();
    let mut rest = output;
    while let [first, second, ..] = *rest {
        // 6455-5.1-01, 6455-5.1-05, 6455-5.2-02
        assert_eq!(second & 0x80 != 0, role == Role::Client, "{rest:02x?}");
        // 7692-6.1-03: RSV1 only where a compressed message begins.
        let reserved = match first & 0x0F {
            1 | 2 => 0x30,
            _ => 0x70,
        };
        assert_eq!(first & reserved, 0, "reserved bits in {rest:02x?}");
        let (header, Some((len, after))) = split_header(rest) else {
            break;
        };
        let key_len = if role == Role::Client { 4 } else { 0 };
        if after.len() < key_len + len {
            break;
        }
        let (key, after) = after.split_at(key_len);
        let (payload, after) = after.split_at(len);
        // 6455-5.2-08
        let shortest = frame(0, vec![0; len]).len() - len;
        assert_eq!(header, shortest, "length not in its shortest form");
        let key = key.try_into().ok();
        let payload = xor(payload, key.unwrap_or_default()).collect();
        frames.push(Sent {
            first,
            payload,
            key,
        });
        rest = after;
    }
    (frames, rest)
}

/// The first bytes and payloads of frames, to compare.
pub(crate) fn brief(frames: &[Sent]) -> Vec<(u8, &[u8])> {
    frames
        .iter()
        .map(|frame| (frame.first, &*frame.payload))
        .collect()
}

/// A deterministic source of masking keys, and the record of what it gave.
#[derive(Clone, Default)]
pub(crate) struct Keys(Arc<Mutex<Vec<[u8; 4]>>>);

impl Keys {
    pub(crate) fn source(&self) -> impl FnMut() -> [u8; 4] + Send + 'static {
        let log = self.0.clone();
        move || {
            let mut log = log.lock().unwrap();
            let key = (log.len() as u32 + 1)
                .wrapping_mul(0x9E37_79B9)
                .to_be_bytes();
            log.push(key);
            key
        }
    }

    pub(crate) fn drawn(&self) -> Vec<[u8; 4]> {
        self.0.lock().unwrap().clone()
    }
}

/// What two ends with this configuration agree on.
fn negotiated(role: Role, config: &Config) -> Negotiated {
    let Some(deflate) = config.deflate() else {
        return Negotiated::new();
    };
    let send = (deflate.send_memory(), deflate.send_window_bits());
    let receive = (deflate.receive_memory(), deflate.receive_window_bits());
    let (client, server) = match role {
        Role::Client => (send, receive),
        Role::Server => (receive, send),
    };
    let mut params = DeflateParams::new();
    params.client_no_context_takeover = client.0 == Memory::NoTakeover;
    params.server_no_context_takeover = server.0 == Memory::NoTakeover;
    params.client_max_window_bits = client.1;
    params.server_max_window_bits = server.1;
    Negotiated::new().with_deflate(params)
}

/// A connection that compresses if it is configured to.
pub(crate) fn connection(role: Role, config: &Config) -> Connection {
    connection_with(role, config, negotiated(role, config))
}

pub(crate) fn connection_with(role: Role, config: &Config, negotiated: Negotiated) -> Connection {
    match role {
        Role::Client => Connection::client(config, negotiated, Keys::default().source(), START),
        Role::Server => Connection::server(config, negotiated, START),
    }
}

pub(crate) fn with_deflate(deflate: Deflate) -> Config {
    Config::new().with_deflate(deflate)
}

/// Feeds one read, as the contract says: until `None`, which means that all is consumed.
pub(crate) fn receive(
    conn: &mut Connection,
    now: Instant,
    read: &[u8],
    events: &mut Vec<Got>,
) -> Result<(), Error> {
    let mut read = read.to_vec();
    let mut input = Input::new(&mut read);
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
            Ok(None) => {
                assert!(input.is_empty(), "input is left over");
                return Ok(());
            }
            Err(error) => {
                assert!(input.is_empty(), "input is left over");
                return Err(error);
            }
        }
    }
}

/// Drains all output, largest pieces first.
pub(crate) fn drain(conn: &mut Connection) -> Vec<u8> {
    let mut output = Vec::new();
    while let Some(mut transmit) = conn.poll_transmit() {
        let chunk = transmit.chunk();
        assert!(!chunk.is_empty(), "an empty chunk of a waiting output");
        output.extend(chunk);
        let len = chunk.len();
        transmit.advance(len);
    }
    assert_eq!(conn.queued(), 0);
    output
}

/// What came of an input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Got>,
    pub(crate) error: Option<Error>,
    pub(crate) output: Vec<u8>,
}

/// Feeds `input` in pieces of `size` bytes; output is left to queue up.
pub(crate) fn feed_in(
    conn: &mut Connection,
    input: &[u8],
    mut size: impl FnMut() -> usize,
) -> Outcome {
    let mut events = Vec::new();
    let mut error = None;
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
        rest = after;
        let count = events.len();
        match (receive(conn, START, piece, &mut events), error) {
            (Ok(()), None) => {}
            (Err(new), None) => error = Some(new),
            // Errors are sticky, and nothing comes after them.
            (result, Some(old)) => assert_eq!((result, events.len()), (Err(old), count)),
        }
    }
    Outcome {
        events,
        error,
        output: drain(conn),
    }
}

/// Pieces of a message put together again.
pub(crate) fn join(events: Vec<Got>) -> Vec<Got> {
    let mut whole = Vec::new();
    let mut message: Option<(Kind, Vec<u8>)> = None;
    for event in events {
        let Got::Piece(kind, bytes, first, last) = event else {
            whole.push(event);
            continue;
        };
        assert_eq!(first, message.is_none());
        assert!(
            last || !bytes.is_empty(),
            "only the last piece may be empty"
        );
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

/// Feeds `input` in all ways and returns what came of it each time.
pub(crate) fn feed_with(role: Role, config: &Config, input: &[u8]) -> Outcome {
    let config = config.clone();
    let whole = feed_in(&mut connection(role, &config), input, || usize::MAX);
    // A large input in small pieces would only test the patience of whoever waits for it.
    let smallest = 1 + input.len() / 100_000;
    for size in [1, 2, 3, 7] {
        let pieces = feed_in(&mut connection(role, &config), input, || size * smallest);
        assert_eq!(pieces, whole, "{role:?}, in pieces of {size}: {input:02x?}");
    }
    let chunks = config.with_delivery(Delivery::Chunks);
    let sizes = [1, usize::MAX, 2, 3, 7];
    let sizes = &sizes[..if input.len() < 1000 { 5 } else { 2 }];
    for size in sizes {
        let mut pieces = feed_in(&mut connection(role, &chunks), input, || *size);
        pieces.events = join(pieces.events);
        assert_eq!(pieces, whole, "{role:?}, delivered in chunks: {input:02x?}");
    }
    whole
}

/// The close code that each kind of error owes the peer (6455-7.1.7-03).
pub(crate) fn code_of(error: Error) -> u16 {
    match error {
        Error::Protocol(_) => 1002,
        Error::InvalidUtf8 | Error::InvalidDeflate => 1007,
        Error::Capacity(_) => 1009,
        Error::Policy(_) => 1008,
        other => panic!("{other:?} has no close code"),
    }
}

/// Every input ends as expected, and every ping and Close frame in it is answered with exactly the
/// right bytes: the pongs, then one Close frame.
pub(crate) fn check(
    role: Role,
    config: &Config,
    input: &[u8],
    events: &[Got],
    error: Option<Error>,
) {
    let outcome = feed_with(role, config, input);
    assert_eq!(outcome.events, events, "{role:?}: {input:02x?}");
    assert_eq!(outcome.error, error, "{role:?}: {input:02x?}");

    let pong = |event: &Got| match event {
        Got::Ping(payload) => Some((0x8A, payload.clone())),
        _ => None,
    };
    let mut replies: Vec<_> = events.iter().filter_map(pong).collect();
    match (error, events.last()) {
        (Some(error), _) => replies.push((0x88, code_of(error).to_be_bytes().into())),
        (None, Some(Got::Close(1005, _))) => replies.push((0x88, Vec::new())),
        (None, Some(Got::Close(code, _))) => replies.push((0x88, code.to_be_bytes().into())),
        (None, _) => {}
    }
    let sent = parse(role, &outcome.output);
    let sent: Vec<_> = sent
        .into_iter()
        .map(|frame| (frame.first, frame.payload))
        .collect();
    assert_eq!(sent, replies, "{role:?}: {input:02x?}");
}

/// Unmasked `input` is taken by every role in `who`.
pub(crate) fn accepts(who: &[Role], input: &[u8], events: &[Got]) {
    for role in who {
        check(*role, &Config::new(), &to(*role, input), events, None);
    }
}

/// What a peer may send that did not notice the end: a message, a ping and its own Close frame.
pub(crate) const LATER: &str = "8105 48656c6c6f 890170 880203e8";

/// Unmasked `input` fails every role in `who`, and what follows it is ignored.
pub(crate) fn fails(who: &[Role], input: &[u8], events: &[Got], error: impl Into<Error>) {
    fails_with(who, &Config::new(), input, events, error);
}

pub(crate) fn fails_with(
    who: &[Role],
    config: &Config,
    input: &[u8],
    events: &[Got],
    error: impl Into<Error>,
) {
    let error = error.into();
    for role in who {
        let mut input = to(*role, input);
        check(*role, config, &input, events, Some(error));
        // 6455-7.1.7-05
        input.extend(to(*role, &hex(LATER)));
        check(*role, config, &input, events, Some(error));
    }
}

/// After how many bytes of `input`, as it is on the wire, the connection fails.
pub(crate) fn fails_at(role: Role, input: &[u8]) -> Option<usize> {
    let mut conn = connection(role, &Config::new());
    let mut fails = |byte: &u8| receive(&mut conn, START, &[*byte], &mut Vec::new()).is_err();
    (1..=input.len()).find(|count| fails(&input[count - 1]))
}

/// Whatever came of it.
pub(crate) fn ignore<T>(_: T) {}

/// Limits for messages and frames.
pub(crate) fn limits(message: u64, frame: u64) -> Config {
    let limits = Limits::new()
        .with_max_message_size(message)
        .with_max_frame_size(frame);
    Config::new().with_limits(limits)
}
