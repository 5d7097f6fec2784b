use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::runtime::{Builder, Runtime};
use yawc::{CompressionLevel, Frame, HttpStream, Options, Role as Side, WebSocket};

use crate::case::LEVEL;
use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Compression, Peer, Role, Setup};
use crate::upgrade;

thread_local! {
    /// Its client's handshake spawns a task.
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("no I/O");
}

pub struct Yawc(WebSocket<MemIo>);

impl Peer for Yawc {
    const NAME: &'static str = "yawc";
    const ABILITIES: Abilities = Abilities::ALL;
    type Server = WebSocket<HttpStream>;
    type Client = WebSocket<MemIo>;

    fn open(io: MemIo, setup: Setup) -> Self {
        let side = match setup.role {
            Role::Server => Side::Server,
            Role::Client => Side::Client,
        };
        // By default it refuses a message of 1 MiB, and does not validate UTF-8.
        let mut options = Options::default().with_limits(16 << 20, 32 << 20);
        if setup.text {
            options = options.with_utf8();
        }
        let extensions = match setup.compression {
            Compression::Off => None,
            Compression::Context => Some("permessage-deflate"),
            Compression::NoContext => {
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
            }
        };
        if extensions.is_some() {
            options = options.with_compression_level(CompressionLevel::new(LEVEL.into()));
        }
        let ws = WebSocket::from_stream_with_extensions(io, side, extensions, options);
        Self(ws.expect("it agrees"))
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        run(async {
            for _ in 0..count {
                let frame = self.0.next_frame().await.expect("valid frames");
                visit(frame.payload());
            }
        });
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        run(async {
            for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
                self.0
                    .feed(Frame::binary(payload.clone()))
                    .await
                    .expect("open");
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
                let frame = self.0.next_frame().await.expect("valid frames");
                let answer = Frame::binary(frame.into_payload());
                self.0.feed(answer).await.expect("open");
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
        let upgrading = Rc::new(RefCell::new(None));
        let service = service_fn(|mut request| {
            let (response, upgrade) = WebSocket::upgrade(&mut request).expect("a valid request");
            *upgrading.borrow_mut() = Some(upgrade);
            async move { Ok::<_, Infallible>(response) }
        });
        run(async {
            let served = http1::Builder::new()
                .serve_connection(TokioIo::new(io), service)
                .with_upgrades();
            served.await.expect("a valid request");
            let upgrade = upgrading.take().expect("a request");
            upgrade.await.expect("an upgrade")
        })
    }

    fn connect(io: MemIo) -> Self::Client {
        let url = upgrade::URL.parse().expect("a URL");
        let handshake = WebSocket::handshake(url, io, Options::default());
        RUNTIME.with(|runtime| runtime.block_on(handshake).expect("a valid answer"))
    }
}
