//! It compresses each message by itself whatever was agreed on, and writes every message at once.

use bytes::Bytes;
use httparse::Header;
use wtx::collection::Vector;
use wtx::misc::UriRef;
use wtx::rng::{Xorshift64, simple_seed};
use wtx::web_socket::WebSocketPayloadOrigin::Adaptive;
use wtx::web_socket::compression::{Flate2, NegotiatedFlate2, WindowBits};
use wtx::web_socket::{
    CompressionLevel, DeflateConfig, Frame, OpCode, WebSocketAcceptor, WebSocketBuffer,
    WebSocketConnector, WebSocketOwned,
};

use crate::case::LEVEL;
use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Compression, Peer, Role, Setup};
use crate::upgrade;

type Server = WebSocketOwned<(), Xorshift64, MemIo, false>;
type Client = WebSocketOwned<(), Xorshift64, MemIo, true>;
type Compressed = WebSocketOwned<Option<NegotiatedFlate2>, Xorshift64, MemIo, false>;

#[expect(
    clippy::large_enum_variant,
    reason = "there are few, and no other peer has a box"
)]
enum Connection {
    Server(Server),
    Client(Client),
    Compressed(Compressed),
}

pub struct Wtx {
    connection: Connection,
    buffer: Vector<u8>,
    /// It sends what it may change.
    payloads: Vec<Vec<u8>>,
}

macro_rules! each {
    ($wtx:expr, $ws:ident => $body:expr) => {
        match &mut $wtx.connection {
            Connection::Server($ws) => $body,
            Connection::Client($ws) => $body,
            Connection::Compressed($ws) => $body,
        }
    };
}

impl Peer for Wtx {
    const NAME: &'static str = "wtx";
    const ABILITIES: Abilities = Abilities {
        context: false,
        ..Abilities::ALL
    };
    type Server = Server;
    type Client = Client;

    fn open(io: MemIo, setup: Setup) -> Self {
        let (random, buffer) = (Xorshift64::from(simple_seed()), WebSocketBuffer::new());
        let connection = match (setup.compression, setup.role) {
            (Compression::Off, Role::Server) => {
                Connection::Server(Server::new((), false, random, io, buffer))
            }
            (Compression::Off, Role::Client) => {
                Connection::Client(Client::new((), false, random, io, buffer))
            }
            _ => Connection::Compressed(Compressed::new(negotiated(), false, random, io, buffer)),
        };
        Self {
            connection,
            buffer: Vector::new(),
            payloads: Vec::new(),
        }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        each!(self, ws => run(async {
            for _ in 0..count {
                self.buffer.clear();
                let frame = ws.read_frame(&mut self.buffer, Adaptive).await;
                visit(frame.expect("valid frames").payload());
            }
        }));
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, _flush_every: usize) {
        let masks = matches!(self.connection, Connection::Client(_));
        self.payloads.clear();
        self.payloads
            .extend(payloads.iter().map(|payload| payload.to_vec()));
        each!(self, ws => run(async {
            for index in (0..payloads.len()).cycle().take(count) {
                let payload = &mut self.payloads[index];
                if masks {
                    // It was masked in place.
                    payload.copy_from_slice(&payloads[index]);
                }
                let mut frame = Frame::new_fin(OpCode::Binary, &mut payload[..]);
                ws.write_frame(&mut frame).await.expect("open");
            }
        }));
    }

    fn echo(&mut self, count: usize, _flush_every: usize) {
        each!(self, ws => run(async {
            for _ in 0..count {
                self.buffer.clear();
                let (mut common, mut reader, mut writer) = ws.split_mut();
                let frame = reader.read_frame(&mut self.buffer, &mut common, Adaptive).await;
                let mut frame = frame.expect("valid frames");
                writer.write_frame(&mut common, &mut frame).await.expect("open");
            }
        }));
    }

    fn wait(&mut self) {
        each!(self, ws => assert!(waits(ws.read_frame(&mut self.buffer, Adaptive))));
    }

    fn accept(io: MemIo) -> Self::Server {
        run(WebSocketAcceptor::default().accept(io)).expect("a valid request")
    }

    fn connect(io: MemIo) -> Self::Client {
        let url = UriRef::new(upgrade::URL);
        let connected = run(WebSocketConnector::default().connect(io, &url));
        connected.expect("a valid answer")
    }
}

fn negotiated() -> Option<NegotiatedFlate2> {
    let config = DeflateConfig {
        client_max_window_bits: WindowBits::Fifteen,
        compression_level: CompressionLevel::try_from(LEVEL).expect("a level"),
        server_max_window_bits: WindowBits::Fifteen,
    };
    let offer = Header {
        name: "sec-websocket-extensions",
        value: b"permessage-deflate",
    };
    let negotiated = <Flate2 as wtx::web_socket::Compression<false>>::negotiate(
        Flate2::from(config),
        [offer].iter(),
    );
    negotiated.expect("it agrees")
}
