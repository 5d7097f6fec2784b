//! Connections in two halves, for two tasks or threads.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use sockeye::{CloseCode, Config, Error, Event, Message, SendError, SocketError, Timeout};

use crate::support::*;

crate::on_every_adapter!(
    full_duplex,
    a_peer_that_only_sends,
    a_peer_that_sends_and_does_not_read,
    close_wakes_the_receiving_half,
    close_is_seen_through,
    without_the_receiving_half,
    regression_a_lone_sending_half_kept_no_deadline,
    regression_a_sending_half_that_was_left_alone_kept_no_deadline,
    without_the_sending_half,
    the_peer_ends_it,
);

const MESSAGE: usize = 64 << 10;
const COUNT: usize = 256;

/// Sends 16 MiB, with pings in between, while the other half receives as much: neither waits for
/// the other.
async fn flood_both_ways<A: Adapter>(ws: A::Ws) {
    let (mut receive, mut send) = A::split(ws);
    let receiving = async move || {
        let (mut messages, mut pings, mut pongs) = (0, 0, 0);
        while messages < COUNT || pongs == 0 || pings < COUNT / 8 {
            match receive.recv_event().await.unwrap() {
                Some(Event::Binary(payload)) => {
                    assert!(payload.len() == MESSAGE);
                    assert!(
                        payload
                            .iter()
                            .all(|byte| usize::from(*byte) == messages % 256)
                    );
                    messages += 1;
                }
                Some(Event::Ping(_)) => pings += 1,
                Some(Event::Pong(_)) => pongs += 1,
                other => panic!("{other:?}"),
            }
        }
        receive
    };
    let sending = async move || {
        for i in 0..COUNT {
            send.send(vec![(i % 256) as u8; MESSAGE]).await.unwrap();
            if i % 8 == 0 {
                send.ping(&[i as u8]).await.unwrap();
            }
        }
        send
    };
    let (mut receive, mut send) = A::both(receiving, sending).await;
    // The other end may have closed already.
    match send.close(CloseCode::NORMAL, "").await {
        Ok(()) | Err(SocketError::Send(SendError::NotOpen)) => {}
        Err(error) => panic!("{error}"),
    }
    while let Some(event) = receive.recv_event().await.unwrap() {
        assert!(
            matches!(event, Event::Pong(_) | Event::Close(_)),
            "{event:?}"
        );
    }
    assert!(receive.closed().unwrap().clean);
}

fn full_duplex<A: Adapter>() {
    let end = flood_both_ways::<A>;
    serve::<A, _, _, _, _>(Config::new(), end, end);
}

/// A peer that floods with pings and data while this side sends as much: it gets its pongs and its
/// messages.
fn a_peer_that_only_sends<A: Adapter>() {
    let server = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            let mut bytes = 0;
            while let Some(message) = receive.recv().await.unwrap() {
                bytes += message.len();
            }
            bytes
        };
        let sending = async move || {
            for i in 0..COUNT {
                send.send(vec![i as u8; MESSAGE]).await.unwrap();
            }
        };
        A::both(receiving, sending).await.0
    };
    let (bytes, ()) = serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            let flood = [masked(0x82, &[1; MESSAGE]), masked(0x89, b"ping")].concat();
            for _ in 0..COUNT {
                writer.write_all(&flood).unwrap();
            }
        });
        let (mut messages, mut pongs) = (0, 0);
        while messages < COUNT || pongs == 0 {
            match read_frame(&mut stream).unwrap() {
                (0x82, _) => messages += 1,
                (0x8A, _) => pongs += 1,
                other => panic!("{other:?}"),
            }
        }
        writing.join().unwrap();
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
        while let Some((first, _)) = read_frame(&mut stream) {
            assert!(matches!(first, 0x8A | 0x88));
        }
    });
    assert_eq!(bytes, COUNT * MESSAGE);
}

/// The receiving half waits for a silent peer when the other half closes. It keeps the deadline.
fn close_wakes_the_receiving_half<A: Adapter>() {
    let server = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            assert!(receive.recv().await.unwrap().is_some());
            let error = receive.recv().await.unwrap_err();
            assert!(!receive.closed().unwrap().clean);
            error
        };
        let sending = async move || {
            send.send("go").await.unwrap();
            send.close(CloseCode::NORMAL, "").await.unwrap();
            Instant::now()
        };
        let (error, closed_at) = A::both(receiving, sending).await;
        assert!(matches!(
            error,
            SocketError::Connection(Error::Timeout(Timeout::Close))
        ));
        closed_at.elapsed()
    };
    let (elapsed, ()) = serve_raw::<A, _, _, _>(hasty(), server, |mut stream| {
        stream.write_all(&masked(0x81, b"first")).unwrap();
        assert_eq!(read_frame(&mut stream).unwrap().0, 0x81);
        assert_eq!(read_frame(&mut stream).unwrap().0, 0x88);
        assert_eq!(read_frame(&mut stream), None);
    });
    assert!(elapsed >= Duration::from_millis(150), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
}

fn close_is_seen_through<A: Adapter>() {
    let client = async |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            assert_eq!(receive.recv().await.unwrap().unwrap().len(), 2);
            assert!(receive.recv().await.unwrap().is_none());
            receive.closed().unwrap()
        };
        let sending = async move || {
            send.send("hi").await.unwrap();
            send.close(CloseCode::from(4000), "bye").await.unwrap();
            let error = send.send("late").await.unwrap_err();
            assert!(matches!(error, SocketError::Send(SendError::NotOpen)));
        };
        A::both(receiving, sending).await.0
    };
    let (served, closed) = serve::<A, _, _, _, _>(Config::new(), echo, client);
    assert!(closed.clean);
    assert_eq!(closed.code(), CloseCode::from(4000));
    assert_eq!(served.unwrap().reason(), "bye");
}

/// What is left can still send.
fn without_the_receiving_half<A: Adapter>() {
    let server = async |ws: A::Ws| {
        let (receive, mut send) = A::split(ws);
        drop(receive);
        for _ in 0..100 {
            send.send(vec![1; MESSAGE]).await.unwrap();
        }
        send.close(CloseCode::NORMAL, "").await.unwrap();
    };
    serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        for _ in 0..100 {
            assert_eq!(read_frame(&mut stream).unwrap().0, 0x82);
        }
        assert_eq!(read_frame(&mut stream).unwrap().0, 0x88);
        assert_eq!(read_frame(&mut stream), None);
    });
}

/// More than sockets take.
const STUCK: usize = 32 << 20;

/// The receiving half keeps the deadlines. Without it a send waited for a peer that does not read for
/// as long as that liked.
fn regression_a_lone_sending_half_kept_no_deadline<A: Adapter>() {
    let short = Some(Duration::from_millis(200));
    let never = sockeye::Timeouts::new().with_close(None);
    for (timeouts, expired) in [
        (never.clone().with_write(short), Timeout::Write),
        (never.clone().with_close(short), Timeout::Close),
        (
            never.with_close(short).with_lifetime(short, Duration::ZERO),
            Timeout::Lifetime,
        ),
    ] {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let server = async move |ws: A::Ws| {
            let _until_the_end = done;
            let (receive, mut send) = A::split(ws);
            drop(receive);
            let started = Instant::now();
            let result = if expired == Timeout::Close {
                send.try_feed(vec![0; STUCK]).unwrap();
                send.close(CloseCode::NORMAL, "").await
            } else {
                send.send(vec![0; STUCK]).await
            };
            assert!(result.is_err(), "{expired:?}");
            assert_eq!(send.closed().unwrap().expired, Some(expired));
            started.elapsed()
        };
        let config = Config::new().with_timeouts(timeouts);
        let (elapsed, ()) = serve_raw::<A, _, _, _>(config, server, |stream| {
            let _gone = wait.recv();
            drop(stream);
        });
        assert!(elapsed >= Duration::from_millis(190), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    }
}

/// The same if the receiving half goes while the other one waits.
fn regression_a_sending_half_that_was_left_alone_kept_no_deadline<A: Adapter>() {
    let timeouts = sockeye::Timeouts::new().with_write(Some(Duration::from_millis(300)));
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let server = async move |ws: A::Ws| {
        let _until_the_end = done;
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            let event = receive.recv_event().await.unwrap();
            assert!(matches!(event, Some(Event::Pong(_))));
        };
        let sending = async move || {
            assert!(send.send(vec![0; STUCK]).await.is_err());
            send.closed().unwrap().expired
        };
        A::both(receiving, sending).await.1
    };
    let config = Config::new().with_timeouts(timeouts);
    let (expired, ()) = serve_raw::<A, _, _, _>(config, server, |mut stream| {
        thread::sleep(Duration::from_millis(100));
        stream.write_all(&masked(0x8A, b"")).unwrap();
        let _gone = wait.recv();
    });
    assert_eq!(expired, Some(Timeout::Write));
}

/// What is left receives, answers, and sees the end.
fn without_the_sending_half<A: Adapter>() {
    let server = async |ws: A::Ws| {
        let (mut receive, send) = A::split(ws);
        drop(send);
        assert_eq!(receive.recv().await.unwrap().unwrap().len(), 4);
        assert!(receive.recv().await.unwrap().is_none());
        assert!(receive.closed().unwrap().clean);
    };
    serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        stream.write_all(&masked(0x89, b"ping")).unwrap();
        assert_eq!(read_frame(&mut stream), Some((0x8A, b"ping".to_vec())));
        stream.write_all(&masked(0x81, b"text")).unwrap();
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
        assert_eq!(read_frame(&mut stream), Some((0x88, vec![3, 0xE8])));
        assert_eq!(read_frame(&mut stream), None);
    });
}

/// A sender that waits for a peer that reads no more is let go when the connection ends.
fn the_peer_ends_it<A: Adapter>() {
    let (blocked, wait) = std::sync::mpsc::channel();
    let server = async move |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || while let Ok(Some(_)) = receive.recv().await {};
        let sending = async move || {
            let message = vec![0; MESSAGE];
            loop {
                if send.send(&message[..]).await.is_err() {
                    return;
                }
                let _gone = blocked.send(());
            }
        };
        A::both(receiving, sending).await;
    };
    serve_raw::<A, _, _, _>(hasty(), server, |mut stream| {
        // Nobody reads, so this stops when the sockets are full.
        while wait.recv_timeout(Duration::from_millis(100)).is_ok() {}
        stream.write_all(&masked(0x88, &[3, 0xE8])).unwrap();
        // The server gives up at its deadline, not when this end does.
        while wait.recv().is_ok() {}
        drop(stream);
    });
}

/// Two tasks that run at the same time on tokio's threads, with a transport that needs no lock.
#[test]
fn tokio_threads() {
    bounded(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ws://{}/", listener.local_addr().unwrap());
            let config = Config::new();
            let (server, client) = tokio::join!(
                async {
                    let (stream, _) = listener.accept().await.unwrap();
                    let stream = sockeye::tokio::ClientStream::from(stream);
                    sockeye::tokio::accept(stream, &config).await.unwrap()
                },
                async { sockeye::tokio::connect(&url).await.unwrap() },
            );
            let (mut sending, mut receiving) = (Vec::new(), Vec::new());
            for ws in [server, client] {
                let (mut receive, mut send) =
                    ws.split_with(|stream| stream.into_tcp().unwrap().into_split());
                sending.push(tokio::spawn(async move {
                    for i in 0..COUNT {
                        send.send(vec![i as u8; MESSAGE]).await.unwrap();
                        send.ping(&[i as u8]).await.unwrap();
                    }
                    send.send("done").await.unwrap();
                    send
                }));
                receiving.push(tokio::spawn(async move {
                    let mut bytes = 0;
                    loop {
                        match receive.recv().await.unwrap().unwrap() {
                            Message::Binary(payload) => bytes += payload.len(),
                            Message::Text(_) => return (bytes, receive),
                        }
                    }
                }));
            }
            // Who is done must not leave, because it would reset the other's connection with what
            // it did not read.
            let mut done = Vec::new();
            for task in receiving {
                done.push(task.await.unwrap());
            }
            assert!(done.iter().all(|done| done.0 == COUNT * MESSAGE));
            for task in sending {
                task.await.unwrap();
            }
        });
    });
}

/// The halves that `StreamExt::split` makes, in two tasks at both ends.
async fn stream_and_sink<A: Adapter, S, E>(ws: S) -> (usize, usize)
where
    S: Stream<Item = Result<Message<'static>, E>> + Sink<Message<'static>, Error = E> + Unpin,
    S: Send + 'static,
    E: std::error::Error + 'static,
{
    let (mut sink, mut stream) = ws.split();
    let sending = async move || {
        for i in 0..COUNT {
            sink.send(Message::from(vec![i as u8; MESSAGE]))
                .await
                .unwrap();
        }
        sink.send("done".into()).await.unwrap();
        sink
    };
    let receiving = async move || {
        let mut bytes = 0;
        loop {
            match stream.next().await.unwrap().unwrap() {
                Message::Binary(payload) => bytes += payload.len(),
                Message::Text(_) => return (bytes, stream),
            }
        }
    };
    let (mut sink, (bytes, mut stream)) = A::both(sending, receiving).await;
    sink.close().await.unwrap();
    let mut rest = 0;
    while let Some(item) = stream.next().await {
        item.unwrap();
        rest += 1;
    }
    (bytes, rest)
}

fn streams_and_sinks<A: Adapter>()
where
    A::Ws: Stream<Item = Outcome<Message<'static>>>
        + Sink<Message<'static>, Error = SocketError>
        + Unpin
        + Send,
{
    bounded(|| {
        let end = stream_and_sink::<A, A::Ws, SocketError>;
        let ends = serve::<A, _, _, _, _>(Config::new(), end, end);
        for (bytes, rest) in [ends.0, ends.1] {
            assert_eq!(bytes, COUNT * MESSAGE);
            assert_eq!(rest, 0);
        }
    });
}

#[test]
fn tokio_stream_and_sink() {
    streams_and_sinks::<Tokio>();
}

#[test]
fn smol_stream_and_sink() {
    streams_and_sinks::<Futures>();
}

/// Receiving goes on at full speed while sending is stuck, whatever deadlines there are.
fn a_peer_that_sends_and_does_not_read<A: Adapter>() {
    const FRAMES: usize = 100;
    const SIZE: usize = 1 << 20;
    let config = Config::new()
        .with_timeouts(sockeye::Timeouts::new().with_ping(Some(Duration::from_secs(60))));
    let (done, wait) = std::sync::mpsc::channel();
    let server = async move |ws: A::Ws| {
        let (mut receive, mut send) = A::split(ws);
        let receiving = async move || {
            for _ in 0..FRAMES {
                receive.recv().await.unwrap().unwrap();
            }
            // The peer goes, and the other half with it.
            done.send(()).unwrap();
            while let Ok(Some(_)) = receive.recv().await {}
        };
        let sending = async move || {
            let _broken = send.send(vec![0; 16 << 20]).await;
        };
        A::both(receiving, sending).await;
    };
    serve_raw::<A, _, _, _>(config, server, |mut stream| {
        let mut frame = b"\x82\xFF\0\0\0\0\0\x10\0\0\0\0\0\0".to_vec();
        frame.resize(14 + SIZE, 7);
        for _ in 0..FRAMES {
            stream.write_all(&frame).unwrap();
        }
        wait.recv().unwrap();
        drop(stream);
    });
}
