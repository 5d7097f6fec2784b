//! The client's side.

use alloc::boxed::Box;
use bytes::Bytes;
use core::fmt;

use super::accept::encode_nonce;
use super::body::BodyReader;
use super::head::{Head, HeadReader, Kind, MAX_INFORMATIONAL, StartLine};
use super::opening::ClientRequest;
use super::terms::Terms;
use crate::config::{Config, Limits};
use crate::error::{HandshakeError, RequestError};
use crate::extension::Wanted;
use crate::http::Response;
use crate::input::Input;
use crate::negotiated::Negotiated;
use crate::time::Instant;

/// A client's opening handshake as a state machine (RFC 6455 section 4.1).
///
/// The request is queued from the start. Drain it into the transport, which for a `wss` URL is a
/// TLS session that is already up (6455-4.1-13), then feed what comes back.
///
/// ```
/// use sockeye::handshake::{ClientHandshake, ClientRequest};
/// use sockeye::{Config, Input, Instant};
///
/// let request = ClientRequest::new("ws://server.example.com/chat")?;
/// let nonce = *b"the sample nonce"; // from a secure generator, a new one each time
/// let now = Instant::from_nanos(0);
/// let mut handshake = ClientHandshake::new(&Config::new(), &request, nonce, now)?;
/// let output = handshake.poll_transmit().expect("the request");
/// assert!(output.starts_with(b"GET /chat HTTP/1.1\r\n"));
/// output.clear(); // written
///
/// let mut bytes = *b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// let accepted = handshake
///     .receive(now, &mut Input::new(&mut bytes))?
///     .expect("it is complete");
/// assert_eq!(accepted.response.status(), 101);
/// assert_eq!(accepted.negotiated.subprotocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientHandshake {
    state: State,
    terms: Terms,
    limits: Limits,
    informational: u32,
    deadline: Option<Instant>,
    output: Bytes,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    /// The server refused, and says why.
    Body(Response, BodyReader),
    Done,
    Failed(HandshakeError),
}

/// The result of a client's handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// What was agreed on, for the connection.
    pub negotiated: Negotiated,
    /// The server's answer, for its headers.
    pub response: Response,
}

impl ClientHandshake {
    /// Queues the request. The deadline counts from `now`.
    ///
    /// `nonce` must come from a secure generator, and be a new one for each handshake (RFC 6455
    /// section 4.1); with the `rand` feature, [`RandomKeys::nonce`](crate::RandomKeys::nonce)
    /// makes one.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the request has a header, an origin or a subprotocol that must not be
    /// sent. Nothing was produced then.
    pub fn new(
        config: &Config,
        request: &ClientRequest,
        nonce: [u8; 16],
        now: Instant,
    ) -> Result<Self, RequestError> {
        let key = encode_nonce(nonce);
        let wanted = Wanted::new(config);
        let output = request.write(&key, &wanted)?;
        Ok(Self {
            state: State::Head(HeadReader::new(Kind::Response, config.limits())),
            terms: Terms::new(request, Some(&key), wanted),
            limits: config.limits().clone(),
            informational: 0,
            deadline: config.timeouts().handshake().map(|timeout| now + timeout),
            output,
        })
    }

    /// Takes bytes from the server up to the end of its answer, and returns what was agreed on when
    /// it is complete.
    ///
    /// Bytes after an upgrade stay in `input`: they are frames, for the connection.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] for an answer with another status than 101, once its body is
    /// complete or too long; any other [`HandshakeError`] for an answer that is wrong. All
    /// input is dropped, and later calls return the same error.
    pub fn receive(
        &mut self,
        now: Instant,
        input: &mut Input<'_>,
    ) -> Result<Option<Accepted>, HandshakeError> {
        if matches!(self.state, State::Head(_) | State::Body(..)) {
            self.handle_timeout(now).inspect_err(|_| drop_all(input))?;
        }
        let outcome = self.advance(input);
        if let Err(error) = &outcome {
            drop_all(input);
            self.fail(error.clone());
        }
        outcome
    }

    fn advance(&mut self, input: &mut Input<'_>) -> Result<Option<Accepted>, HandshakeError> {
        loop {
            match &mut self.state {
                State::Head(reader) => {
                    let Some(head) = reader.read(input)? else {
                        return Ok(None);
                    };
                    if let Some(accepted) = self.handle_head(head)? {
                        self.state = State::Done;
                        return Ok(Some(accepted));
                    }
                }
                State::Body(response, body) => {
                    if body.read(input) {
                        return Err(refused(response, body, false));
                    }
                    return Ok(None);
                }
                State::Done => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// Judges a complete head: an upgrade, or a refusal whose body comes next, or nothing final.
    fn handle_head(&mut self, head: Head) -> Result<Option<Accepted>, HandshakeError> {
        let StartLine::Response {
            status,
            reason,
            is_old,
        } = head.start
        else {
            return Err(HandshakeError::Malformed);
        };
        let response = Response::new(status, reason, head.fields);
        match status {
            101 if is_old => Err(HandshakeError::HttpVersion),
            // R-22: the answer depends on the key, which is not out yet.
            101 if !self.output.is_empty() => Err(HandshakeError::TooEarly),
            101 => {
                let negotiated = self.terms.check(&response)?;
                Ok(Some(Accepted {
                    negotiated,
                    response,
                }))
            }
            100..=199 => {
                self.informational += 1;
                if self.informational > MAX_INFORMATIONAL {
                    return Err(HandshakeError::TooManyInformational);
                }
                self.state = State::Head(HeadReader::new(Kind::Response, &self.limits));
                Ok(None)
            }
            _ => {
                // 6455-4.1-38. The head and the body share one limit.
                let head_size = response.fields().head().len();
                let room = self.limits.max_head_size().saturating_sub(head_size);
                let body = BodyReader::new(&response, is_old, room);
                // Whatever the rest of the request is, it came too late.
                self.output = Bytes::new();
                self.state = State::Body(response, body);
                Ok(None)
            }
        }
    }

    /// The bytes to write to the transport. Advance them by what was written; `None` when nothing
    /// is left.
    pub fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        Some(&mut self.output).filter(|output| !output.is_empty())
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called; `None` once the handshake is
    /// over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Head(_) | State::Body(..) => self.deadline,
            State::Done | State::Failed(_) => None,
        }
    }

    /// Ends the handshake if its deadline passed. Does nothing when called early.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Timeout`], or [`HandshakeError::Refused`] if only a part of a refusal's
    /// body is missing. After an earlier error, that one.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        let is_late = self.poll_timeout().is_some_and(|deadline| deadline <= now);
        let error = match &mut self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Head(_) if is_late => HandshakeError::Timeout,
            State::Body(response, body) if is_late => refused(response, body, false),
            State::Head(_) | State::Body(..) | State::Done => return Ok(()),
        };
        Err(self.fail(error))
    }

    /// Tells that the transport will deliver no more bytes. After an upgrade that is the
    /// connection's business.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Eof`] if there is no complete answer, or [`HandshakeError::Refused`],
    /// whose body may end with the transport. After an earlier error, that one.
    pub fn handle_eof(&mut self) -> Result<(), HandshakeError> {
        let error = match &mut self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Head(_) => HandshakeError::Eof,
            State::Body(response, body) => refused(response, body, true),
            State::Done => return Ok(()),
        };
        Err(self.fail(error))
    }

    /// Drops what was received and what was to be sent, and keeps the error.
    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        self.output = Bytes::new();
        self.state = State::Failed(error.clone());
        error
    }
}

impl fmt::Debug for ClientHandshake {
    /// Not the output, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake")
            .field("state", &self.state)
            .field("deadline", &self.deadline)
            .field("queued", &self.output.len())
            .finish_non_exhaustive()
    }
}

fn refused(response: &Response, body: &mut BodyReader, is_eof: bool) -> HandshakeError {
    let (body, is_complete) = body.finish(is_eof);
    // Without room that it does not need: it may be kept for long.
    let body = body.into_boxed_slice();
    HandshakeError::Refused(Box::new(response.clone().with_body(body, is_complete)))
}

fn drop_all(input: &mut Input<'_>) {
    input.take_all();
}
