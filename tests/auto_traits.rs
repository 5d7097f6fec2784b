//! What applications may do with the public types: send them to tasks and threads, and share them.

use std::panic::{RefUnwindSafe, UnwindSafe};

use sockeye::handshake::{
    Answer, Basic, Bearer, ClientHandshake, ClientOffer, ClientRequest, InvalidRequest,
    OriginPolicy, Request, ServerHandshake,
};
use sockeye::tls::rustls::ClientConnection;
use sockeye::{
    Closed, Config, Connection, Deflate, Error, Event, HandshakeError, Message, Negotiated,
    Payload, Prepared, Receiver, SendError, Sender, SocketError, Text, blocking,
};

const fn everywhere<T: Send + Sync>() {}

const _: () = {
    everywhere::<Connection>();
    everywhere::<Receiver>();
    everywhere::<Sender>();
    everywhere::<Event<'static>>();
    everywhere::<Message<'static>>();
    everywhere::<Text<'static>>();
    everywhere::<Payload<'static>>();
    everywhere::<Prepared>();
    everywhere::<Closed>();
    everywhere::<Config>();
    everywhere::<Deflate>();
    everywhere::<Negotiated>();
    everywhere::<Error>();
    everywhere::<SendError>();
    everywhere::<SocketError>();
    everywhere::<HandshakeError>();
    everywhere::<ClientHandshake>();
    everywhere::<ClientRequest>();
    everywhere::<ServerHandshake>();
    everywhere::<Request>();
    everywhere::<Answer>();
    everywhere::<InvalidRequest>();
    everywhere::<ClientOffer>();
    everywhere::<OriginPolicy>();
    everywhere::<Basic>();
    everywhere::<Bearer>();
    everywhere::<blocking::WebSocket<std::net::TcpStream>>();
    everywhere::<blocking::SendHalf<std::net::TcpStream>>();
    everywhere::<sockeye::WebSocket<sockeye::tokio::TokioIo<tokio::net::TcpStream>>>();
    everywhere::<sockeye::WebSocket<sockeye::tokio::TokioIo<sockeye::hyper::Upgraded>>>();
    everywhere::<sockeye::WebSocket<sockeye::futures::FuturesIo<smol::net::TcpStream>>>();
    everywhere::<blocking::WebSocket<blocking::ClientStream>>();
    everywhere::<sockeye::WebSocket<sockeye::tokio::TokioIo<sockeye::tokio::ClientStream>>>();
    everywhere::<sockeye::WebSocket<sockeye::futures::FuturesIo<sockeye::futures::ClientStream>>>();
    everywhere::<sockeye::Connector>();
    everywhere::<sockeye::connector::ConnectError>();
};

/// Without the features for TLS these are unwind safe, and a feature takes nothing away. `rustls` has trait
/// objects inside, which are not.
const fn everywhere_and_after_a_panic<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}

const _: () = {
    everywhere_and_after_a_panic::<sockeye::Connector>();
    everywhere_and_after_a_panic::<sockeye::connector::PhaseTimeouts>();
    everywhere_and_after_a_panic::<sockeye::tls::Tls>();
    everywhere_and_after_a_panic::<blocking::ClientStream>();
    everywhere_and_after_a_panic::<sockeye::tokio::ClientStream>();
    everywhere_and_after_a_panic::<sockeye::futures::ClientStream>();
    everywhere_and_after_a_panic::<blocking::TlsStream<ClientConnection, std::net::TcpStream>>();
};

/// What is borrowed of a connection may be held while a spawned task waits.
#[test]
fn a_borrowed_subprotocol_may_be_held_over_an_await() {
    fn spawnable<F: Future + Send>(_: F) {}
    async fn task(ws: blocking::WebSocket<std::net::TcpStream>) -> bool {
        let subprotocol = ws.negotiated().subprotocol();
        std::future::ready(()).await;
        subprotocol.is_some()
    }
    spawnable(async {
        let stream = std::net::TcpStream::connect("127.0.0.1:1")?;
        let negotiated = Negotiated::new();
        let now = sockeye::Instant::now();
        let connection = Connection::server(&Config::new(), negotiated, now);
        task(blocking::WebSocket::new(stream, connection, b"")).await;
        Ok::<(), std::io::Error>(())
    });
}

/// A connection may be served by a spawned task, by a handler that owns what it uses.
#[test]
fn a_served_connection_may_be_spawned() {
    fn spawnable<F: Future + Send>(_: F) {}
    type OnTokio = sockeye::WebSocket<sockeye::tokio::TokioIo<sockeye::tokio::ClientStream>>;
    type OnFutures =
        sockeye::WebSocket<sockeye::futures::FuturesIo<sockeye::futures::ClientStream>>;
    async fn on_tokio(mut ws: OnTokio, greeting: String) -> Result<Closed, SocketError> {
        let mut count = 0;
        ws.serve(async move |message, replies| {
            count += 1;
            replies.send(&*greeting).await?;
            std::future::ready(()).await;
            replies.send(message).await
        })
        .await
    }
    async fn on_futures(mut ws: OnFutures) -> Result<Closed, SocketError> {
        ws.serve(async |message, replies| replies.send(message).await)
            .await
    }
    async fn connected() -> Result<(OnTokio, OnFutures), SocketError> {
        let on_tokio = sockeye::tokio::connect("ws://127.0.0.1:1").await?;
        Ok((
            on_tokio,
            sockeye::futures::connect("ws://127.0.0.1:1").await?,
        ))
    }
    spawnable(async {
        let (first, second) = connected().await?;
        on_tokio(first, String::new()).await?;
        on_futures(second).await
    });
}
