//! The deadlines of open connections on tokio's paused clock: nobody waits, and the moments are
//! exact.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sockeye::tokio::TokioIo;
use sockeye::{
    CloseCode, Closed, Config, Connection, Error, Limits, Message, Negotiated, Role, SocketError,
    State, Timeout, Timeouts, WebSocket,
};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, DuplexStream, ReadBuf,
};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{bounded, masked};

type Ws<S = DuplexStream> = WebSocket<TokioIo<S>>;

const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
const WRITE: Duration = Duration::from_secs(10);

/// Timers round up to the next millisecond, and some deadlines follow another.
const SLACK: Duration = Duration::from_millis(20);

/// More than the transport takes.
const LARGE: usize = 100_000;

fn keep_alive() -> Timeouts {
    Timeouts::new().with_ping(Some(PING)).with_pong(Some(PONG))
}

fn writing() -> Timeouts {
    Timeouts::new().with_write(Some(WRITE))
}

/// Runs a test on a clock that jumps to the next deadline whenever everybody waits.
fn paused<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    bounded(|| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            // Nothing may depend on the clock's origin.
            sleep(Duration::from_secs(100)).await;
            let longest = Duration::from_secs(100 * 24 * 3600);
            timeout(longest, test()).await.expect("it waits forever");
        });
    });
}

fn server<S: AsyncRead + AsyncWrite + Unpin>(stream: S, timeouts: Timeouts) -> Ws<S> {
    let config = Config::new()
        .with_timeouts(timeouts)
        .with_limits(Limits::new().with_max_queued(1000));
    let now = Instant::now().into_std().into();
    let connection = Connection::server(&config, Negotiated::new(), now);
    WebSocket::new(TokioIo::new(stream), connection, &[])
}

/// A server and the other end of its transport.
fn open(timeouts: Timeouts) -> (Ws, DuplexStream) {
    let (near, far) = tokio::io::duplex(1000);
    (server(near, timeouts), far)
}

/// Checks how long ago something was.
fn assert_elapsed(started: Instant, expected: Duration) {
    let elapsed = started.elapsed();
    assert!(elapsed >= expected, "{elapsed:?}");
    assert!(elapsed <= expected + SLACK, "{elapsed:?}");
}

fn assert_expired(error: Option<SocketError>, closed: Option<Closed>, timeout: Timeout) {
    match error {
        Some(SocketError::Connection(Error::Timeout(expired))) => assert_eq!(expired, timeout),
        other => panic!("{other:?}"),
    }
    let closed = closed.unwrap();
    assert_eq!(closed.expired, Some(timeout));
    assert!(!closed.clean);
}

/// A peer that reads frames of up to 125 bytes and answers pings.
async fn healthy(mut far: DuplexStream) {
    let mut head = [0; 2];
    while far.read_exact(&mut head).await.is_ok() {
        let mut payload = vec![0; usize::from(head[1])];
        far.read_exact(&mut payload).await.unwrap();
        match head[0] {
            0x89 => far.write_all(&masked(0x8A, &payload)).await.unwrap(),
            0x88 => {
                far.write_all(&masked(0x88, &payload)).await.unwrap();
                return;
            }
            _ => {}
        }
    }
}

#[test]
fn a_dead_peer_is_found() {
    paused(|| async {
        let (mut ws, _far) = open(keep_alive());
        let started = Instant::now();
        let error = ws.recv().await.err();
        assert_elapsed(started, PING + PONG);
        assert_expired(error, ws.closed(), Timeout::Pong);
    });
}

#[test]
fn a_dead_peer_is_found_by_half() {
    paused(|| async {
        let (ws, _far) = open(keep_alive());
        let (mut receive, send) = ws.split();
        let started = Instant::now();
        let error = receive.recv().await.err();
        assert_elapsed(started, PING + PONG);
        assert_expired(error, send.closed(), Timeout::Pong);
        // The same without the other half.
        let (ws, _far) = open(keep_alive());
        let mut receive = ws.split().0;
        let started = Instant::now();
        let error = receive.recv().await.err();
        assert_elapsed(started, PING + PONG);
        assert_expired(error, receive.closed(), Timeout::Pong);
    });
}

/// Futures that are dropped and made anew do not put deadlines off.
#[test]
fn a_dead_peer_is_found_between_cancelled_calls() {
    paused(|| async {
        let (mut ws, _far) = open(keep_alive());
        let started = Instant::now();
        let error = loop {
            match timeout(Duration::from_millis(700), ws.recv()).await {
                Ok(outcome) => break outcome.err(),
                Err(_) if started.elapsed() < Duration::from_secs(3600) => {}
                Err(_) => panic!("it waits forever"),
            }
        };
        assert_elapsed(started, PING + PONG);
        assert_expired(error, ws.closed(), Timeout::Pong);
    });
}

#[test]
fn a_stalled_write_ends() {
    paused(|| async {
        let (mut ws, _far) = open(writing());
        let started = Instant::now();
        let error = ws.send(vec![0; LARGE]).await.err();
        assert_elapsed(started, WRITE);
        assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
        let error = ws.recv().await.err();
        assert_expired(error, ws.closed(), Timeout::Write);

        // While it waits for room.
        let (mut ws, _far) = open(writing());
        ws.feed(vec![0; LARGE]).await.unwrap();
        let started = Instant::now();
        let error = ws.feed(vec![0; LARGE]).await.err();
        assert_elapsed(started, WRITE);
        assert!(error.is_some());
        assert_expired(ws.recv().await.err(), ws.closed(), Timeout::Write);

        // While it receives.
        let (mut ws, _far) = open(writing());
        ws.feed(vec![0; LARGE]).await.unwrap();
        let started = Instant::now();
        let error = ws.recv().await.err();
        assert_elapsed(started, WRITE);
        assert_expired(error, ws.closed(), Timeout::Write);
    });
}

/// Without the receiving half, and with a sink.
#[test]
fn a_stalled_write_of_half_ends() {
    paused(|| async {
        let (ws, _far) = open(writing());
        let mut send = ws.split().1;
        let started = Instant::now();
        assert!(send.send(vec![0; LARGE]).await.is_err());
        assert_elapsed(started, WRITE);
        assert_eq!(send.closed().unwrap().expired, Some(Timeout::Write));

        let (ws, mut far) = open(writing());
        let mut send = ws.split().1;
        SinkExt::feed(&mut send, vec![0; LARGE].into())
            .await
            .unwrap();
        let started = Instant::now();
        assert!(
            SinkExt::feed(&mut send, vec![0; LARGE].into())
                .await
                .is_err()
        );
        assert_elapsed(started, WRITE);
        assert!(SinkExt::flush(&mut send).await.is_err());
        // The peer sees the end of it.
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() <= 1000);
    });
}

/// A deadline that passes while the half is not in use is met by the next call.
#[test]
fn a_lifetime_of_half_ends() {
    paused(|| async {
        let hour = Duration::from_secs(3600);
        let timeouts = Timeouts::new().with_lifetime(Some(hour), Duration::ZERO);
        let (ws, mut far) = open(timeouts);
        let mut send = ws.split().1;
        send.send("early").await.unwrap();
        sleep(2 * hour).await;
        send.flush().await.unwrap();
        assert_eq!(send.state(), State::Closing);
        let mut output = [0; 11];
        far.read_exact(&mut output).await.unwrap();
        assert_eq!(&output, b"\x81\x05early\x88\x02\x03\xE9");
    });
}

/// Output that a transport took and cannot send, as TLS does, is output that waits.
#[test]
fn a_stalled_flush_ends() {
    paused(|| async {
        let stalled = || {
            let (near, far) = tokio::io::duplex(1000);
            let buffered = BufWriter::with_capacity(2 * LARGE, near);
            (server(buffered, writing()), far)
        };
        // Two frames of up to 64 KiB.
        let frames = LARGE as u64 + 10 + 4;
        let (mut ws, _far) = stalled();
        let started = Instant::now();
        let error = ws.send(vec![0; LARGE]).await.err();
        assert_eq!(ws.sent().bytes, frames, "the transport took it");
        assert_elapsed(started, WRITE);
        assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
        assert_expired(ws.recv().await.err(), ws.closed(), Timeout::Write);

        // While it receives.
        let (mut ws, _far) = stalled();
        ws.feed(vec![0; LARGE]).await.unwrap();
        let started = Instant::now();
        let error = ws.recv().await.err();
        assert_elapsed(started, WRITE);
        assert_expired(error, ws.closed(), Timeout::Write);

        // By the other half.
        let (ws, _far) = stalled();
        let (mut receive, mut send) = ws.split();
        let receiving = tokio::spawn(async move { receive.recv().await.err() });
        sleep(Duration::from_secs(5)).await;
        let started = Instant::now();
        send.send(vec![0; LARGE]).await.unwrap_err();
        assert_elapsed(started, WRITE);
        assert_expired(receiving.await.unwrap(), send.closed(), Timeout::Write);

        // Once it is sent there is nothing to wait for.
        let (mut ws, mut far) = stalled();
        let reading = async {
            sleep(WRITE / 2).await;
            far.read_exact(&mut vec![0; LARGE + 14]).await.unwrap();
        };
        tokio::join!(reading, async { ws.send(vec![0; LARGE]).await.unwrap() });
        timeout(WRITE * 10, ws.recv()).await.unwrap_err();
        assert_eq!(ws.state(), State::Open);
    });
}

/// Progress, however slow, is none of a stalled write's.
#[test]
fn a_slow_write_goes_on() {
    paused(|| async {
        let (mut ws, mut far) = open(writing());
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 1000];
            let mut count = 0;
            while count < LARGE {
                sleep(WRITE - Duration::from_secs(1)).await;
                count += far.read(&mut buffer).await.unwrap();
            }
            far
        });
        ws.send(vec![0; LARGE]).await.unwrap();
        reading.await.unwrap();
    });
}

/// The receiving half sleeps without a deadline when the other half's write begins to wait.
#[test]
fn a_stalled_write_of_the_other_half_ends() {
    for timeouts in [writing(), writing().with_lifetime(Some(PING * 100), PONG)] {
        paused(|| async {
            let (ws, _far) = open(timeouts);
            let (mut receive, mut send) = ws.split();
            let receiving = tokio::spawn(async move {
                let error = receive.recv().await.err();
                (error, receive.closed(), Instant::now())
            });
            sleep(Duration::from_secs(5)).await;
            let started = Instant::now();
            let error = send.send(vec![0; LARGE]).await.err();
            assert_elapsed(started, WRITE);
            assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
            let (error, closed, at) = receiving.await.unwrap();
            assert!(at - started <= WRITE + SLACK);
            assert_expired(error, closed, Timeout::Write);
        });
    }
}

/// The same with the halves that `StreamExt::split` makes.
#[test]
fn a_stalled_sink_ends() {
    for timeouts in [writing(), writing().with_lifetime(Some(PING * 100), PONG)] {
        for receives in [false, true] {
            let timeouts = timeouts.clone();
            paused(move || async move {
                let (ws, _far) = open(timeouts);
                let (mut sink, mut stream) = StreamExt::split::<Message<'static>>(ws);
                let receiving = receives.then(|| {
                    tokio::spawn(async move {
                        let item = stream.next().await.unwrap();
                        assert!(item.is_err());
                    })
                });
                sleep(Duration::from_secs(5)).await;
                let started = Instant::now();
                let error = sink.send(vec![0; LARGE].into()).await.err();
                assert_elapsed(started, WRITE);
                assert!(error.is_some());
                if let Some(receiving) = receiving {
                    receiving.await.unwrap();
                    assert_elapsed(started, WRITE);
                }
            });
        }
    }
}

/// A stream that was polled and then left alone takes no deadline from the sink's task.
#[test]
fn a_stalled_sink_ends_beside_a_stream_that_nobody_polls() {
    paused(|| async {
        let (ws, _far) = open(writing());
        let (mut sink, mut stream) = StreamExt::split::<Message<'static>>(ws);
        sink.feed(vec![0; LARGE].into()).await.unwrap();
        let started = Instant::now();
        let sending = tokio::spawn(async move {
            let error = sink.flush().await.err();
            (error, sink)
        });
        sleep(Duration::from_secs(1)).await;
        let polled = tokio::spawn(async move {
            assert!(
                timeout(Duration::from_secs(1), stream.next())
                    .await
                    .is_err()
            );
            stream
        });
        let _stream = polled.await.unwrap();
        let (error, _sink) = sending.await.unwrap();
        assert!(error.is_some());
        assert_elapsed(started, WRITE);
    });
}

/// A sink that waits for room does not put out the keep-alive of the stream's task.
#[test]
fn a_waiting_sink_leaves_the_stream_its_deadlines() {
    paused(|| async {
        let (ws, mut far) = open(keep_alive());
        let (mut sink, mut stream) = StreamExt::split::<Message<'static>>(ws);
        let started = Instant::now();
        let receiving = tokio::spawn(async move {
            let item = stream.next().await;
            (item, Instant::now())
        });
        sleep(Duration::from_secs(5)).await;
        let sending = tokio::spawn(async move {
            sink.send(vec![0; LARGE].into()).await.unwrap();
            sink
        });
        sleep(Duration::from_secs(5)).await;
        // The peer reads all, says nothing, and is gone.
        far.read_exact(&mut vec![0; LARGE]).await.unwrap();
        let _sink = sending.await.unwrap();
        let (item, at) = receiving.await.unwrap();
        assert!(matches!(
            item,
            Some(Err(SocketError::Connection(Error::Timeout(Timeout::Pong))))
        ));
        let elapsed = at - started;
        assert!(
            elapsed >= PING + PONG && elapsed <= PING + PONG + SLACK,
            "{elapsed:?}"
        );
    });
}

/// A ping that left before the sink began to wait has its deadline.
#[test]
fn a_waiting_sink_does_not_put_off_the_pong() {
    paused(|| async {
        let (ws, _far) = open(keep_alive());
        let (mut sink, mut stream) = StreamExt::split::<Message<'static>>(ws);
        let started = Instant::now();
        let receiving = tokio::spawn(async move {
            let item = stream.next().await;
            (item, Instant::now())
        });
        sleep(PING + Duration::from_secs(5)).await;
        let error = sink.send(vec![0; LARGE].into()).await.err();
        assert!(error.is_some());
        assert_elapsed(started, PING + PONG);
        let (item, at) = receiving.await.unwrap();
        assert!(matches!(
            item,
            Some(Err(SocketError::Connection(Error::Timeout(Timeout::Pong))))
        ));
        let elapsed = at - started;
        assert!(
            elapsed >= PING + PONG && elapsed <= PING + PONG + SLACK,
            "{elapsed:?}"
        );
    });
}

/// What the sending half starts while the receiving half sleeps is met in time.
#[test]
fn deadlines_of_the_other_half_are_met() {
    paused(|| async {
        // Closing.
        let (ws, _far) = open(Timeouts::new());
        let (mut receive, mut send) = ws.split();
        let receiving = tokio::spawn(async move {
            let error = receive.recv().await.err();
            assert!(matches!(
                error,
                Some(SocketError::Connection(Error::Timeout(Timeout::Close)))
            ));
        });
        sleep(PING).await;
        let started = Instant::now();
        send.close(CloseCode::NORMAL, "").await.unwrap();
        receiving.await.unwrap();
        assert_elapsed(started, Duration::from_secs(5));

        // A ping.
        let timeouts = keep_alive().with_ping(Some(PING * 100));
        let (ws, _far) = open(timeouts);
        let (mut receive, mut send) = ws.split();
        let receiving = tokio::spawn(async move {
            let error = receive.recv().await.err();
            assert_expired(error, receive.closed(), Timeout::Pong);
        });
        sleep(PING).await;
        let started = Instant::now();
        send.probe().await.unwrap();
        receiving.await.unwrap();
        assert_elapsed(started, PONG);

        // A close that cannot leave.
        let (ws, _far) = open(Timeouts::new());
        let (mut receive, mut send) = ws.split();
        let receiving = tokio::spawn(async move { receive.recv().await.err() });
        send.feed(vec![0; LARGE]).await.unwrap();
        sleep(PING).await;
        let started = Instant::now();
        let error = send.close(CloseCode::NORMAL, "").await.err();
        assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
        assert!(receiving.await.unwrap().is_some());
        assert_elapsed(started, Duration::from_secs(5));
    });
}

/// A future of the sending half's that is dropped while it waits leaves its deadline.
#[test]
fn a_dropped_send_leaves_its_deadline() {
    paused(|| async {
        let (ws, _far) = open(writing());
        let (mut receive, mut send) = ws.split();
        let receiving = tokio::spawn(async move {
            let error = receive.recv().await.err();
            assert_expired(error, receive.closed(), Timeout::Write);
        });
        sleep(PING).await;
        let started = Instant::now();
        let sending = send.send(vec![0; LARGE]);
        assert!(timeout(Duration::from_secs(1), sending).await.is_err());
        drop(send);
        receiving.await.unwrap();
        assert_elapsed(started, WRITE);
    });
}

/// A connection without messages closes, and one that is old enough.
#[test]
fn idle_and_lifetime_end_cleanly() {
    let second = Duration::from_secs(1);
    let idle = Timeouts::new().with_idle(Some(PING));
    let lifetime = Timeouts::new().with_lifetime(Some(PING), Duration::ZERO);
    for (timeouts, expired) in [(idle, Timeout::Idle), (lifetime, Timeout::Lifetime)] {
        for split in [false, true] {
            let timeouts = timeouts.clone();
            paused(move || async move {
                let (mut ws, mut far) = open(timeouts);
                let started = Instant::now();
                let peer = tokio::spawn(async move {
                    let mut frame = [0; 4];
                    far.read_exact(&mut frame).await.unwrap();
                    assert_eq!(frame, [0x88, 2, 3, 0xE9]);
                    sleep(second).await;
                    far.write_all(&masked(0x88, &[3, 0xE9])).await.unwrap();
                    assert_eq!(far.read(&mut frame).await.unwrap(), 0);
                });
                let closed = if split {
                    let (mut receive, send) = ws.split();
                    assert!(receive.recv().await.unwrap().is_none());
                    send.closed()
                } else {
                    assert!(ws.recv().await.unwrap().is_none());
                    ws.closed()
                };
                assert_elapsed(started, PING + second);
                let closed = closed.unwrap();
                assert!(closed.clean, "{closed:?}");
                assert_eq!(closed.error, None);
                assert_eq!(closed.expired, Some(expired));
                peer.await.unwrap();
            });
        }
    }
}

/// Messages in either direction put off the deadline for being idle, pings do not.
#[test]
fn messages_keep_a_connection_from_being_idle() {
    paused(|| async {
        let timeouts = Timeouts::new().with_idle(Some(PING)).with_ping(Some(PONG));
        let (ws, far) = open(timeouts);
        let (mut near, far) = (ws, tokio::spawn(healthy(far)));
        let started = Instant::now();
        for _ in 0..10 {
            assert!(timeout(PONG, near.recv()).await.is_err());
            near.send("not idle").await.unwrap();
        }
        assert!(near.recv().await.unwrap().is_none());
        assert_eq!(near.closed().unwrap().expired, Some(Timeout::Idle));
        assert_elapsed(started, PONG * 10 + PING);
        far.await.unwrap();
    });
}

/// The application does something else for hours, and the peer answers all that there is to answer.
#[test]
fn a_paused_reader_is_not_killed() {
    paused(|| async {
        for split in [false, true] {
            let (mut ws, mut far) = open(Timeouts::suggested(Role::Server));
            far.write_all(&masked(0x81, b"first")).await.unwrap();
            let (message, peer);
            // A ping is under way when the application turns away.
            let first = timeout(PING + Duration::from_millis(100), async {
                while ws.recv().await.unwrap().is_some() {}
            });
            assert!(first.await.is_err());
            far.write_all(&masked(0x81, b"second")).await.unwrap();
            peer = tokio::spawn(healthy(far));
            sleep(Duration::from_secs(3600)).await;
            if split {
                let (mut receive, mut send) = ws.split();
                send.send("a word").await.unwrap();
                message = receive.recv().await.unwrap().unwrap();
                sleep(Duration::from_secs(3600)).await;
                assert!(timeout(PING * 100, receive.recv()).await.is_err());
                assert!(send.rtt().is_some());
                send.close(CloseCode::NORMAL, "").await.unwrap();
                assert!(receive.recv().await.unwrap().is_none());
                assert!(receive.closed().unwrap().clean);
            } else {
                ws.send("a word").await.unwrap();
                message = ws.recv().await.unwrap().unwrap();
                sleep(Duration::from_secs(3600)).await;
                assert!(timeout(PING * 100, ws.recv()).await.is_err());
                assert!(ws.rtt().is_some());
                assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
            }
            assert_eq!(message.as_text(), Some("second"));
            peer.await.unwrap();
        }
    });
}

/// Once the application reads again, a dead peer has all its time, and no more.
#[test]
fn a_paused_reader_finds_a_dead_peer() {
    paused(|| async {
        let (mut ws, _far) = open(keep_alive().with_write(Some(WRITE * 1000)));
        // Blocked in a send, which reads nothing.
        let sending = ws.send(vec![0; LARGE]);
        assert!(timeout(WRITE * 100, sending).await.is_err());
        let error = ws.recv().await.err();
        // The ping waits behind this side's own output, so it is not the pong that is missing.
        assert_expired(error, ws.closed(), Timeout::Write);

        let (mut ws, mut far) = open(keep_alive().with_write(Some(WRITE * 1000)));
        let sending = ws.send(vec![0; LARGE]);
        assert!(timeout(WRITE * 100, sending).await.is_err());
        let reading = tokio::spawn(async move {
            let mut sink = vec![0; LARGE];
            while far.read(&mut sink).await.unwrap() > 0 {}
        });
        let started = Instant::now();
        let error = ws.recv().await.err();
        let elapsed = started.elapsed();
        assert!(
            elapsed >= PONG && elapsed <= PING + PONG + SLACK,
            "{elapsed:?}"
        );
        assert_expired(error, ws.closed(), Timeout::Pong);
        drop(ws);
        reading.await.unwrap();
    });
}

/// A flood of data starves neither the deadlines nor the closing handshake, however slowly the
/// application takes it.
#[test]
fn a_flood_does_not_starve_deadlines() {
    paused(|| async {
        let lifetime = Timeouts::new().with_lifetime(Some(PING), Duration::ZERO);
        let (mut ws, mut far) = open(lifetime);
        let flood = tokio::spawn(async move {
            let frames = masked(0x82, &[0; 100]).repeat(100);
            while far.write_all(&frames).await.is_ok() {}
        });
        let started = Instant::now();
        let mut messages = 0;
        let error = loop {
            match ws.recv().await {
                Ok(Some(_)) => messages += 1,
                Ok(None) => panic!("the peer never answers"),
                Err(error) => break error,
            }
            // Each is a second's work.
            sleep(Duration::from_secs(1)).await;
        };
        let close = Duration::from_secs(5);
        // What is read at once takes so long, and each of the two deadlines is noticed after one
        // read and met after another.
        let read = Duration::from_secs(1000 / 100);
        let elapsed = started.elapsed();
        assert!(elapsed >= PING + close, "{elapsed:?}");
        assert!(elapsed <= PING + close + read * 4, "{elapsed:?}");
        assert!(messages >= 30, "{messages}");
        assert!(matches!(
            error,
            SocketError::Connection(Error::Timeout(Timeout::Close))
        ));
        assert_eq!(ws.closed().unwrap().sent, Some(CloseCode::GOING_AWAY));
        drop(ws);
        flood.await.unwrap();
    });
}

#[test]
fn round_trips_are_measured() {
    paused(|| async {
        let delay = Duration::from_millis(300);
        let (near, far) = tokio::io::duplex(1000);
        let (mut ws, mut far) = (server(near, Timeouts::new()), far);
        assert_eq!(ws.rtt(), None);
        ws.probe().await.unwrap();
        let peer = tokio::spawn(async move {
            for _ in 0..2 {
                let mut ping = [0; 6];
                far.read_exact(&mut ping).await.unwrap();
                assert_eq!(ping[..2], [0x89, 4]);
                sleep(delay).await;
                far.write_all(&masked(0x8A, &ping[2..])).await.unwrap();
            }
            far.write_all(&masked(0x81, b"done")).await.unwrap();
            far
        });
        assert!(timeout(delay * 2, ws.recv()).await.is_err());
        let rtt = ws.rtt().unwrap();
        assert!(rtt.last >= delay && rtt.last <= delay + SLACK, "{rtt:?}");
        let (mut receive, mut send) = ws.split();
        send.probe().await.unwrap();
        assert!(receive.recv().await.unwrap().is_some());
        let rtt = send.rtt().unwrap();
        assert!(rtt.min >= delay && rtt.smoothed <= delay + SLACK, "{rtt:?}");
        peer.await.unwrap();
    });
}

/// A transport that counts how often it is asked.
#[derive(Debug)]
struct Counting<S> {
    stream: S,
    reads: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A day with a healthy peer that says nothing: the connection lasts, and the reader wakes a few
/// times for each ping.
#[test]
fn an_idle_reader_sleeps() {
    for split in [false, true] {
        paused(move || async move {
            let day = Duration::from_secs(24 * 3600);
            let reads = Arc::new(AtomicUsize::new(0));
            let (near, far) = tokio::io::duplex(1000);
            let near = Counting {
                stream: near,
                reads: Arc::clone(&reads),
            };
            let timeouts = Timeouts::suggested(Role::Server)
                .with_idle(Some(day * 2))
                .with_lifetime(Some(day * 3), day / 10);
            let mut ws = server(near, timeouts);
            let peer = tokio::spawn(healthy(far));
            if split {
                let (mut receive, mut send) = ws.split();
                let receiving = tokio::spawn(async move { receive.recv().await.unwrap() });
                sleep(day).await;
                send.close(CloseCode::NORMAL, "").await.unwrap();
                assert!(receiving.await.unwrap().is_none());
            } else {
                assert!(timeout(day, ws.recv()).await.is_err());
                assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
            }
            peer.await.unwrap();
            let pings = 24 * 3600 / 30;
            let reads = reads.load(Ordering::Relaxed);
            assert!(reads >= pings && reads <= 10 * pings, "{reads} for {pings}");
        });
    }
}

/// Nor does output that waits make it spin.
#[test]
fn a_reader_with_waiting_output_sleeps() {
    paused(|| async {
        let reads = Arc::new(AtomicUsize::new(0));
        let (near, _far) = tokio::io::duplex(1000);
        let near = Counting {
            stream: near,
            reads: Arc::clone(&reads),
        };
        let mut ws = server(near, keep_alive().with_write(Some(PING * 100)));
        ws.feed(vec![0; LARGE]).await.unwrap();
        let error = ws.recv().await.err();
        assert_expired(error, ws.closed(), Timeout::Write);
        let reads = reads.load(Ordering::Relaxed);
        assert!(reads <= 1000, "{reads}");
    });
}
