use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::client::WebSocketClient;
use sockudo_ws::deflate::DeflateConfig;
use sockudo_ws::server::WebSocketServer;
use sockudo_ws::{CompressedWebSocketStream, Config, Http1, Message, WebSocketStream};

use crate::case::LEVEL;
use crate::io::{MemIo, run, waits};
use crate::peer::{Abilities, Compression, Peer, Role, Setup};
use crate::upgrade;

pub enum SockudoWs {
    Plain(WebSocketStream<MemIo>),
    Compressed(CompressedWebSocketStream<MemIo>),
}

macro_rules! each {
    ($peer:expr, $ws:ident => $body:expr) => {
        match $peer {
            SockudoWs::Plain($ws) => $body,
            SockudoWs::Compressed($ws) => $body,
        }
    };
}

impl Peer for SockudoWs {
    const NAME: &'static str = "sockudo-ws";
    const ABILITIES: Abilities = Abilities::ALL;
    type Server = WebSocketStream<MemIo>;
    type Client = WebSocketStream<MemIo>;

    fn open(io: MemIo, setup: Setup) -> Self {
        let resets = setup.compression == Compression::NoContext;
        let deflate = DeflateConfig {
            server_no_context_takeover: resets,
            client_no_context_takeover: resets,
            compression_level: LEVEL.into(),
            ..DeflateConfig::default()
        };
        match (setup.compression, setup.role) {
            (Compression::Off, Role::Server) => Self::Plain(WebSocketStream::server(io, config())),
            (Compression::Off, Role::Client) => Self::Plain(WebSocketStream::client(io, config())),
            _ => Self::Compressed(CompressedWebSocketStream::server(io, config(), deflate)),
        }
    }

    fn receive(&mut self, count: usize, mut visit: impl FnMut(&[u8])) {
        each!(self, ws => run(async {
            for _ in 0..count {
                match ws.next().await.expect("endless input").expect("valid frames") {
                    Message::Binary(payload) | Message::Text(payload) => visit(&payload),
                    other => panic!("{other:?}"),
                }
            }
        }));
    }

    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize) {
        each!(self, ws => run(async {
            for (index, payload) in (1..=count).zip(payloads.iter().cycle()) {
                ws.feed(Message::Binary(payload.clone())).await.expect("open");
                if index % flush_every == 0 {
                    ws.flush().await.expect("open");
                }
            }
            ws.flush().await.expect("open");
        }));
    }

    fn echo(&mut self, count: usize, flush_every: usize) {
        each!(self, ws => run(async {
            for index in 1..=count {
                let message = ws.next().await.expect("endless input").expect("valid frames");
                ws.feed(message).await.expect("open");
                if index % flush_every == 0 {
                    ws.flush().await.expect("open");
                }
            }
        }));
    }

    fn wait(&mut self) {
        each!(self, ws => assert!(waits(ws.next())));
    }

    fn accept(io: MemIo) -> Self::Server {
        let server = WebSocketServer::<Http1>::new(config());
        run(server.accept_raw(io)).expect("a valid request").0
    }

    fn connect(io: MemIo) -> Self::Client {
        let client = WebSocketClient::<Http1>::new(config());
        let connected = client.connect_raw(io, upgrade::HOST, upgrade::TARGET, None);
        run(connected).expect("a valid answer").0
    }
}

/// Without the timers that only this crate has by default.
fn config() -> Config {
    Config::builder().idle_timeout(0).auto_ping(false).build()
}
