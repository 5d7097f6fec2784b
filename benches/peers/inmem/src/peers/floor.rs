//! Not a crate: the least work that a case can be done with.
//!
//! One copy out of the transport, masks in place, one write. There are no limits and no errors, and
//! masking keys are easy to guess.

use std::io::Read;
use std::mem;
use std::ops::Range;

use base64::Engine;
use bytes::Bytes;
use common::{BINARY, FIN, RSV1, Random};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};

use crate::case::LEVEL;
use crate::io::MemIo;
use crate::peer::{Abilities, Compression, Peer, Role, Setup};
use crate::{mask, upgrade};

/// A frame of 16 KiB with its header, small enough that it is unmasked in the first-level cache.
const READ: usize = 17 * 1024;
/// Payloads from this size on are written from where they are.
const SHARE_MIN: usize = 4096;
/// So much is masked before it is written.
const MASK: usize = 32 * 1024;
/// So much that is compressed is kept before it is written.
const WRITE: usize = 64 * 1024;

const MASKED: u8 = 0x80;

pub struct Floor {
    io: MemIo,
    setup: Setup,
    buffer: Vec<u8>,
    /// What is unread lies from `start` to `end`.
    start: usize,
    end: usize,
    /// A message that was put together, or inflated.
    message: Vec<u8>,
    output: Vec<u8>,
    keys: Random,
    inflate: Option<Decompress>,
    deflate: Option<Compress>,
}

/// Where a message is.
enum Place {
    Buffer(Range<usize>),
    Message,
}

impl Floor {
    #[inline(always)]
    fn receive_one(&mut self) -> Place {
        let (first, payload) = self.frame();
        if first & (FIN | RSV1) == FIN {
            return Place::Buffer(payload);
        }
        if first & RSV1 != 0 {
            self.inflate(payload);
            return Place::Message;
        }
        self.message.clear();
        self.message.extend_from_slice(&self.buffer[payload]);
        loop {
            let (first, payload) = self.frame();
            self.message.extend_from_slice(&self.buffer[payload]);
            if first & FIN != 0 {
                return Place::Message;
            }
        }
    }

    /// The first byte of the next frame, and where its unmasked payload is.
    #[inline(always)]
    fn frame(&mut self) -> (u8, Range<usize>) {
        self.fill(6);
        let [first, second, a, b, c, d, ..] = self.buffer[self.start..] else {
            unreachable!("it was filled");
        };
        let (size, len, key) = match second & !MASKED {
            126 => {
                self.fill(8);
                let [.., e, f, g, h] = self.header::<8>();
                (8, usize::from(u16::from_be_bytes([a, b])), [e, f, g, h])
            }
            127 => {
                self.fill(14);
                let [_, _, len @ .., e, f, g, h] = self.header::<14>();
                (14, u64::from_be_bytes(len) as usize, [e, f, g, h])
            }
            len => (6, usize::from(len), [a, b, c, d]),
        };
        self.start += size;
        self.payload(len, key);
        let start = self.start;
        self.start += len;
        (first, start..start + len)
    }

    #[inline(always)]
    fn header<const SIZE: usize>(&self) -> [u8; SIZE] {
        let header = self.buffer[self.start..].first_chunk();
        *header.expect("it was filled")
    }

    /// Reads the payload of a frame. Each part is unmasked while it is still in the cache.
    #[inline(always)]
    fn payload(&mut self, len: usize, key: [u8; 4]) {
        let mut done = 0;
        while done < len {
            let read = (self.end - self.start).min(len);
            if read > done {
                let part = self.start + done..self.start + read;
                mask::xor(&mut self.buffer[part], mask::rotated(key, done));
                done = read;
            }
            if done < len {
                if self.start + len > self.buffer.len() {
                    self.move_to_front();
                    if len > self.buffer.len() {
                        self.buffer.resize(len, 0);
                    }
                }
                let end = self.buffer.len().min(self.end + READ);
                let room = &mut self.buffer[self.end..end];
                self.end += self.io.read(room).expect("endless input");
            }
        }
    }

    /// Reads until there are so many unread bytes.
    #[inline(always)]
    fn fill(&mut self, count: usize) {
        if self.end - self.start < count {
            self.fill_up(count);
        }
    }

    #[cold]
    fn fill_up(&mut self, count: usize) {
        if self.start == self.end || self.start + count > self.buffer.len() {
            self.move_to_front();
        }
        while self.end - self.start < count {
            let room = &mut self.buffer[self.end..];
            self.end += self.io.read(room).expect("endless input");
        }
    }

    fn move_to_front(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    fn inflate(&mut self, payload: Range<usize>) {
        let Some(inflate) = &mut self.inflate else {
            return;
        };
        if self.setup.compression == Compression::NoContext {
            inflate.reset(false);
        }
        self.message.clear();
        self.message.reserve(4 * payload.len());
        let mut input = &self.buffer[payload];
        loop {
            let before = inflate.total_in();
            let status = inflate.decompress_vec(input, &mut self.message, FlushDecompress::Sync);
            status.expect("valid data");
            input = &input[(inflate.total_in() - before) as usize..];
            if input.is_empty() && self.message.len() < self.message.capacity() {
                break;
            }
            self.message.reserve(self.message.len().max(1024));
        }
        let tail = [0, 0, 0xff, 0xff];
        let status = inflate.decompress_vec(&tail, &mut self.message, FlushDecompress::Sync);
        status.expect("valid data");
    }

    #[inline(always)]
    fn send_one(&mut self, payload: &[u8], flush: bool) {
        if self.deflate.is_some() {
            self.send_compressed(payload);
            if flush || self.output.len() >= WRITE {
                self.flush();
            }
        } else if self.setup.role == Role::Client {
            self.send_masked(payload);
            if flush {
                self.flush();
            }
        } else if flush || payload.len() > SHARE_MIN {
            self.flush();
            let (header, len) = new_header(FIN | BINARY, payload.len(), None);
            self.io.write_slices([&header[..len], payload]);
        } else {
            let (header, len) = new_header(FIN | BINARY, payload.len(), None);
            self.output.extend_from_slice(&header[..len]);
            self.output.extend_from_slice(payload);
        }
    }

    fn send_compressed(&mut self, payload: &[u8]) {
        let Some(deflate) = &mut self.deflate else {
            return;
        };
        if self.setup.compression == Compression::NoContext {
            deflate.reset();
        }
        self.message.clear();
        self.message.reserve(payload.len() + 64);
        let status = deflate.compress_vec(payload, &mut self.message, FlushCompress::Sync);
        status.expect("room");
        // Less the end of every message.
        let compressed = &self.message[..self.message.len() - 4];
        let (header, len) = new_header(FIN | RSV1 | BINARY, compressed.len(), None);
        self.output.extend_from_slice(&header[..len]);
        self.output.extend_from_slice(compressed);
    }

    #[inline(always)]
    fn send_masked(&mut self, payload: &[u8]) {
        let key = self.keys.key();
        let (header, len) = new_header(FIN | BINARY, payload.len(), Some(key));
        self.output.extend_from_slice(&header[..len]);
        for part in payload.chunks(MASK) {
            let at = self.output.len();
            self.output.resize(at + part.len(), 0);
            mask::xor_copy(&mut self.output[at..], part, key);
            if self.output.len() >= MASK {
                self.flush();
            }
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        if !self.output.is_empty() {
            self.io.write_bytes(&self.output);
            self.output.clear();
        }
    }
}

impl Peer for Floor {
    const NAME: &'static str = "floor";
    const ABILITIES: Abilities = Abilities::ALL;
    type Server = MemIo;
    type Client = MemIo;

    fn open(io: MemIo, setup: Setup) -> Self {
        let compresses = setup.compression != Compression::Off;
        let level = flate2::Compression::new(LEVEL.into());
        Self {
            io,
            setup,
            buffer: vec![0; READ],
            start: 0,
            end: 0,
            message: Vec::new(),
            output: Vec::with_capacity(WRITE + 64),
            keys: Random::new(7),
            inflate: compresses.then(|| Decompress::new(false)),
            deflate: compresses.then(|| Compress::new(level, false)),
        }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        for _ in 0..count {
            let payload = match self.receive_one() {
                Place::Buffer(range) => &self.buffer[range],
                Place::Message => &self.message,
            };
            if self.setup.text {
                simdutf8::basic::from_utf8(payload).expect("valid UTF-8");
            }
            visit(payload);
        }
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
            self.send_one(payload, flush_every == 1 || index % flush_every == 0);
        }
        self.flush();
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        for index in 1..=count {
            let flush = flush_every == 1 || index % flush_every == 0;
            match self.receive_one() {
                Place::Buffer(range) => {
                    let buffer = mem::take(&mut self.buffer);
                    self.send_one(&buffer[range], flush);
                    self.buffer = buffer;
                }
                Place::Message => {
                    let message = mem::take(&mut self.message);
                    self.send_one(&message, flush);
                    self.message = message;
                }
            }
        }
        self.flush();
    }

    fn wait(&mut self) {
        assert!(self.io.read(&mut self.buffer).is_err());
    }

    fn accept(mut io: MemIo) -> Self::Server {
        let mut buffer = [0; 2048];
        let count = io.read(&mut buffer).expect("a request");
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(&buffer[..count]).expect("a request");
        assert!(parsed.is_complete());
        let key = value(request.headers, "sec-websocket-key");
        io.write_bytes(&upgrade::response(key));
        io
    }

    fn connect(mut io: MemIo) -> Self::Client {
        let mut random = Random::new(3);
        let nonce = [random.word(), random.word()].map(u64::to_ne_bytes);
        let mut key = [0; 24];
        let engine = base64::engine::general_purpose::STANDARD;
        let written = engine.encode_slice(nonce.as_flattened(), &mut key);
        assert_eq!(written, Ok(key.len()));
        let mut request = Vec::with_capacity(256);
        request.extend_from_slice(
            b"GET /chat/v1?room=42 HTTP/1.1\r\nHost: example.com:9001\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
        );
        request.extend_from_slice(&key);
        request.extend_from_slice(b"\r\n\r\n");
        io.write_bytes(&request);

        let mut buffer = [0; 2048];
        let count = io.read(&mut buffer).expect("an answer");
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&buffer[..count]).expect("an answer");
        assert!(parsed.is_complete());
        let accept = value(response.headers, "sec-websocket-accept");
        assert!(accept == upgrade::accept_key(&key));
        io
    }
}

/// The header of a frame, and how many of the bytes it has.
#[inline(always)]
fn new_header(first: u8, len: usize, key: Option<[u8; 4]>) -> ([u8; 14], usize) {
    let masked = if key.is_some() { MASKED } else { 0 };
    let mut header = [0; 14];
    header[0] = first;
    let mut end = if len < 126 {
        header[1] = masked | len as u8;
        2
    } else if len <= usize::from(u16::MAX) {
        header[1] = masked | 126;
        header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        4
    } else {
        header[1] = masked | 127;
        header[2..10].copy_from_slice(&(len as u64).to_be_bytes());
        10
    };
    if let Some(key) = key {
        header[end..end + 4].copy_from_slice(&key);
        end += 4;
    }
    (header, end)
}

fn value<'h>(headers: &[httparse::Header<'h>], name: &str) -> &'h [u8] {
    let mut headers = headers.iter();
    let header = headers.find(|header| header.name.eq_ignore_ascii_case(name));
    header.expect("a header").value
}
