//! What an HTTP library reads and writes: the rows of RFC 8441 and RFC 9220, and upgrades that are
//! the same as those of this crate's own handshakes.

use proptest::prelude::*;
use sockeye::handshake::{
    Acceptance, Answer, AnswerError, Basic, ClientHandshake, ClientOffer, ClientRequest, Field,
    HeaderError, InvalidRequest, OriginPolicy, Refusal, Request, RequestError, Scheme,
    ServerHandshake,
};
use sockeye::{Config, Connection, HandshakeError, Limits, Negotiated};

use super::client::NONCE;
use super::server::{feed, judge, server};
use super::{BASE, CONNECTION, KEY, START, UPGRADE, VERSION, drain, forbidden, swap};

/// The request of RFC 8441 section 5.1.
const CONNECT: [(&str, &str); 9] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":path", "/chat"),
    (":authority", "server.example.com"),
    ("sec-websocket-protocol", "chat, superchat"),
    ("sec-websocket-extensions", "permessage-deflate"),
    ("sec-websocket-version", "13"),
    ("origin", "http://www.example.com"),
];

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The request with a field replaced.
fn with<'a>(name: &str, value: &'a str) -> Fields<'a> {
    let swap = |field: (&'static str, &'static str)| match field.0 == name {
        true => (field.0, value),
        false => field,
    };
    CONNECT.into_iter().map(swap).collect()
}

fn without(name: &str) -> Fields<'static> {
    let others = CONNECT.into_iter().filter(|field| field.0 != name);
    others.collect()
}

fn plus<'a>(name: &'a str, value: &'a str) -> Fields<'a> {
    let mut fields: Fields<'a> = CONNECT.into();
    fields.push((name, value));
    fields
}

fn read(fields: Fields<'_>) -> Result<Request, InvalidRequest> {
    Request::extended(fields, &Config::new())
}

#[track_caller]
fn assert_fails(fields: Fields<'_>, error: HandshakeError, status: u16) -> Answer {
    let invalid = read(fields).unwrap_err();
    assert_eq!(*invalid.error(), error);
    assert_eq!(invalid.answer().status(), status);
    assert_http_2(invalid.answer());
    invalid.into_answer()
}

/// 8441-5-03 and 8441-5-06, for answers.
#[track_caller]
fn assert_http_2(answer: &Answer) {
    for (name, _) in answer.fields() {
        assert_eq!(name, name.to_lowercase());
        assert!(!["connection", "upgrade", "sec-websocket-accept"].contains(&name));
    }
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a [u8]> {
    answer
        .fields()
        .find(|field| field.0 == name)
        .map(|field| field.1)
}

#[test]
fn the_example_of_the_rfc() {
    // 8441-5-06, 8441-5-07: the same negotiation, and status 200.
    let request = read(CONNECT.into()).unwrap();
    assert!(request.is_upgrade());
    assert_eq!(request.method(), "CONNECT");
    assert_eq!(request.target(), "/chat");
    assert_eq!(request.origin(), Some("http://www.example.com"));
    assert!(request.subprotocols().eq(["chat", "superchat"]));
    let acceptance = Acceptance::new().with_subprotocol("chat");
    let (answer, negotiated) = acceptance.answer(&request, &Config::new()).unwrap();
    assert_eq!(answer.status(), 200);
    let chosen = [("sec-websocket-protocol", &b"chat"[..])];
    assert!(answer.fields().eq(chosen));
    assert!(answer.body().is_empty());
    assert_eq!(negotiated.subprotocol(), Some("chat"));
}

#[test]
fn pseudo_header_fields() {
    // 8441-4-02.
    for name in [":scheme", ":path", ":method"] {
        assert_fails(without(name), HandshakeError::Malformed, 400);
    }
    // 8441-5-02, and a path is one.
    for (name, value) in [
        (":scheme", "wss"),
        (":scheme", "HTTPS"),
        (":scheme", ""),
        (":path", ""),
        (":path", "*"),
        (":path", "chat"),
        (":path", "/#x"),
        (":path", "https://server.example.com/chat"),
    ] {
        assert_fails(with(name, value), HandshakeError::Malformed, 400);
    }
    for scheme in ["http", "https"] {
        assert!(read(with(":scheme", scheme)).is_ok());
    }
    // RFC 9113 section 8.3: each once, no others, and none behind a field.
    for (name, value) in CONNECT.into_iter().take(5).chain([(":status", "200")]) {
        let mut fields: Fields<'_> = CONNECT.into();
        fields.insert(5, (name, value));
        assert_fails(fields, HandshakeError::Malformed, 400);
        assert_fails(plus(name, value), HandshakeError::Malformed, 400);
    }
    assert_fails(Vec::new(), HandshakeError::Malformed, 400);
}

/// The `:path` of a library that passes on what it got was taken as it came, so that a request could
/// have a target with a line end in it, and whatever was behind that got into logs and into requests
/// to others. It is printable ASCII without spaces, as in a request line.
#[test]
fn regression_a_target_could_break_out_of_its_line() {
    for target in [
        "/a\r\nX-Evil: 1",
        "/a\r",
        "/a\n",
        "/a b",
        "/ ",
        "/a\tb",
        "/a\0",
        "/\u{1b}[2J",
        "/\u{7f}",
        "/caf\u{e9}",
        "/?\u{1f980}",
    ] {
        assert_fails(with(":path", target), HandshakeError::Malformed, 400);
        let head = swap(BASE, "/chat", target);
        assert_eq!(judge(head), Err(HandshakeError::Malformed));
    }
    // What is too long before it is wrong is too long, here and there.
    let limits = Limits::new().with_max_target_size(4);
    let config = Config::new().with_limits(limits);
    for (target, error) in [
        ("/abc\0", HandshakeError::Malformed),
        ("/abcd\0", HandshakeError::TargetTooLong),
        ("/abc\0defgh", HandshakeError::Malformed),
    ] {
        let invalid = Request::extended(with(":path", target), &config).unwrap_err();
        assert_eq!(*invalid.error(), error);
        let mut handshake = ServerHandshake::new(&config, START);
        let head = swap(BASE, "/chat", target);
        let (outcome, _) = feed(&mut handshake, &head, [head.len()]);
        assert_eq!(outcome, Err(error));
    }
}

#[test]
fn other_methods_and_protocols() {
    // 8441-4-01, 8441-4-03: without `:protocol` it asks for a tunnel, which nobody gets here.
    assert_fails(without(":protocol"), HandshakeError::UnknownProtocol, 501);
    let tunnel = [
        (":method", "CONNECT"),
        (":authority", "server.example.com:25"),
    ];
    assert_fails(tunnel.into(), HandshakeError::UnknownProtocol, 501);
    // 8441-5-01, 9220-3-02.
    for protocol in ["connect-udp", "webtransport", "WebSocket", "websocket ", ""] {
        let fields = with(":protocol", protocol);
        assert_fails(fields, HandshakeError::UnknownProtocol, 501);
    }
    let answer = assert_fails(with(":method", "GET"), HandshakeError::Method, 405);
    assert_eq!(field(&answer, "allow"), Some(&b"CONNECT"[..]));
}

#[test]
fn fields_of_a_connection() {
    // 8441-5-03.
    for (name, value) in [
        ("connection", "Upgrade"),
        ("connection", "x"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
    ] {
        assert_fails(plus(name, value), HandshakeError::Malformed, 400);
    }
    assert!(read(plus("te", "trailers")).is_ok());
    for (name, value) in [("transfer-encoding", "chunked"), ("content-length", "5")] {
        assert_fails(plus(name, value), HandshakeError::Body, 400);
    }
    assert_fails(
        plus("expect", "100-continue"),
        HandshakeError::Expectation,
        417,
    );
}

#[test]
fn authority_and_host() {
    // 8441-5-04: who asks for the `Host` gets the authority.
    let request = read(CONNECT.into()).unwrap();
    assert_eq!(request.host(), "server.example.com");
    assert_eq!(request.header("Host"), Some(&b"server.example.com"[..]));
    let request = read(plus("host", "Server.example.com")).unwrap();
    assert_eq!(request.host(), "server.example.com");
    assert_eq!(
        request
            .headers()
            .filter(|field| field.0.eq_ignore_ascii_case("host"))
            .count(),
        1
    );
    let bad = HandshakeError::Bad(Field::Host);
    assert_fails(plus("host", "other.example.com"), bad.clone(), 400);
    for authority in ["", "a@server.example.com", "a b", "server.example.com/"] {
        assert_fails(with(":authority", authority), bad.clone(), 400);
    }
    // What a proxy makes of an HTTP/1.1 request may have a `Host` instead.
    let missing = HandshakeError::Missing(Field::Host);
    assert_fails(without(":authority"), missing, 400);
    let mut fields = without(":authority");
    fields.push(("host", "server.example.com"));
    assert_eq!(read(fields).unwrap().host(), "server.example.com");
}

#[test]
fn keys_are_ignored() {
    // 8441-5-05.
    for key in ["dGhlIHNhbXBsZSBub25jZQ==", "x", ""] {
        let mut fields = plus("sec-websocket-key", key);
        fields.push(("sec-websocket-key", "y"));
        let request = read(fields).unwrap();
        let (answer, _) = Acceptance::new().answer(&request, &Config::new()).unwrap();
        assert_eq!(answer.status(), 200);
        assert_http_2(&answer);
    }
}

#[test]
fn fields_as_in_http_1() {
    // 8441-5-06, 8441-8-01.
    for version in ["12", "0", "255"] {
        let fields = with("sec-websocket-version", version);
        let answer = assert_fails(fields, HandshakeError::Version, 400);
        assert_eq!(field(&answer, "sec-websocket-version"), Some(&b"13"[..]));
    }
    let bad = |field| HandshakeError::Bad(field);
    let missing = HandshakeError::Missing(Field::Version);
    assert_fails(without("sec-websocket-version"), missing, 400);
    for (name, value, error) in [
        ("sec-websocket-version", "013", bad(Field::Version)),
        ("sec-websocket-protocol", "a b", bad(Field::Protocol)),
        ("sec-websocket-protocol", ",", bad(Field::Protocol)),
        (
            "sec-websocket-extensions",
            "a;",
            HandshakeError::BadExtension,
        ),
        ("origin", "", bad(Field::Origin)),
        ("origin", "a b", bad(Field::Origin)),
    ] {
        assert_fails(with(name, value), error, 400);
    }
    for name in ["sec-websocket-version", "origin"] {
        let twice = if name == "origin" {
            Field::Origin
        } else {
            Field::Version
        };
        assert_fails(plus(name, "13"), HandshakeError::Duplicate(twice), 400);
    }
    // Names are in lower case, and neither they nor values break out of their line.
    for (name, value) in [
        ("Cookie", "a=b"),
        ("coOkie", "a=b"),
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("x", "a\r\nb: c"),
        ("x", "a\0"),
    ] {
        assert_fails(plus(name, value), HandshakeError::Malformed, 400);
    }
}

#[test]
fn limits() {
    let read = |limits| {
        let config = Config::new().with_limits(limits);
        Request::extended(CONNECT, &config).map_err(HandshakeError::from)
    };
    let size = read(Limits::new()).unwrap();
    let line = |(name, value): (&str, &[u8])| name.len() + value.len() + 4;
    let size = "CONNECT /chat\r\n".len() + size.headers().map(line).sum::<usize>();
    assert!(read(Limits::new().with_max_head_size(size)).is_ok());
    for smaller in [0, 1, 8, 30, size - 1] {
        let failed = read(Limits::new().with_max_head_size(smaller));
        assert_eq!(failed, Err(HandshakeError::HeadTooLarge));
    }
    // The authority counts as the `Host` that it stands for.
    assert!(read(Limits::new().with_max_headers(5)).is_ok());
    let failed = read(Limits::new().with_max_headers(4));
    assert_eq!(failed, Err(HandshakeError::TooManyHeaders));
    assert!(read(Limits::new().with_max_target_size(5)).is_ok());
    let failed = read(Limits::new().with_max_target_size(4));
    assert_eq!(failed, Err(HandshakeError::TargetTooLong));
}

/// Names and values that are right, nearly right, or anything.
fn any_field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let known = prop::sample::select(CONNECT.to_vec());
    let known = known.prop_map(|(name, value)| (name.as_bytes().to_vec(), value.into()));
    let value = || prop::collection::vec(any::<u8>(), 0..12);
    prop_oneof![
        8 => known.clone(),
        2 => (known, value()).prop_map(|((name, _), value)| (name, value)),
        1 => (value(), value()),
    ]
}

/// The text as it is, mostly, or with any bytes somewhere in it.
fn perhaps_damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let marks = [
        "\r\n", "\r", "\n", " ", "\t", "\0", "\u{1b}", "\u{7f}", "\u{e9}", "#", "\r\nX:",
    ];
    let marks = prop::sample::select(marks.to_vec()).prop_map(|mark| mark.as_bytes().to_vec());
    let bytes = prop_oneof![marks, prop::collection::vec(any::<u8>(), 1..4)];
    let damaged = (0..=text.len(), bytes).prop_map(|(at, bytes)| {
        let mut text = text.as_bytes().to_vec();
        text.splice(at..at, bytes);
        text
    });
    prop_oneof![2 => Just(text.as_bytes().to_vec()), 1 => damaged]
}

proptest! {
    /// HTTP/2 can carry any bytes, and they are judged as if they had come in a head of HTTP/1.1.
    #[test]
    fn any_bytes_get_the_verdict_of_the_handshake(
        path in perhaps_damaged("/chat?a=b"),
        authority in perhaps_damaged("server.example.com:80"),
        value in perhaps_damaged("some text"),
    ) {
        let start = CONNECT.into_iter().take(3).map(|(name, value)| (name, value.as_bytes()));
        let fields = start.chain([
            (":path", &path[..]),
            (":authority", &authority),
            ("sec-websocket-version", b"13"),
            ("x", &value),
        ]);
        let read = Request::extended(fields, &Config::new());
        let head = [
            b"GET ", &path[..], b" HTTP/1.1\r\nHost: ", &authority, b"\r\nX: ", &value, b"\r\n",
            UPGRADE.as_bytes(), CONNECTION.as_bytes(), KEY.as_bytes(), VERSION.as_bytes(), b"\r\n",
        ];
        // In a head a line end may begin another line.
        let has_line_end = [&path, &authority, &value].map(|part| part.contains(&b'\n')) != [false; 3];
        match (read, judge(head.concat())) {
            (Ok(read), Ok(judged)) => {
                prop_assert_eq!(read.target().as_bytes(), &path);
                prop_assert_eq!(read.target(), judged.target());
                prop_assert_eq!(read.host(), judged.host());
                prop_assert_eq!(read.header("x"), judged.header("x"));
                prop_assert!(!has_line_end);
            }
            (Err(invalid), Err(error)) if !has_line_end => prop_assert_eq!(invalid.error(), &error),
            (Err(invalid), _) => {
                prop_assert!(has_line_end, "{}", invalid);
                prop_assert_eq!(invalid.answer().status(), 400);
            }
            (Ok(read), Err(error)) => prop_assert!(false, "{:?} {}", read, error),
        }
    }

    /// Whatever comes, there is a request that says what it must, or an answer that can be sent.
    #[test]
    fn any_fields(fields in prop::collection::vec(any_field(), 0..16), own in 0..10_usize) {
        let own = CONNECT.iter().take(own).map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()));
        let fields: Vec<_> = own.chain(fields).collect();
        match Request::extended(fields.clone(), &Config::new()) {
            Ok(request) => {
                let has = |name: &str, value: &str| fields.contains(&(name.into(), value.into()));
                prop_assert!(has(":method", "CONNECT") && has(":protocol", "websocket"));
                prop_assert!(has("sec-websocket-version", "13"));
                prop_assert!(request.path().starts_with('/') && !request.host().is_empty());
                let (answer, _) = Acceptance::new().answer(&request, &Config::new()).unwrap();
                prop_assert_eq!(answer.status(), 200);
                assert_http_2(&answer);
            }
            Err(invalid) => {
                let status = invalid.answer().status();
                prop_assert!((400..=501).contains(&status) && status != 426);
                assert_http_2(invalid.answer());
            }
        }
    }
}

#[test]
fn who_may_connect() {
    // 8441-8-01: origins and credentials are those of HTTP/1.1.
    let request = read(with("origin", "https://server.example.com")).unwrap();
    let policy = OriginPolicy::same_origin(Scheme::Https);
    assert!(policy.check(&request).is_ok());
    let request = read(plus("authorization", "Basic YWRhOmI=")).unwrap();
    assert!(Basic::from_request(&request).unwrap().matches("ada", "b"));
    let answer = policy
        .check(&request)
        .unwrap_err()
        .answer(&request)
        .unwrap();
    assert_eq!(answer.status(), 403);
    assert_http_2(&answer);
}

#[test]
fn refusals() {
    let request = read(CONNECT.into()).unwrap();
    // 9220-3-03.
    let refusal = Refusal::new(501)
        .with_header("Content-Type", "application/problem+json")
        .with_body("{}");
    let answer = refusal.answer(&request).unwrap();
    assert_eq!(answer.status(), 501);
    assert_eq!(&answer.body()[..], b"{}");
    let problem = Some(&b"application/problem+json"[..]);
    assert_eq!(field(&answer, "content-type"), problem);
    assert_eq!(field(&answer, "content-length"), Some(&b"2"[..]));
    // 8441-5-07: any 2xx would open the connection.
    for status in [0, 101, 200, 204, 299, 600] {
        let refused = Refusal::new(status).answer(&request);
        assert_eq!(refused, Err(AnswerError::Status));
    }
    assert!(Refusal::new(300).answer(&request).is_ok());
    let of_connection = ["Keep-Alive", "proxy-connection", "TE"];
    let of_connection = of_connection.map(|name| (name, "x", HeaderError::Reserved));
    for (name, value, error) in forbidden().chain(of_connection) {
        let refused = Refusal::new(404).with_header(name, value).answer(&request);
        assert_eq!(refused, Err(AnswerError::Header(error)));
        let acceptance = Acceptance::new().with_header(name, value);
        let accepted = acceptance.answer(&request, &Config::new());
        assert_eq!(accepted, Err(AnswerError::Header(error)));
    }
    let unoffered = Acceptance::new().with_subprotocol("other");
    let accepted = unoffered.answer(&request, &Config::new());
    assert_eq!(accepted, Err(AnswerError::UnofferedProtocol));
}

/// An application's own 426 went out over HTTP/2 as it was, without the `Upgrade` that RFC 9110 section
/// 15.5.22 demands there. It is a 400 that says which version, as for a request with another one.
#[test]
fn regression_a_426_over_http_2() {
    let request = read(CONNECT.into()).unwrap();
    let refusal = Refusal::new(426).with_header("X-Why", "because");
    let answer = refusal.with_body("no\n").answer(&request).unwrap();
    assert_http_2(&answer);
    assert_eq!(answer.status(), 400);
    assert_eq!(field(&answer, "sec-websocket-version"), Some(&b"13"[..]));
    assert_eq!(field(&answer, "content-length"), Some(&b"3"[..]));
    assert_eq!(field(&answer, "x-why"), Some(&b"because"[..]));
    assert_eq!(&answer.body()[..], b"no\n");
}

fn chat() -> ClientRequest {
    let request = ClientRequest::new("wss://server.example.com:8443/chat?a=b").unwrap();
    request
        .with_subprotocol("chat")
        .with_subprotocol("superchat")
        .with_origin("http://www.example.com")
        .with_header("X-Room", "Lobby")
}

fn offer(request: &ClientRequest) -> ClientOffer {
    ClientOffer::extended(&Config::new(), request, true).unwrap()
}

#[test]
fn what_a_client_sends() {
    // 8441-4-01, 8441-4-02, 8441-5-01 to 8441-5-06: this and nothing else.
    let offer = offer(&chat());
    assert!(offer.is_extended());
    let expected = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":authority", "server.example.com:8443"),
        (":path", "/chat?a=b"),
        ("sec-websocket-version", "13"),
        ("origin", "http://www.example.com"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("x-room", "Lobby"),
    ];
    let expected = expected.map(|(name, value)| (name, value.as_bytes()));
    assert!(offer.fields().eq(expected), "{offer:?}");
    let plain = ClientRequest::new("ws://h").unwrap();
    let offer = ClientOffer::extended(&Config::new(), &plain, true).unwrap();
    assert!(offer.fields().any(|field| field == (":scheme", b"http")));
}

#[test]
fn a_client_waits_for_the_setting() {
    // 8441-3-02.
    let refused = ClientOffer::extended(&Config::new(), &chat(), false);
    assert_eq!(refused.unwrap_err(), RequestError::ExtendedConnect);
}

#[test]
fn what_a_client_may_not_send() {
    let of_connection = ["Keep-Alive", "Proxy-Connection", "te", "Host", "Origin"];
    let of_connection = of_connection.map(|name| (name, "x", HeaderError::Reserved));
    for (name, value, error) in forbidden().chain(of_connection) {
        let request = chat().with_header(name, value);
        let refused = ClientOffer::extended(&Config::new(), &request, true);
        assert_eq!(refused.unwrap_err(), RequestError::Header(error));
    }
}

#[test]
fn what_a_client_makes_of_the_answer() {
    // 8441-5-07.
    let offer = offer(&chat());
    for status in [200, 201, 204, 299] {
        let accepted = offer.check(status, [("x", "y")]).unwrap();
        assert_eq!(accepted.negotiated, Negotiated::new());
        assert_eq!(accepted.response.status(), status);
        assert_eq!(accepted.response.header("X"), Some(&b"y"[..]));
    }
    for status in [100, 101, 103, 199, 0, 1000] {
        let failed = offer.check(status, [("", ""); 0]);
        assert_eq!(failed, Err(HandshakeError::Malformed));
    }
    for status in [300, 307, 404, 501, 999] {
        let failed = offer.check(status, [("location", "/x")]).unwrap_err();
        let response = failed.response().unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.header("location"), Some(&b"/x"[..]));
        assert!(!response.is_complete());
    }
    // 8441-5-05: nobody looks at an accept value.
    assert!(offer.check(200, [("sec-websocket-accept", "x")]).is_ok());
    // 8441-5-06.
    for (name, value, error) in [
        (
            "sec-websocket-protocol",
            "other",
            HandshakeError::UnofferedProtocol,
        ),
        (
            "sec-websocket-protocol",
            "chat, superchat",
            HandshakeError::UnofferedProtocol,
        ),
        (
            "sec-websocket-extensions",
            "permessage-deflate",
            HandshakeError::UnofferedExtension,
        ),
        (
            "sec-websocket-extensions",
            ";",
            HandshakeError::BadExtension,
        ),
        ("a b", "", HandshakeError::Malformed),
    ] {
        assert_eq!(offer.check(200, [(name, value)]), Err(error));
    }
    let twice = [("sec-websocket-protocol", "chat"); 2];
    let duplicate = HandshakeError::Duplicate(Field::Protocol);
    assert_eq!(offer.check(200, twice), Err(duplicate));
    let accepted = offer
        .check(200, [("sec-websocket-protocol", "superchat")])
        .unwrap();
    assert_eq!(accepted.negotiated.subprotocol(), Some("superchat"));
}

/// A client refused an answer to its CONNECT for a length in it. RFC 9110 section 9.3.6 has it ignore
/// that: servers add `Content-Length` to whatever they answer. In a 101 it stays a fault.
#[test]
fn regression_a_length_in_the_answer_to_connect() {
    for (name, value) in [
        ("content-length", "0"),
        ("content-length", "5"),
        ("content-length", "x"),
        ("transfer-encoding", "chunked"),
    ] {
        let accepted = offer(&chat()).check(200, [(name, value)]).unwrap();
        assert_eq!(accepted.response.header(name), Some(value.as_bytes()));
    }
    let upgrade = ClientOffer::upgrade(&Config::new(), &chat(), NONCE).unwrap();
    for (name, value) in [("content-length", "5"), ("transfer-encoding", "chunked")] {
        let fields = [
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-accept", super::ACCEPT),
            (name, value),
        ];
        assert_eq!(upgrade.check(101, fields), Err(HandshakeError::Body));
    }
}

#[test]
fn client_and_server_over_http_2() {
    // 9220-3-01: over HTTP/3 it is the same.
    let config = Config::new();
    #[cfg(feature = "deflate")]
    let config = config.with_deflate(sockeye::Deflate::server());
    let offer = ClientOffer::extended(&config, &chat(), true).unwrap();
    let request = Request::extended(offer.fields(), &config).unwrap();
    assert_eq!(request.header("x-room"), Some(&b"Lobby"[..]));
    let acceptance = Acceptance::new().with_subprotocol("superchat");
    let (answer, settled) = acceptance.answer(&request, &config).unwrap();
    let accepted = offer.check(answer.status(), answer.fields()).unwrap();
    assert_eq!(accepted.negotiated, settled);
    #[cfg(feature = "deflate")]
    assert!(settled.deflate().is_some());

    // 8441-5-09: masked all the same.
    let keys = || [1, 2, 3, 4];
    let mut client = Connection::client(&config, accepted.negotiated, keys, START);
    client.ping(b"x").unwrap();
    let mut output = client.poll_transmit().unwrap();
    let wire = bytes::Buf::copy_to_bytes(&mut output, 7);
    assert_eq!(&wire[..], [0x89, 0x81, 1, 2, 3, 4, b'x' ^ 1]);
}

/// The lines of a head, with names in lower case.
fn lines(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let head = std::str::from_utf8(head).unwrap();
    let lines = head
        .split("\r\n")
        .skip(1)
        .take_while(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.into()))
        .collect()
}

fn shown<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    fields
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

#[test]
fn an_upgrade_says_what_the_handshakes_write() {
    let config = Config::new();
    let accept = || {
        Acceptance::new()
            .with_subprotocol("chat")
            .with_header("X-Y", "z")
    };
    let mut handshake = server();
    let request = feed(&mut handshake, BASE.as_bytes(), [BASE.len()])
        .0
        .unwrap()
        .unwrap();
    let (answer, negotiated) = accept().answer(&request, &config).unwrap();
    assert_eq!(handshake.accept(accept()), Ok(negotiated));
    assert_eq!(answer.status(), 101);
    assert_eq!(
        shown(answer.fields()),
        lines(&drain(handshake.poll_transmit()))
    );

    for status in [200, 204, 304, 404, 426] {
        let mut handshake = server();
        let _request = feed(&mut handshake, BASE.as_bytes(), [BASE.len()]);
        let refuse = || Refusal::new(status).with_header("X-Y", "z");
        let answer = refuse().answer(&request).unwrap();
        handshake.reject(refuse()).unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(
            shown(answer.fields()),
            lines(&drain(handshake.poll_transmit()))
        );
    }

    let mut handshake = ClientHandshake::new(&config, &chat(), NONCE, START).unwrap();
    let offer = ClientOffer::upgrade(&config, &chat(), NONCE).unwrap();
    assert!(!offer.is_extended());
    assert_eq!(
        shown(offer.fields()),
        lines(&drain(handshake.poll_transmit()))
    );
}

#[test]
fn what_a_client_makes_of_an_upgrade() {
    let offer = ClientOffer::upgrade(&Config::new(), &chat(), NONCE).unwrap();
    let fields = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, upgrade"),
        ("sec-websocket-accept", super::ACCEPT),
        ("sec-websocket-protocol", "chat"),
    ];
    let accepted = offer.check(101, fields).unwrap();
    assert_eq!(accepted.negotiated.subprotocol(), Some("chat"));
    let (_, missing) = fields.split_first().unwrap();
    let missing = offer.check(101, missing.iter().copied());
    assert_eq!(missing, Err(HandshakeError::Missing(Field::Upgrade)));
    let refused = offer.check(200, fields).unwrap_err();
    assert_eq!(
        refused.response().map(|response| response.status()),
        Some(200)
    );
    assert_eq!(offer.check(100, fields), Err(HandshakeError::Malformed));
}
