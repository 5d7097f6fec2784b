//! What a connection may hold in all, by both directions together.

use std::io::Write;

use sockeye::tokio::TokioIo;
use sockeye::{
    CapacityError, Config, Connection, Error, Event, Limits, Negotiated, SendError, SendOptions,
    SocketError, WebSocket,
};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use crate::support::*;

crate::on_every_adapter!(
    regression_each_direction_had_the_limit_for_itself,
    regression_each_half_had_the_limit_for_itself,
);

const LIMIT: usize = 10_000;

fn limits() -> Limits {
    Limits::new().with_max_memory(Some(LIMIT))
}

/// Most of a message, and something that ends the wait for the rest.
fn send_most_of_a_message(mut stream: impl Write) {
    let frames = [masked(0x02, &[7; 9000]), masked(0x8A, b"")].concat();
    stream.write_all(&frames).unwrap();
}

/// The adapters run the halves of a connection, and did not tell one what the other holds: so a
/// limit for all that a connection holds was a limit for each direction.
fn regression_each_direction_had_the_limit_for_itself<A: Adapter>() {
    let server = async move |mut ws: A::Ws| {
        let event = ws.recv_event().await.unwrap().unwrap();
        assert!(matches!(event, Event::Pong(_)));
        let mut send = |bytes: Vec<u8>| ws.try_feed_with(bytes, SendOptions::new());
        send(vec![1; 1100]).unwrap();
        assert_eq!(send(vec![1; 100]).unwrap_err().error, SendError::Full);
        ws.flush().await.unwrap();
        // There is no room for the rest, either.
        ws.recv().await.unwrap_err()
    };
    let config = hasty().with_limits(limits());
    let (error, ()) = serve_raw::<A, _, _, _>(config, server, |mut stream| {
        send_most_of_a_message(&stream);
        while read_frame(&mut stream).unwrap().0 != 0x82 {}
        stream.write_all(&masked(0x80, &[7; 1001])).unwrap();
        while read_frame(&mut stream).is_some() {}
    });
    assert_out_of_memory(&error);
}

fn regression_each_half_had_the_limit_for_itself<A: Adapter>() {
    let server = async move |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let event = receive.recv_event().await.unwrap().unwrap();
        assert!(matches!(event, Event::Pong(_)));
        send.try_feed(vec![1; 1100]).unwrap();
        assert_eq!(send.try_feed("more").unwrap_err().error, SendError::Full);
        // With other limits there is room.
        send.set_limits(&Limits::new());
        send.try_feed("more").unwrap();
        send.set_limits(&limits());
        assert_eq!(send.try_feed("more").unwrap_err().error, SendError::Full);
        send.flush().await.unwrap();
        assert_eq!(receive.recv().await.unwrap().unwrap().len(), 9900);
        // What was held is free again.
        send.try_feed(vec![1; 1100]).unwrap();
        send.try_feed("more").unwrap();
    };
    let config = hasty().with_limits(limits());
    serve_raw::<A, _, _, _>(config, server, |mut stream| {
        send_most_of_a_message(&stream);
        while read_frame(&mut stream).unwrap().1.len() != 4 {}
        stream.write_all(&masked(0x80, &[7; 900])).unwrap();
        while read_frame(&mut stream).is_some() {}
    });
}

fn assert_out_of_memory(error: &SocketError) {
    let expected = Error::Capacity(CapacityError::OutOfMemory);
    assert!(
        matches!(error, SocketError::Connection(error) if *error == expected),
        "{error:?}"
    );
}

/// A client, and the other end of a transport that takes little.
fn open(limits: Limits) -> (WebSocket<TokioIo<DuplexStream>>, DuplexStream) {
    let (near, far) = duplex(1000);
    let config = Config::new().with_limits(limits);
    let now = sockeye::Instant::now();
    let connection = Connection::client(&config, Negotiated::new(), || [1, 2, 3, 4], now);
    (WebSocket::new(TokioIo::new(near), connection, &[]), far)
}

/// What waits for a peer that does not read leaves less room for what it sends.
#[test]
fn what_waits_leaves_less_room_to_receive() {
    Tokio::run(async {
        for split in [false, true] {
            let (mut ws, mut far) = open(limits());
            ws.try_feed(vec![0; 9000]).unwrap();
            let frame = [&[0x02, 126, 0x27, 0x10][..], &[7; 9000]].concat();
            let receiving = async {
                match split {
                    false => ws.recv().await,
                    true => ws.split().0.recv().await,
                }
            };
            let sending = async {
                far.write_all(&frame).await.unwrap();
                drop(far);
            };
            let (received, ()) = tokio::join!(receiving, sending);
            assert_out_of_memory(&received.unwrap_err());
        }
    });
}
