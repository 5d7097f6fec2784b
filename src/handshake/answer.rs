//! A server's answers: the upgrade, and the refusals.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

use super::accept::accept_key;
use super::compose::{Headers, Line, line, write_head, write_line};
use super::request::{Kind, Request};
use crate::error::{AnswerError, HandshakeError};
use crate::extension::Wanted;
use crate::http::Name;
use crate::negotiated::Negotiated;

/// How a server accepts an upgrade: with which subprotocol and which headers of its own.
///
/// ```
/// use sockeye::handshake::Acceptance;
///
/// let acceptance = Acceptance::new()
///     .with_subprotocol("mqtt")
///     .with_header("Set-Cookie", "session=1; HttpOnly");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    subprotocol: Option<Box<str>>,
    headers: Headers,
}

impl Acceptance {
    /// Without a subprotocol or further headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol. It must be one that the client offers (RFC 6455 section 4.2.2).
    #[must_use]
    pub fn with_subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Adds a header line. Checked when the request is accepted.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value.as_ref());
        self
    }

    /// The 101 to `request`, and what it settles.
    pub(super) fn write(
        self,
        request: &Request,
        wanted: &Wanted,
    ) -> Result<(Bytes, Negotiated), AnswerError> {
        self.settle(request, wanted, |negotiated, lines, headers| {
            let accept = accept_key(request.key());
            let start = [UPGRADE, &accept, b"\r\n"];
            (write_head(&start, lines, headers), negotiated)
        })
    }

    /// Gives `write` what this settles with `request`, and what goes into the answer besides its
    /// start: lines of the handshake, and the application's.
    pub(super) fn settle<T>(
        &self,
        request: &Request,
        wanted: &Wanted,
        write: impl FnOnce(Negotiated, &[Option<Line<'_>>], &Headers) -> T,
    ) -> Result<T, AnswerError> {
        self.headers.validate(request.kind().reserved())?;
        // 6455-4.2.2-10, 6455-4.2.2-12: this refuses the empty string too, because nobody can offer
        // it.
        if let Some(name) = &self.subprotocol {
            if !request.subprotocols().any(|offered| offered == &**name) {
                return Err(AnswerError::UnofferedProtocol);
            }
        }
        let mut negotiated = Negotiated::new();
        // 6455-4.2.2-11, 6455-4.2.2-21.
        if let Some(name) = &self.subprotocol {
            negotiated = negotiated.with_subprotocol(name);
        }
        // 6455-4.2.2-13, 6455-4.2.2-14: only what was offered.
        let extensions = wanted.answer(request.extensions(), &mut negotiated);
        // 6455-4.2.2-15 to 6455-4.2.2-19.
        let lines = [
            line(Name::Protocol, self.subprotocol.as_deref()),
            line(Name::Extensions, extensions.as_deref()),
        ];
        Ok(write(negotiated, &lines, &self.headers))
    }
}

/// What every 101 starts with, up to the key.
const UPGRADE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: ";

/// How a server refuses a request: any HTTP answer but an upgrade.
///
/// The connection ends after it: the answer says `Connection: close`, and bytes that the client
/// sent after its request are dropped.
///
/// ```
/// use sockeye::handshake::Refusal;
///
/// let unknown = Refusal::new(404);
/// let login = Refusal::new(401).with_header("WWW-Authenticate", "Basic realm=\"chat\"");
/// let moved = Refusal::new(307).with_header("Location", "wss://example.com/chat");
/// let busy = Refusal::new(503).with_body("come back later\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    headers: Headers,
    body: Bytes,
}

impl Refusal {
    /// With this status, which must be 200 to 599, and no body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }

    /// The answer to a request that is not valid, where the methods in `allowed` are.
    pub(super) fn for_failure(status: u16, allowed: &str) -> Self {
        let refusal = Self::new(status);
        if status == 405 {
            // RFC 9110 section 15.5.6.
            return refusal.with_header("Allow", allowed);
        }
        refusal
    }

    /// Adds a header line. Checked when the request is refused.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value.as_ref());
        self
    }

    /// Sets the body. Its length is written by itself; its `Content-Type` is not.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer to `request`.
    pub(super) fn write(self, request: &Request) -> Result<Bytes, AnswerError> {
        self.validate(request)?;
        let mut answer = self.write_head();
        if request.method() != "HEAD" {
            answer.extend_from_slice(&self.body);
        }
        Ok(answer.into())
    }

    pub(super) fn validate(&self, request: &Request) -> Result<(), AnswerError> {
        self.headers.validate(request.kind().reserved())?;
        // HARDENING A1.13: nothing that a proxy could take for an upgrade. 8441-5-07: that is any 2xx
        // in HTTP/2 and HTTP/3.
        let lowest = match request.kind() {
            Kind::Plain | Kind::Upgrade => 200,
            Kind::Extended => 300,
        };
        if !(lowest..=599).contains(&self.status) {
            return Err(AnswerError::Status);
        }
        if matches!(self.status, 204 | 205 | 304) && !self.body.is_empty() {
            return Err(AnswerError::Body);
        }
        Ok(())
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn into_body(self) -> Bytes {
        self.body
    }

    /// What goes into the head, in order, with the names that it has in HTTP/1.1.
    pub(super) fn for_each_line(&self, mut add: impl FnMut(&str, &[u8])) {
        if self.status == 426 {
            // K13, 6455-4.4-01; RFC 9110 section 15.5.22 asks for `Upgrade`.
            add(Name::Upgrade.as_str(), b"websocket");
            add(Name::Connection.as_str(), b"Upgrade, close");
            add(Name::Version.as_str(), b"13");
        } else {
            add(Name::Connection.as_str(), b"close");
        }
        // RFC 9110 section 8.6: 204 has no length; that of 304 would be another answer's.
        if !matches!(self.status, 204 | 304) {
            let length = format!("{}", self.body.len());
            add(Name::ContentLength.as_str(), length.as_bytes());
        }
        for (name, value) in self.headers.iter() {
            add(name, value);
        }
    }

    fn write_head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(256 + self.body.len());
        let (status, reason) = (self.status, reason(self.status));
        head.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        self.for_each_line(|name, value| write_line(&mut head, name, value));
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// The answer to a request that failed; empty if there is none.
pub(super) fn write_failure(error: &HandshakeError, plain_requests: bool) -> Bytes {
    let Some(status) = error.http_status() else {
        return Bytes::new();
    };
    let allowed = if plain_requests { "GET, HEAD" } else { "GET" };
    Refusal::for_failure(status, allowed).write_head().into()
}

/// The answer when the application did not decide in time. That is not the client's fault, so it is
/// not 408.
pub(super) fn write_unavailable() -> Bytes {
    Refusal::new(503).write_head().into()
}

/// The usual text of a status (RFC 9110 section 15); empty where there is none.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

impl fmt::Debug for Refusal {
    /// Not the body: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish()
    }
}
