//! A client's handshake whose request an HTTP library sends.

use core::fmt;

use super::accept::encode_nonce;
use super::client::Accepted;
use super::compose::{Headers, Line};
use super::layout::Layout;
use super::opening::ClientRequest;
use super::request::Kind;
use super::terms::Terms;
use super::url::Url;
use crate::config::{Config, Limits};
use crate::error::{HandshakeError, RequestError};
use crate::extension::Wanted;
use crate::http::{Name, Response, Span};

/// A client's handshake whose request an HTTP library sends: what to send, and the check of what
/// comes back.
///
/// It has no deadline, which is the library's business, and knows nothing of the connection that the
/// library made. With the feature `http` it makes an `http::Request` and takes an `http::Response`.
///
/// ```
/// use sockeye::Config;
/// use sockeye::handshake::{ClientOffer, ClientRequest};
///
/// let request = ClientRequest::new("wss://server.example.com/chat")?.with_subprotocol("chat");
/// let allowed = true; // the peer's SETTINGS_ENABLE_CONNECT_PROTOCOL is 1
/// let offer = ClientOffer::extended(&Config::new(), &request, allowed)?;
/// assert!(offer.fields().eq([
///     (":method", &b"CONNECT"[..]),
///     (":protocol", b"websocket"),
///     (":scheme", b"https"),
///     (":authority", b"server.example.com"),
///     (":path", b"/chat"),
///     ("sec-websocket-version", b"13"),
///     ("sec-websocket-protocol", b"chat"),
/// ]));
///
/// // What the HTTP library got.
/// let accepted = offer.check(200, [("sec-websocket-protocol", "chat")])?;
/// assert_eq!(accepted.negotiated.subprotocol(), Some("chat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientOffer {
    url: Url,
    /// INVARIANT: names are tokens in lower case, perhaps with a colon in front; values have no
    /// control characters but tabs.
    fields: Headers,
    terms: Terms,
    limits: Limits,
}

impl ClientOffer {
    /// Over HTTP/1.1: a GET of [`Url::target`] that asks for an upgrade (RFC 6455 section 4.1).
    ///
    /// `nonce` is as in [`ClientHandshake::new`](super::ClientHandshake::new).
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the request has a header, an origin or a subprotocol that must not be
    /// sent.
    pub fn upgrade(
        config: &Config,
        request: &ClientRequest,
        nonce: [u8; 16],
    ) -> Result<Self, RequestError> {
        let key = encode_nonce(nonce);
        let start = [
            (Name::Host, request.url().authority().as_bytes()),
            (Name::Upgrade, b"websocket"),
            (Name::Connection, b"Upgrade"),
            (Name::Key, &key),
            (Name::Version, b"13"),
        ];
        let start = start.map(|(name, value)| (name.as_str(), value));
        Self::new(config, request, Kind::Upgrade, Some(&key), &start)
    }

    /// Over HTTP/2 or HTTP/3: an extended CONNECT (RFC 8441 section 5, RFC 9220 section 3).
    ///
    /// `is_allowed` tells whether the server's settings allow it: it has sent
    /// `SETTINGS_ENABLE_CONNECT_PROTOCOL`, which is 8, with the value 1.
    ///
    /// # Errors
    ///
    /// [`RequestError::ExtendedConnect`] if the server does not allow it; else as
    /// [`upgrade`](Self::upgrade).
    pub fn extended(
        config: &Config,
        request: &ClientRequest,
        is_allowed: bool,
    ) -> Result<Self, RequestError> {
        // 8441-3-02.
        if !is_allowed {
            return Err(RequestError::ExtendedConnect);
        }
        let url = request.url();
        let start = [
            // 8441-4-01, 8441-5-01.
            (":method", &b"CONNECT"[..]),
            (":protocol", b"websocket"),
            // 8441-4-02, 8441-5-02.
            (":scheme", url.http_scheme().as_bytes()),
            // 8441-5-04.
            (":authority", url.authority().as_bytes()),
            (":path", url.target().as_bytes()),
            // 8441-5-06.
            (Name::Version.as_str(), b"13"),
        ];
        Self::new(config, request, Kind::Extended, None, &start)
    }

    fn new(
        config: &Config,
        request: &ClientRequest,
        kind: Kind,
        key: Option<&[u8; 24]>,
        start: &[Line<'_>],
    ) -> Result<Self, RequestError> {
        let wanted = Wanted::new(config);
        let fields = request.compose(kind.reserved(), &wanted, |lines, own| {
            let mut fields = Headers::default();
            let lines = start.iter().chain(lines.iter().flatten()).copied();
            for (name, value) in lines.chain(own.iter()) {
                fields.push_lower(name, value);
            }
            fields
        })?;
        Ok(Self {
            url: request.url().clone(),
            fields,
            terms: Terms::new(request, key, wanted),
            limits: config.limits().clone(),
        })
    }

    /// Where the request goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The fields of the request in order, as name and value: over HTTP/2 and HTTP/3 pseudo-header
    /// fields first. Names are in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// Whether it is for HTTP/2 and HTTP/3.
    pub fn is_extended(&self) -> bool {
        self.terms.is_extended()
    }

    /// Checks the server's answer: its status, and its fields without pseudo-header fields.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] for another final status than 101, or than 200 to 299 over HTTP/2
    /// and HTTP/3; any other [`HandshakeError`] for an answer that is wrong. The body of a refusal is
    /// not looked at: ask the library for it, and keep it with
    /// [`Response::with_body`](super::Response::with_body).
    pub fn check<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        status: u16,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Accepted, HandshakeError> {
        let mut layout = Layout::new(&self.limits);
        for (name, value) in fields {
            layout.field(name.as_ref(), value.as_ref())?;
        }
        let response = Response::new(status, Span::default(), layout.into_fields());
        match status {
            101 if !self.is_extended() => {}
            // 8441-5-07.
            200..=299 if self.is_extended() => {}
            200..=999 => return Err(HandshakeError::Refused(response.without_body().into())),
            // Nothing final, or a switch of protocols that HTTP/2 and HTTP/3 do not have.
            _ => return Err(HandshakeError::Malformed),
        }
        Ok(Accepted {
            negotiated: self.terms.check(&response)?,
            response,
        })
    }
}

impl fmt::Debug for ClientOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOffer")
            .field("url", &self.url)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}
