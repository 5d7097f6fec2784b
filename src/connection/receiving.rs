//! What a connection receives: events out of input, and for a while none.

use super::Connection;
use super::event::Event;
use super::state::State;
use crate::error::Error;
use crate::input::Input;
use crate::time::Instant;

impl Connection {
    /// Consumes input up to the next event; call it until it returns `None`, which means that all
    /// was consumed.
    ///
    /// A frame that lies whole in the input is unmasked in place and lent out: nothing is copied or
    /// allocated. One that is split over reads is assembled, in memory that grows with the
    /// bytes that came and is bounded by [`Limits`](crate::Limits), or stays in the input if that is to
    /// [stay](Input::with_capacity).
    ///
    /// Otherwise `None` leaves input over only while the connection is [paused](Self::pause), or the peer
    /// above a [rate](crate::Limits::with_message_rate): then [`poll_timeout`](Self::poll_timeout) says when
    /// to give it again.
    ///
    /// Data that the peer sent before it saw this side's Close frame is still delivered. After the
    /// peer's own Close frame everything is ignored (RFC 6455 section 1.4).
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] (close code 1002), [`Error::InvalidUtf8`] (1007) as soon as a byte is
    /// impossible, and [`Error::Capacity`] (1009) as soon as a header declares too much. All
    /// are terminal and repeated by later calls, as are the errors of
    /// [`handle_eof`](Self::handle_eof) and [`handle_timeout`](Self::handle_timeout).
    // Out of line, every event would go through memory.
    #[inline(always)]
    pub fn receive<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        // INVARIANT: nothing is plain any more once the connection is closed.
        if !self.special {
            match self.receiver.take_plain(input) {
                Ok(None) => {}
                Ok(event) => return Ok(event),
                Err(error) => {
                    self.sender.fail(now, error);
                    return Err(error);
                }
            }
        }
        self.receive_any(now, input)
    }

    /// As `receive`, whatever comes.
    fn receive_any<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        if self.sender.state() == State::Closed {
            input.take_all();
            return self.sender.error().map_or(Ok(None), Err);
        }
        if self.special {
            return self.receive_with_care(now, input);
        }
        let result = self.receiver.receive_any(now, input);
        match &result {
            // Nothing is owed for a message, unless somebody watches.
            Ok(None | Some(Event::Text(_) | Event::Binary(_) | Event::Fragment(_))) => {}
            Ok(Some(event)) => self.sender.respond(now, event),
            Err(error) => self.sender.fail(now, *error),
        }
        result
    }

    /// As `receive`, for connections where each half has to know something of the other.
    fn receive_with_care<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        // What was left over is given again, and was a sign of life when it came.
        if input.len() > self.left as usize {
            self.sender.note_life();
        }
        self.receiver.set_held_elsewhere(self.sender.held());
        let result = self.receiver.receive(now, input);
        self.left = match &result {
            Ok(None) => u32::try_from(input.len()).unwrap_or(u32::MAX),
            Ok(Some(_)) | Err(_) => 0,
        };
        match &result {
            Ok(Some(event)) => self.sender.respond(now, event),
            Ok(None) => {}
            Err(error) => self.sender.fail(now, *error),
        }
        self.sender.set_held_elsewhere(self.receiver.held());
        if self.receiver.needs_time() {
            self.sender.set_throttled(self.receiver.is_throttled());
        }
        result
    }

    /// Memory to read the rest of a large frame into, straight from the transport: where its payload
    /// belongs, so it is not copied.
    ///
    /// There is some once [`receive`](Self::receive) has consumed everything, while at least 4 KiB of
    /// a frame are still to come that is put together with what came before. Then read into it, no
    /// matter how much, and tell [`filled`](Self::filled). Or do not: then read anywhere, and give it
    /// to `receive`.
    ///
    /// It is no more than the rest of the frame. Where the thread has no memory left of an earlier
    /// message, it is no more than what came so far, at least 1 KiB: memory grows with the bytes that
    /// came. There may be bytes of other connections in it; they are to be written over.
    ///
    /// ```
    /// # use sockeye::*;
    /// # use std::io::Read;
    /// # let now = Instant::from_nanos(0);
    /// # let mut stream = vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
    /// # stream.resize(10 + 65_536, 7);
    /// # let mut transport = &stream[..];
    /// # let mut conn = Connection::client(&Config::new(), Negotiated::new(), || [0; 4], now);
    /// let mut buffer = [0; 4096];
    /// let event = loop {
    ///     if let Some(room) = conn.payload_mut() {
    ///         let count = transport.read(room)?;
    ///         if let Some(event) = conn.filled(now, count)? {
    ///             break event;
    ///         }
    ///     } else {
    ///         let count = transport.read(&mut buffer)?;
    ///         let mut input = Input::new(&mut buffer[..count]);
    ///         if let Some(event) = conn.receive(now, &mut input)? {
    ///             break event.into_owned();
    ///         }
    ///     }
    /// };
    /// assert_eq!(event.into_message().unwrap().as_bytes().len(), 65_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn payload_mut(&mut self) -> Option<&mut [u8]> {
        self.receiver.payload_mut()
    }

    /// Takes `count` bytes that were read into [`payload_mut`](Self::payload_mut), which gives the
    /// message if they are its last. No bytes are the end of the transport, and to be told with
    /// [`handle_eof`](Self::handle_eof).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUtf8`] (close code 1007), or what failed the connection before.
    ///
    /// # Panics
    ///
    /// If that is more than there was room for.
    pub fn filled(&mut self, now: Instant, count: usize) -> Result<Option<Event<'static>>, Error> {
        let result = self.receiver.filled(count);
        match &result {
            Ok(event) if self.special => {
                self.sender.note_life();
                if let Some(event) = event {
                    self.sender.respond(now, event);
                }
            }
            Ok(_) => {}
            Err(error) => self.sender.fail(now, *error),
        }
        result
    }

    /// Takes no messages for a while: [`receive`](Self::receive) answers pings and stops in front
    /// of the next data frame. It then returns `None` with input left, which is to be kept and
    /// given again.
    ///
    /// Who stops reading holds the peer back, which is what a queue that is full wants. Meanwhile
    /// the deadline for a sign of life stands still, and no ping goes out: the answers could
    /// not be seen.
    ///
    /// ```
    /// # use sockeye::*;
    /// # let now = Instant::from_nanos(0);
    /// # let keys = || [1, 2, 3, 4];
    /// let mut conn = Connection::client(&Config::new(), Negotiated::new(), keys, now);
    /// conn.pause();
    /// let mut bytes = *b"\x89\x00\x81\x05Hello";
    /// let mut input = Input::new(&mut bytes);
    /// assert!(matches!(conn.receive(now, &mut input)?, Some(Event::Ping(_))));
    /// assert!(conn.receive(now, &mut input)?.is_none());
    /// assert_eq!(input.len(), 7, "the frame waits");
    /// conn.resume();
    /// assert!(matches!(conn.receive(now, &mut input)?, Some(Event::Text(_))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn pause(&mut self) {
        self.receiver.pause();
        self.sender.pause();
    }

    /// Takes messages again, after [`pause`](Self::pause). A ping that was under way has all its
    /// time again.
    pub fn resume(&mut self) {
        self.receiver.resume();
        self.sender.resume();
    }
}
