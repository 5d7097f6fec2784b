//! sockeye, without I/O, as an adapter would drive it.

use bytes::{Buf, BufMut};
use sockeye::{
    Compress, Config, Connection, Deflate, DeflateParams, Event, Input, Instant, Memory, Negotiated,
};

use crate::measure::Peer;

const NOW: Instant = Instant::from_nanos(0);
/// What the crate's adapters read at a time.
const READ: usize = 20 * 1024;

pub struct Ours<'w> {
    conn: Connection,
    wire: &'w [u8],
    written: usize,
}

/// Parameters that are the same for both directions.
pub fn params(bits: u8, takeover: bool) -> DeflateParams {
    let mut params = DeflateParams::new();
    params.server_max_window_bits = bits;
    params.client_max_window_bits = bits;
    params.server_no_context_takeover = !takeover;
    params.client_no_context_takeover = !takeover;
    params
}

/// A server's settings with one policy and one window for both directions.
pub fn config(memory: Memory, bits: u8) -> Deflate {
    Deflate::server()
        .with_send_memory(memory)
        .with_receive_memory(memory)
        .with_send_window_bits(bits)
        .with_receive_window_bits(bits)
}

pub fn server(deflate: Deflate, params: DeflateParams) -> Connection {
    let config = Config::new().with_deflate(deflate);
    Connection::server(&config, Negotiated::new().with_deflate(params), NOW)
}

impl<'w> Ours<'w> {
    pub fn open(deflate: Deflate, params: DeflateParams, wire: &'w [u8]) -> Self {
        Self {
            conn: server(deflate, params),
            wire,
            written: 0,
        }
    }
}

/// What a client sends: masked, compressed, with the largest memory that it may use.
pub fn wire(messages: &[String], params: DeflateParams) -> Vec<u8> {
    let config = Config::new().with_deflate(Deflate::client());
    let negotiated = Negotiated::new().with_deflate(params);
    let mut client = Connection::client(&config, negotiated, || [0x12, 0x34, 0x56, 0x78], NOW);
    let mut wire = Vec::new();
    for message in messages {
        client
            .send_with(message.as_str(), Compress::Always)
            .expect("room");
        wire.put(client.poll_transmit().expect("a frame"));
    }
    wire
}

/// Takes all output, and counts it.
pub fn drain(conn: &mut Connection) -> usize {
    let Some(mut output) = conn.poll_transmit() else {
        return 0;
    };
    let count = output.remaining();
    output.advance(count);
    count
}

impl Peer for Ours<'_> {
    fn arrive(&mut self) {}

    fn receive(&mut self, count: usize) -> usize {
        let mut buffer = [0; READ];
        let (mut messages, mut bytes) = (0, 0);
        for read in self.wire.chunks(READ) {
            let read_into = &mut buffer[..read.len()];
            read_into.copy_from_slice(read);
            let mut input = Input::new(read_into);
            while let Some(event) = self.conn.receive(NOW, &mut input).expect("valid input") {
                if let Event::Text(text) = event {
                    messages += 1;
                    bytes += text.len();
                }
            }
        }
        assert_eq!(messages, count);
        bytes
    }

    fn send(&mut self, messages: &[String]) {
        for message in messages {
            self.conn
                .send_with(message.as_str(), Compress::Always)
                .expect("room");
            self.written += drain(&mut self.conn);
        }
    }

    fn wait(&mut self) {}

    fn written(&self) -> usize {
        self.written
    }
}
