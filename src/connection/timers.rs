//! The deadlines of an open connection: one table, no clock.
//!
//! What starts a deadline often happens where nobody tells the time: when a ping leaves the queue,
//! or when output begins to wait. Then the next deadline is [`Instant::AT_ONCE`], and the call of
//! [`Timers::start`] that follows sets the real one. So a clock is read only for deadlines that
//! there are.

use core::time::Duration;

use crate::config::Timeouts;
use crate::time::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    Write,
    Pong,
    Lifetime,
    Idle,
    Ping,
}

impl Timer {
    /// In the order in which deadlines are met that passed together.
    const ALL: [Self; 5] = [
        Self::Write,
        Self::Pong,
        Self::Lifetime,
        Self::Idle,
        Self::Ping,
    ];
}

/// How far the output is, for the deadlines that go by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Bytes that were transmitted since the connection began.
    pub(super) transmitted: u64,
    /// There is output that waits.
    pub(super) waits: bool,
    /// The last ping of these timers' was transmitted.
    pub(super) ping_left: bool,
}

/// The deadlines of an open connection, and the round trips that its pings measure.
#[derive(Debug)]
pub(super) struct Timers {
    ping: Option<Duration>,
    pong: Option<Duration>,
    idle: Option<Duration>,
    write: Option<Duration>,
    /// The deadlines that are set, by `Timer`.
    table: [Option<Instant>; Timer::ALL.len()],
    /// What was transmitted when the deadline for writing was set.
    write_mark: u64,
    /// Messages so far, sent and received.
    messages: u64,
    /// What that was when the deadline for being idle was set.
    idle_mark: u64,
    /// The payload of the last ping.
    number: u32,
    /// It waits in the queue, or left at a time that nobody told.
    queued: bool,
    /// The oldest ping that was not answered, and when it left. Later ones are not timed: they may
    /// go out faster than the answers come.
    timed: Option<(u32, Instant)>,
    /// A ping left, and nothing came since.
    awaits_life: bool,
    /// The application does not read for a while.
    paused: bool,
    /// The peer is above a rate, and nothing is read until it no longer is.
    throttled: bool,
    rtt: Option<Rtt>,
    /// Some of the data that waits was seen waiting then, until so many bytes are transmitted.
    waited_at: Instant,
    waited_mark: u64,
}

/// The time from a ping to its pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rtt {
    /// Of the last ping that was answered.
    pub last: Duration,
    /// The shortest so far: the length of the line.
    pub min: Duration,
    /// A mean in which the last eight or so count, as TCP has it (RFC 6298 section 2).
    pub smoothed: Duration,
}

impl Timers {
    pub(super) fn new(timeouts: &Timeouts, now: Instant) -> Self {
        let mut timers = Self {
            ping: timeouts.ping(),
            pong: timeouts.pong(),
            idle: timeouts.idle(),
            write: timeouts.write(),
            table: [None; Timer::ALL.len()],
            write_mark: 0,
            messages: 0,
            idle_mark: 0,
            number: 0,
            queued: false,
            timed: None,
            awaits_life: false,
            paused: false,
            throttled: false,
            rtt: None,
            waited_at: Instant::AT_ONCE,
            waited_mark: 0,
        };
        timers.set(Timer::Ping, timers.ping.map(|ping| now.after(ping)));
        timers.set(Timer::Idle, timers.idle.map(|idle| now.after(idle)));
        let lifetime = timeouts.lifetime().map(|longest| {
            let jitter = timeouts.lifetime_jitter().min(longest);
            now.after(longest.saturating_sub(scatter(now, jitter)))
        });
        timers.set(Timer::Lifetime, lifetime);
        timers
    }

    /// Whether there is anything to watch over.
    pub(super) fn are_wanted(timeouts: &Timeouts) -> bool {
        let wanted = [
            timeouts.ping(),
            timeouts.idle(),
            timeouts.write(),
            timeouts.lifetime(),
        ];
        wanted.iter().any(Option::is_some)
    }

    fn slot(&mut self, timer: Timer) -> &mut Option<Instant> {
        match (&mut self.table, timer) {
            ([slot, ..], Timer::Write)
            | ([_, slot, ..], Timer::Pong)
            | ([_, _, slot, ..], Timer::Lifetime)
            | ([_, _, _, slot, _], Timer::Idle)
            | ([.., slot], Timer::Ping) => slot,
        }
    }

    fn set(&mut self, timer: Timer, deadline: Option<Instant>) {
        *self.slot(timer) = deadline;
    }

    /// The next deadline.
    pub(super) fn next(&self, progress: Progress) -> Option<Instant> {
        if self.wants_time(progress) {
            return Some(Instant::AT_ONCE);
        }
        let [write, pong, lifetime, idle, ping] = self.table;
        let watching = self.is_watching();
        let deadlines = [
            write.filter(|_| progress.waits),
            pong.filter(|_| watching),
            lifetime,
            idle,
            ping.filter(|_| watching),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Whether a deadline starts now.
    fn wants_time(&self, progress: Progress) -> bool {
        self.starts_write(progress)
            || self.starts_probe(progress)
            || self.starts_pong()
            || self.starts_idle()
    }

    fn starts_write(&self, progress: Progress) -> bool {
        let [write, ..] = self.table;
        self.write.is_some()
            && progress.waits
            && (write.is_none() || self.write_mark != progress.transmitted)
    }

    fn starts_probe(&self, progress: Progress) -> bool {
        self.queued && progress.ping_left
    }

    fn starts_pong(&self) -> bool {
        let [_, pong, ..] = self.table;
        self.awaits_life && self.is_watching() && pong.is_none() && self.pong.is_some()
    }

    fn starts_idle(&self) -> bool {
        self.idle.is_some() && self.idle_mark != self.messages
    }

    /// Starts what only wanted the time.
    pub(super) fn start(&mut self, now: Instant, progress: Progress) {
        if self.starts_write(progress) {
            self.write_mark = progress.transmitted;
            self.set(Timer::Write, self.write.map(|write| now.after(write)));
        }
        if !progress.waits {
            self.set(Timer::Write, None);
        }
        if self.starts_probe(progress) {
            self.queued = false;
            self.timed.get_or_insert((self.number, now));
            self.awaits_life = true;
        }
        if self.starts_pong() {
            self.set(Timer::Pong, self.pong.map(|pong| now.after(pong)));
        }
        if self.starts_idle() {
            self.idle_mark = self.messages;
            self.set(Timer::Idle, self.idle.map(|idle| now.after(idle)));
        }
    }

    /// A deadline that has passed. It is set anew if it comes again.
    pub(super) fn take_passed(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|timer| {
            let watched = self.is_watching() || !matches!(timer, Timer::Pong | Timer::Ping);
            let passed = self.slot(*timer).is_some_and(|deadline| deadline <= now);
            watched && passed
        })?;
        let next = match timer {
            Timer::Ping => self.ping.map(|ping| now.after(ping)),
            Timer::Write | Timer::Pong | Timer::Lifetime | Timer::Idle => None,
        };
        self.set(timer, next);
        Some(timer)
    }

    /// The payload of the next ping. `None` while the one before waits in the queue.
    pub(super) fn next_ping(&mut self) -> Option<[u8; 4]> {
        if self.queued {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        Some(self.number.to_be_bytes())
    }

    /// The ping was queued.
    pub(super) fn note_ping(&mut self) {
        self.queued = true;
    }

    /// Something came from the peer.
    pub(super) fn note_life(&mut self) {
        self.awaits_life = false;
        self.set(Timer::Pong, None);
    }

    /// A pong came. What it measured, if it answers the ping that is timed.
    pub(super) fn note_pong(&mut self, now: Instant, payload: &[u8]) -> Option<Rtt> {
        // 6455-5.5.3-03: a pong may answer no ping.
        let number = u32::from_be_bytes(payload.try_into().ok()?);
        if number == self.number {
            // So it left, if nobody told yet.
            self.queued = false;
        }
        let (timed, left) = self.timed?;
        if number.wrapping_sub(timed) > self.number.wrapping_sub(timed) {
            return None;
        }
        // 6455-5.5.3-02: the answer to a later ping stands for those before.
        self.timed = None;
        if number != timed {
            return None;
        }
        let last = now - left;
        self.rtt = Some(match self.rtt {
            None => Rtt {
                last,
                min: last,
                smoothed: last,
            },
            Some(before) => Rtt {
                last,
                min: before.min.min(last),
                smoothed: before.smoothed - before.smoothed / 8 + last / 8,
            },
        });
        self.rtt
    }

    /// How long some of the `waiting` bytes of data have been waiting at least.
    pub(super) fn queued_age(
        &mut self,
        now: Instant,
        transmitted: u64,
        waiting: usize,
    ) -> Option<Duration> {
        if transmitted >= self.waited_mark {
            // All that was seen waiting may have left.
            self.waited_mark = transmitted + waiting as u64;
            self.waited_at = now;
        }
        (waiting > 0).then(|| now - self.waited_at)
    }

    /// A message was sent or received.
    pub(super) fn note_message(&mut self) {
        self.messages = self.messages.wrapping_add(1);
    }

    /// The application does not read for a while, so a pong could not be seen.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        self.set(Timer::Pong, None);
    }

    pub(super) fn resume(&mut self) {
        self.paused = false;
    }

    /// As [`pause`](Self::pause) and [`resume`](Self::resume), for a peer that is above a rate.
    /// Neither ends the other.
    pub(super) fn set_throttled(&mut self, throttled: bool) {
        self.throttled = throttled;
        if throttled {
            self.set(Timer::Pong, None);
        }
    }

    /// The connection is no longer open: the closing handshake has a deadline of its own.
    pub(super) fn stop(&mut self) {
        self.table = [None; Timer::ALL.len()];
        (self.ping, self.pong, self.idle, self.write) = (None, None, None, None);
        (self.awaits_life, self.queued, self.timed) = (false, false, None);
    }

    pub(super) fn rtt(&self) -> Option<Rtt> {
        self.rtt
    }

    /// Whether what comes is read: what is not read cannot be a sign of life.
    fn is_watching(&self) -> bool {
        !self.paused && !self.throttled
    }
}

/// A duration below `end` that differs between connections: a hash of the moment they began at
/// (the finalizer of `splitmix64`).
fn scatter(seed: Instant, end: Duration) -> Duration {
    let mut hash = seed.as_nanos().wrapping_add(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    let end = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
    let nanos = (u128::from(hash) * u128::from(end)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
