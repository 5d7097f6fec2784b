//! The one table from failures to classes. The reasons are in the documentation of the module.

use core::time::Duration;

#[cfg(feature = "handshake")]
use super::retry_after::retry_after;
#[cfg(feature = "handshake")]
use crate::proxy::{ProxyError, SocksFailure};
#[cfg(feature = "handshake")]
use crate::{HandshakeError, handshake::Response};

use crate::{CloseCode, Closed, Error, Initiator, Timeout};

/// What kind of failure something is, for whoever thinks of connecting again.
///
/// The table is in the documentation of the [module](super#the-table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever decides must know all that there is"
)]
pub enum Class {
    /// The connection ended as it should. There is nothing to connect again for.
    Done,
    /// The next attempt may succeed.
    Transient,
    /// The next attempt may succeed if it does not come too soon.
    Overloaded {
        /// How long the server asked to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// The next attempt would fail as well.
    Fatal,
    /// This side's code did something wrong.
    Misuse,
}

impl Class {
    /// Whether another attempt is worth it.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Overloaded { .. })
    }
}

impl CloseCode {
    /// What a connection that ended with this code is to a client that wants to be connected.
    pub fn class(self) -> Class {
        match u16::from(self) {
            1000 => Class::Done,
            1001 | 1005 | 1006 | 1011 | 1012 | 1014 => Class::Transient,
            1013 => Class::Overloaded { retry_after: None },
            3000 | 3003 => Class::Fatal,
            3001..=4999 => Class::Transient,
            _ => Class::Fatal,
        }
    }
}

impl Closed {
    /// What the end of a connection is to a client that wants to be connected: the class of this
    /// side's error if that ended it, else [`Class::Done`] if this side closed, though not for a
    /// deadline ([`expired`](Self::expired)), else the class of the close code.
    pub fn class(&self) -> Class {
        match self.error {
            // How the transport ended says nothing if the end was decided before.
            None | Some(Error::Eof | Error::Timeout(Timeout::Close)) => match self.initiator {
                Initiator::Local => match self.expired {
                    Some(Timeout::Idle | Timeout::Lifetime) => Class::Transient,
                    _ => Class::Done,
                },
                Initiator::Peer => self.code().class(),
            },
            Some(error) => error.class(),
        }
    }
}

impl Error {
    /// What this failure is to a client that wants to be connected.
    pub const fn class(&self) -> Class {
        match self {
            Self::Protocol(_) | Self::InvalidUtf8 | Self::InvalidDeflate | Self::Capacity(_) => {
                Class::Fatal
            }
            Self::Policy(_) => Class::Fatal,
            Self::Timeout(_) | Self::Eof => Class::Transient,
        }
    }
}

#[cfg(feature = "handshake")]
impl HandshakeError {
    /// What this failure is to a client that wants to be connected.
    ///
    /// `Retry-After` counts as seconds, or as a date, which is compared with the `Date` of the same
    /// answer: the clock of this side does not matter. Dates in the two formats that RFC 9110
    /// section 5.6.7 forbids to send are ignored.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(response) => class_of_refusal(response),
            Self::Timeout | Self::Eof => Class::Transient,
            Self::Malformed
            | Self::HeadTooLarge
            | Self::TargetTooLong
            | Self::TooManyHeaders
            | Self::Method
            | Self::HttpVersion
            | Self::UnknownProtocol
            | Self::Missing(_)
            | Self::Bad(_)
            | Self::Duplicate(_)
            | Self::Body
            | Self::Expectation
            | Self::Version
            | Self::BadExtension
            | Self::TooManyInformational
            | Self::TooEarly
            | Self::AcceptMismatch
            | Self::UnofferedProtocol
            | Self::UnofferedExtension => Class::Fatal,
        }
    }
}

#[cfg(feature = "handshake")]
impl ProxyError {
    /// What this failure is to a client that wants to be connected. A proxy that did not reach the server
    /// or went away may do better next time; one that does not want the client, or does not understand it,
    /// will not.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(response) => class_of_refusal(response),
            Self::Failed(failure) => match failure {
                SocksFailure::General
                | SocksFailure::NetworkUnreachable
                | SocksFailure::HostUnreachable
                | SocksFailure::ConnectionRefused
                | SocksFailure::TtlExpired => Class::Transient,
                SocksFailure::NotAllowed
                | SocksFailure::CommandNotSupported
                | SocksFailure::AddressNotSupported
                | SocksFailure::Other(_) => Class::Fatal,
            },
            Self::Eof => Class::Transient,
            Self::Target
            | Self::Http(_)
            | Self::Malformed
            | Self::Authentication
            | Self::Credentials => Class::Fatal,
        }
    }
}

#[cfg(feature = "handshake")]
fn class_of_refusal(response: &Response) -> Class {
    let retry_after = retry_after(response.header("Retry-After"), response.header("Date"));
    match response.status() {
        429 | 503 => Class::Overloaded { retry_after },
        501 | 505 | 511 => Class::Fatal,
        408 | 425 | 500..=599 if retry_after.is_some() => Class::Overloaded { retry_after },
        408 | 425 | 500..=599 => Class::Transient,
        _ => Class::Fatal,
    }
}

#[cfg(feature = "std")]
impl From<std::io::ErrorKind> for Class {
    /// What a failure of a transport is to a client that wants to be connected.
    fn from(kind: std::io::ErrorKind) -> Self {
        use std::io::ErrorKind as Kind;
        if matches!(
            kind,
            Kind::InvalidData | Kind::PermissionDenied | Kind::Unsupported
        ) {
            Self::Fatal
        } else if kind == Kind::InvalidInput {
            Self::Misuse
        } else if matches!(
            kind,
            Kind::OutOfMemory | Kind::ResourceBusy | Kind::QuotaExceeded
        ) {
            Self::Overloaded { retry_after: None }
        } else {
            Self::Transient
        }
    }
}
