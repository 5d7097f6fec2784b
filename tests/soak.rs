//! Many connections for a while, which end in every way there is, some of them violently: every
//! message is accounted for, and the memory returns.
//!
//! Plain `cargo test` runs a short version. The long one, 2,000 connections for two minutes:
//!
//! ```text
//! cargo test --release --test soak -- --ignored --nocapture
//! ```
//!
//! `SOAK_CONNECTIONS` and `SOAK_SECONDS` change it. One connection in eight goes over loopback
//! sockets, which takes two file descriptors; the others are pipes in memory.
#![cfg(all(feature = "tokio", feature = "deflate"))]
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
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use sockeye::handshake::ClientRequest;
use sockeye::tokio::TokioIo;
use sockeye::{
    CloseCode, Closed, Config, Deflate, Event, Message, SendError, SocketError, Timeout, Timeouts,
    WebSocket,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

fn count(bytes: isize) {
    LIVE.fetch_add(bytes, Ordering::Relaxed);
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
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

fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

/// `splitmix64`: the same run each time, as far as the scheduler lets it.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        hash ^ (hash >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = (most - least).as_micros() as u64;
        least + Duration::from_micros(self.below(span.max(1)))
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    ClientCloses,
    ServerCloses,
    Lifetime,
    /// The task is dropped wherever it is, and its transport with it.
    ClientKilled,
    ServerKilled,
    /// The transport fails for both ends after so many bytes, anywhere in a frame.
    Cut,
}

impl End {
    const ALL: [Self; 6] = [
        Self::ClientCloses,
        Self::ServerCloses,
        Self::Lifetime,
        Self::ClientKilled,
        Self::ServerKilled,
        Self::Cut,
    ];

    fn is_violent(self) -> bool {
        matches!(self, Self::ClientKilled | Self::ServerKilled | Self::Cut)
    }
}

/// A transport that breaks when it has written so much.
#[derive(Debug)]
struct Fragile {
    stream: Stream,
    left: Option<usize>,
}

#[derive(Debug)]
enum Stream {
    Pipe(DuplexStream),
    Socket(TcpStream),
}

impl Fragile {
    fn broken<T>(&self) -> Poll<io::Result<T>> {
        Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            return self.broken();
        }
        match &mut self.stream {
            Stream::Pipe(pipe) => Pin::new(pipe).poll_read(cx, buffer),
            Stream::Socket(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.left == Some(0) {
            return self.broken();
        }
        let max = self.left.unwrap_or(usize::MAX).min(bytes.len());
        let written = match &mut self.stream {
            Stream::Pipe(pipe) => Pin::new(pipe).poll_write(cx, &bytes[..max]),
            Stream::Socket(socket) => Pin::new(socket).poll_write(cx, &bytes[..max]),
        };
        if let (Some(left), Poll::Ready(Ok(count))) = (&mut self.left, &written) {
            *left -= count;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Pipe(pipe) => Pin::new(pipe).poll_flush(cx),
            Stream::Socket(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Pipe(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Stream::Socket(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

type Ws = WebSocket<TokioIo<Fragile>>;

/// What happened to the messages of one connection. Each is numbered, and each end takes only the
/// number that comes next, so a count is all there is to know.
#[derive(Debug, Default)]
struct Ledger {
    sent: AtomicU64,
    received: AtomicU64,
    echoed: AtomicU64,
}

/// A message by its number: mostly short, sometimes of several reads, half text and half binary,
/// and worth compressing.
fn message(id: u64, number: u64) -> Message<'static> {
    let mut random = Random(id ^ number.rotate_left(32));
    let len = match random.below(256) {
        0 => 100_000,
        1..=16 => 10_000,
        _ => random.below(100) as usize,
    };
    let word = format!("{id:x}:{number:x} {:x} ", random.next());
    let text = word.repeat(len / word.len() + 1);
    match number % 2 {
        0 => text.into(),
        _ => text.into_bytes().into(),
    }
}

/// Takes the next message. It must be the next.
fn take(counter: &AtomicU64, id: u64, message_came: &Message<'_>) {
    let number = counter.load(Ordering::Relaxed);
    assert!(
        *message_came == message(id, number),
        "not message {number} of {id}: {message_came:?}"
    );
    counter.store(number + 1, Ordering::Relaxed);
}

/// Counters of the whole run.
#[derive(Debug, Default)]
struct Totals {
    open: AtomicUsize,
    most_open: AtomicUsize,
    ends: [AtomicUsize; End::ALL.len()],
    failed_handshakes: AtomicUsize,
    sent: AtomicU64,
    echoed: AtomicU64,
    lost: AtomicU64,
    round_trips: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Plan {
    id: u64,
    end: End,
    /// When it ends.
    at: Instant,
    config: Config,
    /// The pause between bursts of messages, at most.
    pause: Duration,
    random: Random,
}

/// What must not happen to a connection that nobody harmed.
fn expect_orderly(plan: &Plan, error: &SocketError) {
    let false_alarm = matches!(
        error,
        SocketError::Connection(sockeye::Error::Timeout(
            Timeout::Pong | Timeout::Write | Timeout::Close
        ))
    );
    assert!(
        plan.end.is_violent() && !false_alarm,
        "{:?} of {}: {error:?}",
        plan.end,
        plan.id
    );
}

/// Echoes until the connection ends.
async fn serve(plan: Plan, stream: Fragile, ledger: Arc<Ledger>) -> Option<Closed> {
    let mut ws = sockeye::tokio::accept(stream, &plan.config).await.ok()?;
    let closing = async {
        match plan.end {
            End::ServerCloses => sleep_until(plan.at).await,
            _ => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        outcome = echo(&plan, &mut ws, &ledger) => outcome,
        () = closing => ws.close(CloseCode::GOING_AWAY, "").await.map(drop),
    };
    if let Err(error) = outcome {
        expect_orderly(&plan, &error);
    }
    ws.closed()
}

async fn echo(plan: &Plan, ws: &mut Ws, ledger: &Ledger) -> Result<(), SocketError> {
    if plan.id % 4 < 2 {
        loop {
            ws.ready().await?;
            let handled = ws.recv_with(|event, sender| match event {
                Event::Text(_) | Event::Binary(_) => {
                    let message = event.into_message().unwrap();
                    take(&ledger.received, plan.id, &message);
                    sender.send(message)
                }
                _ => Ok(()),
            });
            match handled.await? {
                Some(Ok(()) | Err(SendError::NotOpen)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            }
        }
    }
    while let Some(message) = ws.recv().await? {
        take(&ledger.received, plan.id, &message);
        // Not `send`, which waits for a peer that may wait for this end in turn.
        match ws.feed(message).await {
            Err(SocketError::Send(SendError::NotOpen)) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Sends, and takes the echoes.
async fn talk(mut plan: Plan, stream: Fragile, ledger: Arc<Ledger>, totals: Arc<Totals>) -> Talked {
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let Ok((ws, _)) = sockeye::tokio::client(stream, &request, &plan.config).await else {
        totals.failed_handshakes.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    let _open = Open::new(&totals);
    let outcome = if plan.id.is_multiple_of(2) {
        talk_by_halves(&plan, ws, &ledger, &totals).await
    } else {
        talk_in_turn(&mut plan, ws, &ledger).await
    };
    match outcome {
        Ok(closed) => closed,
        Err(error) => {
            expect_orderly(&plan, &error);
            None
        }
    }
}

type Talked = Option<Closed>;

/// One connection that is open.
struct Open<'a>(&'a Totals);

impl<'a> Open<'a> {
    fn new(totals: &'a Totals) -> Self {
        let open = totals.open.fetch_add(1, Ordering::Relaxed) + 1;
        totals.most_open.fetch_max(open, Ordering::Relaxed);
        Self(totals)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The number of the next message, which counts as sent although it may not leave.
fn next(plan: &Plan, ledger: &Ledger) -> Message<'static> {
    message(plan.id, ledger.sent.fetch_add(1, Ordering::Relaxed))
}

/// Sends and receives at the same time.
async fn talk_by_halves(
    plan: &Plan,
    ws: Ws,
    ledger: &Ledger,
    totals: &Totals,
) -> Result<Talked, SocketError> {
    let mut random = plan.random.clone();
    let (mut receive, mut send) = ws.split();
    let outcome = {
        let sending = async {
            while plan.end != End::ClientCloses || Instant::now() < plan.at {
                for _ in 0..random.below(8) {
                    match send.send(next(plan, ledger)).await {
                        // The receiving half learns why.
                        Err(SocketError::Send(SendError::NotOpen) | SocketError::Io(_)) => return,
                        outcome => outcome.unwrap(),
                    }
                }
                sleep(random.between(Duration::ZERO, plan.pause)).await;
            }
            match send.close(CloseCode::NORMAL, "").await {
                Ok(()) | Err(SocketError::Send(SendError::NotOpen)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let receiving = async {
            while let Some(message) = receive.recv().await? {
                take(&ledger.echoed, plan.id, &message);
            }
            Ok::<_, SocketError>(())
        };
        // The sender may sleep when the end comes.
        let mut receiving = pin!(receiving);
        tokio::select! {
            outcome = &mut receiving => outcome,
            () = sending => receiving.await,
        }
    };
    let measured = usize::from(send.rtt().is_some());
    totals.round_trips.fetch_add(measured, Ordering::Relaxed);
    outcome?;
    Ok(send.closed())
}

/// Sends a few messages, and takes as many echoes, in a task that does nothing else.
async fn talk_in_turn(plan: &mut Plan, mut ws: Ws, ledger: &Ledger) -> Result<Talked, SocketError> {
    'talk: while plan.end != End::ClientCloses || Instant::now() < plan.at {
        let burst = 1 + plan.random.below(4);
        for _ in 0..burst {
            match ws.send(next(plan, ledger)).await {
                Err(SocketError::Send(SendError::NotOpen)) => break 'talk,
                outcome => outcome?,
            }
        }
        for _ in 0..burst {
            match ws.recv().await? {
                Some(message) => take(&ledger.echoed, plan.id, &message),
                None => return Ok(ws.closed()),
            }
        }
        // Sometimes it listens meanwhile, and drops the future.
        let pause = plan.random.between(Duration::ZERO, plan.pause);
        if burst == 1 {
            sleep(pause).await;
        } else if let Ok(outcome) = timeout(pause, ws.recv()).await {
            let message = outcome?;
            assert_eq!(message, None, "nothing was asked for");
            return Ok(ws.closed());
        }
    }
    if plan.end == End::ClientCloses {
        ws.close(CloseCode::NORMAL, "").await?;
    }
    while let Some(message) = ws.recv().await? {
        take(&ledger.echoed, plan.id, &message);
    }
    Ok(ws.closed())
}

/// One connection from its beginning to its end, and its books.
async fn live_and_die(plan: Plan, near: Fragile, far: Fragile, totals: &Arc<Totals>) {
    let (id, end, at) = (plan.id, plan.end, plan.at);
    let ledger = Arc::new(Ledger::default());
    let server = tokio::spawn(serve(plan.clone(), near, Arc::clone(&ledger)));
    let client = talk(plan, far, Arc::clone(&ledger), Arc::clone(totals));
    let client = tokio::spawn(client);
    match end {
        // A transport that was to break may have had too little to do.
        End::ClientKilled | End::Cut => {
            sleep_until(at).await;
            client.abort();
        }
        End::ServerKilled => {
            sleep_until(at).await;
            server.abort();
        }
        _ => {}
    }
    let mut closed = Vec::new();
    for task in [server, client] {
        match task.await {
            Ok(outcome) => closed.push(outcome),
            Err(error) if error.is_cancelled() => {}
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    let sent = ledger.sent.load(Ordering::Relaxed);
    let received = ledger.received.load(Ordering::Relaxed);
    let echoed = ledger.echoed.load(Ordering::Relaxed);
    // Only a suffix is missing: both counts run from the first message without a gap.
    assert!(
        echoed <= received && received <= sent,
        "{end:?}: {ledger:?}"
    );
    if end == End::ClientCloses {
        let by_halves = id % 2 == 0;
        assert!(received == sent, "{end:?}, {by_halves}: {ledger:?}");
        assert!(echoed == sent, "{end:?}, {by_halves}: {ledger:?}");
    }
    if !end.is_violent() {
        for closed in closed {
            let closed = closed.unwrap();
            assert!(closed.clean, "{end:?} of {id}: {closed:?}");
        }
    }
    totals.ends[end as usize].fetch_add(1, Ordering::Relaxed);
    totals.sent.fetch_add(sent, Ordering::Relaxed);
    totals.echoed.fetch_add(echoed, Ordering::Relaxed);
    totals.lost.fetch_add(sent - echoed, Ordering::Relaxed);
}

#[derive(Clone, Copy, Debug)]
struct Size {
    connections: u64,
    time: Duration,
    /// How long a connection lives at most.
    longest: Duration,
    pause: Duration,
}

/// Keeps one connection after another alive until the time is over.
async fn slot(number: u64, size: Size, listener: Arc<Mutex<TcpListener>>, totals: Arc<Totals>) {
    let over = Instant::now() + size.time;
    let mut random = Random(number);
    // They do not all begin at once.
    sleep(random.between(Duration::ZERO, size.time / 20)).await;
    for turn in 0.. {
        if Instant::now() >= over {
            return;
        }
        let end = End::ALL[random.below(End::ALL.len() as u64) as usize];
        let life = random.between(size.longest / 20, size.longest);
        let at = (Instant::now() + life).min(over);
        // Generous: nothing but a fault in the keep-alive would end a connection by them.
        let patience = Some(Duration::from_secs(60));
        let mut timeouts = Timeouts::new()
            .with_handshake(patience)
            .with_close(patience)
            .with_ping(Some(Duration::from_millis(100 + random.below(400))))
            .with_pong(patience)
            .with_write(patience);
        if end == End::Lifetime {
            timeouts = timeouts.with_lifetime(Some(at - Instant::now()), Duration::ZERO);
        }
        let mut config = Config::new().with_timeouts(timeouts);
        if random.below(2) == 0 {
            config = config.with_deflate(Deflate::client());
        }
        let (near, far) = if number.is_multiple_of(8) {
            // One at a time, so that the two are the ends of one connection.
            let listener = listener.lock().await;
            let connecting = TcpStream::connect(listener.local_addr().unwrap());
            let (near, far) = tokio::join!(listener.accept(), connecting);
            (
                Stream::Socket(near.unwrap().0),
                Stream::Socket(far.unwrap()),
            )
        } else {
            let capacity = 1 << (8 + random.below(8));
            let (near, far) = tokio::io::duplex(capacity);
            (Stream::Pipe(near), Stream::Pipe(far))
        };
        let cuts = end == End::Cut;
        let near = Fragile {
            stream: near,
            left: (cuts && random.below(2) == 0).then(|| random.below(100_000) as usize),
        };
        let far = Fragile {
            stream: far,
            left: (cuts && near.left.is_none()).then(|| random.below(100_000) as usize),
        };
        let plan = Plan {
            id: number << 20 | turn,
            end,
            at,
            config,
            pause: size.pause,
            random: random.clone(),
        };
        random.next();
        let patience = Duration::from_secs(180);
        let life = live_and_die(plan, near, far, &totals);
        timeout(patience, life)
            .await
            .expect("a connection that never ends");
    }
}

/// Runs it in a runtime that is gone afterwards, and with it the read buffers and codecs of its
/// threads.
fn soak(size: Size) -> Arc<Totals> {
    let totals = Arc::new(Totals::default());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let shared = Arc::clone(&totals);
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Arc::new(Mutex::new(listener));
        let mut slots = Vec::new();
        for number in 0..size.connections {
            let slot = slot(number, size, Arc::clone(&listener), Arc::clone(&shared));
            slots.push(tokio::spawn(slot));
        }
        for slot in slots {
            slot.await.unwrap();
        }
    });
    drop(runtime);
    totals
}

fn run(size: Size) {
    // What is made once for the process.
    soak(Size {
        connections: 20,
        time: Duration::from_millis(300),
        longest: Duration::from_millis(200),
        pause: Duration::from_millis(20),
    });
    let before = live();
    let started = std::time::Instant::now();
    let totals = soak(size);
    let elapsed = started.elapsed();
    let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{} connections at a time, {elapsed:.1?}",
        read(&totals.most_open)
    );
    for (end, count) in End::ALL.iter().zip(&totals.ends) {
        println!("{end:?}: {}", read(count));
        assert!(read(count) > 0, "{end:?} did not happen");
    }
    println!("failed handshakes: {}", read(&totals.failed_handshakes));
    println!("messages sent: {:?}", totals.sent);
    println!("messages echoed: {:?}", totals.echoed);
    println!(
        "lost at violent ends, or after a Close frame: {:?}",
        totals.lost
    );
    println!(
        "connections that measured a round trip: {:?}",
        totals.round_trips
    );
    assert_eq!(read(&totals.open), 0);
    assert!(totals.echoed.load(Ordering::Relaxed) > 0);
    assert!(read(&totals.round_trips) > 0);
    assert!(read(&totals.most_open) as u64 >= size.connections / 2);
    drop(totals);
    let growth = live() - before;
    println!("memory: {before} bytes before, {growth} more after");
    assert!(growth < 64 * 1024, "{growth} bytes are left");
}

#[test]
fn short() {
    run(Size {
        connections: 100,
        time: Duration::from_secs(3),
        longest: Duration::from_secs(1),
        pause: Duration::from_millis(50),
    });
}

#[test]
#[ignore = "takes two minutes: `.ci/run` runs it, and CONTRIBUTING.md has the command"]
fn long() {
    let setting =
        |name, default| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    run(Size {
        connections: setting("SOAK_CONNECTIONS", 2000),
        time: Duration::from_secs(setting("SOAK_SECONDS", 120)),
        longest: Duration::from_secs(20),
        pause: Duration::from_millis(500),
    });
}
