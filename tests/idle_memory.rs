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
    open_with(near, far, &Config::new(), &Config::new()).await
}

async fn open_with(near: TcpStream, far: TcpStream, server: &Config, client: &Config) -> (Ws, Ws) {
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let (server, client) = tokio::join!(
        sockeye::tokio::accept(near, server),
        sockeye::tokio::client(far, &request, client),
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
    // The thread's read buffers are there from here on: as many as it keeps were in use at once, each
    // by a connection with something unread.
    let mut readers = Vec::new();
    for _ in 0..8 {
        let (near, far) = pair(&listener).await;
        let (mut server, mut client) = open(near, far).await;
        client.feed("read").await.unwrap();
        client.send("unread").await.unwrap();
        swallow(&mut server, 1).await;
        readers.push(server);
    }
    drop(readers);
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
    assert!(heap + inline as isize <= 1024);
}

/// Codecs that are retained go while the connection only waits: in one piece or split, for input or
/// for room to write.
#[cfg(feature = "deflate")]
async fn codecs() {
    use core::time::Duration;
    use futures_util::future::join_all;
    use sockeye::{Compress, Deflate, Memory};

    const COUNT: usize = 10;
    const LARGE: usize = 8 << 20;
    // The thread's pool keeps four compressors.
    const POOL: isize = 4 * (170 << 10);
    let deflate = Deflate::client()
        .with_send_window_bits(12)
        .with_receive_window_bits(12)
        .with_send_memory(Memory::Retained)
        .with_receive_memory(Memory::Retained)
        .with_idle_release(Some(Duration::from_millis(50)));
    let server_config = Config::new().with_deflate(deflate.clone());
    // Only their senders have a codec, of which their receivers have to learn.
    let config = Config::new().with_deflate(deflate.with_receive_memory(Memory::NoTakeover));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let live = || LIVE.load(Ordering::Relaxed);
    let before = live();
    let text = "a message that compresses, compresses, and compresses".repeat(3);
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..COUNT {
        let (near, far) = pair(&listener).await;
        let (server, client) = open_with(near, far, &server_config, &config).await;
        servers.push(server);
        clients.push(client.split());
    }
    // The halves that receive wait already when the others make a codec.
    let mut peaks = Vec::new();
    for _ in 0..2 {
        let serving = servers.iter_mut().map(|server| async {
            echo(server, 1).await;
            let _message = server.recv().await;
        });
        let talking = clients.iter_mut().map(|(receive, send)| async {
            let receiving = async {
                receive.recv().await.unwrap().unwrap();
                let _message = receive.recv().await;
            };
            let sending = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                send.send(text.as_str()).await.unwrap();
            };
            tokio::join!(receiving, sending);
        });
        let watching = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            peaks.push(live() - before);
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        tokio::select! {
            _ = join_all(serving) => panic!("nothing more was sent"),
            _ = join_all(talking) => panic!("nothing more was sent"),
            () = watching => {}
        }
        let idle = (live() - before - POOL) / (2 * COUNT) as isize;
        println!("codecs: {idle} bytes a connection once they were idle");
        assert!(idle < 12_000, "{idle}");
    }
    for peak in peaks {
        let busy = peak / (2 * COUNT) as isize;
        println!("codecs: {busy} bytes a connection that retains them");
        assert!(busy > 100_000, "{busy}");
    }

    // Nobody reads what these send.
    let mut stuck = servers.iter_mut().map(|server| async {
        let large = vec![7; LARGE];
        server
            .send_with(text.as_str(), Compress::Always)
            .await
            .unwrap();
        let _broken = server.send_with(large, Compress::Never).await;
    });
    let stuck = stuck.by_ref().collect::<Vec<_>>();
    tokio::select! {
        _ = join_all(stuck) => panic!("who read that?"),
        () = tokio::time::sleep(Duration::from_millis(600)) => {}
    }
    // Messages that are written in part are held as a whole.
    let queued = COUNT * LARGE;
    let idle = (live() - before - POOL - queued as isize) / (2 * COUNT) as isize;
    println!("codecs: {idle} bytes a connection while sending was stuck");
    assert!(idle < 30_000, "{idle}");

    // What is left of a connection that ended is its object.
    drop(servers);
    for (receive, send) in &mut clients {
        let _end = receive.recv().await;
        while receive.recv().await.is_ok_and(|message| message.is_some()) {}
        let _gone = send.flush().await;
    }
    let ended = (live() - before - POOL) / COUNT as isize;
    println!("codecs: {ended} bytes a connection that ended");
    assert!(ended < 8000, "{ended}");
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
