//! A client's request as the server sees it.

use alloc::collections::BTreeSet;
use alloc::format;
use core::fmt;

use super::accept::is_key;
use super::head::{Head, StartLine};
use crate::error::{Field, HandshakeError};
use crate::extension::grammar;
use crate::http::token::{has_member, is_token, is_visible, len_while, members, token_str, trim};
use crate::http::{Fields, Name, Span};

/// A client's opening handshake, for the application to judge: path, origin, cookies, subprotocols.
///
/// It owns the bytes of the head, once, so it can be kept, cloned (which copies nothing) and
/// carried across threads.
///
/// Whether it comes from a page that may use this service is the application's business: browsers
/// send cookies along with requests of *any* page, and only [`origin`](Self::origin) tells which
/// one it is (RFC 6455 section 10.2). [`OriginPolicy`](super::OriginPolicy) judges it.
#[derive(Clone)]
pub struct Request {
    method: Span,
    target: Span,
    kind: Kind,
    fields: Fields,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page.
    Plain,
    /// A WebSocket, over HTTP/1.1.
    Upgrade,
    /// A WebSocket, over HTTP/2 or HTTP/3.
    Extended,
}

impl Kind {
    /// Headers that nobody may add, besides those that an upgrade does not allow.
    pub(super) const fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Upgrade => &[],
            Self::Extended => &CONNECTION_SPECIFIC,
        }
    }
}

/// What is about a connection and not a message, so that HTTP/2 and HTTP/3 do not have it (RFC 9113
/// section 8.2.2): 8441-5-03 and more.
pub(super) const CONNECTION_SPECIFIC: [&str; 5] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Upgrade",
];

impl Request {
    /// The method: `GET`, or with
    /// [`with_plain_requests`](super::ServerHandshake::with_plain_requests) perhaps `HEAD`; over
    /// HTTP/2 and HTTP/3 `CONNECT`.
    pub fn method(&self) -> &str {
        self.method.str_of(self.fields.head())
    }

    /// The request target as the client sent it. Mostly a path with a query, but an absolute
    /// `http:` URL is allowed too.
    pub fn target(&self) -> &str {
        self.target.str_of(self.fields.head())
    }

    /// The path of the target, percent-encoded as it came; starts with a slash.
    pub fn path(&self) -> &str {
        let path = self.path_and_query();
        match path.split_once('?').map_or(path, |(path, _)| path) {
            "" => "/",
            path => path,
        }
    }

    /// The query of the target, percent-encoded as it came, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query()
            .split_once('?')
            .map(|(_, query)| query)
    }

    /// The `Host` header, or the `:authority` of HTTP/2 and HTTP/3: a name or address, perhaps with
    /// a port.
    pub fn host(&self) -> &str {
        // INVARIANT: `validate` saw that it is there, and that it is ASCII.
        let host = self.fields.first(Name::Host).unwrap_or_default();
        core::str::from_utf8(host).unwrap_or_default()
    }

    /// The origin of the page that makes the request, such as `https://example.com`, or `null`.
    ///
    /// Browsers always send it. Without it, the client is no browser (RFC 6455 section 4.2.1); with
    /// it, the client might still be none, so this is no authentication.
    pub fn origin(&self) -> Option<&str> {
        // 6455-4.2.1-09.
        core::str::from_utf8(self.fields.first(Name::Origin)?).ok()
    }

    /// The subprotocols that the client offers, best first, each once (RFC 6455 section 1.9).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        // 6455-4.2.1-10. A set, because a hostile list can have thousands.
        let mut seen = BTreeSet::new();
        members(self.fields.all(Name::Protocol))
            .filter_map(token_str)
            .filter(move |name| seen.insert(*name))
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

    /// The cookies, as name and value, from all `Cookie` lines (RFC 6265 section 4.2).
    ///
    /// Pairs without a name, and what is not UTF-8, are left out; quotes around a value are part of
    /// it.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .named("Cookie")
            .flat_map(|line| line.split(|byte| *byte == b';'))
            .filter_map(|pair| {
                let (name, value) = core::str::from_utf8(trim(pair)).ok()?.split_once('=')?;
                let name = name.trim_ascii();
                (!name.is_empty()).then(|| (name, value.trim_ascii()))
            })
    }

    /// Whether the client asks for a WebSocket. Always true without
    /// [`with_plain_requests`](super::ServerHandshake::with_plain_requests).
    pub fn is_upgrade(&self) -> bool {
        self.kind != Kind::Plain
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The lines with what the client offers of extensions, best first. The grammar was checked.
    pub(super) fn extensions(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.all(Name::Extensions)
    }

    /// The key of an upgrade, to be hashed as it is (6455-4.2.2-07).
    pub(super) fn key(&self) -> &[u8] {
        self.fields.first(Name::Key).unwrap_or_default()
    }

    fn path_and_query(&self) -> &str {
        let target = self.target();
        target
            .get(path_start(target).unwrap_or(0)..)
            .unwrap_or_default()
    }

    /// Checks everything that RFC 6455 section 4.2.1 asks of a request.
    pub(super) fn validate(head: Head, plain_requests: bool) -> Result<Self, HandshakeError> {
        let mut request = Self::new(head, Kind::Upgrade)?;
        request.validate_message()?;
        if plain_requests && !request.fields.has(Name::Upgrade) {
            if !matches!(request.method(), "GET" | "HEAD") {
                return Err(HandshakeError::Method);
            }
            request.kind = Kind::Plain;
        } else {
            request.validate_upgrade()?;
        }
        Ok(request)
    }

    /// Checks what is left of that in an extended CONNECT (RFC 8441 section 5), whose pseudo-header
    /// fields were checked.
    pub(super) fn validate_extended(head: Head) -> Result<Self, HandshakeError> {
        let request = Self::new(head, Kind::Extended)?;
        request.validate_message()?;
        // 8441-5-06. 8441-5-05: no look at a key.
        request.validate_version()?;
        request.validate_offers()?;
        Ok(request)
    }

    fn new(head: Head, kind: Kind) -> Result<Self, HandshakeError> {
        let StartLine::Request { method, target } = head.start else {
            return Err(HandshakeError::Malformed);
        };
        Ok(Self {
            method,
            target,
            kind,
            fields: head.fields,
        })
    }

    /// What holds for any request that this crate takes.
    fn validate_message(&self) -> Result<(), HandshakeError> {
        let fields = &self.fields;
        // 6455-4.2.1-03.
        if path_start(self.target()).is_none() {
            return Err(HandshakeError::Malformed);
        }
        // HARDENING A1.10: a body would be taken for frames, or frames for a body. K12: zero bytes
        // are no body.
        let length = fields.first(Name::ContentLength);
        if length.is_some_and(|length| length != b"0")
            || fields.repeats(Name::ContentLength)
            || fields.has(Name::TransferEncoding)
            || fields.has(Name::Trailer)
        {
            return Err(HandshakeError::Body);
        }
        if fields.has(Name::Expect) {
            return Err(HandshakeError::Expectation);
        }
        // 6455-4.2.1-04.
        let host = fields
            .once(Field::Host)?
            .ok_or(HandshakeError::Missing(Field::Host))?;
        if !is_authority(host) {
            return Err(HandshakeError::Bad(Field::Host));
        }
        if fields
            .once(Field::Origin)?
            .is_some_and(|origin| !is_visible(origin))
        {
            return Err(HandshakeError::Bad(Field::Origin));
        }
        Ok(())
    }

    fn validate_upgrade(&self) -> Result<(), HandshakeError> {
        let fields = &self.fields;
        if self.method.of(fields.head()) != b"GET" {
            return Err(HandshakeError::Method);
        }
        // 6455-4.2.1-05, 6455-4.1-48.
        self.require_member(Field::Upgrade, b"websocket")?;
        // 6455-4.2.1-06. H-27: `close` beside it has no meaning once the protocol is switched.
        self.require_member(Field::Connection, b"upgrade")?;
        // Before the key, because other versions have none.
        self.validate_version()?;
        // 6455-4.2.1-07, 6455-11.3.1-01.
        let key = fields
            .once(Field::Key)?
            .ok_or(HandshakeError::Missing(Field::Key))?;
        if !is_key(key) {
            return Err(HandshakeError::Bad(Field::Key));
        }
        self.validate_offers()
    }

    fn validate_version(&self) -> Result<(), HandshakeError> {
        // 6455-4.2.1-08. 6455-11.3.5-02: not twice.
        match self.fields.once(Field::Version)? {
            Some(b"13") => Ok(()),
            None | Some(b"") => Err(HandshakeError::Missing(Field::Version)),
            Some(version) if is_version(version) => Err(HandshakeError::Version),
            Some(_) => Err(HandshakeError::Bad(Field::Version)),
        }
    }

    fn validate_offers(&self) -> Result<(), HandshakeError> {
        let fields = &self.fields;
        // 6455-4.2.1-10, 6455-11.3.4-01. K16: empty members are skipped, but a list needs one that
        // is not.
        let offers = || members(fields.all(Name::Protocol));
        if fields.has(Name::Protocol) && (offers().next().is_none() || !offers().all(is_token)) {
            return Err(HandshakeError::Bad(Field::Protocol));
        }
        // 6455-4.2.1-11, 6455-9.1-01.
        grammar::check(self.extensions()).map_err(|_| HandshakeError::BadExtension)?;
        Ok(())
    }

    fn require_member<const LEN: usize>(
        &self,
        field: Field,
        member: &[u8; LEN],
    ) -> Result<(), HandshakeError> {
        if has_member(self.fields.all(field.into()), member) {
            Ok(())
        } else if self.fields.has(field.into()) {
            Err(HandshakeError::Bad(field))
        } else {
            Err(HandshakeError::Missing(field))
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("headers", &self.fields)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Request {
    /// Whether the heads are the same, byte by byte.
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && self.kind == other.kind
    }
}

impl Eq for Request {}

/// Where the path of a target starts; `None` if it is neither a path nor an absolute HTTP URL.
///
/// The characters were checked to be printable ASCII. Clients leave some unescaped that RFC 3986
/// would not allow, such as `|`, which nobody is hurt by; but `#` would start a fragment, which no
/// request has (6455-3-06).
fn path_start(target: &str) -> Option<usize> {
    if target.contains('#') {
        return None;
    }
    if target.starts_with('/') {
        return Some(0);
    }
    let (scheme, rest) = target.split_once("://")?;
    if !["http", "https"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme))
    {
        return None;
    }
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    if !is_authority(rest.get(..authority)?.as_bytes()) {
        return None;
    }
    Some(target.len() - rest.len() + authority)
}

/// Whether this is a host with an optional port, and nothing else (RFC 9110 section 7.2).
fn is_authority(bytes: &[u8]) -> bool {
    if is_plain_authority(bytes) {
        return true;
    }
    let Ok(text) = core::str::from_utf8(bytes) else {
        return false;
    };
    let reference = format!("//{text}");
    let Ok(reference) = fluent_uri::UriRef::parse(reference.as_str()) else {
        return false;
    };
    reference.authority().is_some_and(|authority| {
        authority.as_str() == text && !authority.host().is_empty() && !authority.has_userinfo()
    })
}

/// Whether this is a name that needs no escapes, or an IPv4 address, with an optional port: what
/// nearly every authority is, told without much ado.
fn is_plain_authority(bytes: &[u8]) -> bool {
    let name = len_while(bytes, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')
    });
    name > 0
        && match bytes.get(name..) {
            Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
            rest => rest == Some(b""),
        }
}

/// Whether this is a version number at all: 0 to 255 without leading zeros (6455-4.3-05).
fn is_version(bytes: &[u8]) -> bool {
    let has_digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    let has_zero = bytes.len() > 1 && bytes.first() == Some(&b'0');
    let number = core::str::from_utf8(bytes).map(str::parse::<u8>);
    has_digits && !has_zero && matches!(number, Ok(Ok(_)))
}
