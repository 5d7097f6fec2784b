//! What a connection holds while it is idle, and what it allocates while it is busy.
#![cfg(feature = "tokio")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::pin::pin;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use sockeye::handshake::ClientRequest;
use sockeye::tokio::TokioIo;
use sockeye::{Config, Event, WebSocket};
use tokio::net::{TcpListener, TcpStream};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: isize) {
    LIVE.fetch_add(bytes, Ordering::Relaxed);
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Ws = WebSocket<TokioIo<TcpStream>>;

async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let (near, far) = (near.unwrap().0, far.unwrap());
    far.set_nodelay(true).unwrap();
    near.set_nodelay(true).unwrap();
    (near, far)
}

async fn open(near: TcpStream, far: TcpStream) -> (Ws, Ws) {
    open_with(near, far, &Config::new()).await
}

async fn open_with(near: TcpStream, far: TcpStream, config: &Config) -> (Ws, Ws) {
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let (server, client) = tokio::join!(
        sockeye::tokio::accept(near, config),
        sockeye::tokio::client(far, &request, config),
    );
    (server.unwrap(), client.unwrap().0)
}

/// Sends back so many messages.
async fn echo(ws: &mut Ws, count: usize) {
    for _ in 0..count {
        ws.recv_with(|event, sender| match event {
            Event::Text(text) => sender.send(text).unwrap(),
            Event::Binary(payload) => sender.send(payload).unwrap(),
            other => panic!("{other:?}"),
        })
        .await
        .unwrap();
    }
    ws.flush().await.unwrap();
}

/// Sends so many messages, each after the echo of the one before.
async fn talk(ws: &mut Ws, message: &[u8], count: usize) {
    for _ in 0..count {
        ws.send(message).await.unwrap();
        let len = ws
            .recv_with(|event, _| event.into_message().unwrap().len())
            .await;
        assert_eq!(len.unwrap(), Some(message.len()));
    }
}

/// Receives so many messages and forgets them.
async fn swallow(ws: &mut Ws, count: usize) {
    for _ in 0..count {
        let is_message = ws.recv_with(|event, _| event.into_message().is_ok()).await;
        assert_eq!(is_message.unwrap(), Some(true));
    }
}

/// The bytes that a task would wait with: it looked for input once, and there was none.
async fn idle(ws: &mut Ws) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(ws.recv()).poll(&mut cx).is_pending());
}

async fn memory() {
    const COUNT: usize = 100;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sockets = Vec::with_capacity(COUNT);
    let mut connections = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        sockets.push(pair(&listener).await);
    }
    // The thread's read buffers are there from here on.
    let (near, far) = pair(&listener).await;
    let (mut server, mut client) = open(near, far).await;
    tokio::join!(echo(&mut server, 1), talk(&mut client, &[1; 200_000], 1));
    idle(&mut server).await;
    idle(&mut client).await;

    let before = LIVE.load(Ordering::Relaxed);
    for (near, far) in sockets.drain(..) {
        connections.push(open(near, far).await);
    }
    for (server, client) in &mut connections {
        tokio::join!(echo(server, 10), talk(client, b"small", 10));
        tokio::join!(echo(server, 1), talk(client, &[1; 200_000], 1));
        idle(server).await;
        idle(client).await;
    }
    let after = LIVE.load(Ordering::Relaxed);
    let heap = (after - before) / (2 * COUNT) as isize;
    let inline = size_of::<Ws>() - size_of::<TcpStream>();
    println!("an idle connection: {heap} bytes on the heap, {inline} bytes of its own");
    assert!(heap < 256, "no buffer stays behind");
    assert!((heap + inline as isize) < 1024);
}

/// Codecs that are retained go while the connection only waits for input, in one piece or split.
#[cfg(feature = "deflate")]
async fn codecs() {
    use core::time::Duration;
    use sockeye::{Deflate, Memory};

    const COUNT: usize = 10;
    let deflate = Deflate::client()
        .with_send_window_bits(12)
        .with_receive_window_bits(12)
        .with_send_memory(Memory::Retained)
        .with_receive_memory(Memory::Retained)
        .with_idle_release(Some(Duration::from_millis(50)));
    let config = Config::new().with_deflate(deflate);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..COUNT {
        let (near, far) = pair(&listener).await;
        let (mut server, mut client) = open_with(near, far, &config).await;
        let message = br#"{"a message":"that compresses, compresses, and compresses"}"#.repeat(3);
        tokio::join!(echo(&mut server, 10), talk(&mut client, &message, 10));
        servers.push(server);
        clients.push(client.split());
    }
    let each = || (LIVE.load(Ordering::Relaxed) - before) / (2 * COUNT) as isize;
    let busy = each();
    let waiting = servers.iter_mut().map(|server| async {
        let _message = server.recv().await;
    });
    let waiting = waiting.collect::<futures_util::future::JoinAll<_>>();
    let also_waiting = clients.iter_mut().map(|(client, _)| async {
        let _message = client.recv().await;
    });
    let also_waiting = also_waiting.collect::<futures_util::future::JoinAll<_>>();
    let wait = tokio::time::sleep(Duration::from_millis(500));
    tokio::select! {
        _ = waiting => panic!("nothing was sent"),
        _ = also_waiting => panic!("nothing was sent"),
        () = wait => {}
    }
    let idle = each();
    println!("with codecs retained: {busy} bytes a connection, {idle} once they were idle");
    assert!(busy > 200_000, "{busy}");
    // The thread's pool keeps four.
    assert!(idle < 50_000, "{idle}");
}

async fn allocations() {
    const COUNT: usize = 10_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = pair(&listener).await;
    let (mut server, mut client) = open(near, far).await;
    tokio::join!(echo(&mut server, 100), talk(&mut client, b"warm-up", 100));

    let before = ALLOCATIONS.load(Ordering::Relaxed);
    tokio::join!(
        echo(&mut server, COUNT),
        talk(&mut client, b"message", COUNT)
    );
    let echoes = ALLOCATIONS.load(Ordering::Relaxed) - before;

    // By hand, so that sending does not count.
    let frame = b"\x82\x87\0\0\0\0message";
    let raw = client.into_io().into_stream();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..COUNT {
        assert_eq!(raw.try_write(frame).unwrap(), frame.len());
        swallow(&mut server, 1).await;
    }
    let received = ALLOCATIONS.load(Ordering::Relaxed) - before;

    // Many at once. A message that lies in two reads is put together, and nothing else costs an
    // allocation.
    let frames = frame.repeat(COUNT);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let send = async {
        let mut rest = &frames[..];
        while !rest.is_empty() {
            raw.writable().await.unwrap();
            if let Ok(count) = raw.try_write(rest) {
                rest = &rest[count..];
            }
        }
    };
    tokio::join!(swallow(&mut server, COUNT), send);
    let streamed = ALLOCATIONS.load(Ordering::Relaxed) - before;
    println!(
        "{COUNT} messages: {received} allocations to receive them one by one, {streamed} in a stream, {echoes} to echo them"
    );
    assert_eq!(received, 0);
    assert!(streamed < 50, "{streamed}");
    // Each side makes a buffer for its output in each turn, because an idle connection keeps none.
    assert!(echoes <= 2 * COUNT, "{echoes}");
}

/// One test, so that nothing else allocates.
#[test]
fn memory_and_allocations() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        memory().await;
        allocations().await;
        #[cfg(feature = "deflate")]
        codecs().await;
    });
}
