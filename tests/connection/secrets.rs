//! Debug output ends up in logs, so what a connection holds is not in it.

use std::fmt::Debug;

use sockeye::{CloseCode, Config, Connection, Deflate, Delivery, Input, Kind, Prepared};

use crate::wire::*;

const SECRET: &str = "the secret of somebody else";

/// Neither as text nor as numbers.
fn hides(what: &impl Debug) {
    for shown in [format!("{what:?}"), format!("{what:#?}")] {
        let numbers = |part: &str| {
            let numbers: Vec<_> = part.bytes().map(|byte| byte.to_string()).collect();
            numbers.join(", ")
        };
        let shown = shown.replace(char::is_whitespace, " ");
        let shown = shown.replace("  ", "");
        assert!(!shown.contains("secret"), "{shown}");
        assert!(!shown.contains(&numbers("secret")), "{shown}");
    }
}

/// The debug output of a connection had the message that was being assembled, that of a control
/// frame its payload, and that of the output all that waited.
#[test]
fn regression_debug_showed_what_was_held() {
    let partial = |first: u8| frame(first, SECRET)[..20].to_vec();
    for role in BOTH {
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let config = Config::new().with_delivery(delivery);
            for first in [0x81, 0x01, 0x82, 0x02, 0x88, 0x89, 0x8A] {
                let mut input = to(*role, &partial(first));
                if first == 0x88 {
                    input = to(
                        *role,
                        &frame(first, [b"\x03\xE8", SECRET.as_bytes()].concat()),
                    );
                }
                let mut conn = connection(*role, &config);
                receive(&mut conn, START, &input, &mut Vec::new()).unwrap();
                hides(&conn);
                let (receiver, sender) = conn.into_split();
                hides(&receiver);
                hides(&sender);
            }
            let mut conn = connection(*role, &config);
            hides(&all_that_can_wait(&mut conn).poll_transmit());
            hides(&conn);
        }
    }
    hides(&Input::new(&mut SECRET.to_owned().into_bytes()));
    hides(&Prepared::new(SECRET));
}

/// Masked output is no secret to whoever has the frame, so only that of a server shows anything.
fn all_that_can_wait(conn: &mut Connection) -> &mut Connection {
    conn.send(SECRET).unwrap();
    conn.send(vec![b's'; 10_000]).unwrap();
    conn.send_with(SECRET, sockeye::Priority::Urgent).unwrap();
    conn.send_fragment(Kind::Text, SECRET.as_bytes(), false)
        .unwrap();
    conn.ping(SECRET.as_bytes()).unwrap();
    conn.pong(SECRET.as_bytes()).unwrap();
    conn.close(START, CloseCode::NORMAL, SECRET).unwrap();
    conn
}

/// What waits to be inflated, and what the codecs remember.
#[test]
fn compressed_messages_are_not_shown() {
    let config = with_deflate(Deflate::client()).with_delivery(Delivery::Chunks);
    let mut peer = connection(Role::Server, &config);
    let long = format!("{SECRET}{}", "a".repeat(1_000_000));
    peer.send(&*long).unwrap();
    hides(&peer);
    let mut wire = drain(&mut peer);
    let mut conn = connection(Role::Client, &config);
    let mut input = Input::new(&mut wire);
    assert!(conn.receive(START, &mut input).unwrap().is_some());
    hides(&conn);
}
