//! It reads two and four bytes at a time, so it gets a `BufReader`. It neither validates UTF-8 nor
//! joins fragments: both are done here, as whoever uses it has to.

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, BufReader};
use web_socket::{DataType, Event, Stream};

use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Peer, Role, Setup};

pub struct WebSocket {
    ws: web_socket::WebSocket<BufReader<MemIo>>,
    text: bool,
    message: Vec<u8>,
}

impl Peer for WebSocket {
    const NAME: &'static str = "web-socket";
    const ABILITIES: Abilities = Abilities {
        handshakes: false,
        ..Abilities::NO_DEFLATE
    };
    type Server = ();
    type Client = ();

    fn open(io: MemIo, setup: Setup) -> Self {
        let io = BufReader::new(io);
        Self {
            ws: match setup.role {
                Role::Server => web_socket::WebSocket::server(io),
                Role::Client => web_socket::WebSocket::client(io),
            },
            text: setup.text,
            message: Vec::new(),
        }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        run(async {
            let mut received = 0;
            while received < count {
                match self.ws.recv().await.expect("valid frames") {
                    Event::Data {
                        ty: DataType::Complete(_),
                        data,
                    } => {
                        if self.text {
                            std::str::from_utf8(&data).expect("valid UTF-8");
                        }
                        visit(&data);
                        received += 1;
                    }
                    Event::Data {
                        ty: DataType::Stream(part),
                        data,
                    } => {
                        if matches!(part, Stream::Start(_)) {
                            self.message.clear();
                        }
                        self.message.extend_from_slice(&data);
                        if matches!(part, Stream::End(_)) {
                            visit(&self.message);
                            received += 1;
                        }
                    }
                    _ => panic!("only messages were sent"),
                }
            }
        });
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        run(async {
            for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
                self.ws.send(&payload[..]).await.expect("open");
                if index % flush_every == 0 {
                    self.ws.stream.flush().await.expect("open");
                }
            }
        });
    }

    fn echo(&mut self, count: usize, _flush_every: usize) {
        run(async {
            for _ in 0..count {
                match self.ws.recv().await.expect("valid frames") {
                    Event::Data { data, .. } => self.ws.send(&data[..]).await.expect("open"),
                    _ => panic!("only messages were sent"),
                }
            }
        });
    }

    fn wait(&mut self) {
        assert!(waits(self.ws.recv()));
    }
}
