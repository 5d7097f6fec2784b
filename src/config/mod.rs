//! What an application can set. Every limit is finite, and every default says why.

#[cfg(feature = "deflate")]
mod deflate;

use core::time::Duration;

#[cfg(feature = "deflate")]
pub use deflate::{Deflate, DeflateParams, Memory};
#[cfg(feature = "deflate")]
pub(crate) use deflate::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The settings of one endpoint. Cheap to clone; connections copy out of it what they need.
///
/// ```
/// use core::time::Duration;
/// use sockeye::{Config, Limits, Timeouts};
///
/// let config = Config::new()
///     .with_limits(Limits::new().with_max_message_size(64 * 1024))
///     .with_timeouts(Timeouts::new().with_close(Some(Duration::from_secs(2))));
/// assert_eq!(config.limits().max_message_size(), 64 * 1024);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    limits: Limits,
    timeouts: Timeouts,
    delivery: Delivery,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Replaces the timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Chooses how messages are delivered. Default: [`Delivery::Messages`].
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Offers or accepts compression. Default: `None`, because compressing secrets next to what an
    /// attacker chose gives the secrets away (RFC 7692 section 8, CRIME and BREACH).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.deflate = deflate.into();
        self
    }

    /// The settings of compression, if it is wanted.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<&Deflate> {
        self.deflate.as_ref()
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The timeouts.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// How messages are delivered.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }
}

/// How received messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Whole messages, as [`Event::Text`](crate::Event::Text) and
    /// [`Event::Binary`](crate::Event::Binary).
    #[default]
    Messages,
    /// Pieces as they arrive, as [`Event::Fragment`](crate::Event::Fragment): validated like whole
    /// messages, but never assembled, so a message may be larger than memory if the limits
    /// allow it.
    Chunks,
}

/// What a peer may make this endpoint hold, and what the application may queue.
///
/// A connection's worst case is `max_message_size` for the message being assembled (up to twice
/// that while its buffer grows), plus `max_queued` and one message of the application's for output,
/// plus 3 KiB of control frames. Before that, a handshake holds at most `max_head_size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    max_frame_size: u64,
    max_message_size: u64,
    max_inflate_ratio: Option<u32>,
    max_queued: usize,
    max_head_size: usize,
    max_headers: usize,
    max_target_size: usize,
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest payload of one received data frame in bytes, checked as soon as its length is
    /// known.
    ///
    /// Default: 16 MiB, as for messages, because most peers send a message as one frame. A longer
    /// frame fails the connection with close code 1009. Nothing is allocated for a declared
    /// length (RFC 6455 section 10.4).
    #[must_use]
    pub fn with_max_frame_size(mut self, bytes: u64) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// The largest received message in bytes, counted over its fragments.
    ///
    /// Default: 16 MiB, which is what most peers allow too. A longer message fails the connection
    /// with close code 1009 at the header of the frame that goes over. It holds for
    /// [`Delivery::Chunks`] as well; set it and `max_frame_size` to `u64::MAX` to receive
    /// without end.
    #[must_use]
    pub fn with_max_message_size(mut self, bytes: u64) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// How many times larger than its compressed form a message may be, once it has 64 KiB.
    ///
    /// Default: none, because `max_message_size` bounds what a message may become, exactly, and
    /// honest messages that repeat themselves reach the format's own limit of 1032. A message
    /// above it fails the connection with close code 1009.
    #[must_use]
    pub fn with_max_inflate_ratio(mut self, ratio: Option<u32>) -> Self {
        self.max_inflate_ratio = ratio;
        self
    }

    /// How many bytes of output may wait before a send is refused as
    /// [`SendError::Full`](crate::SendError::Full).
    ///
    /// Default: 1 MiB, some network round trips' worth on a fast line. The message that reaches the
    /// mark is still taken, so the worst case is this plus the largest message that the
    /// application sends. Control frames do not count.
    #[must_use]
    pub fn with_max_queued(mut self, bytes: usize) -> Self {
        self.max_queued = bytes;
        self
    }

    /// The largest head of a handshake, request or response, in bytes.
    ///
    /// Default: 16 KiB, twice what common servers take, because cookies add up. A server answers a
    /// longer one with 431.
    #[must_use]
    pub fn with_max_head_size(mut self, bytes: usize) -> Self {
        self.max_head_size = bytes;
        self
    }

    /// The most header lines in a handshake. Default: 100, as in most HTTP servers. A server
    /// answers more with 431.
    #[must_use]
    pub fn with_max_headers(mut self, count: usize) -> Self {
        self.max_headers = count;
        self
    }

    /// The longest request target in bytes. Default: 8 KiB. A server answers a longer one with 414.
    #[must_use]
    pub fn with_max_target_size(mut self, bytes: usize) -> Self {
        self.max_target_size = bytes;
        self
    }

    /// The largest payload of one received data frame in bytes.
    pub fn max_frame_size(&self) -> u64 {
        self.max_frame_size
    }

    /// The largest received message in bytes.
    pub fn max_message_size(&self) -> u64 {
        self.max_message_size
    }

    /// How many times larger than its compressed form a message may be.
    pub fn max_inflate_ratio(&self) -> Option<u32> {
        self.max_inflate_ratio
    }

    /// How many bytes of output may wait.
    pub fn max_queued(&self) -> usize {
        self.max_queued
    }

    /// The largest head of a handshake in bytes.
    pub fn max_head_size(&self) -> usize {
        self.max_head_size
    }

    /// The most header lines in a handshake.
    pub fn max_headers(&self) -> usize {
        self.max_headers
    }

    /// The longest request target in bytes.
    pub fn max_target_size(&self) -> usize {
        self.max_target_size
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_size: 16 << 20,
            max_message_size: 16 << 20,
            max_inflate_ratio: None,
            max_queued: 1 << 20,
            max_head_size: 16 << 10,
            max_headers: 100,
            max_target_size: 8 << 10,
        }
    }
}

/// How long to wait for a peer. `None` waits forever; less than a millisecond counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    handshake: Option<Duration>,
    close: Option<Duration>,
}

impl Timeouts {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
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

    /// How long the opening handshake may take.
    pub fn handshake(&self) -> Option<Duration> {
        self.handshake
    }

    /// How long the closing handshake may take.
    pub fn close(&self) -> Option<Duration> {
        self.close
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Some(Duration::from_secs(10)),
            close: Some(Duration::from_secs(5)),
        }
    }
}
