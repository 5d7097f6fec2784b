//! Tunnels through proxies, as state machines: HTTP CONNECT (RFC 9110 section 9.3.6) and SOCKS5 (RFC
//! 1928, RFC 1929).
//!
//! A client behind a proxy connects to the proxy, runs a [`Tunnel`] over that transport, and goes on
//! as if the transport led to the server: with TLS for `wss`, then with the opening handshake
//! (6455-4.1-12). The adapters do so by themselves when they are given a [`Proxy`].
//!
//! ```
//! use sockeye::Input;
//! use sockeye::handshake::Url;
//! use sockeye::proxy::{Proxy, Tunnel};
//!
//! let proxy = Proxy::parse("http://ada:secret@proxy.example:3128")?;
//! let url = Url::parse("wss://server.example/chat")?;
//! // Connect to `proxy.host()` and `proxy.port()`, then:
//! let mut tunnel = Tunnel::new(&proxy, url.host(), url.port())?;
//! let output = tunnel.poll_transmit().expect("a request");
//! assert!(output.starts_with(b"CONNECT server.example:443 HTTP/1.1\r\n"));
//! output.clear(); // written
//!
//! let mut answer = *b"HTTP/1.1 200 Connection established\r\n\r\n";
//! let is_open = tunnel.receive(&mut Input::new(&mut answer))?.is_some();
//! assert!(is_open);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connect;
mod error;
mod socks5;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

use bytes::Bytes;

use connect::Connect;
pub use error::{ProxyError, ProxyUrlError, SocksFailure};
use socks5::Socks5;

use super::auth::{basic_value, has_no_controls};
use super::url::is_name;

use crate::input::Input;

/// Where a proxy is, what it speaks, and who its user is.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: ProxyProtocol,
    host: Box<str>,
    port: u16,
    credentials: Option<Credentials>,
}

/// How a proxy is asked for a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// `http`: a CONNECT request, port 80 by default.
    Http,
    /// `socks5`: the name of the server is looked up by the client. Port 1080 by default.
    Socks5,
    /// `socks5h`: the name of the server is looked up by the proxy. Port 1080 by default.
    Socks5h,
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user: Box<str>,
    password: Box<str>,
}

impl Proxy {
    /// Reads the URL of a proxy, such as `socks5h://127.0.0.1` or
    /// `http://user:password@proxy.example:3128`; special characters of the user name and password
    /// are percent-encoded.
    ///
    /// # Errors
    ///
    /// [`ProxyUrlError`] names the part that is wrong.
    ///
    /// ```
    /// use sockeye::proxy::{Proxy, ProxyProtocol};
    ///
    /// let proxy = Proxy::parse("socks5h://[::1]")?;
    /// assert_eq!(proxy.protocol(), ProxyProtocol::Socks5h);
    /// assert_eq!((proxy.host(), proxy.port()), ("::1", 1080));
    /// # Ok::<(), sockeye::proxy::ProxyUrlError>(())
    /// ```
    pub fn parse(url: &str) -> Result<Self, ProxyUrlError> {
        let uri = fluent_uri::Uri::parse(url).map_err(|_| ProxyUrlError::Syntax)?;
        let scheme = uri.scheme().as_str();
        let protocol = ProxyProtocol::of_scheme(scheme).ok_or(ProxyUrlError::Scheme)?;
        let has_path = !matches!(uri.path().as_str(), "" | "/");
        if has_path || uri.has_query() || uri.has_fragment() {
            return Err(ProxyUrlError::Path);
        }
        let authority = uri.authority().ok_or(ProxyUrlError::Host)?;
        let host = plain_host(authority.host()).ok_or(ProxyUrlError::Host)?;
        let port = match authority.port_to_u16() {
            Ok(None) => protocol.default_port(),
            Ok(Some(port)) if port > 0 => port,
            Ok(Some(_)) | Err(_) => return Err(ProxyUrlError::Port),
        };
        let proxy = Self {
            protocol,
            host: host.to_ascii_lowercase().into(),
            port,
            credentials: None,
        };
        let Some(userinfo) = authority.userinfo() else {
            return Ok(proxy);
        };
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user.decode(), Some(password.decode())),
            None => (userinfo.decode(), None),
        };
        let invalid = |_| ProxyUrlError::Credentials;
        let user = user.to_string().map_err(invalid)?;
        let password = match password {
            Some(password) => password.to_string().map_err(invalid)?,
            None => Cow::Borrowed(""),
        };
        proxy.with_credentials(&user, &password)
    }

    /// Sets the user name and password for the proxy: an HTTP proxy gets them by Basic
    /// authentication (RFC 7617), a SOCKS proxy by RFC 1929. Both are plain text on the way to the
    /// proxy.
    ///
    /// # Errors
    ///
    /// [`ProxyUrlError::Credentials`] if they have control characters, if the user name has a colon
    /// and the proxy speaks HTTP, or if one of them is empty or longer than 255 bytes and the
    /// proxy speaks SOCKS.
    pub fn with_credentials(mut self, user: &str, password: &str) -> Result<Self, ProxyUrlError> {
        let fits = match self.protocol {
            ProxyProtocol::Http => basic_value(user, password).is_some(),
            // RFC 1929 section 2: 1 to 255 bytes each.
            ProxyProtocol::Socks5 | ProxyProtocol::Socks5h => [user, password]
                .iter()
                .all(|text| (1..=255).contains(&text.len()) && has_no_controls(text)),
        };
        if !fits {
            return Err(ProxyUrlError::Credentials);
        }
        self.credentials = Some(Credentials {
            user: user.into(),
            password: password.into(),
        });
        Ok(self)
    }

    /// What the proxy speaks.
    pub fn protocol(&self) -> ProxyProtocol {
        self.protocol
    }

    /// The host of the proxy itself: what to look up and connect to. An IPv6 address has no
    /// brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the proxy itself.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl ProxyProtocol {
    fn of_scheme(scheme: &str) -> Option<Self> {
        let known = [
            ("http", Self::Http),
            ("socks5", Self::Socks5),
            ("socks5h", Self::Socks5h),
        ];
        let found = known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        found.map(|(_, protocol)| protocol)
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    /// Whether the client looks up the name of the server, and tells the proxy an address.
    pub const fn resolves_locally(self) -> bool {
        matches!(self, Self::Socks5)
    }
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(url: &str) -> Result<Self, ProxyUrlError> {
        Self::parse(url)
    }
}

impl fmt::Debug for Proxy {
    /// Not the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self
            .credentials
            .as_ref()
            .map(|credentials| &credentials.user);
        f.debug_struct("Proxy")
            .field("protocol", &self.protocol)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &user)
            .finish()
    }
}

/// The name or address of a URL's host, without brackets.
fn plain_host(host: &str) -> Option<&str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']')?;
        return address.parse::<Ipv6Addr>().is_ok().then_some(address);
    }
    is_name(host).then_some(host)
}

/// Asks a proxy for a tunnel to a server, as a state machine.
///
/// Drain [`poll_transmit`](Self::poll_transmit) into the transport to the proxy and feed what comes
/// back, until [`receive`](Self::receive) says that the tunnel is there. Deadlines are the caller's:
/// there is only one, for all of it.
pub struct Tunnel(Protocol);

enum Protocol {
    Http(Connect),
    Socks5(Socks5),
    Failed(ProxyError),
}

impl Tunnel {
    /// To `host`, which is a name or an address (IPv6 without brackets), and `port`.
    ///
    /// With [`ProxyProtocol::Socks5`] it should be an address, looked up before; a name is passed on
    /// to the proxy.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Target`] if that is not a host that can be asked for, or port 0.
    pub fn new(proxy: &Proxy, host: &str, port: u16) -> Result<Self, ProxyError> {
        let is_host = host.parse::<Ipv6Addr>().is_ok() || is_name(host);
        // RFC 1928 section 5: one byte for the length of a name.
        if !is_host || host.len() > 255 || port == 0 {
            return Err(ProxyError::Target);
        }
        let credentials = proxy.credentials.as_ref();
        Ok(Self(match proxy.protocol {
            ProxyProtocol::Http => Protocol::Http(Connect::new(host, port, credentials)),
            ProxyProtocol::Socks5 | ProxyProtocol::Socks5h => {
                Protocol::Socks5(Socks5::new(host, port, credentials))
            }
        }))
    }

    /// Takes bytes from the proxy up to the end of its answers. `Some` once the tunnel is there:
    /// what stays in `input` then comes from the server.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] if the proxy refuses or breaks its protocol. Later calls repeat it.
    pub fn receive(&mut self, input: &mut Input<'_>) -> Result<Option<()>, ProxyError> {
        let result = match &mut self.0 {
            Protocol::Http(connect) => connect.receive(input),
            Protocol::Socks5(socks) => socks.receive(input),
            Protocol::Failed(error) => Err(error.clone()),
        };
        result.map_err(|error| {
            input.take_all();
            self.fail(error)
        })
    }

    /// The bytes to write to the proxy. Advance them by what was written; `None` when nothing is
    /// left.
    pub fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        let output = match &mut self.0 {
            Protocol::Http(connect) => connect.output(),
            Protocol::Socks5(socks) => socks.output(),
            Protocol::Failed(_) => return None,
        };
        Some(output).filter(|output| !output.is_empty())
    }

    /// Tells that the transport will deliver no more bytes.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Eof`], or what failed before. Not to be called once the tunnel is there.
    pub fn handle_eof(&mut self) -> Result<(), ProxyError> {
        match &self.0 {
            Protocol::Failed(error) => Err(error.clone()),
            Protocol::Http(_) | Protocol::Socks5(_) => Err(self.fail(ProxyError::Eof)),
        }
    }

    fn fail(&mut self, error: ProxyError) -> ProxyError {
        self.0 = Protocol::Failed(error.clone());
        error
    }
}

impl fmt::Debug for Tunnel {
    /// Not the output, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Tunnel");
        match &self.0 {
            Protocol::Http(_) => tuple.field(&"HTTP"),
            Protocol::Socks5(_) => tuple.field(&"SOCKS5"),
            Protocol::Failed(error) => tuple.field(error),
        };
        tuple.finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    #[test]
    fn urls() {
        for (url, protocol, host, port, user) in [
            ("http://p", ProxyProtocol::Http, "p", 80, None),
            ("HTTP://P:3128/", ProxyProtocol::Http, "p", 3128, None),
            (
                "socks5://1.2.3.4",
                ProxyProtocol::Socks5,
                "1.2.3.4",
                1080,
                None,
            ),
            ("socks5h://[::1]:9", ProxyProtocol::Socks5h, "::1", 9, None),
            (
                "http://a:b@p:1",
                ProxyProtocol::Http,
                "p",
                1,
                Some(("a", "b")),
            ),
            ("http://a@p:1", ProxyProtocol::Http, "p", 1, Some(("a", ""))),
            (
                "http://a%40x:b%3Ac@p:1",
                ProxyProtocol::Http,
                "p",
                1,
                Some(("a@x", "b:c")),
            ),
        ] {
            let proxy = Proxy::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(
                (proxy.protocol(), proxy.host(), proxy.port()),
                (protocol, host, port)
            );
            let found = proxy.credentials.as_ref();
            assert_eq!(found.map(|found| (&*found.user, &*found.password)), user);
            assert!(!format!("{proxy:?}").contains("b:c"));
        }
        for (url, error) in [
            ("p:3128", ProxyUrlError::Scheme),
            ("", ProxyUrlError::Syntax),
            ("https://p", ProxyUrlError::Scheme),
            ("socks4://p", ProxyUrlError::Scheme),
            ("http:p", ProxyUrlError::Path),
            ("http://", ProxyUrlError::Host),
            ("http://a%20b", ProxyUrlError::Host),
            ("http://p:0", ProxyUrlError::Port),
            ("http://p:70000", ProxyUrlError::Port),
            ("http://p/x", ProxyUrlError::Path),
            ("http://p?x", ProxyUrlError::Path),
            ("http://p#x", ProxyUrlError::Path),
            ("http://a%3Ab:c@p", ProxyUrlError::Credentials),
            ("http://a%0A:c@p", ProxyUrlError::Credentials),
            ("http://a%FF:c@p", ProxyUrlError::Credentials),
            ("socks5://a@p", ProxyUrlError::Credentials),
        ] {
            assert_eq!(Proxy::parse(url), Err(error), "{url:?}");
        }
        let long = String::from_utf8([b'x'; 256].to_vec()).unwrap();
        let proxy = Proxy::parse("socks5://p").unwrap();
        assert_eq!(
            proxy.with_credentials("a", &long),
            Err(ProxyUrlError::Credentials)
        );
    }

    #[test]
    fn targets() {
        let proxy = Proxy::parse("http://p").unwrap();
        for (host, port) in [
            ("", 80),
            ("h", 0),
            ("a b", 80),
            ("a\r\nb", 80),
            ("[::1]", 80),
        ] {
            let refused = Tunnel::new(&proxy, host, port).map(drop);
            assert_eq!(refused, Err(ProxyError::Target), "{host:?}");
        }
        let long = String::from_utf8([b'x'; 256].to_vec()).unwrap();
        assert!(Tunnel::new(&proxy, &long, 80).is_err());
    }
}
