//! The deadlines of an open connection: what they watch, and what is done when one passed.

use alloc::boxed::Box;
use core::time::Duration;

use super::Sender;
use crate::close::CloseCode;
use crate::config::Timeouts;
use crate::connection::state::State;
use crate::connection::timers::{Progress, Rtt, Timer, Timers};
use crate::error::{Error, Timeout};
use crate::time::Instant;

impl Sender {
    /// For those who ask for what only deadlines would need otherwise.
    pub(super) fn timers(&mut self) -> &mut Timers {
        self.timers
            .get_or_insert_with(|| Box::new(Timers::new(&Timeouts::new(), Instant::AT_ONCE)))
    }

    /// The round trips so far; see [`Connection::rtt`](crate::Connection::rtt).
    pub fn rtt(&self) -> Option<Rtt> {
        self.timers.as_ref()?.rtt()
    }

    /// Whether there are deadlines or round trips to watch.
    pub(in crate::connection) fn has_timers(&self) -> bool {
        self.timers.is_some()
    }

    /// Something came from the peer, so it is alive. [`respond`](Self::respond) tells so as well.
    #[inline]
    pub fn note_life(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.note_life();
        }
    }

    pub(super) fn note_pong(&mut self, now: Instant, payload: &[u8]) {
        let timers = self.timers.as_mut();
        if let Some(rtt) = timers.and_then(|timers| timers.note_pong(now, payload)) {
            self.observed.tell(|observer| observer.measured(rtt));
        }
    }

    /// A message was received. [`respond`](Self::respond) tells so as well.
    #[inline]
    pub fn note_message(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.note_message();
        }
    }

    /// The application does not read for a while: the deadline for a sign of life stands still.
    pub fn pause(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.pause();
        }
    }

    /// The application reads again.
    pub fn resume(&mut self) {
        if let Some(timers) = &mut self.timers {
            timers.resume();
        }
    }

    /// As [`pause`](Self::pause) while the peer is above a rate
    /// ([`Receiver::is_throttled`](crate::Receiver::is_throttled)), and as
    /// [`resume`](Self::resume) when it no longer is. The two are apart: neither ends the other.
    pub fn set_throttled(&mut self, throttled: bool) {
        if let Some(timers) = &mut self.timers {
            timers.set_throttled(throttled);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state() == State::Closed {
            return None;
        }
        let timers = self.timers.as_ref();
        let deadlines = [
            self.closing.deadline,
            timers.and_then(|timers| timers.next(self.progress())),
            self.deflater_timeout(),
        ];
        deadlines.into_iter().flatten().min()
    }

    #[cfg(not(feature = "deflate"))]
    fn deflater_timeout(&self) -> Option<Instant> {
        None
    }

    fn progress(&self) -> Progress {
        Progress {
            transmitted: self.queue.transmitted(),
            waits: self.queue.is_unflushed() || !self.queue.is_empty(),
            ping_left: self.queue.control().probe_left(),
        }
    }

    /// Acts on the deadlines that passed; see
    /// [`Connection::handle_timeout`](crate::Connection::handle_timeout).
    ///
    /// # Errors
    ///
    /// As [`Connection::handle_timeout`](crate::Connection::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        #[cfg(feature = "deflate")]
        if let Some(deflater) = self.present_deflater() {
            deflater.handle_timeout(now);
        }
        if self.state() == State::Closed {
            return Ok(());
        }
        if self
            .closing
            .deadline
            .is_some_and(|deadline| deadline <= now)
        {
            return self.end_closing();
        }
        if self.timers.is_some() {
            let _age = self.queued_age(now);
        }
        loop {
            let progress = self.progress();
            let Some(timers) = &mut self.timers else {
                return Ok(());
            };
            // What one deadline leads to may start another.
            timers.start(now, progress);
            match timers.take_passed(now) {
                Some(timer) => self.expire(now, timer)?,
                None => return Ok(()),
            }
        }
    }

    /// Does what is to be done when a deadline of an open connection passed.
    fn expire(&mut self, now: Instant, timer: Timer) -> Result<(), Error> {
        let timeout = match timer {
            Timer::Ping => {
                // If there is no room, the transport is stuck, which another deadline is about.
                let _full = self.probe();
                return Ok(());
            }
            Timer::Pong => Timeout::Pong,
            Timer::Write => Timeout::Write,
            Timer::Idle => return self.close_for(now, Timeout::Idle),
            Timer::Lifetime => return self.close_for(now, Timeout::Lifetime),
        };
        // Nobody is there to be told.
        let error = Error::Timeout(timeout);
        self.fail(now, error);
        Err(error)
    }

    /// Closes the connection for a deadline that is no error.
    fn close_for(&mut self, now: Instant, timeout: Timeout) -> Result<(), Error> {
        self.closing.expired = Some(timeout);
        let _open = self.close(now, CloseCode::GOING_AWAY, "");
        Ok(())
    }

    /// How long data has been waiting; see
    /// [`Connection::queued_age`](crate::Connection::queued_age).
    pub fn queued_age(&mut self, now: Instant) -> Option<Duration> {
        let (transmitted, waiting) = (self.queue.transmitted(), self.queue.data_len());
        self.timers().queued_age(now, transmitted, waiting)
    }
}
