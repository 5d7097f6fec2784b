//! Answers for an HTTP library to write.

use bytes::Bytes;
use core::fmt;

use super::accept::accept_key;
use super::answer::{Acceptance, Refusal};
use super::compose::Headers;
use super::request::{Kind, Request};
use crate::config::Config;
use crate::error::{AnswerError, HandshakeError};
use crate::extension::Wanted;
use crate::http::Name;
use crate::negotiated::Negotiated;

/// A server's answer, for an HTTP library to write: a status, header fields and a body.
///
/// With the feature `http` it converts into an `http::Response`.
///
/// ```
/// use sockeye::Config;
/// use sockeye::handshake::{Acceptance, Request};
///
/// let fields = [
///     (":method", "CONNECT"),
///     (":protocol", "websocket"),
///     (":scheme", "https"),
///     (":authority", "server.example.com"),
///     (":path", "/chat"),
///     ("sec-websocket-version", "13"),
///     ("sec-websocket-protocol", "chat"),
/// ];
/// let config = Config::new();
/// let request = Request::extended(fields, &config)?;
/// let acceptance = Acceptance::new().with_subprotocol("chat");
/// let (answer, negotiated) = acceptance.answer(&request, &config)?;
/// assert_eq!(answer.status(), 200);
/// assert!(answer.fields().eq([("sec-websocket-protocol", &b"chat"[..])]));
/// assert_eq!(negotiated.subprotocol(), Some("chat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    /// INVARIANT: names are tokens in lower case, values have no control characters but tabs.
    fields: Headers,
    body: Bytes,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self {
            status,
            fields: Headers::default(),
            body: Bytes::new(),
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields in order, as name and value. Names are in lower case, as HTTP/2 and HTTP/3
    /// demand.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The body of a refusal; empty if the request is accepted.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    fn push(&mut self, name: &str, value: &[u8]) {
        self.fields.push_lower(name, value);
    }
}

impl fmt::Debug for Answer {
    /// Not the body, nor the secrets among the fields: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("fields", &self.fields)
            .field("body", &self.body.len())
            .finish()
    }
}

impl Acceptance {
    /// The answer that accepts `request`, for the HTTP library that read it: status 101, or 200 over
    /// HTTP/2 and HTTP/3. And what it settles, for the connection that starts when it left.
    ///
    /// # Errors
    ///
    /// [`AnswerError::NotUpgrade`], [`AnswerError::UnofferedProtocol`], and [`AnswerError::Header`]
    /// for a header that must not be sent.
    pub fn answer(
        self,
        request: &Request,
        config: &Config,
    ) -> Result<(Answer, Negotiated), AnswerError> {
        let mut answer = match request.kind() {
            Kind::Plain => return Err(AnswerError::NotUpgrade),
            Kind::Upgrade => {
                let mut answer = Answer::new(101);
                answer.push(Name::Upgrade.as_str(), b"websocket");
                answer.push(Name::Connection.as_str(), b"Upgrade");
                answer.push(Name::Accept.as_str(), &accept_key(request.key()));
                answer
            }
            // 8441-5-07. 8441-5-05: no accept value.
            Kind::Extended => Answer::new(200),
        };
        self.settle(request, &Wanted::new(config), |negotiated, lines, own| {
            for (name, value) in lines.iter().flatten() {
                answer.push(name, value);
            }
            for (name, value) in own.iter() {
                answer.push(name, value);
            }
            (answer, negotiated)
        })
    }
}

impl Refusal {
    /// The answer that refuses `request`, for the HTTP library that read it.
    ///
    /// Over HTTP/2 and HTTP/3, which have no `Upgrade`, 426 is 400. With either goes
    /// `Sec-WebSocket-Version`.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Status`] for a status outside 200 to 599, or over HTTP/2 and HTTP/3 outside 300
    /// to 599, because 2xx would accept there; [`AnswerError::Body`] for a body where the status
    /// allows none, and [`AnswerError::Header`] for a header that must not be sent.
    pub fn answer(self, request: &Request) -> Result<Answer, AnswerError> {
        self.validate(request)?;
        Ok(self.into_answer(request.kind()))
    }

    fn into_answer(self, kind: Kind) -> Answer {
        let mut answer = Answer::new(match (kind, self.status()) {
            // RFC 9110 section 15.5.22 asks for an `Upgrade` that HTTP/2 and HTTP/3 do not have.
            (Kind::Extended, 426) => 400,
            (_, status) => status,
        });
        self.for_each_line(|name, value| {
            // 8441-5-03: HTTP/2 and HTTP/3 have neither, in answers too.
            let is_of_connection = matches!(
                Name::of(name.as_bytes()),
                Some(Name::Connection | Name::Upgrade)
            );
            if kind != Kind::Extended || !is_of_connection {
                answer.push(name, value);
            }
        });
        answer.body = self.into_body();
        answer
    }
}

/// A request that is no valid handshake: why, and the answer to it.
///
/// ```
/// use sockeye::handshake::Request;
/// use sockeye::{Config, HandshakeError};
///
/// let fields = [(":method", "CONNECT"), (":protocol", "connect-udp")];
/// let invalid = Request::extended(fields, &Config::new()).unwrap_err();
/// assert_eq!(invalid.error(), &HandshakeError::UnknownProtocol);
/// assert_eq!(invalid.answer().status(), 501);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    error: HandshakeError,
    answer: Answer,
}

impl InvalidRequest {
    pub(super) fn new(error: HandshakeError, kind: Kind) -> Self {
        let allowed = match kind {
            Kind::Plain | Kind::Upgrade => "GET",
            Kind::Extended => "CONNECT",
        };
        let refusal = Refusal::for_failure(error.http_status().unwrap_or(400), allowed);
        Self {
            error,
            answer: refusal.into_answer(kind),
        }
    }

    /// What is wrong with the request.
    pub fn error(&self) -> &HandshakeError {
        &self.error
    }

    /// The answer to it.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The answer to it.
    pub fn into_answer(self) -> Answer {
        self.answer
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for InvalidRequest {}

impl From<InvalidRequest> for HandshakeError {
    fn from(invalid: InvalidRequest) -> Self {
        invalid.error
    }
}
