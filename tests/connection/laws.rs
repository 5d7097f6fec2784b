//! Laws that hold for any input, any pieces and any order of calls.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use sockeye::{CloseCode, Config, Delivery, Kind, Limits};

use crate::pair::{Drain, PACES, Pair, Side, write};
use crate::wire::*;

/// Small limits, so that conversations reach them.
fn small() -> Config {
    limits(600, 300)
}

/// Frames of a peer that keeps the rules, unmasked.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let payload = || prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..310)];
    let words = prop_oneof![4 => "[a-zé€😀]{0,12}", 1 => "[a-zé€😀]{50,150}"];
    let control = (
        prop_oneof![Just(0x89u8), Just(0x8A)],
        vec(any::<u8>(), 0..=125),
    );
    let control = control.prop_map(|(first, payload)| frame(first, payload));
    let text = (
        words,
        vec(
            (
                any::<prop::sample::Index>(),
                prop::option::of(control.clone()),
            ),
            0..4,
        ),
    );
    let text = text.prop_map(|(text, cuts)| fragments(0x01, text.as_bytes(), cuts));
    let binary = (
        payload(),
        vec(
            (
                any::<prop::sample::Index>(),
                prop::option::of(control.clone()),
            ),
            0..4,
        ),
    );
    let binary = binary.prop_map(|(bytes, cuts)| fragments(0x02, &bytes, cuts));
    let close = prop_oneof![
        Just(Vec::new()),
        Just(frame(0x88, [])),
        Just(frame(0x88, b"\x03\xE8bye"))
    ];
    let frames = vec(prop_oneof![3 => text, 3 => binary, 1 => control], 0..8);
    (frames, close).prop_map(|(frames, close)| [frames.concat(), close].concat())
}

/// A message cut into fragments, with control frames between them.
fn fragments(
    kind: u8,
    payload: &[u8],
    cuts: Vec<(prop::sample::Index, Option<Vec<u8>>)>,
) -> Vec<u8> {
    let mut cuts: Vec<_> = cuts
        .into_iter()
        .map(|(cut, control)| (cut.index(payload.len() + 1), control))
        .collect();
    cuts.sort();
    let mut frames = Vec::new();
    let (mut first, mut start) = (kind, 0);
    for (cut, control) in cuts {
        frames.extend(frame(first, &payload[start..cut]));
        frames.extend(control.unwrap_or_default());
        (first, start) = (0x00, cut);
    }
    frames.extend(frame(first | 0x80, &payload[start..]));
    frames
}

/// What a peer may send: good, nearly good, or noise.
fn stream(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let good = || conversation().prop_map(move |frames| to(role, &frames));
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    let edited = (good(), vec(edit, 1..4)).prop_map(|(mut bytes, edits)| {
        for (at, byte, how) in edits {
            let at = at.index(bytes.len() + 1);
            match how {
                0 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    });
    let noise = vec(any::<u8>(), 0..40);
    prop_oneof![4 => good(), 4 => edited, 1 => noise]
}

fn streams() -> impl Strategy<Value = (Role, Vec<u8>)> {
    let of = |role| stream(role).prop_map(move |bytes| (role, bytes));
    prop_oneof![of(Role::Client), of(Role::Server)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_give_the_same_events((role, input) in streams(), sizes in vec(1..60usize, 1..8)) {
        let whole = feed_in(&mut connection(role, &small()), &input, || usize::MAX);
        let mut sizes = sizes.into_iter().cycle();
        let pieces = feed_in(&mut connection(role, &small()), &input, || sizes.next().unwrap());
        prop_assert_eq!(&pieces, &whole);

        // After a failure exactly one Close frame with its code; without one, only answers.
        let sent = parse(role, &whole.output);
        let closes: Vec<_> = sent.iter().filter(|frame| frame.first == 0x88).collect();
        let closed = whole.error.is_some() || matches!(whole.events.last(), Some(Got::Close(..)));
        prop_assert_eq!(closes.len(), usize::from(closed));
        if let Some(error) = whole.error {
            prop_assert_eq!(&closes[0].payload, &code_of(error).to_be_bytes());
        }
    }

    #[test]
    fn both_deliveries_agree((role, input) in streams(), sizes in vec(1..60usize, 1..8)) {
        let messages = feed_in(&mut connection(role, &small()), &input, || usize::MAX);
        let mut sizes = sizes.into_iter().cycle();
        let config = small().with_delivery(Delivery::Chunks);
        let mut chunks = feed_in(&mut connection(role, &config), &input, || sizes.next().unwrap());
        chunks.events = join(chunks.events);
        prop_assert_eq!(chunks, messages);
    }

    #[test]
    fn any_draining_gives_the_same_bytes(
        role in prop_oneof![Just(Role::Client), Just(Role::Server)],
        messages in vec((sizes(), any::<bool>()), 0..12),
        drains in vec(drains(), 1..6),
    ) {
        let queue = || {
            let mut conn = connection(role, &Config::new());
            for (number, (size, control)) in messages.iter().enumerate() {
                let payload = vec![number as u8; *size];
                // A client masks what it shares in a copy, and what is its own in place.
                match number % 3 {
                    0 => conn.send(&payload[..]).unwrap(),
                    1 => conn.send(Bytes::from_owner(payload)).unwrap(),
                    _ => conn.send(payload).unwrap(),
                }
                if *control {
                    let _ = conn.ping(&[number as u8; 9]);
                }
            }
            conn.close(START, CloseCode::NORMAL, "").unwrap();
            conn
        };
        let whole = drain(&mut queue());
        prop_assert_eq!(whole.len(), queue().queued());
        let frames = parse(role, &whole);
        let data: Vec<_> = frames.into_iter().filter(|frame| frame.first == 0x82).collect();
        prop_assert_eq!(data.len(), messages.len());
        for (number, (frame, (size, _))) in data.iter().zip(&messages).enumerate() {
            prop_assert_eq!(&frame.payload, &vec![number as u8; *size]);
        }
        let mut conn = queue();
        let mut output = Vec::new();
        for drain in drains.into_iter().cycle() {
            output.extend(write(&mut conn, drain));
            if conn.queued() == 0 {
                break;
            }
        }
        prop_assert_eq!(output, whole);
    }
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..200usize, 2 => 4000..4200usize, 1 => 10_000..20_000usize]
}

fn drains() -> impl Strategy<Value = Drain> {
    let size = prop_oneof![Just(1usize), 2..40usize, 1000..9000usize, Just(usize::MAX)];
    prop_oneof![
        4 => size.clone().prop_map(Drain::Chunk),
        4 => size.prop_map(Drain::Vectored),
        1 => Just(Drain::Take),
    ]
}

/// Something that happens to one side of a pair.
#[derive(Clone, Debug)]
enum Op {
    Send(Kind, usize),
    Fragment(Kind, usize, bool),
    Ping(usize),
    Pong(usize),
    Close(u16),
    Transmit(Drain),
    Read(usize),
    Wait(u64),
    /// The transport is cut: what is on its way to this side is lost.
    Cut,
}

fn ops() -> impl Strategy<Value = (Role, Op)> {
    let kind = || prop_oneof![Just(Kind::Text), Just(Kind::Binary)];
    let op = prop_oneof![
        20 => (kind(), sizes()).prop_map(|(kind, size)| Op::Send(kind, size)),
        12 => (kind(), sizes(), any::<bool>())
            .prop_map(|(kind, size, fin)| Op::Fragment(kind, size, fin)),
        8 => (0..=126usize).prop_map(Op::Ping),
        3 => (0..=126usize).prop_map(Op::Pong),
        2 => (998..1003u16).prop_map(Op::Close),
        30 => drains().prop_map(Op::Transmit),
        30 => prop_oneof![1..30usize, Just(usize::MAX)].prop_map(Op::Read),
        3 => (0..2000u64).prop_map(Op::Wait),
        1 => Just(Op::Cut),
    ];
    (prop_oneof![Just(Role::Client), Just(Role::Server)], op)
}

const MAX_QUEUED: usize = 20_000;
/// The largest message that `sizes` gives, with its header.
const LARGEST: usize = 20_000 + 14;
/// Sixteen of the largest control frames, one pong more, and a Close.
const CONTROL: usize = 18 * 131;

/// What one side's application sent, as far as it was accepted.
#[derive(Default)]
struct Script {
    messages: Vec<Got>,
    fragments: Option<(Kind, Vec<u8>)>,
    count: usize,
}

impl Script {
    /// A payload unlike the others.
    fn payload(&mut self, size: usize) -> Vec<u8> {
        self.count += 1;
        let letters = b"abcdefghijklmnopqrstuvwxyz";
        letters
            .iter()
            .copied()
            .cycle()
            .skip(self.count % 26)
            .take(size)
            .collect()
    }

    fn accept(&mut self, kind: Kind, payload: Vec<u8>) {
        self.messages.push(match kind {
            Kind::Text => Got::Text(String::from_utf8(payload).unwrap()),
            Kind::Binary => Got::Binary(payload),
        });
    }

    fn send(&mut self, side: &mut Side, kind: Kind, size: usize) {
        let payload = self.payload(size);
        let sent = match kind {
            Kind::Text => side
                .conn
                .send(std::str::from_utf8(&payload).unwrap())
                .is_ok(),
            Kind::Binary => side.conn.send(payload.clone()).is_ok(),
        };
        if sent {
            assert!(self.fragments.is_none());
            self.accept(kind, payload);
        }
    }

    fn send_fragment(&mut self, side: &mut Side, kind: Kind, size: usize, fin: bool) {
        let payload = self.payload(size);
        if side.conn.send_fragment(kind, &payload[..], fin).is_ok() {
            let (before, joined) = self.fragments.get_or_insert_with(|| (kind, Vec::new()));
            assert_eq!(*before, kind);
            joined.extend(payload);
            if fin {
                let (kind, joined) = self.fragments.take().unwrap();
                self.accept(kind, joined);
            }
        }
    }
}

fn apply(pair: &mut Pair, script: &mut Script, role: Role, op: Op) {
    let now = pair.now;
    let (side, peer) = pair.sides(role);
    match op {
        Op::Send(kind, size) => script.send(side, kind, size),
        Op::Fragment(kind, size, fin) => script.send_fragment(side, kind, size, fin),
        Op::Ping(size) => ignore(side.conn.ping(&[7; 126][..size])),
        Op::Pong(size) => ignore(side.conn.pong(&[8; 126][..size])),
        Op::Close(code) => ignore(side.conn.close(now, code.into(), "")),
        Op::Transmit(drain) => ignore(side.transmit(drain, peer)),
        Op::Read(size) => ignore(side.read(now, size)),
        Op::Wait(millis) => {
            pair.now = now + Duration::from_millis(millis);
            pair.client.tick(pair.now);
            pair.server.tick(pair.now);
        }
        Op::Cut => {
            side.inbox.clear();
            side.peer_ended = true;
            side.read(now, 1);
        }
    }
}

/// What holds at every moment.
fn assert_laws(side: &Side, peer: &Script) {
    assert!(side.conn.queued() <= MAX_QUEUED + LARGEST + CONTROL);
    let is_message = |event: &&Got| matches!(event, Got::Text(_) | Got::Binary(_));
    let received: Vec<_> = side.events.iter().filter(is_message).collect();
    assert!(received.len() <= peer.messages.len());
    assert!(
        received
            .iter()
            .zip(&peer.messages)
            .all(|(got, sent)| *got == sent),
        "not what was sent, or not in order"
    );
}

/// What holds for everything that a side sent: the grammar of RFC 6455 section 5.4, and nothing but
/// pongs after Close.
fn assert_grammar(side: &Side) {
    let mut inside = false;
    let mut closed = false;
    for frame in side.frames() {
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn t_04_any_order_of_calls(
        steps in vec(ops(), 0..80),
        pace in prop::sample::select(&PACES[3..]),
    ) {
        let config = Config::new().with_limits(Limits::new().with_max_queued(MAX_QUEUED));
        let mut pair = Pair::new(&config, pace);
        let (mut client, mut server) = (Script::default(), Script::default());
        let mut cut = false;
        for (role, op) in steps {
            cut |= matches!(op, Op::Cut);
            let script = if role == Role::Client { &mut client } else { &mut server };
            apply(&mut pair, script, role, op);
            assert_laws(&pair.client, &server);
            assert_laws(&pair.server, &client);
        }

        // Let everything arrive, then let both sides end.
        pair.run();
        let (now, code) = (pair.now, CloseCode::NORMAL);
        let _ = pair.client.conn.close(now, code, "");
        pair.finish();
        for side in [&pair.client, &pair.server] {
            prop_assert!(side.is_closed());
            assert_grammar(side);
        }
        assert_laws(&pair.client, &server);
        assert_laws(&pair.server, &client);
        if !cut && pair.client.error.is_none() && pair.server.error.is_none() {
            let received = |side: &Side| {
                let is_message = |event: &Got| matches!(event, Got::Text(_) | Got::Binary(_));
                side.events.iter().filter(|event| is_message(event)).cloned().collect::<Vec<_>>()
            };
            prop_assert_eq!(received(&pair.server), client.messages);
            prop_assert_eq!(received(&pair.client), server.messages);
            for side in [&pair.client, &pair.server] {
                prop_assert!(side.conn.closed().unwrap().clean);
            }
        }
    }
}
