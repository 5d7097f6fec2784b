//! Where on the way to a server something failed.

use core::fmt;
use std::boxed::Box;
use std::io;

use crate::backoff::Class;
use crate::handshake::{RedirectError, Response};
use crate::proxy::ProxyError;

/// A step on the way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// To look up the host's addresses.
    Resolve,
    /// To connect to one of them.
    Tcp,
    /// To connect to a Unix socket.
    Unix,
    /// To get a tunnel from a proxy.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The opening handshake.
    Handshake,
    /// To follow a redirect.
    Redirect,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the lookup of the host",
            Self::Tcp => "the TCP connection",
            Self::Unix => "the connection to the Unix socket",
            Self::Proxy => "the tunnel through the proxy",
            Self::Tls => "the TLS handshake",
            Self::Handshake => "the opening handshake",
            Self::Redirect => "the redirect",
        })
    }
}

/// Why a server was not reached. What it answered to the opening handshake is a
/// [`HandshakeError`](crate::HandshakeError) instead.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host, or that of the proxy, has no address, as far as can be told.
    Resolve(io::Error),
    /// None of the addresses could be connected to. This is what the last one said.
    Tcp(io::Error),
    /// The proxy gave no tunnel.
    Proxy(ProxyError),
    /// The connection to the proxy failed before there was a tunnel.
    ProxyIo(io::Error),
    /// The Unix socket could not be connected to.
    Unix(io::Error),
    /// There is no TLS session: the certificate is not trusted, is for another name or has expired, or
    /// what answers speaks no TLS. With the features for TLS, what the error holds is mostly a
    /// `rustls::Error`: `tls_error` finds it.
    Tls(io::Error),
    /// The server's answer was a redirect that must not be followed.
    Redirect {
        /// Why.
        error: RedirectError,
        /// The answer.
        response: Box<Response>,
    },
    /// A phase took longer than it may.
    Timeout(Phase),
}

impl ConnectError {
    /// How far it came.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Resolve(_) => Phase::Resolve,
            Self::Tcp(_) => Phase::Tcp,
            Self::Unix(_) => Phase::Unix,
            Self::Proxy(_) | Self::ProxyIo(_) => Phase::Proxy,
            Self::Tls(_) => Phase::Tls,
            Self::Redirect { .. } => Phase::Redirect,
            Self::Timeout(phase) => *phase,
        }
    }

    /// What this failure is to a client that wants to be connected. The table is in
    /// [`backoff`](crate::backoff#the-table).
    pub fn class(&self) -> Class {
        match self {
            Self::Resolve(error)
            | Self::Tcp(error)
            | Self::ProxyIo(error)
            | Self::Unix(error)
            | Self::Tls(error) => error.kind().into(),
            Self::Proxy(error) => error.class(),
            Self::Redirect { .. } => Class::Fatal,
            Self::Timeout(_) => Class::Transient,
        }
    }

    /// What is wrong about TLS, in the words of `rustls`.
    #[cfg(feature = "rustls")]
    pub fn tls_error(&self) -> Option<&rustls::Error> {
        match self {
            Self::Tls(error) => error.get_ref()?.downcast_ref(),
            Self::Resolve(_)
            | Self::Tcp(_)
            | Self::Proxy(_)
            | Self::ProxyIo(_)
            | Self::Unix(_)
            | Self::Redirect { .. }
            | Self::Timeout(_) => None,
        }
    }

    /// The failure of a phase at the transport.
    pub(super) fn from_io(phase: Phase, error: io::Error) -> Self {
        match phase {
            Phase::Resolve => Self::Resolve(error),
            Phase::Unix => Self::Unix(error),
            Phase::Proxy => Self::ProxyIo(error),
            Phase::Tls => Self::Tls(error),
            Phase::Tcp | Phase::Handshake | Phase::Redirect => Self::Tcp(error),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error)
            | Self::Tcp(error)
            | Self::ProxyIo(error)
            | Self::Unix(error)
            | Self::Tls(error) => write!(f, "{} failed: {error}", self.phase()),
            Self::Proxy(error) => error.fmt(f),
            Self::Redirect { error, .. } => error.fmt(f),
            Self::Timeout(phase) => write!(f, "{phase} took too long"),
        }
    }
}

impl core::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Resolve(error)
            | Self::Tcp(error)
            | Self::ProxyIo(error)
            | Self::Unix(error)
            | Self::Tls(error) => Some(error),
            Self::Proxy(error) => Some(error),
            Self::Redirect { error, .. } => Some(error),
            Self::Timeout(_) => None,
        }
    }
}
