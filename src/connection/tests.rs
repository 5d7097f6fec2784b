//! What needs a look inside, and regressions.

use alloc::vec::Vec;

use bytes::Buf;

use super::*;
use crate::input::Input;

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
    conn.send("kept").unwrap();
    conn.close(START, CloseCode::NORMAL, "replaced").unwrap();
    receive(&mut conn, BAD).unwrap_err();
    assert_eq!(drain(&mut conn), b"\x81\x04kept\x88\x02\x03\xEA");

    let mut conn = server();
    conn.close(START, CloseCode::NORMAL, "").unwrap();
    conn.poll_transmit().unwrap().advance(1);
    receive(&mut conn, BAD).unwrap_err();
    assert_eq!(drain(&mut conn), b"\x02\x03\xE8");
}

#[test]
fn a_pong_that_was_not_sent_leaves_the_close_clean() {
    for ended_by_peer in [true, false] {
        let mut conn = Connection::client(&Config::new(), Negotiated::new(), || [0; 4], START);
        conn.close(START, CloseCode::NORMAL, "").unwrap();
        drain(&mut conn);
        receive(&mut conn, b"\x89\x00\x88\x02\x03\xE8").unwrap();
        assert!(conn.queued() > 0);
        if ended_by_peer {
            conn.handle_eof().unwrap();
        } else {
            let deadline = conn.poll_timeout().unwrap();
            conn.handle_timeout(deadline).unwrap();
        }
        assert!(conn.closed().unwrap().clean);
    }
}

#[test]
fn a_partial_message_is_released_when_the_connection_ends() {
    for partial in [&b"\x01\x05Hello"[..], b"\x82\x05He", b"\x89\x05He"] {
        for by_eof in [true, false] {
            let mut conn = Connection::client(&Config::new(), Negotiated::new(), || [0; 4], START);
            conn.close(START, CloseCode::NORMAL, "").unwrap();
            receive(&mut conn, partial).unwrap();
            assert!(!conn.receiver.is_empty());
            if by_eof {
                conn.handle_eof().unwrap_err();
            } else {
                let deadline = conn.poll_timeout().unwrap();
                conn.handle_timeout(deadline).unwrap_err();
            }
            assert!(conn.receiver.is_empty());
        }
    }
}

#[test]
fn g_04_the_sum_of_fragments_does_not_overflow() {
    let limits = Limits::new().with_max_frame_size(u64::MAX);
    let config = Config::new().with_limits(limits.with_max_message_size(u64::MAX));
    for (before, expected) in [
        (1 << 63, Ok(())),
        (u64::MAX - 5, Ok(())),
        (u64::MAX - 4, Err(())),
    ] {
        let mut conn = Connection::client(&config, Negotiated::new(), || [0; 4], START);
        receive(&mut conn, b"\x02\x00").unwrap();
        conn.receiver.pretend_size(before);
        let result = receive(&mut conn, b"\x80\x05");
        let too_large = Error::Capacity(crate::error::CapacityError::MessageTooLarge);
        assert_eq!(result, expected.map_err(|()| too_large));
    }
}
