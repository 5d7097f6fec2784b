//! How connections end.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use sockeye::{
    CloseCode, Config, Error, Initiator, Limits, ProtocolError, SendError, SocketError, State,
    Timeout,
};

use crate::support::*;

crate::on_every_adapter!(
    by_the_client,
    by_the_server,
    by_both,
    by_tungstenite,
    misuse,
    peer_vanishes,
    peer_resets,
    peer_is_silent,
    peer_does_not_read,
    protocol_error_while_idle,
    protocol_error_in_a_flood,
    drained_before_the_end,
    close_in_a_flood,
);

fn by_the_client<A: Adapter>() {
    let (served, closed) = serve::<A, _, _, _, _>(Config::new(), echo, async |mut ws: A::Ws| {
        assert_eq!(ws.state(), State::Open);
        let code = CloseCode::from(4001);
        let closed = ws.close(code, "bye").await.unwrap();
        assert_eq!(ws.state(), State::Closed);
        // It stays over.
        assert!(ws.recv().await.unwrap().is_none());
        assert!(ws.recv_event().await.unwrap().is_none());
        assert_eq!(ws.close(code, "again").await.unwrap(), closed);
        let error = ws.send("late").await.unwrap_err();
        assert!(matches!(error, SocketError::Send(SendError::NotOpen)));
        closed
    });
    let served = served.unwrap();
    for (closed, initiator) in [(&closed, Initiator::Local), (&served, Initiator::Peer)] {
        assert_eq!(closed.initiator, initiator);
        assert!(closed.clean);
        assert_eq!(closed.error, None);
        assert_eq!(closed.code(), CloseCode::from(4001));
        assert_eq!(closed.sent, Some(CloseCode::from(4001)));
    }
    assert_eq!(served.reason(), "bye");
}

fn by_the_server<A: Adapter>() {
    let server = async |mut ws: A::Ws| ws.close(CloseCode::GOING_AWAY, "bye").await.unwrap();
    let (served, closed) = serve::<A, _, _, _, _>(Config::new(), server, async |mut ws: A::Ws| {
        assert!(ws.recv().await.unwrap().is_none());
        ws.closed().unwrap()
    });
    assert_eq!(served.initiator, Initiator::Local);
    assert_eq!(closed.initiator, Initiator::Peer);
    assert_eq!(closed.reason(), "bye");
    for closed in [served, closed] {
        assert!(closed.clean, "{closed:?}");
        assert_eq!(closed.code(), CloseCode::GOING_AWAY);
    }
}

fn by_both<A: Adapter>() {
    let barrier = Arc::new(Barrier::new(2));
    let other = Arc::clone(&barrier);
    let server = async move |mut ws: A::Ws| {
        other.wait();
        ws.close(CloseCode::from(4001), "server").await.unwrap()
    };
    let client = async move |mut ws: A::Ws| {
        barrier.wait();
        ws.close(CloseCode::from(4002), "client").await.unwrap()
    };
    let (served, closed) = serve::<A, _, _, _, _>(Config::new(), server, client);
    assert_eq!(served.sent, Some(CloseCode::from(4001)));
    assert_eq!(closed.sent, Some(CloseCode::from(4002)));
    assert_eq!(served.reason(), "client");
    assert_eq!(closed.reason(), "server");
    for closed in [served, closed] {
        assert!(closed.clean, "{closed:?}");
        assert_eq!(closed.initiator, Initiator::Local);
    }
}

fn by_tungstenite<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut ws = tungstenite::accept(stream).unwrap();
        let frame = tungstenite::protocol::CloseFrame {
            code: 4007.into(),
            reason: "tung".into(),
        };
        ws.close(Some(frame)).unwrap();
        while ws.read().is_ok() {}
    });
    A::run(async {
        let mut ws = A::connect(&format!("ws://{address}/")).await.unwrap();
        assert!(ws.recv().await.unwrap().is_none());
        let closed = ws.closed().unwrap();
        assert!(closed.clean);
        assert_eq!(closed.code(), CloseCode::from(4007));
        assert_eq!(closed.reason(), "tung");
    });
    serving.join().unwrap();
}

fn misuse<A: Adapter>() {
    serve::<A, _, _, _, _>(Config::new(), echo, async |mut ws: A::Ws| {
        let error = ws.close(CloseCode::ABNORMAL, "").await.unwrap_err();
        assert!(matches!(
            error,
            SocketError::Send(SendError::InvalidCloseCode)
        ));
        let long = "x".repeat(124);
        let error = ws.close(CloseCode::NORMAL, &long).await.unwrap_err();
        assert!(matches!(
            error,
            SocketError::Send(SendError::ControlTooLong)
        ));
        let error = ws.ping(&[0; 126]).await.unwrap_err();
        assert!(error.is_misuse());
        ws.send("still open").await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap().len(), 10);
        let closed = ws.close(CloseCode::NORMAL, &long[..123]).await.unwrap();
        assert!(closed.clean);
    });
}

fn peer_vanishes<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        let first = ws.recv().await.unwrap_err();
        let second = ws.recv().await.unwrap_err();
        assert!(ws.send("x").await.is_err());
        (first.to_string(), second.to_string(), ws.closed().unwrap())
    };
    let ((first, second, closed), ()) =
        serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
            // In the middle of a frame.
            stream.write_all(&masked(0x82, &[0; 100])[..50]).unwrap();
        });
    assert_eq!(first, Error::Eof.to_string());
    assert_eq!(second, first);
    assert!(!closed.clean);
    assert_eq!(closed.code(), CloseCode::ABNORMAL);
    assert_eq!(closed.initiator, Initiator::Peer);
}

/// A reset loses nothing that came before it.
fn peer_resets<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        // What is never read makes the peer's end a reset.
        ws.send("unread").await.unwrap();
        let message = ws.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some("last words"));
        let first = ws.recv().await.unwrap_err();
        let second = ws.recv().await.unwrap_err();
        assert!(matches!(second, SocketError::Connection(Error::Eof)));
        (first, ws.closed().unwrap())
    };
    let ((first, closed), ()) = serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        stream.write_all(&masked(0x81, b"last words")).unwrap();
        stream.peek(&mut [0]).unwrap();
    });
    assert!(
        matches!(
            first,
            SocketError::Io(_) | SocketError::Connection(Error::Eof)
        ),
        "{first:?}"
    );
    assert!(!closed.clean);
}

fn peer_is_silent<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        let started = Instant::now();
        let error = ws.close(CloseCode::NORMAL, "").await.unwrap_err();
        let elapsed = started.elapsed();
        assert!(elapsed >= Duration::from_millis(200), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
        assert!(matches!(
            error,
            SocketError::Connection(Error::Timeout(Timeout::Close))
        ));
        let closed = ws.closed().unwrap();
        assert!(!closed.clean);
        assert_eq!(closed.sent, Some(CloseCode::NORMAL));
        assert_eq!(closed.code(), CloseCode::ABNORMAL);
    };
    serve_raw::<A, _, _, _>(hasty(), server, |mut stream| {
        assert_eq!(read_frame(&mut stream).unwrap().0, 0x88);
        assert_eq!(read_frame(&mut stream), None);
    });
}

/// The deadline holds for a Close frame that cannot even be written.
fn peer_does_not_read<A: Adapter>() {
    const SIZE: usize = 16 << 20;
    // No other deadline than the one in question.
    let timeouts = hasty().timeouts().clone().with_handshake(None);
    let config = Config::new()
        .with_timeouts(timeouts)
        .with_limits(Limits::new().with_max_queued(2 * SIZE));
    let (done, wait) = std::sync::mpsc::channel();
    let server = async move |mut ws: A::Ws| {
        ws.feed(vec![0; SIZE]).await.unwrap();
        let started = Instant::now();
        let error = ws.close(CloseCode::NORMAL, "").await.unwrap_err();
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
        assert!(matches!(
            error,
            SocketError::Connection(Error::Timeout(Timeout::Close))
        ));
        assert_eq!(ws.queued(), 0);
        done.send(()).unwrap();
    };
    serve_raw::<A, _, _, _>(config, server, |stream| {
        wait.recv().unwrap();
        drop(stream);
    });
}

fn expect_failure<A: Adapter>(
    config: Config,
    peer: impl FnOnce(TcpStream),
) -> (SocketError, sockeye::Closed, Duration) {
    let server = async |mut ws: A::Ws| {
        let started = Instant::now();
        let error = ws.recv().await.unwrap_err();
        (error, ws.closed().unwrap(), started.elapsed())
    };
    serve_raw::<A, _, _, _>(config, server, peer).0
}

fn protocol_error_while_idle<A: Adapter>() {
    let (error, closed, elapsed) = expect_failure::<A>(Config::new(), |mut stream| {
        stream.write_all(&masked(0x83, b"reserved")).unwrap();
        let (first, payload) = read_frame(&mut stream).unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &[3, 0xEA][..]));
        assert_eq!(read_frame(&mut stream), None);
    });
    assert!(matches!(
        error,
        SocketError::Connection(Error::Protocol(ProtocolError::ReservedOpcode))
    ));
    assert_eq!(closed.sent, Some(CloseCode::PROTOCOL_ERROR));
    assert!(!closed.clean);
    // The peer ended the transport, so nobody had to wait for the deadline.
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

/// The Close frame and the end of the stream arrive, not a reset, although the peer sends on.
fn protocol_error_in_a_flood<A: Adapter>() {
    let config = Config::new();
    let (error, _, elapsed) = expect_failure::<A>(config, |mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            writer.write_all(&masked(0x83, b"reserved")).unwrap();
            let flood = masked(0x82, &[0; 60_000]);
            for _ in 0..200 {
                writer.write_all(&flood).unwrap();
            }
            writer.shutdown(Shutdown::Write).unwrap();
        });
        // The socket is full by the time anybody reads.
        writing.join().unwrap();
        let (first, payload) = read_frame(&mut stream).unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &[3, 0xEA][..]));
        assert_eq!(read_frame(&mut stream), None);
    });
    assert!(matches!(error, SocketError::Connection(Error::Protocol(_))));
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
}

/// What was sent before a Close frame arrives before it, whatever its size.
fn drained_before_the_end<A: Adapter>() {
    const SIZE: usize = 8 << 20;
    let config = Config::new().with_limits(Limits::new().with_max_queued(2 * SIZE));
    let server = async |mut ws: A::Ws| {
        ws.feed(pattern(SIZE)).await.unwrap();
        ws.close(CloseCode::NORMAL, "").await.unwrap()
    };
    let (served, ()) = serve::<A, _, _, _, _>(config, server, async |mut ws: A::Ws| {
        let message = ws.recv().await.unwrap().unwrap();
        assert!(message.as_bytes() == pattern(SIZE));
        assert!(ws.recv().await.unwrap().is_none());
    });
    assert!(served.clean);
}

/// A peer that sends on instead of answering the Close frame does not keep the connection.
fn close_in_a_flood<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        ws.recv().await.unwrap().unwrap();
        let started = Instant::now();
        let error = ws.close(CloseCode::NORMAL, "").await.unwrap_err();
        assert!(matches!(
            error,
            SocketError::Connection(Error::Timeout(Timeout::Close))
        ));
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    };
    serve_raw::<A, _, _, _>(hasty(), server, |mut stream| {
        let flood = masked(0x82, &[0; 100]).repeat(1000);
        let limit = Instant::now() + Duration::from_secs(5);
        while Instant::now() < limit && stream.write_all(&flood).is_ok() {}
    });
}
