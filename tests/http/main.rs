//! WebSockets in the HTTP servers and clients of others: the types of `http`, hyper, axum and h2.
#![allow(
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "a test may panic, and has std"
)]

mod axum;
mod h2;
mod hyper;
mod types;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};

use sockeye::{CloseCode, Config, Message, Timeouts, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A request with everything that an upgrade needs, to be varied.
const UPGRADE: &str = "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://server.example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// With deadlines that a busy machine meets, too.
fn patient() -> Config {
    let limit = Some(Duration::from_secs(60));
    let timeouts = Timeouts::new().with_handshake(limit).with_close(limit);
    Config::new().with_timeouts(timeouts)
}

/// Does not wait for what never comes.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("in time")
}

/// Sends messages of up to a mebibyte and gets them back, both ways at once, and closes.
async fn use_echo<S: AsyncRead + AsyncWrite + Unpin>(ws: WebSocket<sockeye::tokio::TokioIo<S>>) {
    let mut text = "Grüße an alle, die das lesen. ".repeat(1 << 15);
    text.truncate(1 << 20);
    let scattered = |i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    let binary: Vec<u8> = (0..1 << 20).map(scattered).collect();
    let messages = || {
        let large: [Message<'_>; 2] = [text[..].into(), binary[..].into()];
        large
            .into_iter()
            .chain(["hello".into(), "".into(), "hello".into()])
    };
    let (mut receive, mut send) = ws.split();
    let sending = async {
        for message in messages() {
            send.send(message).await.unwrap();
        }
    };
    let receiving = async {
        for message in messages() {
            assert!(receive.recv().await.unwrap().unwrap() == message);
        }
    };
    soon(async { tokio::join!(sending, receiving) }).await;
    send.close(CloseCode::NORMAL, "done").await.unwrap();
    assert_eq!(soon(receive.recv()).await.unwrap(), None);
    assert!(receive.closed().unwrap().clean);
}

/// A client of hyper over HTTP/2, whose server allows an extended CONNECT (8441-3-02).
async fn http_2(address: SocketAddr) -> ::hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let handshake = ::hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (sender, connection) = handshake.await.unwrap();
    // It comes with the server's first frame, which wakes nobody here.
    soon(async {
        while !connection.is_extended_connect_protocol_enabled() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    tokio::spawn(connection);
    sender
}
