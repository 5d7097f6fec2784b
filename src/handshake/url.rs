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
        match Parts::plain(url) {
            Some(parts) => Self::tcp(&parts, url.len()),
            None => Self::parse_any(url),
        }
    }

    /// As [`parse`](Self::parse), by a parser of all URLs.
    fn parse_any(url: &str) -> Result<Self, UrlError> {
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
        let query = uri.query().map_or("", |query| query.as_str());
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
        let parts = Parts {
            is_secure,
            host: authority.host(),
            port: authority.port().map_or("", |digits| digits.as_str()),
            path: uri.path().as_str(),
            query,
        };
        Self::tcp(&parts, url.len())
    }

    /// Behind a TCP connection. The URL has so many bytes.
    fn tcp(parts: &Parts<'_>, len: usize) -> Result<Self, UrlError> {
        let Parts {
            is_secure,
            host,
            port,
            path,
            query,
        } = *parts;
        let default = default_port(is_secure);
        let number = match port {
            // 6455-3-02.
            "" => default,
            digits => match digits.parse() {
                Ok(0) | Err(_) => return Err(UrlError::Port),
                Ok(port) => port,
            },
        };
        let mut text = String::with_capacity(len);
        let host = push_host(&mut text, host).ok_or(UrlError::Host)?;
        if number != default {
            text.push(':');
            text.push_str(port.trim_start_matches('0'));
        }
        let target = text.len();
        push_target(&mut text, path, query);
        Ok(Self {
            is_secure,
            port: number,
            text,
            host,
            target,
            socket: None,
        })
    }

    fn unix(is_secure: bool, path: &EStr<Path>, query: &str) -> Result<Self, UrlError> {
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

/// What a URL consists of.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    is_secure: bool,
    /// With brackets, if it has any.
    host: &'a str,
    /// Digits.
    port: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    /// Of a URL as nearly all are, told without much ado: no escapes, no address of IPv6, and nothing
    /// that is not allowed. It asks for less than [`Url::parse_any`], and finds the same.
    fn plain(url: &'a str) -> Option<Self> {
        let (is_secure, rest) = match url.strip_prefix("ws://") {
            Some(rest) => (false, rest),
            None => (true, url.strip_prefix("wss://")?),
        };
        let (host, rest) = split_while(rest, NAME);
        let (port, rest) = match rest.strip_prefix(':') {
            Some(rest) => split_while(rest, DIGIT),
            None => ("", rest),
        };
        let (path, rest) = match rest.starts_with('/') {
            true => split_while(rest, PATH),
            false => ("", rest),
        };
        let (query, rest) = match rest.strip_prefix('?') {
            Some(rest) => split_while(rest, QUERY),
            None => ("", rest),
        };
        (!host.is_empty() && rest.is_empty()).then_some(Self {
            is_secure,
            host,
            port,
            path,
            query,
        })
    }
}

/// Splits before the first byte that is not of this class. What is, is ASCII.
fn split_while(text: &str, class: u8) -> (&str, &str) {
    let len = class_len(text.as_bytes(), class);
    text.split_at_checked(len).unwrap_or((text, ""))
}

/// How many bytes at the front are of this class.
fn class_len(bytes: &[u8], class: u8) -> usize {
    let classes = |byte: u8| CLASSES.get(usize::from(byte)).copied().unwrap_or_default();
    let front = bytes.iter().take_while(|byte| classes(**byte) & class != 0);
    front.count()
}

/// What may be in a port, in a name that can be looked up, and without escapes in a path and in a
/// query (RFC 3986 sections 3.2 to 3.4).
const DIGIT: u8 = 1;
const NAME: u8 = 2;
const PATH: u8 = 4;
const QUERY: u8 = 8;

/// The classes of every byte: a look is cheaper than the ranges.
#[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT | NAME | PATH | QUERY,
            b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => NAME | PATH | QUERY,
            b'!' | b'$' | b'&'..=b',' | b'/' | b':' | b';' | b'=' | b'@' => PATH | QUERY,
            b'?' => QUERY,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// What stands for the host behind a Unix socket.
const LOCALHOST: &str = "localhost";

/// Adds path and query.
fn push_target(text: &mut String, path: &str, query: &str) {
    // 6455-3-04, 6455-3-06: nothing is decoded; an empty query loses its question mark.
    text.push_str(if path.is_empty() { "/" } else { path });
    if !query.is_empty() {
        text.push('?');
        text.push_str(query);
    }
}

const fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

/// Whether this is a name that could be looked up, or an IPv4 address.
///
/// 6455-4.1-03: RFC 3986 allows more, escapes and all.
pub(super) fn is_name(host: &str) -> bool {
    !host.is_empty() && class_len(host.as_bytes(), NAME) == host.len()
}

/// Adds the host as in a URL, and returns where it is without brackets.
fn push_host(text: &mut String, host: &str) -> Option<Range<usize>> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        *text += &format!("[{address}]");
        return Some(1..text.len() - 1);
    }
    if !is_name(host) {
        return None;
    }
    text.push_str(host);
    text.make_ascii_lowercase();
    Some(0..text.len())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The short way takes nothing that the long one does not, and takes it alike.
        #[test]
        fn plain_urls_are_read_like_any(
            scheme in "wss?|WS|http",
            rest in "[a-z0-9._~@-]{0,3}(:[0-9]{0,6})?(/[ -~]{0,3}){0,2}([?#][ -~]{0,3})?[ -~\u{e9}]?",
        ) {
            let url = alloc::format!("{scheme}://{rest}");
            if let Some(parts) = Parts::plain(&url) {
                prop_assert_eq!(Url::parse_any(&url), Url::tcp(&parts, 0));
            }
        }
    }

    #[test]
    fn every_byte_of_a_plain_url() {
        for (byte, before) in (0..128_u8).flat_map(|byte| ["h", "h/", "h?"].map(|it| (byte, it))) {
            let url = alloc::format!("ws://{before}{}", char::from(byte));
            match (Parts::plain(&url), Url::parse_any(&url)) {
                (Some(plain), any) => assert_eq!(any, Url::tcp(&plain, 0)),
                // An escape is not complete here; a host may have more than can be looked up.
                (None, any) => assert!(any.is_err() || before == "h", "{url}"),
            }
        }
    }

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
