//! The server's side: rows H, and those of O and X that are about requests.

use std::time::Duration;

use sockeye::handshake::{
    Acceptance, AnswerError, Field, Refusal, Request, ServerHandshake, accept_key,
};
use sockeye::{
    Config, Connection, Error, Event, HandshakeError, Input, Instant, Limits, Negotiated,
    ProtocolError, Timeouts,
};

use super::{
    ACCEPT, BASE, CONNECTION, HOST, KEY, ORIGIN, PROTOCOL, START, UPGRADE, VERSION, drain,
    forbidden, swap,
};

/// The base request with a line replaced.
fn with(line: &str, new: impl AsRef<[u8]>) -> Vec<u8> {
    swap(BASE, line, new)
}

/// The base request with a line added.
fn plus(line: impl AsRef<[u8]>) -> Vec<u8> {
    let lines = [line.as_ref(), UPGRADE.as_bytes()].concat();
    with(UPGRADE, lines)
}

pub(crate) fn server() -> ServerHandshake {
    ServerHandshake::new(&Config::new(), START)
}

fn limited(limits: Limits) -> ServerHandshake {
    ServerHandshake::new(&Config::new().with_limits(limits), START)
}

/// Feeds pieces until there is an outcome. Returns it with the bytes that were not taken.
pub(crate) fn feed(
    handshake: &mut ServerHandshake,
    bytes: &[u8],
    sizes: impl IntoIterator<Item = usize>,
) -> (Result<Option<Request>, HandshakeError>, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    for size in sizes {
        let (piece, tail) = rest.split_at_mut(size.min(rest.len()));
        let mut input = Input::new(piece);
        let outcome = handshake.receive(START, &mut input);
        if !matches!(outcome, Ok(None)) {
            let left = [input.as_slice(), tail].concat();
            return (outcome, left);
        }
        assert!(input.is_empty());
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    (Ok(None), rest.to_vec())
}

pub(crate) fn ones() -> impl Iterator<Item = usize> {
    std::iter::repeat(1)
}

/// What a request leads to, in any chunking.
fn judge_by(make: impl Fn() -> ServerHandshake, bytes: &[u8]) -> Result<Request, HandshakeError> {
    let run = |sizes: Vec<usize>| {
        let mut handshake = make();
        let (outcome, rest) = feed(&mut handshake, bytes, sizes);
        match outcome {
            Ok(request) => {
                assert!(handshake.poll_transmit().is_none());
                (
                    Ok((request.expect("the head is complete"), rest)),
                    Vec::new(),
                )
            }
            Err(error) => {
                let answer = drain(handshake.poll_transmit());
                let status = error.http_status().expect("every fault has an answer");
                let line = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(line.as_bytes()), "{answer:?}");
                assert!(answer.ends_with(b"\r\nContent-Length: 0\r\n\r\n") || status == 405);
                assert_dead(&mut handshake, &error);
                (Err(error), answer)
            }
        }
    };
    let whole = run(vec![usize::MAX]);
    assert_eq!(whole, run(vec![1; bytes.len()]));
    whole.0.map(|(request, _)| request)
}

pub(crate) fn judge(bytes: impl AsRef<[u8]>) -> Result<Request, HandshakeError> {
    judge_by(server, bytes.as_ref())
}

/// After a failure nothing comes any more, whatever goes in.
pub(crate) fn assert_dead(handshake: &mut ServerHandshake, error: &HandshakeError) {
    let mut bytes = BASE.as_bytes().to_vec();
    let mut input = Input::new(&mut bytes);
    assert_eq!(handshake.receive(START, &mut input).as_ref(), Err(error));
    assert!(input.is_empty());
    assert_eq!(handshake.handle_eof().as_ref(), Err(error));
    let never = Instant::from_nanos(u64::MAX);
    assert_eq!(handshake.handle_timeout(never).as_ref(), Err(error));
    assert_eq!(
        handshake.accept(Acceptance::new()),
        Err(AnswerError::NotPending)
    );
    assert_eq!(
        handshake.reject(Refusal::new(403)),
        Err(AnswerError::NotPending)
    );
    assert_eq!(handshake.poll_timeout(), None);
    assert!(handshake.poll_transmit().is_none());
}

#[track_caller]
fn assert_fails(bytes: impl AsRef<[u8]>, error: HandshakeError) {
    let bytes = bytes.as_ref();
    assert_eq!(judge(bytes), Err(error), "{}", bytes.escape_ascii());
}

#[track_caller]
fn assert_ok(bytes: impl AsRef<[u8]>) -> Request {
    let bytes = bytes.as_ref();
    judge(bytes).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()))
}

fn pending(bytes: impl AsRef<[u8]>) -> ServerHandshake {
    let mut handshake = server();
    let (outcome, rest) = feed(&mut handshake, bytes.as_ref(), [usize::MAX]);
    assert!(outcome.unwrap().is_some());
    assert!(rest.is_empty());
    handshake
}

/// What comes of a request that is accepted, of what follows it in the same read, and of a later
/// read: the texts, and what failed. The same whole and in single bytes.
fn connect(first: &[u8], later: &[u8]) -> (Vec<String>, Option<Error>) {
    let run = |size: usize| {
        let mut handshake = server();
        let (outcome, rest) = feed(&mut handshake, first, std::iter::repeat(size));
        outcome.unwrap().expect("the head is complete");
        let negotiated = handshake.accept(Acceptance::new()).unwrap();
        assert!(drain(handshake.poll_transmit()).starts_with(b"HTTP/1.1 101 "));

        let mut conn = Connection::server(&Config::new(), negotiated, START);
        let (mut texts, mut error) = (Vec::new(), None);
        for read in rest.chunks(size).chain(later.chunks(size)) {
            let mut read = read.to_vec();
            let mut input = Input::new(&mut read);
            loop {
                match conn.receive(START, &mut input) {
                    Ok(Some(Event::Text(text))) => texts.push(text.into_string()),
                    Ok(Some(event)) => panic!("{event:?}"),
                    Ok(None) => break,
                    Err(new) => {
                        assert_eq!(*error.get_or_insert(new), new);
                        break;
                    }
                }
            }
            assert!(input.is_empty());
        }
        (texts, error)
    };
    let whole = run(usize::MAX);
    assert_eq!(whole, run(1));
    whole
}

fn strings<'a>(iter: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    iter.collect()
}

#[test]
fn h_01_base_request() {
    let mut handshake = pending(BASE);
    let acceptance = Acceptance::new()
        .with_subprotocol("superchat")
        .with_header("X-Served-By", "sockeye");
    let negotiated = handshake.accept(acceptance).unwrap();
    assert_eq!(negotiated.subprotocol(), Some("superchat"));
    assert_eq!(
        drain(handshake.poll_transmit()).escape_ascii().to_string(),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: superchat\r\nX-Served-By: sockeye\r\n\r\n"
            .escape_ascii()
            .to_string()
    );
    assert!(handshake.poll_transmit().is_none());

    let mut handshake = pending(BASE);
    assert_eq!(handshake.accept(Acceptance::new()), Ok(Negotiated::new()));
    assert_eq!(
        drain(handshake.poll_transmit()),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
}

#[test]
fn h_01_request_accessors() {
    fn is_portable<T: Send + Sync + Clone + 'static>(_: &T) {}
    let request = assert_ok(swap(BASE, "GET /chat ", "GET /chat/a%20b?room=1&x=?|{} "));
    is_portable(&request);
    assert_eq!(request.method(), "GET");
    assert_eq!(request.target(), "/chat/a%20b?room=1&x=?|{}");
    assert_eq!(request.path(), "/chat/a%20b");
    assert_eq!(request.query(), Some("room=1&x=?|{}"));
    assert_eq!(request.host(), "server.example.com");
    assert_eq!(request.origin(), Some("http://example.com"));
    assert!(request.is_upgrade());
    assert_eq!(strings(request.subprotocols()), ["chat", "superchat"]);
    assert_eq!(request.header("UPGRADE"), Some(&b"websocket"[..]));
    assert_eq!(request.header("X-None"), None);
    assert_eq!(request.headers().count(), 7);
    assert_eq!(
        request.headers().next(),
        Some(("Host", &b"server.example.com"[..]))
    );

    let request = assert_ok(with(
        ORIGIN,
        "Cookie: a=1; b = x=y ;;c; =d\r\nCookie: e=\"\"\r\n",
    ));
    assert_eq!(request.origin(), None);
    let cookies: Vec<_> = request.cookies().collect();
    assert_eq!(cookies, [("a", "1"), ("b", "x=y"), ("e", "\"\"")]);
    assert_eq!((request.path(), request.query()), ("/chat", None));

    let secret = assert_ok(plus(
        "Authorization: Bearer hunter2\r\nCookie: hunter2=1\r\n",
    ));
    assert!(!format!("{secret:?}").contains("hunter2"));
    assert!(format!("{secret:?}").contains("server.example.com"));
}

#[test]
fn h_02_single_bytes() {
    let mut handshake = server();
    let (outcome, rest) = feed(&mut handshake, BASE.as_bytes(), ones());
    assert!(outcome.unwrap().is_some() && rest.is_empty());
    handshake.accept(Acceptance::new()).unwrap();
    let output = drain(handshake.poll_transmit());
    assert!(
        output
            .windows(ACCEPT.len())
            .any(|part| part == ACCEPT.as_bytes())
    );
}

#[test]
fn h_03_one_empty_line_first() {
    assert_eq!(assert_ok(format!("\r\n{BASE}")).path(), "/chat");
}

#[test]
fn h_04_garbage_first() {
    for garbage in [
        "\r\n\r\n\r\n",
        "\r\n\r\n",
        "\0",
        " ",
        "\u{1}",
        "\n",
        "\r",
        "\t",
    ] {
        assert_fails(format!("{garbage}{BASE}"), HandshakeError::Malformed);
    }
}

#[test]
fn h_05_bare_line_feeds() {
    assert_fails(BASE.replace("\r\n", "\n"), HandshakeError::Malformed);
    for (at, _) in BASE.match_indices("\r\n") {
        let mut bytes = BASE.as_bytes().to_vec();
        bytes.remove(at);
        assert_fails(&bytes, HandshakeError::Malformed);
        bytes[at] = b'\r';
        bytes.push(b'x');
        assert_fails(&bytes, HandshakeError::Malformed);
    }
}

#[test]
fn h_06_folded_lines() {
    for fold in [
        "Sec-WebSocket-Protocol: a,\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\r\n \r\n",
    ] {
        assert_fails(with(PROTOCOL, fold), HandshakeError::Malformed);
    }
    assert_fails(with(HOST, format!(" {HOST}")), HandshakeError::Malformed);
}

#[test]
fn h_07_head_size() {
    let len = BASE.len();
    let make = |limit| move || limited(Limits::new().with_max_head_size(limit));
    assert!(judge_by(make(len), BASE.as_bytes()).is_ok());
    assert_eq!(
        judge_by(make(len - 1), BASE.as_bytes()),
        Err(HandshakeError::HeadTooLarge)
    );
    let early = format!("{BASE}early data");
    assert!(judge_by(make(len), early.as_bytes()).is_ok());
}

#[test]
fn h_08_endless_line() {
    let limit = Limits::new().max_head_size();
    let mut endless = b"GET / HTTP/1.1\r\nX: ".to_vec();
    endless.resize(limit, b'x');
    let mut handshake = server();
    assert!(matches!(
        feed(&mut handshake, &endless, ones()),
        (Ok(None), _)
    ));
    let (outcome, _) = feed(&mut handshake, b"x", [1]);
    assert_eq!(outcome, Err(HandshakeError::HeadTooLarge));

    endless.push(b'x');
    assert_fails(&endless, HandshakeError::HeadTooLarge);
}

#[test]
fn h_09_header_count() {
    let make = || {
        limited(
            Limits::new()
                .with_max_headers(100)
                .with_max_head_size(1 << 20),
        )
    };
    let lines = |count: usize| plus("X: y\r\n".repeat(count - 7));
    assert_eq!(judge_by(make, &lines(100)).unwrap().headers().count(), 100);
    for count in [101, 2000] {
        assert_eq!(
            judge_by(make, &lines(count)),
            Err(HandshakeError::TooManyHeaders)
        );
    }
}

#[test]
fn h_10_target_size() {
    let make = || limited(Limits::new().with_max_target_size(5));
    assert!(judge_by(make, BASE.as_bytes()).is_ok());
    let long = swap(BASE, "/chat", "/chats");
    assert_eq!(judge_by(make, &long), Err(HandshakeError::TargetTooLong));
}

#[test]
fn h_11_methods() {
    for method in ["POST", "HEAD", "get", "CONNECT", "OPTIONS"] {
        assert_fails(swap(BASE, "GET", method), HandshakeError::Method);
    }
    let mut handshake = server();
    feed(&mut handshake, &swap(BASE, "GET", "POST"), [usize::MAX])
        .0
        .unwrap_err();
    assert_eq!(
        drain(handshake.poll_transmit()),
        b"HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\
        Allow: GET\r\n\r\n"
    );
}

#[test]
fn h_12_http_versions() {
    for version in ["1.0", "0.9", "1.2", "2.0", "9.9"] {
        let bytes = swap(BASE, "HTTP/1.1", format!("HTTP/{version}"));
        assert_fails(bytes, HandshakeError::HttpVersion);
    }
    for version in [
        "HTTP/2",
        "http/1.1",
        "HTTP/1.10",
        "HTTP/1,1",
        "HTP/1.1",
        "",
        "HTTP/1.1 ",
    ] {
        assert_fails(swap(BASE, "HTTP/1.1", version), HandshakeError::Malformed);
    }
}

#[test]
fn h_14_request_lines() {
    for line in [
        "GET HTTP/1.1",
        "GET  HTTP/1.1",
        "GET  /chat HTTP/1.1",
        "GET /chat  HTTP/1.1",
        "GET\t/chat HTTP/1.1",
        "GET /chat\tHTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /é HTTP/1.1",
        "GET /chat",
        "GET",
        "G(T /chat HTTP/1.1",
    ] {
        let bytes = swap(BASE, "GET /chat HTTP/1.1", line);
        assert_fails(bytes, HandshakeError::Malformed);
    }
}

#[test]
fn h_15_targets_without_a_path() {
    for target in [
        "*",
        "host:80",
        "chat",
        "ftp://h/",
        "http://",
        "http:///x",
        "http://u@h/",
        "/#a",
        "http://h h/",
        "?a",
    ] {
        assert_fails(swap(BASE, "/chat", target), HandshakeError::Malformed);
    }
}

#[test]
fn h_16_absolute_targets() {
    for (target, path, query) in [
        ("http://server.example.com/chat", "/chat", None),
        (
            "HTTPS://server.example.com:8443/chat?a=//",
            "/chat",
            Some("a=//"),
        ),
        ("http://[::1]", "/", None),
        ("http://h?q", "/", Some("q")),
    ] {
        let request = assert_ok(swap(BASE, "/chat", target));
        assert_eq!(request.target(), target);
        assert_eq!((request.path(), request.query()), (path, query));
    }
}

#[test]
fn h_18_hosts() {
    assert_fails(with(HOST, ""), HandshakeError::Missing(Field::Host));
    let twice = format!("{HOST}{HOST}");
    assert_fails(with(HOST, twice), HandshakeError::Duplicate(Field::Host));
    for host in [
        "", "a b", "a, b", "u@h", "h/", "h?", "h:x", "[::1", ":80", "é", "a#b", "h:1:2",
    ] {
        let line = format!("Host: {host}\r\n");
        assert_fails(with(HOST, line), HandshakeError::Bad(Field::Host));
    }
    for host in ["h", "h:80", "[::1]:80", "a_b.example", "127.0.0.1", "h:"] {
        assert_eq!(
            assert_ok(with(HOST, format!("Host: {host}\r\n"))).host(),
            host
        );
    }
}

#[test]
fn h_19_header_names() {
    for line in [
        "X : y", ":value", "(: y", "a(b: y", "é: y", "a\0: y", "no colon", "a b: c", "\t: x",
    ] {
        assert_fails(plus(format!("{line}\r\n")), HandshakeError::Malformed);
    }
}

#[test]
fn h_20_control_characters_in_values() {
    for control in (0..=0x1f_u8).chain([0x7f]).filter(|byte| *byte != b'\t') {
        let line = [b"X: a", &[control][..], b"b\r\n"].concat();
        assert_fails(plus(line), HandshakeError::Malformed);
    }
    assert_eq!(
        assert_ok(plus("X: a\tb\r\n")).header("x"),
        Some(&b"a\tb"[..])
    );
}

#[test]
fn h_21_obs_text() {
    let value: Vec<u8> = (0x80..=0xff).collect();
    let line = [b"X: ", &value[..], b"\r\n"].concat();
    assert_eq!(assert_ok(plus(line)).header("X"), Some(&value[..]));
}

#[test]
fn h_22_no_upgrade() {
    assert_fails(with(UPGRADE, ""), HandshakeError::Missing(Field::Upgrade));
    let mut handshake = server();
    feed(&mut handshake, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", ones())
        .0
        .unwrap_err();
    assert_eq!(
        drain(handshake.poll_transmit()),
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
        Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn h_22_plain_requests() {
    let make = || server().with_plain_requests();
    for method in ["GET", "HEAD"] {
        let bytes = format!("{method} /page HTTP/1.1\r\nHost: h\r\n\r\n");
        let request = judge_by(make, bytes.as_bytes()).unwrap();
        assert_eq!((request.method(), request.path()), (method, "/page"));
        assert!(!request.is_upgrade());
        let mut handshake = make();
        feed(&mut handshake, bytes.as_bytes(), [usize::MAX])
            .0
            .unwrap();
        assert_eq!(
            handshake.accept(Acceptance::new()),
            Err(AnswerError::NotUpgrade)
        );
        handshake
            .reject(Refusal::new(200).with_body("hello\n"))
            .unwrap();
        let body = if method == "GET" { "hello\n" } else { "" };
        assert_eq!(
            drain(handshake.poll_transmit()),
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n{body}")
                .into_bytes()
        );
    }
    for (bytes, error) in [
        (
            b"POST / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
            HandshakeError::Method,
        ),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            HandshakeError::Missing(Field::Host),
        ),
        (swap(BASE, "GET", "HEAD"), HandshakeError::Method),
        (with(KEY, ""), HandshakeError::Missing(Field::Key)),
        (
            with("Upgrade: websocket", "Upgrade: h2c"),
            HandshakeError::Bad(Field::Upgrade),
        ),
    ] {
        assert_eq!(judge_by(make, &bytes), Err(error));
    }
    assert!(judge_by(make, BASE.as_bytes()).unwrap().is_upgrade());
}

#[test]
fn h_23_other_upgrades() {
    for token in [
        "h2c",
        "notwebsocket",
        "websocket2",
        "web socket",
        "\"websocket\"",
        "",
        ",",
        "websoc\u{212a}et",
    ] {
        let line = format!("Upgrade: {token}\r\n");
        assert_fails(with(UPGRADE, line), HandshakeError::Bad(Field::Upgrade));
    }
}

#[test]
fn h_24_lists_of_upgrades() {
    for lines in [
        "Upgrade: h2c, WebSocket\r\n",
        "Upgrade: h2c\r\nUpgrade: websocket\r\n",
        "UPGRADE:WEBSOCKET\r\n",
        "upgrade:\t,websocket , \r\n",
    ] {
        assert_ok(with(UPGRADE, lines));
    }
}

#[test]
fn h_25_other_connections() {
    assert_fails(
        with(CONNECTION, ""),
        HandshakeError::Missing(Field::Connection),
    );
    for token in [
        "close",
        "notupgrade",
        "Upgraded",
        "keep-alive",
        "up grade",
        "upgrade2",
        "\"upgrade\"",
        "",
    ] {
        let line = format!("Connection: {token}\r\n");
        assert_fails(
            with(CONNECTION, line),
            HandshakeError::Bad(Field::Connection),
        );
    }
}

#[test]
fn h_26_lists_of_connections() {
    for lines in [
        "Connection: keep-alive, uPgRaDe\r\n",
        "Connection: keep-alive\r\nConnection: Upgrade\r\n",
        "Connection: ,Upgrade,,\r\n",
    ] {
        assert_ok(with(CONNECTION, lines));
    }
}

#[test]
fn h_27_connection_close_beside_upgrade() {
    assert_ok(with(CONNECTION, "Connection: Upgrade, close\r\n"));
}

#[test]
fn h_28_bodies() {
    for lines in [
        "Content-Length: 5\r\n",
        "Content-Length: 00005\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: -0\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        let request = [&plus(lines)[..], b"hello"].concat();
        assert_fails(request, HandshakeError::Body);
    }
    // K12.
    assert_ok(plus("Content-Length: 0\r\n"));
}

#[test]
fn h_29_transfer_codings_and_expectations() {
    for lines in [
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Trailer: X\r\n",
    ] {
        assert_fails(plus(lines), HandshakeError::Body);
    }
    assert_fails(
        plus("Expect: 100-continue\r\n"),
        HandshakeError::Expectation,
    );
}

#[test]
fn h_30_to_36_keys() {
    let line = |key: &str| with(KEY, format!("Sec-WebSocket-Key: {key}\r\n"));
    assert_fails(with(KEY, ""), HandshakeError::Missing(Field::Key));
    for key in [
        // H-30.
        "",
        "   ",
        // H-31.
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        // H-32.
        "dGhlIHNhbXBsZSBub25-ZQ==",
        "dGhlIHNhbXBsZSBub25_ZQ==",
        "dGhlIHNhbXBs ZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZ==",
        "dGhlIHNhbXBsZSBub25jZQQ==",
        "dGhlIHNhbXBs=SBub25jZQ==",
        "dGhlIHNhbXBsZSBub2éZQ==",
        // H-35.
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        assert_fails(line(key), HandshakeError::Bad(Field::Key));
    }
    // H-33 (K10), H-34, H-36.
    for (key, hashed) in [
        ("AQIDBAUGBwgJCgsMDQ4PEC==", "AQIDBAUGBwgJCgsMDQ4PEC=="),
        (
            " \t dGhlIHNhbXBsZSBub25jZQ== \t",
            "dGhlIHNhbXBsZSBub25jZQ==",
        ),
    ] {
        let mut handshake = pending(line(key));
        handshake.accept(Acceptance::new()).unwrap();
        let output = String::from_utf8(drain(handshake.poll_transmit())).unwrap();
        let accept = String::from_utf8(accept_key(hashed.as_bytes()).to_vec()).unwrap();
        assert!(output.contains(&accept));
    }
    assert_ok(with(
        KEY,
        KEY.replace("Sec-WebSocket-Key", "sEC-wEBsOCKET-kEY"),
    ));
    // H-35.
    let other = "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n";
    for lines in [format!("{KEY}{KEY}"), format!("{KEY}{other}")] {
        assert_fails(with(KEY, lines), HandshakeError::Duplicate(Field::Key));
    }
}

#[test]
fn h_37_no_version() {
    let missing = HandshakeError::Missing(Field::Version);
    assert_eq!(missing.http_status(), Some(426));
    assert_fails(with(VERSION, ""), missing.clone());
    assert_fails(with(VERSION, "Sec-WebSocket-Version: \r\n"), missing);
}

#[test]
fn h_38_other_versions() {
    let line = |version: &str| with(VERSION, format!("Sec-WebSocket-Version: {version}\r\n"));
    for version in ["0", "7", "8", "12", "14", "25", "255"] {
        assert_fails(line(version), HandshakeError::Version);
    }
    // K13: the answer names the version that would do.
    for bytes in [line("12"), line("25"), line(""), with(VERSION, "")] {
        let mut handshake = server();
        feed(&mut handshake, &bytes, ones()).0.unwrap_err();
        assert_eq!(
            drain(handshake.poll_transmit()),
            b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
            Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"
        );
    }
    for version in [
        "256",
        "4294967309",
        "-13",
        "+13",
        "013",
        "00",
        "13.0",
        "13 8",
        "13, 8",
        "0x0d",
        "é",
        "١٣",
    ] {
        assert_fails(line(version), HandshakeError::Bad(Field::Version));
    }
    // HARDENING A1.8: an old draft does not get around the other checks.
    let draft = String::from_utf8(line("7")).unwrap();
    assert_fails(
        swap(&draft, UPGRADE, ""),
        HandshakeError::Missing(Field::Upgrade),
    );
}

#[test]
fn h_39_two_versions() {
    let twice = format!("{VERSION}{VERSION}");
    assert_fails(
        with(VERSION, twice),
        HandshakeError::Duplicate(Field::Version),
    );
}

#[test]
fn h_40_to_43_subprotocols() {
    let line = |value: &[u8]| {
        with(
            PROTOCOL,
            [b"Sec-WebSocket-Protocol: ", value, b"\r\n"].concat(),
        )
    };
    for value in [
        &b"a b"[..],
        b"a/b",
        b"\"a\"",
        b"a;b",
        "é".as_bytes(),
        b"\xff",
        b"",
        b",",
        b", ,",
    ] {
        assert_fails(line(value), HandshakeError::Bad(Field::Protocol));
    }
    assert_fails(line(b"a\0"), HandshakeError::Malformed);
    let request = assert_ok(with(
        PROTOCOL,
        "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b,,c, a\r\n",
    ));
    assert_eq!(strings(request.subprotocols()), ["a", "b", "c"]);
    assert_eq!(assert_ok(with(PROTOCOL, "")).subprotocols().count(), 0);
}

#[test]
fn h_44_unoffered_choice() {
    let mut handshake = pending(BASE);
    for name in ["x", "Chat", "", "chat, superchat", "chat\r\nX: y"] {
        let outcome = handshake.accept(Acceptance::new().with_subprotocol(name));
        assert_eq!(outcome, Err(AnswerError::UnofferedProtocol));
        assert!(handshake.poll_transmit().is_none());
    }
    handshake
        .accept(Acceptance::new().with_subprotocol("chat"))
        .unwrap();
}

#[test]
fn h_45_floods_in_lists() {
    let room = Limits::new().max_head_size() - BASE.len() - 32;
    let list = "b,".repeat(room / 2);
    let request = assert_ok(with(
        PROTOCOL,
        format!("Sec-WebSocket-Protocol: {list}\r\n"),
    ));
    assert_eq!(strings(request.subprotocols()), ["b"]);
    for filler in [" ", "\t"] {
        let line = format!("Sec-WebSocket-Protocol: b{}x\r\n", filler.repeat(room));
        assert_fails(with(PROTOCOL, line), HandshakeError::Bad(Field::Protocol));
    }
    let commas = format!("Sec-WebSocket-Protocol: {}\r\n", ",".repeat(room));
    assert_fails(with(PROTOCOL, commas), HandshakeError::Bad(Field::Protocol));
}

#[test]
fn a1_07_bytes_that_no_header_of_the_handshake_has() {
    let lines = [
        (KEY, Field::Key),
        (VERSION, Field::Version),
        (PROTOCOL, Field::Protocol),
    ];
    for byte in 0x80..=0xFF {
        for (line, field) in lines {
            let (name, _) = line.split_once(": ").unwrap();
            let line_of = |value: &[u8]| with(line, [name.as_bytes(), value, b"\r\n"].concat());
            assert_fails(line_of(&[b':', byte]), HandshakeError::Bad(field));
            assert_fails(line_of(&[b':', b'1', byte]), HandshakeError::Bad(field));
        }
        let extensions = [b"Sec-WebSocket-Extensions: a", &[byte][..], b"\r\n"].concat();
        assert_fails(plus(extensions), HandshakeError::BadExtension);
    }
    for (line, _) in lines {
        let zero = line.replace("\r\n", "\0\r\n");
        assert_fails(with(line, zero), HandshakeError::Malformed);
    }
}

#[test]
fn h_46_accept_in_a_request() {
    assert_ok(plus(b"Sec-WebSocket-Accept: \xff\r\n"));
}

#[test]
fn h_47_early_data() {
    let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let bytes = [BASE.as_bytes(), frame].concat();
    let mut handshake = server();
    let (outcome, rest) = feed(&mut handshake, &bytes, [usize::MAX]);
    assert!(outcome.unwrap().is_some());
    assert_eq!(rest, frame);
    // K11: before and after the answer the bytes stay where they are.
    for accepted in [false, true] {
        if accepted {
            handshake.accept(Acceptance::new()).unwrap();
        }
        let mut rest = rest.clone();
        let mut input = Input::new(&mut rest);
        assert_eq!(handshake.receive(START, &mut input), Ok(None));
        assert_eq!(input.len(), frame.len());
    }

    // Once the answer is on its way they are frames.
    assert_eq!(connect(&bytes, &[]), (vec!["Hello".into()], None));

    let mut handshake = pending(BASE);
    handshake.reject(Refusal::new(403)).unwrap();
    let mut rest = frame.to_vec();
    let mut input = Input::new(&mut rest);
    assert_eq!(handshake.receive(START, &mut input), Ok(None));
    assert!(input.is_empty());
}

#[test]
fn h_48_much_early_data() {
    // The handshake takes none of it, so its bound is the driver's read buffer.
    let mut bytes = [BASE.as_bytes(), &[0x82; 1 << 20]].concat();
    let mut handshake = server();
    let mut input = Input::new(&mut bytes);
    assert!(handshake.receive(START, &mut input).unwrap().is_some());
    assert_eq!(input.consumed(), BASE.len());
    // Byte by byte, and while the application makes up its mind.
    let mut handshake = server();
    for (number, byte) in bytes[..BASE.len() + 1000].iter_mut().enumerate() {
        let mut input = Input::new(std::slice::from_mut(byte));
        let request = handshake.receive(START, &mut input).unwrap();
        assert_eq!(request.is_some(), number + 1 == BASE.len());
        assert_eq!(input.consumed(), usize::from(number < BASE.len()));
    }
}

#[test]
fn h_49_pipelined_request() {
    let mut handshake = server();
    let bytes = format!("{BASE}GET /admin HTTP/1.1\r\nHost: h\r\n\r\n");
    let (outcome, mut rest) = feed(&mut handshake, bytes.as_bytes(), [usize::MAX]);
    assert_eq!(outcome.unwrap().unwrap().path(), "/chat");
    let mut input = Input::new(&mut rest);
    assert_eq!(handshake.receive(START, &mut input), Ok(None));
    assert_eq!(input.consumed(), 0);

    // It is no request but a frame: `G` is opcode 7.
    let error = Error::Protocol(ProtocolError::ReservedOpcode);
    let more = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(connect(bytes.as_bytes(), more), (Vec::new(), Some(error)));
}

#[test]
fn h_50_other_protocols() {
    // The fault shows where the bytes end here, before any end of a head.
    for bytes in [
        &b"\x16\x03\x01\x02"[..],
        b"EHLO mail.example.com\r\n",
        b"\x80",
        b"\x00\xff\xfe",
        b"SSH-2.0-x\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"{",
        b"GET / HTTP/1.1\r\n\x00",
    ] {
        let error = judge(bytes).unwrap_err();
        assert!(matches!(
            error,
            HandshakeError::Malformed | HandshakeError::HttpVersion
        ));
    }
}

#[test]
fn h_51_end_of_transport() {
    for at in 0..BASE.len() {
        for size in [1, usize::MAX] {
            let mut handshake = server();
            let (outcome, _) = feed(
                &mut handshake,
                &BASE.as_bytes()[..at],
                std::iter::repeat(size),
            );
            assert_eq!(outcome, Ok(None));
            assert_eq!(handshake.handle_eof(), Err(HandshakeError::Eof));
            assert!(handshake.poll_transmit().is_none());
            assert_dead(&mut handshake, &HandshakeError::Eof);
        }
    }
    // A client that only shut down its sending side still gets its answer.
    let mut handshake = pending(BASE);
    assert_eq!(handshake.handle_eof(), Ok(()));
    handshake.reject(Refusal::new(404)).unwrap();
    assert!(handshake.poll_transmit().is_some());
}

#[test]
fn h_52_slow_client() {
    let timeout = Duration::from_secs(10);
    let mut handshake = server();
    assert_eq!(handshake.poll_timeout(), Some(START + timeout));
    feed(&mut handshake, b"GET", [1, 1, 1]).0.unwrap();
    assert_eq!(handshake.handle_timeout(START), Ok(()));
    assert_eq!(
        handshake.handle_timeout(START + timeout),
        Err(HandshakeError::Timeout)
    );
    assert_eq!(
        drain(handshake.poll_transmit()),
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    assert_dead(&mut handshake, &HandshakeError::Timeout);

    // Bytes after the deadline do not help, even if nobody called `handle_timeout`.
    let mut handshake = server();
    let mut bytes = BASE.as_bytes().to_vec();
    let outcome = handshake.receive(START + timeout, &mut Input::new(&mut bytes));
    assert_eq!(outcome, Err(HandshakeError::Timeout));

    // An application that does not decide.
    let mut handshake = pending(BASE);
    assert_eq!(handshake.poll_timeout(), Some(START + timeout));
    assert_eq!(
        handshake.handle_timeout(START + timeout),
        Err(HandshakeError::Timeout)
    );
    assert!(drain(handshake.poll_transmit()).starts_with(b"HTTP/1.1 503 "));

    // A client that does not take the answer, and one that does.
    let mut handshake = pending(BASE);
    handshake.accept(Acceptance::new()).unwrap();
    assert_eq!(handshake.poll_timeout(), Some(START + timeout));
    drain(handshake.poll_transmit());
    assert_eq!(handshake.poll_timeout(), None);
    assert_eq!(handshake.handle_timeout(START + timeout), Ok(()));
    let mut handshake = pending(BASE);
    handshake.accept(Acceptance::new()).unwrap();
    assert_eq!(
        handshake.handle_timeout(START + timeout),
        Err(HandshakeError::Timeout)
    );
    assert!(handshake.poll_transmit().is_none());

    let patient = Config::new().with_timeouts(Timeouts::new().with_handshake(None));
    assert_eq!(ServerHandshake::new(&patient, START).poll_timeout(), None);
}

#[test]
fn h_53_refusals() {
    for (refusal, expected) in [
        (
            Refusal::new(401).with_header("WWW-Authenticate", "Basic realm=\"x\""),
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\
            WWW-Authenticate: Basic realm=\"x\"\r\n\r\n",
        ),
        (
            Refusal::new(403).with_body("no"),
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
        ),
        (
            Refusal::new(404),
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            Refusal::new(302).with_header("Location", "wss://example.com/"),
            "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n\
            Location: wss://example.com/\r\n\r\n",
        ),
        (
            Refusal::new(426),
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\
            Connection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            Refusal::new(204),
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ),
        (
            Refusal::new(599),
            "HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        let mut handshake = pending(BASE);
        handshake.reject(refusal).unwrap();
        assert_eq!(
            String::from_utf8(drain(handshake.poll_transmit())).unwrap(),
            expected
        );
        assert!(handshake.poll_transmit().is_none());
    }
    let mut handshake = pending(BASE);
    for status in [0, 99, 100, 101, 199, 600, u16::MAX] {
        assert_eq!(
            handshake.reject(Refusal::new(status)),
            Err(AnswerError::Status)
        );
    }
    for status in [204, 205, 304] {
        let refusal = Refusal::new(status).with_body("x");
        assert_eq!(handshake.reject(refusal), Err(AnswerError::Body));
    }
    assert!(handshake.poll_transmit().is_none());
}

#[test]
fn h_54_injection() {
    let mut handshake = pending(BASE);
    for (name, value, error) in forbidden() {
        let expected = AnswerError::Header(error);
        let acceptance = Acceptance::new().with_header(name, value);
        assert_eq!(handshake.accept(acceptance), Err(expected), "{name:?}");
        let refusal = Refusal::new(403).with_header(name, value);
        assert_eq!(handshake.reject(refusal), Err(expected), "{name:?}");
        assert!(handshake.poll_transmit().is_none());
    }
}

#[test]
fn h_55_answers_out_of_order() {
    let mut handshake = server();
    assert_eq!(
        handshake.accept(Acceptance::new()),
        Err(AnswerError::NotPending)
    );
    assert_eq!(
        handshake.reject(Refusal::new(403)),
        Err(AnswerError::NotPending)
    );
    for accept_first in [true, false] {
        let mut handshake = pending(BASE);
        if accept_first {
            handshake.accept(Acceptance::new()).unwrap();
        } else {
            handshake.reject(Refusal::new(403)).unwrap();
        }
        let output = drain(handshake.poll_transmit());
        assert!(!output.is_empty());
        assert_eq!(
            handshake.accept(Acceptance::new()),
            Err(AnswerError::NotPending)
        );
        assert_eq!(
            handshake.reject(Refusal::new(403)),
            Err(AnswerError::NotPending)
        );
        assert!(handshake.poll_transmit().is_none());
    }
}

#[test]
fn o_05_origins() {
    assert_fails(
        with(ORIGIN, format!("{ORIGIN}{ORIGIN}")),
        HandshakeError::Duplicate(Field::Origin),
    );
    for origin in ["a b", "", "é"] {
        let line = format!("Origin: {origin}\r\n");
        assert_fails(with(ORIGIN, line), HandshakeError::Bad(Field::Origin));
    }
    assert_eq!(
        assert_ok(with(ORIGIN, "Origin: null\r\n")).origin(),
        Some("null")
    );
}

#[test]
fn x_03_to_05_extensions() {
    let line = |value: &str| plus(format!("Sec-WebSocket-Extensions: {value}\r\n"));
    for value in [
        ";",
        "a;",
        "a=",
        "a;b=",
        "a;=b",
        "a;b=\"x",
        "a;b=\"x y\"",
        "a b",
        "\"a\"",
        "a;b==c",
        "a;;b",
    ] {
        assert_fails(line(value), HandshakeError::BadExtension);
    }
    for value in [
        "",
        ",,",
        "x-unknown; foo=bar, permessage-deflate",
        "permessage-deflate; client_max_window_bits",
    ] {
        let mut handshake = pending(line(value));
        handshake.accept(Acceptance::new()).unwrap();
        let output = String::from_utf8(drain(handshake.poll_transmit())).unwrap();
        assert!(!output.contains("Extensions"));
    }
    // X-28.
    let room = Limits::new().max_head_size() - BASE.len() - 64;
    assert_fails(
        line(&format!("a; b=\"{}", "\\c".repeat(room / 2))),
        HandshakeError::BadExtension,
    );
    assert_fails(line(&"a,".repeat(1000)), HandshakeError::BadExtension);
    assert_fails(
        line(&format!("a{}", ";b".repeat(1000))),
        HandshakeError::BadExtension,
    );
}
