//! hyper's servers and clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye::handshake::{Acceptance, ClientOffer, ClientRequest, OriginPolicy, Refusal, Scheme};
use sockeye::{
    CloseCode, Config, Deflate, HandshakeError, Limits, RandomKeys, SocketError, Timeouts,
    WebSocket,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{ACCEPT, UPGRADE, patient, soon, use_echo};

type Upgraded = sockeye::tokio::TokioIo<sockeye::hyper::Upgraded>;
type Body = Full<Bytes>;

/// How many handlers there were, how many of them ran, and how many are gone again.
#[derive(Default)]
struct Handlers {
    made: AtomicUsize,
    run: AtomicUsize,
    gone: AtomicUsize,
}

impl Handlers {
    fn run(&self) -> usize {
        self.run.load(Ordering::Relaxed)
    }

    /// Waits until this many were there, and are no more.
    async fn gone(&self, number: usize) {
        let is_over = || {
            let counts = [&self.made, &self.gone].map(|count| count.load(Ordering::Relaxed));
            counts == [number; 2]
        };
        soon(async {
            while !is_over() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

/// What a handler holds, from before the answer to its end.
struct Held(Arc<Handlers>);

impl Held {
    fn new(handlers: &Arc<Handlers>) -> Self {
        handlers.made.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(handlers))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.gone.fetch_add(1, Ordering::Relaxed);
    }
}

/// A service with several WebSockets.
fn route(mut request: http::Request<Incoming>, handlers: &Arc<Handlers>) -> http::Response<Body> {
    let config = patient().with_deflate(Deflate::server());
    let protocol = request.extensions().get::<hyper::ext::Protocol>().cloned();
    let protocol = protocol.as_ref().map(|protocol| protocol.as_str());
    let path = request.uri().path().to_owned();
    let decide = |request: &sockeye::handshake::Request| match &path[..] {
        "/echo" => Ok(Acceptance::new()),
        "/chat" => {
            OriginPolicy::same_origin(Scheme::Http).check(request)?;
            let acceptance = Acceptance::new().with_header("X-Room", "lobby");
            Ok(match request.subprotocols().next() {
                Some(name) => acceptance.with_subprotocol(name),
                None => acceptance,
            })
        }
        "/unoffered" => Ok(Acceptance::new().with_subprotocol("nobody asked")),
        "/reserved" => Err(Refusal::new(404).with_header("Upgrade", "x")),
        "/long" => Ok(Acceptance::new().with_header(&"x".repeat(1 << 16), "y")),
        _ => Err(Refusal::new(404).with_body("no such room\n")),
    };
    let held = Held::new(handlers);
    let handle = async move |mut ws: WebSocket<Upgraded>| {
        held.0.run.fetch_add(1, Ordering::Relaxed);
        let _closed = ws
            .serve(async |message, replies| replies.send(message).await)
            .await;
    };
    sockeye::hyper::upgrade_extended(&mut request, protocol, &config, decide, handle)
}

async fn serve(is_http_2: bool) -> (SocketAddr, Arc<Handlers>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handlers = Arc::<Handlers>::default();
    let given = Arc::clone(&handlers);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handlers = Arc::clone(&given);
            let service = service_fn(move |request| {
                let response = route(request, &handlers);
                async move { Ok::<_, Infallible>(response) }
            });
            let io = TokioIo::new(stream);
            tokio::spawn(async move {
                let _served: Result<(), hyper::Error> = if is_http_2 {
                    let mut builder =
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.enable_connect_protocol();
                    builder.serve_connection(io, service).await
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    builder.serve_connection(io, service).with_upgrades().await
                };
            });
        }
    });
    (address, handlers)
}

/// Without and with compression.
fn configs() -> [(Config, bool); 2] {
    let deflating = patient().with_deflate(Deflate::client());
    [(patient(), false), (deflating, true)]
}

#[tokio::test]
async fn a_server_of_hyper() {
    let (address, handlers) = serve(false).await;
    let request = ClientRequest::new(&format!("ws://{address}/echo")).unwrap();
    for (config, is_compressed) in configs() {
        let (ws, response) = sockeye::tokio::connect_with(&request, &config)
            .await
            .unwrap();
        assert_eq!(response.header("content-length"), None);
        assert_eq!(ws.negotiated().deflate().is_some(), is_compressed);
        use_echo(ws).await;
    }
    assert_eq!(handlers.run(), 2);
}

/// Whoever is told the `:protocol` goes by nothing else (9220-3-02).
#[test]
fn the_protocol_of_an_extended_connect() {
    for protocol in [None, Some("connect-udp")] {
        let mut request = http::Request::connect("https://server.example.com/chat")
            .version(http::Version::HTTP_2)
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        let accept = |_: &_| Ok(Acceptance::new());
        let config = Config::new();
        let response: http::Response<Bytes> =
            sockeye::hyper::upgrade_extended(&mut request, protocol, &config, accept, async |_| ());
        assert_eq!(response.status(), 501);
    }
}

#[tokio::test]
async fn what_a_server_decides() {
    let (address, _) = serve(false).await;
    let request = ClientRequest::new(&format!("ws://{address}/chat")).unwrap();
    let request = request
        .with_subprotocol("b")
        .with_subprotocol("a")
        .with_origin(&format!("http://{address}"));
    let (mut ws, response) = sockeye::tokio::connect_with(&request, &patient())
        .await
        .unwrap();
    assert_eq!(ws.negotiated().subprotocol(), Some("b"));
    assert_eq!(response.header("x-room"), Some(&b"lobby"[..]));
    soon(ws.close(CloseCode::NORMAL, "")).await.unwrap();
}

#[tokio::test]
async fn refusals() {
    let (address, handlers) = serve(false).await;
    let refused = async |path: &str, origin: Option<&str>| {
        let mut request = ClientRequest::new(&format!("ws://{address}{path}")).unwrap();
        if let Some(origin) = origin {
            request = request.with_origin(origin);
        }
        let connected = soon(sockeye::tokio::connect_with(&request, &patient())).await;
        match connected.err() {
            Some(SocketError::Handshake(HandshakeError::Refused(response))) => {
                let body = std::str::from_utf8(response.body()).unwrap().to_owned();
                (response.status(), body)
            }
            other => panic!("{other:?}"),
        }
    };
    let body = "no such room\n".to_owned();
    assert_eq!(refused("/x", None).await, (404, body));
    let body = "This origin may not connect\n".to_owned();
    assert_eq!(
        refused("/chat", Some("http://evil.example")).await,
        (403, body)
    );
    // What the application got wrong.
    let body = "the client did not offer the subprotocol\n".to_owned();
    assert_eq!(refused("/unoffered", None).await, (500, body));
    let body = "a header is reserved for the handshake itself\n".to_owned();
    assert_eq!(refused("/reserved", None).await, (500, body));
    assert_eq!(refused("/long", None).await.0, 500);
    assert_eq!(handlers.run(), 0);
}

/// Writes a request and reads all that comes.
async fn answer_to(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn bad_requests() {
    let (address, handlers) = serve(false).await;
    for (line, new, status) in [
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n", 426),
        ("Version: 13", "Version: 12", 426),
        ("Connection: Upgrade", "Connection: x", 400),
        ("jZQ==", "jZQ=", 400),
        ("chat, superchat", "a b", 400),
        ("Origin: ", "Origin: a\r\nOrigin: ", 400),
        ("GET ", "PUT ", 405),
        ("HTTP/1.1", "HTTP/1.0", 505),
    ] {
        // hyper answers a `Host` twice by itself, so that is not among them.
        let request = UPGRADE.replacen(line, new, 1);
        assert_ne!(request, UPGRADE);
        let answer = answer_to(address, request.as_bytes()).await;
        // HARDENING A1.11: the connection has ended, or this would not return.
        let version = if status == 505 { "1.0" } else { "1.1" };
        assert!(
            answer.starts_with(&format!("HTTP/{version} {status} ")),
            "{answer}"
        );
        let has_version = answer.to_lowercase().contains("sec-websocket-version: 13");
        assert_eq!(has_version, status == 426, "{answer}");
    }
    assert_eq!(handlers.run(), 0);
}

#[tokio::test]
async fn a_frame_right_behind_the_request() {
    let (address, _) = serve(false).await;
    let request = UPGRADE.replace("/chat?a=b", "/echo");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // "abc", half of "def", and later the rest and a Close frame.
    let early = [request.as_bytes(), b"\x82\x83\0\0\0\0abc\x82\x83\0\0\0\0d"].concat();
    stream.write_all(&early).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x82\x03abc") {
        assert_ne!(soon(stream.read_buf(&mut answer)).await.unwrap(), 0);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    let accept = format!("sec-websocket-accept: {ACCEPT}\r\n");
    assert!(String::from_utf8_lossy(&answer).contains(&accept));
    stream
        .write_all(b"ef\x88\x82\0\0\0\0\x03\xe8")
        .await
        .unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"\x82\x03def\x88\x02\x03\xe8");
}

/// A client that goes away before the answer leaves no handler behind, and the server goes on.
#[tokio::test]
async fn a_client_that_goes_away() {
    let (address, handlers) = serve(false).await;
    for _ in 0..10 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        drop(stream);
    }
    handlers.gone(10).await;
    let mut ws = sockeye::tokio::connect(&format!("ws://{address}/echo"))
        .await
        .unwrap();
    ws.send("hi").await.unwrap();
    assert_eq!(
        soon(ws.recv()).await.unwrap().unwrap().as_text(),
        Some("hi")
    );
}

/// Connects a client of hyper.
async fn open(
    address: SocketAddr,
    path: &str,
    config: &Config,
) -> Result<(WebSocket<Upgraded>, u16), SocketError> {
    let request = ClientRequest::new(&format!("ws://{address}{path}")).unwrap();
    let offer = ClientOffer::upgrade(config, &request, RandomKeys::nonce()).unwrap();
    let stream = TcpStream::connect(address).await?;
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = offer
        .http_request()
        .unwrap()
        .map(|()| Empty::<Bytes>::new());
    let response = soon(sender.send_request(request)).await.unwrap();
    let (ws, response) = sockeye::hyper::client(&offer, response, config).await?;
    Ok((ws, response.status()))
}

/// A server of this crate that echoes.
async fn serve_here() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let config = patient().with_deflate(Deflate::server());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let upgrade = sockeye::tokio::receive(stream, &config).await.unwrap();
            if upgrade.request().path() != "/echo" {
                let refusal = Refusal::new(403).with_body("not you\n");
                upgrade.reject(refusal).await.unwrap();
                continue;
            }
            let mut ws = upgrade.accept(Acceptance::new()).await.unwrap();
            tokio::spawn(async move {
                ws.serve(async |message, replies| replies.send(message).await)
                    .await
            });
        }
    });
    address
}

#[tokio::test]
async fn a_client_of_hyper() {
    let address = serve_here().await;
    for (config, is_compressed) in configs() {
        let (ws, status) = open(address, "/echo", &config).await.unwrap();
        assert_eq!(status, 101);
        assert_eq!(ws.negotiated().deflate().is_some(), is_compressed);
        use_echo(ws).await;
    }
    match open(address, "/x", &patient()).await.err() {
        Some(SocketError::Handshake(HandshakeError::Refused(response))) => {
            assert_eq!(response.status(), 403);
            assert_eq!(&response.body()[..], b"not you\n");
            assert!(response.is_complete());
        }
        other => panic!("{other:?}"),
    }
}

/// A body in pieces, which ends well, with an error, or never.
struct Pieces(Vec<&'static str>, End);

#[derive(Clone, Copy, PartialEq)]
enum End {
    Well,
    Badly,
    Never,
}

impl hyper::body::Body for Pieces {
    type Data = &'static [u8];
    type Error = ();

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, ()>>> {
        match (self.0.is_empty(), self.1) {
            (false, _) => {
                let piece = self.0.remove(0).as_bytes();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            (true, End::Well) => Poll::Ready(None),
            (true, End::Badly) => Poll::Ready(Some(Err(()))),
            (true, End::Never) => Poll::Pending,
        }
    }
}

/// The client threw the body of a refusal away, which `ClientHandshake` keeps: as much as fits into
/// the limit for heads and comes before the deadline.
#[tokio::test(start_paused = true)]
async fn regression_the_body_of_a_refusal() {
    let head = "x-why: because\r\n".len();
    let with_room = |room| {
        let limits = Limits::new().with_max_head_size(head + room);
        let timeouts = Timeouts::new().with_handshake(Some(Duration::from_secs(5)));
        Config::new().with_limits(limits).with_timeouts(timeouts)
    };
    for (pieces, end, room, expected, is_complete) in [
        (vec![], End::Well, 0, "", true),
        (
            vec!["no ", "", "such room"],
            End::Well,
            12,
            "no such room",
            true,
        ),
        (vec!["no such room"], End::Well, 11, "no such roo", false),
        (
            vec!["no such", " room"],
            End::Never,
            11,
            "no such roo",
            false,
        ),
        (vec!["no such"], End::Well, 0, "", false),
        (vec!["no such"], End::Badly, 100, "no such", false),
        (vec!["no such"], End::Never, 100, "no such", false),
    ] {
        let config = with_room(room);
        let request = ClientRequest::new("ws://server.example.com/").unwrap();
        let offer = ClientOffer::upgrade(&config, &request, RandomKeys::nonce()).unwrap();
        let response = http::Response::builder()
            .status(404)
            .header("X-Why", "because")
            .body(Pieces(pieces.clone(), end))
            .unwrap();
        let started = tokio::time::Instant::now();
        match soon(sockeye::hyper::client(&offer, response, &config))
            .await
            .err()
        {
            Some(SocketError::Handshake(HandshakeError::Refused(response))) => {
                assert_eq!(response.status(), 404);
                assert_eq!(response.header("x-why"), Some(&b"because"[..]));
                assert_eq!(response.body(), expected.as_bytes());
                assert_eq!(response.is_complete(), is_complete, "{pieces:?}");
            }
            other => panic!("{other:?}"),
        }
        let is_late = end == End::Never && room == 100;
        let expected = Duration::from_secs(if is_late { 5 } else { 0 });
        assert_eq!(started.elapsed().as_secs(), expected.as_secs());
    }
}

/// A server that answers with these bytes, whatever it is asked.
async fn serve_bytes(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        let head = String::from_utf8(head).unwrap();
        let (_, key) = head.split_once("sec-websocket-key: ").unwrap();
        let (key, _) = key.split_once("\r\n").unwrap();
        stream.write_all(&answer(key)).await.unwrap();
        let mut rest = Vec::new();
        let _end = stream.read_to_end(&mut rest).await;
    });
    address
}

fn switched(accept: &[u8], rest: &[u8]) -> Vec<u8> {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let key = b"Sec-WebSocket-Accept: ";
    [head, &key[..], accept, b"\r\n\r\n", rest].concat()
}

#[tokio::test]
async fn a_frame_right_behind_the_answer() {
    let address = serve_bytes(|key| {
        let accept = sockeye::handshake::accept_key(key.as_bytes());
        switched(&accept, b"\x81\x02hi")
    });
    let (mut ws, _) = open(address.await, "/", &patient()).await.unwrap();
    assert_eq!(
        soon(ws.recv()).await.unwrap().unwrap().as_text(),
        Some("hi")
    );
}

#[tokio::test]
async fn an_answer_to_another_key() {
    let address = serve_bytes(|_| switched(ACCEPT.as_bytes(), b"")).await;
    match open(address, "/", &patient()).await.err() {
        Some(SocketError::Handshake(HandshakeError::AcceptMismatch)) => {}
        other => panic!("{other:?}"),
    }
}

/// hyper on both sides, over HTTP/2 (8441-5-07).
#[tokio::test]
async fn http_2() {
    let (address, handlers) = serve(true).await;
    let mut sender = super::http_2(address).await;
    let page = http::Request::get(format!("http://{address}/x")).body(Full::default());
    let response = soon(sender.send_request(page.unwrap())).await.unwrap();
    assert_eq!(response.status(), 405);
    for (config, is_compressed) in configs() {
        for (path, status) in [("/echo", 200), ("/x", 404), ("/unoffered", 500)] {
            let request = ClientRequest::new(&format!("ws://{address}{path}")).unwrap();
            let offer = ClientOffer::extended(&config, &request, true).unwrap();
            let mut request = offer.http_request().unwrap().map(|()| Full::default());
            let protocol = hyper::ext::Protocol::from_static("websocket");
            request.extensions_mut().insert(protocol);
            let response = soon(sender.send_request(request)).await.unwrap();
            assert_eq!(response.status(), status);
            match sockeye::hyper::client(&offer, response, &config).await {
                Ok((ws, _)) => {
                    assert_eq!(ws.negotiated().deflate().is_some(), is_compressed);
                    use_echo(ws).await;
                }
                Err(SocketError::Handshake(error)) => {
                    let response = error.response().unwrap();
                    assert_eq!(response.status(), status);
                    assert!(!response.body().is_empty() && response.is_complete());
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(handlers.run(), 2);
}
