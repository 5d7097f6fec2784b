//! Clocks and deadlines of particular adapters.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use smol::io::{AsyncRead, AsyncWrite};
use sockeye::handshake::ClientRequest;
use sockeye::{CloseCode, Config, Error, SocketError, Timeout, Timeouts, blocking};
use tokio::io::duplex;

use crate::support::*;

/// A socket that counts its reads, and how often it is told of a timeout.
#[derive(Debug)]
struct Counting<S = TcpStream> {
    stream: S,
    reads: Arc<AtomicUsize>,
    timeouts: Arc<AtomicUsize>,
}

impl<S> Counting<S> {
    fn new(stream: S, reads: &Arc<AtomicUsize>) -> Self {
        Self {
            stream,
            reads: Arc::clone(reads),
            timeouts: Arc::default(),
        }
    }
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.stream.read(buffer)
    }
}

impl Write for Counting {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl blocking::Stream for Counting {
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// The deadline of the opening handshake ends with it: who waits for a message afterwards sleeps.
#[test]
fn waiting_takes_no_time() {
    bounded(|| {
        let (listener, address) = listen();
        let reads = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&reads);
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let stream = Counting::new(stream, &counter);
            let mut ws = blocking::accept(stream, &hasty()).unwrap();
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
        });
        let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
        let stream = Counting::new(TcpStream::connect(address).unwrap(), &reads);
        let (mut ws, _) = blocking::client(stream, &request, &hasty()).unwrap();
        // Past the deadline of 200 ms.
        thread::sleep(Duration::from_millis(500));
        ws.send("hello").unwrap();
        ws.recv().unwrap().unwrap();
        assert!(reads.load(Ordering::Relaxed) < 10, "{reads:?}");
        ws.close(CloseCode::NORMAL, "").unwrap();
        serving.join().unwrap();
    });
}

/// Giving codecs back takes a few looks at the clock, and then the reader sleeps again.
#[cfg(feature = "deflate")]
#[test]
fn an_idle_reader_with_codecs_sleeps() {
    use sockeye::{Deflate, Memory};

    bounded(|| {
        let (listener, address) = listen();
        let deflate = Deflate::client()
            .with_send_memory(Memory::Retained)
            .with_receive_memory(Memory::Retained)
            .with_idle_release(Some(Duration::from_millis(100)));
        let config = Config::new().with_deflate(deflate);
        let accepting = config.clone();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut ws = blocking::accept(stream, &accepting).unwrap();
            let message = ws.recv().unwrap().unwrap();
            ws.send(message).unwrap();
            thread::sleep(Duration::from_millis(700));
            ws.close(CloseCode::NORMAL, "").unwrap();
        });
        let reads = Arc::new(AtomicUsize::new(0));
        let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
        let stream = Counting::new(TcpStream::connect(address).unwrap(), &reads);
        let (mut ws, _) = blocking::client(stream, &request, &config).unwrap();
        ws.send("some words, some words, some words, some words, some words, some words")
            .unwrap();
        ws.recv().unwrap().unwrap();
        assert_eq!(ws.recv().unwrap(), None);
        let reads = reads.load(Ordering::Relaxed);
        assert!(reads < 20, "{reads}");
        serving.join().unwrap();
    });
}

/// A deadline that comes closer is not told to the socket at each read and write.
#[cfg(feature = "deflate")]
#[test]
fn echoes_with_a_deadline_set_few_timeouts() {
    use sockeye::{Deflate, Role, Timeouts};

    bounded(|| {
        let (listener, address) = listen();
        let config = Config::new()
            .with_deflate(Deflate::client())
            .with_timeouts(Timeouts::suggested(Role::Client));
        let accepting = config.clone();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut ws = blocking::accept(stream, &accepting).unwrap();
            while let Some(message) = ws.recv().unwrap() {
                ws.send(message).unwrap();
            }
        });
        let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
        let reads = Arc::default();
        let stream = Counting::new(TcpStream::connect(address).unwrap(), &reads);
        let timeouts = Arc::clone(&stream.timeouts);
        let (mut ws, _) = blocking::client(stream, &request, &config).unwrap();
        for _ in 0..1000 {
            ws.send(vec![b'x'; 100]).unwrap();
            ws.recv().unwrap().unwrap();
        }
        let timeouts = timeouts.load(Ordering::Relaxed);
        assert!(timeouts < 50, "{timeouts}");
        ws.close(CloseCode::NORMAL, "").unwrap();
        serving.join().unwrap();
    });
}

/// With every deadline set, and pings on their way, a blocked reader looks up a few times for each
/// ping, and one that shares its connection twenty times a second besides.
#[test]
fn a_blocking_reader_with_deadlines_sleeps() {
    for split in [false, true] {
        bounded(move || {
            let (listener, address) = listen();
            let serving = thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                let mut ws = blocking::accept(stream, &Config::new()).unwrap();
                assert_eq!(ws.recv().unwrap(), None);
            });
            let reads = Arc::new(AtomicUsize::new(0));
            let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
            let stream = Counting::new(TcpStream::connect(address).unwrap(), &reads);
            let config = Config::new().with_timeouts(busy());
            let (mut ws, _) = blocking::client(stream, &request, &config).unwrap();
            if split {
                let (mut receive, _send) = ws.split_with(|stream| {
                    let second = stream.stream.try_clone().unwrap();
                    let second = Counting::new(second, &stream.reads);
                    (stream, second)
                });
                assert_eq!(receive.recv().unwrap(), None);
            } else {
                assert_eq!(ws.recv().unwrap(), None);
                assert!(ws.rtt().is_some());
            }
            let reads = reads.load(Ordering::Relaxed);
            assert!((10..200).contains(&reads), "{reads}");
            serving.join().unwrap();
        });
    }
}

/// Ten pings, and the end of the connection after a second.
fn busy() -> Timeouts {
    let long = Some(Duration::from_secs(60));
    Timeouts::new()
        .with_ping(Some(Duration::from_millis(95)))
        .with_pong(long)
        .with_write(long)
        .with_idle(long)
        .with_lifetime(Some(Duration::from_secs(1)), Duration::ZERO)
}

/// The same on smol: each attempt to read is counted, whatever woke the task.
#[test]
fn a_futures_reader_with_deadlines_sleeps() {
    for split in [false, true] {
        bounded(move || {
            let (listener, address) = listen();
            let serving = thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                let mut ws = blocking::accept(stream, &Config::new()).unwrap();
                assert_eq!(ws.recv().unwrap(), None);
            });
            smol::block_on(async {
                let reads = Arc::new(AtomicUsize::new(0));
                let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
                let stream = smol::net::TcpStream::connect(address).await.unwrap();
                let stream = Counting::new(stream, &reads);
                let config = Config::new().with_timeouts(busy());
                let client = sockeye::futures::client(stream, &request, &config);
                let (mut ws, _) = client.await.unwrap();
                if split {
                    let (mut receive, send) = ws.split();
                    assert_eq!(receive.recv().await.unwrap(), None);
                    assert!(send.rtt().is_some());
                } else {
                    assert_eq!(ws.recv().await.unwrap(), None);
                    assert!(ws.rtt().is_some());
                }
                let reads = reads.load(Ordering::Relaxed);
                assert!((10..200).contains(&reads), "{reads}");
            });
            serving.join().unwrap();
        });
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Deadlines follow tokio's clock, which tests pause and wind on.
#[test]
fn tokio_time_may_be_paused() {
    bounded(|| {
        let started = Instant::now();
        paused().block_on(async {
            let begun = tokio::time::Instant::now();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let (near, far) = duplex(1000);
            let request = ClientRequest::new("ws://localhost/").unwrap();
            let config = Config::new();
            let (server, client) = tokio::join!(
                sockeye::tokio::accept(near, &config),
                sockeye::tokio::client(far, &request, &config),
            );
            let (mut server, _client) = (server.unwrap(), client.unwrap());
            let error = server.close(CloseCode::NORMAL, "").await.unwrap_err();
            assert!(matches!(
                error,
                SocketError::Connection(Error::Timeout(Timeout::Close))
            ));
            let elapsed = begun.elapsed() - Duration::from_secs(3600);
            assert!(elapsed >= Duration::from_secs(4), "{elapsed:?}");
            assert!(elapsed < Duration::from_secs(6), "{elapsed:?}");

            // A peer that says nothing.
            let (near, _far) = duplex(1000);
            let error = sockeye::tokio::accept(near, &config).await.err();
            assert!(matches!(error, Some(SocketError::Handshake(_))));
        });
        assert!(started.elapsed() < Duration::from_secs(2));
    });
}

/// An answer that the client does not take is given up at the deadline.
#[test]
fn answers_have_a_deadline() {
    bounded(|| {
        Tokio::run(async {
            use tokio::io::AsyncWriteExt;
            let (near, mut far) = duplex(20);
            let writing = far.write_all(REQUEST);
            let config = hasty();
            let (upgrade, written) = tokio::join!(sockeye::tokio::receive(near, &config), writing);
            written.unwrap();
            let acceptance = sockeye::handshake::Acceptance::new();
            let error = upgrade.unwrap().accept(acceptance).await.err();
            assert!(
                matches!(error, Some(SocketError::Handshake(_))),
                "{error:?}"
            );
        });
    });
}
