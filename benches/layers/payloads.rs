//! What the messages are made of, and how they lie on the wire.

use bytes::Buf;
use sockeye::Connection;
use sockeye::frame::{Encoder, Header, OpCode, Rules};

/// Of payloads: one cache line and less, a page, a read, and more than the caches next to the core.
pub(crate) const SIZES: [usize; 5] = [16, 1 << 10, 16 << 10, 64 << 10, 1 << 20];

/// About as much as a read delivers.
const READ_SIZE: usize = 16 << 10;

/// It costs what any key costs, and leaves the buffer as it was for the next round.
pub(crate) const ZERO_KEY: [u8; 4] = [0; 4];
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) fn size_name(size: usize) -> String {
    match size {
        _ if size >= 1 << 20 => format!("{}MiB", size >> 20),
        _ if size >= 1 << 10 => format!("{}KiB", size >> 10),
        _ => format!("{size}B"),
    }
}

/// Of all values, in no order: xorshift.
pub(crate) fn binary(len: usize) -> Vec<u8> {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_le_bytes()[3]
    });
    bytes.take(len).collect()
}

pub(crate) fn ascii(len: usize) -> String {
    "the quick brown frame ".chars().cycle().take(len).collect()
}

/// Characters of one to four bytes; the last ones make up the length.
pub(crate) fn mixed(len: usize) -> String {
    let mut text = String::new();
    for char in "Grüße, привет こんにちは 😀 ok. ".chars().cycle() {
        if text.len() + char.len_utf8() > len {
            break;
        }
        text.push(char);
    }
    text.extend(std::iter::repeat_n('.', len - text.len()));
    text
}

/// A frame of a client.
pub(crate) fn frame(opcode: OpCode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut encoder = Encoder::new(Rules::server());
    let header = Header::new(opcode, payload.len() as u64).with_mask(key);
    let mut wire = encoder.header(&header).unwrap().to_vec();
    let at = wire.len();
    wire.resize(at + payload.len(), 0);
    assert_eq!(encoder.copy(payload, &mut wire[at..]), payload.len());
    wire
}

/// How many messages of that size a read delivers.
pub(crate) fn in_a_read(size: usize) -> usize {
    (READ_SIZE / size).clamp(1, 64)
}

/// Everything that waits, as it goes onto the wire.
pub(crate) fn take_output(conn: &mut Connection, wire: &mut Vec<u8>) {
    while let Some(mut output) = conn.poll_transmit() {
        let chunk = output.chunk();
        wire.extend_from_slice(chunk);
        let count = chunk.len();
        output.advance(count);
    }
}
