//! Connections as streams of bytes, over real loopback sockets.
#![cfg(all(feature = "blocking", feature = "tokio", feature = "futures"))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "a test"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::time::Duration;

use sockeye::tokio::TokioIo;
use sockeye::{ByteStream, CloseCode, Config, Delivery, Limits, WebSocket, blocking, futures};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

type Ws = WebSocket<TokioIo<TcpStream>>;

/// Two ends of a connection.
async fn pair(config: &Config) -> (Ws, Ws) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let request = sockeye::handshake::ClientRequest::new(&url).unwrap();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        sockeye::tokio::accept(stream, config).await.unwrap()
    };
    let connecting = async {
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        sockeye::tokio::client(stream, &request, config)
            .await
            .unwrap()
            .0
    };
    tokio::join!(connecting, accepting)
}

/// Bytes that are never the same twice in a row, and tell where they are.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

async fn bounded<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("it hangs")
}

/// A peer that takes everything, then sends it back.
async fn reflect(mut stream: ByteStream<TokioIo<TcpStream>>) -> io::Result<usize> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await?;
    stream.write_all(&all).await?;
    stream.shutdown().await?;
    Ok(all.len())
}

#[tokio::test]
async fn each_direction_ends_by_itself_if_both_agree() {
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        let config = Config::new().with_delivery(delivery);
        let (near, far) = pair(&config).await;
        let mut near = near.into_byte_stream().with_half_close();
        let far = tokio::spawn(reflect(far.into_byte_stream().with_half_close()));
        let sent = pattern(3_000_000);
        let mut came = Vec::new();
        bounded(async {
            for piece in sent.chunks(70_001) {
                near.write_all(piece).await.unwrap();
            }
            near.shutdown().await.unwrap();
            near.read_to_end(&mut came).await.unwrap();
        })
        .await;
        assert_eq!(bounded(far).await.unwrap().unwrap(), sent.len());
        assert!(came == sent);
        let closed = near.websocket().closed().expect("closed");
        assert!(
            closed.clean && closed.code() == CloseCode::NORMAL,
            "{closed:?}"
        );
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
        let refused = near.write(b"more").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn both_directions_at_once_and_split() {
    let config = Config::new()
        .with_delivery(Delivery::Chunks)
        .with_limits(Limits::new().with_max_queued(100_000));
    let (near, far) = pair(&config).await;
    let sent = pattern(4_000_000);
    let run = async |ws: Ws| {
        let (mut read, mut write) = tokio::io::split(ws.into_byte_stream().with_half_close());
        let writing = async {
            // Sizes that fit nothing.
            for piece in sent.chunks(12_345) {
                write.write_all(piece).await?;
            }
            write.shutdown().await
        };
        let mut came = Vec::new();
        let reading = async {
            let mut buffer = [0; 777];
            loop {
                match read.read(&mut buffer).await? {
                    0 => return Ok::<_, io::Error>(()),
                    count => came.extend_from_slice(&buffer[..count]),
                }
            }
        };
        let (written, read) = tokio::join!(writing, reading);
        written.unwrap();
        read.unwrap();
        came
    };
    let (first, second) = bounded(async { tokio::join!(run(near), run(far)) }).await;
    assert!(first == sent && second == sent);
}

/// Who shuts down can still read what the other side sent before it knew.
#[tokio::test]
async fn shutting_down_closes_the_connection_and_loses_nothing() {
    let (near, far) = pair(&Config::new()).await;
    let (mut near, mut far) = (near.into_byte_stream(), far.into_byte_stream());
    far.write_all(b"sent before").await.unwrap();
    far.flush().await.unwrap();
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut came = String::new();
    let far = tokio::spawn(async move {
        let mut came = String::new();
        far.read_to_string(&mut came).await.unwrap();
        let late = far.write_all(b"late").await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::BrokenPipe);
        came
    });
    bounded(near.read_to_string(&mut came)).await.unwrap();
    assert_eq!(came, "sent before");
    assert_eq!(bounded(far).await.unwrap(), "question");
}

#[tokio::test]
async fn an_end_that_may_have_cut_something_off_is_an_error() {
    // The transport just ends.
    let (near, far) = pair(&Config::new()).await;
    let mut near = near.into_byte_stream();
    drop(far);
    let error = bounded(near.read(&mut [0; 9])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
    // The peer goes away.
    let (near, mut far) = pair(&Config::new()).await;
    let mut near = near.into_byte_stream();
    let far = tokio::spawn(async move { far.close(CloseCode::GOING_AWAY, "").await });
    let error = bounded(near.read(&mut [0; 9])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
    assert!(error.to_string().contains("1001"));
    far.await.unwrap().unwrap();
}

/// Who only writes any more still answers pings.
#[tokio::test]
async fn writing_answers_pings_when_reading_has_ended() {
    let (near, mut far) = pair(&Config::new()).await;
    let mut near = near.into_byte_stream().with_half_close();
    far.send(&b""[..]).await.unwrap();
    assert_eq!(bounded(near.read(&mut [0; 9])).await.unwrap(), 0);
    far.ping(b"there?").await.unwrap();
    let far = tokio::spawn(async move {
        loop {
            if let sockeye::Event::Pong(payload) = far.recv_event().await.unwrap().unwrap() {
                return payload.to_vec();
            }
        }
    });
    bounded(async {
        while !far.is_finished() {
            near.write_all(b"more").await.unwrap();
            near.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(far.await.unwrap(), b"there?");
}

#[tokio::test]
async fn text_is_refused() {
    for delivery in [Delivery::Messages, Delivery::Chunks] {
        let (near, mut far) = pair(&Config::new().with_delivery(delivery)).await;
        let mut near = near.into_byte_stream();
        far.send("text").await.unwrap();
        let far = tokio::spawn(async move {
            assert!(far.recv().await.unwrap().is_none());
            far.closed().unwrap().code()
        });
        let error = bounded(near.read(&mut [0; 9])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
        assert_eq!(far.await.unwrap(), CloseCode::UNSUPPORTED_DATA);
    }
}

/// A reader that takes its time holds the writer back, within the limit.
#[tokio::test]
async fn a_slow_reader_bounds_what_the_writer_holds() {
    let limits = Limits::new().with_max_queued(50_000);
    let (near, far) = pair(&Config::new().with_limits(limits)).await;
    let mut near = near.into_byte_stream();
    let piece = [7; 10_000];
    let mut written = 0;
    while let Ok(result) = timeout(Duration::from_millis(300), near.write(&piece)).await {
        written += result.unwrap();
        assert!(near.websocket().queued() < 50_000 + 64 * 1024 + 14);
    }
    assert!(written > 50_000);
    let mut far = far.into_byte_stream();
    let mut came = vec![0; written];
    let reading = async { far.read_exact(&mut came).await.map(drop) };
    let flushing = async { near.flush().await };
    bounded(async { tokio::try_join!(reading, flushing) })
        .await
        .unwrap();
    assert!(came.iter().all(|byte| *byte == 7));
}

#[test]
fn blocking_and_futures() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        let ws = blocking::accept(stream, &Config::new()).unwrap();
        let mut stream = ws.into_byte_stream().with_half_close();
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        stream.write_all(&all)?;
        stream.shutdown()?;
        let (ws, rest) = stream.into_websocket();
        assert!(rest.is_empty());
        Ok::<_, io::Error>(ws.closed().is_some_and(|closed| closed.clean))
    });
    let sent = pattern(1_000_000);
    let came = smol::block_on(async {
        use smol::io::{AsyncReadExt, AsyncWriteExt};
        let stream = smol::Async::<StdStream>::connect(address).await.unwrap();
        let request = sockeye::handshake::ClientRequest::new("ws://127.0.0.1/").unwrap();
        let (ws, _) = futures::client(stream, &request, &Config::new())
            .await
            .unwrap();
        let mut stream = ws.into_byte_stream().with_half_close();
        stream.write_all(&sent).await.unwrap();
        stream.close().await.unwrap();
        let mut came = Vec::new();
        stream.read_to_end(&mut came).await.unwrap();
        came
    });
    assert!(came == sent);
    assert!(server.join().unwrap().unwrap());
}
