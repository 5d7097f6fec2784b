//! How long an endpoint waits.

use core::time::Duration;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// The end that connected.
    Client,
    /// The end that was connected to.
    Server,
}

/// How long to wait, and how often to look whether the peer is still there. `None` waits forever;
/// less than a millisecond counts as one.
///
/// By default only the two handshakes have a deadline, because everything else depends on what the
/// application does. [`suggested`](Self::suggested) is what most want.
///
/// ```
/// use core::time::Duration;
/// use sockeye::{Config, Role, Timeouts};
///
/// let timeouts = Timeouts::suggested(Role::Server).with_idle(Some(Duration::from_secs(3600)));
/// let config = Config::new().with_timeouts(timeouts);
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    handshake: Option<Duration>,
    close: Option<Duration>,
    ping: Option<Duration>,
    pong: Option<Duration>,
    idle: Option<Duration>,
    write: Option<Duration>,
    lifetime: Option<Duration>,
    lifetime_jitter: Duration,
}

impl Timeouts {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What suits most applications on the open internet.
    ///
    /// A ping every 25 s for a client and 30 s for a server: proxies commonly end a connection
    /// after 60 s of silence in one direction, mobile networks forget one after 30 s and more. 20 s
    /// for a sign of life, which is a bad mobile network's worst round trip with retransmissions.
    /// 30 s for a peer that takes nothing of what is written.
    pub fn suggested(role: Role) -> Self {
        let ping = match role {
            Role::Client => Duration::from_secs(25),
            Role::Server => Duration::from_secs(30),
        };
        Self::new()
            .with_ping(Some(ping))
            .with_pong(Some(Duration::from_secs(20)))
            .with_write(Some(Duration::from_secs(30)))
    }

    /// How long the opening handshake may take, in the adapters' `connect` together with name
    /// lookup and TCP.
    ///
    /// Default: 10 s, enough for a slow mobile network, short enough that idle half-open sockets do
    /// not pile up.
    #[must_use]
    pub fn with_handshake(mut self, timeout: Option<Duration>) -> Self {
        self.handshake = timeout;
        self
    }

    /// How long the closing handshake may take, from the first Close frame of either side to the
    /// end of the transport.
    ///
    /// Default: 5 s. Queued data goes out first, so this bounds how long a peer that stopped
    /// reading holds a connection.
    #[must_use]
    pub fn with_close(mut self, timeout: Option<Duration>) -> Self {
        self.close = timeout;
        self
    }

    /// How often a ping goes out, to keep the connection alive and to measure the round trip
    /// ([`Connection::rtt`](crate::Connection::rtt)).
    ///
    /// Default: never. Pings go out whether there is other traffic or not: what ends silent
    /// connections looks at each direction by itself.
    #[must_use]
    pub fn with_ping(mut self, interval: Option<Duration>) -> Self {
        self.ping = interval;
        self
    }

    /// How long after a ping left the queue there may be no sign of life. Any byte of the peer's is
    /// one. Then the connection is dead: [`Timeout::Pong`](crate::Timeout::Pong).
    ///
    /// Default: forever. A dead peer is found within the ping's interval and this. The deadline
    /// stands still while the application has [paused](crate::Connection::pause) reading, and while
    /// the ping waits behind this side's own output.
    #[must_use]
    pub fn with_pong(mut self, timeout: Option<Duration>) -> Self {
        self.pong = timeout;
        self
    }

    /// How long there may be no message, in either direction. Then the connection is closed with
    /// code 1001. Pings and pongs do not count.
    ///
    /// Default: forever. In the adapters' split halves, received messages are noted only when a
    /// deadline is looked at, so it may take up to twice as long there.
    #[must_use]
    pub fn with_idle(mut self, timeout: Option<Duration>) -> Self {
        self.idle = timeout;
        self
    }

    /// How long output may wait without any of it being taken by the transport. Then the peer has
    /// stopped reading, and the connection ends: [`Timeout::Write`](crate::Timeout::Write).
    ///
    /// Default: forever.
    #[must_use]
    pub fn with_write(mut self, timeout: Option<Duration>) -> Self {
        self.write = timeout;
        self
    }

    /// How long a connection may last. Then it is closed with code 1001, so that a peer connects
    /// anew, perhaps to another machine.
    ///
    /// Up to `jitter` is taken off, differently for each connection, so that those that began
    /// together do not end together. It comes from the moment the connection began at, which is
    /// random enough for that.
    ///
    /// Default: forever.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Option<Duration>, jitter: Duration) -> Self {
        self.lifetime = lifetime;
        self.lifetime_jitter = jitter;
        self
    }

    /// How long the opening handshake may take.
    pub fn handshake(&self) -> Option<Duration> {
        self.handshake
    }

    /// How long the closing handshake may take.
    pub fn close(&self) -> Option<Duration> {
        self.close
    }

    /// How often a ping goes out.
    pub fn ping(&self) -> Option<Duration> {
        self.ping
    }

    /// How long after a ping there may be no sign of life.
    pub fn pong(&self) -> Option<Duration> {
        self.pong
    }

    /// How long there may be no message.
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// How long output may wait without any of it being taken.
    pub fn write(&self) -> Option<Duration> {
        self.write
    }

    /// How long a connection may last.
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// By how much less it may last.
    pub fn lifetime_jitter(&self) -> Duration {
        self.lifetime_jitter
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Some(Duration::from_secs(10)),
            close: Some(Duration::from_secs(5)),
            ping: None,
            pong: None,
            idle: None,
            write: None,
            lifetime: None,
            lifetime_jitter: Duration::ZERO,
        }
    }
}
