//! What an application can set. Every limit is finite, and every default says why.

#[cfg(feature = "deflate")]
mod deflate;
mod limits;
mod rate;
mod timeouts;

#[cfg(feature = "deflate")]
pub use deflate::{Deflate, DeflateParams, Memory};
#[cfg(feature = "deflate")]
pub(crate) use deflate::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};
pub use limits::Limits;
pub use rate::{Action, Rate};
pub use timeouts::{Role, Timeouts};

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
    max_fragment: MaxFragment,
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

    /// The largest payload of a data frame that is sent, in bytes: what is longer leaves as several
    /// frames. `None` sends every message as one, if it has less than 4 GiB; 0 counts as 1.
    ///
    /// Default: 64 KiB. A ping, a pong and the answer to one wait for no more than the frame that is
    /// under way, which with 64 KiB is half a second at 1 Mbit/s, well below the deadlines that peers
    /// have for them. A message of 1 MiB costs 16 headers. Payloads that are shared stay so. Peers
    /// that cannot put fragments together do not keep to RFC 6455 section 5.4, but exist.
    #[must_use]
    pub fn with_max_fragment(mut self, bytes: Option<usize>) -> Self {
        self.max_fragment = MaxFragment(bytes.map(|bytes| bytes.max(1)));
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

    /// The largest payload of a data frame that is sent.
    pub fn max_fragment(&self) -> Option<usize> {
        self.max_fragment.0
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

/// What is longer is fragmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MaxFragment(Option<usize>);

impl Default for MaxFragment {
    fn default() -> Self {
        Self(Some(64 * 1024))
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
