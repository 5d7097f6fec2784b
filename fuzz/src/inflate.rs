//! Compressed garbage: never beyond the limit, and the same under every policy.

use sockeye::{Config, Deflate, DeflateParams, Limits, Memory, Negotiated};

use super::naive::encode;
use super::wire::*;

/// What a message may become.
const MAX: usize = 5000;
/// The same where it is limited by what it is on the wire, which small messages are not.
const LARGE: usize = 200_000;
const RATIO: u32 = 50;
const RATIO_FROM: usize = 64 * 1024;

/// Flags: bit 0 the role, bit 1 without context takeover, bit 2 whether `shrink` is called between
/// reads, bits 3 to 5 the window, bit 6 whether messages are large and the ratio is limited. Then a
/// byte that says how the frames are cut, and the frames: see [`frames`].
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let flags = source.flags();
    let cuts = Cuts::new(source.byte());
    let role = if flags.bit(0) {
        Role::Client
    } else {
        Role::Server
    };
    let window_bits = 8 + flags.number(3, 3) as u8;
    let mut params = DeflateParams::new();
    params.client_no_context_takeover = flags.bit(1);
    params.server_no_context_takeover = flags.bit(1);
    params.client_max_window_bits = window_bits;
    params.server_max_window_bits = window_bits;
    let input = frames(source, role == Role::Server);
    let (max, ratio) = if flags.bit(6) {
        let by_ratio = (input.len() * RATIO as usize).max(RATIO_FROM);
        (LARGE.min(by_ratio), Some(RATIO))
    } else {
        (MAX, None)
    };
    let limits = Limits::new()
        .with_max_message_size(if flags.bit(6) { LARGE } else { MAX } as u64)
        .with_max_inflate_ratio(ratio);

    let run = |memory, mut cuts: Cuts, shrinks: bool, chunks: bool| {
        let deflate = Deflate::server().with_receive_memory(memory);
        let mut config = Config::new()
            .with_limits(limits.clone())
            .with_deflate(deflate);
        if chunks {
            config = chunked(&config);
        }
        let mut conn = connection(role, &config, Negotiated::new().with_deflate(params));
        let mut outcome = feed(&mut conn, &input, &mut cuts, |conn, _| {
            if shrinks {
                conn.shrink();
            }
        });
        assert_bounded(&outcome.events, max);
        assert_answers(role, &outcome);
        outcome.events = join(outcome.events);
        outcome
    };
    let expected = run(Memory::Retained, Cuts::Whole, false, false);
    for memory in [Memory::Retained, Memory::Window, Memory::NoTakeover] {
        let shrinks = flags.bit(2);
        assert_eq!(
            run(memory, cuts.clone(), shrinks, false),
            expected,
            "{memory:?}"
        );
        assert_eq!(
            run(memory, cuts.clone(), shrinks, true),
            expected,
            "{memory:?}, in pieces"
        );
    }
}

/// For each frame: a byte with FIN, RSV1, whether it is binary, whether it starts a message, and
/// whether it is a ping; a byte for its length, and the payload. So nearly everything reaches the
/// inflater.
fn frames(mut source: Source<'_>, masked: bool) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut inside = false;
    while !source.is_empty() {
        let kind = source.flags();
        let len = usize::from(source.byte());
        let payload = source.take(len);
        if kind.bit(4) {
            let len = payload.len().min(125);
            frames.extend(encode(0x89, &payload[..len], masked));
            continue;
        }
        let (fin, compressed) = (kind.bit(0), !kind.bit(1));
        let opcode = if inside {
            0
        } else if kind.bit(2) {
            2
        } else {
            1
        };
        let rsv1 = if compressed && !inside { 0x40 } else { 0 };
        let fin_bit = if fin { 0x80 } else { 0 };
        frames.extend(encode(fin_bit | rsv1 | opcode, payload, masked));
        inside = !fin;
    }
    frames
}

/// No message, whole or in pieces, has more than the limit.
fn assert_bounded(events: &[Got], max: usize) {
    let mut pieces = 0;
    for event in events {
        let len = match event {
            Got::Text(text) => text.len(),
            Got::Binary(bytes) => bytes.len(),
            Got::Piece(_, bytes, first, _) => {
                pieces = bytes.len() + if *first { 0 } else { pieces };
                pieces
            }
            _ => 0,
        };
        assert!(len <= max, "{len} bytes");
    }
}
