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
