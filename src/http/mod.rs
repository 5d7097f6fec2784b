//! The little of HTTP/1.1 that a handshake is made of, as data: header fields, a response, and
//! their grammar.

mod fields;
mod name;
pub(crate) mod token;

use bytes::Bytes;
use core::fmt;

pub(crate) use fields::{FieldSpan, Fields, Span, debug_fields, is_secret};
pub(crate) use name::Name;

/// A server's answer to an opening handshake.
///
/// It comes with a successful handshake, for its headers, and inside
/// [`HandshakeError::Refused`](crate::HandshakeError::Refused), then with as much of the body as
/// arrived and fits. Clones share their memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    reason: Span,
    fields: Fields,
    body: Bytes,
    is_complete: bool,
}

impl Response {
    pub(crate) fn new(status: u16, reason: Span, fields: Fields) -> Self {
        Self {
            status,
            reason,
            fields,
            body: Bytes::new(),
            is_complete: true,
        }
    }

    /// With a body that an HTTP library has read, or what there is of it: see
    /// [`is_complete`](Self::is_complete).
    ///
    /// ```
    /// use sockeye::handshake::{ClientOffer, ClientRequest};
    /// use sockeye::{Config, HandshakeError};
    ///
    /// let request = ClientRequest::new("wss://server.example.com/chat")?;
    /// let offer = ClientOffer::extended(&Config::new(), &request, true)?;
    /// let refused = offer.check(404, [("content-type", "text/plain")]).unwrap_err();
    /// let HandshakeError::Refused(response) = refused else { unreachable!() };
    /// let response = response.with_body("no such room", true);
    /// assert_eq!(&response.body()[..], b"no such room");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>, is_complete: bool) -> Self {
        self.body = body.into();
        self.is_complete = is_complete;
        self
    }

    /// A refusal whose body somebody else has.
    pub(crate) fn without_body(self) -> Self {
        self.with_body(Bytes::new(), false)
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text after the status code; empty if there is none, or if it is not UTF-8.
    pub fn reason(&self) -> &str {
        self.reason.str_of(self.fields.head())
    }

    /// The value of the first header line named `name`, in any case, without the spaces around it.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.named(name).next()
    }

    /// All header lines in order, as name and value. A value may have any byte but control
    /// characters.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The body of a refusal; empty with status 101, where the bytes after the head are WebSocket
    /// frames.
    ///
    /// Whoever reads it in this crate keeps head and body together within
    /// [`max_head_size`](crate::Limits::max_head_size).
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether [`body`](Self::body) is all of it: not cut off by the limit, the end of the
    /// transport or the deadline.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The protocol versions that the server offers instead, from its `Sec-WebSocket-Version` (RFC
    /// 6455 section 4.4).
    ///
    /// This crate speaks 13 only; the list is for diagnostics.
    pub fn versions(&self) -> impl Iterator<Item = u8> {
        // 6455-4.4-02, 6455-11.3.5-01: several lines are one list.
        token::members(self.fields.all(Name::Version))
            .filter_map(|version| core::str::from_utf8(version).ok()?.parse().ok())
    }
}

impl fmt::Debug for Response {
    /// Not the body, nor the secrets among the headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("reason", &self.reason())
            .field("headers", &self.fields)
            .field("body", &self.body.len())
            .field("is_complete", &self.is_complete)
            .finish()
    }
}
