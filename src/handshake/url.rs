//! WebSocket URLs (RFC 6455 section 3).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write as _};
use core::net::Ipv6Addr;
use core::ops::Range;
use core::str::FromStr;

use fluent_uri::pct_enc::EStr;
use fluent_uri::pct_enc::encoder::Path;

use crate::error::UrlError;
use crate::http::token::len_while;

/// A `ws:` or `wss:` URL, taken apart.
///
/// `ws+unix:/path/to.sock:/target` is one too: the target behind a Unix socket. No RFC has that form;
/// it is that of the package `ws` for Node. The path of the socket ends at the first colon, and what is
/// percent-encoded in it is decoded. There is no host, so `localhost` takes its place. `wss+unix:` is
/// the same with TLS.
///
/// ```
/// use sockeye::handshake::Url;
///
/// let url = Url::parse("wss://Example.com/chat?room=1")?;
/// assert!(url.is_secure());
/// assert_eq!((url.host(), url.port()), ("example.com", 443));
/// assert_eq!(url.target(), "/chat?room=1");
/// assert_eq!(url.to_string(), "wss://example.com/chat?room=1");
/// # Ok::<(), sockeye::handshake::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    is_secure: bool,
    port: u16,
    /// What follows the scheme and the two slashes: the value of a `Host` header, then the target.
    text: String,
    /// Where the host is in it, without brackets.
    ///
    /// INVARIANT: lower case; an IPv6 address, or letters, digits, `-`, `.`, `_` and `~`.
    host: Range<usize>,
    /// Where the target starts.
    ///
    /// INVARIANT: with a slash; what follows is a valid RFC 3986 path and query.
    target: usize,
    /// The path of the Unix socket that takes the place of host and port.
    ///
    /// INVARIANT: not empty, and without a null.
    socket: Option<Box<str>>,
}

impl Url {
    /// Reads a URL.
    ///
    /// It must be ASCII: convert international host names (IDNA) and percent-encode other
    /// characters before (RFC 6455 section 11.1).
    ///
    /// # Errors
    ///
    /// [`UrlError`] names the part that is wrong.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        // 6455-11.1.1-01, 6455-11.1.1-02, 6455-11.1.2-01, 6455-11.1.2-02.
        if !url.is_ascii() {
            return Err(UrlError::NotAscii);
        }
        let uri = fluent_uri::Uri::parse(url).map_err(|_| UrlError::Syntax)?;
        // 6455-3-01, 6455-3-03.
        let scheme = uri.scheme().as_str();
        let is = |known: &str| scheme.eq_ignore_ascii_case(known);
        let is_unix = is("ws+unix") || is("wss+unix");
        let is_secure = is("wss") || is("wss+unix");
        if !is_unix && !is_secure && !is("ws") {
            return Err(UrlError::Scheme);
        }
        // 6455-3-05.
        if uri.has_fragment() {
            return Err(UrlError::Fragment);
        }
        let query = uri.query().map(|query| query.as_str());
        if is_unix {
            if uri.authority().is_some_and(|it| !it.as_str().is_empty()) {
                return Err(UrlError::Host);
            }
            return Self::unix(is_secure, uri.path(), query);
        }
        let authority = uri.authority().ok_or(UrlError::Host)?;
        // 6455-11.1.1-03.
        if authority.has_userinfo() {
            return Err(UrlError::Userinfo);
        }
        let port = match authority.port_to_u16() {
            // 6455-3-02.
            Ok(None) => default_port(is_secure),
            Ok(Some(port)) if port > 0 => port,
            Ok(Some(_)) | Err(_) => return Err(UrlError::Port),
        };
        let mut text = String::with_capacity(url.len());
        let host = push_host(&mut text, authority.host()).ok_or(UrlError::Host)?;
        if port != default_port(is_secure) {
            let digits = authority.port().map_or("", |digits| digits.as_str());
            text.push(':');
            text.push_str(digits.trim_start_matches('0'));
        }
        let target = text.len();
        push_target(&mut text, uri.path().as_str(), query);
        Ok(Self {
            is_secure,
            port,
            text,
            host,
            target,
            socket: None,
        })
    }

    fn unix(is_secure: bool, path: &EStr<Path>, query: Option<&str>) -> Result<Self, UrlError> {
        let (socket, path) = path.split_once(':').unwrap_or((path, EStr::EMPTY));
        let socket = socket.decode().to_string().map_err(|_| UrlError::Socket)?;
        let target = path.as_str();
        if !socket.starts_with('/') || socket.contains('\0') {
            return Err(UrlError::Socket);
        }
        if !target.is_empty() && !target.starts_with('/') {
            return Err(UrlError::Socket);
        }
        let mut text = LOCALHOST.to_owned();
        push_target(&mut text, target, query);
        Ok(Self {
            is_secure,
            port: default_port(is_secure),
            text,
            host: 0..LOCALHOST.len(),
            target: LOCALHOST.len(),
            socket: Some(socket.into()),
        })
    }

    /// What `reference` means on a page with this URL (RFC 3986 section 5), as in the `Location` of a
    /// redirect: `http` stands for `ws` and `https` for `wss`, and a fragment is dropped.
    ///
    /// Behind a Unix socket, a relative reference stays there.
    ///
    /// ```
    /// use sockeye::handshake::Url;
    ///
    /// let url = Url::parse("wss://example.com/a/b")?;
    /// assert_eq!(url.join("../c?d")?.to_string(), "wss://example.com/c?d");
    /// assert_eq!(url.join("https://b.example/")?.to_string(), "wss://b.example/");
    /// # Ok::<(), sockeye::handshake::UrlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        if !reference.is_ascii() {
            return Err(UrlError::NotAscii);
        }
        let reference = fluent_uri::UriRef::parse(reference).map_err(|_| UrlError::Syntax)?;
        let reference = reference.strip_fragment();
        let scheme = if self.is_secure { "wss" } else { "ws" };
        let base = format!("{scheme}://{}", self.text);
        let base = fluent_uri::Uri::parse(base).map_err(|_| UrlError::Syntax)?;
        let joined = reference
            .resolve_against(&base)
            .map_err(|_| UrlError::Syntax)?;
        let (scheme, rest) = joined.as_str().split_once(':').ok_or(UrlError::Syntax)?;
        let mut url = match scheme.to_ascii_lowercase().as_str() {
            "http" => Self::parse(&format!("ws:{rest}")),
            "https" => Self::parse(&format!("wss:{rest}")),
            _ => Self::parse(joined.as_str()),
        }?;
        if !reference.has_scheme() && !reference.has_authority() {
            url.socket.clone_from(&self.socket);
        }
        Ok(url)
    }

    /// Whether the connection must go through TLS: the scheme is `wss`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host in lower case: what to look up, to connect to, and to verify a certificate against.
    /// An IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        self.text.get(self.host.clone()).unwrap_or_default()
    }

    /// The port: as given, or else 80 for `ws` and 443 for `wss`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of the Unix socket to connect to, in place of host and port.
    ///
    /// ```
    /// use sockeye::handshake::Url;
    ///
    /// let url = Url::parse("ws+unix:/run/chat.sock:/rooms?id=1")?;
    /// assert_eq!(url.socket_path(), Some("/run/chat.sock"));
    /// assert_eq!(url.target(), "/rooms?id=1");
    /// assert_eq!(url.host_header(), "localhost");
    /// # Ok::<(), sockeye::handshake::UrlError>(())
    /// ```
    pub fn socket_path(&self) -> Option<&str> {
        self.socket.as_deref()
    }

    /// Whether two URLs have scheme, host and port in common, or the Unix socket: what belongs to
    /// one server (RFC 6454 section 5).
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.is_secure == other.is_secure
            && self.authority() == other.authority()
            && self.socket == other.socket
    }

    /// The request target, which the RFC calls resource name: the path, and the query if there is
    /// one.
    pub fn target(&self) -> &str {
        self.text.get(self.target..).unwrap_or_default()
    }

    /// The value of the `Host` header: the host, and the port unless it is the scheme's default.
    ///
    /// ```
    /// use sockeye::handshake::Url;
    ///
    /// assert_eq!(Url::parse("ws://[::1]:8080/")?.host_header(), "[::1]:8080");
    /// assert_eq!(
    ///     Url::parse("ws://example.com:80/")?.host_header(),
    ///     "example.com"
    /// );
    /// # Ok::<(), sockeye::handshake::UrlError>(())
    /// ```
    pub fn host_header(&self) -> String {
        self.authority().to_owned()
    }

    /// The scheme of the same resource in HTTP (8441-5-02).
    pub(super) fn http_scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// The host and the port, as in a URL and in a `Host` header (6455-4.1-21).
    pub(super) fn authority(&self) -> &str {
        self.text.get(..self.target).unwrap_or_default()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 6455-4.1-11.
        let scheme = if self.is_secure { "wss" } else { "ws" };
        let Some(socket) = &self.socket else {
            return write!(f, "{scheme}://{}", self.text);
        };
        write!(f, "{scheme}+unix:")?;
        for byte in socket.bytes() {
            if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
                f.write_char(byte.into())?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        write!(f, ":{}", self.target())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("is_secure", &self.is_secure)
            .field("host", &self.host())
            .field("port", &self.port)
            .field("target", &self.target())
            .field("socket", &self.socket)
            .finish()
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::parse(url)
    }
}

/// What stands for the host behind a Unix socket.
const LOCALHOST: &str = "localhost";

/// Adds path and query.
fn push_target(text: &mut String, path: &str, query: Option<&str>) {
    // 6455-3-04, 6455-3-06: nothing is decoded; an empty query loses its question mark.
    text.push_str(if path.is_empty() { "/" } else { path });
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        text.push('?');
        text.push_str(query);
    }
}

const fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

/// Adds the host as in a URL, and returns where it is without brackets.
///
/// 6455-4.1-03: RFC 3986 allows more in a name, escapes and all, but nothing that could be looked
/// up.
fn push_host(text: &mut String, host: &str) -> Option<Range<usize>> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        *text += &format!("[{address}]");
        return Some(1..text.len() - 1);
    }
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if host.is_empty() || len_while(host.as_bytes(), is_name) < host.len() {
        return None;
    }
    text.push_str(host);
    text.make_ascii_lowercase();
    Some(0..text.len())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn accepted() {
        for (url, secure, host, port, target, header) in [
            ("ws://h/", false, "h", 80, "/", "h"),
            ("ws://h", false, "h", 80, "/", "h"),
            ("WSS://h", true, "h", 443, "/", "h"),
            ("Ws://h:443/x", false, "h", 443, "/x", "h:443"),
            ("ws://h?q=1", false, "h", 80, "/?q=1", "h"),
            ("ws://h/a?", false, "h", 80, "/a", "h"),
            ("ws://h:/a", false, "h", 80, "/a", "h"),
            ("ws://H:0080/a", false, "h", 80, "/a", "h"),
            ("ws://h:000443", false, "h", 443, "/", "h:443"),
            ("ws://h/a%23b", false, "h", 80, "/a%23b", "h"),
            ("ws://[::1]:9/", false, "::1", 9, "/", "[::1]:9"),
            ("wss://[0:0::1]", true, "::1", 443, "/", "[::1]"),
            (
                "ws://127.0.0.1:80//a",
                false,
                "127.0.0.1",
                80,
                "//a",
                "127.0.0.1",
            ),
        ] {
            let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(
                (url.is_secure(), url.host(), url.port(), url.target()),
                (secure, host, port, target)
            );
            assert_eq!(url.host_header(), header);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn refused() {
        for (url, error) in [
            ("http://h/", UrlError::Scheme),
            ("ws:/h", UrlError::Host),
            ("ws:h", UrlError::Host),
            ("ws://", UrlError::Host),
            ("ws://:80/", UrlError::Host),
            ("ws://a,b/", UrlError::Host),
            ("ws://a%0d%0ab/", UrlError::Host),
            ("ws://[v1.a]/", UrlError::Host),
            ("ws://h/#x", UrlError::Fragment),
            ("ws://h/#", UrlError::Fragment),
            ("ws://u:p@h/", UrlError::Userinfo),
            ("ws://@h/", UrlError::Userinfo),
            ("ws://h:0/", UrlError::Port),
            ("ws://h:65536/", UrlError::Port),
            ("ws://h:+80/", UrlError::Syntax),
            ("ws://h/ a", UrlError::Syntax),
            ("ws://h/\r\nX: y", UrlError::Syntax),
            ("ws://h\r\n/", UrlError::Syntax),
            ("ws://h/\0", UrlError::Syntax),
            ("ws://[::1", UrlError::Syntax),
            ("h/", UrlError::Syntax),
            ("", UrlError::Syntax),
            ("ws+unix:", UrlError::Socket),
            ("ws+unix:a.sock:/", UrlError::Socket),
            ("ws+unix:/a.sock:b", UrlError::Socket),
            ("ws+unix:/a%00.sock:/", UrlError::Socket),
            ("ws+unix:/a%FF.sock:/", UrlError::Socket),
            ("ws+unix://h/a.sock:/", UrlError::Host),
            ("ws+unix:/a.sock:/#x", UrlError::Fragment),
            ("http+unix:/a.sock:/", UrlError::Scheme),
            ("ws://é/", UrlError::NotAscii),
            ("ws://h/é", UrlError::NotAscii),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url:?}");
        }
    }

    #[test]
    fn sockets() {
        for (url, secure, path, target) in [
            ("ws+unix:/run/a.sock:/b?c", false, "/run/a.sock", "/b?c"),
            ("WS+Unix:/run/a.sock:/", false, "/run/a.sock", "/"),
            ("ws+unix:///run/a.sock:/b:c", false, "/run/a.sock", "/b:c"),
            ("wss+unix:/run/a.sock", true, "/run/a.sock", "/"),
            ("ws+unix:/a.sock:?q", false, "/a.sock", "/?q"),
            ("ws+unix:/a%20b%3Ac%25:/d%20e", false, "/a b:c%", "/d%20e"),
        ] {
            let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(
                (url.is_secure(), url.socket_path(), url.target()),
                (secure, Some(path), target)
            );
            assert_eq!(
                (url.host(), &*url.host_header()),
                ("localhost", "localhost")
            );
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    /// The examples of RFC 3986 section 5.4 that a WebSocket URL can have, and what HTTP adds.
    #[test]
    fn references() {
        let base = Url::parse("ws://a/b/c/d;p?q").unwrap();
        for (reference, joined) in [
            ("g", "ws://a/b/c/g"),
            ("./g", "ws://a/b/c/g"),
            ("g/", "ws://a/b/c/g/"),
            ("/g", "ws://a/g"),
            ("//g", "ws://g/"),
            ("?y", "ws://a/b/c/d;p?y"),
            ("g?y", "ws://a/b/c/g?y"),
            ("g#s", "ws://a/b/c/g"),
            ("#s", "ws://a/b/c/d;p?q"),
            (";x", "ws://a/b/c/;x"),
            ("", "ws://a/b/c/d;p?q"),
            (".", "ws://a/b/c/"),
            ("../g", "ws://a/b/g"),
            ("../../../g", "ws://a/g"),
            ("/./g", "ws://a/g"),
            ("g/../h", "ws://a/b/c/h"),
            ("http://h", "ws://h/"),
            ("HTTPS://h:443/x#y", "wss://h/x"),
            ("wss://h:80/", "wss://h:80/"),
            ("ws+unix:/a.sock:/x", "ws+unix:/a.sock:/x"),
        ] {
            let url = base.join(reference).map(|url| url.to_string());
            assert_eq!(url.as_deref(), Ok(joined), "{reference}");
        }
        for (reference, error) in [
            ("g:h", UrlError::Scheme),
            ("http:g", UrlError::Host),
            ("ftp://h/", UrlError::Scheme),
            ("http://u:p@h/", UrlError::Userinfo),
            ("http://h:0/", UrlError::Port),
            ("a b", UrlError::Syntax),
            ("é", UrlError::NotAscii),
        ] {
            assert_eq!(base.join(reference), Err(error), "{reference}");
        }
        let socket = Url::parse("ws+unix:/a.sock:/b/c").unwrap();
        for (reference, joined) in [
            ("../d?e", "ws+unix:/a.sock:/d?e"),
            ("ws://localhost/d", "ws://localhost/d"),
            ("//localhost/d", "ws://localhost/d"),
        ] {
            let url = socket.join(reference).map(|url| url.to_string());
            assert_eq!(url.as_deref(), Ok(joined), "{reference}");
        }
    }

    #[test]
    fn origins() {
        let url = Url::parse("ws://h/a").unwrap();
        for (other, same) in [
            ("ws://H:80/b?c", true),
            ("wss://h/a", false),
            ("ws://h:81/a", false),
            ("ws://g/a", false),
            ("ws+unix:/a.sock:/a", false),
        ] {
            let other = Url::parse(other).unwrap();
            assert_eq!(url.is_same_origin(&other), same, "{other}");
        }
    }
}
