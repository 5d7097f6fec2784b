//! The client's side: rows R, and those of X that are about answers.

use std::time::Duration;

use sockeye::handshake::{
    ClientHandshake, ClientRequest, Field, HeaderError, RequestError, Response,
};
use sockeye::{Config, HandshakeError, Input, Limits, Negotiated};

use super::{ACCEPT, CONNECTION, START, UPGRADE, drain, forbidden, swap};

pub(crate) const NONCE: [u8; 16] = *b"the sample nonce";
pub(crate) const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const ACCEPT_LINE: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

pub(crate) fn wanted() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat")
        .unwrap()
        .with_subprotocol("chat")
        .with_subprotocol("superchat")
}

fn client_with(config: &Config) -> ClientHandshake {
    let mut handshake = ClientHandshake::new(config, &wanted(), NONCE, START).unwrap();
    assert!(!drain(handshake.poll_transmit()).is_empty());
    handshake
}

fn client() -> ClientHandshake {
    client_with(&Config::new())
}

type Opened = Result<(Negotiated, Response, Vec<u8>), HandshakeError>;

/// Feeds `bytes` in pieces, then the end of the transport if nothing came of them.
fn open_in(config: &Config, bytes: &[u8], size: usize) -> Opened {
    let mut handshake = client_with(config);
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at_mut(size.min(rest.len()));
        let mut input = Input::new(piece);
        match handshake.receive(START, &mut input) {
            Ok(None) => assert!(input.is_empty()),
            Ok(Some(accepted)) => {
                let left = [input.as_slice(), tail].concat();
                assert_eq!(handshake.poll_timeout(), None);
                assert_eq!(handshake.handle_eof(), Ok(()));
                return Ok((accepted.negotiated, accepted.response, left));
            }
            Err(error) => {
                assert!(input.is_empty());
                assert_over(&mut handshake, &error);
                return Err(error);
            }
        }
        rest = tail;
    }
    let error = handshake.handle_eof().unwrap_err();
    assert_over(&mut handshake, &error);
    Err(error)
}

/// after a failure nothing comes any more.
pub(crate) fn assert_over(handshake: &mut ClientHandshake, error: &HandshakeError) {
    let mut bytes = [ANSWER.as_bytes(), b"\x81\x05Hello"].concat();
    let mut input = Input::new(&mut bytes);
    assert_eq!(handshake.receive(START, &mut input).as_ref(), Err(error));
    assert!(input.is_empty());
    assert_eq!(handshake.handle_eof().as_ref(), Err(error));
    assert_eq!(handshake.poll_timeout(), None);
    assert!(handshake.poll_transmit().is_none());
}

fn open_with(config: &Config, bytes: impl AsRef<[u8]>) -> Opened {
    let bytes = bytes.as_ref();
    let whole = open_in(config, bytes, usize::MAX);
    assert_eq!(whole, open_in(config, bytes, 1), "{}", bytes.escape_ascii());
    whole
}

pub(crate) fn open(bytes: impl AsRef<[u8]>) -> Opened {
    open_with(&Config::new(), bytes)
}

fn refused(bytes: impl AsRef<[u8]>) -> Response {
    match open(bytes) {
        Err(HandshakeError::Refused(response)) => *response,
        other => panic!("{other:?}"),
    }
}

fn answer(line: &str, new: impl AsRef<[u8]>) -> Vec<u8> {
    swap(ANSWER, line, new)
}

fn answer_plus(line: &str) -> Vec<u8> {
    answer(UPGRADE, format!("{line}{UPGRADE}"))
}

#[test]
fn request_bytes() {
    let request = wanted()
        .with_origin("http://example.com")
        .with_header("Cookie", "a=1");
    let mut handshake = ClientHandshake::new(&Config::new(), &request, NONCE, START).unwrap();
    assert_eq!(
        String::from_utf8(drain(handshake.poll_transmit())).unwrap(),
        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nCookie: a=1\r\n\r\n"
    );
    let plain = ClientRequest::new("wss://[::1]:9/?q").unwrap();
    let mut handshake = ClientHandshake::new(&Config::new(), &plain, [0; 16], START).unwrap();
    assert_eq!(
        String::from_utf8(drain(handshake.poll_transmit())).unwrap(),
        "GET /?q HTTP/1.1\r\nHost: [::1]:9\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
}

#[test]
fn request_injection() {
    let fail = |request: ClientRequest| {
        ClientHandshake::new(&Config::new(), &request, NONCE, START).unwrap_err()
    };
    let plain = || ClientRequest::new("ws://h/").unwrap();
    for (name, value, error) in forbidden() {
        assert_eq!(
            fail(plain().with_header(name, value)),
            RequestError::Header(error)
        );
    }
    for name in ["Host", "origin", "Expect"] {
        let expected = RequestError::Header(HeaderError::Reserved);
        assert_eq!(fail(plain().with_header(name, "x")), expected);
    }
    for name in ["", "a b", "a,b", "é", "a\r\nX: y", "a/b"] {
        assert_eq!(fail(plain().with_subprotocol(name)), RequestError::Protocol);
    }
    let twice = plain().with_subprotocol("chat").with_subprotocol("chat");
    assert_eq!(fail(twice), RequestError::DuplicateProtocol);
    for origin in ["", "a\r\nX: y", "a b", "é"] {
        assert_eq!(fail(plain().with_origin(origin)), RequestError::Origin);
    }
    let secret = plain().with_header("Authorization", "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
    let handshake = ClientHandshake::new(&Config::new(), &secret, NONCE, START).unwrap();
    assert!(!format!("{handshake:?}").contains("hunter2"));
}

#[test]
fn r_01_02_accepted() {
    for early in ["", "\u{1}\u{5}hello", "HTTP/1.1 200 OK\r\n"] {
        let (negotiated, response, rest) = open(format!("{ANSWER}{early}")).unwrap();
        assert_eq!(negotiated, Negotiated::new());
        assert_eq!(
            (response.status(), response.reason()),
            (101, "Switching Protocols")
        );
        assert_eq!(response.headers().count(), 3);
        assert_eq!(response.header("upgrade"), Some(&b"websocket"[..]));
        assert!(response.body().is_empty() && response.is_complete());
        assert_eq!(rest, early.as_bytes());
    }
}

#[test]
fn r_04_refused() {
    for status in [200, 301, 401, 403, 407, 426, 500, 503, 999] {
        let bytes = format!(
            "HTTP/1.1 {status} Whatever\r\nX: y\r\nContent-Length: 7\r\n\r\n\u{1}\u{5}Hello\u{1}\u{5}Hello"
        );
        let response = refused(bytes);
        assert_eq!((response.status(), response.reason()), (status, "Whatever"));
        assert_eq!(response.header("x"), Some(&b"y"[..]));
        assert_eq!(&response.body()[..], b"\x01\x05Hello");
        assert!(response.is_complete());
    }
    for status in [204, 304] {
        let response = refused(format!("HTTP/1.1 {status} \r\nContent-Length: 3\r\n\r\n"));
        assert!(response.body().is_empty() && response.is_complete());
    }
    // 6455-4.4-02.
    let response = refused(
        "HTTP/1.1 400 Bad\r\nSec-WebSocket-Version: 13, 8\r\nSec-WebSocket-Version: 7, x\r\n\
        Content-Length: 0\r\n\r\n",
    );
    assert_eq!(response.versions().collect::<Vec<_>>(), [13, 8, 7]);
}

#[test]
fn r_04_bodies() {
    for (head, body, expected, complete) in [
        ("Content-Length: 5", "hello", "hello", true),
        ("Content-Length: 5", "hel", "hel", false),
        ("Content-Length: +5", "hello", "", false),
        ("Content-Length: 5\r\nContent-Length: 5", "hello", "", false),
        ("Content-Length: 99999999999999999999", "hello", "", false),
        ("X: y", "hello", "hello", true),
        ("Transfer-Encoding: gzip", "hello", "hello", true),
        (
            "Transfer-Encoding: chunked",
            "2\r\nhe\r\n03;x=y\r\nllo\r\n0\r\nT: x\r\n\r\n",
            "hello",
            true,
        ),
        (
            "Transfer-Encoding: Chunked\r\nContent-Length: 1",
            "5\r\nhello\r\n0\r\n\r\n",
            "hello",
            true,
        ),
        (
            "Transfer-Encoding: chunked",
            "5\r\nhello\r\n",
            "hello",
            false,
        ),
        (
            "Transfer-Encoding: chunked",
            "5\r\nhelloX0\r\n",
            "hello",
            false,
        ),
        ("Transfer-Encoding: chunked", "5\r\nhe", "he", false),
        ("Transfer-Encoding: chunked", "x\r\nhe", "", false),
        ("Transfer-Encoding: chunked", "\r\nhe", "", false),
        (
            "Transfer-Encoding: chunked",
            "ffffffffffffffff\r\nhe",
            "",
            false,
        ),
        (
            "Transfer-Encoding: chunked",
            "fffffffffffffff\r\nhe",
            "he",
            false,
        ),
    ] {
        let response = refused(format!("HTTP/1.1 403 Forbidden\r\n{head}\r\n\r\n{body}"));
        let actual = (&response.body()[..], response.is_complete());
        assert_eq!(actual, (expected.as_bytes(), complete), "{head} {body:?}");
    }
    // Version 1.0 knows no chunks, but a refusal is a refusal.
    let old = refused("HTTP/1.0 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx");
    assert_eq!(&old.body()[..], b"1\r\nx");
}

#[test]
fn r_20_after_a_failure_nothing_comes() {
    // `open` feeds each whole and in single bytes, and looks at what comes after the failure.
    let half = &ANSWER[..ANSWER.len() / 2];
    for bytes in [
        "",
        "\x16\x03\x01",
        "HTTP/1.1 101 \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        half,
    ] {
        assert!(open(bytes).is_err(), "{bytes}");
    }
}

#[test]
fn r_04_endless_bodies() {
    let limit = 100;
    let config = Config::new().with_limits(Limits::new().with_max_head_size(limit));
    for head in [
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
    ] {
        let error = open_with(&config, format!("{head}{}", "x".repeat(1000))).unwrap_err();
        let response = error.response().unwrap();
        let head = head.trim_end_matches("3e8\r\n");
        assert_eq!(response.body().len(), limit - head.len());
        assert!(!response.is_complete());
    }
}

/// The debug output of an error had the whole body of the answer: pages of it, with whatever is on
/// them.
#[test]
fn regression_debug_showed_the_body_of_a_refusal() {
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsecret";
    let config = Config::new();
    let mut handshake = ClientHandshake::new(&config, &wanted(), NONCE, START).unwrap();
    let mut part = answer.as_bytes()[..answer.len() - 1].to_vec();
    handshake
        .receive(START, &mut Input::new(&mut part))
        .unwrap();
    let error = open(answer).unwrap_err();
    let refusal = sockeye::handshake::Refusal::new(403).with_body("secret");
    for shown in [
        format!("{handshake:?}"),
        format!("{error:?}"),
        format!("{refusal:?}"),
    ] {
        assert!(!shown.contains("secre"), "{shown}");
        assert!(!shown.contains("115, 101, 99"), "{shown}");
    }
    assert_eq!(error.response().unwrap().body(), "secret");
}

#[test]
fn informational_responses() {
    let one = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    assert!(open(format!("{}{ANSWER}", one.repeat(8))).is_ok());
    let error = open(format!("{}{ANSWER}", one.repeat(9))).unwrap_err();
    assert_eq!(error, HandshakeError::TooManyInformational);
    assert_eq!(
        refused(format!("{one}HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n")).status(),
        404
    );
}

#[test]
fn r_05_status_lines() {
    for (line, error) in [
        ("HTTP/1.0 101 Switching", HandshakeError::HttpVersion),
        ("HTTP/2 101 x", HandshakeError::HttpVersion),
        ("HTTP/1.10 101 x", HandshakeError::HttpVersion),
        ("HTTP/1.1 0101 x", HandshakeError::Malformed),
        ("HTTP/1.1 10", HandshakeError::Malformed),
        ("HTTP/1.1 099 x", HandshakeError::Malformed),
        ("HTTP/1.1  101 x", HandshakeError::Malformed),
        ("HTTP/1.1\t101 x", HandshakeError::HttpVersion),
        ("HTTP/1.1", HandshakeError::Malformed),
        ("ICY 101 x", HandshakeError::Malformed),
        ("http/1.1 101 x", HandshakeError::Malformed),
        ("", HandshakeError::Malformed),
    ] {
        let bytes = answer("HTTP/1.1 101 Switching Protocols", line);
        assert_eq!(open(&bytes), Err(error), "{line}");
    }
}

#[test]
fn r_06_limits() {
    let config = |limits| Config::new().with_limits(limits);
    let size = ANSWER.len();
    assert!(open_with(&config(Limits::new().with_max_head_size(size)), ANSWER).is_ok());
    assert_eq!(
        open_with(&config(Limits::new().with_max_head_size(size - 1)), ANSWER),
        Err(HandshakeError::HeadTooLarge)
    );
    assert!(open_with(&config(Limits::new().with_max_headers(3)), ANSWER).is_ok());
    assert_eq!(
        open_with(&config(Limits::new().with_max_headers(2)), ANSWER),
        Err(HandshakeError::TooManyHeaders)
    );
}

#[test]
fn r_07_reason_phrases() {
    for line in ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 a b\tc"] {
        assert!(open(answer("HTTP/1.1 101 Switching Protocols", line)).is_ok());
    }
    let (_, response, _) = open(answer("Switching", b"\xff")).unwrap();
    assert_eq!(response.reason(), "");
}

#[test]
fn r_08_lines() {
    assert_eq!(
        open(ANSWER.replace("\r\n", "\n")),
        Err(HandshakeError::Malformed)
    );
    assert_eq!(
        open(format!("\r\n{ANSWER}")),
        Err(HandshakeError::Malformed)
    );
    for line in [
        "X: a\r\n b\r\n",
        "X : y\r\n",
        "X: a\0\r\n",
        "X: a\rb\r\n",
        "X: a\u{7f}\r\n",
        "X\r\n",
    ] {
        assert_eq!(
            open(answer_plus(line)),
            Err(HandshakeError::Malformed),
            "{line:?}"
        );
    }
}

#[test]
fn r_10_framing_of_an_upgrade() {
    assert!(open(answer_plus("Content-Length: 0\r\n")).is_ok());
    for line in [
        "Content-Length: 1\r\n",
        "Content-Length: 0\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(open(answer_plus(line)), Err(HandshakeError::Body));
    }
}

#[test]
fn r_11_upgrade() {
    assert_eq!(
        open(answer(UPGRADE, "")),
        Err(HandshakeError::Missing(Field::Upgrade))
    );
    for token in ["h2c", "websocket, h2c", "", "web socket"] {
        let line = format!("Upgrade: {token}\r\n");
        assert_eq!(
            open(answer(UPGRADE, line)),
            Err(HandshakeError::Bad(Field::Upgrade))
        );
    }
    let twice = format!("{UPGRADE}{UPGRADE}");
    assert_eq!(
        open(answer(UPGRADE, twice)),
        Err(HandshakeError::Duplicate(Field::Upgrade))
    );
    assert!(open(answer(UPGRADE, "UPGRADE: \tWebSocket \r\n")).is_ok());
}

#[test]
fn r_12_connection() {
    assert_eq!(
        open(answer(CONNECTION, "")),
        Err(HandshakeError::Missing(Field::Connection))
    );
    for token in ["close", "notupgrade", "Upgraded", ""] {
        let line = format!("Connection: {token}\r\n");
        assert_eq!(
            open(answer(CONNECTION, line)),
            Err(HandshakeError::Bad(Field::Connection))
        );
    }
    for lines in [
        "Connection: keep-alive, upgrade\r\n",
        "Connection: x\r\nConnection: UPGRADE\r\n",
    ] {
        assert!(open(answer(CONNECTION, lines)).is_ok());
    }
}

#[test]
fn r_13_to_17_accept() {
    assert_eq!(
        open(answer(ACCEPT_LINE, "")),
        Err(HandshakeError::Missing(Field::Accept))
    );
    let twice = format!("{ACCEPT_LINE}{ACCEPT_LINE}");
    assert_eq!(
        open(answer(ACCEPT_LINE, twice)),
        Err(HandshakeError::Duplicate(Field::Accept))
    );
    let mut wrong: Vec<String> = [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo==",
        "s3pPLMBiTxaQ9kYGzzhZRbK-xOo=",
        "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "dGhlIHNhbXBsZSBub25jZQ==",
        // Without the GUID, and with it in lower case.
        "hHLtf2V1k8aDQZfNjw3Ia1hCwt0=",
        "WJfwerbIozKsJXHxxI0JTO1SQgU=",
    ]
    .map(String::from)
    .to_vec();
    for at in 0..ACCEPT.len() {
        let mut bytes = ACCEPT.as_bytes().to_vec();
        bytes[at] ^= 1;
        wrong.push(String::from_utf8(bytes).unwrap());
    }
    for value in wrong {
        let line = format!("Sec-WebSocket-Accept: {value}\r\n");
        assert_eq!(
            open(answer(ACCEPT_LINE, line)),
            Err(HandshakeError::AcceptMismatch),
            "{value}"
        );
    }
    let padded = format!("sec-websocket-ACCEPT: \t{ACCEPT} \t\r\n");
    assert!(open(answer(ACCEPT_LINE, padded)).is_ok());
}

#[test]
fn r_18_19_subprotocol() {
    let line = |name: &str| answer_plus(&format!("Sec-WebSocket-Protocol: {name}\r\n"));
    for name in ["Chat", "x", "", "chat, superchat", "é"] {
        assert_eq!(
            open(line(name)),
            Err(HandshakeError::UnofferedProtocol),
            "{name}"
        );
    }
    let twice = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n";
    assert_eq!(
        open(answer_plus(twice)),
        Err(HandshakeError::Duplicate(Field::Protocol))
    );
    assert_eq!(
        open(line("superchat")).unwrap().0.subprotocol(),
        Some("superchat")
    );
    assert_eq!(open(ANSWER).unwrap().0.subprotocol(), None);
}

#[test]
fn r_21_end_of_transport() {
    for at in 0..ANSWER.len() {
        assert_eq!(open(&ANSWER.as_bytes()[..at]), Err(HandshakeError::Eof));
    }
}

#[test]
fn c_33_a_failed_opening_sends_no_close_frame() {
    // All that leaves a client is its request, and all that leaves a server one HTTP answer:
    // `assert_over` and `judge` look for more after each failure.
    let mut handshake = client();
    let mut bytes = answer(ACCEPT_LINE, "");
    handshake
        .receive(START, &mut Input::new(&mut bytes))
        .unwrap_err();
    assert_eq!(drain(handshake.poll_transmit()), []);

    let mut handshake = super::server();
    let mut bytes = swap(super::BASE, super::KEY, "");
    handshake
        .receive(START, &mut Input::new(&mut bytes))
        .unwrap_err();
    assert_eq!(
        drain(handshake.poll_transmit()),
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(drain(handshake.poll_transmit()), []);
}

#[test]
fn r_22_too_early() {
    let early = |bytes: &str| {
        let mut handshake = ClientHandshake::new(&Config::new(), &wanted(), NONCE, START).unwrap();
        bytes::Buf::advance(handshake.poll_transmit().unwrap(), 10);
        let mut bytes = bytes.as_bytes().to_vec();
        let error = handshake
            .receive(START, &mut Input::new(&mut bytes))
            .unwrap_err();
        assert_over(&mut handshake, &error);
        error
    };
    assert_eq!(early(ANSWER), HandshakeError::TooEarly);
    // A server that is too busy to listen need not wait.
    let refusal = early("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(refusal.response().unwrap().status(), 503);
}

#[test]
fn r_23_slow_server() {
    let deadline = START + Duration::from_secs(10);
    let mut handshake = client();
    assert_eq!(handshake.poll_timeout(), Some(deadline));
    assert_eq!(handshake.handle_timeout(START), Ok(()));
    assert_eq!(
        handshake.handle_timeout(deadline),
        Err(HandshakeError::Timeout)
    );
    assert_over(&mut handshake, &HandshakeError::Timeout);

    let mut handshake = client();
    let mut bytes = ANSWER.as_bytes().to_vec();
    let late = handshake.receive(deadline, &mut Input::new(&mut bytes));
    assert_eq!(late, Err(HandshakeError::Timeout));

    let mut handshake = client();
    let mut bytes = b"HTTP/1.1 403 x\r\nContent-Length: 9\r\n\r\npart".to_vec();
    assert_eq!(
        handshake.receive(START, &mut Input::new(&mut bytes)),
        Ok(None)
    );
    let error = handshake.handle_timeout(deadline).unwrap_err();
    assert_eq!(&error.response().unwrap().body()[..], b"part");
    assert_over(&mut handshake, &error);
}

#[test]
fn r_24_version_in_the_answer() {
    assert!(open(answer_plus("Sec-WebSocket-Version: 8\r\n")).is_ok());
}

#[test]
fn x_22_unoffered_extensions() {
    let line = |value: &str| answer_plus(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    for value in ["permessage-deflate", "x-webkit-deflate-frame", "a;b=\"c\""] {
        assert_eq!(open(line(value)), Err(HandshakeError::UnofferedExtension));
    }
    assert_eq!(open(line("a;;")), Err(HandshakeError::BadExtension));
    assert!(open(line("")).is_ok());
}
