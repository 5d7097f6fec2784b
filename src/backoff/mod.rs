//! Reconnecting: which failures are worth another attempt, and when to make it.
//!
//! [`Class`] says what kind of failure something is: `class()` of [`CloseCode`](crate::CloseCode),
//! [`Closed`](crate::Closed), [`Error`](crate::Error), `HandshakeError`, `ProxyError` and `SocketError`
//! is one table, [below](#the-table). [`Backoff`] turns failures into delays. Both are pure: time and
//! randomness are arguments. The adapters have clients that use them (`sockeye::tokio::reconnect`
//! and its siblings); your own loop can do the same:
//!
//! ```
//! use core::time::Duration;
//! use sockeye::backoff::{Backoff, Class, Decision, GiveUp};
//! use sockeye::{CloseCode, Instant};
//!
//! let mut backoff = Backoff::new().with_max_retries(Some(10));
//! let now = Instant::from_nanos(0);
//!
//! // The service restarts: again, at a random moment within the next five seconds.
//! let random = u64::MAX / 2; // from any generator, a new one each time
//! let class = CloseCode::SERVICE_RESTART.class();
//! let Decision::Retry { delay, at } = backoff.handle_disconnect(now, class, random) else {
//!     panic!("it is worth another attempt");
//! };
//! assert!(delay < Duration::from_secs(5));
//!
//! // The next attempt succeeds, and the server does not like what it gets.
//! backoff.handle_connect(at);
//! let class = CloseCode::POLICY_VIOLATION.class();
//! assert_eq!(class, Class::Fatal);
//! let decision = backoff.handle_disconnect(at, class, random);
//! assert_eq!(decision, Decision::GiveUp(GiveUp::Fatal));
//! ```
//!
//! # The table
//!
//! Whoever knows better decides otherwise: give [`Backoff::handle_disconnect`] another class, or
//! give the reconnecting clients a rule.
//!
//! | Failure | Class | Why |
//! |---|---|---|
//! | this side closed | `Done` | It wanted to. |
//! | this side closed after a deadline: idle, lifetime | `Transient` | It is done with the connection, not with being connected. |
//! | close code 1000 | `Done` | The purpose of the connection was fulfilled. |
//! | 1001, 1012 | `Transient` | The server goes away, and it or another one comes back. |
//! | 1005, 1006 | `Transient` | No reason was given; networks break like that. |
//! | 1011, 1014 | `Transient` | What broke is on the other side, and may be repaired. |
//! | 1013 | `Overloaded` | "Try again later". |
//! | 1002, 1003, 1007, 1008, 1009, 1010 | `Fatal` | The same messages would end the next connection too. |
//! | 1015 | `Fatal` | A certificate does not become valid by itself. |
//! | 3000, 3003 | `Fatal` | Unauthorized and forbidden in the IANA registry: as 401 and 403. |
//! | the rest of 3000 to 4999 | `Transient` | Only the application knows: give it a rule. |
//! | what must not be on the wire | `Fatal` | The peer does not speak the protocol. |
//! | `Error::Protocol`, `InvalidUtf8`, `InvalidDeflate` | `Fatal` | Nor here. |
//! | `Error::Capacity` | `Fatal` | The peer sends more than this side takes, and would again. |
//! | `Error::Policy` | `Fatal` | The peer sends more often than this side takes, and would again. |
//! | `Error::Timeout`, `Error::Eof` | `Transient` | Networks break like that. |
//! | HTTP status 429, 503 | `Overloaded` | The server says so, and often for how long. |
//! | 408, 425, and 5xx but those below | `Transient` | Something on the way does not work right now. |
//! | the same with `Retry-After` | `Overloaded` | The server knows how long it takes. |
//! | 501, 505, 511 | `Fatal` | The server cannot do it, or a network wants a login. |
//! | other statuses: 401, 403, 404, 407, redirects, ... | `Fatal` | The same request gets the same answer. |
//! | `HandshakeError::Timeout`, `HandshakeError::Eof` | `Transient` | Networks break like that. |
//! | other handshake errors | `Fatal` | That is no WebSocket server, or not this one's protocol. |
//! | `ConnectError::Timeout` | `Transient` | Whatever phase it was. |
//! | `ConnectError::Proxy` | as `ProxyError` | The proxy tells what it could not do. |
//! | `ConnectError::Resolve`, `Tcp`, `Unix`, `ProxyIo`, `Tls` | as I/O | A certificate is `InvalidData`. |
//! | `ProxyError::Refused` | as HTTP statuses above | A proxy is a server, too. |
//! | `ProxyError::Failed`: general, network or host unreachable, connection refused, TTL expired | `Transient` | The proxy did not reach the server. |
//! | `ProxyError::Failed`: not allowed, command or address not supported, other numbers | `Fatal` | The proxy's rules, and what it cannot do. |
//! | `ProxyError::Eof` | `Transient` | Networks break like that. |
//! | other proxy errors: target, authentication, credentials, answers that are not valid | `Fatal` | The same question gets the same answer. |
//! | `ConnectError::Redirect` | `Fatal` | The same request gets the same answer. |
//! | I/O: `InvalidData`, `PermissionDenied`, `Unsupported` | `Fatal` | TLS libraries report certificates and alerts as `InvalidData`; a sandbox stays. |
//! | I/O: `InvalidInput` | `Misuse` | An argument was wrong. |
//! | I/O: `OutOfMemory`, `ResourceBusy`, `QuotaExceeded` | `Overloaded` | This side's machine has too much to do. |
//! | I/O: all else, names that do not resolve included | `Transient` | A laptop without a network looks like that. |
//! | `SocketError::Url`, `Request`, `Answer`, `Send` | `Misuse` | As `SocketError::is_misuse`: nothing was sent. |

mod class;
#[cfg(feature = "handshake")]
mod retry_after;

use core::time::Duration;

use crate::Instant;

pub use class::Class;

/// When to connect again: exponential delays with full jitter, and budgets.
///
/// The delay before retry *n* is a random time between zero and a ceiling, which starts at
/// [`first`](Self::with_first) and doubles up to the [`cap`](Self::with_cap). All of the delay is
/// random, so clients that lost the same server at the same time come back evenly spread.
///
/// Retries are counted until a connection was [stable](Self::with_stable). A server that accepts
/// and then hangs up is not hammered.
///
/// `Class::Overloaded` waits longer: at least half of the ceiling, or, if the server said
/// how long ([`Retry-After`](Self::with_max_retry_after)), that time and the random delay on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    stable: Duration,
    max_retry_after: Duration,
    max_retries: Option<u32>,
    max_time: Option<Duration>,
    retries: u32,
    /// When the first failure since the last stable connection was.
    down_since: Option<Instant>,
    connected_at: Option<Instant>,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one tries again or does not")]
pub enum Decision {
    /// Connect again.
    Retry {
        /// How long to wait before.
        delay: Duration,
        /// The moment when that is over.
        at: Instant,
    },
    /// Do not connect again.
    GiveUp(GiveUp),
}

/// Why not to connect again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveUp {
    /// [`Class::Done`].
    Done,
    /// [`Class::Fatal`].
    Fatal,
    /// [`Class::Misuse`].
    Misuse,
    /// The retries are used up: [`Backoff::with_max_retries`].
    Retries,
    /// The next attempt would come too late: [`Backoff::with_max_time`].
    Time,
}

impl Backoff {
    /// The defaults: up to 5 s before the first retry, doubling up to 60 s, no budgets.
    pub const fn new() -> Self {
        Self {
            first: Duration::from_secs(5),
            cap: Duration::from_secs(60),
            stable: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(60 * 60),
            max_retries: None,
            max_time: None,
            retries: 0,
            down_since: None,
            connected_at: None,
        }
    }

    /// Sets the ceiling of the delay before the first retry; the next ones double it.
    ///
    /// The default is 5 s, which RFC 6455 section 7.2.3 suggests: a user waits 2.5 s on average, and
    /// a server with ten thousand clients that restarts gets two thousand handshakes a second.
    #[must_use]
    pub const fn with_first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Sets the highest ceiling. It also holds for the first retry.
    ///
    /// The default is 60 s: after an outage of any length the last client is back within a minute.
    #[must_use]
    pub const fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Sets how long a connection must have stayed up for the delays and budgets to start anew.
    ///
    /// The default is 60 s, as the cap: a server that hangs up sooner gets fewer and fewer attempts.
    #[must_use]
    pub const fn with_stable(mut self, stable: Duration) -> Self {
        self.stable = stable;
        self
    }

    /// Sets the longest time that a server can ask to wait for with `Retry-After`. What is longer
    /// counts as this.
    ///
    /// The default is an hour: long enough for maintenance, and a wrong number does not lock clients
    /// out for a year. Zero ignores what servers ask for.
    #[must_use]
    pub const fn with_max_retry_after(mut self, max_retry_after: Duration) -> Self {
        self.max_retry_after = max_retry_after;
        self
    }

    /// Sets how many retries there are before giving up. A stable connection renews them.
    ///
    /// The default is `None`, no end: whoever keeps a connection wants it back.
    #[must_use]
    pub const fn with_max_retries(mut self, max_retries: Option<u32>) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Sets how long after the first failure a retry may still start. A stable connection renews
    /// it.
    ///
    /// The default is `None`, no end.
    #[must_use]
    pub const fn with_max_time(mut self, max_time: Option<Duration>) -> Self {
        self.max_time = max_time;
        self
    }

    /// Takes note that an attempt succeeded: a connection is open.
    pub const fn handle_connect(&mut self, now: Instant) {
        self.connected_at = Some(now);
    }

    /// Decides after a connection ended, or an attempt to make one failed.
    ///
    /// `random` is any number, each equally likely. It need not be secret.
    pub fn handle_disconnect(&mut self, now: Instant, class: Class, random: u64) -> Decision {
        if let Some(connected_at) = self.connected_at.take() {
            if now - connected_at >= self.stable {
                self.reset();
            }
        }
        let down_since = *self.down_since.get_or_insert(now);
        let ceiling = self.ceiling();
        let delay = match class {
            Class::Transient => fraction(ceiling, random),
            Class::Overloaded {
                retry_after: Some(asked),
            } => asked
                .min(self.max_retry_after)
                .saturating_add(fraction(ceiling, random)),
            Class::Overloaded { retry_after: None } => {
                ceiling / 2 + fraction(ceiling - ceiling / 2, random)
            }
            Class::Done => return Decision::GiveUp(GiveUp::Done),
            Class::Fatal => return Decision::GiveUp(GiveUp::Fatal),
            Class::Misuse => return Decision::GiveUp(GiveUp::Misuse),
        };
        if self.max_retries.is_some_and(|max| self.retries >= max) {
            return Decision::GiveUp(GiveUp::Retries);
        }
        let at = now + delay;
        if self.max_time.is_some_and(|max| at - down_since > max) {
            return Decision::GiveUp(GiveUp::Time);
        }
        self.retries = self.retries.saturating_add(1);
        Decision::Retry { delay, at }
    }

    /// Forgets all failures: delays and budgets start anew. For when the application knows that
    /// things have changed, such as when a network came up.
    pub const fn reset(&mut self) {
        self.retries = 0;
        self.down_since = None;
    }

    /// How many retries there were since the last stable connection.
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The longest random delay before the next retry.
    pub fn ceiling(&self) -> Duration {
        // 6455-7.2.3-01: exponential. 2^31 times a nanosecond is two seconds, so an exponent that
        // is cut there could not be seen with any delay that makes sense.
        let factor = 1_u32 << self.retries.min(31);
        self.first.saturating_mul(factor).min(self.cap)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// A random time from zero to just below `ceiling` (6455-7.2.3-02).
fn fraction(ceiling: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    let scaled = (u128::from(nanos) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
}
