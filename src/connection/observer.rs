//! Telling somebody else what happens on a connection.

use crate::connection::event::Event;
use crate::connection::state::Closed;
use crate::connection::timers::Rtt;
use crate::error::{Error, SendError};
use crate::message::Kind;

/// Somebody who is told what happens on connections: for metrics and logs.
///
/// One observer can serve many connections. Its methods do nothing unless they are implemented, and
/// are called in the middle of things, so they should be quick and must not block. A connection
/// without an observer ([`Connection::set_observer`](super::Connection::set_observer)) pays for a
/// comparison.
///
/// Payloads are shown so that they can be measured. Think twice before they are written to a log.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use sockeye::{Config, Connection, Event, Input, Instant, Negotiated, Observer};
///
/// #[derive(Default)]
/// struct Messages(AtomicU64);
///
/// impl Observer for Messages {
///     fn received(&self, event: &Event<'_>) {
///         if matches!(event, Event::Text(_) | Event::Binary(_)) {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// # let keys = || [1, 2, 3, 4];
/// # let now = Instant::from_nanos(0);
/// let messages = Arc::new(Messages::default());
/// let mut conn = Connection::client(&Config::new(), Negotiated::new(), keys, now);
/// conn.set_observer(messages.clone());
/// conn.receive(now, &mut Input::new(&mut b"\x81\x02hi".to_owned()))?;
/// assert_eq!(messages.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), sockeye::Error>(())
/// ```
pub trait Observer: Send + Sync {
    /// An event is handed out.
    fn received(&self, _event: &Event<'_>) {}

    /// A message, or a fragment of one, was queued: so many bytes as the application had them, and
    /// so many as they go out, compressed perhaps, without headers.
    fn sent(&self, _kind: Kind, _bytes: usize, _on_the_wire: usize) {}

    /// Something of the application's was refused.
    fn refused(&self, _error: SendError) {}

    /// The peer was above a rate, and is not listened to for a while.
    fn throttled(&self) {}

    /// A ping was answered.
    fn measured(&self, _rtt: Rtt) {}

    /// The connection failed. [`closed`](Self::closed) follows.
    fn failed(&self, _error: Error) {}

    /// The connection is over. Called once.
    fn closed(&self, _closed: &Closed) {}
}

/// The observer of a connection, if there is one.
#[derive(Clone, Default)]
pub(super) struct Observed(pub(super) Option<alloc::sync::Arc<dyn Observer>>);

impl Observed {
    #[inline]
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub(super) fn tell(&self, what: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.0 {
            what(&**observer);
        }
    }
}

impl core::fmt::Debug for Observed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.0.is_some() { "Some" } else { "None" })
    }
}
