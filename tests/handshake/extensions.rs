//! Rows X: permessage-deflate in the opening handshake, both roles.
//!
//! The decisions: a server answers `client_max_window_bits` only to an offer that has it; it
//! declines `server_max_window_bits=8`, which zlib would not keep to; a client offers one element.

use sockeye::handshake::{Acceptance, ClientHandshake, ServerHandshake};
use sockeye::{Config, Deflate, DeflateParams, HandshakeError, Input, Limits, Memory, Negotiated};

use super::client::{ANSWER, NONCE, assert_over, wanted};
use super::server::{assert_dead, feed};
use super::{BASE, START, UPGRADE, drain, swap};

const SERVER_15: fn() -> Deflate = || {
    Deflate::server()
        .with_send_window_bits(15)
        .with_receive_window_bits(15)
};

fn params(server: (bool, u8), client: (bool, u8)) -> DeflateParams {
    let mut params = DeflateParams::new();
    params.server_no_context_takeover = server.0;
    params.server_max_window_bits = server.1;
    params.client_no_context_takeover = client.0;
    params.client_max_window_bits = client.1;
    params
}

fn lines(values: &[&str]) -> String {
    let line = |value: &&str| format!("Sec-WebSocket-Extensions: {value}\r\n");
    values.iter().map(line).collect()
}

/// The value of the header in a head, if it has one.
fn value(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).unwrap();
    let mut values = head
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let value = values.next().map(str::to_owned);
    assert_eq!(values.next(), None);
    value
}

type Answer = Option<(String, DeflateParams)>;

/// What a server makes of offers, whole and byte by byte.
fn answer_lines(deflate: &Deflate, offers: &[&str]) -> Result<Answer, HandshakeError> {
    let request = swap(BASE, UPGRADE, format!("{}{UPGRADE}", lines(offers)));
    let run = |size| {
        let config = Config::new().with_deflate(deflate.clone());
        let mut server = ServerHandshake::new(&config, START);
        let (outcome, _) = feed(&mut server, &request, std::iter::repeat(size));
        if let Err(error) = outcome {
            assert!(drain(server.poll_transmit()).starts_with(b"HTTP/1.1 4"));
            assert_dead(&mut server, &error);
            return Err(error);
        }
        let negotiated = server.accept(Acceptance::new()).unwrap();
        let value = value(&drain(server.poll_transmit()));
        assert_eq!(value.is_some(), negotiated.deflate().is_some());
        Ok(value.zip(negotiated.deflate()))
    };
    let whole = run(usize::MAX);
    assert_eq!(whole, run(1), "{offers:?}");
    whole
}

fn answer(deflate: &Deflate, offer: &str) -> Answer {
    answer_lines(deflate, &[offer]).expect(offer)
}

#[track_caller]
fn agrees(deflate: &Deflate, offer: &str, value: &str, params: DeflateParams) {
    assert_eq!(
        answer(deflate, offer),
        Some((value.into(), params)),
        "{offer}"
    );
}

fn client(deflate: &Deflate) -> (ClientHandshake, Option<String>) {
    let config = Config::new().with_deflate(deflate.clone());
    let mut client = ClientHandshake::new(&config, &wanted(), NONCE, START).unwrap();
    let offer = value(&drain(client.poll_transmit()));
    (client, offer)
}

/// What a client makes of answers, whole and byte by byte.
fn check_lines(
    deflate: &Deflate,
    answers: &[&str],
) -> Result<Option<DeflateParams>, HandshakeError> {
    let response = swap(ANSWER, UPGRADE, format!("{}{UPGRADE}", lines(answers)));
    let run = |size| {
        let (mut client, _) = client(deflate);
        for piece in response.chunks(size) {
            match client.receive(START, &mut Input::new(&mut piece.to_vec())) {
                Ok(Some(accepted)) => return Ok(accepted.negotiated.deflate()),
                Ok(None) => {}
                Err(error) => {
                    assert_over(&mut client, &error);
                    return Err(error);
                }
            }
        }
        panic!("the head is complete");
    };
    let whole = run(response.len());
    assert_eq!(whole, run(1), "{answers:?}");
    whole
}

fn check(deflate: &Deflate, answer: &str) -> Result<Option<DeflateParams>, HandshakeError> {
    check_lines(deflate, &[answer])
}

#[test]
fn x_01_the_plain_offer() {
    let pmd = "permessage-deflate";
    agrees(&SERVER_15(), pmd, pmd, DeflateParams::new());
    agrees(
        &Deflate::server(),
        pmd,
        "permessage-deflate; server_max_window_bits=12",
        params((false, 12), (false, 15)),
    );
    // Not configured: not answered.
    let request = swap(BASE, UPGRADE, format!("{}{UPGRADE}", lines(&[pmd])));
    let mut server = ServerHandshake::new(&Config::new(), START);
    feed(&mut server, &request, [usize::MAX]).0.unwrap();
    let negotiated = server.accept(Acceptance::new()).unwrap();
    assert_eq!(negotiated, Negotiated::new());
    assert_eq!(value(&drain(server.poll_transmit())), None);
    // Not offered: not answered.
    assert_eq!(answer_lines(&Deflate::server(), &[]), Ok(None));
}

#[test]
fn what_a_server_answers() {
    let none = Deflate::server()
        .with_send_memory(Memory::NoTakeover)
        .with_receive_memory(Memory::NoTakeover);
    for (deflate, offer, value, params) in [
        (
            Deflate::server(),
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            params((false, 12), (false, 12)),
        ),
        (
            SERVER_15(),
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
            DeflateParams::new(),
        ),
        (
            Deflate::server(),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
            params((false, 10), (false, 9)),
        ),
        (
            SERVER_15(),
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
            DeflateParams::new(),
        ),
        (
            SERVER_15(),
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
            params((true, 15), (false, 15)),
        ),
        (
            SERVER_15(),
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
            params((false, 15), (true, 15)),
        ),
        (
            none,
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=12; client_max_window_bits=12",
            params((true, 12), (true, 12)),
        ),
    ] {
        agrees(&deflate, offer, value, params);
    }
}

#[test]
fn x_02_spaces_and_lines() {
    let expected = Some((
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12".into(),
        params((false, 12), (false, 12)),
    ));
    for offers in [
        &[" permessage-deflate ; client_max_window_bits "][..],
        &["\tpermessage-deflate\t;\tclient_max_window_bits\t"],
        &["x-other", "permessage-deflate;client_max_window_bits"],
        &["permessage-deflate; client_max_window_bits", "x-other; a=b"],
        &["", "permessage-deflate; client_max_window_bits", ""],
    ] {
        assert_eq!(answer_lines(&Deflate::server(), offers).unwrap(), expected);
    }
}

#[test]
fn x_03_wrong_grammar() {
    for offer in [
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
        "permessage-deflate;",
        "permessage-deflate; a b",
        "permessage-deflate, ;",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate=1",
        "permessage-deflate; server_max_window_bits=\"\"",
    ] {
        let result = answer_lines(&Deflate::server(), &[offer]);
        assert_eq!(result, Err(HandshakeError::BadExtension), "{offer}");
        let result = check(&Deflate::client(), offer);
        assert_eq!(result, Err(HandshakeError::BadExtension), "{offer}");
    }
}

#[test]
fn x_04_x_05_x_09_x_23_x_29_which_offer() {
    let plain = Some(("permessage-deflate".into(), DeflateParams::new()));
    for offer in [
        ",permessage-deflate,,",
        "x-unknown; foo=bar, permessage-deflate",
        "permessage-deflate; foo, permessage-deflate",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        "permessage-deflate, permessage-deflate; server_no_context_takeover",
        "Permessage-Deflate; server_no_context_takeover, permessage-deflate",
    ] {
        assert_eq!(answer(&SERVER_15(), offer), plain, "{offer}");
    }
    for offer in [
        "",
        ",,",
        "x-webkit-deflate-frame",
        "Permessage-Deflate",
        "permessage-deflate; __proto__",
        "permessage-deflate; constructor=1",
        "__proto__; constructor",
    ] {
        assert_eq!(answer(&SERVER_15(), offer), None, "{offer}");
    }
}

#[test]
fn x_06_to_x_11_offers_that_are_declined() {
    for parameters in [
        "foo",
        "foo=1",
        "Server_No_Context_Takeover",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits; client_max_window_bits=10",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
    ] {
        let offer = format!("permessage-deflate; {parameters}");
        assert_eq!(answer(&SERVER_15(), &offer), None, "{offer}");
    }
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        for bits in [
            "7",
            "16",
            "0",
            "00",
            "08",
            "015",
            "-9",
            "+9",
            "9.0",
            "\"09\"",
            "99999999999999999999",
            "0x9",
            "1000",
            "256",
            "265",
            "abc",
            "1",
            "15a",
        ] {
            let offer = format!("permessage-deflate; {name}={bits}");
            assert_eq!(answer(&SERVER_15(), &offer), None, "{offer}");
        }
    }
    // A space is no part of a token, and one at the end is none of the value.
    let spaced = "permessage-deflate; server_max_window_bits=9 ";
    let nine = params((false, 9), (false, 15));
    let value = "permessage-deflate; server_max_window_bits=9";
    agrees(&SERVER_15(), spaced, value, nine);
}

#[test]
fn x_12_to_x_14_windows() {
    for bits in 8..=15u8 {
        for quote in ["", "\""] {
            let offer = format!("permessage-deflate; server_max_window_bits={quote}{bits}{quote}");
            if bits == 8 {
                assert_eq!(answer(&SERVER_15(), &offer), None);
            } else {
                let value = format!("permessage-deflate; server_max_window_bits={bits}");
                let agreed = params((false, bits), (false, 15));
                agrees(&SERVER_15(), &offer, &value, agreed);
            }
            let offer = format!("permessage-deflate; client_max_window_bits={quote}{bits}{quote}");
            let value = match bits {
                15 => "permessage-deflate".into(),
                _ => format!("permessage-deflate; client_max_window_bits={bits}"),
            };
            let agreed = params((false, 15), (false, bits));
            agrees(&SERVER_15(), &offer, &value, agreed);
        }
    }
}

#[test]
fn what_a_client_offers() {
    let client_of = |deflate: Deflate| client(&deflate).1.unwrap();
    let base = Deflate::client();
    assert_eq!(
        client_of(base.clone()),
        "permessage-deflate; client_max_window_bits"
    );
    let none = Memory::NoTakeover;
    for (deflate, value) in [
        (
            base.clone().with_receive_memory(none),
            "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        ),
        (
            base.clone().with_send_memory(none),
            "permessage-deflate; client_no_context_takeover; client_max_window_bits",
        ),
        (
            base.clone().with_receive_window_bits(10),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
        ),
        (
            base.with_send_window_bits(9),
            "permessage-deflate; client_max_window_bits=9",
        ),
        (
            Deflate::server()
                .with_send_memory(none)
                .with_receive_memory(none),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=12; client_max_window_bits=12",
        ),
    ] {
        assert_eq!(client_of(deflate), value);
    }
    let mut plain = ClientHandshake::new(&Config::new(), &wanted(), NONCE, START).unwrap();
    assert_eq!(value(&drain(plain.poll_transmit())), None);
}

#[test]
fn x_15_to_x_21_answers_that_fail() {
    let offered = Deflate::client();
    for parameters in [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=1000",
        "server_max_window_bits=08",
        "server_max_window_bits=abc",
        "server_max_window_bits",
        "client_max_window_bits",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=09",
        "server_no_context_takeover=1",
        "client_no_context_takeover=0",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits=9; client_max_window_bits=10",
        "foo",
        "foo=bar",
        "__proto__",
    ] {
        let answer = format!("permessage-deflate; {parameters}");
        let result = check(&offered, &answer);
        assert_eq!(result, Err(HandshakeError::BadExtension), "{answer}");
    }
}

#[test]
fn x_16_x_17_a_window_that_was_asked_for() {
    let offered = Deflate::client().with_receive_window_bits(10);
    for answer in [
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
    ] {
        let result = check(&offered, answer);
        assert_eq!(result, Err(HandshakeError::BadExtension), "{answer}");
    }
    for bits in 8..=10 {
        let answer = format!("permessage-deflate; server_max_window_bits={bits}");
        let agreed = params((false, bits), (false, 15));
        assert_eq!(check(&offered, &answer), Ok(Some(agreed)));
    }
}

#[test]
fn x_18_the_window_of_the_client() {
    // It is always offered, and the server may exceed what was offered (7692-7.1.2.2-04).
    for offered in [
        Deflate::client(),
        Deflate::client().with_send_window_bits(10),
    ] {
        for bits in 8..=15 {
            let answer = format!("permessage-deflate; client_max_window_bits={bits}");
            let agreed = params((false, 15), (false, bits));
            assert_eq!(check(&offered, &answer), Ok(Some(agreed)));
        }
    }
    // Without an offer it is not the parameter that is wrong.
    let answer = lines(&["permessage-deflate; client_max_window_bits=9"]);
    let response = swap(ANSWER, UPGRADE, format!("{answer}{UPGRADE}"));
    let result = super::open(&response);
    assert_eq!(result.unwrap_err(), HandshakeError::UnofferedExtension);
}

#[test]
fn x_22_x_23_unoffered() {
    for answer in [
        "x-webkit-deflate-frame",
        "Permessage-Deflate",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, x-other",
        "x-other, permessage-deflate",
        "permessage-deflate; server_no_context_takeover, permessage-deflate",
    ] {
        let result = check(&Deflate::client(), answer);
        assert_eq!(result, Err(HandshakeError::UnofferedExtension), "{answer}");
    }
    assert_eq!(check(&Deflate::client(), ""), Ok(None));
    assert_eq!(check_lines(&Deflate::client(), &[]), Ok(None));
}

#[test]
fn x_24_x_25_takeover() {
    let none = Memory::NoTakeover;
    let asked = Deflate::client().with_receive_memory(none);
    assert_eq!(
        check(&asked, "permessage-deflate"),
        Err(HandshakeError::BadExtension)
    );
    assert_eq!(
        check(&asked, "permessage-deflate; server_no_context_takeover"),
        Ok(Some(params((true, 15), (false, 15))))
    );
    let unasked = "permessage-deflate; client_no_context_takeover; server_no_context_takeover; \
        server_max_window_bits=9";
    assert_eq!(
        check(&Deflate::client(), unasked),
        Ok(Some(params((true, 9), (true, 15))))
    );
    // The hint is only a wish, which this side keeps to all the same.
    let hinted = Deflate::client().with_send_memory(none);
    assert_eq!(
        check(&hinted, "permessage-deflate"),
        Ok(Some(params((false, 15), (true, 15))))
    );
}

#[test]
fn x_26_two_lines() {
    let both = ["permessage-deflate", "permessage-deflate"];
    assert_eq!(
        check_lines(&Deflate::client(), &both),
        Err(HandshakeError::UnofferedExtension)
    );
    for answers in [
        ["", "permessage-deflate; server_max_window_bits=\"9\""],
        ["permessage-deflate; server_max_window_bits=9", ","],
    ] {
        let agreed = params((false, 9), (false, 15));
        assert_eq!(check_lines(&Deflate::client(), &answers), Ok(Some(agreed)));
    }
}

#[test]
fn x_28_absurd_lists() {
    let room = Limits::new().max_head_size() - BASE.len() - 64;
    let parameters = format!("permessage-deflate{}", ";b".repeat(1000));
    let escapes = format!("a; b=\"{}", "\\c".repeat(room.min(4096) / 2));
    let offers = "permessage-deflate,".repeat(1000);
    for offer in [&parameters, &escapes] {
        let result = answer_lines(&Deflate::server(), &[offer]);
        assert_eq!(result, Err(HandshakeError::BadExtension));
        let result = check(&Deflate::client(), offer);
        assert_eq!(result, Err(HandshakeError::BadExtension));
    }
    let result = answer_lines(&Deflate::server(), &[&offers]);
    assert!(
        matches!(
            result,
            Err(HandshakeError::BadExtension | HandshakeError::HeadTooLarge)
        ),
        "{result:?}"
    );
}

#[test]
fn both_ends_agree() {
    let memories = [Memory::Retained, Memory::Window, Memory::NoTakeover];
    let mut sides = Vec::new();
    for send in memories {
        for receive in memories {
            for (send_bits, receive_bits) in [(9, 15), (15, 9), (12, 12), (15, 15)] {
                let side = Deflate::server()
                    .with_send_memory(send)
                    .with_receive_memory(receive)
                    .with_send_window_bits(send_bits)
                    .with_receive_window_bits(receive_bits);
                sides.push(side);
            }
        }
    }
    for ours in &sides {
        for theirs in &sides {
            let (_, offer) = client(theirs);
            let (value, agreed) = answer(ours, &offer.unwrap()).expect("a client can be met");
            assert_eq!(check(theirs, &value), Ok(Some(agreed)), "{value}");
            assert!(agreed.server_max_window_bits <= theirs.receive_window_bits());
            assert!(agreed.client_max_window_bits <= ours.receive_window_bits());
        }
    }
}
