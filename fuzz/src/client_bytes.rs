//! Any bytes into a client's connection.

use sockeye::{
    CloseCode, Config, Deflate, DeflateParams, Memory, Negotiated, SendError, State, Transport,
};

use super::wire::*;

/// See [`receive`].
pub fn check(data: &[u8]) {
    receive(Role::Client, data);
}

/// Flags: bit 0 whether the limits are small, bit 1 whether pieces are delivered, bit 2 whether
/// messages may be compressed, bit 3 whether output is taken after each read, bit 4 whether this
/// side closes in the middle, bits 5 and 6 how it ends. Then a byte that says how the bytes are
/// cut, and the bytes.
pub fn receive(role: Role, data: &[u8]) {
    let mut source = Source(data);
    let flags = source.flags();
    let mut cuts = Cuts::new(source.byte());
    let mut config = if flags.bit(0) { small() } else { Config::new() };
    if flags.bit(1) {
        config = chunked(&config);
    }
    let mut negotiated = Negotiated::new();
    if flags.bit(2) {
        config = config.with_deflate(Deflate::server().with_receive_memory(Memory::Window));
        negotiated = negotiated.with_deflate(DeflateParams::new());
    }

    let mut conn = connection(role, &config, negotiated);
    let mut reads = 0;
    let mut closes = false;
    let outcome = feed(&mut conn, source.0, &mut cuts, |conn, output| {
        assert!(conn.queued() <= MAX_CONTROL_QUEUED, "unbounded output");
        reads += 1;
        if flags.bit(4) && reads == 3 {
            closes = conn.close(START, CloseCode::GOING_AWAY, "").is_ok();
        }
        if flags.bit(3) {
            drain(conn, output);
        }
    });
    if !closes {
        assert_answers(role, &outcome);
    } else {
        // There is one Close frame, whoever began.
        let frames = sent(role, &outcome.output);
        let closes = frames.iter().filter(|frame| frame.first == 0x88);
        assert_eq!(closes.count(), 1);
    }

    let is_over = outcome.error.is_some() || matches!(outcome.events.last(), Some(Got::Close(..)));
    let expected = if is_over || closes {
        State::Closing
    } else {
        State::Open
    };
    assert_eq!(conn.state(), expected);
    if is_over {
        assert_eq!(conn.send("too late"), Err(SendError::NotOpen));
        assert!(conn.poll_timeout().is_some(), "no deadline");
        // 6455-5.5.1-13: a client waits for the server, unless something broke.
        let waits = role == Role::Client && outcome.error.is_none();
        assert_eq!(conn.transport() == Transport::Open, waits);
    }
    if flags.bit(4) && closes {
        conn.abort();
        assert_eq!(conn.state(), State::Closed);
    } else {
        end(&mut conn, &outcome, flags.number(5, 2));
    }
}
