//! What the program's exit code says, and the errors behind it.

use std::fmt;
use std::io;
use std::process::ExitCode;

use sockeye::connector::ConnectError;
use sockeye::handshake::{HeaderError, RequestError, Response, UrlError};
use sockeye::proxy::ProxyError;
use sockeye::{CapacityError, CloseCode, Error, HandshakeError, SocketError};

use crate::output::printable;

/// For the end of `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done, and connections were closed with 1000, 1001 or no code
  1    usage: arguments, the URL, a header, or input that cannot be sent
  2    transport: no such host, nobody listens, TLS failed, the connection broke, nobody reads stdout
  3    the server refused the opening handshake, or got it wrong
  4    the peer broke the protocol or a limit; `inspect`: a rule is violated
  5    timeout: connecting, a pong, or the closing handshake
  6    closed with another code, or without a closing handshake (1006)
  130  interrupted twice, or before it was connected";

/// EMFILE of all Unix systems: every connection takes a file descriptor.
const TOO_MANY_FILES: i32 = 24;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Usage = 1,
    Transport = 2,
    Refused = 3,
    Protocol = 4,
    Timeout = 5,
    Closed = 6,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program ends early: one line, what may help, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The end of a connection that was closed otherwise than with 1000, 1001 or no code.
    pub(crate) fn closed(code: CloseCode, reason: &str) -> Self {
        let reason = match reason {
            "" => String::new(),
            reason => format!(": {}", printable(reason)),
        };
        let meaning = meaning(code).map_or_else(String::new, |meaning| format!(" ({meaning})"));
        Self::new(
            Exit::Closed,
            format!("the peer closed with {code}{meaning}{reason}"),
        )
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub(crate) fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::TimedOut => Exit::Timeout,
            _ => Exit::Transport,
        };
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => Some("nobody listens there; is the port right?"),
            _ if error.raw_os_error() == Some(TOO_MANY_FILES) => Some("see `ulimit -n`"),
            _ => None,
        };
        let failure = Self::new(exit, error.to_string());
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        let message = error.to_string();
        match error {
            SocketError::Io(error) => error.into(),
            SocketError::Url(error) => error.into(),
            SocketError::Request(error) => error.into(),
            SocketError::Connect(error) => error.into(),
            SocketError::Handshake(error) => error.into(),
            SocketError::Connection(error) => error.into(),
            // Answers, messages, and what other versions of the library may find.
            _ => Self::usage(message),
        }
    }
}

impl From<UrlError> for Failure {
    fn from(error: UrlError) -> Self {
        let failure = Self::usage(error.to_string());
        match error {
            UrlError::Userinfo => failure.with_hint("give them with --user"),
            UrlError::Scheme => failure.with_hint("URLs are as ws://host:port/path"),
            _ => failure,
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let failure = Self::usage(error.to_string());
        match error {
            RequestError::Header(HeaderError::Reserved) => {
                failure.with_hint("see --origin, --subprotocol, --user and --compress")
            }
            _ => failure,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let message = printable(&error.to_string()).to_string();
        match error {
            ConnectError::Timeout(_) => {
                Self::new(Exit::Timeout, message).with_hint("--connect-timeout gives it more time")
            }
            ConnectError::Redirect { .. } => Self::new(Exit::Refused, message),
            ConnectError::Tls(_) => Self::new(Exit::Transport, message)
                .with_hint("see --ca, and --insecure for tests; or is it a server for ws://?"),
            ConnectError::Proxy(error) => match error {
                ProxyError::Authentication | ProxyError::Credentials => wants_credentials(message),
                ProxyError::Refused(response) if response.status() == 407 => {
                    wants_credentials(message)
                }
                _ => Self::new(Exit::Transport, message),
            },
            ConnectError::Resolve(_) => {
                Self::new(Exit::Transport, message).with_hint("is the host's name right?")
            }
            ConnectError::Tcp(error) | ConnectError::Unix(error) => {
                let mut failure = Self::from(error);
                failure.message = message;
                failure
            }
            _ => Self::new(Exit::Transport, message),
        }
    }
}

fn wants_credentials(message: String) -> Failure {
    Failure::new(Exit::Transport, message)
        .with_hint("they are as --proxy http://user:password@host")
}

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Self {
        let message = error.to_string();
        match error {
            HandshakeError::Timeout => Self::new(Exit::Timeout, message)
                .with_hint("is it a WebSocket server? --connect-timeout gives it more time"),
            HandshakeError::Eof => Self::new(Exit::Transport, message)
                .with_hint("is it a server for TLS, or no WebSocket server?"),
            HandshakeError::Refused(response) => refused(&response),
            HandshakeError::Malformed => Self::new(Exit::Refused, message)
                .with_hint("is it an HTTP server, and without TLS?"),
            _ => Self::new(Exit::Refused, message),
        }
    }
}

fn refused(response: &Response) -> Failure {
    let reason = match response.reason() {
        "" => String::new(),
        reason => format!(" {}", printable(reason)),
    };
    let failure = Failure::new(
        Exit::Refused,
        format!("the server refused with {}{reason}", response.status()),
    );
    let location = response
        .header("Location")
        .map(|location| printable(&String::from_utf8_lossy(location)).to_string());
    match (response.status(), location) {
        (300..=399, Some(location)) => {
            failure.with_hint(format!("it is at {location}; -L follows"))
        }
        (200..=299, _) => failure.with_hint("a web server, but no WebSocket at this path"),
        (401, _) => failure.with_hint("it wants --user, or --header 'Authorization: ...'"),
        (403, _) => failure.with_hint("it may want another --origin, or --user"),
        (404, _) => failure.with_hint("is the path right?"),
        (400 | 426, _) => failure.with_hint("it may want a --subprotocol; -v shows its answer"),
        _ => failure,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Timeout(_) => Self::new(Exit::Timeout, message),
            Error::Eof => Self::new(Exit::Closed, message),
            Error::Capacity(CapacityError::FrameTooLarge | CapacityError::MessageTooLarge) => {
                Self::new(Exit::Protocol, message).with_hint("--max-message sets it")
            }
            // 1002 and 1007, and limits.
            _ => Self::new(Exit::Protocol, message),
        }
    }
}

/// What a close code stands for (RFC 6455 section 7.4.1 and the IANA registry).
pub(crate) fn meaning(code: CloseCode) -> Option<&'static str> {
    Some(match u16::from(code) {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1005 => "no code",
        1006 => "abnormal closure",
        1007 => "invalid payload",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "an extension is required",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        1015 => "TLS handshake failed",
        3000..=3999 => "registered for a library or framework",
        4000..=4999 => "the application's own",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (error, exit) in [
            (SocketError::Url(UrlError::Scheme), Exit::Usage),
            (
                SocketError::Handshake(HandshakeError::Timeout),
                Exit::Timeout,
            ),
            (SocketError::Handshake(HandshakeError::Eof), Exit::Transport),
            (
                SocketError::Handshake(HandshakeError::AcceptMismatch),
                Exit::Refused,
            ),
            (SocketError::Connection(Error::InvalidUtf8), Exit::Protocol),
            (SocketError::Connection(Error::Eof), Exit::Closed),
            (
                SocketError::Io(io::ErrorKind::ConnectionRefused.into()),
                Exit::Transport,
            ),
            (
                SocketError::Io(io::ErrorKind::TimedOut.into()),
                Exit::Timeout,
            ),
        ] {
            assert_eq!(Failure::from(error).exit(), exit);
        }
    }

    #[test]
    fn what_the_peer_says_is_escaped() {
        let failure = Failure::closed(CloseCode::from(4001), "\x1b[2J");
        assert!(!failure.to_string().contains('\x1b'));
    }
}
