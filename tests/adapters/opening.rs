//! Connecting and accepting.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockeye::connector::ConnectError;
use sockeye::handshake::{Acceptance, ClientRequest, Refusal, ServerHandshake};
use sockeye::{CloseCode, Config, HandshakeError, Input, SocketError};

use crate::support::*;

crate::on_every_adapter!(
    hosts,
    no_delay,
    two_phases,
    refusal_with_page,
    refusal_of_a_flood,
    bad_requests_are_answered,
    plain_requests,
    silent_server,
    silent_client,
    server_hangs_up,
    nobody_listens,
    no_url,
    early_frames,
);

/// IPv4, IPv6 where there is one, and a name.
fn hosts<A: Adapter>() {
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let bound = TcpListener::bind(format!("{host}:0"));
        let Ok(listener) = bound else {
            assert_ne!(host, "127.0.0.1");
            continue;
        };
        let url = format!("ws://{host}:{}/a?b", listener.local_addr().unwrap().port());
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            A::run(async {
                let upgrade = A::receive(stream, &Config::new()).await.unwrap();
                assert_eq!(upgrade.request().target(), "/a?b");
                echo(upgrade.accept(Acceptance::new()).await.unwrap()).await
            })
        });
        A::run(async {
            let mut ws = A::connect(&url).await.unwrap();
            ws.send(host).await.unwrap();
            assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(host));
            ws.close(CloseCode::NORMAL, "").await.unwrap();
        });
        assert!(serving.join().unwrap().unwrap().clean);
    }
}

fn no_delay<A: Adapter>() {
    serve::<A, _, _, _, _>(Config::new(), echo, async |mut ws: A::Ws| {
        assert!(A::has_nodelay(&ws));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
}

fn two_phases<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let upgrade = A::receive(stream, &Config::new()).await.unwrap();
            let request = upgrade.request();
            assert_eq!(request.path(), "/chat");
            assert_eq!(request.header("x-token"), Some(&b"secret"[..]));
            assert_eq!(request.origin(), Some("http://example.com"));
            let acceptance = Acceptance::new()
                .with_subprotocol("v2")
                .with_header("X-Answer", "42");
            let ws = upgrade.accept(acceptance).await.unwrap();
            assert_eq!(ws.subprotocol(), Some("v2"));
            echo(ws).await
        })
    });
    A::run(async {
        let request = ClientRequest::new(&format!("ws://{address}/chat"))
            .unwrap()
            .with_origin("http://example.com")
            .with_subprotocol("v3")
            .with_subprotocol("v2")
            .with_header("X-Token", "secret");
        let (mut ws, response) = A::connect_with(&request, &Config::new()).await.unwrap();
        assert_eq!(response.header("x-answer"), Some(&b"42"[..]));
        assert_eq!(ws.subprotocol(), Some("v2"));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
    serving.join().unwrap();
}

fn refusal_with_page<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let upgrade = A::receive(stream, &Config::new()).await.unwrap();
            let refusal = Refusal::new(403)
                .with_header("X-Why", "nobody knows you")
                .with_body("go away\n");
            upgrade.reject(refusal).await.unwrap();
        });
    });
    A::run(async {
        let error = A::connect(&format!("ws://{address}/")).await.err().unwrap();
        let SocketError::Handshake(error) = error else {
            panic!("{error:?}");
        };
        let response = error.response().expect("the server's answer");
        assert_eq!(response.status(), 403);
        assert_eq!(response.header("x-why"), Some(&b"nobody knows you"[..]));
        assert_eq!(response.body().as_ref(), b"go away\n");
        assert!(response.is_complete());
    });
    serving.join().unwrap();
}

/// A client that does not stop sending holds a server that refused it only for the close timeout.
fn refusal_of_a_flood<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let upgrade = A::receive(stream, &hasty()).await.unwrap();
            let started = Instant::now();
            upgrade.reject(Refusal::new(403)).await.unwrap();
            started.elapsed()
        })
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = thread::spawn(move || read_head(&mut reader));
    let limit = Instant::now() + Duration::from_secs(5);
    while Instant::now() < limit && stream.write_all(&[0; 65536]).is_ok() {}
    assert!(reading.join().unwrap().starts_with("HTTP/1.1 403 "));
    assert!(serving.join().unwrap() < Duration::from_secs(2));
}

fn bad_requests_are_answered<A: Adapter>() {
    let cases: [(&[u8], &str); 3] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            "HTTP/1.1 400 ",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 405 ",
        ),
    ];
    for (request, status) in cases {
        let (listener, address) = listen();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            A::run(async { A::accept(stream, &Config::new()).await.err() })
        });
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        // What follows must not turn the answer into a reset.
        stream.write_all(&[0; 1000]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(status), "{answer}");
        assert_eq!(
            answer.contains("Sec-WebSocket-Version: 13"),
            status.contains("426")
        );
        drop(stream);
        let error = serving.join().unwrap().unwrap();
        assert!(matches!(error, SocketError::Handshake(_)), "{error:?}");
    }
}

fn plain_requests<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let upgrade = A::receive_any(stream, &Config::new()).await.unwrap();
            assert!(!upgrade.request().is_upgrade());
            assert_eq!(upgrade.request().path(), "/health");
            let page = Refusal::new(200).with_body("all is well");
            upgrade.reject(page).await.unwrap();
        });
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nall is well"), "{answer}");
    drop(stream);
    serving.join().unwrap();
}

fn silent_server<A: Adapter>() {
    let (listener, address) = listen();
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let started = Instant::now();
    let error = A::run(async { A::connect_with(&request, &hasty()).await.err() });
    let error = error.expect("no answer came");
    assert!(
        matches!(error, SocketError::Handshake(HandshakeError::Timeout)),
        "{error:?}"
    );
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(started.elapsed() < Duration::from_secs(2));
    drop(listener);
}

fn silent_client<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async { A::accept(stream, &hasty()).await.err() })
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HT").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    drop(stream);
    let error = serving.join().unwrap().unwrap();
    assert!(
        matches!(error, SocketError::Handshake(HandshakeError::Timeout)),
        "{error:?}"
    );
}

fn server_hangs_up<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 101 Swi").unwrap();
    });
    let error = A::run(async { A::connect(&format!("ws://{address}/")).await.err() });
    assert!(matches!(
        error,
        Some(SocketError::Handshake(HandshakeError::Eof))
    ));
    serving.join().unwrap();
}

fn nobody_listens<A: Adapter>() {
    let (listener, address) = listen();
    drop(listener);
    let error = A::run(async { A::connect(&format!("ws://{address}/")).await.err() });
    let is_refused = matches!(
        &error,
        Some(SocketError::Connect(ConnectError::Tcp(error))) if error.kind() == ErrorKind::ConnectionRefused
    );
    assert!(is_refused, "{error:?}");
}

fn no_url<A: Adapter>() {
    let error = A::run(async { A::connect("http://[::1").await.err() });
    assert!(matches!(error, Some(SocketError::Url(_))), "{error:?}");
}

/// Frames in the same segment as the head are not lost, on either side.
fn early_frames<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let mut ws = A::accept(stream, &Config::new()).await.unwrap();
            let message = ws.recv().await.unwrap().unwrap();
            assert_eq!(message.as_text(), Some("early"));
        });
    });
    let mut stream = TcpStream::connect(address).unwrap();
    let frame = masked(0x81, b"early");
    stream.write_all(&[REQUEST, &frame].concat()).unwrap();
    serving.join().unwrap();

    // The server's first frame in one write with its answer.
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let now = sockeye::Instant::from_nanos(0);
        let mut head = read_head(&mut stream).into_bytes();
        let mut handshake = ServerHandshake::new(&Config::new(), now);
        let request = handshake.receive(now, &mut Input::new(&mut head));
        assert!(request.unwrap().is_some());
        handshake.accept(Acceptance::new()).unwrap();
        let mut answer = handshake.poll_transmit().unwrap().to_vec();
        answer.extend(b"\x81\x05first");
        stream.write_all(&answer).unwrap();
        stream
    });
    A::run(async {
        let mut ws = A::connect(&format!("ws://{address}/")).await.unwrap();
        let message = ws.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some("first"));
    });
    serving.join().unwrap();
}
