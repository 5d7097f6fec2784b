//! Transports that fail, at every stage of a connection's life, on every adapter.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockeye::handshake::ClientRequest;
use sockeye::{
    CloseCode, Config, Error, HandshakeError, Initiator, SendError, SocketError, State, Timeouts,
    blocking,
};

use crate::support::*;

crate::on_every_adapter!(
    reset_during_the_servers_handshake,
    reset_during_the_clients_handshake,
    reset_while_open,
    reset_while_open_by_half,
    reset_while_closing,
    reset_before_the_close_is_answered,
    half_close_while_open,
    half_close_after_a_close_frame,
    half_close_that_waits_for_output,
    halves_dropped_at_each_stage,
);

/// Ends a connection with a reset: what its peer sent is never read.
fn reset(stream: TcpStream) {
    stream.peek(&mut [0]).unwrap();
    drop(stream);
}

/// Deadlines that are running and must not get in the way.
fn watched() -> Config {
    let timeouts = Timeouts::new()
        .with_ping(Some(Duration::from_millis(20)))
        .with_pong(Some(Duration::from_secs(60)))
        .with_write(Some(Duration::from_secs(60)))
        .with_idle(Some(Duration::from_secs(60)))
        .with_lifetime(Some(Duration::from_secs(60)), Duration::from_secs(1))
        .with_close(Some(Duration::from_millis(500)));
    Config::new().with_timeouts(timeouts)
}

fn is_lost(error: &SocketError) -> bool {
    matches!(
        error,
        SocketError::Io(_) | SocketError::Connection(Error::Eof)
    )
}

/// Wherever the request breaks off.
fn reset_during_the_servers_handshake<A: Adapter>() {
    for len in [0, 1, 20, REQUEST.len() - 1, REQUEST.len()] {
        let (listener, address) = listen();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            A::run(async {
                match A::accept(stream, &watched()).await {
                    Ok(mut ws) => {
                        let error = ws.recv().await.unwrap_err();
                        assert!(is_lost(&error), "{error:?}");
                        assert_eq!(ws.state(), State::Closed);
                        None
                    }
                    Err(error) => Some(error),
                }
            })
        });
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&REQUEST[..len]).unwrap();
        if len == REQUEST.len() {
            reset(stream);
        } else {
            drop(stream);
        }
        let error = serving.join().unwrap();
        match error {
            None => assert_eq!(len, REQUEST.len()),
            Some(SocketError::Handshake(HandshakeError::Eof) | SocketError::Io(_)) => {}
            Some(error) => panic!("{len}: {error:?}"),
        }
    }
}

/// Wherever the response breaks off.
fn reset_during_the_clients_handshake<A: Adapter>() {
    for response in ["", "HTTP/1.1 101", "HTTP/1.1 101 Switching Protocols\r\n"] {
        let (listener, address) = listen();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(response.as_bytes()).unwrap();
            reset(stream);
        });
        A::run(async {
            let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
            let error = A::connect_with(&request, &watched()).await.err().unwrap();
            assert!(
                matches!(error, SocketError::Handshake(_) | SocketError::Io(_)),
                "{error:?}"
            );
        });
        serving.join().unwrap();
    }
}

/// In every part of a frame: nothing that is not whole comes out.
fn reset_while_open<A: Adapter>() {
    let frame = masked(0x82, &[7; 300]);
    for len in [0, 1, 2, 3, 4, 7, 8, 100, frame.len() - 1] {
        let sent = [masked(0x81, b"whole"), frame[..len].to_vec()].concat();
        let server = async |mut ws: A::Ws| {
            ws.send("unread").await.unwrap();
            assert_eq!(ws.recv().await.unwrap().unwrap().len(), 5);
            let error = ws.recv().await.unwrap_err();
            assert!(is_lost(&error), "{error:?}");
            // It is over for every call.
            assert!(ws.recv().await.is_err());
            assert!(ws.flush().await.is_ok() || ws.state() == State::Closed);
            assert!(ws.send("late").await.is_err());
            assert!(ws.ping(b"late").await.is_err());
            assert!(ws.probe().await.is_err());
            ws.closed().unwrap()
        };
        let (closed, ()) = serve_raw::<A, _, _, _>(watched(), server, |mut stream| {
            stream.write_all(&sent).unwrap();
            reset(stream);
        });
        assert!(!closed.clean, "{len}: {closed:?}");
        assert_eq!(closed.initiator, Initiator::Peer);
        assert_eq!(closed.code(), CloseCode::ABNORMAL);
    }
}

/// Both halves learn of it: one that waits for input, and one that sends.
fn reset_while_open_by_half<A: Adapter>() {
    let server = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            let error = receive.recv().await.unwrap_err();
            assert!(is_lost(&error), "{error:?}");
        };
        let sending = async move || {
            loop {
                match send.send(vec![0; 10_000]).await {
                    Ok(()) => {}
                    Err(SocketError::Send(SendError::NotOpen) | SocketError::Io(_)) => return,
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        A::both(receiving, sending).await;
    };
    serve_raw::<A, _, _, _>(watched(), server, reset);
}

/// A peer that answers the Close frame with a reset, or in the middle of its own.
fn reset_while_closing<A: Adapter>() {
    for len in [0, 1, 6, 7] {
        let server = async |mut ws: A::Ws| {
            let started = Instant::now();
            let outcome = ws.close(CloseCode::NORMAL, "").await;
            assert!(outcome.is_err(), "{outcome:?}");
            assert_eq!(ws.state(), State::Closed);
            (ws.closed().unwrap(), started.elapsed())
        };
        let ((closed, elapsed), ()) = serve_raw::<A, _, _, _>(watched(), server, |mut stream| {
            let frame = masked(0x88, &[3, 0xE8]);
            stream.write_all(&frame[..len]).unwrap();
            reset(stream);
        });
        assert!(!closed.clean, "{len}: {closed:?}");
        assert_eq!(closed.sent, Some(CloseCode::NORMAL));
        assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
    }
}

/// A peer that sends its Close frame and is gone before the answer.
fn reset_before_the_close_is_answered<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        ws.send("unread").await.unwrap();
        // Clean or not: both frames may have made it.
        let _outcome = ws.recv().await;
        assert_eq!(ws.state(), State::Closed);
        ws.closed().unwrap()
    };
    let (closed, ()) = serve_raw::<A, _, _, _>(watched(), server, |mut stream| {
        stream.write_all(&masked(0x88, &[3, 0xE9])).unwrap();
        reset(stream);
    });
    assert_eq!(closed.code(), CloseCode::GOING_AWAY);
    assert_eq!(closed.initiator, Initiator::Peer);
}

/// The end of the peer's stream ends an open connection, although this side could still write.
fn half_close_while_open<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        assert_eq!(ws.recv().await.unwrap().unwrap().len(), 5);
        let error = ws.recv().await.unwrap_err();
        assert!(matches!(error, SocketError::Connection(Error::Eof)));
        ws.closed().unwrap()
    };
    let (closed, ()) = serve_raw::<A, _, _, _>(watched(), server, |mut stream| {
        stream.write_all(&masked(0x81, b"words")).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        while let Some((first, _)) = read_frame(&mut stream) {
            assert_eq!(first, 0x89);
        }
    });
    assert!(!closed.clean);
}

/// A peer that shuts down behind its Close frame gets the answer.
fn half_close_after_a_close_frame<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        assert!(ws.recv().await.unwrap().is_none());
        ws.closed().unwrap()
    };
    let (closed, ()) = serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_frame(&mut stream), Some((0x88, vec![3, 0xE8])));
        assert_eq!(read_frame(&mut stream), None);
    });
    assert!(closed.clean || closed.received.is_some(), "{closed:?}");
}

/// And all that was sent before, however long it takes.
fn half_close_that_waits_for_output<A: Adapter>() {
    const SIZE: usize = 8 << 20;
    let server = async |mut ws: A::Ws| {
        ws.feed(pattern(SIZE)).await.unwrap();
        assert!(ws.recv().await.unwrap().is_none());
    };
    let config = Config::new().with_max_fragment(None);
    serve_raw::<A, _, _, _>(config, server, |mut stream| {
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let (first, payload) = read_frame(&mut stream).unwrap();
        assert_eq!(first, 0x82);
        assert!(payload == pattern(SIZE));
        assert_eq!(read_frame(&mut stream), Some((0x88, vec![3, 0xE8])));
        assert_eq!(read_frame(&mut stream), None);
    });
}

/// One half goes before anything happened, with output that waits, or while it closes. The other
/// works on, with deadlines running.
fn halves_dropped_at_each_stage<A: Adapter>() {
    // The sending half, with nothing sent.
    let server = async |ws: A::Ws| {
        let (mut receive, send) = A::split(ws);
        drop(send);
        thread::sleep(Duration::from_millis(50));
        while receive.recv().await.unwrap().is_some() {}
        assert!(receive.closed().unwrap().clean);
    };
    let polite = |mut stream: TcpStream| {
        stream.write_all(&masked(0x81, b"words")).unwrap();
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
        while read_frame(&mut stream).is_some() {}
    };
    serve_raw::<A, _, _, _>(watched(), server, polite);

    // The sending half, after its Close frame: the receiving half sees the deadline through.
    let server = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        send.close(CloseCode::NORMAL, "").await.unwrap();
        drop(send);
        let started = Instant::now();
        let outcome = receive.recv().await;
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    };
    let silent = |mut stream: TcpStream| while read_frame(&mut stream).is_some() {};
    serve_raw::<A, _, _, _>(watched(), server, silent);

    // The receiving half, with a message of the peer's unread.
    let server = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let first = receive.recv().await.unwrap().unwrap();
        assert_eq!(first.as_text(), Some("words"));
        drop(receive);
        send.send("still there").await.unwrap();
        send.close(CloseCode::NORMAL, "").await.unwrap();
    };
    let listening = |mut stream: TcpStream| {
        stream.write_all(&masked(0x81, b"words")).unwrap();
        loop {
            match read_frame(&mut stream) {
                Some((0x89, _)) => {}
                frame => break assert_eq!(frame, Some((0x81, b"still there".to_vec()))),
            }
        }
        assert_eq!(read_frame(&mut stream), Some((0x88, vec![3, 0xE8])));
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
    };
    serve_raw::<A, _, _, _>(watched(), server, listening);
}

/// A socket whose every other call is interrupted, and which takes and gives one byte at a time.
#[derive(Debug)]
struct Interrupted {
    stream: TcpStream,
    turn: usize,
}

impl Interrupted {
    fn interrupt(&mut self) -> io::Result<()> {
        self.turn += 1;
        match self.turn % 2 {
            1 => Err(ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }
}

impl Read for Interrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt()?;
        self.stream.read(&mut buffer[..1])
    }
}

impl Write for Interrupted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.interrupt()?;
        self.stream.write(&buffers[0][..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.interrupt()?;
        self.stream.flush()
    }
}

impl blocking::Stream for Interrupted {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

/// Signals interrupt system calls, which changes nothing: at both ends, from the handshake to the
/// closing one.
#[test]
fn blocking_calls_may_be_interrupted() {
    bounded(|| {
        let (listener, address) = listen();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let stream = Interrupted { stream, turn: 0 };
            let mut ws = blocking::accept(stream, &watched()).unwrap();
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
            ws.closed().unwrap()
        });
        let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = Interrupted { stream, turn: 0 };
        let (mut ws, _) = blocking::client(stream, &request, &watched()).unwrap();
        for len in [0, 1, 125, 126, 2000] {
            ws.send(pattern(len)).unwrap();
            assert!(ws.recv().unwrap().unwrap().as_bytes() == pattern(len));
        }
        assert!(ws.close(CloseCode::NORMAL, "").unwrap().clean);
        assert!(serving.join().unwrap().clean);
    });
}
