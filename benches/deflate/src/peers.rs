//! The other crates that compress, each with its own defaults but for what the row's name says.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};

use crate::measure::Peer;
use crate::wire::{Wire, run, wait};

pub struct Yawc {
    ws: yawc::WebSocket<Wire>,
    wire: Wire,
}

impl Yawc {
    pub fn open(input: &Arc<[u8]>, takeover: bool) -> Self {
        let wire = Wire::new(input);
        let extensions = if takeover {
            "permessage-deflate"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        };
        let options = yawc::Options::default()
            .with_utf8()
            .with_compression_level(yawc::CompressionLevel::new(6));
        let ws = yawc::WebSocket::from_stream_with_extensions(
            wire.clone(),
            yawc::Role::Server,
            Some(extensions),
            options,
        );
        Self {
            ws: ws.expect("it agrees"),
            wire,
        }
    }
}

impl Peer for Yawc {
    fn arrive(&mut self) {
        self.wire.arrive();
    }

    fn receive(&mut self, count: usize) -> usize {
        run(async {
            let mut bytes = 0;
            for _ in 0..count {
                bytes += self
                    .ws
                    .next_frame()
                    .await
                    .expect("a message")
                    .payload()
                    .len();
            }
            bytes
        })
    }

    fn send(&mut self, messages: &[String]) {
        run(async {
            for message in messages {
                let frame = yawc::Frame::text(message.clone());
                self.ws.send(frame).await.expect("room");
            }
        });
    }

    fn wait(&mut self) {
        wait(self.ws.next());
    }

    fn written(&self) -> usize {
        self.wire.written()
    }
}

type WtxServer = wtx::web_socket::WebSocketOwned<
    Option<wtx::web_socket::compression::NegotiatedFlate2>,
    wtx::rng::Xorshift64,
    Wire,
    false,
>;

pub struct Wtx {
    ws: WtxServer,
    buffer: wtx::collection::Vector<u8>,
    wire: Wire,
}

impl Wtx {
    pub fn open(input: &Arc<[u8]>) -> Self {
        use wtx::web_socket::compression::{Flate2, WindowBits};
        use wtx::web_socket::{Compression, CompressionLevel, DeflateConfig, WebSocketBuffer};

        let wire = Wire::new(input);
        let config = DeflateConfig {
            client_max_window_bits: WindowBits::Fifteen,
            compression_level: CompressionLevel::try_from(6).expect("a level"),
            server_max_window_bits: WindowBits::Fifteen,
        };
        let header = httparse::Header {
            name: "sec-websocket-extensions",
            value: b"permessage-deflate",
        };
        let compression = Flate2::from(config);
        let negotiated = <Flate2 as Compression<false>>::negotiate(compression, [header].iter());
        let random = wtx::rng::Xorshift64::from(wtx::rng::simple_seed());
        let negotiated = negotiated.expect("it agrees");
        let ws = WtxServer::new(
            negotiated,
            false,
            random,
            wire.clone(),
            WebSocketBuffer::new(),
        );
        Self {
            ws,
            buffer: wtx::collection::Vector::new(),
            wire,
        }
    }
}

impl Peer for Wtx {
    fn arrive(&mut self) {
        self.wire.arrive();
    }

    fn receive(&mut self, count: usize) -> usize {
        use wtx::web_socket::WebSocketPayloadOrigin::Adaptive;

        run(async {
            let mut bytes = 0;
            for _ in 0..count {
                self.buffer.clear();
                let frame = self.ws.read_frame(&mut self.buffer, Adaptive).await;
                bytes += frame.expect("a message").payload().len();
            }
            bytes
        })
    }

    fn send(&mut self, messages: &[String]) {
        use wtx::web_socket::{Frame, OpCode};

        run(async {
            for message in messages {
                let mut payload = message.clone().into_bytes();
                let mut frame = Frame::new_fin(OpCode::Text, &mut payload[..]);
                self.ws.write_frame(&mut frame).await.expect("room");
            }
        });
    }

    fn wait(&mut self) {
        use wtx::web_socket::WebSocketPayloadOrigin::Adaptive;

        wait(self.ws.read_frame(&mut self.buffer, Adaptive));
    }

    fn written(&self) -> usize {
        self.wire.written()
    }
}

pub struct Sockudo {
    ws: sockudo_ws::CompressedWebSocketStream<Wire>,
    wire: Wire,
}

impl Sockudo {
    pub fn open(input: &Arc<[u8]>, takeover: bool) -> Self {
        let wire = Wire::new(input);
        let deflate = sockudo_ws::deflate::DeflateConfig {
            server_no_context_takeover: !takeover,
            client_no_context_takeover: !takeover,
            ..Default::default()
        };
        let config = sockudo_ws::Config::default();
        Self {
            ws: sockudo_ws::CompressedWebSocketStream::server(wire.clone(), config, deflate),
            wire,
        }
    }
}

impl Peer for Sockudo {
    fn arrive(&mut self) {
        self.wire.arrive();
    }

    fn receive(&mut self, count: usize) -> usize {
        run(async {
            let mut bytes = 0;
            for _ in 0..count {
                match self.ws.next().await.expect("a message").expect("a message") {
                    sockudo_ws::Message::Text(text) => bytes += text.len(),
                    other => panic!("{other:?}"),
                }
            }
            bytes
        })
    }

    fn send(&mut self, messages: &[String]) {
        run(async {
            for message in messages {
                let text = sockudo_ws::Message::Text(Bytes::from(message.clone()));
                self.ws.send(text).await.expect("room");
            }
        });
    }

    fn wait(&mut self) {
        wait(self.ws.next());
    }

    fn written(&self) -> usize {
        self.wire.written()
    }
}

impl tokio::io::AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.take(buffer.remaining()) {
            Some(taken) => {
                buffer.put_slice(taken);
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }
}

impl tokio::io::AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(b)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Wire {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        match Wire::read(self, bytes) {
            Some(count) => Ok(count),
            None => std::future::pending().await,
        }
    }
}

impl wtx::stream::StreamWriter for Wire {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.write(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        for part in bytes {
            self.write(part);
        }
        Ok(())
    }
}
