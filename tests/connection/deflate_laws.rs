//! What holds for any compressed conversation, and for prepared messages.

use proptest::collection::vec;
use proptest::prelude::*;
use sockeye::{
    Compress, Config, Connection, Deflate, DeflateParams, Delivery, Kind, Memory, Negotiated,
    Prepared,
};

use crate::pair::{PACES, Pair, Side};
use crate::reference::Reference;
use crate::wire::*;

/// How a message is sent.
#[derive(Clone, Debug)]
enum How {
    Whole(Compress),
    Prepared,
    Fragments(Compress, usize),
}

#[derive(Clone, Debug)]
struct Sending {
    role: Role,
    text: bool,
    payload: Vec<u8>,
    how: How,
    /// Move bytes after it, or let it wait.
    run: bool,
    /// Give codecs back after it, at once or when their time has come.
    shrink: bool,
    wait: bool,
}

fn sendings() -> impl Strategy<Value = Vec<Sending>> {
    let compress = || {
        prop_oneof![
            Just(Compress::Auto),
            Just(Compress::Always),
            Just(Compress::Never)
        ]
    };
    let how = prop_oneof![
        3 => compress().prop_map(How::Whole),
        1 => Just(How::Prepared),
        2 => (compress(), 1..2000usize).prop_map(|(compress, size)| How::Fragments(compress, size)),
    ];
    // Letters of which few differ: they repeat near and far.
    let payload = prop_oneof![
        1 => Just(Vec::new()),
        4 => vec(b'a'..b'e', 0..300),
        2 => (vec(b'a'..=b'z', 1..200), 1..40usize).prop_map(|(bytes, times)| bytes.repeat(times)),
        1 => (any::<u32>(), 500..6000usize).prop_map(|(seed, len)| scatter(seed, len)),
    ];
    let role = prop_oneof![Just(Role::Client), Just(Role::Server)];
    let sending = (
        role,
        any::<bool>(),
        payload,
        how,
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    );
    let sending = sending.prop_map(|(role, text, payload, how, run, shrink, wait)| Sending {
        role,
        text,
        payload,
        how,
        run,
        shrink,
        wait,
    });
    vec(sending, 1..20)
}

/// Seven-bit noise.
fn scatter(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What one side has.
fn side() -> impl Strategy<Value = (Memory, Memory, u8, u8, Delivery)> {
    let memory = || {
        prop_oneof![
            Just(Memory::Retained),
            Just(Memory::Window),
            Just(Memory::NoTakeover)
        ]
    };
    let delivery = prop_oneof![Just(Delivery::Messages), Just(Delivery::Chunks)];
    (memory(), memory(), 1..=9u8, 1..=9u8, delivery)
}

fn send(conn: &mut Connection, sending: &Sending) {
    let Sending { text, payload, .. } = sending;
    let words = std::str::from_utf8(payload).unwrap();
    match &sending.how {
        How::Whole(compress) if *text => conn.send_with(words, *compress).unwrap(),
        How::Whole(compress) => conn.send_with(&payload[..], *compress).unwrap(),
        How::Prepared if *text => conn.send_prepared(&Prepared::new(words)).unwrap(),
        How::Prepared => conn.send_prepared(&Prepared::new(&payload[..])).unwrap(),
        How::Fragments(compress, size) => {
            let kind = if *text { Kind::Text } else { Kind::Binary };
            for piece in payload.chunks(*size) {
                conn.send_fragment_with(kind, piece, false, *compress)
                    .unwrap();
            }
            conn.send_fragment_with(kind, &b""[..], true, *compress)
                .unwrap();
        }
    }
}

/// The inflater of flate2, that of others, with a window that is always large enough.
struct Stock {
    inflate: flate2::Decompress,
    takeover: bool,
}

impl Stock {
    fn new(takeover: bool) -> Self {
        let inflate = flate2::Decompress::new(false);
        Self { inflate, takeover }
    }

    fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.inflate.reset(false);
        }
        let input = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        let start = self.inflate.total_in();
        let mut message = Vec::with_capacity(64);
        loop {
            let taken = (self.inflate.total_in() - start) as usize;
            let sync = flate2::FlushDecompress::Sync;
            self.inflate
                .decompress_vec(&input[taken..], &mut message, sync)
                .unwrap();
            let taken = (self.inflate.total_in() - start) as usize;
            if taken == input.len() && message.len() < message.capacity() {
                return message;
            }
            message.reserve(message.len());
        }
    }
}

/// The messages that a side sent, as somebody else reads its bytes.
fn read_wire(side: &Side, mut inflate: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<Got> {
    let mut messages = Vec::new();
    let mut message: Option<(u8, Vec<u8>)> = None;
    for frame in parse(side.role, &side.sent) {
        let (first, payload) = message.get_or_insert_with(|| (frame.first, Vec::new()));
        payload.extend(frame.payload);
        if frame.first & 0x80 == 0 {
            continue;
        }
        let plain = match *first & 0x40 {
            0 => payload.clone(),
            _ => inflate(payload),
        };
        messages.push(match *first & 0x0F {
            1 => Got::Text(String::from_utf8(plain).unwrap()),
            _ => Got::Binary(plain),
        });
        message = None;
    }
    messages
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_sent_is_received(
        sendings in sendings(),
        (client, server) in (side(), side()),
        (client_bits, server_bits) in (9..=15u8, 9..=15u8),
        (client_alone, server_alone) in (any::<bool>(), any::<bool>()),
        pace in prop::sample::select(PACES),
    ) {
        let config = |(send, receive, level, mem_level, delivery)| {
            let deflate = Deflate::client()
                .with_send_memory(send)
                .with_receive_memory(receive)
                .with_level(level)
                .with_mem_level(mem_level);
            with_deflate(deflate).with_delivery(delivery)
        };
        // What a side would do without is either agreed on or it keeps it.
        let mut params = DeflateParams::new();
        params.client_no_context_takeover = client_alone;
        params.server_no_context_takeover = server_alone;
        params.client_max_window_bits = client_bits;
        params.server_max_window_bits = server_bits;
        let negotiated = Negotiated::new().with_deflate(params);
        let mut pair = Pair::with(&config(client), &config(server), &negotiated, pace);
        for sending in &sendings {
            let (side, _) = pair.sides(sending.role);
            send(&mut side.conn, sending);
            if sending.run {
                pair.run();
            }
            if sending.shrink {
                pair.client.conn.shrink();
                pair.server.conn.shrink();
            }
            // A codec that is idle has had its time after a few deadlines.
            for _ in 0..if sending.wait { 4 } else { 0 } {
                pair.jump();
            }
        }
        pair.run();
        prop_assert_eq!((pair.client.error, pair.server.error), (None, None));
        let directions = [
            (&pair.client, &pair.server, client_bits, client_alone),
            (&pair.server, &pair.client, server_bits, server_alone),
        ];
        for (from, to, bits, alone) in directions {
            let sent = sendings.iter().filter(|sending| sending.role == from.role);
            let sent: Vec<_> = sent
                .map(|sending| match sending.text {
                    true => text(std::str::from_utf8(&sending.payload).unwrap()),
                    false => binary(&sending.payload),
                })
                .collect();
            prop_assert_eq!(&join(to.events.clone()), &sent);
            let mut reference = Reference::new(bits, !alone);
            prop_assert_eq!(&read_wire(from, |payload| reference.inflate(payload)), &sent);
            let mut stock = Stock::new(!alone);
            prop_assert_eq!(&read_wire(from, |payload| stock.inflate(payload)), &sent);
        }
    }

    #[test]
    fn garbage_never_panics(
        payload in vec(any::<u8>(), 0..200),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        send in 0..3usize,
    ) {
        let memory = [Memory::Retained, Memory::Window, Memory::NoTakeover][send];
        let deflate = Deflate::client().with_receive_memory(memory);
        let config = with_deflate(deflate);
        let mut good = connection(Role::Server, &config);
        good.send_with(payload.repeat(3), Compress::Always).unwrap();
        let mut damaged = parse(Role::Server, &drain(&mut good)).remove(0).payload;
        for (at, byte) in edits {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        for payload in [payload, damaged] {
            let input = frame(0xC2, payload);
            let feed = |size| feed_in(&mut connection(Role::Client, &config), &input, || size);
            let whole = feed(usize::MAX);
            prop_assert_eq!(&feed(1), &whole);
            prop_assert_eq!(&feed(7), &whole);
        }
    }
}

fn server(deflate: &Deflate) -> (Config, Connection) {
    let config = with_deflate(deflate.clone());
    let conn = connection(Role::Server, &config);
    (config, conn)
}

#[test]
fn prepared_messages_are_compressed_once_for_each_shape() {
    let news = "something has happened, ".repeat(20);
    let prepared = Prepared::new(news.as_str());
    let small = Prepared::new("short");
    let shapes: Vec<_> = [(6, 5, 12), (6, 5, 15), (1, 5, 12), (6, 8, 12)]
        .into_iter()
        .map(|(level, mem_level, bits)| {
            Deflate::server()
                .with_level(level)
                .with_mem_level(mem_level)
                .with_send_window_bits(bits)
        })
        .collect();
    for number in 0..1000 {
        let memory = [Memory::Retained, Memory::Window, Memory::NoTakeover][number % 3];
        let shape = shapes[number % 4].clone();
        let (config, mut conn) = server(&shape.with_send_memory(memory));
        let params = DeflateParams::new();
        let peer = Config::new();
        let mut agreed = params;
        agreed.server_max_window_bits = config.deflate().unwrap().send_window_bits();
        agreed.server_no_context_takeover = memory == Memory::NoTakeover;
        let agreed = Negotiated::new().with_deflate(agreed);
        let mut client = connection_with(Role::Client, &peer, agreed);

        let own = format!("{number}: {}", &news[..100]);
        conn.send(own.as_str()).unwrap();
        conn.send_prepared(&prepared).unwrap();
        conn.send_prepared(&small).unwrap();
        conn.send(own.as_str()).unwrap();
        conn.send_prepared(&prepared).unwrap();
        let output = drain(&mut conn);
        let frames = parse(Role::Server, &output);
        let firsts: Vec<_> = frames.iter().map(|frame| frame.first).collect();
        assert_eq!(firsts, [0xC1, 0xC1, 0x81, 0xC1, 0xC1]);
        assert_eq!(frames[1].payload, frames[4].payload);
        let mut events = Vec::new();
        receive(&mut client, START, &output, &mut events).unwrap();
        let expected = [&own, &news, "short", &own, &news].map(text);
        assert_eq!(events, expected);
    }
    assert_eq!(prepared.compressions(), shapes.len());
    assert_eq!(small.compressions(), 0);
    // Without an agreement nothing is compressed.
    let fresh = Prepared::new(news.as_str());
    let mut plain = connection(Role::Server, &Config::new());
    plain.send_prepared(&fresh).unwrap();
    assert_eq!(drain(&mut plain), frame(0x81, &news));
    assert_eq!(fresh.compressions(), 0);
}

#[test]
fn clients_send_prepared_messages_too() {
    let news = "something has happened, ".repeat(20);
    let prepared = Prepared::new(news.as_bytes());
    for memory in [Memory::Retained, Memory::Window, Memory::NoTakeover] {
        let deflate = Deflate::client()
            .with_send_memory(memory)
            .with_receive_memory(memory);
        let config = with_deflate(deflate);
        let mut conn = connection(Role::Client, &config);
        let mut server = connection(Role::Server, &config);
        let mut events = Vec::new();
        for _ in 0..3 {
            conn.send(news.as_str()).unwrap();
            conn.send_prepared(&prepared).unwrap();
        }
        let output = drain(&mut conn);
        assert!(
            parse(Role::Client, &output)
                .iter()
                .all(|frame| frame.first & 0x40 != 0)
        );
        receive(&mut server, START, &output, &mut events).unwrap();
        let pair = [text(&news), binary(&news)];
        assert_eq!(events, [&pair[..], &pair, &pair].concat());
    }
    assert_eq!(prepared.compressions(), 1);
}

#[test]
fn what_does_not_shrink_is_sent_as_it_is() {
    let bytes: Vec<u8> = (0..=255).collect();
    let prepared = Prepared::new(&bytes[..]);
    for _ in 0..3 {
        let (_, mut conn) = server(&Deflate::server());
        conn.send_prepared(&prepared).unwrap();
        assert_eq!(drain(&mut conn), frame(0x82, &bytes));
    }
    assert_eq!(prepared.compressions(), 1);
}
