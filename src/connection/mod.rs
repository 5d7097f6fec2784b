//! The state machine of one connection after its opening handshake.

mod event;
#[cfg(feature = "tracing")]
mod log;
mod observer;
mod receiving;
mod recv;
mod send;
mod sending;
mod state;
mod timers;
mod transmit;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::close::{CloseCode, CloseFrame};
#[cfg(feature = "deflate")]
use crate::config::Deflate;
use crate::config::{Config, Limits};
use crate::error::{Error, SendError};
use crate::frame::Rules;
use crate::negotiated::Negotiated;
use crate::random::MaskKeys;
use crate::time::Instant;

pub use event::{Event, Fragment};
#[cfg(feature = "tracing")]
pub use log::Log;
pub use observer::Observer;
pub use recv::{Received, Receiver};
#[cfg(feature = "deflate")]
pub use send::{Compress, Prepared};
pub use send::{SendOptions, Sender, Sent};
pub use state::{Closed, Initiator, State, Transport};
pub use timers::Rtt;
pub use transmit::{Priority, Transmit};

/// A WebSocket connection without I/O: bytes and time go in; events, bytes and a deadline come out.
///
/// It owns no socket, clock or thread, and while it is idle it owns no buffer either. Whoever
/// embeds it moves bytes between it and a transport, and calls it again when its deadline is due.
///
/// # The contract
///
/// * **Input.** Wrap what was read in an [`Input`](crate::Input) and call [`receive`](Self::receive) until it
///   returns `None`: then every byte was consumed and the read buffer is free for the next read
///   (unless you [paused](Self::pause) it, set [rates](crate::Limits::with_message_rate), or let it
///   [stay](crate::Input::with_capacity)).
///   Events borrow that buffer, not the connection, so [`send`](Self::send) works while an event is
///   in hand. Report the end of the transport with [`handle_eof`](Self::handle_eof).
/// * **Time.** Every call that depends on time takes `now`. Ask
///   [`poll_timeout`](Self::poll_timeout) when to call [`handle_timeout`](Self::handle_timeout);
///   calling it early does nothing.
/// * **Output.** After any of those calls, and after sending, write what
///   [`poll_transmit`](Self::poll_transmit) gives, or take it with
///   [`take_transmit`](Self::take_transmit). Pings and the peer's Close frame are answered without
///   being asked, but only what is written reaches the peer.
/// * **The end.** When there is nothing to write, [`transport`](Self::transport) tells what the
///   transport is to do. Once [`state`](Self::state) is [`Closed`](State::Closed),
///   [`closed`](Self::closed) tells how it ended.
/// * **Errors.** An [`Error`] is terminal: a Close frame with the right code is queued already,
///   `receive` swallows what still comes and repeats the error. A [`SendError`] is the caller's and
///   changes nothing. A connection that the peer closes is not an error but an [`Event::Close`].
///
/// ```text
///          send, receive                 both Close frames, or
///              ┌──┐                     a failure, and then the
///              │  ▼                     end of the transport
///            ┌──────┐  close, Event::Close  ┌─────────┐        ┌────────┐
///  new ────► │ Open │ ────────────────────► │ Closing │ ─────► │ Closed │
///            └──────┘       or Error        └─────────┘        └────────┘
///                │           handle_eof, handle_timeout             ▲
///                └──────────────────────────────────────────────────┘
/// ```
///
/// # Example
///
/// A client and a server in one process, without a network:
///
/// ```
/// use bytes::Buf;
/// use sockeye::{Config, Connection, Event, Input, Instant, Negotiated};
///
/// let now = Instant::from_nanos(0);
/// let config = Config::new();
/// // Not for production: masking keys must be unpredictable. Use `RandomKeys`.
/// let keys = || [1, 2, 3, 4];
/// let mut client = Connection::client(&config, Negotiated::new(), keys, now);
/// let mut server = Connection::server(&config, Negotiated::new(), now);
///
/// client.send("hello")?;
/// let mut output = client.poll_transmit().expect("a frame waits");
/// let mut wire = output.copy_to_bytes(output.remaining()).to_vec();
///
/// let mut input = Input::new(&mut wire);
/// while let Some(event) = server.receive(now, &mut input)? {
///     if let Event::Text(text) = event {
///         assert_eq!(text, "hello");
///         server.send(text)?; // borrows `wire`, not `server`
///     }
/// }
/// assert_eq!(
///     server.poll_transmit().expect("an echo waits").chunk(),
///     b"\x81\x05hello"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    negotiated: Negotiated,
    /// One half has to know something of the other: there are deadlines, rates or such a limit.
    special: bool,
    /// So much input was left over last, as far as 32 bits go.
    left: u32,
}

impl Connection {
    /// The server's end, after its opening handshake.
    ///
    /// `now` is there for the deadlines that start with the connection.
    pub fn server(config: &Config, negotiated: Negotiated, now: Instant) -> Self {
        let mut conn = Self {
            receiver: Receiver::new(config, Rules::server()),
            sender: Sender::new(config, None, now),
            negotiated,
            special: false,
            left: 0,
        };
        conn.note_special();
        conn.with_extensions(config, Rules::server(), now)
    }

    /// The client's end, after its opening handshake. `keys` are its masking keys; see
    /// [`MaskKeys`].
    ///
    /// `now` is there for the deadlines that start with the connection.
    pub fn client(
        config: &Config,
        negotiated: Negotiated,
        keys: impl MaskKeys + 'static,
        now: Instant,
    ) -> Self {
        let mut conn = Self {
            receiver: Receiver::new(config, Rules::client()),
            sender: Sender::new(config, Some(Box::new(keys)), now),
            negotiated,
            special: false,
            left: 0,
        };
        conn.note_special();
        conn.with_extensions(config, Rules::client(), now)
    }

    fn note_special(&mut self) {
        let watches = self.sender.has_timers() || self.receiver.needs_time();
        self.special = watches || self.receiver.has_max_memory();
    }

    #[cfg(feature = "deflate")]
    fn with_extensions(mut self, config: &Config, rules: Rules, now: Instant) -> Self {
        let is_server = rules == Rules::server();
        match self.negotiated.deflate() {
            Some(params) => {
                self.receiver = self.receiver.with_deflate(config, rules, params, is_server);
                self.sender = self.sender.with_deflate(config, params);
            }
            None if !is_server && config.deflate().is_some_and(Deflate::is_required) => {
                // 6455-7.4.1-07, 7692-5.1-01: the reason names what is missing.
                let _open = self.close(now, CloseCode::EXTENSION_REQUIRED, "permessage-deflate");
            }
            None => {}
        }
        self
    }

    #[cfg(not(feature = "deflate"))]
    fn with_extensions(self, _config: &Config, _rules: Rules, _now: Instant) -> Self {
        self
    }

    /// The transport ended: nothing more will come.
    ///
    /// # Errors
    ///
    /// [`Error::Eof`] if the peer's Close frame had not come (close code 1006), or the error that
    /// failed the connection before. Spurious calls repeat the first answer.
    ///
    /// After the peer's Close frame, output that waits can still be written; the closing handshake
    /// counts as unclean.
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        let result = self.sender.handle_eof();
        self.receiver.note_eof();
        self.release_if_closed();
        result
    }

    /// Acts on the deadlines that passed. Afterwards [`poll_timeout`](Self::poll_timeout) is `None`
    /// or later than `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if the closing handshake did not end in time, if the peer gave no sign of
    /// life after a ping, or if the transport took no output for too long. The transport is to be
    /// closed. A connection that was idle for too long, or lasted as long as it may, is no error:
    /// it is closed, and [`Closed::expired`] says why.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.receiver.handle_timeout(now);
        let result = self.sender.handle_timeout(now);
        self.release_if_closed();
        result
    }

    /// A message that can no longer be finished goes at once, not when the connection is dropped.
    fn release_if_closed(&mut self) {
        if self.sender.state() == State::Closed {
            self.receiver.note_eof();
            self.receiver.release();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all. Any other call may
    /// change it.
    ///
    /// It may have passed already. It is the clock's origin, before every present, if a deadline
    /// starts now and only the time is missing.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.sender.poll_timeout(), self.receiver.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// Changes the limits: small before a peer has said who it is, larger after.
    ///
    /// The limits of a frame or message hold from the next frame on, those of rates anew. What is
    /// queued already stays. (Those of the handshake are over.)
    ///
    /// ```
    /// # use sockeye::*;
    /// # let now = Instant::from_nanos(0);
    /// let strict = Limits::new().with_max_message_size(1024);
    /// let config = Config::new().with_limits(strict);
    /// let mut conn = Connection::server(&config, Negotiated::new(), now);
    /// // ... the first message had a token in it, so:
    /// conn.set_limits(&Limits::new());
    /// ```
    pub fn set_limits(&mut self, limits: &Limits) {
        self.receiver.set_limits(limits);
        self.sender.set_limits(limits);
        self.sender.set_throttled(self.receiver.is_throttled());
        self.note_special();
    }

    /// Tells somebody what happens from now on; see [`Observer`].
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.receiver.set_observer(Arc::clone(&observer));
        self.sender.set_observer(observer);
    }

    /// What was received so far.
    pub fn received(&self) -> Received {
        self.receiver.received()
    }

    /// What was sent so far.
    pub fn sent(&self) -> Sent {
        self.sender.sent()
    }

    /// Bytes that the connection holds: the buffer of the message being assembled, output that
    /// waits, and with compression the codecs and windows that are kept or in use.
    ///
    /// What is not counted is in [`Limits::with_max_memory`].
    pub fn held(&self) -> usize {
        self.receiver.held() + self.sender.held()
    }

    /// Tells that the peer is alive, which is known from elsewhere. Every byte that is received
    /// tells so by itself.
    pub fn confirm_alive(&mut self) {
        self.sender.note_life();
    }

    /// Starts the closing handshake: queues a Close frame behind what was sent before, and sets the
    /// close deadline.
    ///
    /// Nothing can be sent after it. Messages of the peer's still arrive until its own Close frame
    /// does. A message whose fragments were not all sent is abandoned.
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`] if a Close frame was sent or received before,
    /// [`SendError::InvalidCloseCode`] for a code that is not
    /// [sendable](CloseCode::is_sendable), [`SendError::ControlTooLong`] for a reason of more than
    /// 123 bytes.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(now, code, reason)
    }

    /// Ends the connection at once: what waits is dropped, and the transport is to be closed (RFC
    /// 6455 section 7.1.1).
    ///
    /// For a transport that no longer works, or a peer that deserves no more. It is not a clean
    /// close.
    pub fn abort(&mut self) {
        self.sender.abort();
        self.release_if_closed();
    }

    /// Output that waits for the transport, or `None`.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.sender.poll_transmit()
    }

    /// Takes all output that waits as owned segments, in order, for I/O that completes later
    /// (io_uring, IOCP). It counts as transmitted.
    pub fn take_transmit(&mut self, out: &mut Vec<Bytes>) {
        self.sender.take_transmit(out);
        self.release_if_closed();
    }

    /// Tells whether the transport took output that it has not sent, as TLS and other transports do
    /// until they are flushed.
    ///
    /// The deadline for [writing](crate::Timeouts::with_write) then runs although nothing waits
    /// here. Transports that send what they take need no such call.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use sockeye::*;
    /// # let now = Instant::from_millis(1);
    /// let timeouts = Timeouts::new().with_write(Some(Duration::from_secs(10)));
    /// let config = Config::new().with_timeouts(timeouts);
    /// let mut conn = Connection::server(&config, Negotiated::new(), now);
    /// conn.set_unflushed(true);
    /// conn.handle_timeout(now)?;
    /// assert_eq!(conn.poll_timeout(), Some(now + Duration::from_secs(10)));
    /// conn.set_unflushed(false);
    /// assert_eq!(conn.poll_timeout(), None);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_unflushed(&mut self, unflushed: bool) {
        self.sender.set_unflushed(unflushed);
    }

    /// How many bytes wait for the transport, control frames included.
    #[inline]
    pub fn queued(&self) -> usize {
        self.sender.queued()
    }

    /// How long data has been waiting for the transport, or `None` if there is none.
    ///
    /// It is what the calls with a time have seen, since sending takes none: counted from the first
    /// call of this or of [`handle_timeout`](Self::handle_timeout) that found the data waiting.
    /// After as many bytes were sent as waited then it is counted anew. So some of what waits has
    /// been waiting for that long at least; to see how a connection does, ask at intervals and
    /// take the largest answer. With a
    /// [deadline for writing](crate::Timeouts::with_write) the first such call is at once.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use sockeye::*;
    /// # let now = Instant::from_millis(1);
    /// let mut conn = Connection::server(&Config::new(), Negotiated::new(), now);
    /// conn.send("to a peer that does not read")?;
    /// assert_eq!(conn.queued_age(now), Some(Duration::ZERO));
    /// let later = now + Duration::from_secs(3);
    /// assert_eq!(conn.queued_age(later), Some(Duration::from_secs(3)));
    /// # Ok::<(), SendError>(())
    /// ```
    pub fn queued_age(&mut self, now: Instant) -> Option<Duration> {
        self.sender.queued_age(now)
    }

    /// Whether the queue has drained after it was full: true once, when what waits fell to
    /// [`Limits::low_water`](crate::Limits::low_water) after it had reached
    /// [`Limits::max_queued`](crate::Limits::max_queued), or the connection held
    /// [all that it may](crate::Limits::with_max_memory).
    ///
    /// Ask after something was transmitted, and wake whoever was refused. If several classes are in
    /// use it is true for each that was full. What a failure or [`abort`](Self::abort) drops has
    /// drained, too.
    pub fn poll_drained(&mut self) -> bool {
        self.sender.poll_drained()
    }

    /// Whether no more data waits than [`Limits::low_water`](crate::Limits::low_water).
    pub fn is_drained(&self) -> bool {
        self.sender.is_drained()
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        self.sender.state()
    }

    /// What the transport is to do when [`poll_transmit`](Self::poll_transmit) gives nothing.
    pub fn transport(&self) -> Transport {
        self.sender.transport()
    }

    /// The peer's Close frame, once it came.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.sender.peer_close()
    }

    /// How the connection ended, once its [`state`](Self::state) is [`State::Closed`].
    pub fn closed(&self) -> Option<Closed> {
        self.sender.closed()
    }

    /// What the opening handshake settled.
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// The two halves, for owners that run apart, such as two threads.
    ///
    /// The halves share nothing, so no lock is needed for a message. The receiving owner passes
    /// events that need an answer, errors and the end of the transport to the sending half; see
    /// [`Sender`].
    pub fn into_split(self) -> (Receiver, Sender) {
        (self.receiver, self.sender)
    }
}

#[cfg(test)]
mod tests;
