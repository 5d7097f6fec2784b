//! How a message is sent.

#[cfg(feature = "deflate")]
use super::deflate::Compress;
use crate::connection::transmit::Priority;

/// How a message is sent: in which class, and whether compressed.
///
/// A [`Priority`] or a `Compress` alone will do where one is asked for.
///
/// ```
/// # use sockeye::*;
/// # let mut conn = Connection::server(&Config::new(), Negotiated::new(), Instant::from_nanos(0));
/// conn.send_with("stop", Priority::Urgent)?;
/// let backlog = SendOptions::new().with_priority(Priority::Bulk);
/// conn.send_with("what you missed", backlog)?;
/// # Ok::<(), SendError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    priority: Priority,
    #[cfg(feature = "deflate")]
    compress: Compress,
}

impl SendOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            priority: Priority::Normal,
            #[cfg(feature = "deflate")]
            compress: Compress::Auto,
        }
    }

    /// The class of the message. Default: [`Priority::Normal`].
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Whether the message is compressed. Default: [`Compress::Auto`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn with_compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// The class of the message.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Whether the message is compressed.
    #[cfg(feature = "deflate")]
    pub const fn compress(&self) -> Compress {
        self.compress
    }
}

impl From<Priority> for SendOptions {
    fn from(priority: Priority) -> Self {
        Self::new().with_priority(priority)
    }
}

#[cfg(feature = "deflate")]
impl From<Compress> for SendOptions {
    fn from(compress: Compress) -> Self {
        Self::new().with_compress(compress)
    }
}
