//! How often a peer may do something.

/// So many a second, and so many at once: a token bucket.
///
/// ```
/// use sockeye::{Action, Limits, Rate};
///
/// let limits = Limits::new()
///     .with_message_rate(Some(Rate::new(50, 200)))
///     .with_control_rate(Some(Rate::new(5, 50).with_action(Action::Close)));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
    action: Action,
}

/// What happens when a peer is above a [`Rate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is not listened to until it is within the rate again. Nothing is lost, and the transport
    /// holds the peer back.
    #[default]
    Pause,
    /// The connection fails with close code 1008.
    Close,
    /// It is counted ([`Received::floods`](crate::Received::floods)).
    Report,
}

impl Rate {
    /// `per_second` in the long run, and up to `burst` at once after a pause. Less than one of
    /// either counts as one. Default action: [`Action::Pause`].
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: if per_second == 0 { 1 } else { per_second },
            burst: if burst == 0 { 1 } else { burst },
            action: Action::Pause,
        }
    }

    /// What happens to a peer that is above it.
    #[must_use]
    pub const fn with_action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// How many a second.
    pub const fn per_second(self) -> u32 {
        self.per_second
    }

    /// How many at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// What happens to a peer that is above it.
    pub const fn action(self) -> Action {
        self.action
    }
}
