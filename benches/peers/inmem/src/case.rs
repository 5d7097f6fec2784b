//! What is measured: the cases, and what each of them works on.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    BINARY, CONTINUATION, FIN, RSV1, Random, TEXT, ascii_text, hash, json_text, mixed_text,
    push_frame, random_bytes, size_name,
};
use flate2::{Compress, FlushCompress};

use crate::peer::{Compression, Role, Setup};

const SIZES: [usize; 5] = [16, 128, 1 << 10, 16 << 10, 1 << 20];
/// About as much is received before the same comes again: more than the first-level cache, less
/// than the second.
const CYCLE: usize = 256 * 1024;
/// So that a message is not the one before when its context is kept.
const MAX_PAYLOADS: usize = 64;
/// For every peer that can be told.
pub const LEVEL: u8 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Receive,
    Send,
    Echo,
    /// A server's opening handshake.
    Accept,
    /// A client's.
    Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Random,
    Ascii,
    /// Characters of one to four bytes.
    Mixed,
    Json,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub operation: Operation,
    pub data: Data,
    pub size: usize,
    /// Frames of each message that is received.
    pub fragments: usize,
    /// Messages that are sent before they are flushed.
    pub flush_every: usize,
    pub setup: Setup,
}

impl Case {
    fn new(name: impl Into<String>, operation: Operation) -> Self {
        Self {
            name: name.into(),
            operation,
            data: Data::Random,
            size: 0,
            fragments: 1,
            flush_every: 1,
            setup: Setup {
                role: Role::Server,
                text: false,
                compression: Compression::Off,
            },
        }
    }

    /// A server that waits for messages.
    pub fn waiting(compression: Compression) -> Self {
        let mut case = Self::new("waiting", Operation::Echo).with_data(Data::Json, 1024);
        case.setup.compression = compression;
        case
    }

    fn with_data(mut self, data: Data, size: usize) -> Self {
        self.data = data;
        self.size = size;
        self.setup.text = matches!(data, Data::Ascii | Data::Mixed);
        self
    }

    /// Messages of the same direction that are alike only together.
    pub fn step(&self, work: &Work) -> usize {
        match self.operation {
            // Both are powers of two.
            Operation::Receive | Operation::Echo => work.hashes.len().max(self.flush_every),
            Operation::Send => work.payloads.len().max(self.flush_every),
            Operation::Accept | Operation::Connect => 1,
        }
    }
}

/// All cases, in the order of the tables.
pub fn all() -> Vec<Case> {
    use Operation::{Accept, Connect, Echo, Receive, Send};

    let mut cases = Vec::new();
    let receives = [
        ("recv_bin", Data::Random),
        ("recv_ascii", Data::Ascii),
        ("recv_utf8", Data::Mixed),
    ];
    for (name, data) in receives {
        for size in SIZES {
            let name = format!("{name}/{}", size_name(size));
            cases.push(Case::new(name, Receive).with_data(data, size));
        }
    }
    for (name, role) in [("server", Role::Server), ("client", Role::Client)] {
        for flush_every in [1, 64] {
            for size in SIZES {
                let name = format!("send_{name}_flush{flush_every}/{}", size_name(size));
                let mut case = Case::new(name, Send).with_data(Data::Random, size);
                case.flush_every = flush_every;
                case.setup.role = role;
                cases.push(case);
            }
        }
    }
    for flush_every in [1, 64] {
        for size in SIZES {
            let name = format!("echo_flush{flush_every}/{}", size_name(size));
            let mut case = Case::new(name, Echo).with_data(Data::Random, size);
            case.flush_every = flush_every;
            cases.push(case);
        }
    }
    let mut fragmented =
        Case::new("recv_fragmented/64KiB/16", Receive).with_data(Data::Random, 65_536);
    fragmented.fragments = 16;
    cases.push(fragmented);
    let contexts = [
        ("context", Compression::Context),
        ("nocontext", Compression::NoContext),
    ];
    for (context, compression) in contexts {
        for size in [1024, 65_536] {
            for (direction, operation) in [("recv", Receive), ("send", Send)] {
                let name = format!("deflate_{direction}_{context}/{}", size_name(size));
                let mut case = Case::new(name, operation).with_data(Data::Json, size);
                case.setup.compression = compression;
                cases.push(case);
            }
        }
    }
    cases.push(Case::new("handshake_server", Accept));
    let mut client = Case::new("handshake_client", Connect);
    client.setup.role = Role::Client;
    cases.push(client);
    cases
}

/// What a case works on.
#[derive(Debug)]
pub struct Work {
    /// Masked frames of a client, to be received again and again.
    pub input: Arc<[u8]>,
    /// The hash of each message in there.
    pub hashes: Vec<u64>,
    /// What is sent, in turn.
    pub payloads: Vec<Bytes>,
}

impl Work {
    pub fn new(case: &Case) -> Self {
        let in_cycle = CYCLE.checked_div(case.size).unwrap_or(1);
        let received = match case.operation {
            Operation::Receive | Operation::Echo => in_cycle.clamp(1, 4096),
            Operation::Send | Operation::Accept | Operation::Connect => 0,
        };
        let sent = match case.data {
            Data::Json => in_cycle.clamp(1, MAX_PAYLOADS),
            Data::Random | Data::Ascii | Data::Mixed => 1,
        };
        let mut client = Client::new(case);
        let mut hashes = Vec::new();
        for seed in (1000..).take(received) {
            let payload = payload(case.data, case.size, seed);
            hashes.push(hash(&payload));
            client.send(&payload);
        }
        let payloads = (5..)
            .take(sent)
            .map(|seed| payload(case.data, case.size, seed).into());
        Self {
            input: client.output.into(),
            hashes,
            payloads: payloads.collect(),
        }
    }
}

fn payload(data: Data, size: usize, seed: u64) -> Vec<u8> {
    match data {
        Data::Random => random_bytes(size, seed),
        Data::Ascii => ascii_text(size, seed),
        Data::Mixed => mixed_text(size, seed),
        Data::Json => json_text(size, seed),
    }
}

/// The client that everybody receives from.
struct Client<'c> {
    case: &'c Case,
    keys: Random,
    deflate: Compress,
    output: Vec<u8>,
}

impl<'c> Client<'c> {
    fn new(case: &'c Case) -> Self {
        Self {
            case,
            keys: Random::new(99),
            deflate: Compress::new(flate2::Compression::new(LEVEL.into()), false),
            output: Vec::new(),
        }
    }

    fn send(&mut self, payload: &[u8]) {
        let opcode = if self.case.setup.text { TEXT } else { BINARY };
        if self.case.setup.compression != Compression::Off {
            let compressed = self.compress(payload);
            let key = Some(self.keys.key());
            push_frame(&mut self.output, FIN | RSV1 | opcode, &compressed, key);
            return;
        }
        let mut fragments = payload.chunks(payload.len().div_ceil(self.case.fragments));
        let mut opcode = opcode;
        while let Some(fragment) = fragments.next() {
            let fin = if fragments.len() == 0 { FIN } else { 0 };
            push_frame(
                &mut self.output,
                fin | opcode,
                fragment,
                Some(self.keys.key()),
            );
            opcode = CONTINUATION;
        }
    }

    fn compress(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.case.setup.compression == Compression::NoContext {
            self.deflate.reset();
        }
        let mut compressed = Vec::with_capacity(payload.len() + 1024);
        let status = self
            .deflate
            .compress_vec(payload, &mut compressed, FlushCompress::Sync);
        status.expect("room");
        assert!(compressed.ends_with(&[0, 0, 0xff, 0xff]));
        compressed.truncate(compressed.len() - 4);
        compressed
    }
}
