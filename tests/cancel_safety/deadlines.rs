//! Deadlines of connections whose futures are dropped, and whose tasks change, on a clock that the
//! test winds on.

use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures_util::{Sink, Stream};
use sockeye::{
    CloseCode, Config, Error, Kind, Limits, Message, SocketError, State, Timeout, Timeouts,
    WebSocket,
};

use crate::mock::*;

const WRITE: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

fn config(timeouts: Timeouts) -> Config {
    Config::new()
        .with_timeouts(timeouts)
        .with_limits(Limits::new().with_max_queued(64))
}

fn writing() -> Config {
    config(Timeouts::new().with_write(Some(WRITE)))
}

fn keep_alive() -> Config {
    config(Timeouts::new().with_ping(Some(PING)).with_pong(Some(PONG)))
}

/// A transport that takes nothing, and a connection with a full queue on it.
fn stuck(config: &Config) -> (Mock, WebSocket<Mock>) {
    let mock = Mock::smooth();
    mock.stop_the_clock();
    mock.wire().blocked = true;
    let mut ws = server(config, &mock);
    finish(ws.feed("x".repeat(100))).unwrap();
    (mock, ws)
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Feed,
    Send,
    Flush,
    Ready,
    Fragment,
    Receive,
}

const CALLS: [Call; 6] = [
    Call::Feed,
    Call::Send,
    Call::Flush,
    Call::Ready,
    Call::Fragment,
    Call::Receive,
];

async fn call(ws: &mut WebSocket<Mock>, call: Call) -> Result<(), SocketError> {
    match call {
        Call::Feed => ws.feed("more").await,
        Call::Send => ws.send("more").await,
        Call::Flush => ws.flush().await,
        Call::Ready => ws.ready().await,
        Call::Fragment => ws.send_fragment(Kind::Text, &b"more"[..], true).await,
        Call::Receive => ws.recv().await.map(drop),
    }
}

/// Calls that wait behind a full queue, dropped after each number of polls, then others: the
/// deadline is that of the first, and the message is sent whole or not at all.
#[test]
fn a_stalled_write_is_found_between_dropped_calls() {
    for first in CALLS {
        for second in CALLS {
            for polls in 1..4 {
                let (mock, mut ws) = stuck(&writing());
                assert!(attempt(polls, call(&mut ws, first)).is_none());
                let queued = ws.queued();
                assert_eq!(queued, 102, "{first:?}");
                for _ in 0..9 {
                    mock.wind(SECOND);
                    assert!(attempt(polls, call(&mut ws, second)).is_none());
                    assert_eq!(ws.state(), State::Open);
                    assert_eq!(ws.queued(), queued, "{second:?}");
                }
                mock.wind(SECOND);
                let outcome = attempt(10, call(&mut ws, second));
                match outcome {
                    Some(Err(_)) => {}
                    // There is always room on a connection that no longer sends.
                    Some(Ok(())) => assert!(matches!(second, Call::Ready)),
                    None => panic!("{first:?}, {second:?}: it waits on"),
                }
                assert_eq!(ws.state(), State::Closed, "{first:?}, {second:?}");
                assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Write));
                assert_eq!(ws.queued(), 0);
            }
        }
    }
}

/// Progress puts the deadline off, byte by byte, in the middle of a header too.
#[test]
fn progress_puts_a_stalled_write_off() {
    for waits in CALLS {
        let (mock, mut ws) = stuck(&writing());
        mock.wire().write_size = 1;
        for _ in 0..30 {
            assert!(attempt(2, call(&mut ws, waits)).is_none(), "{waits:?}");
            mock.wind(WRITE - SECOND);
            // One byte more.
            let before = mock.taken();
            {
                let mut wire = mock.wire();
                wire.blocked = false;
                wire.takes_one = true;
            }
            let _waits = attempt(1, call(&mut ws, waits));
            assert_eq!(mock.taken(), before + 1, "{waits:?}");
        }
        assert_eq!(ws.state(), State::Open);
        mock.wind(WRITE);
        let _outcome = attempt(10, call(&mut ws, waits));
        assert_eq!(ws.state(), State::Closed, "{waits:?}");
    }
}

/// A connection goes from one task to another: the timer wakes the last one.
#[test]
fn timers_wake_the_last_task() {
    let (old, new) = (Task::new(), Task::new());
    // Waiting for input.
    let mock = Mock::smooth();
    mock.stop_the_clock();
    let mut ws = server(&keep_alive(), &mock);
    {
        let mut receiving = pin!(ws.recv());
        assert!(old.poll(receiving.as_mut()).is_pending());
        assert!(new.poll(receiving.as_mut()).is_pending());
        old.woken();
        new.woken();
        mock.wind(PING);
        assert_ne!(new.woken(), 0);
        assert!(new.poll(receiving.as_mut()).is_pending());
        assert_eq!(mock.frames().len(), 1);
        // And back, by another future.
    }
    let mut receiving = pin!(ws.recv_event());
    assert!(old.poll(receiving.as_mut()).is_pending());
    new.woken();
    mock.wind(PONG);
    assert_ne!(old.woken(), 0);
    let std::task::Poll::Ready(Err(SocketError::Connection(Error::Timeout(Timeout::Pong)))) =
        old.poll(receiving.as_mut())
    else {
        panic!("the peer is dead");
    };

    // Waiting for room.
    let (mock, mut ws) = stuck(&writing());
    let mut sending = pin!(ws.send("more"));
    assert!(old.poll(sending.as_mut()).is_pending());
    assert!(new.poll(sending.as_mut()).is_pending());
    new.woken();
    mock.wind(WRITE);
    assert_ne!(new.woken(), 0);
    assert!(new.poll(sending.as_mut()).is_ready());
}

/// Stream and sink in two tasks: whoever polled last, the timer wakes both, and the keep-alive goes
/// on although the sink waits.
#[test]
fn timers_wake_both_tasks() {
    for stream_is_last in [false, true] {
        let (mock, mut ws) = stuck(&keep_alive());
        let (reader, writer) = (Task::new(), Task::new());
        let reading = Waker::from(Arc::clone(&reader));
        let writing = Waker::from(Arc::clone(&writer));
        let mut reading = Context::from_waker(&reading);
        let mut writing = Context::from_waker(&writing);
        assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
        assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_pending());
        if stream_is_last {
            assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
        }
        reader.woken();
        writer.woken();
        mock.wind(PING);
        assert_ne!(reader.woken(), 0, "{stream_is_last}");
        assert_ne!(writer.woken(), 0, "{stream_is_last}");
        // Even if the sink comes first.
        assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_pending());
        assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
        mock.unblock();
        assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
        assert_eq!(mock.frames().len(), 2, "the message and a ping");
        assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_ready());
        mock.wire().blocked = true;
        let message = Message::from("y".repeat(100));
        Pin::new(&mut ws).start_send(message).unwrap();
        mock.wind(PONG - SECOND);
        assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_pending());
        assert!(Pin::new(&mut ws).poll_next(&mut reading).is_pending());
        reader.woken();
        writer.woken();
        mock.wind(SECOND);
        assert_ne!(reader.woken(), 0);
        assert_ne!(writer.woken(), 0);
        // The sink comes first again, and does not take the deadline away.
        assert!(Pin::new(&mut ws).poll_ready(&mut writing).is_pending());
        let item = Pin::new(&mut ws).poll_next(&mut reading);
        assert!(item.is_ready());
        assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Pong));
        assert_ne!(writer.woken(), 0, "the sink is let go");
    }
}

/// A waiting task is left alone between its deadlines, however often it is polled.
#[test]
fn waiting_with_deadlines_is_stable() {
    let mock = Mock::smooth();
    mock.stop_the_clock();
    let mut ws = server(&watched(Config::new()), &mock);
    let task = Task::new();
    let mut receiving = pin!(ws.recv());
    assert!(task.poll(receiving.as_mut()).is_pending());
    task.woken();
    let reads = mock.wire().reads;
    for polls in 1..100 {
        mock.wind(SECOND);
        assert!(task.poll(receiving.as_mut()).is_pending());
        assert_eq!(task.woken(), 0);
        assert_eq!(mock.wire().reads, reads + polls);
    }
    assert_eq!(mock.wire().writes, 0);
}

/// A peer that resets the connection right behind its Close frame: neither can the answer be
/// written, nor the transport be shut down. `recv` said that it was over, and `closed` that it was
/// not, for good.
#[test]
fn regression_a_close_that_cannot_be_answered_never_ended() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.wire().write_error = Some(ErrorKind::BrokenPipe);
    mock.wire().shutdown_error = Some(ErrorKind::NotConnected);
    mock.give(&masked(0x88, &[3, 0xE9]));
    assert!(finish(ws.recv()).unwrap().is_none());
    assert_eq!(ws.state(), State::Closed);
    let closed = ws.closed().unwrap();
    assert!(!closed.clean);
    assert_eq!(closed.code(), CloseCode::GOING_AWAY);
    assert_eq!(ws.queued(), 0);
}

/// The same on a transport that neither fails to shut down nor ends: looking for input again and
/// again kept the thread, so that not even the close deadline could pass.
#[test]
fn regression_a_close_that_cannot_be_answered_spun() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let mock = Mock::smooth();
        mock.stop_the_clock();
        let mut ws = server(&Config::new(), &mock);
        mock.wire().write_error = Some(ErrorKind::BrokenPipe);
        mock.give(&masked(0x88, &[3, 0xE9]));
        assert!(finish(ws.recv()).unwrap().is_none());
        assert_eq!(ws.state(), State::Closed);
        assert!(!ws.closed().unwrap().clean);
        done.send(mock.wire().reads).unwrap();
    });
    assert!(wait.recv_timeout(Duration::from_secs(5)).unwrap() < 10);
}
