//! Answering message by message what is written batch by batch.

use core::fmt;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Context;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::driver::{poll_input, poll_writing, take_event};
use super::error::SocketError;
use super::inlet::{Inlet, Intake};
use super::io::{ReadIo, WriteIo};
use super::output::Output;
use super::reading::Writes;
use super::sending::{queue, queue_fragment, queue_with};
use super::signals::Side;
use super::websocket::WebSocket;
#[cfg(feature = "deflate")]
use crate::Prepared;
use crate::{CloseCode, Closed, Kind, Message, Payload, SendError, SendOptions, Sender, State};

impl<I: ReadIo + WriteIo> WebSocket<I> {
    /// Receives messages until the connection ends, and lends each to `handle`, together with the
    /// means to reply.
    ///
    /// Replies to messages that came with one read leave in one write, and if that read gave as much
    /// as it could, so do those to what is read next. But no reply waits for anything else: whenever the handler does, for a database say, all replies so far are
    /// written.
    ///
    /// ```
    /// # use sockeye::{Closed, SocketError, WebSocket, ReadIo, WriteIo};
    /// # async fn echo<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<Closed, SocketError> {
    /// ws.serve(async |message, replies| replies.send(message).await).await
    /// # }
    /// ```
    ///
    /// The message borrows the read buffer, without a copy or an allocation; `into_owned` makes one
    /// to keep. Messages are handled one after the other, in order. While a handler waits, nothing
    /// is received: a peer that sends more is held back, its pings are not answered, and the
    /// deadline for its pongs stands still. What takes longer than the peer's patience is for a
    /// task of its own that has the [`SendHalf`](crate::SendHalf) of a connection.
    ///
    /// Other events are handled and not shown, as by [`recv`](Self::recv), and messages that arrive
    /// while the connection is closing are dropped, as by [`close`](Self::close): nobody can reply
    /// any more. The end of the connection does not cut a handler short. It learns of it when it
    /// replies.
    ///
    /// In a task that may move between threads, let the handler own what it uses: `async move`, and
    /// clones of what is shared. The compiler does not see yet that references may move along.
    ///
    /// It is left out of the blocking adapter, where nobody could write while the handler waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops that of the handler, and with it the message that it had. Nothing
    /// else is lost: the next call of any kind goes on with the message behind it, and writes the
    /// replies that were queued.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). Those of the handler too, of any type that is made `From` a
    /// [`SocketError`]: then the connection is still there, with the replies that are queued, to
    /// [`close`](Self::close) or to serve on.
    ///
    /// ```
    /// # use sockeye::{CloseCode, SocketError, WebSocket, ReadIo, WriteIo};
    /// # async fn lookup(_: &[u8]) -> std::io::Result<String> { Ok(String::new()) }
    /// # async fn example<I: ReadIo + WriteIo>(mut ws: WebSocket<I>) -> Result<(), Box<dyn std::error::Error>> {
    /// let served = ws.serve(async |message, replies| {
    ///     let found = lookup(message.as_bytes()).await?;
    ///     replies.send(found).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// });
    /// if let Err(error) = served.await {
    ///     println!("{error}");
    ///     ws.close(CloseCode::INTERNAL_ERROR, "").await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve<E: From<SocketError>>(
        &mut self,
        mut handle: impl AsyncFnMut(Message<'_>, &mut Replies<'_, I>) -> Result<(), E>,
    ) -> Result<Closed, E> {
        let Self { inlet, output, .. } = self;
        let Inlet { buffer, intake } = inlet;
        loop {
            if let Some(event) = take_event(buffer, intake, output) {
                let is_open = output.sender.state() == State::Open;
                if let Some(message) = event.into_message().ok().filter(|_| is_open) {
                    let output = Mutex::new(&mut *output);
                    let mut replies = Replies { output: &output };
                    let mut handling = pin!(handle(message, &mut replies));
                    poll_fn(|cx| {
                        let handled = handling.as_mut().poll(cx);
                        if handled.is_pending() {
                            write_meanwhile(intake, &mut lock(&output), cx);
                        }
                        handled
                    })
                    .await?;
                }
            } else if !poll_fn(|cx| poll_input(buffer, intake, output, cx, Writes::MayWait)).await?
            {
                return Ok(output.outcome()?);
            }
        }
    }
}

/// Writes what waits while a handler waits for something else, and meets the deadlines of that. Those
/// of what the peer sends have time: nobody reads it.
fn write_meanwhile<I: ReadIo + WriteIo>(
    intake: &mut Intake,
    output: &mut Output<I>,
    cx: &mut Context<'_>,
) {
    if output.sender.queued() == 0 && !output.sender.is_unflushed() {
        return;
    }
    // The sending side's waker is that of the handler, which may wait for room.
    let side = Side::Receive;
    let _broken = poll_writing(side, intake, output, cx, |output, cx| {
        output.poll_flush(side, cx)
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A transport that panicked halfway is as good as one that failed halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a handler of [`WebSocket::serve`] replies with.
///
/// What it sends is queued, and written when the handler waits for something, or when no more
/// messages are at hand. So the methods wait only for room in the queue
/// ([`Limits::max_queued`](crate::Limits::max_queued)). Dropped while it waits, a message is not
/// sent.
pub struct Replies<'a, I> {
    // Shared with `serve`, which writes. Nobody holds it across a wait, so nobody ever waits for it.
    output: &'a Mutex<&'a mut Output<I>>,
}

impl<I: ReadIo + WriteIo> Replies<'_, I> {
    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`SocketError::Connection`] if the connection failed meanwhile, [`SocketError::Send`] if it
    /// is not open, [`SocketError::Io`] if the transport failed.
    pub async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
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
        self.queue(|sender| sender.send_prepared(message)).await
    }

    /// Queues a fragment of a message, `fin` being set on the last. A handler may return between
    /// two of them; the next ones come from where the message goes on.
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
            .await
    }

    /// Queues a ping with up to 125 bytes of payload, ahead of messages that wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SendError::ControlTooLong`](crate::SendError::ControlTooLong).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        self.queue(|sender| sender.ping(payload)).await
    }

    /// Waits until everything is written: before the handler computes for long, which nothing can
    /// interrupt.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::flush`].
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        poll_fn(|cx| lock(self.output).poll_flush(Side::Send, cx)).await?;
        Ok(())
    }

    /// Queues a Close frame behind what was sent before. Once the handler has returned,
    /// [`serve`](WebSocket::serve) sees the closing handshake through, and ends.
    ///
    /// # Errors
    ///
    /// [`SocketError::Send`] if the connection is not open, or for an invalid code or a reason of
    /// more than 123 bytes.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SocketError> {
        Ok(lock(self.output).start_close(code, reason)?)
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        lock(self.output).sender.state()
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        lock(self.output).sender.queued()
    }

    /// Makes room until `attempt` no longer says that the queue is full.
    async fn queue(
        &self,
        mut attempt: impl FnMut(&mut Sender) -> Result<(), SendError>,
    ) -> Result<(), SocketError> {
        poll_fn(|cx| {
            let mut output = lock(self.output);
            let queued = output.poll_queue(cx, &mut attempt);
            // What has ended the connection says more than that it is not open.
            let failed = |error| output.sender.error().map_or(error, SocketError::from);
            queued.map_err(failed)
        })
        .await
    }
}

impl<I> fmt::Debug for Replies<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").finish_non_exhaustive()
    }
}
