//! Wake-ups, errors and floods: what a task may count on while it waits.

use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::{Sink, Stream};
use sockeye::handshake::{ClientRequest, Refusal};
use sockeye::{
    CloseCode, Config, Error, Message, SendError, SocketError, Timeout, Timeouts, Upgrade, futures,
};

use crate::mock::*;

/// A transport that takes part of a slice, or ends inside the next.
#[test]
fn partial_vectored_writes() {
    for size in [
        1, 2, 3, 5, 64, 101, 102, 103, 1000, 5001, 5003, 5005, 20_000,
    ] {
        let mock = Mock::smooth();
        mock.wire().write_size = size;
        let mut ws = server(&Config::new(), &mock);
        for i in 0..20 {
            finish(ws.feed(vec![i; 5000])).unwrap();
            finish(ws.feed(&[i; 100])).unwrap();
        }
        finish(ws.ping(b"ahead")).unwrap();
        let frames = mock.frames();
        assert_eq!(frames.len(), 41);
        assert!(frames.contains(&(0x89, b"ahead".to_vec())));
        let data = frames.iter().filter(|frame| frame.0 == 0x82);
        for (i, frame) in data.enumerate() {
            let len = if i % 2 == 0 { 5000 } else { 100 };
            assert!(frame.1 == vec![u8::try_from(i / 2).unwrap(); len]);
        }
    }
}

/// A waiting task is left alone, and polling it without need changes nothing.
#[test]
fn waiting_is_stable() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    finish(ws.send("hello")).unwrap();
    let writes = mock.wire().writes;
    let task = Task::new();
    {
        let mut receiving = pin!(ws.recv());
        for polls in 1..100 {
            assert!(task.poll(receiving.as_mut()).is_pending());
            assert_eq!(task.woken(), 0);
            assert_eq!(mock.wire().reads, polls);
            assert_eq!(mock.wire().writes, writes);
        }
        mock.give(&masked(0x81, b"hi"));
        assert_eq!(task.woken(), 1);
        assert!(task.poll(receiving.as_mut()).is_ready());
    }
    // The same with output that cannot leave.
    mock.wire().blocked = true;
    finish(ws.feed("stuck")).unwrap();
    {
        let mut receiving = pin!(ws.recv());
        for _ in 0..100 {
            assert!(task.poll(receiving.as_mut()).is_pending());
            assert_eq!(task.woken(), 0);
        }
        mock.unblock();
        assert_ne!(task.woken(), 0);
        assert!(task.poll(receiving.as_mut()).is_pending());
        assert_eq!(task.woken(), 0);
    }
    assert_eq!(mock.frames().len(), 2);
    // And while the peer's answer to a Close frame is missing.
    let mut closing = pin!(ws.close(CloseCode::NORMAL, ""));
    assert!(task.poll(closing.as_mut()).is_pending());
    task.woken();
    for _ in 0..100 {
        assert!(task.poll(closing.as_mut()).is_pending());
        assert_eq!(task.woken(), 0);
    }
}

/// A connection goes from one task to another: the last one is woken.
#[test]
fn wakers_are_replaced() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let (old, new) = (Task::new(), Task::new());
    {
        let mut receiving = pin!(ws.recv());
        assert!(old.poll(receiving.as_mut()).is_pending());
        assert!(new.poll(receiving.as_mut()).is_pending());
        mock.give(&masked(0x81, b"hi"));
        assert_ne!(new.woken(), 0);
        assert!(new.poll(receiving.as_mut()).is_ready());
    }
    mock.wire().blocked = true;
    assert!(old.poll(pin!(ws.send("one"))).is_pending());
    {
        let mut receiving = pin!(ws.recv());
        assert!(new.poll(receiving.as_mut()).is_pending());
        mock.unblock();
        assert_ne!(new.woken(), 0);
        assert!(new.poll(receiving.as_mut()).is_pending());
    }
    assert_eq!(mock.frames().len(), 1);
    mock.wire().blocked = true;
    let mut sending = pin!(ws.send("two"));
    assert!(old.poll(sending.as_mut()).is_pending());
    assert!(new.poll(sending.as_mut()).is_pending());
    mock.unblock();
    assert_ne!(new.woken(), 0);
    assert!(new.poll(sending.as_mut()).is_ready());
    assert_eq!(mock.frames().len(), 2);
}

/// A sender that waits for room is woken when the receiving task makes some.
#[test]
fn room_wakes_the_sender() {
    let mock = Mock::smooth();
    let (mut receive, mut send) = halves(&narrow(), &mock);
    mock.wire().blocked = true;
    finish(send.feed("x".repeat(100))).unwrap();
    let (receiver, sender) = (Task::new(), Task::new());
    let mut feeding = pin!(send.feed("y"));
    assert!(sender.poll(feeding.as_mut()).is_pending());
    mock.unblock_silently();
    mock.give(&masked(0x89, b"ping"));
    let mut receiving = pin!(receive.recv());
    assert!(receiver.poll(receiving.as_mut()).is_pending());
    assert_ne!(sender.woken(), 0);
    assert!(sender.poll(feeding.as_mut()).is_ready());
    assert_eq!(mock.frames().len(), 2);
}

#[test]
fn writing_nothing_is_an_error() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.wire().takes_nothing = true;
    match finish(ws.send("x")) {
        Err(SocketError::Io(error)) => assert_eq!(error.kind(), ErrorKind::WriteZero),
        other => panic!("{other:?}"),
    }
    assert_eq!(mock.wire().writes, 1);

    // In answer to a ping as well.
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.wire().takes_nothing = true;
    mock.give(&masked(0x89, b"ping"));
    match finish(ws.recv()) {
        Err(SocketError::Io(error)) => assert_eq!(error.kind(), ErrorKind::WriteZero),
        other => panic!("{other:?}"),
    }
    assert_eq!(mock.wire().writes, 1);
}

#[test]
fn read_errors_come_after_input() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.give(&masked(0x81, b"first"));
    mock.wire().read_error = Some(ErrorKind::ConnectionReset);
    assert_eq!(finish(ws.recv()).unwrap().unwrap().len(), 5);
    match finish(ws.recv()) {
        Err(SocketError::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    assert!(finish(ws.recv()).is_err());
    let error = finish(ws.send("x")).unwrap_err();
    assert!(matches!(error, SocketError::Send(SendError::NotOpen)));
}

/// Stream and Sink used from two tasks, as `StreamExt::split` does.
#[test]
fn stream_and_sink() {
    let mock = Mock::smooth();
    let mut ws = server(&narrow(), &mock);
    let (reader, writer) = (Task::new(), Task::new());
    let reading = Waker::from(Arc::clone(&reader));
    let writing = Waker::from(Arc::clone(&writer));
    let mut reading = Context::from_waker(&reading);
    let mut writing = Context::from_waker(&writing);
    mock.wire().blocked = true;
    assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_ready());
    let message = Message::from("x".repeat(100));
    Pin::new(&mut ws).start_send(message).unwrap();
    assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_pending());
    // The stream's task takes over the transport's waker, and still both are woken.
    assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
    mock.unblock();
    assert_ne!(reader.woken(), 0);
    assert_ne!(writer.woken(), 0);
    assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_ready());
    Pin::new(&mut ws).start_send("second".into()).unwrap();
    // The stream writes what waits.
    assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
    assert_eq!(mock.frames().len(), 2);
    // Closing by the sink wakes the stream, which has a deadline now.
    reader.woken();
    assert!(Pin::new(&mut ws).poll_close(&mut writing).is_ready());
    assert_ne!(reader.woken(), 0);
    mock.give(&masked(0x88, &[3, 0xE8]));
    mock.end();
    for _ in 0..2 {
        let item = Pin::new(&mut ws).poll_next(&mut reading);
        assert!(matches!(item, Poll::Ready(None)));
    }
    assert!(ws.closed().unwrap().clean);
}

/// Reading goes on after a failed write: what the peer said before is not lost.
#[test]
fn a_failed_write_loses_no_input() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.wire().write_error = Some(ErrorKind::BrokenPipe);
    let error = finish(ws.send("x")).unwrap_err();
    assert!(matches!(error, SocketError::Io(_)));
    // It stays broken, and nothing piles up.
    for _ in 0..10 {
        assert!(finish(ws.feed(vec![0; 5000])).is_err());
    }
    assert!(ws.queued() < 5000);
    mock.give(&masked(0x81, b"last words"));
    let message = finish(ws.recv()).unwrap().unwrap();
    assert_eq!(message.as_text(), Some("last words"));
    let error = finish(ws.recv()).unwrap_err();
    assert!(matches!(error, SocketError::Io(_)));
    let error = finish(ws.recv()).unwrap_err();
    assert!(matches!(error, SocketError::Connection(Error::Eof)));
    assert!(!ws.closed().unwrap().clean);
}

/// The receiving task learns that nothing can be written any more.
#[test]
fn a_failed_write_wakes_the_receiver() {
    for takes_nothing in [false, true] {
        let mock = Mock::smooth();
        let (mut receive, mut send) = halves(&Config::new(), &mock);
        let receiver = Task::new();
        let mut receiving = pin!(receive.recv());
        assert!(receiver.poll(receiving.as_mut()).is_pending());
        assert!(receiver.poll(receiving.as_mut()).is_pending());
        mock.wire().takes_nothing = takes_nothing;
        if !takes_nothing {
            mock.wire().write_error = Some(ErrorKind::BrokenPipe);
        }
        let error = finish(send.send("x")).unwrap_err();
        assert!(matches!(error, SocketError::Io(_)));
        assert_ne!(receiver.woken(), 0);
        let Poll::Ready(Err(SocketError::Io(_))) = receiver.poll(receiving.as_mut()) else {
            panic!("the receiving half waits");
        };
    }
}

/// A Close frame that could not be written was not sent.
#[test]
fn an_unsent_close_is_not_clean() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.wire().write_error = Some(ErrorKind::BrokenPipe);
    mock.give(&masked(0x88, &[3, 0xE8]));
    mock.end();
    let outcome = finish(ws.recv());
    assert!(!matches!(outcome, Ok(Some(_))));
    let closed = ws.closed().unwrap();
    assert!(!closed.clean, "{closed:?}");
    assert_eq!(closed.code(), CloseCode::NORMAL);
}

/// The receiving task waits to end the transport after a Close frame, which the sending task
/// happens to write.
#[test]
fn the_sender_wakes_who_ends_the_transport() {
    let mock = Mock::smooth();
    let (mut receive, mut send) = halves(&Config::new(), &mock);
    mock.wire().blocked = true;
    mock.give(&masked(0x83, b"reserved"));
    let receiver = Task::new();
    let mut receiving = pin!(receive.recv());
    assert!(receiver.poll(receiving.as_mut()).is_pending());
    receiver.woken();
    mock.unblock_silently();
    finish(send.flush()).unwrap();
    assert_eq!(mock.frames()[0].0, 0x88);
    assert_ne!(receiver.woken(), 0);
    assert!(receiver.poll(receiving.as_mut()).is_pending());
    assert!(mock.wire().shut_down);
}

/// A sender is let go when the connection ends, even if the transport stays stuck, and learns that
/// its message is lost.
#[test]
fn the_end_lets_the_sender_go() {
    for buffers in [false, true] {
        let short = Some(Duration::from_millis(20));
        let config = Config::new().with_timeouts(Timeouts::new().with_close(short));
        let mock = Mock::smooth();
        let (mut receive, mut send) = halves(&config, &mock);
        mock.wire().buffers = buffers;
        mock.wire().blocked = true;
        let sender = Task::new();
        let mut sending = pin!(send.send("stuck"));
        assert!(sender.poll(sending.as_mut()).is_pending());
        mock.give(&masked(0x88, &[3, 0xE8]));
        let outcome = smol::block_on(receive.recv());
        assert!(matches!(
            outcome,
            Err(SocketError::Connection(Error::Timeout(Timeout::Close)))
        ));
        assert_ne!(sender.woken(), 0);
        let Poll::Ready(Err(_)) = sender.poll(sending.as_mut()) else {
            panic!("the message was not sent");
        };
    }
}

/// A peer that never stops does not keep the thread: other tasks get their turn.
#[test]
fn floods_yield() {
    let config = Config::new().with_timeouts(Timeouts::new().with_close(None));
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let mock = Mock::smooth();
        mock.wire().endless = Some(masked(0x8A, &[0; 125]).repeat(100));
        let mut ws = server(&config, &mock);
        let task = Task::new();
        assert!(task.poll(pin!(ws.recv())).is_pending());
        assert_ne!(task.woken(), 0);
        assert!(
            task.poll(pin!(ws.close(CloseCode::NORMAL, "")))
                .is_pending()
        );
        assert_ne!(task.woken(), 0);
        done.send(mock.wire().reads).unwrap();
    });
    assert!(wait.recv_timeout(Duration::from_secs(5)).unwrap() < 1000);
}

/// Neither does one that was refused, and its deadline holds.
#[test]
fn refused_floods_end() {
    let short = Some(Duration::from_millis(50));
    let config = Config::new().with_timeouts(Timeouts::new().with_close(short));
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let mock = Mock::smooth();
        mock.give(
            b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\n\r\n",
        );
        let upgrade = finish(Upgrade::receive(mock.clone(), &config)).unwrap();
        mock.wire().endless = Some(vec![0; 10_000]);
        let mut rejecting = pin!(upgrade.reject(Refusal::new(403)));
        let task = Task::new();
        while task.poll(rejecting.as_mut()).is_pending() {
            assert_ne!(task.woken(), 0);
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(5)).unwrap();
}

/// A server that refuses without reading the whole request resets the connection, and its answer is
/// there to read.
#[test]
fn a_refusal_survives_a_failed_write() {
    let mock = Mock::smooth();
    mock.wire().write_error = Some(ErrorKind::BrokenPipe);
    mock.give(b"HTTP/1.1 431 Too Large\r\nContent-Length: 4\r\n\r\nno!\n");
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let config = Config::new();
    let error = finish(futures::client(mock, &request, &config)).err();
    let Some(SocketError::Handshake(error)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.response().unwrap().status(), 431);

    // Without an answer the failure is what there is to tell.
    let mock = Mock::smooth();
    mock.wire().write_error = Some(ErrorKind::BrokenPipe);
    let error = finish(futures::client(mock, &request, &config)).err();
    assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
}

/// A transport that takes one piece at a time, as those do that have no vectored writes, and whose
/// first flush may fail.
#[derive(Default)]
struct Plain {
    writes: Vec<usize>,
    flushes: usize,
    fails_to_flush: bool,
}

impl sockeye::ReadIo for Plain {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }

    fn poll_deadline(&mut self, _: &mut Context<'_>, _: Option<sockeye::Instant>) -> Poll<()> {
        Poll::Pending
    }
}

impl sockeye::WriteIo for Plain {
    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        self.writes.push(pieces[0].len());
        Poll::Ready(Ok(pieces[0].len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.flushes += 1;
        match core::mem::take(&mut self.fails_to_flush) {
            true => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            false => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The header went alone, and was flushed alone.
#[test]
fn regression_a_small_message_took_two_writes() {
    let mut ws = sockeye::WebSocket::new(Plain::default(), new_server(), &[]);
    finish(ws.send("hello")).unwrap();
    assert_eq!((&ws.io().writes[..], ws.io().flushes), (&[7][..], 1));
    finish(ws.send(vec![0; 1000])).unwrap();
    assert_eq!((&ws.io().writes[1..], ws.io().flushes), (&[4, 1000][..], 2));
}

/// A message was lost, and sending it was fine.
#[test]
fn regression_a_failed_flush_was_tried_again() {
    let io = Plain {
        fails_to_flush: true,
        ..Plain::default()
    };
    let mut ws = sockeye::WebSocket::new(io, new_server(), &[]);
    match finish(ws.send("hello")) {
        Err(SocketError::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    assert_eq!(ws.io().flushes, 1);
}

fn new_server() -> sockeye::Connection {
    let now = sockeye::Instant::from_nanos(1);
    sockeye::Connection::server(&Config::new(), sockeye::Negotiated::new(), now)
}
