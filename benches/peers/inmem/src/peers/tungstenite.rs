use bytes::Bytes;
use tungstenite::protocol::{Message, Role as Side, WebSocket};

use crate::io::MemIo;
use crate::peer::{Abilities, Peer, Role, Setup};
use crate::upgrade;

pub struct Tungstenite(WebSocket<MemIo>);

impl Peer for Tungstenite {
    const NAME: &'static str = "tungstenite";
    const ABILITIES: Abilities = Abilities::NO_DEFLATE;
    type Server = WebSocket<MemIo>;
    type Client = WebSocket<MemIo>;

    fn open(io: MemIo, setup: Setup) -> Self {
        let side = match setup.role {
            Role::Server => Side::Server,
            Role::Client => Side::Client,
        };
        Self(WebSocket::from_raw_socket(io, side, None))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        for _ in 0..count {
            match self.0.read().expect("valid frames") {
                Message::Binary(payload) => visit(&payload),
                Message::Text(text) => visit(text.as_str().as_bytes()),
                other => panic!("{other:?}"),
            }
        }
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
            self.0
                .write(Message::Binary(payload.clone()))
                .expect("open");
            if index % flush_every == 0 {
                self.0.flush().expect("open");
            }
        }
        self.0.flush().expect("open");
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        for index in 1..=count {
            let message = self.0.read().expect("valid frames");
            self.0.write(message).expect("open");
            if index % flush_every == 0 {
                self.0.flush().expect("open");
            }
        }
    }

    fn wait(&mut self) {
        assert!(self.0.read().is_err());
    }

    fn accept(io: MemIo) -> Self::Server {
        tungstenite::accept(io).expect("a valid request")
    }

    fn connect(io: MemIo) -> Self::Client {
        let connected = tungstenite::client(upgrade::URL, io);
        connected.expect("a valid answer").0
    }
}
