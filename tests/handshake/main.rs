//! The opening handshake from outside: one table for each row of the catalogue of bad input, both
//! roles.
//!
//! Every case runs whole and in single bytes, with the same result. After a failure more input must
//! produce nothing.
#![cfg(feature = "handshake")]
#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "a test may panic, and has std"
)]

mod auth;
mod client;
mod extended;
#[cfg(feature = "deflate")]
mod extensions;
mod origin;
mod server;

use proptest::prelude::*;
use sockeye::handshake::{Acceptance, ClientHandshake, HeaderError, Url};
use sockeye::{Config, Input, Instant};

use client::{ANSWER, NONCE, open, wanted};
use server::{feed, judge, ones, server};

const BASE: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const HOST: &str = "Host: server.example.com\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\n";
const CONNECTION: &str = "Connection: Upgrade\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ORIGIN: &str = "Origin: http://example.com\r\n";
const PROTOCOL: &str = "Sec-WebSocket-Protocol: chat, superchat\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const START: Instant = Instant::from_millis(1);

/// `base` with the text `part`, which it has once, replaced.
fn swap(base: &str, part: &str, new: impl AsRef<[u8]>) -> Vec<u8> {
    let (front, back) = base.split_once(part).expect(part);
    [front.as_bytes(), new.as_ref(), back.as_bytes()].concat()
}

fn drain(output: Option<&mut bytes::Bytes>) -> Vec<u8> {
    output.map_or(Vec::new(), |bytes| std::mem::take(bytes).to_vec())
}

/// Headers that nobody may add, and why.
fn forbidden() -> impl Iterator<Item = (&'static str, &'static str, HeaderError)> {
    let reserved = [
        "Connection",
        "upgrade",
        "Sec-WebSocket-Accept",
        "sec-websocket-extensions",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-X",
        "CONTENT-LENGTH",
        "Transfer-Encoding",
        "Trailer",
    ];
    let names = ["", "a b", "a:", "a\r\nb", "é", "a\0"];
    let values = ["\r", "\n", "a\r\nX: y", "\0", "\u{7f}"];
    reserved
        .into_iter()
        .map(|name| (name, "x", HeaderError::Reserved))
        .chain(names.into_iter().map(|name| (name, "x", HeaderError::Name)))
        .chain(
            values
                .into_iter()
                .map(|value| ("X", value, HeaderError::Value)),
        )
}

#[test]
fn client_and_server() {
    for size in [1, 7, usize::MAX] {
        let mut client = ClientHandshake::new(&Config::new(), &wanted(), NONCE, START).unwrap();
        let mut server = server();
        let request = drain(client.poll_transmit());
        let (outcome, rest) = feed(&mut server, &request, std::iter::repeat(size));
        let request = outcome.unwrap().unwrap();
        assert!(rest.is_empty());
        assert_eq!(request.host(), wanted().url().host_header());
        let name = request.subprotocols().last().unwrap().to_owned();
        let ours = server
            .accept(Acceptance::new().with_subprotocol(&name))
            .unwrap();
        let mut answer = drain(server.poll_transmit());
        let size = size.min(answer.len());
        let theirs = answer
            .chunks_mut(size)
            .find_map(|piece| client.receive(START, &mut Input::new(piece)).unwrap());
        assert_eq!(theirs.unwrap().negotiated, ours);
    }
}

/// The status of the HTTP answer, if the output is one that a strict parser takes.
fn parses(output: &[u8]) -> u16 {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let head = response.parse(output).unwrap().unwrap();
    let length = response
        .headers
        .iter()
        .find(|header| header.name == "Content-Length")
        .map_or(0, |header| {
            std::str::from_utf8(header.value).unwrap().parse().unwrap()
        });
    assert_eq!(output.len(), head + length);
    response.code.unwrap()
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_request(sizes in prop::collection::vec(1..40_usize, 300)) {
        let whole = judge(BASE).unwrap();
        let (outcome, rest) = feed(&mut server(), BASE.as_bytes(), sizes);
        prop_assert_eq!(outcome.unwrap(), Some(whole));
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn damage_never_panics_and_is_answered(
        at in 0..BASE.len(),
        len in 0..20_usize,
        new in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = BASE.as_bytes().to_vec();
        bytes.splice(at..(at + len).min(BASE.len()), new);
        let run = |sizes: Vec<usize>| {
            let mut handshake = server();
            let (outcome, _) = feed(&mut handshake, &bytes, sizes);
            (outcome, drain(handshake.poll_transmit()))
        };
        let whole = run(vec![usize::MAX]);
        prop_assert_eq!(&whole, &run(vec![1; bytes.len()]));
        match whole {
            (Ok(_), output) => prop_assert!(output.is_empty()),
            (Err(error), output) => prop_assert_eq!(error.http_status(), Some(parses(&output))),
        }
    }

    #[test]
    fn damaged_answers_never_panic(
        at in 0..ANSWER.len(),
        len in 0..20_usize,
        new in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = ANSWER.as_bytes().to_vec();
        bytes.splice(at..(at + len).min(ANSWER.len()), new);
        let _ = open(&bytes);
    }

    #[test]
    fn urls_survive_a_round_trip(url in "(ws|wss|Ws)://[a-z0-9.:\\[\\]%-]{0,12}[ -~]{0,20}") {
        if let Ok(url) = url.parse::<Url>() {
            prop_assert!(url.target().starts_with('/'));
            prop_assert_eq!(url.to_string().parse::<Url>(), Ok(url));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = feed(&mut server(), &bytes, ones());
        let _ = open(&bytes);
    }

    #[test]
    fn chunked_bodies_never_panic(body in "[0-9a-f;\r\nx]{0,60}") {
        let _ = open(format!("HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
    }
}
