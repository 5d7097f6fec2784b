//! The one error type of the adapters.

use core::fmt;
use std::io;

use super::connector::{ConnectError, Phase};
use crate::backoff::Class;
use crate::handshake::{AnswerError, RequestError, UrlError};
use crate::{Error, HandshakeError, SendError};

/// What can go wrong when a connection runs over real I/O.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocketError {
    /// The transport failed.
    Io(io::Error),
    /// The URL is not valid. Nothing was sent.
    Url(UrlError),
    /// The request could not be made: a header, the origin or a subprotocol is not valid. Nothing
    /// was sent.
    Request(RequestError),
    /// The server could not be reached.
    Connect(ConnectError),
    /// The opening handshake failed.
    Handshake(HandshakeError),
    /// The answer to a request could not be made. Nothing was sent.
    Answer(AnswerError),
    /// The connection failed.
    Connection(Error),
    /// A message could not be sent. The connection goes on.
    Send(SendError),
}

impl SocketError {
    /// Whether an operation of this side's was refused and the connection goes on as before.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::Url(_) | Self::Request(_) | Self::Answer(_) | Self::Send(_)
        )
    }

    /// How far the client came on its way to the server, if this is a failure on the way.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Connect(error) => Some(error.phase()),
            Self::Handshake(_) => Some(Phase::Handshake),
            Self::Io(_)
            | Self::Url(_)
            | Self::Request(_)
            | Self::Answer(_)
            | Self::Connection(_)
            | Self::Send(_) => None,
        }
    }

    /// What this failure is to a client that wants to be connected. The table is in
    /// [`backoff`](crate::backoff#the-table).
    pub fn class(&self) -> Class {
        match self {
            Self::Io(error) => error.kind().into(),
            Self::Connect(error) => error.class(),
            Self::Handshake(error) => error.class(),
            Self::Connection(error) => error.class(),
            Self::Url(_) | Self::Request(_) | Self::Answer(_) | Self::Send(_) => Class::Misuse,
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Url(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Handshake(error) => error.fmt(f),
            Self::Answer(error) => error.fmt(f),
            Self::Connection(error) => error.fmt(f),
            Self::Send(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Url(error) => Some(error),
            Self::Request(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Handshake(error) => Some(error),
            Self::Answer(error) => Some(error),
            Self::Connection(error) => Some(error),
            Self::Send(error) => Some(error),
        }
    }
}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<UrlError> for SocketError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<RequestError> for SocketError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<ConnectError> for SocketError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<HandshakeError> for SocketError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<AnswerError> for SocketError {
    fn from(error: AnswerError) -> Self {
        Self::Answer(error)
    }
}

impl From<Error> for SocketError {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl From<SendError> for SocketError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}
