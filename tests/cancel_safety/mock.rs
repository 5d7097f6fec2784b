//! A transport that does what a test wants, and tasks that are polled by hand.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sockeye::futures::FuturesIo;
use sockeye::{
    Config, Connection, Instant, Limits, Negotiated, ReadIo, ReceiveHalf, SendHalf, Timeouts,
    WebSocket, WriteIo, mask,
};

/// What a transport does, and what went over it.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    pub(crate) incoming: VecDeque<u8>,
    /// What comes after `incoming`: the same again and again, an error, or the end.
    pub(crate) endless: Option<Vec<u8>>,
    pub(crate) read_error: Option<ErrorKind>,
    pub(crate) eof: bool,
    pub(crate) read_size: usize,
    pub(crate) outgoing: Vec<u8>,
    /// Written but not flushed, if the transport `buffers`.
    pub(crate) buffered: Vec<u8>,
    pub(crate) buffers: bool,
    pub(crate) write_size: usize,
    pub(crate) write_error: Option<ErrorKind>,
    pub(crate) takes_nothing: bool,
    /// Nothing is written until the test allows it.
    pub(crate) blocked: bool,
    /// The next write blocks those that follow.
    pub(crate) takes_one: bool,
    pub(crate) shut_down: bool,
    pub(crate) shutdown_error: Option<ErrorKind>,
    /// A clock that the test winds on, instead of the system's, and its timer.
    pub(crate) clock: Option<Instant>,
    timer: Option<(Instant, Waker)>,
    /// Every other call is refused, with a wake-up.
    pub(crate) stutters: bool,
    turn: usize,
    reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
}

impl Wire {
    fn refuses(&mut self, cx: &Context<'_>) -> bool {
        self.turn += 1;
        let refuses = self.stutters && self.turn % 2 == 1;
        if refuses {
            cx.waker().wake_by_ref();
        }
        refuses
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Mock(Arc<Mutex<Wire>>);

impl Mock {
    /// Takes and gives everything at once.
    pub(crate) fn smooth() -> Self {
        Self(Arc::new(Mutex::new(Wire {
            read_size: usize::MAX,
            write_size: usize::MAX,
            ..Wire::default()
        })))
    }

    /// Takes and gives a few bytes at a time, refuses every other call, and keeps what was written
    /// until it is flushed.
    pub(crate) fn rough() -> Self {
        Self(Arc::new(Mutex::new(Wire {
            read_size: 3,
            write_size: 7,
            buffers: true,
            stutters: true,
            ..Wire::default()
        })))
    }

    pub(crate) fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap()
    }

    /// Lets bytes arrive.
    pub(crate) fn give(&self, bytes: &[u8]) {
        let mut wire = self.wire();
        wire.incoming.extend(bytes);
        if let Some(waker) = wire.reader.take() {
            waker.wake();
        }
    }

    /// Lets the transport end after what arrived.
    pub(crate) fn end(&self) {
        self.wire().eof = true;
        self.give(&[]);
    }

    /// Lets writes go on.
    pub(crate) fn unblock(&self) {
        let mut wire = self.wire();
        wire.blocked = false;
        if let Some(waker) = wire.writer.take() {
            waker.wake();
        }
    }

    /// Lets writes go on, which shows only when somebody tries.
    pub(crate) fn unblock_silently(&self) {
        let mut wire = self.wire();
        wire.blocked = false;
        wire.writer = None;
    }

    /// Starts a clock that stands still.
    pub(crate) fn stop_the_clock(&self) {
        self.wire().clock = Some(Instant::from_millis(1_000_000));
    }

    /// Winds the clock on, and wakes who waits for what it shows then.
    pub(crate) fn wind(&self, time: Duration) {
        let mut wire = self.wire();
        let now = wire.clock.unwrap() + time;
        wire.clock = Some(now);
        if let Some((_, waker)) = wire.timer.take_if(|(deadline, _)| *deadline <= now) {
            drop(wire);
            waker.wake();
        }
    }

    fn now(&self) -> Instant {
        let clock = self.wire().clock;
        clock.unwrap_or_else(|| std::time::Instant::now().into())
    }

    /// How many bytes were taken.
    pub(crate) fn taken(&self) -> usize {
        let wire = self.wire();
        wire.outgoing.len() + wire.buffered.len()
    }

    /// The frames that reached the peer: first byte and payload.
    pub(crate) fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        let bytes = &self.wire().outgoing;
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let [first, len, tail @ ..] = rest {
            let (len, tail) = match len {
                126 => (usize::from(tail[0]) << 8 | usize::from(tail[1]), &tail[2..]),
                len => (usize::from(*len), tail),
            };
            frames.push((*first, tail[..len].to_vec()));
            rest = &tail[len..];
        }
        assert!(rest.is_empty());
        frames
    }

    fn read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire();
        wire.reads += 1;
        if wire.refuses(cx) {
            return Poll::Pending;
        }
        if wire.incoming.is_empty() {
            if let Some(bytes) = wire.endless.clone() {
                wire.incoming.extend(bytes);
            }
        }
        if wire.incoming.is_empty() {
            if let Some(error) = wire.read_error {
                return Poll::Ready(Err(error.into()));
            }
            if wire.eof {
                return Poll::Ready(Ok(0));
            }
            wire.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(wire.read_size).min(wire.incoming.len());
        for (to, from) in buffer.iter_mut().zip(wire.incoming.drain(..count)) {
            *to = from;
        }
        Poll::Ready(Ok(count))
    }

    fn write(&self, cx: &Context<'_>, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire();
        wire.writes += 1;
        assert!(buffers.iter().all(|buffer| !buffer.is_empty()));
        if let Some(error) = wire.write_error {
            return Poll::Ready(Err(error.into()));
        }
        if wire.takes_nothing {
            return Poll::Ready(Ok(0));
        }
        if wire.refuses(cx) {
            return Poll::Pending;
        }
        if wire.blocked {
            // As async-io does: a waker that another one replaces is woken.
            let replaced = wire.writer.replace(cx.waker().clone());
            if let Some(replaced) = replaced.filter(|waker| !waker.will_wake(cx.waker())) {
                drop(wire);
                replaced.wake();
            }
            return Poll::Pending;
        }
        if wire.takes_one {
            wire.takes_one = false;
            wire.blocked = true;
        }
        let size = wire.write_size;
        let bytes = buffers.iter().flat_map(|buffer| buffer.iter());
        let bytes: Vec<u8> = bytes.copied().take(size).collect();
        if wire.buffers {
            wire.buffered.extend(&bytes);
        } else {
            wire.outgoing.extend(&bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn flush(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.buffers {
            if wire.refuses(cx) {
                return Poll::Pending;
            }
            let bytes = std::mem::take(&mut wire.buffered);
            wire.outgoing.extend(bytes);
        }
        Poll::Ready(Ok(()))
    }

    fn shut_down(&self) -> Poll<io::Result<()>> {
        if let Some(error) = self.wire().shutdown_error {
            return Poll::Ready(Err(error.into()));
        }
        self.wire().shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl ReadIo for Mock {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.read(cx, buffer)
    }

    /// On the system's clock it wakes nobody: tests poll again.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let now = self.now();
        let timer = deadline.map(|deadline| (deadline, cx.waker().clone()));
        self.wire().timer = timer.filter(|(deadline, _)| *deadline > now);
        match deadline {
            Some(deadline) if deadline <= now => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl WriteIo for Mock {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, buffers)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush(cx)
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down()
    }

    fn now(&self) -> Instant {
        Self::now(self)
    }
}

impl smol::io::AsyncRead for Mock {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.read(cx, buffer)
    }
}

impl smol::io::AsyncWrite for Mock {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, &[IoSlice::new(buffer)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down()
    }
}

/// A task that counts how often it is woken.
#[derive(Debug, Default)]
pub(crate) struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Task {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How often it was woken since the last time.
    pub(crate) fn woken(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn poll<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        future.poll(&mut Context::from_waker(&waker))
    }
}

/// Polls a future to its end. It must wake its task whenever it waits.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let task = Task::new();
    for _ in 0..100_000 {
        if let Poll::Ready(output) = task.poll(future.as_mut()) {
            return output;
        }
        assert_ne!(task.woken(), 0, "nobody would poll again");
    }
    panic!("the future never ends");
}

/// Polls a future so many times at most, and drops it.
pub(crate) fn attempt<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let task = Task::new();
    for _ in 0..polls {
        if let Poll::Ready(output) = task.poll(future.as_mut()) {
            return Some(output);
        }
    }
    None
}

fn connection(config: &Config) -> Connection {
    let now = std::time::Instant::now().into();
    Connection::server(config, Negotiated::new(), now)
}

pub(crate) fn server(config: &Config, mock: &Mock) -> WebSocket<Mock> {
    let connection = Connection::server(config, Negotiated::new(), mock.now());
    WebSocket::new(mock.clone(), connection, &[])
}

pub(crate) type Half = FuturesIo<Mock>;

pub(crate) fn halves(config: &Config, mock: &Mock) -> (ReceiveHalf<Half, Half>, SendHalf<Half>) {
    let io = FuturesIo::new(mock.clone());
    WebSocket::new(io, connection(config), &[]).split_with(|mock| (mock.clone(), mock))
}

/// Settings with room for one message.
pub(crate) fn narrow() -> Config {
    Config::new().with_limits(Limits::new().with_max_queued(64))
}

/// Every deadline that there is, none of which passes while a test runs.
pub(crate) fn watched(config: Config) -> Config {
    let long = Some(Duration::from_secs(600));
    let timeouts = Timeouts::new()
        .with_ping(long)
        .with_pong(long)
        .with_write(long)
        .with_idle(long)
        .with_lifetime(long, Duration::ZERO);
    config.with_timeouts(timeouts)
}

/// A frame of a client's.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [1, 20, 33, 47];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend(key);
    let start = frame.len();
    frame.extend(payload);
    mask::Mask::new(key).apply(&mut frame[start..]);
    frame
}
