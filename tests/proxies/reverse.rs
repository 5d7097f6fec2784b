//! nginx and HAProxy in front of a server.

use std::time::{Duration, Instant};

use sockeye::backoff::Class;
use sockeye::handshake::{ClientRequest, OriginPolicy, Scheme};
use sockeye::{CloseCode, Config, Deflate, Error, HandshakeError, SocketError, Timeout, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::processes::{Gateway, Kind, example, free_address};
use crate::server::{Server, connect, echo};

/// Each behind nginx and behind HAProxy.
macro_rules! behind_each {
    ($($name:ident),* $(,)?) => {
        mod nginx { $(behind_each!(one $name, Nginx);)* }
        mod haproxy { $(behind_each!(one $name, Haproxy);)* }
    };
    (one $name:ident, $kind:ident) => {
        #[tokio::test]
        #[ignore = "needs proxies: tests/proxies/run.sh"]
        async fn $name() {
            let test = super::$name(crate::processes::Kind::$kind);
            let in_time = tokio::time::timeout(core::time::Duration::from_secs(60), test).await;
            in_time.expect("it hangs");
        }
    };
}

behind_each!(
    upgrades_and_tells_who_asks,
    carries_large_messages,
    carries_compressed_messages,
    cuts_who_is_silent,
    leaves_who_pings,
    leaves_who_only_sends,
    passes_close_codes_on,
    tells_of_a_server_that_ends,
    lets_a_server_drain,
    tells_of_a_client_that_is_gone,
    hides_a_client_that_is_silent_from_all_but_pings,
    survives_a_reload_for_a_while,
    answers_for_a_server_that_is_not_there,
);

/// What the proxies have for a timeout, where it matters.
const SHORT: &str = "3s";
const PING: Duration = Duration::from_millis(700);
/// Far below the other timeouts, far above what a busy machine needs.
const SOON: Duration = Duration::from_secs(15);

fn pinging() -> Config {
    Config::new().with_timeouts(
        Timeouts::new()
            .with_ping(Some(PING))
            .with_pong(Some(Duration::from_secs(5))),
    )
}

async fn upgrades_and_tells_who_asks(kind: Kind) {
    let mut server = Server::start(Config::new()).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    let page = format!("http://{}", gateway.address);
    let request = ClientRequest::new(&format!("ws://{}/chat?room=1", gateway.address))
        .unwrap()
        .with_origin(&page)
        .with_subprotocol("chat")
        .with_header("X-Forwarded-For", "6.6.6.6")
        .with_header("X-Forwarded-Proto", "https");
    let (mut ws, response) = sockeye::tokio::connect_with(&request, &Config::new())
        .await
        .unwrap();
    assert_eq!(ws.negotiated().subprotocol(), Some("chat"));
    assert_eq!(response.header("X-Server"), Some(&b"here"[..]));
    echo(&mut ws, b"hello").await;

    let asked = server.asked().await;
    assert_eq!(asked.target(), "/chat?room=1");
    assert_eq!(asked.origin(), Some(page.as_str()));
    // The port is part of it, or no page would be the server's own.
    assert_eq!(asked.host(), gateway.address.to_string());
    OriginPolicy::same_origin(Scheme::Http)
        .check(&asked)
        .unwrap();
    // What the client made up is gone.
    let values = |wanted: &str| -> Vec<_> {
        let headers = asked.headers();
        let values = headers.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.map(|(_, value)| value.to_vec()).collect()
    };
    assert_eq!(values("X-Forwarded-For"), [b"127.0.0.1"]);
    assert_eq!(values("X-Forwarded-Proto"), [b"http"]);
}

async fn carries_large_messages(kind: Kind) {
    let single = Config::new().with_max_fragment(None);
    let server = Server::start(single.clone()).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    let payload = |len: usize| -> Vec<u8> {
        let bytes = (0_u8..=250).cycle();
        bytes.take(len).collect()
    };
    // 256 frames of 64 KiB each way there, one frame back.
    let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
    echo(&mut ws, &payload(16 << 20)).await;
    assert_eq!((ws.sent().frames, ws.received().frames), (256, 1));
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
    // One frame each way.
    let (mut ws, _) = connect(gateway.address, &single).await.unwrap();
    echo(&mut ws, &payload(4 << 20)).await;
    assert_eq!((ws.sent().frames, ws.received().frames), (1, 1));
    // Many small ones.
    for number in 0..2_000_u32 {
        ws.feed(&number.to_be_bytes()[..]).await.unwrap();
    }
    for number in 0..2_000_u32 {
        let message = ws.recv().await.unwrap().unwrap();
        assert_eq!(message.as_bytes(), number.to_be_bytes());
    }
}

async fn carries_compressed_messages(kind: Kind) {
    let server = Server::start(Config::new().with_deflate(Deflate::server())).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    let deflate = Deflate::client().with_required(true);
    let config = Config::new().with_deflate(deflate);
    let (mut ws, _) = connect(gateway.address, &config).await.unwrap();
    for number in 0..100 {
        let text = format!("message {number}, much the same as the one before it").repeat(20);
        echo(&mut ws, text.as_bytes()).await;
    }
    let (sent, received) = (ws.sent(), ws.received());
    assert_eq!(
        (sent.deflated, received.inflated),
        (sent.payload, sent.payload)
    );
    assert!(sent.compression_ratio().unwrap() < 0.1, "{sent:?}");
    assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
}

async fn cuts_who_is_silent(kind: Kind) {
    let mut server = Server::start(Config::new()).await;
    let gateway = Gateway::start(kind, server.address, SHORT);
    let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
    echo(&mut ws, b"hello").await;
    let since = Instant::now();
    // No Close frame: the proxy knows of none.
    let error = ws.recv().await.unwrap_err();
    let silent = since.elapsed();
    assert!(
        (2_500..15_000).contains(&silent.as_millis()),
        "cut after {silent:?}"
    );
    assert_eq!(ws.closed().unwrap().code(), CloseCode::ABNORMAL);
    assert!(is_cut(&error), "{error:?}");
    assert!(is_cut(&server.ended().await.unwrap_err()));
}

/// The transport ended, or was reset.
fn is_cut(error: &SocketError) -> bool {
    matches!(
        error,
        SocketError::Connection(Error::Eof) | SocketError::Io(_)
    )
}

async fn leaves_who_pings(kind: Kind) {
    // Pings of one side are enough, whichever it is.
    tokio::join!(
        lasts(kind, pinging(), Config::new()),
        lasts(kind, Config::new(), pinging()),
    );
}

async fn lasts(kind: Kind, of_server: Config, of_client: Config) {
    let server = Server::start(of_server).await;
    let gateway = Gateway::start(kind, server.address, SHORT);
    let (mut ws, _) = connect(gateway.address, &of_client).await.unwrap();
    let nothing = timeout(Duration::from_secs(7), ws.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    echo(&mut ws, b"still there").await;
}

async fn leaves_who_only_sends(kind: Kind) {
    let server = Server::start(Config::new()).await;
    let gateway = Gateway::start(kind, server.address, SHORT);
    let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
    for _ in 0..10 {
        ws.send("no answer, please").await.unwrap();
        sleep(PING).await;
    }
    echo(&mut ws, b"still there").await;
}

async fn passes_close_codes_on(kind: Kind) {
    let mut server = Server::start(Config::new()).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    for code in [1001, 1012, 1013, 4321] {
        let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
        ws.send(format!("close {code} because of it"))
            .await
            .unwrap();
        assert!(ws.recv().await.unwrap().is_none());
        let closed = ws.closed().unwrap();
        assert_eq!((closed.code(), closed.clean), (code.into(), true));
        assert_eq!(closed.reason(), "because of it");
        assert!(server.ended().await.unwrap().clean);
    }
    // The client's, too.
    let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
    assert!(ws.close(4000.into(), "").await.unwrap().clean);
    assert_eq!(server.ended().await.unwrap().code(), 4000.into());
}

async fn tells_of_a_server_that_ends(kind: Kind) {
    let servers: [(_, &[&str], _); 4] = [
        ("echo_server", &["--adapter", "tokio"], "/"),
        ("echo_server", &["--adapter", "blocking"], "/"),
        ("echo_server", &["--adapter", "futures"], "/"),
        ("chat", &[], "/rooms/lobby?name=Ada"),
    ];
    for (name, options, path) in servers {
        let (server, address) = example(name, options);
        let gateway = Gateway::start(kind, address, "60s");
        let request = ClientRequest::new(&format!("ws://{}{path}", gateway.address))
            .unwrap()
            .with_origin(&format!("http://{}", gateway.address));
        let (mut ws, _) = sockeye::tokio::connect_with(&request, &Config::new())
            .await
            .unwrap();
        ws.send("hello").await.unwrap();
        // The room's, or the echo.
        assert!(ws.recv().await.unwrap().is_some());
        server.signal("INT");
        while ws.recv().await.unwrap().is_some() {}
        let closed = ws.closed().unwrap();
        assert_eq!((closed.code(), closed.clean), (CloseCode::GOING_AWAY, true));
        assert!(!closed.reason().is_empty());
        server.wait();
    }
}

/// A server that restarts sends everybody away, and whoever connects again is served.
async fn lets_a_server_drain(kind: Kind) {
    let mut server = Server::start(Config::new()).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    for code in [CloseCode::GOING_AWAY, CloseCode::from(1012)] {
        let mut sockets = Vec::new();
        for _ in 0..20 {
            let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
            echo(&mut ws, b"hello").await;
            sockets.push(ws);
        }
        server.drain(code);
        for mut ws in sockets {
            assert!(ws.recv().await.unwrap().is_none());
            let closed = ws.closed().unwrap();
            assert_eq!((closed.code(), closed.clean), (code, true));
            // Worth another attempt.
            assert_eq!(closed.class(), Class::Transient);
            assert!(server.ended().await.unwrap().clean);
        }
    }
}

async fn tells_of_a_client_that_is_gone(kind: Kind) {
    let mut server = Server::start(Config::new()).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
    echo(&mut ws, b"hello").await;
    drop(ws);
    let ended = timeout(SOON, server.ended()).await;
    assert!(is_cut(&ended.expect("at once").unwrap_err()));
}

/// A client behind a network that is down sends no FIN, and the proxy takes what is written to it.
async fn hides_a_client_that_is_silent_from_all_but_pings(kind: Kind) {
    let timeouts = Timeouts::new()
        .with_ping(Some(PING))
        .with_pong(Some(Duration::from_secs(1)));
    let mut server = Server::start(Config::new().with_timeouts(timeouts)).await;
    let gateway = Gateway::start(kind, server.address, "60s");
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gateway.address
    );
    client.write_all(request.as_bytes()).await.unwrap();
    assert_ne!(client.read(&mut [0; 1024]).await.unwrap(), 0);
    let ended = timeout(SOON, server.ended()).await;
    let error = ended.expect("soon").unwrap_err();
    assert!(
        matches!(
            error,
            SocketError::Connection(Error::Timeout(Timeout::Pong))
        ),
        "{error:?}"
    );
}

async fn survives_a_reload_for_a_while(kind: Kind) {
    let server = Server::start(pinging()).await;
    let gateway = Gateway::start(kind, server.address, SHORT);
    let (mut ws, _) = connect(gateway.address, &Config::new()).await.unwrap();
    echo(&mut ws, b"before").await;
    gateway.retire(kind);
    sleep(Duration::from_secs(1)).await;
    echo(&mut ws, b"after").await;
    // Then it is cut, whatever is done on it.
    let error = timeout(SOON, ws.recv()).await;
    assert!(is_cut(&error.expect("a cut").unwrap_err()));
}

async fn answers_for_a_server_that_is_not_there(kind: Kind) {
    let gateway = Gateway::start(kind, free_address(), "60s");
    let Err(error) = connect(gateway.address, &Config::new()).await else {
        panic!("there is no server");
    };
    let SocketError::Handshake(HandshakeError::Refused(response)) = &error else {
        panic!("{error:?}");
    };
    let expected = if kind == Kind::Nginx { 502 } else { 503 };
    assert_eq!(response.status(), expected);
    // So a client that reconnects comes back.
    let class = error.class();
    assert!(class.is_retryable(), "{class:?}");
}
