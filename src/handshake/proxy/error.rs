//! Why there is no tunnel.

use alloc::boxed::Box;
use core::fmt;

use crate::error::HandshakeError;
use crate::http::Response;

/// Why a proxy gave no tunnel. Terminal: once returned, every later call repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// The server's name or port cannot be asked for. Nothing was sent.
    Target,
    /// An HTTP proxy answered with another status than 2xx: with 407 it wants credentials or others,
    /// with 502 and 504 it did not reach the server. The response has no body.
    Refused(Box<Response>),
    /// The answer of an HTTP proxy is no valid response.
    Http(HandshakeError),
    /// The answer of a SOCKS proxy does not fit its protocol (RFC 1928), or is of another version.
    Malformed,
    /// A SOCKS proxy wants a user name and password, or another kind of authentication.
    Authentication,
    /// A SOCKS proxy does not know these credentials (RFC 1929).
    Credentials,
    /// A SOCKS proxy reports that there is no connection to the server.
    Failed(SocksFailure),
    /// The transport ended before there was a tunnel.
    Eof,
}

/// Why a SOCKS proxy has no connection to the server (RFC 1928 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksFailure {
    /// 1: the proxy itself failed.
    General,
    /// 2: its rules do not allow the connection.
    NotAllowed,
    /// 3: the network is not reachable.
    NetworkUnreachable,
    /// 4: the host is not reachable.
    HostUnreachable,
    /// 5: the server refused the connection.
    ConnectionRefused,
    /// 6: it took too long.
    TtlExpired,
    /// 7: the proxy knows no CONNECT.
    CommandNotSupported,
    /// 8: the proxy does not know this kind of address.
    AddressNotSupported,
    /// A number that means nothing yet.
    Other(u8),
}

/// What is wrong with the URL of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It is no URL.
    Syntax,
    /// The scheme is not `http`, `socks5` or `socks5h`.
    Scheme,
    /// There is no host, or one that cannot be looked up.
    Host,
    /// The port is 0 or above 65535.
    Port,
    /// There is a path, a query or a fragment.
    Path,
    /// The user name or the password cannot be sent.
    Credentials,
}

impl SocksFailure {
    pub(super) const fn from_reply(reply: u8) -> Self {
        match reply {
            1 => Self::General,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressNotSupported,
            other => Self::Other(other),
        }
    }
}

impl ProxyError {
    /// The answer of an HTTP proxy that refused.
    pub fn response(&self) -> Option<&Response> {
        if let Self::Refused(response) = self {
            Some(response)
        } else {
            None
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("a proxy cannot be asked for this host and port"),
            Self::Refused(response) => {
                write!(f, "the proxy refused with status {}", response.status())
            }
            Self::Http(error) => write!(f, "the proxy's answer is not valid: {error}"),
            Self::Malformed => f.write_str("the proxy's answer is not valid SOCKS5"),
            Self::Authentication => f.write_str("the proxy wants another authentication"),
            Self::Credentials => f.write_str("the proxy refused the user name or password"),
            Self::Failed(failure) => write!(f, "the proxy has no connection: {failure}"),
            Self::Eof => f.write_str("the proxy ended the connection"),
        }
    }
}

impl fmt::Display for SocksFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::General => "general failure",
            Self::NotAllowed => "not allowed",
            Self::NetworkUnreachable => "the network is unreachable",
            Self::HostUnreachable => "the host is unreachable",
            Self::ConnectionRefused => "the connection was refused",
            Self::TtlExpired => "it took too long",
            Self::CommandNotSupported => "the command is not supported",
            Self::AddressNotSupported => "the kind of address is not supported",
            Self::Other(reply) => return write!(f, "reply {reply}"),
        })
    }
}

impl fmt::Display for ProxyUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "not a URL",
            Self::Scheme => "the scheme of a proxy is http, socks5 or socks5h",
            Self::Host => "the URL of the proxy has no valid host",
            Self::Port => "the URL of the proxy has no valid port",
            Self::Path => "the URL of a proxy has no path, query or fragment",
            Self::Credentials => "the user name or password for the proxy cannot be sent",
        })
    }
}

impl core::error::Error for ProxyError {}

impl core::error::Error for ProxyUrlError {}
