//! The deadlines of open connections over real sockets, on every adapter.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sockeye::{CloseCode, Config, Error, Limits, SocketError, State, Timeout, Timeouts};

use crate::support::*;

crate::on_every_adapter!(
    a_dead_peer,
    a_dead_peer_by_half,
    a_dead_peer_that_was_probed_by_half,
    a_stalled_write,
    a_stalled_write_while_receiving,
    a_stalled_write_by_half,
    a_stalled_write_without_reading,
    a_paused_reader,
    idle,
    idle_by_half,
    lifetime,
    lifetime_by_half,
    lifetime_in_a_flood,
    round_trips,
    round_trips_by_half,
);

const PING: Duration = Duration::from_millis(150);
const PONG: Duration = Duration::from_millis(250);
const WRITE: Duration = Duration::from_millis(400);

/// For a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than two sockets hold.
const LARGE: usize = 32 << 20;

fn config(timeouts: Timeouts) -> Config {
    Config::new()
        .with_timeouts(timeouts)
        .with_limits(Limits::new().with_max_queued(LARGE / 2))
}

fn keep_alive() -> Timeouts {
    Timeouts::new().with_ping(Some(PING)).with_pong(Some(PONG))
}

fn writing() -> Timeouts {
    Timeouts::new().with_write(Some(WRITE))
}

fn assert_elapsed(elapsed: Duration, expected: Duration) {
    assert!(elapsed >= expected, "{elapsed:?}");
    assert!(elapsed < expected + PATIENCE, "{elapsed:?}");
}

fn is_timeout(error: Option<SocketError>, timeout: Timeout) -> bool {
    match error {
        Some(SocketError::Connection(Error::Timeout(expired))) => expired == timeout,
        _ => false,
    }
}

/// A peer that neither reads nor answers until the server is done.
fn silence<A: Adapter, S, F>(config: Config, server: S) -> F::Output
where
    S: FnOnce(A::Ws) -> F + Send + 'static,
    F: Future<Output: Send + 'static>,
{
    let (done, wait) = mpsc::channel::<()>();
    let server = async move |ws| {
        let output = server(ws).await;
        drop(done);
        output
    };
    serve_raw::<A, _, _, _>(config, server, |stream| {
        let _done = wait.recv();
        drop(stream);
    })
    .0
}

fn a_dead_peer<A: Adapter>() {
    let (elapsed, closed) = silence::<A, _, _>(config(keep_alive()), async |mut ws: A::Ws| {
        let started = Instant::now();
        assert!(is_timeout(ws.recv().await.err(), Timeout::Pong));
        (started.elapsed(), ws.closed().unwrap())
    });
    assert_elapsed(elapsed, PING + PONG);
    assert_eq!(closed.expired, Some(Timeout::Pong));
    assert!(!closed.clean);
}

fn a_dead_peer_by_half<A: Adapter>() {
    let (elapsed, closed) = silence::<A, _, _>(config(keep_alive()), async |ws: A::Ws| {
        let started = Instant::now();
        let (mut receive, _send) = A::split(ws);
        assert!(is_timeout(receive.recv().await.err(), Timeout::Pong));
        (started.elapsed(), receive.closed().unwrap())
    });
    assert_elapsed(elapsed, PING + PONG);
    assert_eq!(closed.expired, Some(Timeout::Pong));
    assert!(!closed.clean);
}

/// The ping leaves in another task, while the receiving half sleeps.
fn a_dead_peer_that_was_probed_by_half<A: Adapter>() {
    let timeouts = keep_alive().with_ping(Some(PATIENCE * 100));
    silence::<A, _, _>(config(timeouts), async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            assert!(is_timeout(receive.recv().await.err(), Timeout::Pong));
            Instant::now()
        };
        let sending = async move || {
            thread::sleep(Duration::from_millis(50));
            let started = Instant::now();
            send.probe().await.unwrap();
            (started, send)
        };
        let (ended, (started, _send)) = A::both(receiving, sending).await;
        assert_elapsed(ended - started, PONG);
    });
}

fn a_stalled_write<A: Adapter>() {
    let elapsed = silence::<A, _, _>(config(writing()), async |mut ws: A::Ws| {
        let started = Instant::now();
        let error = ws.send(vec![0; LARGE]).await.err();
        assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
        let elapsed = started.elapsed();
        assert!(is_timeout(ws.recv().await.err(), Timeout::Write));
        assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Write));
        assert_eq!(ws.queued(), 0);
        elapsed
    });
    assert_elapsed(elapsed, WRITE);
}

fn a_stalled_write_while_receiving<A: Adapter>() {
    let elapsed = silence::<A, _, _>(config(writing()), async |mut ws: A::Ws| {
        let started = Instant::now();
        ws.feed(vec![0; LARGE]).await.unwrap();
        assert!(is_timeout(ws.recv().await.err(), Timeout::Write));
        assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Write));
        started.elapsed()
    });
    assert_elapsed(elapsed, WRITE);
}

/// The receiving half sleeps without a deadline when the other half's write begins to wait.
fn a_stalled_write_by_half<A: Adapter>() {
    let elapsed = silence::<A, _, _>(config(writing()), async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            assert!(is_timeout(receive.recv().await.err(), Timeout::Write));
        };
        let sending = async move || {
            thread::sleep(Duration::from_millis(50));
            let started = Instant::now();
            let error = send.send(vec![0; LARGE]).await.err();
            assert!(matches!(error, Some(SocketError::Io(_))), "{error:?}");
            started.elapsed()
        };
        A::both(receiving, sending).await.1
    });
    assert_elapsed(elapsed, WRITE);
}

/// A connection that only sends is freed by the deadline as well, although the peer talks on.
fn a_stalled_write_without_reading<A: Adapter>() {
    let timeouts = writing().with_ping(Some(PING)).with_pong(Some(PONG));
    let (done, wait) = mpsc::channel::<()>();
    let server = async move |mut ws: A::Ws| {
        let started = Instant::now();
        while ws.send(vec![0; LARGE / 4]).await.is_ok() {}
        assert_eq!(ws.state(), State::Closed);
        assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Write));
        drop(done);
        started.elapsed()
    };
    let (elapsed, ()) = serve_raw::<A, _, _, _>(config(timeouts), server, |mut stream| {
        while wait.recv_timeout(PING) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _full = stream.write(&masked(0x81, b"words"));
        }
    });
    assert_elapsed(elapsed, WRITE);
}

/// Answers pings, and the Close frame in the end. Tells how many pings there were.
fn answer(mut stream: TcpStream) -> usize {
    let mut pings = 0;
    while let Some((first, payload)) = read_frame(&mut stream) {
        match first {
            0x89 => {
                pings += 1;
                stream.write_all(&masked(0x8A, &payload)).unwrap();
            }
            0x88 => stream.write_all(&masked(0x88, &payload)).unwrap(),
            _ => {}
        }
    }
    pings
}

/// The application does something else for longer than all deadlines together, twice: with a ping
/// under way, and without.
fn a_paused_reader<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        for _ in 0..2 {
            let message = ws.recv().await.unwrap().unwrap();
            assert_eq!(message.as_text(), Some("words"));
            thread::sleep((PING + PONG) * 2);
        }
        assert_eq!(ws.recv().await.unwrap().unwrap().len(), 4);
        ws.close(CloseCode::NORMAL, "").await.unwrap()
    };
    let (closed, pings) = serve_raw::<A, _, _, _>(config(keep_alive()), server, |mut stream| {
        let mut second = stream.try_clone().unwrap();
        let talking = thread::spawn(move || {
            second.write_all(&masked(0x81, b"words")).unwrap();
            thread::sleep((PING + PONG) * 2 + PING + PONG / 2);
            second.write_all(&masked(0x81, b"words")).unwrap();
            thread::sleep((PING + PONG) * 3);
            second.write_all(&masked(0x81, b"last")).unwrap();
        });
        let pings = answer(stream.try_clone().unwrap());
        talking.join().unwrap();
        let _end = stream.read(&mut [0]);
        pings
    });
    assert!(closed.clean, "{closed:?}");
    assert_eq!(closed.expired, None);
    assert!(pings > 0);
}

/// Expects a Close frame with code 1001, and answers it.
fn expect_going_away(mut stream: TcpStream) {
    assert_eq!(read_frame(&mut stream), Some((0x88, vec![3, 0xE9])));
    stream.write_all(&masked(0x88, &[3, 0xE9])).unwrap();
    assert_eq!(read_frame(&mut stream), None);
}

fn ends_cleanly<A: Adapter>(timeouts: Timeouts, split: bool, expired: Timeout) {
    let server = async move |mut ws: A::Ws| {
        let started = Instant::now();
        let closed = if split {
            let (mut receive, _send) = A::split(ws);
            assert!(receive.recv().await.unwrap().is_none());
            receive.closed()
        } else {
            assert!(ws.recv().await.unwrap().is_none());
            ws.closed()
        };
        (closed.unwrap(), started.elapsed())
    };
    let config = config(timeouts);
    let ((closed, elapsed), ()) = serve_raw::<A, _, _, _>(config, server, expect_going_away);
    assert_elapsed(elapsed, PING);
    assert!(closed.clean, "{closed:?}");
    assert_eq!(closed.error, None);
    assert_eq!(closed.expired, Some(expired));
    assert_eq!(closed.sent, Some(CloseCode::GOING_AWAY));
    assert!(closed.since.is_some());
}

fn idle<A: Adapter>() {
    let timeouts = Timeouts::new().with_idle(Some(PING));
    ends_cleanly::<A>(timeouts, false, Timeout::Idle);
}

fn idle_by_half<A: Adapter>() {
    let timeouts = Timeouts::new().with_idle(Some(PING));
    ends_cleanly::<A>(timeouts, true, Timeout::Idle);
}

fn lifetime<A: Adapter>() {
    let timeouts = Timeouts::new().with_lifetime(Some(PING), Duration::ZERO);
    ends_cleanly::<A>(timeouts, false, Timeout::Lifetime);
}

fn lifetime_by_half<A: Adapter>() {
    let timeouts = Timeouts::new().with_lifetime(Some(PING), Duration::ZERO);
    ends_cleanly::<A>(timeouts, true, Timeout::Lifetime);
}

/// A peer that sends on, as fast as it can, and does not answer the Close frame.
fn lifetime_in_a_flood<A: Adapter>() {
    let timeouts = Timeouts::new()
        .with_lifetime(Some(PING), Duration::ZERO)
        .with_close(Some(PONG));
    let server = async |mut ws: A::Ws| {
        let started = Instant::now();
        let error = loop {
            match ws.recv().await {
                Ok(message) => assert!(message.is_some()),
                Err(error) => break Some(error),
            }
        };
        assert!(is_timeout(error, Timeout::Close));
        (ws.closed().unwrap(), started.elapsed())
    };
    let ((closed, elapsed), ()) =
        serve_raw::<A, _, _, _>(config(timeouts), server, |mut stream| {
            let flood = masked(0x82, &[0; 100]).repeat(1000);
            let limit = Instant::now() + PATIENCE;
            while Instant::now() < limit && stream.write_all(&flood).is_ok() {}
        });
    assert_elapsed(elapsed, PING + PONG);
    assert_eq!(closed.sent, Some(CloseCode::GOING_AWAY));
}

/// Half of it must show: a thread may be held up between writing a ping and reading the clock.
const DELAY: Duration = Duration::from_millis(40);

/// Answers so many pings with a delay, and says that it is done.
fn answer_slowly(mut stream: TcpStream, pings: usize) {
    for _ in 0..pings {
        let (first, payload) = read_frame(&mut stream).unwrap();
        assert_eq!(first, 0x89);
        thread::sleep(DELAY);
        stream.write_all(&masked(0x8A, &payload)).unwrap();
    }
    stream.write_all(&masked(0x81, b"done")).unwrap();
    answer(stream);
}

fn round_trips<A: Adapter>() {
    let timeouts = Timeouts::new().with_ping(Some(PING));
    let server = async |mut ws: A::Ws| {
        assert_eq!(ws.rtt(), None);
        ws.probe().await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("done"));
        let rtt = ws.rtt().unwrap();
        for round_trip in [rtt.last, rtt.min, rtt.smoothed] {
            assert_elapsed(round_trip, DELAY / 2);
        }
        assert!(ws.close(CloseCode::NORMAL, "").await.unwrap().clean);
    };
    let peer = |stream| answer_slowly(stream, 3);
    serve_raw::<A, _, _, _>(config(timeouts), server, peer);
}

fn round_trips_by_half<A: Adapter>() {
    let server = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        assert_eq!(send.rtt(), None);
        send.probe().await.unwrap();
        assert!(receive.recv().await.unwrap().is_some());
        let rtt = send.rtt().unwrap();
        assert_elapsed(rtt.last, DELAY / 2);
        assert_eq!(rtt.last, rtt.min);
        send.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(receive.recv().await.unwrap().is_none());
    };
    let peer = |stream| answer_slowly(stream, 1);
    serve_raw::<A, _, _, _>(config(Timeouts::new()), server, peer);
}
