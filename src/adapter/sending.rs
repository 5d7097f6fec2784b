//! What a connection over asynchronous I/O sends.

use core::future::poll_fn;
use core::task::{Context, Poll};
use std::io;

use super::driver::poll_writing;
use super::error::SocketError;
use super::io::{ReadIo, WriteIo};
use super::output::Output;
use super::signals::Side;
use super::websocket::WebSocket;
#[cfg(feature = "deflate")]
use crate::{Compress, Prepared};
use crate::{Kind, Message, Payload, SendError, SendOptions, Sender, State, Unsent};

impl<I: ReadIo + WriteIo> WebSocket<I> {
    /// Waits until there is room for a message: less than
    /// [`Limits::max_queued`](crate::Limits::max_queued) waits to be written.
    ///
    /// What a handler of [`recv_with`](Self::recv_with) sends is not refused if this was awaited
    /// before. While it waits nothing is received, so a peer that does not read is held back.
    ///
    /// # Errors
    ///
    /// [`SocketError::Io`] if the transport failed.
    pub async fn ready(&mut self) -> Result<(), SocketError> {
        let Self { inlet, output, .. } = self;
        poll_fn(|cx| poll_writing(Side::Send, &mut inlet.intake, output, cx, Output::poll_room))
            .await
    }

    /// Waits until no more than [`Limits::low_water`](crate::Limits::low_water) waits to be written.
    ///
    /// A producer that was held back goes on from here and not from [`ready`](Self::ready), which
    /// lets it go on for each message that left.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    pub async fn drained(&mut self) -> Result<(), SocketError> {
        let Self { inlet, output, .. } = self;
        poll_fn(|cx| {
            poll_writing(
                Side::Send,
                &mut inlet.intake,
                output,
                cx,
                Output::poll_drained,
            )
        })
        .await
    }

    /// Sends a message: queues it, and writes until nothing waits.
    ///
    /// # Errors
    ///
    /// [`SocketError::Send`] if the connection is not open, [`SocketError::Io`] if the transport
    /// failed.
    pub async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        if self.output.io().is_blocking() {
            self.feed(message).await?;
            return self.flush().await;
        }
        let mut message = Some(message.into());
        let Self { inlet, output, .. } = self;
        poll_fn(|cx| {
            poll_writing(Side::Send, &mut inlet.intake, output, cx, |output, cx| {
                output.poll_send(cx, &mut message)
            })
        })
        .await
    }

    /// Queues a message, and writes only to make room. Follow up with [`flush`](Self::flush), or
    /// with receiving.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        let mut message = Some(message.into());
        self.queue(|sender| queue(sender, &mut message)).await
    }

    /// As [`send`](Self::send), in a class, compressed or not.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        self.feed_with(message, options).await?;
        self.flush().await
    }

    /// As [`feed`](Self::feed), in a class, compressed or not.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        let options = options.into();
        let mut message = Some(message.into());
        self.queue(|sender| queue_with(sender, &mut message, options))
            .await
    }

    /// As [`send`](Self::send), for a message that is shared with other connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub async fn send_prepared(&mut self, message: &Prepared) -> Result<(), SocketError> {
        self.feed_prepared(message).await?;
        self.flush().await
    }

    /// As [`feed`](Self::feed), for a message that is shared with other connections.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub async fn feed_prepared(&mut self, message: &Prepared) -> Result<(), SocketError> {
        self.queue(|sender| sender.send_prepared(message)).await
    }

    /// Queues a message if there is room, without waiting and without writing.
    ///
    /// Whether there is room depends on what was written before: call [`flush`](Self::flush) or
    /// receive in between.
    ///
    /// # Errors
    ///
    /// The message comes back with [`SendError::Full`] or [`SendError::NotOpen`].
    pub fn try_feed<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.try_feed_with(message, SendOptions::new())
    }

    /// As [`try_feed`](Self::try_feed), in a class, compressed or not.
    ///
    /// # Errors
    ///
    /// As [`try_feed`](Self::try_feed).
    pub fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.output.sender_mut().try_send_with(message, options)
    }

    /// Writes until nothing waits.
    ///
    /// # Errors
    ///
    /// [`SocketError::Io`] if the transport failed, or if the connection ended before everything
    /// was written (`ConnectionAborted`).
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        poll_fn(|cx| self.poll_flush(cx)).await?;
        Ok(())
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { inlet, output, .. } = self;
        poll_writing(Side::Send, &mut inlet.intake, output, cx, |output, cx| {
            output.poll_flush(Side::Send, cx)
        })
    }

    /// Queues a fragment of a message, `fin` being set on the last, and writes until nothing waits.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and as [`Connection::send_fragment`](crate::Connection::send_fragment).
    pub async fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SocketError> {
        let mut payload = Some(payload.into());
        self.queue(|sender| queue_fragment(sender, kind, &mut payload, fin))
            .await?;
        self.flush().await
    }

    /// As [`send_fragment`](Self::send_fragment); the choice at the first fragment is that of the
    /// whole message.
    ///
    /// # Errors
    ///
    /// As [`send_fragment`](Self::send_fragment).
    #[cfg(feature = "deflate")]
    pub async fn send_fragment_with<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
        compress: Compress,
    ) -> Result<(), SocketError> {
        let mut payload = Some(payload.into());
        self.queue(|sender| {
            with_room(sender, &mut payload, |sender, payload| {
                sender.send_fragment_with(kind, payload, fin, compress)
            })
        })
        .await?;
        self.flush().await
    }

    /// Gives back the codecs that are retained; see [`Connection::shrink`](crate::Connection::shrink).
    #[cfg(feature = "deflate")]
    pub fn shrink(&mut self) {
        self.inlet.intake.receiver.shrink();
        self.output.sender_mut().shrink();
    }

    /// Sends a ping with up to 125 bytes of payload, ahead of messages that wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::ControlTooLong`].
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        self.queue(|sender| sender.ping(payload)).await?;
        self.flush().await
    }

    /// Sends a ping that measures the round trip, unless one waits already. Receiving sees the
    /// answer, and then [`rtt`](Self::rtt) has it.
    ///
    /// With [`Timeouts::with_ping`](crate::Timeouts::with_ping) this happens by itself.
    ///
    /// ```
    /// # use sockeye::{SocketError, WebSocket, ReadIo, WriteIo};
    /// # async fn example<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<(), SocketError> {
    /// ws.probe().await?;
    /// while let Some(message) = ws.recv().await? {
    ///     if let Some(rtt) = ws.rtt() {
    ///         println!("{:?} away", rtt.smoothed);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn probe(&mut self) -> Result<(), SocketError> {
        self.queue(Sender::probe).await?;
        self.flush().await
    }

    /// Makes room until `attempt` no longer says that the queue is full.
    async fn queue(
        &mut self,
        mut attempt: impl FnMut(&mut Sender) -> Result<(), SendError>,
    ) -> Result<(), SocketError> {
        let Self { inlet, output, .. } = self;
        poll_fn(|cx| {
            poll_writing(Side::Send, &mut inlet.intake, output, cx, |output, cx| {
                output.poll_queue(cx, &mut attempt)
            })
        })
        .await
    }
}

/// Queues a message, which stays where it is while there is no room.
pub(super) fn queue<'p>(
    sender: &mut Sender,
    message: &mut Option<Message<'p>>,
) -> Result<(), SendError> {
    with_room(sender, message, |sender, message| sender.send(message))
}

/// Queues a message in a class, which has its own room.
pub(super) fn queue_with<'p>(
    sender: &mut Sender,
    message: &mut Option<Message<'p>>,
    options: SendOptions,
) -> Result<(), SendError> {
    if sender.state() == State::Open && !sender.has_room_for(options.priority()) {
        return Err(SendError::Full);
    }
    let message = message.take();
    message.map_or(Ok(()), |message| sender.send_with(message, options))
}

/// Queues a fragment, which stays where it is while there is no room.
pub(super) fn queue_fragment<'p>(
    sender: &mut Sender,
    kind: Kind,
    payload: &mut Option<Payload<'p>>,
    fin: bool,
) -> Result<(), SendError> {
    with_room(sender, payload, |sender, payload| {
        sender.send_fragment(kind, payload, fin)
    })
}

pub(super) fn with_room<T>(
    sender: &mut Sender,
    value: &mut Option<T>,
    send: impl FnOnce(&mut Sender, T) -> Result<(), SendError>,
) -> Result<(), SendError> {
    if sender.state() == State::Open && !sender.has_room() {
        return Err(SendError::Full);
    }
    value.take().map_or(Ok(()), |value| send(sender, value))
}
