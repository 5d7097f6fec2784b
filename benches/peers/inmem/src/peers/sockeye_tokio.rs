//! The adapter for tokio.

use bytes::Bytes;
use sockeye::handshake::ClientRequest;
use sockeye::tokio::TokioIo;
use sockeye::{Config, SocketError, WebSocket};

use super::sockeye::{connection, message};
use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Peer, Setup};
use crate::upgrade;

pub struct SockeyeTokio(WebSocket<TokioIo<MemIo>>);

/// Why a loop over messages ends.
enum Stop {
    Enough,
    Failed,
}

impl From<SocketError> for Stop {
    fn from(_: SocketError) -> Self {
        Self::Failed
    }
}

impl Peer for SockeyeTokio {
    const NAME: &'static str = "sockeye-tokio";
    const ABILITIES: Abilities = Abilities::ALL;
    type Server = WebSocket<TokioIo<MemIo>>;
    type Client = WebSocket<TokioIo<MemIo>>;

    fn open(io: MemIo, setup: Setup) -> Self {
        Self(WebSocket::new(TokioIo::new(io), connection(setup), &[]))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let received = self.0.recv_with(|event, _| {
                    let message = event.into_message().expect("nothing but messages");
                    visit(message.as_bytes());
                });
                received
                    .await
                    .expect("valid frames")
                    .expect("endless input");
            }
        });
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        run(async {
            for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
                if flush_every == 1 {
                    self.0.send(message(payload)).await.expect("open");
                    continue;
                }
                self.0.feed(message(payload)).await.expect("open");
                if index % flush_every == 0 {
                    self.0.flush().await.expect("open");
                }
            }
            self.0.flush().await.expect("open");
        });
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        run(async {
            if flush_every == 1 {
                for _ in 0..count {
                    let message = self.0.recv().await.expect("valid frames");
                    let message = message.expect("endless input");
                    self.0.send(message).await.expect("open");
                }
                return;
            }
            // The loop that the README teaches first: it writes once for each read.
            let mut left = count;
            let served = self.0.serve(async |message, replies| {
                replies.send(message).await?;
                left -= 1;
                if left == 0 { Err(Stop::Enough) } else { Ok(()) }
            });
            assert!(matches!(served.await, Err(Stop::Enough)));
            self.0.flush().await.expect("open");
        });
    }

    fn wait(&mut self) {
        assert!(waits(self.0.recv()));
    }

    fn accept(io: MemIo) -> Self::Server {
        run(sockeye::tokio::accept(io, &Config::new())).expect("a valid request")
    }

    fn connect(io: MemIo) -> Self::Client {
        let request = ClientRequest::new(upgrade::URL).expect("a URL");
        let connected = run(sockeye::tokio::client(io, &request, &Config::new()));
        connected.expect("a valid answer").0
    }
}
