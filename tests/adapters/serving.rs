//! Handlers that reply over real sockets, on both asynchronous adapters.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sockeye::{
    CloseCode, Config, Error, Limits, ReadIo, SocketError, State, Timeout, Timeouts, WebSocket,
    WriteIo,
};
use tokio::sync::Notify;

use crate::support::*;

macro_rules! on_both_adapters {
    ($($scenario:ident),* $(,)?) => {
        mod on_tokio {
            $(#[test] fn $scenario() {
                crate::support::bounded(super::$scenario::<crate::support::Tokio, _>);
            })*
        }
        mod on_futures {
            $(#[test] fn $scenario() {
                crate::support::bounded(super::$scenario::<crate::support::Futures, _>);
            })*
        }
    };
}

on_both_adapters!(
    every_size,
    a_reply_is_seen_while_the_handler_waits,
    a_client_that_reads_late,
    a_client_that_never_reads,
    the_server_closes,
);

/// An asynchronous adapter over the transport `I`.
trait Asynchronous<I>: Adapter<Ws = WebSocket<I>> {}

impl<I, A: Adapter<Ws = WebSocket<I>>> Asynchronous<I> for A {}

fn every_size<A: Asynchronous<I>, I: ReadIo + WriteIo + 'static>() {
    let server = async |mut ws: WebSocket<I>| {
        ws.serve(async |message, replies| replies.send(message).await)
            .await
    };
    let client = async |mut ws: WebSocket<I>| {
        for size in [0, 1, 125, 126, 4096, 65_536, 4 << 20] {
            for _ in 0..3 {
                ws.feed(pattern(size)).await.unwrap();
            }
            ws.ping(b"between").await.unwrap();
            for _ in 0..3 {
                let echo = ws.recv().await.unwrap().unwrap();
                assert!(echo.as_bytes() == pattern(size), "{size}");
            }
        }
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    };
    let (closed, ()) = serve::<A, _, _, _, _>(Config::new(), server, client);
    assert!(closed.unwrap().clean);
}

/// The handler waits until the client has seen the reply, which it never would if that waited for
/// the handler. Then it waits for the time alone.
fn a_reply_is_seen_while_the_handler_waits<A: Asynchronous<I>, I: ReadIo + WriteIo + 'static>() {
    let seen = Arc::new(Notify::new());
    let told = Arc::clone(&seen);
    let server = async move |mut ws: WebSocket<I>| {
        ws.serve(async |message, replies| {
            replies.send(message).await?;
            told.notified().await;
            replies.send("seen").await
        })
        .await
    };
    let (closed, ()) = serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        let both = [masked(0x81, b"one"), masked(0x81, b"two")].concat();
        stream.write_all(&both).unwrap();
        for text in [b"one", b"two"] {
            assert_eq!(read_frame(&mut stream), Some((0x81, text.to_vec())));
            seen.notify_one();
            assert_eq!(read_frame(&mut stream), Some((0x81, b"seen".to_vec())));
        }
        stream.write_all(&masked(0x88, b"")).unwrap();
        assert_eq!(read_frame(&mut stream), Some((0x88, b"".to_vec())));
    });
    assert!(closed.unwrap().clean);
}

/// More than the sockets and the queue take: the handler waits for room, and goes on.
fn a_client_that_reads_late<A: Asynchronous<I>, I: ReadIo + WriteIo + 'static>() {
    const COUNT: usize = 1000;
    const SIZE: usize = 20_000;
    let config = Config::new().with_limits(Limits::new().with_max_queued(3 * SIZE));
    let server = async |mut ws: WebSocket<I>| {
        ws.serve(async |message, replies| {
            replies.send(message).await?;
            assert!(replies.queued() < 5 * SIZE);
            Ok::<_, SocketError>(())
        })
        .await
    };
    let (closed, ()) = serve_raw::<A, _, _, _>(config, server, |mut stream| {
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            for i in 0..COUNT {
                writing
                    .write_all(&masked(0x82, &vec![i as u8; SIZE]))
                    .unwrap();
            }
            writing.write_all(&masked(0x88, b"")).unwrap();
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!writer.is_finished(), "it is held back");
        for i in 0..COUNT {
            assert!(
                read_frame(&mut stream) == Some((0x82, vec![i as u8; SIZE])),
                "{i}"
            );
        }
        assert_eq!(read_frame(&mut stream), Some((0x88, b"".to_vec())));
        writer.join().unwrap();
    });
    assert!(closed.unwrap().clean);
}

/// The connection ends in time, although the handler waits for something else.
fn a_client_that_never_reads<A: Asynchronous<I>, I: ReadIo + WriteIo + 'static>() {
    const SIZE: usize = 32 << 20;
    let timeouts = Timeouts::new().with_write(Some(Duration::from_millis(100)));
    let limits = Limits::new().with_max_queued(2 * SIZE);
    let config = Config::new().with_timeouts(timeouts).with_limits(limits);
    let server = async |mut ws: WebSocket<I>| {
        let outcome = ws
            .serve(async |_, replies| {
                replies.send(vec![0; SIZE]).await?;
                // Woken by nobody else than the connection's own timer.
                std::future::poll_fn(|_| match replies.state() {
                    State::Closed => std::task::Poll::Ready(()),
                    _ => std::task::Poll::Pending,
                })
                .await;
                Ok::<_, SocketError>(())
            })
            .await;
        assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Write));
        outcome.unwrap_err()
    };
    let (error, ()) = serve_raw::<A, _, _, _>(config, server, |mut stream| {
        stream.write_all(&masked(0x81, b"more, please")).unwrap();
        thread::sleep(Duration::from_millis(400));
    });
    let expected = Error::Timeout(Timeout::Write);
    assert!(matches!(error, SocketError::Connection(error) if error == expected));
}

fn the_server_closes<A: Asynchronous<I>, I: ReadIo + WriteIo + 'static>() {
    let server = async |mut ws: WebSocket<I>| {
        ws.serve(async |message, replies| {
            replies.send(message).await?;
            replies.close(CloseCode::NORMAL, "enough")
        })
        .await
    };
    let client = async |mut ws: WebSocket<I>| {
        for _ in 0..100 {
            ws.feed("again").await.unwrap();
        }
        ws.flush().await.unwrap();
        let mut count = 0;
        while ws.recv().await.unwrap().is_some() {
            count += 1;
        }
        count
    };
    let (closed, count) = serve::<A, _, _, _, _>(Config::new(), server, client);
    assert!(closed.unwrap().clean);
    assert_eq!(count, 1);
}
