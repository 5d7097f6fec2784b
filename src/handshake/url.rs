//! WebSocket URLs (RFC 6455 section 3).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;
use core::ops::Range;
use core::str::FromStr;

use crate::error::UrlError;
use crate::http::token::len_while;

/// A `ws:` or `wss:` URL, taken apart.
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
        let is_secure = scheme.eq_ignore_ascii_case("wss");
        if !is_secure && !scheme.eq_ignore_ascii_case("ws") {
            return Err(UrlError::Scheme);
        }
        // 6455-3-05.
        if uri.has_fragment() {
            return Err(UrlError::Fragment);
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
        // 6455-3-04, 6455-3-06: nothing is decoded; an empty query loses its question mark.
        let target = text.len();
        let path = uri.path().as_str();
        text.push_str(if path.is_empty() { "/" } else { path });
        if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
            text.push('?');
            text.push_str(query.as_str());
        }
        Ok(Self {
            is_secure,
            port,
            text,
            host,
            target,
        })
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
        write!(f, "{scheme}://{}", self.text)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("is_secure", &self.is_secure)
            .field("host", &self.host())
            .field("port", &self.port)
            .field("target", &self.target())
            .finish()
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::parse(url)
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
            ("ws://é/", UrlError::NotAscii),
            ("ws://h/é", UrlError::NotAscii),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url:?}");
        }
    }
}
