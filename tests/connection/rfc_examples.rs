//! The examples of RFC 6455 section 5.7 (6455-5.7-01), in both directions.

use sockeye::{Config, Connection, Kind, Negotiated};

use crate::wire::*;

fn server() -> Connection {
    connection(Role::Server, &Config::new())
}

/// A client whose every key is the one of the examples.
fn client() -> Connection {
    Connection::client(&Config::new(), Negotiated::new(), || KEY, START)
}

#[test]
fn an_unmasked_text() {
    let wire = hex("81 05 48 65 6c 6c 6f");
    accepts(CLIENT, &wire, &[text("Hello")]);
    let mut server = server();
    server.send("Hello").unwrap();
    assert_eq!(drain(&mut server), wire);
}

#[test]
fn a_masked_text() {
    let wire = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58");
    check(Role::Server, &Config::new(), &wire, &[text("Hello")], None);
    let mut client = client();
    client.send("Hello").unwrap();
    assert_eq!(drain(&mut client), wire);
}

#[test]
fn a_fragmented_text() {
    let wire = hex("01 03 48 65 6c 80 02 6c 6f");
    accepts(CLIENT, &wire, &[text("Hello")]);
    let mut server = server();
    server
        .send_fragment(Kind::Text, &b"Hel"[..], false)
        .unwrap();
    server.send_fragment(Kind::Text, &b"lo"[..], true).unwrap();
    assert_eq!(drain(&mut server), wire);
}

#[test]
fn a_ping_and_its_masked_pong() {
    let wire = hex("89 05 48 65 6c 6c 6f");
    let mut server = server();
    server.ping(b"Hello").unwrap();
    assert_eq!(drain(&mut server), wire);

    let mut client = client();
    let mut events = Vec::new();
    receive(&mut client, START, &wire, &mut events).unwrap();
    assert_eq!(events, [ping("Hello")]);
    let pong = drain(&mut client);
    assert_eq!(pong, hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"));

    receive(&mut server, START, &pong, &mut events).unwrap();
    assert_eq!(events[1..], [Got::Pong(b"Hello".into())]);
}

#[test]
fn binary_of_256_bytes_and_of_64_kib() {
    for (header, len) in [("82 7E 0100", 256), ("82 7F 0000000000010000", 65_536)] {
        let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
        let wire = [hex(header), payload.clone()].concat();
        accepts(BOTH, &wire, &[binary(&payload)]);
        for shared in [false, true] {
            let mut server = server();
            match shared {
                true => server.send(payload.clone()).unwrap(),
                false => server.send(&payload[..]).unwrap(),
            }
            assert_eq!(drain(&mut server), wire);
        }
    }
}
