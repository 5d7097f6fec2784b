//! Messages and control frames while the connection is open.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use sockeye::{CloseCode, Config, Event, Kind, Limits, Message, Priority, SendError};

use crate::support::*;

crate::on_every_adapter!(
    every_size,
    with_tungstenite_as_server,
    with_tungstenite_as_client,
    pipelining,
    full_reads,
    ping_and_pong,
    fragments,
    lending,
    reading_answers_pings,
    reading_writes_what_was_fed,
    a_producer_that_was_held_back,
);

const SIZES: [usize; 12] = [
    0,
    1,
    125,
    126,
    127,
    4095,
    4096,
    65_535,
    65_536,
    100_000,
    1 << 20,
    4 << 20,
];

fn text(len: usize) -> String {
    "é~ß".chars().cycle().take(len).collect()
}

/// Sends messages of every size and expects them back.
async fn talk<W: Ws>(mut ws: W) {
    for size in SIZES {
        let bytes = pattern(size);
        ws.send(&bytes[..]).await.unwrap();
        let echo = ws.recv().await.unwrap().unwrap();
        assert!(matches!(echo, Message::Binary(_)));
        assert!(echo.as_bytes() == bytes, "{size}");

        let text = text(size / 2);
        ws.send(text.clone()).await.unwrap();
        let echo = ws.recv().await.unwrap().unwrap();
        assert!(echo.as_text() == Some(&text), "{size}");
    }
    let closed = ws.close(CloseCode::NORMAL, "enough").await.unwrap();
    assert!(closed.clean);
}

fn every_size<A: Adapter>() {
    serve::<A, _, _, _, _>(Config::new(), echo, talk);
}

fn with_tungstenite_as_server<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut ws = tungstenite::accept(stream).unwrap();
        loop {
            match ws.read() {
                Ok(message) if message.is_text() || message.is_binary() => {
                    ws.send(message).unwrap();
                }
                Ok(_) => {}
                Err(error) => {
                    assert!(
                        matches!(error, tungstenite::Error::ConnectionClosed),
                        "{error}"
                    );
                    return;
                }
            }
        }
    });
    A::run(async {
        talk(A::connect(&format!("ws://{address}/")).await.unwrap()).await;
    });
    serving.join().unwrap();
}

fn with_tungstenite_as_client<A: Adapter>() {
    let (listener, address) = listen();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        A::run(async {
            let ws = A::accept(stream, &Config::new()).await.unwrap();
            echo(ws).await
        })
    });
    let stream = TcpStream::connect(address).unwrap();
    let (mut ws, _) = tungstenite::client(format!("ws://{address}/"), stream).unwrap();
    for size in SIZES {
        let message = tungstenite::Message::binary(pattern(size));
        ws.send(message.clone()).unwrap();
        assert!(ws.read().unwrap() == message, "{size}");
        let message = tungstenite::Message::text(text(size / 2));
        ws.send(message.clone()).unwrap();
        assert!(ws.read().unwrap() == message, "{size}");
    }
    ws.send(tungstenite::Message::Ping(b"are you there"[..].into()))
        .unwrap();
    let pong = tungstenite::Message::Pong(b"are you there"[..].into());
    assert_eq!(ws.read().unwrap(), pong);
    ws.close(None).unwrap();
    while ws.read().is_ok() {}
    let closed = serving.join().unwrap().unwrap();
    assert!(closed.clean, "{closed:?}");
    assert_eq!(closed.code(), CloseCode::NO_STATUS);
}

/// A thousand messages before the first answer is read.
fn pipelining<A: Adapter>() {
    serve::<A, _, _, _, _>(Config::new(), echo, async |mut ws: A::Ws| {
        for i in 0..1000 {
            ws.feed(format!("message {i}")).await.unwrap();
        }
        assert!(ws.queued() > 0);
        ws.flush().await.unwrap();
        assert_eq!(ws.queued(), 0);
        for i in 0..1000 {
            let message = ws.recv().await.unwrap().unwrap();
            assert_eq!(message.as_text(), Some(&*format!("message {i}")));
        }
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
}

/// As many bytes as the adapter reads at once, and no more before they are answered.
fn full_reads<A: Adapter>() {
    let server = async |ws: A::Ws| echo(ws).await.unwrap();
    let (closed, ()) = serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        let payload = pattern(1024 - 8);
        for reads in 1..4 {
            let count = reads * 20;
            stream
                .write_all(&masked(0x82, &payload).repeat(count))
                .unwrap();
            for _ in 0..count {
                assert!(read_frame(&mut stream) == Some((0x82, payload.clone())));
            }
        }
        stream.write_all(&masked(0x88, b"")).unwrap();
        assert_eq!(read_frame(&mut stream), Some((0x88, b"".to_vec())));
    });
    assert!(closed.clean);
}

fn ping_and_pong<A: Adapter>() {
    serve::<A, _, _, _, _>(Config::new(), echo, async |mut ws: A::Ws| {
        ws.ping(b"one").await.unwrap();
        let Event::Pong(payload) = ws.recv_event().await.unwrap().unwrap() else {
            panic!("a pong was due");
        };
        assert_eq!(&*payload, b"one");
        // Messages get past pongs that nobody looks at.
        ws.ping(b"two").await.unwrap();
        ws.send("text").await.unwrap();
        let message = ws.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some("text"));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
}

fn fragments<A: Adapter>() {
    serve::<A, _, _, _, _>(Config::new(), echo, async |mut ws: A::Ws| {
        let text = "fröhlich".as_bytes();
        for split in 0..=text.len() {
            let (front, back) = text.split_at(split);
            ws.send_fragment(Kind::Text, front, false).await.unwrap();
            ws.ping(b"").await.unwrap();
            ws.send_fragment(Kind::Text, back, true).await.unwrap();
            let message = ws.recv().await.unwrap().unwrap();
            assert_eq!(message.as_text(), Some("fröhlich"));
        }
        let bytes = pattern(300_000);
        for piece in bytes.chunks(10_000) {
            ws.send_fragment(Kind::Binary, piece, false).await.unwrap();
        }
        ws.send_fragment(Kind::Binary, &b""[..], true)
            .await
            .unwrap();
        assert!(ws.recv().await.unwrap().unwrap().as_bytes() == bytes);
        // What cannot be sent is refused, and the connection goes on.
        ws.send_fragment(Kind::Text, &b"a"[..], false)
            .await
            .unwrap();
        let error = ws.send("b").await.unwrap_err();
        assert!(error.is_misuse());
        ws.send_fragment(Kind::Text, &b"c"[..], true).await.unwrap();
        let message = ws.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some("ac"));
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
}

/// What the lending receive lends is what was sent, and what it queues is sent.
fn lending<A: Adapter>() {
    let server = async |mut ws: A::Ws| {
        let mut seen = Vec::new();
        while let Some(()) = ws
            .recv_with(|event, sender| match event {
                Event::Text(text) => {
                    seen.push(text.to_string());
                    sender.send(&*format!("{text}!")).unwrap();
                    sender.send(text).unwrap();
                }
                other => drop(other),
            })
            .await
            .unwrap()
        {}
        seen
    };
    let (seen, ()) = serve::<A, _, _, _, _>(Config::new(), server, async |mut ws: A::Ws| {
        for word in ["a", "bc", "def"] {
            ws.send(word).await.unwrap();
            for expected in [format!("{word}!"), word.into()] {
                let echo = ws
                    .recv_with(|event, _| match event {
                        Event::Text(text) => text.to_string(),
                        other => panic!("{other:?}"),
                    })
                    .await;
                assert_eq!(echo.unwrap(), Some(expected));
            }
        }
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    });
    assert_eq!(seen, ["a", "bc", "def"]);
}

fn reading_answers_pings<A: Adapter>() {
    let server = async |mut ws: A::Ws| ws.recv().await.unwrap().unwrap().len();
    let (len, ()) = serve_raw::<A, _, _, _>(Config::new(), server, |mut stream| {
        for i in 0..10 {
            stream.write_all(&masked(0x89, &[i; 5])).unwrap();
            assert_eq!(read_frame(&mut stream), Some((0x8A, vec![i; 5])));
        }
        stream.write_all(&masked(0x82, b"end")).unwrap();
    });
    assert_eq!(len, 3);
}

/// Also when there is more of it than the sockets take at once.
fn reading_writes_what_was_fed<A: Adapter>() {
    const SIZE: usize = 8 << 20;
    let config = Config::new()
        .with_limits(Limits::new().with_max_queued(2 * SIZE))
        .with_max_fragment(None);
    let server = async |mut ws: A::Ws| {
        ws.feed("fed").await.unwrap();
        ws.feed(vec![1; SIZE]).await.unwrap();
        ws.recv().await.unwrap().unwrap().len()
    };
    let (len, ()) = serve_raw::<A, _, _, _>(config, server, |mut stream| {
        assert_eq!(read_frame(&mut stream), Some((0x81, b"fed".to_vec())));
        assert_eq!(read_frame(&mut stream).unwrap().1.len(), SIZE);
        stream.write_all(&masked(0x82, b"end")).unwrap();
    });
    assert_eq!(len, 3);
}

/// Without waiting until there is no room, then on from the low mark.
fn a_producer_that_was_held_back<A: Adapter>() {
    let limits = Limits::new().with_max_queued(1000).with_low_water(100);
    let config = Config::new().with_limits(limits);
    let server = async |mut ws: A::Ws| {
        assert_eq!(ws.queued_age(), None);
        for fed in 0..200 {
            if let Err(unsent) = ws.try_feed_with(vec![0; 98], Priority::Bulk) {
                assert_eq!((fed % 10, unsent.error), (0, SendError::Full));
                assert_eq!(unsent.value.into_payload().len(), 98);
                ws.try_feed_with("ahead", Priority::Urgent).unwrap();
                assert!(ws.queued_age().unwrap() < Duration::from_secs(5));
                thread::sleep(Duration::from_millis(5));
                assert!(ws.queued_age().unwrap() >= Duration::from_millis(5));
                ws.drained().await.unwrap();
                assert!(ws.queued() <= 100);
                ws.try_feed_with(vec![0; 98], Priority::Bulk).unwrap();
            }
        }
        ws.close(CloseCode::NORMAL, "").await.unwrap();
    };
    let client = async |mut ws: A::Ws| {
        let mut lengths = Vec::new();
        while let Some(message) = ws.recv().await.unwrap() {
            lengths.push(message.into_payload().len());
        }
        lengths
    };
    let ((), lengths) = serve::<A, _, _, _, _>(config, server, client);
    assert_eq!(lengths.iter().filter(|len| **len == 98).count(), 200);
    assert_eq!(lengths.iter().filter(|len| **len == 5).count(), 19);
}
