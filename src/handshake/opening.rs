//! What a client asks for.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::str::FromStr;

use super::auth::{self, Authorization};
use super::compose::{Headers, Line, line, write_head};
use super::url::Url;
use crate::error::{RequestError, UrlError};
use crate::extension::Wanted;
use crate::http::Name;
use crate::http::token::{is_token, is_visible};

/// A client's request: the URL, and what goes into the headers. It can be kept and used for many
/// attempts.
///
/// ```
/// use sockeye::handshake::ClientRequest;
///
/// let request = ClientRequest::new("wss://example.com/chat")?
///     .with_subprotocol("chat.v2")
///     .with_subprotocol("chat.v1")
///     .with_bearer("token");
/// assert_eq!(request.url().port(), 443);
/// # Ok::<(), sockeye::handshake::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    url: Url,
    origin: Option<Box<str>>,
    authorization: Option<Authorization>,
    subprotocols: Vec<Box<str>>,
    headers: Headers,
}

impl ClientRequest {
    /// A request for `url` without further headers.
    ///
    /// # Errors
    ///
    /// [`UrlError`] if it is no WebSocket URL.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        Url::parse(url).map(Self::from)
    }

    /// Adds a header line. Checked when the handshake starts.
    ///
    /// Headers that the handshake writes itself are refused: `Host`, `Origin`, `Upgrade`,
    /// `Connection`, all that start with `Sec-WebSocket-`, and those that announce a body or
    /// expect an answer to it.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, value.as_ref());
        self
    }

    /// Offers a subprotocol; the first one is the favourite (RFC 6455 section 1.9). Checked when
    /// the handshake starts.
    #[must_use]
    pub fn with_subprotocol(mut self, name: &str) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Sets the `Origin`, which clients that are no browsers need not send (RFC 6455 section 4.1).
    /// Checked when the handshake starts.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sends a user name and password in `Authorization` (RFC 7617), encoded as UTF-8. They replace
    /// what was set before, and go together with no `Authorization` by
    /// [`with_header`](Self::with_header). Checked when the handshake starts: neither may have a
    /// control character, and the user name no colon.
    ///
    /// Over `ws://` everybody in between can read them. `Debug` does not show them.
    #[must_use]
    pub fn with_basic_auth(mut self, user: &str, password: &str) -> Self {
        self.authorization = Some(Authorization::basic(user, password));
        self
    }

    /// Sends a bearer token in `Authorization` (RFC 6750), in all else like
    /// [`with_basic_auth`](Self::with_basic_auth). Checked when the handshake starts: letters,
    /// digits and `-._~+/`, with `=` at the end.
    #[must_use]
    pub fn with_bearer(mut self, token: &str) -> Self {
        self.authorization = Some(Authorization::bearer(token));
        self
    }

    /// Where the request goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The subprotocols that are offered, best first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.subprotocols.iter().map(|name| &**name)
    }

    /// The same request for another URL. What tells one server who the client is, another one does
    /// not get.
    pub(super) fn redirected(mut self, url: Url) -> Self {
        if !self.url.is_same_origin(&url) {
            self.authorization = None;
            self.headers.remove_secrets();
        }
        self.url = url;
        self
    }

    /// The head of the request.
    pub(super) fn write(&self, key: &[u8], wanted: &Wanted) -> Result<Bytes, RequestError> {
        // 6455-4.1-19 to 6455-4.1-24, 6455-4.1-30, 6455-4.1-31.
        let start = [
            b"GET ",
            self.url.target().as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            self.url.authority().as_bytes(),
            b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
            key,
            b"\r\nSec-WebSocket-Version: 13\r\n",
        ];
        self.compose(&[], wanted, |lines, headers| {
            write_head(&start, lines, headers)
        })
    }

    /// Gives `write` what goes into the request besides its start: lines of the handshake, and the
    /// application's. Of these, those in `reserved` must not be sent.
    pub(super) fn compose<T>(
        &self,
        reserved: &[&str],
        wanted: &Wanted,
        write: impl FnOnce(&[Option<Line<'_>>], &Headers) -> T,
    ) -> Result<T, RequestError> {
        // 6455-4.1-04: nothing is written unless everything is right.
        self.headers.validate(reserved)?;
        self.validate()?;
        // 6455-10.5-01.
        let authorization = match &self.authorization {
            Some(authorization) => Some((auth::HEADER, authorization.value()?.as_bytes())),
            None => None,
        };
        // 6455-4.1-32.
        let protocols = (!self.subprotocols.is_empty()).then(|| self.subprotocols.join(", "));
        // 6455-4.1-34, 7692-5-01.
        let offer = wanted.offer();
        let lines = [
            // 6455-4.1-28, 6455-4.1-29.
            line(Name::Origin, self.origin.as_deref()),
            authorization,
            line(Name::Protocol, protocols.as_deref()),
            line(Name::Extensions, offer.as_deref()),
        ];
        Ok(write(&lines, &self.headers))
    }

    fn validate(&self) -> Result<(), RequestError> {
        // 6455-4.1-35.
        self.headers.validate(&["Expect", "Host", "Origin"])?;
        if let Some(authorization) = &self.authorization {
            authorization.value()?;
            self.headers.validate(&[auth::HEADER])?;
        }
        let mut origin = self.origin.iter();
        if !origin.all(|origin| is_visible(origin.as_bytes())) {
            return Err(RequestError::Origin);
        }
        // 6455-4.1-33.
        for (index, name) in self.subprotocols.iter().enumerate() {
            if !is_token(name.as_bytes()) {
                return Err(RequestError::Protocol);
            }
            if self
                .subprotocols
                .iter()
                .take(index)
                .any(|other| other == name)
            {
                return Err(RequestError::DuplicateProtocol);
            }
        }
        Ok(())
    }
}

impl From<Url> for ClientRequest {
    fn from(url: Url) -> Self {
        Self {
            url,
            origin: None,
            authorization: None,
            subprotocols: Vec::new(),
            headers: Headers::default(),
        }
    }
}

impl FromStr for ClientRequest {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::new(url)
    }
}
