//! The closing handshake, failures, and the end.

use super::Sender;
use super::control::{ControlFrame, MAX_CONTROL_LEN};
use crate::close::{CloseCode, CloseFrame, MAX_REASON_LEN};
use crate::connection::state::{Closed, Initiator, State, Transport};
use crate::error::{Error, SendError, Timeout};
use crate::frame::OpCode;
use crate::time::Instant;

impl Sender {
    /// Starts the closing handshake; see [`Connection::close`](crate::Connection::close).
    ///
    /// # Errors
    ///
    /// As [`Connection::close`](crate::Connection::close).
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if !code.is_sendable() {
            return Err(SendError::InvalidCloseCode);
        }
        if reason.len() > MAX_REASON_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.begin_closing(Initiator::Local, Some(now));
        self.push_close(now, code, reason);
        Ok(())
    }

    fn push_close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        // 6455-6.1-03: a message whose fragments were not all sent is abandoned.
        self.abandon_message();
        let mut body = [0; MAX_CONTROL_LEN];
        let len = if code == CloseCode::NO_STATUS {
            0
        } else {
            let parts = u16::from(code).to_be_bytes();
            let parts = parts.iter().chain(reason.as_bytes());
            body.iter_mut()
                .zip(parts)
                .map(|(to, from)| *to = *from)
                .count()
        };
        let body = body.get(..len).unwrap_or_default();
        let frame = ControlFrame::new(OpCode::Close, self.next_key(), body);
        self.sent.control_frames += 1;
        self.queue.set_close(frame.as_bytes());
        self.closing.sent = Some(code);
        self.start_close_timer(now);
    }

    fn begin_closing(&mut self, initiator: Initiator, now: Option<Instant>) {
        self.closing.begin(initiator, now);
        if let Some(timers) = &mut self.timers {
            timers.stop();
        }
    }

    fn start_close_timer(&mut self, now: Instant) {
        if self.closing.deadline.is_none() {
            self.closing.deadline = self.close_timeout.map(|timeout| now.after(timeout));
        }
    }

    pub(super) fn respond_close(&mut self, now: Instant, frame: &CloseFrame) {
        if self.closing.received.is_some() || self.closing.error.is_some() || self.closing.ended {
            return;
        }
        self.begin_closing(Initiator::Peer, Some(now));
        self.closing.received = Some(frame.clone());
        // 6455-5.5.1-08, 6455-5.5.1-14: exactly one Close frame; the reply has the peer's code.
        if self.closing.sent.is_none() {
            self.push_close(now, frame.code(), "");
        }
    }

    /// Fails the connection: queues a Close frame with the error's code, unless one has begun to
    /// leave (RFC 6455 section 7.1.7).
    ///
    /// Like every Close frame it goes behind the data that was accepted before.
    pub fn fail(&mut self, now: Instant, error: Error) {
        if self.closing.error.is_some() || self.closing.ended {
            return;
        }
        self.begin_closing(Initiator::Local, Some(now));
        self.closing.error = Some(error);
        self.observed.tell(|observer| observer.failed(error));
        self.abandon_message();
        match error.close_code() {
            None => self.end(),
            // A Close frame that has begun to leave stays the only one; one that still waits is
            // replaced.
            Some(_) if self.queue.close_started() => self.start_close_timer(now),
            Some(code) => self.push_close(now, code, ""),
        }
    }

    /// The transport ended; see [`Connection::handle_eof`](crate::Connection::handle_eof).
    ///
    /// # Errors
    ///
    /// As [`Connection::handle_eof`](crate::Connection::handle_eof).
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        self.closing.end_of_input(self.queue.close_sent());
        if self.closing.received.is_none() && self.closing.error.is_none() {
            self.begin_closing(Initiator::Peer, None);
            self.closing.error = Some(Error::Eof);
            self.observed.tell(|observer| observer.failed(Error::Eof));
        }
        if self.closing.error.is_some() || self.queue.close_sent() {
            self.end();
        }
        // After a Close frame the peer may have shut down its writing side only, and still wait for
        // what is queued.
        self.closing.error.map_or(Ok(()), Err)
    }

    /// Ends the connection at once; see [`Connection::abort`](crate::Connection::abort).
    pub fn abort(&mut self) {
        if self.state() != State::Closed {
            self.begin_closing(Initiator::Local, None);
            self.end();
        }
    }

    fn end(&mut self) {
        self.closing.end_of_input(self.queue.close_sent());
        self.closing.end();
        self.abandon_message();
        self.queue.clear();
        self.tell_closed();
    }

    /// The closing handshake has had its time.
    pub(super) fn end_closing(&mut self) -> Result<(), Error> {
        if self.closing.error.is_some() || (self.closing.is_clean() && self.queue.close_sent()) {
            // The peer had its chance to end the transport.
            self.end();
            return Ok(());
        }
        let error = Error::Timeout(Timeout::Close);
        self.closing.error = Some(error);
        self.observed.tell(|observer| observer.failed(error));
        self.end();
        Err(error)
    }

    /// What the transport is to do when [`poll_transmit`](Self::poll_transmit) gives nothing.
    pub fn transport(&self) -> Transport {
        if self.state() == State::Closed {
            Transport::Close
        } else if self.closing.error.is_some() || self.closing.eof {
            Transport::ShutdownWrite
        } else if self.keys.is_none() && self.closing.is_clean() {
            // 6455-5.5.1-13: the server closes first, the client waits for it.
            Transport::ShutdownWrite
        } else {
            Transport::Open
        }
    }

    /// The peer's Close frame, once it came.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.closing.received.as_ref()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        (self.state() == State::Closed).then(|| self.closing.outcome())
    }

    /// Tells the observer, once, if the connection is over.
    #[inline]
    pub(super) fn tell_closed(&mut self) {
        if self.observed.is_some() && !self.told_closed {
            self.tell_if_closed();
        }
    }

    #[cold]
    fn tell_if_closed(&mut self) {
        if let Some(closed) = self.closed() {
            self.told_closed = true;
            self.observed.tell(|observer| observer.closed(&closed));
        }
    }
}
