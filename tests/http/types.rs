//! Requests and answers as types of `http`, without I/O.

use std::str::from_utf8;

use bytes::Bytes;
use http::{Uri, Version};
use sockeye::handshake::{
    Acceptance, AnswerError, ClientOffer, ClientRequest, Field, HeaderError, Refusal, Request,
    ServerHandshake, Url,
};
use sockeye::{Config, HandshakeError, Input, Instant, Limits};

use super::{ACCEPT, UPGRADE};

/// What an HTTP library makes of a head; `None` if `http` has no room for it.
fn parse(head: &[u8]) -> Option<http::Request<()>> {
    // Libraries differ in the targets that they let through. This one leaves them to `http`.
    let end = head.windows(2).position(|bytes| bytes == b"\r\n")?;
    let (start, fields) = head.split_at(end + 2);
    let (method, rest) = from_utf8(start).ok()?.trim_end().split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let mut builder = http::Request::builder()
        .method(method)
        .uri(target)
        .version(match version {
            "HTTP/1.0" => Version::HTTP_10,
            _ => Version::HTTP_11,
        });
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let (_, headers) = httparse::parse_headers(fields, &mut headers).ok()?.unwrap();
    for header in headers {
        builder = builder.header(header.name, header.value);
    }
    builder.body(()).ok()
}

fn judge_bytes(head: &[u8]) -> Result<Request, HandshakeError> {
    let now = Instant::from_nanos(0);
    let mut handshake = ServerHandshake::new(&Config::new(), now);
    let mut head = head.to_vec();
    let request = handshake.receive(now, &mut Input::new(&mut head))?;
    Ok(request.expect("it is complete"))
}

/// Both ways to read a request give the same verdict, and the same view of it.
#[test]
fn the_same_verdict_as_the_handshake() {
    let lines: Vec<&str> = UPGRADE.trim_end().split("\r\n").collect();
    let replacements = [
        "GET /chat HTTP/1.0",
        "POST /chat HTTP/1.1",
        "HEAD /chat HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http://server.example.com/chat?x HTTP/1.1",
        "GET ftp://server.example.com/chat HTTP/1.1",
        "CONNECT server.example.com:80 HTTP/1.1",
        "GET /a\u{7f} HTTP/1.1",
        "GET /caf\u{e9} HTTP/1.1",
        "GET /?\u{1f980} HTTP/1.1",
        "GET http://server.example.com/\u{e9} HTTP/1.1",
        "GET /a\"{|}^` HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a\tb HTTP/1.1",
        "GET /a\0 HTTP/1.1",
        "GET /\u{1b}[2J HTTP/1.1",
        "Host: a b",
        "Host: a@b",
        "Host:",
        "Host: [::1]:80",
        "Upgrade: h2c",
        "Upgrade: h2c, WebSocket",
        "Connection: keep-alive",
        "Connection: keep-alive, upgrade",
        "Sec-WebSocket-Key: x",
        "Sec-WebSocket-Key:   dGhlIHNhbXBsZSBub25jZQ==  ",
        "Sec-WebSocket-Version: 8",
        "Sec-WebSocket-Version: 013",
        "Sec-WebSocket-Version:",
        "Sec-WebSocket-Protocol: a b",
        "Sec-WebSocket-Protocol: ,",
        "Sec-WebSocket-Extensions: a;",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Origin:",
        "Origin: a b",
        "Origin: null",
        "Content-Length: 0",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Trailer: X",
        "Expect: 100-continue",
        "Cookie: a=b; c=d",
        "X-Bytes: \u{e9}",
    ];
    let (mut compared, mut accepted) = (0, 0);
    let mut compare = |lines: &[&str]| {
        let head = [lines.join("\r\n").as_bytes(), b"\r\n\r\n"].concat();
        let Some(request) = parse(&head) else { return };
        let bytes = judge_bytes(&head);
        let parts = Request::from_http(&request, &Config::new());
        compared += 1;
        match (&bytes, &parts) {
            (Ok(bytes), Ok(parts)) => {
                accepted += 1;
                assert_eq!(bytes.method(), parts.method());
                assert_eq!(bytes.target(), parts.target());
                assert_eq!(bytes.path(), parts.path());
                assert_eq!(bytes.query(), parts.query());
                assert_eq!(bytes.host(), parts.host());
                assert_eq!(bytes.origin(), parts.origin());
                assert!(bytes.cookies().eq(parts.cookies()));
                assert!(bytes.subprotocols().eq(parts.subprotocols()));
                assert!(parts.is_upgrade());
                let accept = |request| Acceptance::new().answer(request, &Config::new());
                assert_eq!(accept(bytes), accept(parts));
            }
            (Err(bytes), Err(parts)) => {
                assert_eq!(bytes, parts.error(), "{:?}", from_utf8(&head));
                assert_eq!(bytes.http_status(), Some(parts.answer().status()));
            }
            _ => panic!("{:?}\n{bytes:?}\n{parts:?}", from_utf8(&head)),
        }
    };
    compare(&lines);
    for at in 0..lines.len() {
        if at > 0 {
            let mut fewer = lines.clone();
            fewer.remove(at);
            compare(&fewer);
            let mut twice = lines.clone();
            twice.push(lines[at]);
            compare(&twice);
        }
        for line in replacements {
            let is_start = line.contains(" HTTP/1.");
            if is_start == (at == 0) {
                let mut other = lines.clone();
                other[at] = line;
                compare(&other);
                let mut more = lines.clone();
                more.insert(at + 1, line);
                compare(&more);
            }
        }
    }
    assert!(compared > 200 && accepted > 20, "{compared}, {accepted}");
}

fn upgrade() -> http::Request<()> {
    parse(UPGRADE.as_bytes()).unwrap()
}

/// As of HTTP/1.1, so of HTTP/2: what `http` lets through in a target goes no further.
#[test]
fn regression_a_target_outside_ascii() {
    let uri = "https://server.example.com";
    for (target, is_right) in [("/a|b", true), ("/caf\u{e9}", false), ("/?\u{e9}", false)] {
        let request = http::Request::connect(format!("{uri}{target}"))
            .version(Version::HTTP_2)
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        let read = Request::from_http_extended(&request, Some("websocket"), &Config::new());
        let expected = match is_right {
            true => Ok(target.to_owned()),
            false => Err((400, HandshakeError::Malformed)),
        };
        let read = read.map(|request| request.target().to_owned());
        assert_eq!(
            read.map_err(|invalid| (invalid.answer().status(), invalid.error().clone())),
            expected
        );
    }
}

fn status_of(request: &http::Request<()>, config: &Config) -> (u16, HandshakeError) {
    let invalid = Request::from_http(request, config).unwrap_err();
    let error = invalid.error().clone();
    (invalid.into_answer().status(), error)
}

#[test]
fn versions() {
    let mut request = upgrade();
    for version in [Version::HTTP_09, Version::HTTP_10] {
        *request.version_mut() = version;
        let expected = (505, HandshakeError::HttpVersion);
        assert_eq!(status_of(&request, &Config::new()), expected);
    }
    // Nothing with GET upgrades over HTTP/2, and a CONNECT without `:protocol` is a tunnel.
    for version in [Version::HTTP_2, Version::HTTP_3] {
        *request.version_mut() = version;
        let expected = (405, HandshakeError::Method);
        assert_eq!(status_of(&request, &Config::new()), expected);
        let tunnel = http::Request::connect("server.example.com:25");
        let tunnel = tunnel.version(version).body(()).unwrap();
        let expected = (501, HandshakeError::UnknownProtocol);
        assert_eq!(status_of(&tunnel, &Config::new()), expected);
    }
}

#[test]
fn limits() {
    let with = |limits| Config::new().with_limits(limits);
    for (limits, status, error) in [
        (
            Limits::new().with_max_head_size(100),
            431,
            HandshakeError::HeadTooLarge,
        ),
        (
            Limits::new().with_max_headers(3),
            431,
            HandshakeError::TooManyHeaders,
        ),
        (
            Limits::new().with_max_target_size(8),
            414,
            HandshakeError::TargetTooLong,
        ),
    ] {
        assert_eq!(status_of(&upgrade(), &with(limits)), (status, error));
    }
    assert!(Request::from_http(&upgrade(), &with(Limits::new().with_max_target_size(9))).is_ok());
}

#[test]
fn answers() {
    let config = Config::new();
    let request = Request::from_http(&upgrade(), &config).unwrap();
    let acceptance = Acceptance::new()
        .with_subprotocol("superchat")
        .with_header("Set-Cookie", "a=b")
        .with_header("Set-Cookie", "c=d");
    let (answer, negotiated) = acceptance.answer(&request, &config).unwrap();
    assert_eq!(negotiated.subprotocol(), Some("superchat"));
    let shown = format!("{answer:?}");
    assert!(!shown.contains("a=b"), "{shown}");
    let response = http::Response::<Bytes>::try_from(answer).unwrap();
    assert_eq!(response.status(), 101);
    let headers = response.headers();
    assert_eq!(headers["upgrade"], "websocket");
    assert_eq!(headers["connection"], "Upgrade");
    assert_eq!(headers["sec-websocket-accept"], ACCEPT);
    assert_eq!(headers["sec-websocket-protocol"], "superchat");
    assert!(headers.get_all("set-cookie").iter().eq(["a=b", "c=d"]));
    assert!(!headers.contains_key("sec-websocket-extensions"));

    let refusal = Refusal::new(404).with_body("nothing here\n");
    let answer = refusal.answer(&request).unwrap();
    let response = http::Response::<Bytes>::try_from(answer).unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(response.headers()["content-length"], "13");
    assert_eq!(&response.body()[..], b"nothing here\n");

    let unoffered = Acceptance::new()
        .with_subprotocol("x")
        .answer(&request, &config);
    assert_eq!(unoffered, Err(AnswerError::UnofferedProtocol));
    let reserved = Refusal::new(404)
        .with_header("Upgrade", "x")
        .answer(&request);
    assert_eq!(reserved, Err(AnswerError::Header(HeaderError::Reserved)));
    // More than `http` has room for.
    let long = "x".repeat(1 << 16);
    let (answer, _) = Acceptance::new()
        .with_header(&long, "y")
        .answer(&request, &config)
        .unwrap();
    assert!(http::Response::<Bytes>::try_from(answer).is_err());
}

fn offer(url: &str) -> ClientOffer {
    let request = ClientRequest::new(url).unwrap();
    let request = request.with_subprotocol("chat").with_header("X-Y", "z");
    // The nonce of the RFC's example.
    ClientOffer::upgrade(&Config::new(), &request, *b"the sample nonce").unwrap()
}

#[test]
fn what_a_client_sends() {
    let request = offer("ws://Server.example.com:8080/chat?a=b")
        .http_request()
        .unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(request.uri(), "/chat?a=b");
    assert_eq!(request.headers()["host"], "server.example.com:8080");
    assert_eq!(
        request.headers()["sec-websocket-key"],
        "dGhlIHNhbXBsZSBub25jZQ=="
    );
    assert_eq!(request.headers()["x-y"], "z");
    assert!(Request::from_http(&request, &Config::new()).is_ok());
    let long = format!("ws://h/{}", "x".repeat(1 << 16));
    assert!(offer(&long).http_request().is_err());
}

/// The values of `Authorization`, cookies and the like were marked as nothing special, so that they
/// showed in the debug output of `http`, and HTTP/2 put them into its compression tables.
#[test]
fn regression_secrets_were_not_marked() {
    let is_marked = |headers: &http::HeaderMap| -> Vec<(String, bool)> {
        let marks = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.is_sensitive()));
        marks.collect()
    };
    let config = Config::new();
    let secrets = ["Authorization", "Proxy-Authorization", "Cookie"];
    let mut request = ClientRequest::new("wss://server.example.com/chat").unwrap();
    for name in secrets {
        request = request.with_header(name, "hidden");
    }
    for offer in [
        ClientOffer::upgrade(&config, &request, [0; 16]).unwrap(),
        ClientOffer::extended(&config, &request, true).unwrap(),
    ] {
        let sent = offer.http_request().unwrap();
        for (name, is_sensitive) in is_marked(sent.headers()) {
            let is_secret = secrets
                .iter()
                .any(|secret| secret.eq_ignore_ascii_case(&name));
            assert_eq!(is_sensitive, is_secret, "{name}");
        }
        assert!(!format!("{sent:?}").contains("hidden"));
    }

    let request = Request::from_http(&upgrade(), &config).unwrap();
    let acceptance = Acceptance::new()
        .with_header("Set-Cookie", "hidden")
        .with_header("SET-COOKIE", "hidden too")
        .with_header("X-Y", "z");
    let (answer, _) = acceptance.answer(&request, &config).unwrap();
    let response = http::Response::<Bytes>::try_from(answer).unwrap();
    for (name, is_sensitive) in is_marked(response.headers()) {
        assert_eq!(is_sensitive, name == "set-cookie", "{name}");
    }
    assert!(!format!("{response:?}").contains("hidden"));
}

#[test]
fn urls() {
    for (url, uri) in [
        ("ws://h", "http://h/"),
        ("wss://h:444/a?b=c", "https://h:444/a?b=c"),
        ("ws://[::1]:80/", "http://[::1]/"),
        ("wss://a_b.~c/%23", "https://a_b.~c/%23"),
    ] {
        let url = Url::parse(url).unwrap();
        assert_eq!(Uri::try_from(&url).unwrap(), uri);
    }
}

#[test]
fn what_a_client_makes_of_the_answer() {
    let offer = offer("ws://server.example.com/chat");
    let accepted = |status: u16, version| {
        http::Response::builder()
            .status(status)
            .version(version)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Accept", ACCEPT)
            .header("Sec-WebSocket-Protocol", "chat")
            .body(())
            .unwrap()
    };
    let response = accepted(101, Version::HTTP_11);
    let checked = offer.check_http(&response).unwrap();
    assert_eq!(checked.negotiated.subprotocol(), Some("chat"));
    assert_eq!(checked.response.header("upgrade"), Some(&b"websocket"[..]));
    for version in [Version::HTTP_10, Version::HTTP_2] {
        let failed = offer.check_http(&accepted(101, version));
        assert_eq!(failed, Err(HandshakeError::HttpVersion));
    }
    let refused = offer
        .check_http(&accepted(403, Version::HTTP_11))
        .unwrap_err();
    assert_eq!(
        refused.response().map(|response| response.status()),
        Some(403)
    );
    let mut other = response;
    other
        .headers_mut()
        .insert("sec-websocket-accept", "x".try_into().unwrap());
    assert_eq!(
        offer.check_http(&other),
        Err(HandshakeError::AcceptMismatch)
    );
    other.headers_mut().remove("sec-websocket-accept");
    let missing = HandshakeError::Missing(Field::Accept);
    assert_eq!(offer.check_http(&other), Err(missing));
}

/// 8441-5-01 to 8441-5-07, through the types of `http`.
#[test]
fn extended_connect() {
    let config = Config::new();
    let request = ClientRequest::new("wss://server.example.com/chat?a=b").unwrap();
    let request = request
        .with_subprotocol("chat")
        .with_origin("https://server.example.com");
    let offer = ClientOffer::extended(&config, &request, true).unwrap();
    let request = offer.http_request().unwrap();
    assert_eq!(request.method(), "CONNECT");
    assert_eq!(request.version(), Version::HTTP_2);
    assert_eq!(request.uri(), "https://server.example.com/chat?a=b");
    for absent in ["host", "upgrade", "connection", "sec-websocket-key"] {
        assert!(!request.headers().contains_key(absent));
    }
    let read = Request::from_http_extended(&request, Some("websocket"), &config).unwrap();
    assert_eq!(read.target(), "/chat?a=b");
    assert_eq!(read.host(), "server.example.com");
    let (answer, _) = Acceptance::new().answer(&read, &config).unwrap();
    let response = http::Response::<Bytes>::try_from(answer).unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().is_empty());
    assert!(offer.check_http(&response).is_ok());

    // Who is not told the protocol goes by the version; a tunnel has no path.
    assert_eq!(Request::from_http(&request, &config), Ok(read));
    let mut other = request.clone();
    other.headers_mut().remove("sec-websocket-version");
    let expected = (501, HandshakeError::UnknownProtocol);
    assert_eq!(status_of(&other, &config), expected);
    let mut tunnel = request.clone();
    *tunnel.uri_mut() = Uri::from_static("server.example.com:25");
    let expected = (400, HandshakeError::Malformed);
    assert_eq!(status_of(&tunnel, &config), expected);

    for protocol in [None, Some("connect-udp")] {
        let invalid = Request::from_http_extended(&request, protocol, &config).unwrap_err();
        assert_eq!(invalid.answer().status(), 501);
    }
}
