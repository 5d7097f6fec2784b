//! One connection's costs, measured the same way for everybody.

use std::time::{Duration, Instant};

use crate::heap;

/// Connections that are opened to tell what each of them holds from what the thread holds.
const CONNECTIONS: isize = 9;
/// The fastest of so many rounds counts.
const ROUNDS: usize = 11;

/// A server's end of a connection over memory.
pub trait Peer {
    /// Lets what the client sent arrive.
    fn arrive(&mut self);
    /// Receives so many messages; returns their bytes.
    fn receive(&mut self, count: usize) -> usize;
    /// Sends and flushes each message.
    fn send(&mut self, messages: &[String]);
    /// Waits for a message that does not come.
    fn wait(&mut self);
    /// The bytes that were written so far.
    fn written(&self) -> usize;
}

pub struct Costs {
    pub object: usize,
    pub idle: isize,
    pub used: isize,
    pub thread: isize,
    pub send: Duration,
    pub receive: Duration,
    /// Bytes on the wire for each byte of the messages that were sent.
    pub ratio: f64,
}

/// Measures on a thread of its own, so that nobody finds codecs that somebody else left. `None` if
/// the peer failed.
pub fn measure<P: Peer>(messages: &[String], open: impl Fn() -> P + Sync) -> Option<Costs> {
    // Some peers have timers of tokio's, which nobody drives here.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime without I/O");
    std::thread::scope(|scope| {
        let heap = scope.spawn(|| {
            let _entered = runtime.enter();
            heap(messages, &open)
        });
        let (idle, used, thread) = heap.join().ok()?;
        let time = scope.spawn(|| {
            let _entered = runtime.enter();
            time(messages, &open)
        });
        let (send, receive, ratio) = time.join().ok()?;
        Some(Costs {
            object: size_of::<P>(),
            idle,
            used,
            thread,
            send,
            receive,
            ratio,
        })
    })
}

fn heap<P: Peer>(messages: &[String], open: &impl Fn() -> P) -> (isize, isize, isize) {
    let mut peers = Vec::with_capacity(CONNECTIONS as usize);
    let before = heap::live();
    for _ in 0..CONNECTIONS {
        let mut peer = open();
        peer.wait();
        peers.push(peer);
    }
    let idle = (heap::live() - before) / CONNECTIONS;
    drop(peers);

    let mut peers = Vec::with_capacity(CONNECTIONS as usize);
    let before = heap::live();
    let mut first = 0;
    for _ in 0..CONNECTIONS {
        let mut peer = open();
        peer.arrive();
        peer.receive(messages.len());
        peer.send(messages);
        peer.wait();
        peers.push(peer);
        if peers.len() == 1 {
            first = heap::live() - before;
        }
    }
    // What the first holds beyond the others belongs to the thread.
    let used = (heap::live() - before - first) / (CONNECTIONS - 1);
    (idle, used, first - used)
}

fn time<P: Peer>(messages: &[String], open: &impl Fn() -> P) -> (Duration, Duration, f64) {
    let plain: usize = messages.iter().map(String::len).sum();
    let (mut send, mut receive) = (Duration::MAX, Duration::MAX);
    let mut ratio = 0.0;
    for _ in 0..ROUNDS {
        let mut peer = open();
        peer.arrive();
        let start = Instant::now();
        let received = peer.receive(messages.len());
        receive = receive.min(start.elapsed());
        assert_eq!(received, plain);
        let before = peer.written();
        let start = Instant::now();
        peer.send(messages);
        send = send.min(start.elapsed());
        ratio = (peer.written() - before) as f64 / plain as f64;
    }
    let count = messages.len() as u32;
    (send / count, receive / count, ratio)
}

impl Costs {
    pub const HEAD: &str = "| | object | heap, no traffic yet | heap after traffic | thread's | send | receive | on the wire |\n\
                            |---|--:|--:|--:|--:|--:|--:|--:|";

    pub fn row(&self, name: &str) -> String {
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        format!(
            "| {name} | {} | {} | {} | {} | {:.2} µs | {:.2} µs | {:.1} % |",
            self.object,
            self.idle,
            self.used,
            self.thread,
            micros(self.send),
            micros(self.receive),
            100.0 * self.ratio,
        )
    }
}
