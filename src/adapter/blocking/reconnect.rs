//! A blocking client that connects again.

use core::task::{Context, Poll};
use std::boxed::Box;
use std::thread;

use super::{BlockingIo, ClientStream, Stream, WebSocket, block_on, connect_through};
use crate::adapter::connector::Connector;
use crate::adapter::reconnect::{self, Cause, Clock, Disconnected, Update};
use crate::backoff::{Backoff, Class};
use crate::handshake::{ClientRequest, Response};
use crate::{CloseCode, Closed, Config, Instant, Message, SocketError};

/// A client that connects to a URL, and again whenever the connection is lost.
///
/// `request` makes the request of each attempt, so that each can have a fresh token. If it fails,
/// so does the attempt, and the error's class decides whether there is another:
/// `std::io::Error::other` makes an error that is worth one. Each attempt is bounded as
/// [`connect_with`](super::connect_with); what `request` waits for is not.
///
/// ```no_run
/// use sockeye::handshake::ClientRequest;
/// use sockeye::{Config, reconnect::Update};
/// # fn token() -> std::io::Result<String> { Ok(String::new()) }
/// # fn on_message(_: sockeye::Message<'static>) {}
///
/// let mut client = sockeye::blocking::reconnect(&Config::new(), || {
///     let authorization = format!("Bearer {}", token()?);
///     let request = ClientRequest::new("ws://127.0.0.1:9001/feed")?;
///     Ok(request.with_header("Authorization", authorization))
/// });
/// while let Some(update) = client.recv() {
///     match update {
///         // A server that hangs up at once is news for `recv`, which comes next.
///         Update::Connected(_) => drop(client.send("subscribe")),
///         Update::Message(message) => on_message(message),
///         other => println!("{other:?}"),
///     }
/// }
/// ```
pub fn reconnect<R>(config: &Config, request: R) -> Reconnecting<ClientStream>
where
    R: FnMut() -> Result<ClientRequest, SocketError> + Send + 'static,
{
    reconnect_through(&Connector::from(config), request)
}

/// As [`reconnect()`], with attempts as by [`connect_through`].
pub fn reconnect_through<R>(connector: &Connector, mut request: R) -> Reconnecting<ClientStream>
where
    R: FnMut() -> Result<ClientRequest, SocketError> + Send + 'static,
{
    let connector = connector.clone();
    reconnect_with(move || connect_through(&connector, &request()?))
}

/// As [`reconnect()`], over transports that `dial` makes.
///
/// `dial` connects and does the opening handshake with [`client`](super::client). What else it waits
/// for it has to bound itself.
pub fn reconnect_with<S, D>(mut dial: D) -> Reconnecting<S>
where
    D: FnMut() -> Result<(WebSocket<S>, Response), SocketError> + Send + 'static,
{
    let clock = Clock {
        now: Instant::now,
        sleep_until: |at| {
            Box::pin(async move {
                thread::sleep(at.saturating_duration_since(Instant::now()));
            })
        },
    };
    let dial = move |_: &mut Context<'_>| {
        let dialed = dial().map(|(ws, response)| (ws.0, response));
        Poll::Ready(dialed)
    };
    Reconnecting(reconnect::Reconnecting::new(dial, clock))
}

/// A blocking client that connects again. As [`sockeye::reconnect::Reconnecting`](crate::reconnect::Reconnecting), but
/// its methods block.
///
/// Nothing cuts a wait short. [`Update::Disconnected`] says how long it will be, and comes before
/// it: who does not want to wait drops the client then, or leaves [`recv`](Self::recv) for later.
/// Who wants to send while a thread receives [detaches](Self::detach) the connection and splits it.
#[derive(Debug)]
pub struct Reconnecting<S>(reconnect::Reconnecting<BlockingIo<S>>);

impl<S> Reconnecting<S> {
    /// As [`sockeye::reconnect::Reconnecting::with_backoff`](crate::reconnect::Reconnecting::with_backoff).
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self(self.0.with_backoff(backoff))
    }

    /// As [`sockeye::reconnect::Reconnecting::with_rule`](crate::reconnect::Reconnecting::with_rule).
    #[must_use]
    pub fn with_rule(self, rule: impl FnMut(&Cause, Class) -> Class + Send + 'static) -> Self {
        Self(self.0.with_rule(rule))
    }

    /// As [`sockeye::reconnect::Reconnecting::with_random`](crate::reconnect::Reconnecting::with_random).
    #[must_use]
    pub fn with_random(self, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self(self.0.with_random(random))
    }

    /// As [`sockeye::reconnect::Reconnecting::detach`](crate::reconnect::Reconnecting::detach).
    pub fn detach(&mut self) -> Option<WebSocket<S>> {
        self.0.detach().map(WebSocket)
    }

    /// As [`sockeye::reconnect::Reconnecting::lost`](crate::reconnect::Reconnecting::lost).
    pub fn lost(&mut self, cause: impl Into<Cause>) -> Option<Disconnected> {
        self.0.lost(cause)
    }

    /// As [`sockeye::reconnect::Reconnecting::backoff_mut`](crate::reconnect::Reconnecting::backoff_mut).
    pub const fn backoff_mut(&mut self) -> &mut Backoff {
        self.0.backoff_mut()
    }

    /// As [`sockeye::reconnect::Reconnecting::is_connected`](crate::reconnect::Reconnecting::is_connected).
    pub const fn is_connected(&self) -> bool {
        self.0.is_connected()
    }
}

impl<S: Stream> Reconnecting<S> {
    /// As [`sockeye::reconnect::Reconnecting::recv`](crate::reconnect::Reconnecting::recv).
    pub fn recv(&mut self) -> Option<Update> {
        block_on(self.0.recv())
    }

    /// As [`sockeye::reconnect::Reconnecting::send`](crate::reconnect::Reconnecting::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        block_on(self.0.send(message))
    }

    /// As [`sockeye::reconnect::Reconnecting::close`](crate::reconnect::Reconnecting::close).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<Option<Closed>, SocketError> {
        block_on(self.0.close(code, reason))
    }
}

/// The updates, up to the last.
impl<S: Stream> Iterator for Reconnecting<S> {
    type Item = Update;

    fn next(&mut self) -> Option<Update> {
        self.recv()
    }
}
