//! What a connection sends: messages, fragments, pings and pongs.

use super::Connection;
use super::send::SendOptions;
#[cfg(feature = "deflate")]
use super::send::{Compress, Prepared};
use super::timers::Rtt;
use super::transmit::Priority;
use crate::error::SendError;
use crate::message::{Kind, Message, Payload, Unsent};

impl Connection {
    /// Queues a message: as one frame, or as several if it is larger than
    /// [`Config::max_fragment`](crate::Config::max_fragment).
    ///
    /// A payload of at least 4 KiB that is owned (`Vec`, `Bytes`, a received message) is not
    /// copied: a server queues it as it is, a client masks it in place unless somebody shares
    /// it.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if the queue has no room
    /// ([`Limits::max_queued`](crate::Limits::max_queued)), [`SendError::NotOpen`] after a
    /// Close frame of either side or a failure, [`SendError::MessageInProgress`] between
    /// the fragments of another message. [`try_send`](Self::try_send) hands the message back.
    // Out of line, every message would go through memory.
    #[inline(always)]
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SendError> {
        self.sender.send(message)
    }

    /// As [`send`](Self::send), but a message that is refused comes back.
    ///
    /// ```
    /// # use sockeye::*;
    /// # let config = Config::new().with_limits(Limits::new().with_max_queued(4));
    /// # let mut conn = Connection::server(&config, Negotiated::new(), Instant::from_nanos(0));
    /// conn.try_send(vec![0; 1000]).expect("the queue was empty");
    /// let unsent = conn.try_send("later").unwrap_err();
    /// assert_eq!(unsent.error, SendError::Full);
    /// assert_eq!(unsent.value.as_text(), Some("later"));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), with the message.
    pub fn try_send<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.sender.try_send(message)
    }

    /// As [`send_with`](Self::send_with), but a message that is refused comes back.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), with the message.
    pub fn try_send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.sender.try_send_with(message, options)
    }

    /// Whether a message would be queued and not be refused as [`SendError::Full`].
    #[inline]
    pub fn has_room(&self) -> bool {
        self.sender.has_room()
    }

    /// Whether a message of this class would be queued and not be refused as [`SendError::Full`].
    #[inline]
    pub fn has_room_for(&self, priority: Priority) -> bool {
        self.sender.has_room_for(priority)
    }

    /// Queues a fragment of a message; `fin` is set on its last, which may be empty.
    ///
    /// A message can thus be sent before all of it is there, and larger than memory (RFC 6455
    /// section 5.4). Control frames may go between its fragments, other messages may not: so while
    /// it is not known to end it begins to leave only when nothing else waits. It is of
    /// [`Priority::Normal`].
    /// Fragments of text may split code points.
    ///
    /// ```
    /// # use sockeye::*;
    /// # let mut conn = Connection::server(&Config::new(), Negotiated::new(), Instant::from_nanos(0));
    /// conn.send_fragment(Kind::Text, &b"one, "[..], false)?;
    /// conn.send_fragment(Kind::Text, &b"two"[..], true)?;
    /// # Ok::<(), SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Full`], [`SendError::NotOpen`], [`SendError::KindMismatch`] if the message
    /// began as the other kind, [`SendError::InvalidUtf8`] if the text can no longer become
    /// UTF-8 or ends inside a code point. The message goes on as if the call had not been made.
    pub fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SendError> {
        self.sender.send_fragment(kind, payload, fin)
    }

    /// As [`send`](Self::send), and writes it at once: `write` is given the pieces of a frame and
    /// returns how many bytes the transport took of them. What it did not take is queued.
    ///
    /// It saves the copy into the queue: a server's payload is written from where it is, and a client's
    /// is masked just before. A message in several frames calls `write` for each of them, until one
    /// was not taken whole; that one is copied. If something waits already or has to know of the
    /// message (compression, an observer, a limit for all that is held), it is queued and `write` is not
    /// called.
    ///
    /// A server's frame comes in two pieces, its header and its payload. Put small ones together if the
    /// transport writes one piece at a time, or if two cost more: over a socket up to some hundred bytes do.
    ///
    /// So when [`queued`](Self::queued) is not 0 afterwards, go on with
    /// [`poll_transmit`](Self::poll_transmit).
    ///
    /// ```
    /// # use sockeye::*;
    /// # let mut conn = Connection::server(&Config::new(), Negotiated::new(), Instant::from_nanos(0));
    /// let mut wire = Vec::new();
    /// conn.send_through("hello", |pieces| {
    ///     let bytes = pieces.concat();
    ///     wire.extend_from_slice(&bytes); // or `write_vectored`; 0 if it would block or failed
    ///     bytes.len()
    /// })?;
    /// assert_eq!((wire.as_slice(), conn.queued()), (&b"\x81\x05hello"[..], 0));
    /// # Ok::<(), SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// If `write` claims to have taken more than it was given.
    // Out of line, every message would go through memory.
    #[inline(always)]
    pub fn send_through<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        write: impl FnMut(&[&[u8]]) -> usize,
    ) -> Result<(), SendError> {
        self.sender.send_through(message, write)
    }

    /// As [`send`](Self::send), choosing the class of the message and whether it is compressed.
    ///
    /// Only what a message does not overtake counts for [`SendError::Full`]: one that is urgent has
    /// room while a backlog of [`Priority::Bulk`] waits.
    ///
    /// ```
    /// # use sockeye::*;
    /// # let mut conn = Connection::server(&Config::new(), Negotiated::new(), Instant::from_nanos(0));
    /// conn.send_with("stop", Priority::Urgent)?;
    /// # #[cfg(feature = "deflate")]
    /// conn.send_with("a secret next to what somebody else chose", Compress::Never)?;
    /// # Ok::<(), SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SendError> {
        self.sender.send_with(message, options)
    }

    /// As [`send_fragment`](Self::send_fragment); the choice at the first fragment is that of the
    /// whole message. Each fragment is compressed at once and can be inflated when it arrives.
    ///
    /// # Errors
    ///
    /// As [`send_fragment`](Self::send_fragment).
    #[cfg(feature = "deflate")]
    pub fn send_fragment_with<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
        compress: Compress,
    ) -> Result<(), SendError> {
        self.sender.send_fragment_with(kind, payload, fin, compress)
    }

    /// Queues a message that is shared with other connections; see [`Prepared`].
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        self.sender.send_prepared(message)
    }

    /// As [`send_prepared`](Self::send_prepared), choosing the class of the message and whether it
    /// is compressed.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn send_prepared_with(
        &mut self,
        message: &Prepared,
        options: impl Into<SendOptions>,
    ) -> Result<(), SendError> {
        self.sender.send_prepared_with(message, options)
    }

    /// Gives back the codecs that [`Memory::Retained`](crate::Memory::Retained) keeps, now and not
    /// after [`Deflate::idle_release`](crate::Deflate::idle_release). The context stays; the next
    /// compressed message makes a codec anew.
    #[cfg(feature = "deflate")]
    pub fn shrink(&mut self) {
        self.receiver.shrink();
        self.sender.shrink();
    }

    /// Queues a ping with up to 125 bytes of payload, ahead of data (RFC 6455 section 5.5.2).
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`], [`SendError::ControlTooLong`], and [`SendError::Full`] while 2 KiB
    /// of pings and pongs wait.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.ping(payload)
    }

    /// Queues a pong that answers no ping, as a one-sided heartbeat (RFC 6455 section 5.5.3). Pings
    /// are answered without it.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.pong(payload)
    }

    /// Queues a ping that measures the round trip, unless one waits already. With
    /// [`Timeouts::with_ping`](crate::Timeouts::with_ping) this happens by itself.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn probe(&mut self) -> Result<(), SendError> {
        self.special = true;
        self.sender.probe()
    }

    /// The round trips that pings measured so far, or `None` if there was none: with
    /// [`Timeouts::with_ping`](crate::Timeouts::with_ping) or [`probe`](Self::probe).
    pub fn rtt(&self) -> Option<Rtt> {
        self.sender.rtt()
    }
}
