//! WebSockets over HTTP/2, with the transport of `examples/h2_echo.rs`.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use sockeye::handshake::{Acceptance, ClientOffer, ClientRequest, Request, RequestError};
use sockeye::tokio::TokioIo;
use sockeye::{
    CloseCode, Config, Connection, Deflate, RandomKeys, SocketError, WebSocket, WriteIo as _,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{patient, soon, use_echo};
use stream::H2Stream;

#[path = "../../examples/h2/stream.rs"]
mod stream;

type Ws = WebSocket<TokioIo<H2Stream>>;

/// A server whose WebSockets are given out, on a new connection. Others are answered.
async fn connect(is_allowed: bool) -> (SendRequest<Bytes>, mpsc::Receiver<Ws>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (give, given) = mpsc::channel(8);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut builder = h2::server::Builder::new();
        if is_allowed {
            builder.enable_connect_protocol();
        }
        let mut http = builder.handshake(stream).await.unwrap();
        while let Some(Ok((request, respond))) = http.accept().await {
            if let Some(ws) = answer(request, respond) {
                give.send(ws).await.unwrap();
            }
        }
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, mut http) = h2::client::handshake(stream).await.unwrap();
    let mut ping = http.ping_pong().unwrap();
    tokio::spawn(http);
    soon(ping.ping(h2::Ping::opaque())).await.unwrap();
    (client, given)
}

fn answer(
    request: http::Request<RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Option<Ws> {
    let config = patient().with_deflate(Deflate::server());
    let protocol = request.extensions().get::<Protocol>();
    let read = Request::from_http_extended(&request, protocol.map(Protocol::as_str), &config);
    let read = match read {
        Ok(read) => read,
        Err(invalid) => {
            let response = http::Response::<Bytes>::try_from(invalid.into_answer());
            let response = response.unwrap().map(drop);
            respond.send_response(response, true).unwrap();
            return None;
        }
    };
    let (answer, negotiated) = Acceptance::new().answer(&read, &config).unwrap();
    let response = http::Response::<Bytes>::try_from(answer).unwrap();
    let send = respond.send_response(response.map(drop), false).unwrap();
    let io = TokioIo::new(H2Stream::new(send, request.into_body()));
    let connection = Connection::server(&config, negotiated, io.now());
    Some(WebSocket::new(io, connection, &[]))
}

/// The streams of a WebSocket that is open, with what the client makes of them.
async fn open(
    client: &SendRequest<Bytes>,
    config: &Config,
) -> (SendStream<Bytes>, RecvStream, Connection) {
    let mut client = soon(client.clone().ready()).await.unwrap();
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let is_allowed = client.is_extended_connect_protocol_enabled();
    let offer = ClientOffer::extended(config, &request, is_allowed).unwrap();
    let mut request = offer.http_request().unwrap();
    let protocol = Protocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
    let (response, send) = client.send_request(request, false).unwrap();
    let response = soon(response).await.unwrap();
    let accepted = offer.check_http(&response).unwrap();
    let now = std::time::Instant::now().into();
    let connection = Connection::client(config, accepted.negotiated, RandomKeys::new(), now);
    (send, response.into_body(), connection)
}

async fn open_ws(client: &SendRequest<Bytes>, config: &Config) -> Ws {
    let (send, receive, connection) = open(client, config).await;
    WebSocket::new(TokioIo::new(H2Stream::new(send, receive)), connection, &[])
}

async fn echo(mut ws: Ws) -> Result<sockeye::Closed, SocketError> {
    ws.serve(async |message, replies| replies.send(message).await)
        .await
}

/// Two WebSockets at once on one connection, through windows of 64 KiB.
#[tokio::test]
async fn a_mebibyte_both_ways() {
    let (client, mut given) = connect(true).await;
    for config in [patient(), patient().with_deflate(Deflate::client())] {
        let mut pairs = Vec::new();
        for _ in 0..2 {
            let ws = open_ws(&client, &config).await;
            let server = tokio::spawn(echo(soon(given.recv()).await.unwrap()));
            pairs.push((tokio::spawn(use_echo(ws)), server));
        }
        for (client, server) in pairs {
            soon(client).await.unwrap();
            assert!(soon(server).await.unwrap().unwrap().clean);
        }
    }
}

fn close_frame() -> Bytes {
    Bytes::from_static(b"\x88\x82\0\0\0\0\x03\xe8")
}

/// All data of a stream, and how it ended.
async fn read_all(receive: &mut RecvStream) -> (Vec<u8>, Result<(), Option<Reason>>) {
    let mut all = Vec::new();
    while let Some(data) = soon(receive.data()).await {
        match data {
            Ok(data) => all.put_slice(&data),
            Err(error) => return (all, Err(error.reason())),
        }
    }
    (all, Ok(()))
}

/// 8441-5-08: END_STREAM is the orderly end of either side.
#[tokio::test]
async fn the_end_of_the_stream() {
    let (client, mut given) = connect(true).await;
    let (mut send, mut receive, _) = open(&client, &patient()).await;
    let server = tokio::spawn(echo(soon(given.recv()).await.unwrap()));
    send.send_data(close_frame(), true).unwrap();
    let (data, end) = read_all(&mut receive).await;
    assert_eq!(data, b"\x88\x02\x03\xe8");
    assert_eq!(end, Ok(()));
    assert!(soon(server).await.unwrap().unwrap().clean);

    // Without a Close frame it is the end of a transport: 1006.
    let (mut send, mut receive, _) = open(&client, &patient()).await;
    let server = tokio::spawn(echo(soon(given.recv()).await.unwrap()));
    send.send_data(Bytes::new(), true).unwrap();
    let closed = soon(server).await.unwrap();
    let code = closed.map_or(CloseCode::ABNORMAL, |closed| closed.code());
    assert_eq!(code, CloseCode::ABNORMAL);
    let _rest = read_all(&mut receive).await;
}

/// 8441-5-08: a reset is the failure of a transport, and so is not to end properly.
#[tokio::test]
async fn resets() {
    let (client, mut given) = connect(true).await;
    let (mut send, _receive, _) = open(&client, &patient()).await;
    let mut server = soon(given.recv()).await.unwrap();
    send.send_reset(Reason::CANCEL);
    match soon(server.recv()).await {
        Err(SocketError::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }

    // Whoever only writes learns of it too, at the latest when the window is full.
    let (mut send, _receive, _) = open(&client, &patient()).await;
    let mut server = soon(given.recv()).await.unwrap();
    send.send_reset(Reason::CANCEL);
    let error = loop {
        if let Err(error) = soon(server.send(vec![0; 1 << 15])).await {
            break error;
        }
    };
    let SocketError::Io(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (_send, mut receive, _) = open(&client, &patient()).await;
    drop(soon(given.recv()).await.unwrap());
    let (data, end) = read_all(&mut receive).await;
    assert!(data.is_empty());
    assert_eq!(end, Err(Some(Reason::CANCEL)));

    // The connection goes on with other streams.
    let ws = open_ws(&client, &patient()).await;
    tokio::spawn(echo(soon(given.recv()).await.unwrap()));
    use_echo(ws).await;
}

/// What is not read holds back who sends, and nothing is lost.
#[tokio::test]
async fn back_pressure() {
    let (client, mut given) = connect(true).await;
    let mut ws = open_ws(&client, &patient()).await;
    let mut server = soon(given.recv()).await.unwrap();
    let message = vec![7; 1 << 20];
    let sending = tokio::spawn(async move {
        for _ in 0..4 {
            ws.send(&message[..]).await.unwrap();
        }
        soon(ws.close(CloseCode::NORMAL, "")).await.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!sending.is_finished());
    let mut count = 0;
    while let Some(message) = soon(server.recv()).await.unwrap() {
        assert_eq!(message.as_bytes().len(), 1 << 20);
        count += 1;
    }
    assert_eq!(count, 4);
    assert!(soon(sending).await.unwrap().clean);
}

/// Frames of HTTP/2 that are empty, and a message in many of them.
#[tokio::test]
async fn pieces() {
    let (client, mut given) = connect(true).await;
    let (mut send, mut receive, _) = open(&client, &patient()).await;
    tokio::spawn(echo(soon(given.recv()).await.unwrap()));
    let mut bytes = BytesMut::from(&b"\x81\x83\0\0\0\0abc"[..]);
    bytes.extend_from_slice(&close_frame());
    for byte in bytes {
        send.send_data(Bytes::new(), false).unwrap();
        send.send_data(Bytes::copy_from_slice(&[byte]), false)
            .unwrap();
        tokio::task::yield_now().await;
    }
    send.send_data(Bytes::new(), true).unwrap();
    let (data, end) = read_all(&mut receive).await;
    assert_eq!(data, b"\x81\x03abc\x88\x02\x03\xe8");
    assert_eq!(end, Ok(()));
}

/// 8441-3-02.
#[tokio::test]
async fn a_server_without_the_setting() {
    let (client, _) = connect(false).await;
    let client = soon(client.ready()).await.unwrap();
    let is_allowed = client.is_extended_connect_protocol_enabled();
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let refused = ClientOffer::extended(&patient(), &request, is_allowed);
    assert_eq!(refused.unwrap_err(), RequestError::ExtendedConnect);
}

/// 8441-5-01, 9220-3-02, and requests that are none for a WebSocket.
#[tokio::test]
async fn other_requests() {
    let (client, _given) = connect(true).await;
    let uri = "http://server.example.com/chat";
    let connect = || http::Request::connect(uri).header("sec-websocket-version", "13");
    let udp = Protocol::from_static("connect-udp");
    let websocket = Protocol::from_static("websocket");
    for (request, status) in [
        (http::Request::get(uri), 405),
        (connect().extension(udp), 501),
        (
            http::Request::connect(uri).extension(websocket.clone()),
            400,
        ),
        (
            connect()
                .extension(websocket)
                .header("sec-websocket-protocol", "a b"),
            400,
        ),
    ] {
        let mut client = soon(client.clone().ready()).await.unwrap();
        let request = request.version(http::Version::HTTP_2).body(()).unwrap();
        let (response, _) = client.send_request(request, false).unwrap();
        assert_eq!(soon(response).await.unwrap().status(), status);
    }
}
