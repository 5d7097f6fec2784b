//! The sending half: messages and obligations in, bytes out.

mod closing;
mod control;
mod count;
mod data;
mod deadlines;
#[cfg(feature = "deflate")]
mod deflate;
mod options;
mod plain;
#[cfg(feature = "deflate")]
mod prepared;
mod room;
mod through;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;

pub use count::Sent;
use data::Outgoing;
#[cfg(feature = "deflate")]
pub use deflate::Compress;
pub use options::SendOptions;
#[cfg(feature = "deflate")]
pub use prepared::Prepared;
use room::Full;

use super::event::Event;
use super::observer::{Observed, Observer};
use super::state::{Closing, State};
use super::timers::Timers;
use super::transmit::{Queue, Transmit};
use crate::config::{Config, Limits};
use crate::error::Error;
use crate::message::Kind;
use crate::random::MaskKeys;
use crate::time::Instant;

/// The sending half of a [`Connection`](super::Connection): encodes, queues, and keeps the closing
/// handshake and its deadline.
///
/// A connection that was [split](super::Connection::into_split) has one owner for each half. The
/// owner of the [`Receiver`](super::Receiver) reports to this half what came:
/// [`respond`](Self::respond) for each event, [`fail`](Self::fail) for the error,
/// [`handle_eof`](Self::handle_eof) for the end.
pub struct Sender {
    /// A client masks, a server does not (RFC 6455 section 5.1).
    keys: Option<Box<dyn MaskKeys>>,
    queue: Queue,
    /// The message whose fragments are being sent.
    outgoing: Option<Outgoing>,
    #[cfg(feature = "deflate")]
    deflation: Option<deflate::Deflation>,
    closing: Closing,
    sent: Sent,
    observed: Observed,
    /// What the observer was told that the message is made of whose fragments are being sent.
    kind: Kind,
    /// The observer knows that the connection is over.
    told_closed: bool,
    /// The deadlines of an open connection, if there are any.
    timers: Option<Box<Timers>>,
    max_queued: usize,
    /// What may be held in all, and what the other half holds of it. Of 32 bits, like the next: that
    /// keeps the connection small.
    max_memory: u32,
    held_elsewhere: u32,
    low_water: u32,
    /// The classes that had no room since they last had drained.
    full: Full,
    max_fragment: u32,
    close_timeout: Option<Duration>,
}

impl Sender {
    pub(super) fn new(config: &Config, keys: Option<Box<dyn MaskKeys>>, now: Instant) -> Self {
        let timeouts = config.timeouts();
        let timers = Timers::are_wanted(timeouts).then(|| Box::new(Timers::new(timeouts, now)));
        Self {
            timers,
            sent: Sent::default(),
            observed: Observed::default(),
            kind: Kind::Binary,
            told_closed: false,
            keys,
            queue: Queue::default(),
            outgoing: None,
            #[cfg(feature = "deflate")]
            deflation: None,
            closing: Closing::default(),
            max_queued: config.limits().max_queued(),
            max_memory: config.limits().max_memory().map_or(u32::MAX, in_32_bits),
            held_elsewhere: 0,
            low_water: in_32_bits(config.limits().low_water()),
            full: Full::default(),
            max_fragment: config.max_fragment().map_or(u32::MAX, in_32_bits),
            close_timeout: config.timeouts().close(),
        }
    }

    /// Tells somebody what is sent, and how it ends; see
    /// [`Connection::set_observer`](super::Connection::set_observer).
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.observed = Observed(Some(observer));
    }

    /// Changes what may be queued; see
    /// [`Connection::set_limits`](super::Connection::set_limits).
    pub fn set_limits(&mut self, limits: &Limits) {
        self.max_queued = limits.max_queued();
        self.low_water = in_32_bits(limits.low_water());
        self.max_memory = limits.max_memory().map_or(u32::MAX, in_32_bits);
    }

    fn next_key(&mut self) -> Option<[u8; 4]> {
        self.keys.as_mut().map(|keys| keys.next_key())
    }

    /// Answers what has to be answered: a ping with a pong, the peer's Close frame with one of this
    /// side. Any event tells that the peer is alive.
    pub fn respond(&mut self, now: Instant, event: &Event<'_>) {
        self.note_life();
        match event {
            Event::Ping(payload) => self.respond_ping(payload),
            Event::Close(frame) => self.respond_close(now, frame),
            Event::Pong(payload) => self.note_pong(now, payload),
            Event::Text(_) | Event::Binary(_) | Event::Fragment(_) => self.note_message(),
        }
    }

    /// No message is sent any more, so the compressor goes as well.
    fn abandon_message(&mut self) {
        self.outgoing = None;
        #[cfg(feature = "deflate")]
        {
            self.deflation = None;
        }
    }

    /// Output that waits for the transport, or `None`.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.queue.is_empty() {
            // What was queued when the transport ended has gone.
            self.tell_closed();
            None
        } else {
            Some(Transmit(&mut self.queue))
        }
    }

    /// Takes all output as owned segments; see
    /// [`Connection::take_transmit`](super::Connection::take_transmit).
    pub fn take_transmit(&mut self, out: &mut Vec<Bytes>) {
        self.queue.take(out);
        // What was queued when the transport ended has gone.
        self.tell_closed();
    }

    /// How many bytes wait for the transport, control frames included.
    #[inline]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Tells whether the transport took output that it has not sent; see
    /// [`Connection::set_unflushed`](super::Connection::set_unflushed).
    #[inline]
    pub fn set_unflushed(&mut self, unflushed: bool) {
        self.queue.set_unflushed(unflushed);
    }

    /// Whether the transport took output that it has not sent.
    #[inline]
    pub fn is_unflushed(&self) -> bool {
        self.queue.is_unflushed()
    }

    /// How far the connection is.
    #[inline]
    pub fn state(&self) -> State {
        if self.closing.eof && self.queue.is_empty() {
            return State::Closed;
        }
        self.closing.state()
    }

    /// What failed the connection, if something did.
    pub fn error(&self) -> Option<Error> {
        self.closing.error
    }
}

/// A number of bytes, or 4 GiB if there are more.
fn in_32_bits(bytes: usize) -> u32 {
    bytes.try_into().unwrap_or(u32::MAX)
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("masks", &self.keys.is_some())
            .field("queued", &self.queue.len())
            .field("outgoing", &self.outgoing)
            .field("closing", &self.closing)
            .field("sent", &self.sent())
            .finish_non_exhaustive()
    }
}
