//! The closing handshake: who closed, how, and what is left to do (RFC 6455 section 7).

use core::fmt;

use crate::close::{CloseCode, CloseFrame};
use crate::error::{Error, Timeout};
use crate::time::Instant;

/// How far a connection is (RFC 6455 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Messages flow both ways.
    Open,
    /// A Close frame was sent or received, or the connection failed; the transport goes on for a
    /// while.
    Closing,
    /// It is over, and [`Connection::closed`](super::Connection::closed) tells how.
    Closed,
}

/// What the transport is to do when there is nothing to transmit (RFC 6455 section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever drives a transport must know all that there is to do"
)]
pub enum Transport {
    /// Go on: read, and write when there is output.
    Open,
    /// Nothing will be written any more: shut down the writing side, and read on until the end.
    ///
    /// Reading on matters: a socket that is closed with unread input resets the connection, and the
    /// reset can overtake the Close frame.
    ShutdownWrite,
    /// Close it.
    Close,
}

/// Which side began the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Initiator {
    /// This side, by closing or by failing the connection.
    Local,
    /// The peer, by closing or by ending the transport.
    Peer,
}

/// How a connection ended (RFC 6455 sections 7.1.4 to 7.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Which side began.
    pub initiator: Initiator,
    /// The code of the Close frame that this side sent, or queued, if any;
    /// [`CloseCode::NO_STATUS`] for an empty one.
    pub sent: Option<CloseCode>,
    /// The peer's Close frame, if it came.
    pub received: Option<CloseFrame>,
    /// Whether both Close frames went all the way.
    pub clean: bool,
    /// What failed the connection, if something did.
    pub error: Option<Error>,
    /// The deadline that made this side end the connection, if one did; the first, if there were two.
    pub expired: Option<Timeout>,
    /// When the first Close frame was sent or received, or the connection failed. `None` if the
    /// transport ended before.
    pub since: Option<Instant>,
}

impl Closed {
    /// The connection's close code: the peer's, or 1005 if its Close frame had none, or 1006 if
    /// there was no Close frame (RFC 6455 section 7.1.5).
    pub fn code(&self) -> CloseCode {
        self.received
            .as_ref()
            .map_or(CloseCode::ABNORMAL, CloseFrame::code)
    }

    /// The connection's close reason: the peer's, or empty (RFC 6455 section 7.1.6).
    pub fn reason(&self) -> &str {
        self.received.as_ref().map_or("", CloseFrame::reason)
    }
}

/// The facts about the closing handshake so far.
#[derive(Default)]
pub(super) struct Closing {
    pub(super) initiator: Option<Initiator>,
    pub(super) sent: Option<CloseCode>,
    pub(super) received: Option<CloseFrame>,
    pub(super) error: Option<Error>,
    /// The deadline for which this side closed the connection without an error.
    pub(super) expired: Option<Timeout>,
    pub(super) since: Option<Instant>,
    /// When the transport is closed whatever the peer does.
    pub(super) deadline: Option<Instant>,
    /// Nothing more will be read.
    pub(super) eof: bool,
    /// The transport is to be closed.
    pub(super) ended: bool,
    /// When nothing more could be read, this side's Close frame and all before it had been sent.
    pub(super) drained: bool,
}

impl Closing {
    pub(super) fn state(&self) -> State {
        if self.ended {
            State::Closed
        } else if self.initiator.is_some() {
            State::Closing
        } else {
            State::Open
        }
    }

    /// Notes who began, and when, once.
    pub(super) fn begin(&mut self, initiator: Initiator, now: Option<Instant>) {
        if self.initiator.is_none() {
            self.initiator = Some(initiator);
            self.since = now;
        }
    }

    /// Nothing more will be read. Once is enough.
    pub(super) fn end_of_input(&mut self, drained: bool) {
        if !self.eof {
            self.eof = true;
            self.drained = drained;
        }
    }

    /// Ends everything.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.deadline = None;
    }

    /// Whether Close frames went both ways and nothing broke.
    pub(super) fn is_clean(&self) -> bool {
        self.sent.is_some() && self.received.is_some() && self.error.is_none()
    }

    pub(super) fn outcome(&self) -> Closed {
        Closed {
            initiator: self.initiator.unwrap_or(Initiator::Peer),
            sent: self.sent,
            received: self.received.clone(),
            clean: self.is_clean() && self.drained,
            error: self.error,
            // The first one: the closing handshake after it may have been too slow as well.
            expired: match self.error {
                Some(Error::Timeout(timeout)) => Some(self.expired.unwrap_or(timeout)),
                _ => self.expired,
            },
            since: self.since,
        }
    }
}

impl fmt::Debug for Closing {
    /// Of the peer's Close frame only the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = self.received.as_ref().map(CloseFrame::code);
        f.debug_struct("Closing")
            .field("state", &self.state())
            .field("initiator", &self.initiator)
            .field("sent", &self.sent)
            .field("received", &received)
            .field("error", &self.error)
            .field("expired", &self.expired)
            .field("deadline", &self.deadline)
            .field("eof", &self.eof)
            .finish_non_exhaustive()
    }
}
