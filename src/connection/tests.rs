//! What needs a look inside, and regressions.

use alloc::vec::Vec;

use bytes::Buf;

use super::*;

const START: Instant = Instant::from_millis(1);

fn server() -> Connection {
    Connection::server(&Config::new(), Negotiated::new(), START)
}

/// Feeds bytes as they are on the wire, and returns what was reported last.
fn receive(conn: &mut Connection, bytes: &[u8]) -> Result<(), Error> {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    while conn.receive(START, &mut input)?.is_some() {}
    Ok(())
}

fn drain(conn: &mut Connection) -> Vec<u8> {
    let mut segments = Vec::new();
    conn.take_transmit(&mut segments);
    segments.concat()
}

/// A reserved opcode.
const BAD: &[u8] = &[0x83];

#[test]
fn a_failure_replaces_a_close_frame_that_still_waits() {
    let mut conn = server();
    conn.send("dropped").unwrap();
    conn.close(START, CloseCode::NORMAL, "dropped, too")
        .unwrap();
    receive(&mut conn, BAD).unwrap_err();
    assert_eq!(drain(&mut conn), b"\x88\x02\x03\xEA");

    let mut conn = server();
    conn.close(START, CloseCode::NORMAL, "").unwrap();
    conn.poll_transmit().unwrap().advance(1);
    receive(&mut conn, BAD).unwrap_err();
    assert_eq!(drain(&mut conn), b"\x02\x03\xE8");
}
