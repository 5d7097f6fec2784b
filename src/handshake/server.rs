//! The server's side.

use bytes::Bytes;
use core::fmt;

use super::answer::{Acceptance, Refusal, write_failure, write_unavailable};
use super::head::{HeadReader, Kind};
use super::request::Request;
use crate::config::Config;
use crate::error::{AnswerError, HandshakeError};
use crate::extension::Wanted;
use crate::input::Input;
use crate::negotiated::Negotiated;
use crate::time::Instant;

/// A server's opening handshake as a state machine (RFC 6455 section 4.2).
///
/// ```text
/// receive ──► Request ──► accept ──► Negotiated: drain the output, then start the connection
///    │           └──────► reject ──► drain the output, then close the transport
///    └─► HandshakeError ───────────► drain the output (an HTTP answer), then close the transport
/// ```
///
/// Between the request and the answer the application may take its time; the deadline goes on,
/// until the answer has left. Bytes after the request stay in the input until then: what is read
/// meanwhile must be kept, and bounded, by the driver, which best just stops reading. After
/// [`accept`](Self::accept) they belong to the connection.
///
/// ```
/// use sockeye::handshake::{Acceptance, Refusal, ServerHandshake};
/// use sockeye::{Config, Input, Instant};
///
/// let mut bytes = *b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\
///     Upgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let now = Instant::from_nanos(0);
/// let mut handshake = ServerHandshake::new(&Config::new(), now);
/// let request = handshake
///     .receive(now, &mut Input::new(&mut bytes))?
///     .expect("it is complete");
/// if request.path() == "/chat" {
///     let negotiated = handshake.accept(Acceptance::new())?;
///     assert_eq!(negotiated.subprotocol(), None);
/// } else {
///     handshake.reject(Refusal::new(404))?;
/// }
/// let output = handshake.poll_transmit().expect("an answer");
/// assert!(output.starts_with(b"HTTP/1.1 101 "));
/// output.clear(); // written
/// assert!(handshake.poll_transmit().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServerHandshake {
    state: State,
    plain_requests: bool,
    wanted: Wanted,
    deadline: Option<Instant>,
    output: Bytes,
}

#[derive(Debug)]
enum State {
    Reading(HeadReader),
    Deciding(Request),
    Accepted,
    Rejected,
    Failed(HandshakeError),
}

impl ServerHandshake {
    /// Waits for a request. The deadline counts from `now`.
    pub fn new(config: &Config, now: Instant) -> Self {
        Self {
            state: State::Reading(HeadReader::new(Kind::Request, config.limits())),
            plain_requests: false,
            wanted: Wanted::new(config),
            deadline: config.timeouts().handshake().map(|timeout| now + timeout),
            output: Bytes::new(),
        }
    }

    /// Delivers GET and HEAD requests without an `Upgrade` header too, so that the application can
    /// serve a page or a health check, by [`reject`](Self::reject) with status 200.
    /// [`Request::is_upgrade`] tells them apart.
    ///
    /// Default: they are answered with 426.
    #[must_use]
    pub fn with_plain_requests(mut self) -> Self {
        self.plain_requests = true;
        self
    }

    /// Takes bytes from the client up to the end of its request, and returns the request when it is
    /// complete.
    ///
    /// The request comes once. After it, and after [`accept`](Self::accept), nothing is taken;
    /// after [`reject`](Self::reject) and after an error everything is, and dropped.
    ///
    /// # Errors
    ///
    /// Any [`HandshakeError`] with an [`http_status`](HandshakeError::http_status). The HTTP answer
    /// is already queued. Later calls return the same error.
    pub fn receive(
        &mut self,
        now: Instant,
        input: &mut Input<'_>,
    ) -> Result<Option<Request>, HandshakeError> {
        let is_late = self.is_late(now);
        let outcome = match &mut self.state {
            State::Reading(_) if is_late => Err(HandshakeError::Timeout),
            State::Reading(reader) => match reader.read(input) {
                Ok(None) => return Ok(None),
                Ok(Some(head)) => Request::validate(head, self.plain_requests),
                Err(error) => Err(error),
            },
            State::Deciding(_) | State::Accepted => return Ok(None),
            State::Rejected => {
                // HARDENING A1.11: what follows a refused request is not read as another one.
                input.take_all();
                return Ok(None);
            }
            State::Failed(error) => {
                input.take_all();
                return Err(error.clone());
            }
        };
        match outcome {
            Ok(request) => {
                self.state = State::Deciding(request.clone());
                Ok(Some(request))
            }
            Err(error) => {
                input.take_all();
                self.output = write_failure(&error, self.plain_requests);
                Err(self.fail(error))
            }
        }
    }

    /// Accepts the upgrade: queues the 101, and returns what was agreed on for the connection.
    ///
    /// # Errors
    ///
    /// [`AnswerError::NotPending`] if there is no request to answer, [`AnswerError::NotUpgrade`] if
    /// it asks for no upgrade, [`AnswerError::UnofferedProtocol`], and [`AnswerError::Header`]
    /// for a header that must not be sent. Nothing was queued then, and another answer may
    /// follow.
    pub fn accept(&mut self, acceptance: Acceptance) -> Result<Negotiated, AnswerError> {
        let State::Deciding(request) = &self.state else {
            return Err(AnswerError::NotPending);
        };
        if !request.is_upgrade() {
            return Err(AnswerError::NotUpgrade);
        }
        let (output, negotiated) = acceptance.write(request, &self.wanted)?;
        self.output = output;
        self.state = State::Accepted;
        Ok(negotiated)
    }

    /// Refuses the request: queues the HTTP answer. Drain it, then close the transport.
    ///
    /// # Errors
    ///
    /// [`AnswerError::NotPending`] if there is no request to answer, [`AnswerError::Status`] for a
    /// status outside 200 to 599, [`AnswerError::Body`] for a body where the status allows
    /// none, and [`AnswerError::Header`] for a header that must not be sent. Nothing was queued
    /// then, and another answer may follow.
    pub fn reject(&mut self, refusal: Refusal) -> Result<(), AnswerError> {
        let State::Deciding(request) = &self.state else {
            return Err(AnswerError::NotPending);
        };
        self.output = refusal.write(request)?;
        self.state = State::Rejected;
        Ok(())
    }

    /// The bytes to write to the transport. Advance them by what was written; `None` when nothing
    /// is left.
    pub fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        Some(&mut self.output).filter(|output| !output.is_empty())
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called; `None` once the answer was
    /// written, or after an error.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Reading(_) | State::Deciding(_) => self.deadline,
            State::Accepted | State::Rejected => self.deadline.filter(|_| !self.output.is_empty()),
            State::Failed(_) => None,
        }
    }

    /// Ends the handshake if its deadline passed. Does nothing when called early.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Timeout`]. A 408 is queued if the request did not arrive in time, a 503 if
    /// the application did not decide in time, and nothing if the client did not take the
    /// answer in time. After an earlier error, that one.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        if !self.is_late(now) {
            return Ok(());
        }
        let error = HandshakeError::Timeout;
        self.output = match self.state {
            State::Reading(_) => write_failure(&error, self.plain_requests),
            State::Deciding(_) => write_unavailable(),
            State::Accepted | State::Rejected | State::Failed(_) => Bytes::new(),
        };
        Err(self.fail(error))
    }

    /// Tells that the transport will deliver no more bytes.
    ///
    /// Once the request is complete that is fine: it can still be answered.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Eof`] if the request is not complete; nothing is queued. After an earlier
    /// error, that one.
    pub fn handle_eof(&mut self) -> Result<(), HandshakeError> {
        match &self.state {
            State::Reading(_) => Err(self.fail(HandshakeError::Eof)),
            State::Failed(error) => Err(error.clone()),
            State::Deciding(_) | State::Accepted | State::Rejected => Ok(()),
        }
    }

    fn is_late(&self, now: Instant) -> bool {
        self.poll_timeout().is_some_and(|deadline| deadline <= now)
    }

    /// Drops what was received (HARDENING A1.15) and keeps the error.
    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        self.state = State::Failed(error.clone());
        error
    }
}

impl fmt::Debug for ServerHandshake {
    /// Not the output, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandshake")
            .field("state", &self.state)
            .field("deadline", &self.deadline)
            .field("queued", &self.output.len())
            .finish_non_exhaustive()
    }
}
