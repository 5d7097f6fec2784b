//! Any order of calls on the two ends of a connection, with a clock that only the fuzzer moves.

mod op;
mod script;

use std::io::IoSlice;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use sockeye::bytes::Buf;
use sockeye::{
    CloseCode, Config, Connection, Deflate, DeflateParams, Error, Instant, Kind, Limits, Memory,
    Message, Negotiated, Payload, Prepared, Priority, SendError, SendOptions, State, Text,
    Timeouts, Transport,
};

use op::{Class, How, Op, Setup};
use script::Script;

use super::wire::{self, Got, MAX_CONTROL_QUEUED, Role, START};

const MAX_QUEUED: usize = 10_000;
/// The largest message that is sent, with its header and what compression may add.
const LARGEST: usize = 6000 + 100;

/// The setup and the calls as `arbitrary` decodes them.
pub fn check(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut data) else {
        return;
    };
    let mut pair = Pair::new(&setup);
    for _ in 0..300 {
        if data.is_empty() {
            break;
        }
        let Ok((is_client, op)) = <(bool, Op)>::arbitrary(&mut data) else {
            break;
        };
        pair.apply(
            if is_client {
                Role::Client
            } else {
                Role::Server
            },
            op,
        );
        for side in &pair.sides {
            side.assert_laws();
        }
    }
    pair.finish();
}

struct Pair {
    /// The client, and the server.
    sides: [Side; 2],
    now: Instant,
}

struct Side {
    role: Role,
    conn: Connection,
    script: Script,
    /// What came, pieces and all, and what failed it.
    events: Vec<Got>,
    error: Option<Error>,
    /// All that it sent, on the wire.
    sent: Vec<u8>,
    /// Bytes on their way to it.
    inbox: Vec<u8>,
    /// After the inbox comes the end.
    peer_ended: bool,
    saw_end: bool,
    is_paused: bool,
}

impl Pair {
    fn new(setup: &Setup) -> Self {
        let limits = Limits::new().with_max_queued(MAX_QUEUED);
        let mut config = Config::new().with_limits(limits);
        let mut negotiated = Negotiated::new();
        if setup.deflate {
            let memory = if setup.retains {
                Memory::Retained
            } else {
                Memory::Window
            };
            let bits = 9 + setup.window_bits % 7;
            config = config.with_deflate(
                Deflate::client()
                    .with_send_memory(memory)
                    .with_receive_memory(memory)
                    .with_send_window_bits(bits)
                    .with_receive_window_bits(bits),
            );
            let mut params = DeflateParams::new();
            params.client_no_context_takeover = setup.client_no_takeover;
            params.server_no_context_takeover = setup.server_no_takeover;
            params.client_max_window_bits = bits;
            params.server_max_window_bits = bits;
            negotiated = negotiated.with_deflate(params);
        }
        if setup.timers {
            let after = |seconds| Some(Duration::from_secs(seconds));
            config = config.with_timeouts(
                Timeouts::new()
                    .with_ping(after(1))
                    .with_pong(after(2))
                    .with_write(after(4))
                    .with_idle(after(30))
                    .with_lifetime(after(60), Duration::from_secs(5)),
            );
        }
        if setup.fragments {
            config = config.with_max_fragment(Some(1000));
        }
        if setup.chunks {
            config = wire::chunked(&config);
        }
        let sides = [Role::Client, Role::Server].map(|role| Side {
            role,
            conn: wire::connection(role, &config, negotiated.clone()),
            script: Script::default(),
            events: Vec::new(),
            error: None,
            sent: Vec::new(),
            inbox: Vec::new(),
            peer_ended: false,
            saw_end: false,
            is_paused: false,
        });
        Self { sides, now: START }
    }

    fn apply(&mut self, role: Role, op: Op) {
        let now = self.now;
        let [client, server] = &mut self.sides;
        let (side, peer) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        match op {
            Op::Send(is_text, size, how) => side.send(kind(is_text), None, size.len(), how),
            Op::SendIn(class, size, how) => side.send(Kind::Text, Some(class), size.len(), how),
            Op::Fragment(is_text, size, fin, how) => {
                side.send_fragment(kind(is_text), size.len(), fin, how);
            }
            Op::Prepared(is_text, size) => side.send_prepared(kind(is_text), None, size.len()),
            Op::PreparedIn(class, size) => {
                side.send_prepared(Kind::Text, Some(class), size.len());
            }
            Op::Ping(size) => {
                let too_long = size > 125;
                let result = side.conn.ping(&[7; 255][..size.into()]);
                assert!(!too_long || result.is_err());
            }
            Op::Pong(size) => {
                let too_long = size > 125;
                let result = side.conn.pong(&[8; 255][..size.into()]);
                assert!(!too_long || result.is_err());
            }
            Op::Close(code, is_plain) => {
                let code: CloseCode = if is_plain {
                    CloseCode::NORMAL
                } else {
                    code.into()
                };
                let result = side.conn.close(now, code, "so long");
                assert!(result.is_err() || code.is_sendable() || code == CloseCode::NO_STATUS);
            }
            Op::Transmit(max) => side.transmit(peer, max.into(), false),
            Op::TransmitVectored(max) => side.transmit(peer, max.into(), true),
            Op::TransmitTake => side.transmit_all(peer),
            Op::Read(size) => side.read(now, size.into()),
            Op::ReadBytewise(count) => {
                for _ in 0..count {
                    side.read(now, 1);
                }
            }
            Op::Wait(millis) => {
                self.now = now + Duration::from_millis(millis.into());
                self.tick();
            }
            Op::Deadline => ignore(self.jump()),
            Op::Shrink => side.conn.shrink(),
            Op::Pause => side.pause(),
            Op::Resume => side.resume(),
            Op::Probe => ignore(side.conn.probe()),
            Op::ConfirmAlive => side.conn.confirm_alive(),
            Op::Cut => {
                peer.script.is_cut = true;
                side.inbox.clear();
                side.peer_ended = true;
                side.read(now, 1);
            }
            Op::Abort => {
                // Neither what it has queued nor what is on its way to it arrives.
                side.script.is_cut = true;
                peer.script.is_cut = true;
                side.conn.abort();
                assert_eq!(side.conn.state(), State::Closed);
            }
        }
    }

    fn tick(&mut self) {
        for side in &mut self.sides {
            side.tick(self.now);
        }
    }

    /// Moves the clock to the earliest deadline. False if there is none.
    fn jump(&mut self) -> bool {
        let deadlines = self
            .sides
            .iter()
            .filter_map(|side| side.conn.poll_timeout());
        let Some(deadline) = deadlines.min() else {
            return false;
        };
        self.now = self.now.max(deadline);
        self.tick();
        true
    }

    /// Lets everything arrive, and both sides end.
    fn finish(&mut self) {
        for side in &mut self.sides {
            side.resume();
        }
        self.run();
        let _ = self.sides[0].conn.close(self.now, CloseCode::NORMAL, "");
        self.run();
        for _ in 0..100 {
            if !self.jump() {
                break;
            }
            self.run();
        }
        for side in &self.sides {
            assert_eq!(side.conn.state(), State::Closed, "{:?}", side.role);
            side.assert_grammar();
        }
        let [client, server] = &self.sides;
        for (sender, receiver) in [(client, server), (server, client)] {
            let received = receiver.messages();
            let sent = &sender.script.messages;
            for mark in script::MARKS {
                let [sent, received] =
                    [sent, &received].map(|messages: &Vec<Got>| script::marked(messages, mark));
                assert!(
                    sent.starts_with(&received),
                    "not what was sent, or not in order"
                );
            }
            let no_errors = client.error.is_none() && server.error.is_none();
            if no_errors && !sender.script.is_cut {
                assert_eq!(received.len(), sent.len(), "lost");
            }
        }
        for side in &self.sides {
            // Two ends of this crate never accuse each other.
            let error = side.error;
            assert!(
                !error.is_some_and(|error| error.is_peer_fault()),
                "{error:?}"
            );
        }
    }

    /// Moves bytes until none move any more. Time stands still.
    fn run(&mut self) {
        loop {
            let before = self.progress();
            let [client, server] = &mut self.sides;
            client.transmit(server, usize::MAX, true);
            server.transmit(client, usize::MAX, true);
            client.read(self.now, usize::MAX);
            server.read(self.now, usize::MAX);
            if self.progress() == before {
                return;
            }
        }
    }

    fn progress(&self) -> [(usize, usize, bool, bool); 2] {
        self.sides.each_ref().map(|side| {
            let (sent, inbox) = (side.sent.len(), side.inbox.len());
            (sent, inbox, side.peer_ended, side.saw_end)
        })
    }
}

impl Side {
    fn note(&mut self, result: Result<(), Error>) {
        match (result, self.error) {
            (Err(error), None) => self.error = Some(error),
            (Err(error), Some(before)) => assert_eq!(error, before, "errors are sticky"),
            (Ok(()), _) => {}
        }
    }

    fn send(&mut self, kind: Kind, class: Option<Class>, len: usize, how: How) {
        let payload = self.script.marked_payload(class, len);
        let priority = class.map_or(Priority::Normal, Priority::from);
        let has_room = self.conn.has_room_for(priority);
        let options = SendOptions::from(priority).with_compress(how.into());
        let result = self.conn.send_with(message(kind, payload.clone()), options);
        match result {
            Ok(()) => {
                assert!(has_room);
                self.script.accept(kind, payload);
            }
            Err(error) => assert!(error != SendError::Full || !has_room),
        }
    }

    fn send_prepared(&mut self, kind: Kind, class: Option<Class>, len: usize) {
        let payload = self.script.marked_payload(class, len);
        let priority = class.map_or(Priority::Normal, Priority::from);
        let prepared = Prepared::new(message(kind, payload.clone()));
        if self.conn.send_prepared_with(&prepared, priority).is_ok() {
            self.script.accept(kind, payload);
        }
    }

    fn send_fragment(&mut self, kind: Kind, len: usize, fin: bool, how: How) {
        let payload = self.script.payload(len);
        let piece = Payload::from(&payload[..]);
        if self
            .conn
            .send_fragment_with(kind, piece, fin, how.into())
            .is_ok()
        {
            let fragments = &mut self.script.fragments;
            let (before, joined) = fragments.get_or_insert_with(|| (kind, Vec::new()));
            assert_eq!(*before, kind);
            joined.extend(payload);
            if fin {
                let (kind, joined) = fragments.take().unwrap();
                self.script.accept(kind, joined);
            }
        }
    }

    /// Writes up to `max` bytes to `peer`.
    fn transmit(&mut self, peer: &mut Self, max: usize, vectored: bool) {
        let queued = self.conn.queued();
        let mut written = Vec::new();
        match self.conn.poll_transmit() {
            None => assert_eq!(queued, 0),
            Some(mut transmit) => {
                let mut slices = [IoSlice::new(&[]); 5];
                let count = match vectored {
                    true => transmit.chunks_vectored(&mut slices),
                    false => 1,
                };
                assert_eq!(transmit.remaining(), queued);
                slices[0] = IoSlice::new(transmit.chunk());
                for slice in &slices[..count] {
                    written.extend(&slice[..slice.len().min(max - written.len())]);
                }
                transmit.advance(written.len());
            }
        }
        assert_eq!(self.conn.queued(), queued - written.len());
        self.written(peer, &written);
    }

    fn transmit_all(&mut self, peer: &mut Self) {
        let mut segments = Vec::new();
        self.conn.take_transmit(&mut segments);
        assert_eq!(self.conn.queued(), 0);
        self.written(peer, &segments.concat());
    }

    fn written(&mut self, peer: &mut Self, written: &[u8]) {
        self.sent.extend(written);
        if peer.conn.state() != State::Closed && !peer.saw_end {
            peer.inbox.extend(written);
        }
        peer.peer_ended |= self.conn.queued() == 0 && self.conn.transport() != Transport::Open;
    }

    /// Reads up to `size` bytes, or the end.
    fn read(&mut self, now: Instant, size: usize) {
        if !self.inbox.is_empty() {
            let rest = self.inbox.split_off(size.min(self.inbox.len()));
            let read = std::mem::replace(&mut self.inbox, rest);
            let (result, consumed) =
                wire::receive_some(&mut self.conn, now, &read, &mut self.events);
            self.note(result);
            assert!(
                consumed == read.len() || self.is_paused,
                "input is left over"
            );
            self.inbox.splice(..0, read[consumed..].iter().copied());
        } else if self.peer_ended && !self.saw_end {
            self.saw_end = true;
            let result = self.conn.handle_eof();
            self.note(result);
        }
    }

    fn pause(&mut self) {
        self.is_paused = true;
        self.conn.pause();
    }

    fn resume(&mut self) {
        self.is_paused = false;
        self.conn.resume();
    }

    /// After a deadline the next one is later.
    fn tick(&mut self, now: Instant) {
        let result = self.conn.handle_timeout(now);
        self.note(result);
        let next = self.conn.poll_timeout();
        assert!(next.is_none_or(|deadline| deadline > now));
    }

    fn assert_laws(&self) {
        let classes = Priority::ALL.len();
        assert!(self.conn.queued() <= classes * (MAX_QUEUED + LARGEST) + MAX_CONTROL_QUEUED);
        let is_closed = self.conn.state() == State::Closed;
        assert_eq!(self.conn.closed().is_some(), is_closed);
        if is_closed {
            assert_eq!(self.conn.transport(), Transport::Close);
            assert_eq!(self.conn.poll_timeout(), None);
        }
    }

    /// RFC 6455 section 5.4, and nothing but pongs after Close.
    fn assert_grammar(&self) {
        let (mut inside, mut closed) = (false, false);
        for frame in wire::sent_some(self.role, &self.sent) {
            match frame.first {
                0x88 => assert!(!std::mem::replace(&mut closed, true), "two Close frames"),
                0x8A => {}
                0x89 => assert!(!closed),
                first => {
                    assert!(!closed, "data after Close");
                    assert_eq!(first & 0x0F == 0, inside);
                    inside = first & 0x80 == 0;
                }
            }
        }
    }

    /// The whole messages that came. What is unfinished at the end does not count.
    fn messages(&self) -> Vec<Got> {
        let mut events = self.events.clone();
        let is_piece = |event: &Got| matches!(event, Got::Piece(..));
        let is_last = |event: &Got| matches!(event, Got::Piece(_, _, _, true));
        let end = events.iter().rposition(is_last).map_or(0, |last| last + 1);
        let mut index = 0;
        events.retain(|event| {
            index += 1;
            index <= end || !is_piece(event)
        });
        let mut messages = wire::join(events);
        messages.retain(Got::is_message);
        messages
    }
}

fn kind(is_text: bool) -> Kind {
    if is_text { Kind::Text } else { Kind::Binary }
}

fn message(kind: Kind, payload: Vec<u8>) -> Message<'static> {
    match kind {
        Kind::Text => Message::Text(Text::from_utf8(payload).unwrap()),
        Kind::Binary => Message::Binary(payload.into()),
    }
}

fn ignore<T>(_: T) {}
