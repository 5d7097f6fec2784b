//! Why an opening handshake failed, and the one table from errors to HTTP status codes.

use alloc::boxed::Box;
use core::fmt;

use crate::http::Response;

/// Why an opening handshake failed. Terminal: once returned, every later call repeats it.
///
/// A server's HTTP answer is already queued when it gets one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Something that is no HTTP/1.1 head, or no extended CONNECT of HTTP/2 and HTTP/3.
    Malformed,
    /// The head is longer than [`max_head_size`](crate::Limits::max_head_size).
    HeadTooLarge,
    /// The request target is longer than [`max_target_size`](crate::Limits::max_target_size).
    TargetTooLong,
    /// There are more header lines than [`max_headers`](crate::Limits::max_headers).
    TooManyHeaders,
    /// The request's method is not GET (RFC 6455 section 4.1), or over HTTP/2 and HTTP/3 not CONNECT
    /// (RFC 8441 section 5).
    Method,
    /// The HTTP version is not 1.1 (RFC 6455 section 4.1).
    HttpVersion,
    /// A CONNECT that is not for a WebSocket: its `:protocol` is missing or another one (RFC 9220
    /// section 3).
    UnknownProtocol,
    /// A required header is missing.
    Missing(Field),
    /// A header has a value that it must not have.
    Bad(Field),
    /// A header that may be there once is there more than once.
    Duplicate(Field),
    /// The request, or a response with status 101, has a body.
    Body,
    /// The request has an `Expect` header, which no upgrade can meet.
    Expectation,
    /// The client speaks another version of the protocol than 13 (RFC 6455 section 4.4).
    Version,
    /// The list of extensions does not fit its grammar (RFC 6455 section 9.1), or is absurdly long.
    BadExtension,
    /// The server answered with another status than 101, or than 200 to 299 over HTTP/2 and HTTP/3.
    /// Not the end of the world: look at the response.
    Refused(Box<Response>),
    /// More informational (1xx) responses than a client puts up with.
    TooManyInformational,
    /// The server switched protocols before it can have seen the whole request.
    TooEarly,
    /// `Sec-WebSocket-Accept` does not answer the key: something in between does not understand
    /// WebSocket.
    AcceptMismatch,
    /// The server chose a subprotocol that the client did not offer (RFC 6455 section 4.1).
    UnofferedProtocol,
    /// The server chose an extension that the client did not offer (RFC 6455 section 4.1).
    UnofferedExtension,
    /// The handshake did not end before its deadline.
    Timeout,
    /// The transport ended in the middle of the handshake.
    Eof,
}

impl HandshakeError {
    /// The status of a server's HTTP answer to this error.
    ///
    /// `None` where there is nobody to answer (the transport ended), and for errors that only a
    /// client can get.
    ///
    /// ```
    /// use sockeye::HandshakeError;
    ///
    /// assert_eq!(HandshakeError::HeadTooLarge.http_status(), Some(431));
    /// assert_eq!(HandshakeError::AcceptMismatch.http_status(), None);
    /// ```
    pub const fn http_status(&self) -> Option<u16> {
        // 6455-4.2.1-02, 6455-10.7-04: whatever is wrong, the client gets an HTTP answer.
        match self {
            // 6455-4.2.2-08, K13.
            Self::Version
            | Self::Missing(Field::Upgrade | Field::Version)
            | Self::Bad(Field::Upgrade) => Some(426),
            Self::Malformed
            | Self::Missing(_)
            | Self::Bad(_)
            | Self::Duplicate(_)
            | Self::Body
            | Self::BadExtension => Some(400),
            Self::Method => Some(405),
            Self::Timeout => Some(408),
            Self::TargetTooLong => Some(414),
            Self::Expectation => Some(417),
            Self::HeadTooLarge | Self::TooManyHeaders => Some(431),
            // 9220-3-02.
            Self::UnknownProtocol => Some(501),
            // K14.
            Self::HttpVersion => Some(505),
            Self::Refused(_)
            | Self::TooManyInformational
            | Self::TooEarly
            | Self::AcceptMismatch
            | Self::UnofferedProtocol
            | Self::UnofferedExtension
            | Self::Eof => None,
        }
    }

    /// The server's answer, if it refused with one.
    pub fn response(&self) -> Option<&Response> {
        if let Self::Refused(response) = self {
            Some(response)
        } else {
            None
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the head is not valid",
            Self::HeadTooLarge => "the head is larger than the limit",
            Self::TargetTooLong => "the request target is longer than the limit",
            Self::TooManyHeaders => "the head has more header lines than the limit",
            Self::Method => "the request's method is not that of a handshake",
            Self::HttpVersion => "the HTTP version is not 1.1",
            Self::UnknownProtocol => "the request is not for the protocol websocket",
            Self::Missing(field) => return write!(f, "the header {field} is missing"),
            Self::Bad(field) => return write!(f, "the header {field} has an invalid value"),
            Self::Duplicate(field) => return write!(f, "there is more than one header {field}"),
            Self::Body => "the handshake has a body",
            Self::Expectation => "the request has an expectation",
            Self::Version => "the client does not speak version 13 of the protocol",
            Self::BadExtension => "the list of extensions is not valid",
            Self::Refused(response) => {
                return write!(f, "the server refused with status {}", response.status());
            }
            Self::TooManyInformational => "the server sent too many informational responses",
            Self::TooEarly => "the server switched protocols before the request was sent",
            Self::AcceptMismatch => "the server's accept value does not match the key",
            Self::UnofferedProtocol => "the server chose a subprotocol that was not offered",
            Self::UnofferedExtension => "the server chose an extension that was not offered",
            Self::Timeout => "the opening handshake took too long",
            Self::Eof => "the transport ended during the opening handshake",
        })
    }
}

impl core::error::Error for HandshakeError {}

/// A header of the opening handshake that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// `Host`.
    Host,
    /// `Upgrade`.
    Upgrade,
    /// `Connection`.
    Connection,
    /// `Origin`.
    Origin,
    /// `Sec-WebSocket-Key`.
    Key,
    /// `Sec-WebSocket-Version`.
    Version,
    /// `Sec-WebSocket-Protocol`.
    Protocol,
    /// `Sec-WebSocket-Accept`.
    Accept,
}

impl Field {
    /// The header's name as it is on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "Host",
            Self::Upgrade => "Upgrade",
            Self::Connection => "Connection",
            Self::Origin => "Origin",
            Self::Key => "Sec-WebSocket-Key",
            Self::Version => "Sec-WebSocket-Version",
            Self::Protocol => "Sec-WebSocket-Protocol",
            Self::Accept => "Sec-WebSocket-Accept",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A header that an application asked for but that must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not a token (RFC 9110 section 5.1).
    Name,
    /// The value has a control character, such as a line end (RFC 9110 section 5.5).
    Value,
    /// The handshake writes this header itself, or it would change what the message means.
    Reserved,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a header is not a token",
            Self::Value => "the value of a header has a control character",
            Self::Reserved => "a header is reserved for the handshake itself",
        })
    }
}

impl core::error::Error for HeaderError {}

/// Why a request cannot be answered like that. Nothing was queued; the handshake waits for another
/// answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no request to answer: not yet, not any more, or the handshake failed.
    NotPending,
    /// Only an upgrade can be accepted, and the request asks for none.
    NotUpgrade,
    /// The client did not offer this subprotocol (RFC 6455 section 4.2.2).
    UnofferedProtocol,
    /// A header that must not be sent.
    Header(HeaderError),
    /// The status of a refusal must be 200 to 599.
    Status,
    /// The status 204, 205 or 304 together with a body.
    Body,
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPending => "there is no request to answer",
            Self::NotUpgrade => "the request does not ask for an upgrade",
            Self::UnofferedProtocol => "the client did not offer the subprotocol",
            Self::Header(error) => return error.fmt(f),
            Self::Status => "the status of a refusal is not in 200 to 599",
            Self::Body => "the status does not allow a body",
        })
    }
}

impl core::error::Error for AnswerError {}

impl From<HeaderError> for AnswerError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

/// Why a client's request cannot be sent. Found before any byte of it is produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// A header that must not be sent.
    Header(HeaderError),
    /// The origin is empty, or not printable ASCII without spaces (RFC 6454 section 7).
    Origin,
    /// The user name or password has a control character, or the user name a colon (RFC 7617
    /// section 2).
    Credentials,
    /// The bearer token is empty, or has characters that tokens do not have (RFC 6750 section 2.1).
    Token,
    /// The name of a subprotocol is not a token (RFC 6455 section 4.1).
    Protocol,
    /// A subprotocol is offered twice (RFC 6455 section 4.1).
    DuplicateProtocol,
    /// The HTTP/2 or HTTP/3 connection is not for WebSockets: its server did not set
    /// `SETTINGS_ENABLE_CONNECT_PROTOCOL` to 1 (RFC 8441 section 3).
    ExtendedConnect,
    /// The URL is for `wss://`, and the connection would not be secured: the adapter's feature for
    /// TLS is off (`rustls`, `tokio-rustls`, `futures-rustls`). Or connect a TLS stream and do the
    /// handshake over it.
    NeedsTls,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header(error) => return error.fmt(f),
            Self::Origin => "the origin is not printable ASCII",
            Self::Credentials => "the user name or password has characters that it cannot have",
            Self::Token => "the bearer token has characters that it cannot have",
            Self::Protocol => "the name of a subprotocol is not a token",
            Self::DuplicateProtocol => "a subprotocol is offered twice",
            Self::ExtendedConnect => "the server does not allow an extended CONNECT",
            Self::NeedsTls => "wss:// needs the adapter's feature for TLS, or a TLS stream",
        })
    }
}

impl core::error::Error for RequestError {}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

/// Why a string is not a WebSocket URL (RFC 6455 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It has characters outside ASCII: convert the host (IDNA) and percent-encode the rest first.
    NotAscii,
    /// It is not a URI (RFC 3986).
    Syntax,
    /// The scheme is neither `ws` nor `wss`.
    Scheme,
    /// The host is missing, or neither a name nor an IP address.
    Host,
    /// The port is not in 1 to 65535.
    Port,
    /// It has a user name or password, for which WebSocket URLs have no place. See
    /// [`with_basic_auth`](crate::handshake::ClientRequest::with_basic_auth).
    Userinfo,
    /// It has a fragment (`#`).
    Fragment,
    /// What follows `ws+unix:` is not an absolute path and a target, with a colon between them.
    Socket,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAscii => "the URL has characters outside ASCII",
            Self::Syntax => "the URL is not a URI",
            Self::Scheme => "the URL's scheme is neither ws nor wss",
            Self::Host => "the URL's host is missing or invalid",
            Self::Port => "the URL's port is not in 1 to 65535",
            Self::Userinfo => "the URL has a user name or password",
            Self::Fragment => "the URL has a fragment",
            Self::Socket => "the URL does not have the path of a Unix socket and a target",
        })
    }
}

impl core::error::Error for UrlError {}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were as many as are allowed before.
    TooMany,
    /// It leads to where the client has been already.
    Loop,
    /// The answer says not where to: no `Location`, or more than one.
    NoLocation,
    /// The `Location` is not a WebSocket URL, or not an HTTP URL that stands for one.
    Location(UrlError),
    /// It leads from `wss` to `ws`: whoever is in between could read what follows.
    Insecure,
    /// It leads to a Unix socket, or from one to somewhere else.
    Socket,
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "there were too many redirects",
            Self::Loop => "the redirects lead in a circle",
            Self::NoLocation => "the redirect does not say where to",
            Self::Location(error) => return write!(f, "the redirect leads nowhere: {error}"),
            Self::Insecure => "the redirect leads from wss to ws",
            Self::Socket => "the redirect leads to a Unix socket or away from one",
        })
    }
}

impl core::error::Error for RedirectError {}

/// Why a string is not an origin (RFC 6454), or not a pattern of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// It does not start with a scheme and `://`, or the scheme is `ws` or `wss`, which no page
    /// comes from.
    Scheme,
    /// The host is missing, or neither a name in ASCII nor an IP address. A user name in front of
    /// it is an error too.
    Host,
    /// The port is not in 1 to 65535.
    Port,
    /// A path, query or fragment, even a single slash at the end.
    Path,
    /// A `*` in an exact origin, or in a pattern anywhere but as the first label of a domain.
    Wildcard,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the origin's scheme is missing or invalid",
            Self::Host => "the origin's host is missing or invalid",
            Self::Port => "the origin's port is not in 1 to 65535",
            Self::Path => "the origin has something after its host and port",
            Self::Wildcard => "the origin has a wildcard where there can be none",
        })
    }
}

impl core::error::Error for OriginError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert!(size_of::<HandshakeError>() <= 16);
    }

    #[test]
    fn statuses() {
        for (error, status) in [
            (HandshakeError::Malformed, Some(400)),
            (HandshakeError::Missing(Field::Key), Some(400)),
            (HandshakeError::Missing(Field::Upgrade), Some(426)),
            (HandshakeError::Missing(Field::Version), Some(426)),
            (HandshakeError::Bad(Field::Version), Some(400)),
            (HandshakeError::Bad(Field::Upgrade), Some(426)),
            (HandshakeError::Version, Some(426)),
            (HandshakeError::TargetTooLong, Some(414)),
            (HandshakeError::Expectation, Some(417)),
            (HandshakeError::TooManyHeaders, Some(431)),
            (HandshakeError::UnknownProtocol, Some(501)),
            (HandshakeError::HttpVersion, Some(505)),
            (HandshakeError::UnofferedProtocol, None),
            (HandshakeError::Eof, None),
        ] {
            assert_eq!(error.http_status(), status, "{error}");
        }
    }
}
