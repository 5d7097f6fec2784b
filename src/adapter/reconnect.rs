//! Clients that connect again when a connection is lost, and tell what happens.
//!
//! `sockeye::tokio::reconnect`, `sockeye::futures::reconnect` and
//! [`sockeye::blocking::reconnect`](crate::blocking::reconnect) make them.

use core::fmt;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::boxed::Box;

use super::driver::poll_message;
use super::{ReadIo, SocketError, WebSocket, WriteIo};
use crate::backoff::{Backoff, Class, Decision, GiveUp};
use crate::handshake::Response;
use crate::{CloseCode, CloseFrame, Closed, Error, Instant, Message, SendError};

/// A client that connects, receives, and connects again when the connection is lost.
///
/// [`recv`](Self::recv) gives what happens in order: an attempt, a connection, its messages, its
/// end, the next attempt. So the application knows between which messages something may be missing.
/// What is worth another attempt, and when, is a matter of [`backoff`](crate::backoff).
///
/// # What is lost
///
/// Nothing is sent twice. A message whose [`send`](Self::send) succeeded was handed to the operating
/// system, which says nothing about whether the peer got it; if the connection is lost soon after, it
/// may or may not have. Messages that waited to be written are gone with the connection, and so is
/// the message that was arriving, of which there is a part only. Messages that the server sent while
/// there was no connection are its business.
///
/// To go on without a gap, the application numbers what it sends and receives, keeps what was not
/// confirmed, and says on each [`Update::Connected`] where it was.
///
/// # Cancel safety
///
/// [`recv`](Self::recv) may be dropped at any time and loses nothing: attempts and waits go on with
/// the next call, and only while one is running. The other methods are as those of [`WebSocket`].
pub struct Reconnecting<I> {
    /// Goes on with the attempt that is under way, or begins one.
    dial: Box<dyn FnMut(&mut Context<'_>) -> Poll<Dialed<I>> + Send>,
    clock: Clock,
    rule: Box<dyn FnMut(&Cause, Class) -> Class + Send>,
    random: Box<dyn FnMut() -> u64 + Send>,
    backoff: Backoff,
    phase: Phase<I>,
    /// The application closed the connection.
    closing: bool,
}

/// What comes of an attempt to connect.
pub(super) type Dialed<I> = Result<(WebSocket<I>, Response), SocketError>;
/// A wait. It must not touch a clock or a runtime before it is polled.
pub(super) type Sleeping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How an adapter tells the time, and waits.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: fn() -> Instant,
    pub(super) sleep_until: fn(Instant) -> Sleeping,
}

enum Phase<I> {
    Idle,
    Dialing,
    Open(Box<WebSocket<I>>),
    /// The application has taken the connection.
    Detached,
    Waiting(Sleeping),
    GivingUp(GiveUp),
    Over,
}

/// What happened to a [`Reconnecting`] client.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// An attempt to connect begins.
    Connecting {
        /// Which one it is since the last connection that was
        /// [stable](Backoff::with_stable), from 1.
        attempt: u32,
    },
    /// There is a connection, and this is the server's answer to the request.
    Connected(Response),
    /// A message arrived.
    Message(Message<'static>),
    /// The connection ended, or the attempt to make one failed.
    Disconnected(Disconnected),
    /// There will not be another attempt. This is the last update.
    GaveUp(GiveUp),
}

/// How a connection ended, or why there is none.
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnected {
    /// What happened.
    pub cause: Cause,
    /// What kind of failure it counts as, by the table or by the
    /// [rule](Reconnecting::with_rule).
    pub class: Class,
    /// How long the client waits now, if it connects again.
    pub retry_in: Option<Duration>,
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The connection ended, in whatever way, with a closing handshake or by breaking a rule.
    Closed(Closed),
    /// The attempt or the transport failed.
    Failed(SocketError),
}

impl Cause {
    /// What kind of failure this is, by the [table](crate::backoff#the-table).
    pub fn class(&self) -> Class {
        match self {
            Self::Closed(closed) => closed.class(),
            Self::Failed(error) => error.class(),
        }
    }

    /// The code of the peer's Close frame, if one came.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed(closed) => closed.received.as_ref().map(CloseFrame::code),
            Self::Failed(_) => None,
        }
    }

    /// The server's HTTP answer, if it refused with one.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Failed(SocketError::Handshake(error)) => error.response(),
            Self::Failed(_) | Self::Closed(_) => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Closed(closed) => match closed.error {
                Some(error) => error.fmt(f),
                None => write!(f, "the connection was closed with code {}", closed.code()),
            },
        }
    }
}

impl From<Closed> for Cause {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

impl From<SocketError> for Cause {
    fn from(error: SocketError) -> Self {
        Self::Failed(error)
    }
}

/// Attempts that are futures, one after the other.
#[cfg(any(feature = "tokio", feature = "futures"))]
pub(super) fn attempts<I, F: Future<Output = Dialed<I>>>(
    mut dial: impl FnMut() -> F,
) -> impl FnMut(&mut Context<'_>) -> Poll<Dialed<I>> {
    let mut attempt: Option<Pin<Box<F>>> = None;
    move |cx| {
        let running = attempt.get_or_insert_with(|| Box::pin(dial()));
        let dialed = ready!(running.as_mut().poll(cx));
        attempt = None;
        Poll::Ready(dialed)
    }
}

impl<I> Reconnecting<I> {
    pub(super) fn new(
        dial: impl FnMut(&mut Context<'_>) -> Poll<Dialed<I>> + Send + 'static,
        clock: Clock,
    ) -> Self {
        Self {
            dial: Box::new(dial),
            clock,
            rule: Box::new(|_, class| class),
            random: Box::new(rand::random),
            backoff: Backoff::new(),
            phase: Phase::Idle,
            closing: false,
        }
    }

    /// Sets the delays and budgets. The default is [`Backoff::new`].
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets what decides about classes. It gets what happened with the class that the
    /// [table](crate::backoff#the-table) gives it, which is the default.
    ///
    /// ```
    /// # use sockeye::backoff::Class;
    /// # use sockeye::{CloseCode, ReadIo, WriteIo, reconnect::Reconnecting};
    /// # fn f<I: ReadIo + WriteIo>(client: Reconnecting<I>) -> Reconnecting<I> {
    /// client.with_rule(|cause, class| match cause.close_code() {
    ///     // This service ends sessions normally, and expects a new one.
    ///     Some(CloseCode::NORMAL) => Class::Transient,
    ///     // Its own code for "logged in elsewhere".
    ///     Some(code) if code == CloseCode::from(4001) => Class::Fatal,
    ///     _ => class,
    /// })
    /// # }
    /// ```
    ///
    /// What the application itself ended with [`close`](Self::close) is over in any case.
    #[must_use]
    pub fn with_rule(mut self, rule: impl FnMut(&Cause, Class) -> Class + Send + 'static) -> Self {
        self.rule = Box::new(rule);
        self
    }

    /// Sets where random numbers come from, for tests. The default is the generator of the feature
    /// `rand`.
    #[must_use]
    pub fn with_random(mut self, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        self.random = Box::new(random);
        self
    }

    /// Takes the connection out, to run it elsewhere: split over two tasks or threads, for example.
    ///
    /// [`lost`](Self::lost) tells how it ended, and the next [`recv`](Self::recv) goes on from
    /// there. Without that, it counts as a transport that ended. `None` if there is no connection.
    pub fn detach(&mut self) -> Option<WebSocket<I>> {
        if !self.is_connected() {
            return None;
        }
        if let Phase::Open(ws) = mem::replace(&mut self.phase, Phase::Detached) {
            Some(*ws)
        } else {
            None
        }
    }

    /// Tells how a connection that was [detached](Self::detach) ended, and decides what follows.
    ///
    /// `None` if no connection is detached. What is returned here does not come as an update again.
    pub fn lost(&mut self, cause: impl Into<Cause>) -> Option<Disconnected> {
        matches!(self.phase, Phase::Detached).then(|| self.disconnect(cause.into()))
    }

    /// The connection, if there is one, for all that this type has no method for.
    ///
    /// Messages and events that are received through it do not come as updates; its end does.
    /// [`recv`](Self::recv) skips the pieces of messages that
    /// [`Delivery::Chunks`](crate::Delivery::Chunks) makes, so they are received through it.
    pub fn websocket(&mut self) -> Option<&mut WebSocket<I>> {
        if let Phase::Open(ws) = &mut self.phase {
            Some(ws)
        } else {
            None
        }
    }

    /// The delays, for when the application knows more: a network that comes up is a reason to
    /// [`reset`](Backoff::reset) them.
    pub const fn backoff_mut(&mut self) -> &mut Backoff {
        &mut self.backoff
    }

    /// Whether there is a connection, as far as is known.
    pub const fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Decides what follows the end of a connection, or of an attempt.
    fn disconnect(&mut self, cause: Cause) -> Disconnected {
        let class = match self.closing {
            true => Class::Done,
            false => (self.rule)(&cause, cause.class()),
        };
        let (now, random) = ((self.clock.now)(), (self.random)());
        let decision = self.backoff.handle_disconnect(now, class, random);
        let retry_in = match decision {
            Decision::Retry { delay, at } => {
                self.phase = Phase::Waiting((self.clock.sleep_until)(at));
                Some(delay)
            }
            Decision::GiveUp(reason) => {
                self.phase = Phase::GivingUp(reason);
                None
            }
        };
        Disconnected {
            cause,
            class,
            retry_in,
        }
    }
}

impl<I: ReadIo + WriteIo> Reconnecting<I> {
    /// Goes on: connects, waits, or receives, until something happened. `None` after
    /// [`Update::GaveUp`].
    ///
    /// Nothing happens on its own: this has to be called again and again, also for pings to be
    /// answered.
    pub async fn recv(&mut self) -> Option<Update> {
        poll_fn(|cx| self.poll_update(cx)).await
    }

    /// Sends a message over the connection that there is. As [`WebSocket::send`].
    ///
    /// # Errors
    ///
    /// [`SocketError::Send`] with [`SendError::NotOpen`] if there is no connection. Otherwise as
    /// [`WebSocket::send`]; if the connection broke, the next [`recv`](Self::recv) says so too.
    pub async fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        match self.websocket() {
            Some(ws) => ws.send(message).await,
            None => Err(SendError::NotOpen.into()),
        }
    }

    /// Ends it: closes the connection if there is one, as [`WebSocket::close`], and drops whatever
    /// attempt or wait is under way. There are no attempts any more.
    ///
    /// `None` if there was no connection. Who goes on to [`recv`](Self::recv) gets the last updates.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::close`]. With an invalid code or reason nothing has changed, all else ends it.
    pub async fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
    ) -> Result<Option<Closed>, SocketError> {
        match &mut self.phase {
            Phase::Open(ws) => {
                // Before the wait: this future may be dropped.
                let was_closing = mem::replace(&mut self.closing, true);
                let result = ws.close(code, reason).await;
                if matches!(&result, Err(error) if error.is_misuse()) {
                    self.closing = was_closing;
                }
                result.map(Some)
            }
            Phase::GivingUp(_) | Phase::Over => Ok(None),
            Phase::Idle | Phase::Dialing | Phase::Detached | Phase::Waiting(_) => {
                // With the attempt that it may hold.
                self.dial = Box::new(|_| Poll::Pending);
                self.phase = Phase::GivingUp(GiveUp::Done);
                Ok(None)
            }
        }
    }

    pub(super) fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        loop {
            let cause = match &mut self.phase {
                Phase::Idle => {
                    let attempt = self.backoff.retries().saturating_add(1);
                    self.phase = Phase::Dialing;
                    return Poll::Ready(Some(Update::Connecting { attempt }));
                }
                Phase::Dialing => match ready!((self.dial)(cx)) {
                    Ok((ws, response)) => {
                        self.backoff.handle_connect((self.clock.now)());
                        self.phase = Phase::Open(Box::new(ws));
                        return Poll::Ready(Some(Update::Connected(response)));
                    }
                    Err(error) => error.into(),
                },
                Phase::Open(ws) => match ready!(poll_message(&mut ws.inlet, &mut ws.output, cx)) {
                    Ok(Some(message)) => {
                        return Poll::Ready(Some(Update::Message(message)));
                    }
                    Ok(None) => end_of(ws, None),
                    Err(error) => end_of(ws, Some(error)),
                },
                Phase::Detached => SocketError::from(Error::Eof).into(),
                Phase::Waiting(sleeping) => {
                    ready!(sleeping.as_mut().poll(cx));
                    self.phase = Phase::Idle;
                    continue;
                }
                Phase::GivingUp(reason) => {
                    let reason = *reason;
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Update::GaveUp(reason)));
                }
                Phase::Over => return Poll::Ready(None),
            };
            let disconnected = self.disconnect(cause);
            return Poll::Ready(Some(Update::Disconnected(disconnected)));
        }
    }
}

/// Why a connection gives no more messages. Its own record says more than the error, unless that is
/// the transport's.
fn end_of<I>(ws: &WebSocket<I>, error: Option<SocketError>) -> Cause {
    match (error, ws.closed()) {
        (Some(SocketError::Connection(_)) | None, Some(closed)) => closed.into(),
        (Some(error), _) => error.into(),
        (None, None) => SocketError::from(Error::Eof).into(),
    }
}

impl<I> fmt::Debug for Reconnecting<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Idle => "Idle",
            Phase::Dialing => "Dialing",
            Phase::Open(_) => "Open",
            Phase::Detached => "Detached",
            Phase::Waiting(_) => "Waiting",
            Phase::GivingUp(_) => "GivingUp",
            Phase::Over => "Over",
        };
        f.debug_struct("Reconnecting")
            .field("phase", &phase)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}
