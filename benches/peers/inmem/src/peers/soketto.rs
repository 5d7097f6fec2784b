//! In the buffers of its own example, because it writes header and payload separately. It does not
//! validate text: that is done here, as in its example.

use bytes::Bytes;
use futures_util::io::{BufReader, BufWriter};
use soketto::connection::{Builder, Mode};
use soketto::handshake::{Client, Server, server::Response};
use soketto::{Data, Receiver, Sender};

use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Peer, Role, Setup};
use crate::upgrade;

type Io = BufReader<BufWriter<MemIo>>;

pub struct Soketto {
    sender: Sender<Io>,
    receiver: Receiver<Io>,
    message: Vec<u8>,
}

impl Peer for Soketto {
    const NAME: &'static str = "soketto";
    const ABILITIES: Abilities = Abilities::NO_DEFLATE;
    type Server = (Sender<Io>, Receiver<Io>);
    type Client = (Sender<Io>, Receiver<Io>);

    fn open(io: MemIo, setup: Setup) -> Self {
        let mode = match setup.role {
            Role::Server => Mode::Server,
            Role::Client => Mode::Client,
        };
        let (sender, receiver) = Builder::new(buffered(io), mode).finish();
        Self {
            sender,
            receiver,
            message: Vec::new(),
        }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                self.message.clear();
                let received = self.receiver.receive_data(&mut self.message).await;
                if let Data::Text(_) = received.expect("valid frames") {
                    std::str::from_utf8(&self.message).expect("valid UTF-8");
                }
                visit(&self.message);
            }
        });
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        run(async {
            for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
                self.sender.send_binary(payload).await.expect("open");
                if index % flush_every == 0 {
                    self.sender.flush().await.expect("open");
                }
            }
            self.sender.flush().await.expect("open");
        });
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        run(async {
            for index in 1..=count {
                self.message.clear();
                let received = self.receiver.receive_data(&mut self.message).await;
                received.expect("valid frames");
                let sent = self.sender.send_binary_mut(&mut self.message).await;
                sent.expect("open");
                if index % flush_every == 0 {
                    self.sender.flush().await.expect("open");
                }
            }
        });
    }

    fn wait(&mut self) {
        assert!(waits(self.receiver.receive_data(&mut self.message)));
    }

    fn accept(io: MemIo) -> Self::Server {
        run(async {
            let mut server = Server::new(buffered(io));
            let request = server.receive_request().await.expect("a valid request");
            let key = request.key();
            let response = Response::Accept {
                key,
                protocol: None,
            };
            server.send_response(&response).await.expect("open");
            server.into_builder().finish()
        })
    }

    fn connect(io: MemIo) -> Self::Client {
        run(async {
            let mut client = Client::new(buffered(io), upgrade::HOST, upgrade::TARGET);
            client.handshake().await.expect("a valid answer");
            client.into_builder().finish()
        })
    }
}

fn buffered(io: MemIo) -> Io {
    BufReader::with_capacity(8 * 1024, BufWriter::with_capacity(16 * 1024, io))
}
