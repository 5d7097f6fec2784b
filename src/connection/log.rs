//! What happens on a connection, for `tracing`.

use tracing::{debug, info, trace, warn};

use crate::connection::event::Event;
use crate::connection::observer::Observer;
use crate::connection::state::Closed;
use crate::connection::timers::Rtt;
use crate::error::{Error, SendError};
use crate::message::Kind;

/// An [`Observer`] that emits `tracing` events with the target `sockeye`, inside the span that it
/// was made in.
///
/// The end of a connection is `info`, a failure `warn`, messages are `debug`, and the rest is
/// `trace`. Of payloads only the length is told, never a byte; of a Close frame the code and the
/// length of its reason.
///
/// ```
/// # use sockeye::*;
/// # use std::sync::Arc;
/// # let keys = || [1, 2, 3, 4];
/// # let now = Instant::from_nanos(0);
/// let mut conn = Connection::client(&Config::new(), Negotiated::new(), keys, now);
/// conn.set_observer(Arc::new(Log::new()));
/// ```
#[derive(Clone, Debug)]
pub struct Log {
    span: tracing::Span,
}

impl Log {
    /// For the current span.
    pub fn new() -> Self {
        Self {
            span: tracing::Span::current(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Log {
    fn received(&self, event: &Event<'_>) {
        let _entered = self.span.enter();
        match event {
            Event::Text(text) => debug!(target: "sockeye", bytes = text.len(), "received text"),
            Event::Binary(payload) => {
                debug!(target: "sockeye", bytes = payload.len(), "received binary");
            }
            Event::Fragment(piece) => {
                let bytes = piece.payload().len();
                trace!(target: "sockeye", bytes, last = piece.is_last(), "received a piece");
            }
            Event::Ping(payload) => {
                trace!(target: "sockeye", bytes = payload.len(), "received a ping");
            }
            Event::Pong(payload) => {
                trace!(target: "sockeye", bytes = payload.len(), "received a pong");
            }
            Event::Close(frame) => {
                let code = u16::from(frame.code());
                let reason = frame.reason().len();
                debug!(target: "sockeye", code, reason_bytes = reason, "received a Close frame");
            }
        }
    }

    fn sent(&self, kind: Kind, bytes: usize, on_the_wire: usize) {
        let _entered = self.span.enter();
        debug!(target: "sockeye", ?kind, bytes, on_the_wire, "sent");
    }

    fn refused(&self, error: SendError) {
        let _entered = self.span.enter();
        debug!(target: "sockeye", %error, "refused to send");
    }

    fn throttled(&self) {
        let _entered = self.span.enter();
        debug!(target: "sockeye", "the peer is above a rate");
    }

    fn measured(&self, rtt: Rtt) {
        let _entered = self.span.enter();
        trace!(target: "sockeye", last = ?rtt.last, smoothed = ?rtt.smoothed, "round trip");
    }

    fn failed(&self, error: Error) {
        let _entered = self.span.enter();
        warn!(target: "sockeye", %error, "failed");
    }

    fn closed(&self, closed: &Closed) {
        let _entered = self.span.enter();
        let code = u16::from(closed.code());
        let sent = closed.sent.map(u16::from);
        info!(target: "sockeye", initiator = ?closed.initiator, code, sent, clean = closed.clean, "closed");
    }
}
