//! Load on one server: each connection sends a message for each one that comes back.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Events, Interest, Poll, Token};

use crate::client::Client;
use crate::frames::Frames;
use crate::histogram::Histogram;
use crate::server::{self, Cpu, Server};
use crate::upgrade;

const MAX_SILENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub connections: usize,
    pub size: usize,
    /// Messages of each connection that are under way.
    pub depth: usize,
}

impl Point {
    pub const fn new(connections: usize, size: usize, depth: usize) -> Self {
        Self {
            connections,
            size,
            depth,
        }
    }

    /// Bytes that are under way.
    pub fn in_flight(self) -> usize {
        self.connections * self.size * self.depth
    }
}

/// What a server made of it.
pub struct Load {
    /// Messages and megabytes a second.
    pub messages: f64,
    pub megabytes: f64,
    /// Of half of the messages, of all but one in 100, and of all but one in 1000; microseconds.
    pub latencies: [f64; 3],
    /// Seconds of the server's processor for a million messages.
    pub cpu_per_million: f64,
    /// How much of them was the kernel's.
    pub system: f64,
    /// How busy the processors were.
    pub server: f64,
    pub client: f64,
}

impl Load {
    /// What was in the middle of several runs, each figure by itself.
    pub fn median(loads: &[Self]) -> Option<Self> {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<_> = loads.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied()
        };
        Some(Self {
            messages: of(|load| load.messages)?,
            megabytes: of(|load| load.megabytes)?,
            latencies: [
                of(|load| load.latencies[0])?,
                of(|load| load.latencies[1])?,
                of(|load| load.latencies[2])?,
            ],
            cpu_per_million: of(|load| load.cpu_per_million)?,
            system: of(|load| load.system)?,
            server: of(|load| load.server)?,
            client: of(|load| load.client)?,
        })
    }
}

/// What was so at a moment.
struct Mark {
    at: Instant,
    server: Cpu,
    client: Duration,
}

impl Mark {
    fn new(server: &Server) -> io::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            server: server.cpu()?,
            client: server::busy("self")?,
        })
    }
}

pub fn run(server: &Server, point: Point, time: Duration) -> io::Result<Load> {
    let frames = Frames::new(point.size, point.depth);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut clients = Vec::new();
    for index in 0..point.connections {
        let (stream, _) = upgrade::connect(server.address(), false)?;
        stream.set_nonblocking(true)?;
        let mut client = Client::new(mio::net::TcpStream::from_std(stream));
        let interest = Interest::READABLE | Interest::WRITABLE;
        client
            .stream_mut()
            .register(poll.registry(), Token(index), interest)?;
        clients.push(client);
    }

    let mut buffer = vec![0; 256 << 10];
    let mut latencies = Histogram::new();
    for client in &mut clients {
        client.send(&frames, point.depth, Instant::now())?;
    }
    let start = Instant::now();
    let warm_up = (time / 5).max(Duration::from_millis(100));
    let mut last = start;
    let mut first_mark = None;
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(200)))?;
        let now = Instant::now();
        if first_mark.is_none() && now - start >= warm_up {
            first_mark = Some(Mark::new(server)?);
            latencies = Histogram::new();
        }
        if now - start >= warm_up + time {
            break;
        }
        if now - last > MAX_SILENCE {
            return Err(ErrorKind::TimedOut.into());
        }
        for event in &events {
            let client = &mut clients[event.token().0];
            if event.is_writable() {
                client.writable(&frames)?;
            }
            if event.is_readable() && client.readable(&frames, &mut buffer, &mut latencies)? {
                last = now;
            }
        }
    }
    let before = first_mark.ok_or(ErrorKind::TimedOut)?;
    let after = Mark::new(server)?;
    if latencies.count() == 0 {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(summary(point, &latencies, &before, &after))
}

fn summary(point: Point, latencies: &Histogram, before: &Mark, after: &Mark) -> Load {
    let seconds = (after.at - before.at).as_secs_f64();
    let messages = latencies.count() as f64;
    let busy = (after.server.busy - before.server.busy).as_secs_f64();
    let user = (after.server.user - before.server.user) as f64;
    let system = (after.server.system - before.server.system) as f64;
    Load {
        messages: messages / seconds,
        megabytes: messages * point.size as f64 / seconds / 1e6,
        latencies: [0.5, 0.99, 0.999].map(|share| latencies.quantile(share)),
        cpu_per_million: busy / messages * 1e6,
        system: system / (user + system).max(1.0),
        server: busy / seconds,
        client: (after.client - before.client).as_secs_f64() / seconds,
    }
}
