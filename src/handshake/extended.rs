//! The request of HTTP/2 and HTTP/3: an extended CONNECT (RFC 8441, RFC 9220).

use alloc::vec::Vec;

use super::handover::InvalidRequest;
use super::layout::Layout;
use super::request::{CONNECTION_SPECIFIC, Kind, Request};
use crate::config::{Config, Limits};
use crate::error::{Field, HandshakeError};
use crate::http::Name;

impl Request {
    /// Reads an extended CONNECT from its fields, pseudo-header fields first, as an HTTP/2 or HTTP/3
    /// library gives them out (RFC 8441 section 5, RFC 9220 section 3).
    ///
    /// It is judged as by [`ServerHandshake`](super::ServerHandshake), except for what upgrades alone
    /// have: `Sec-WebSocket-Key` is ignored. What becomes of it is up to
    /// [`Acceptance::answer`](super::Acceptance::answer) and
    /// [`Refusal::answer`](super::Refusal::answer). The connection then takes the stream for its
    /// transport. It is no tunnel to the authority, as with any other CONNECT.
    ///
    /// The library must have announced `SETTINGS_ENABLE_CONNECT_PROTOCOL`, or no client asks.
    ///
    /// ```
    /// use sockeye::Config;
    /// use sockeye::handshake::{OriginPolicy, Request, Scheme};
    ///
    /// let fields = [
    ///     (":method", "CONNECT"),
    ///     (":protocol", "websocket"),
    ///     (":scheme", "https"),
    ///     (":path", "/chat"),
    ///     (":authority", "server.example.com"),
    ///     ("sec-websocket-version", "13"),
    ///     ("origin", "https://server.example.com"),
    /// ];
    /// let request = Request::extended(fields, &Config::new())?;
    /// assert_eq!(request.path(), "/chat");
    /// assert_eq!(request.host(), "server.example.com");
    /// assert!(OriginPolicy::same_origin(Scheme::Https).check(&request).is_ok());
    /// # Ok::<(), sockeye::handshake::InvalidRequest>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong, with the answer that says so. Another `:protocol` gets 501 (RFC 9220 section
    /// 3), another version than 13 gets 400 with `sec-websocket-version: 13`, because HTTP/2 has no
    /// 426.
    pub fn extended<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (N, V)>,
        config: &Config,
    ) -> Result<Self, InvalidRequest> {
        read(fields, config.limits()).map_err(|error| InvalidRequest::new(error, Kind::Extended))
    }
}

fn read<N: AsRef<[u8]>, V: AsRef<[u8]>>(
    fields: impl IntoIterator<Item = (N, V)>,
    limits: &Limits,
) -> Result<Request, HandshakeError> {
    let mut pseudo = Pseudo::default();
    let mut fields = fields.into_iter().peekable();
    while let Some((name, value)) = fields.next_if(|(name, _)| name.as_ref().starts_with(b":")) {
        pseudo.take(name.as_ref(), value.as_ref(), limits)?;
    }
    let target = pseudo.check()?;
    let mut layout = Layout::new(limits);
    let start = layout.request_line(b"CONNECT", target)?;
    // 8441-5-04.
    let authority = pseudo.authority.as_deref();
    if let Some(authority) = authority {
        layout.field(Name::Host.as_str().as_bytes(), authority)?;
    }
    for (name, value) in fields {
        let (name, value) = (name.as_ref(), value.as_ref());
        check_field(name, value)?;
        match authority {
            // RFC 9113 section 8.3.1: a `Host` beside the authority must be the same.
            Some(authority) if name == b"host" => {
                if !value.eq_ignore_ascii_case(authority) {
                    return Err(HandshakeError::Bad(Field::Host));
                }
            }
            _ => layout.field(name, value)?,
        }
    }
    Request::validate_extended(layout.finish(start))
}

/// The pseudo-header fields of a request (RFC 9113 section 8.3.1, RFC 8441 section 4).
#[derive(Default)]
struct Pseudo {
    method: Option<Vec<u8>>,
    protocol: Option<Vec<u8>>,
    scheme: Option<Vec<u8>>,
    authority: Option<Vec<u8>>,
    path: Option<Vec<u8>>,
}

impl Pseudo {
    fn take(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), HandshakeError> {
        if value.len() > limits.max_head_size() {
            return Err(HandshakeError::HeadTooLarge);
        }
        let place = match name {
            b":method" => &mut self.method,
            b":protocol" => &mut self.protocol,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            _ => return Err(HandshakeError::Malformed),
        };
        match place.replace(value.into()) {
            None => Ok(()),
            Some(_twice) => Err(HandshakeError::Malformed),
        }
    }

    /// Whether they ask for a WebSocket. Returns the path.
    fn check(&self) -> Result<&[u8], HandshakeError> {
        match self.method.as_deref() {
            Some(b"CONNECT") => {}
            Some(_) => return Err(HandshakeError::Method),
            None => return Err(HandshakeError::Malformed),
        }
        // 8441-4-01, 8441-5-01, 9220-3-02. 8441-4-03: without it, it asks for a tunnel.
        if self.protocol.as_deref() != Some(b"websocket") {
            return Err(HandshakeError::UnknownProtocol);
        }
        // 8441-4-02, 8441-5-02.
        match (self.scheme.as_deref(), self.path.as_deref()) {
            (Some(b"http" | b"https"), Some(path)) if path.starts_with(b"/") => Ok(path),
            _ => Err(HandshakeError::Malformed),
        }
    }
}

/// Checks what HTTP/2 and HTTP/3 ask of a field (RFC 9113 section 8.2). The rest is as in HTTP/1.1.
fn check_field(name: &[u8], value: &[u8]) -> Result<(), HandshakeError> {
    let is_of_connection = CONNECTION_SPECIFIC
        .iter()
        .any(|other| other.as_bytes().eq_ignore_ascii_case(name));
    // 8441-5-03. RFC 9113 section 8.2.2: `trailers` is no harm.
    if is_of_connection && (name, value) != (b"te", b"trailers") {
        return Err(HandshakeError::Malformed);
    }
    // 8441-5-06.
    if name.iter().any(u8::is_ascii_uppercase) {
        return Err(HandshakeError::Malformed);
    }
    Ok(())
}
