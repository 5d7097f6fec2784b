use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_websockets::{ClientBuilder, Message, ServerBuilder, WebSocketStream};

use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Peer, Role, Setup};
use crate::upgrade;

pub struct TokioWebSockets(WebSocketStream<MemIo>);

impl Peer for TokioWebSockets {
    const NAME: &'static str = "tokio-websockets";
    const ABILITIES: Abilities = Abilities::NO_DEFLATE;
    type Server = WebSocketStream<MemIo>;
    type Client = WebSocketStream<MemIo>;

    fn open(io: MemIo, setup: Setup) -> Self {
        Self(match setup.role {
            Role::Server => ServerBuilder::new().serve(io),
            Role::Client => ClientBuilder::new().take_over(io),
        })
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let message = self.0.next().await.expect("endless input");
                visit(message.expect("valid frames").as_payload());
            }
        });
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        run(async {
            for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
                let message = Message::binary(payload.clone());
                self.0.feed(message).await.expect("open");
                if index % flush_every == 0 {
                    self.0.flush().await.expect("open");
                }
            }
            self.0.flush().await.expect("open");
        });
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        run(async {
            for index in 1..=count {
                let message = self.0.next().await.expect("endless input");
                self.0
                    .feed(message.expect("valid frames"))
                    .await
                    .expect("open");
                if index % flush_every == 0 {
                    self.0.flush().await.expect("open");
                }
            }
        });
    }

    fn wait(&mut self) {
        assert!(waits(self.0.next()));
    }

    fn accept(io: MemIo) -> Self::Server {
        run(ServerBuilder::new().accept(io))
            .expect("a valid request")
            .1
    }

    fn connect(io: MemIo) -> Self::Client {
        let builder = ClientBuilder::new().uri(upgrade::URL).expect("a URL");
        run(builder.connect_on(io)).expect("a valid answer").0
    }
}
