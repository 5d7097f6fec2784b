//! What can go wrong, sorted by whose fault it is, and the one table from errors to close codes.
//!
//! * [`Error`]: the peer broke a rule or a limit, or went silent. Terminal: the connection is over.
//! * [`SendError`]: this side asked for something that cannot be done now. The connection goes on.
//! * `HandshakeError`: the opening handshake failed, so there never was a connection.

#[cfg(feature = "handshake")]
mod handshake;

use core::fmt;

use crate::close::CloseCode;
#[cfg(feature = "handshake")]
pub use handshake::*;

/// Why a connection failed. Terminal: once returned, every later call repeats it.
///
/// A connection that the peer closed properly is not an error but an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// Text, or the reason of a Close frame, that is not UTF-8 (RFC 6455 section 8.1).
    InvalidUtf8,
    /// A compressed message that cannot be inflated (RFC 7692 section 7.2.2).
    InvalidDeflate,
    /// Something of the peer's is larger than this endpoint's limits.
    Capacity(CapacityError),
    /// The peer does something more often than this endpoint's limits allow.
    Policy(PolicyError),
    /// A deadline passed.
    Timeout(Timeout),
    /// The transport ended without a Close frame from the peer.
    Eof,
}

impl Error {
    /// The code of the Close frame that tells the peer, if there is one to tell (RFC 6455 section
    /// 7.4.1).
    ///
    /// `None` where no frame can help: the transport ended, or the peer no longer answers.
    pub const fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Protocol(_) => Some(CloseCode::PROTOCOL_ERROR),
            Self::InvalidUtf8 | Self::InvalidDeflate => Some(CloseCode::INVALID_PAYLOAD),
            Self::Capacity(_) => Some(CloseCode::TOO_BIG),
            Self::Policy(_) => Some(CloseCode::POLICY_VIOLATION),
            Self::Timeout(_) | Self::Eof => None,
        }
    }

    /// Whether the peer did something that no correct peer does.
    ///
    /// A message above this endpoint's limits, a silent peer and a broken transport are not that.
    pub const fn is_peer_fault(&self) -> bool {
        matches!(
            self,
            Self::Protocol(_) | Self::InvalidUtf8 | Self::InvalidDeflate
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::InvalidUtf8 => f.write_str("the peer sent text that is not UTF-8"),
            Self::InvalidDeflate => {
                f.write_str("the peer sent a compressed message that is not valid")
            }
            Self::Capacity(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Timeout(timeout) => timeout.fmt(f),
            Self::Eof => f.write_str("the transport ended without a closing handshake"),
        }
    }
}

impl core::error::Error for Error {}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<CapacityError> for Error {
    fn from(error: CapacityError) -> Self {
        Self::Capacity(error)
    }
}

/// A rule of RFC 6455 that the peer broke. Close code 1002.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set to which no extension gave a meaning (section 5.2).
    ReservedBits,
    /// The opcode is 3 to 7 or 11 to 15 (section 5.2).
    ReservedOpcode,
    /// A control frame without FIN (section 5.4).
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload (section 5.5).
    ControlTooLong,
    /// A payload length in more bytes than it needs (section 5.2).
    NonMinimalLength,
    /// A 64-bit payload length with its top bit set (section 5.2).
    LengthMsb,
    /// A frame from a client without a masking key (section 5.1).
    Unmasked,
    /// A frame from a server with a masking key (section 5.1).
    Masked,
    /// A continuation frame, but no message to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message inside an unfinished one (section 5.4).
    ExpectedContinuation,
    /// A Close frame with one byte of payload (section 5.5.1).
    CloseLength,
    /// A Close frame with a code that must not be on the wire (section 7.4).
    CloseCode(CloseCode),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::ReservedBits => "a frame has reserved bits set",
            Self::ReservedOpcode => "a frame has a reserved opcode",
            Self::FragmentedControl => "a control frame is fragmented",
            Self::ControlTooLong => "a control frame is longer than 125 bytes",
            Self::NonMinimalLength => "a payload length is not in its shortest form",
            Self::LengthMsb => "a payload length has its top bit set",
            Self::Unmasked => "a frame from the client is not masked",
            Self::Masked => "a frame from the server is masked",
            Self::UnexpectedContinuation => "a continuation frame continues nothing",
            Self::ExpectedContinuation => "a message starts inside another",
            Self::CloseLength => "a Close frame has half a code",
            Self::CloseCode(code) => return write!(f, "a Close frame has the invalid code {code}"),
        };
        f.write_str(text)
    }
}

impl core::error::Error for ProtocolError {}

/// A limit of [`Limits`](crate::Limits) that the peer went over. Close code 1009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapacityError {
    /// A frame declares more than `max_frame_size` bytes of payload.
    FrameTooLarge,
    /// A message grows beyond `max_message_size` bytes.
    MessageTooLarge,
    /// A compressed message grows faster than `max_inflate_ratio` allows.
    RatioTooHigh,
    /// The connection holds `max_memory` bytes, and the message needs more.
    OutOfMemory,
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FrameTooLarge => "a frame is larger than the limit",
            Self::MessageTooLarge => "a message is larger than the limit",
            Self::RatioTooHigh => "a message is compressed more than the limit allows",
            Self::OutOfMemory => "the connection may not hold more",
        })
    }
}

impl core::error::Error for CapacityError {}

/// A number of [`Limits`](crate::Limits) that the peer went over. Close code 1008.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// A message has more than `max_fragments` frames.
    TooManyFragments,
    /// A message has more than `max_empty_fragments` frames without payload.
    TooManyEmptyFragments,
    /// Messages come faster than `message_rate`.
    MessageRate,
    /// Bytes come faster than `byte_rate`.
    ByteRate,
    /// Pings and pongs come faster than `control_rate`.
    ControlRate,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyFragments => "a message has more fragments than the limit",
            Self::TooManyEmptyFragments => "a message has more empty fragments than the limit",
            Self::MessageRate => "messages come faster than allowed",
            Self::ByteRate => "bytes come faster than allowed",
            Self::ControlRate => "pings and pongs come faster than allowed",
        })
    }
}

impl core::error::Error for PolicyError {}

/// A deadline that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// The opening handshake did not end in time.
    Handshake,
    /// The closing handshake did not end in time.
    Close,
    /// There was no sign of life after a ping.
    Pong,
    /// The transport took nothing of what was to be written.
    Write,
    /// There was no message for too long. The connection is closed with code 1001, which is no
    /// error.
    Idle,
    /// The connection lasted as long as it may. It is closed with code 1001, which is no error.
    Lifetime,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the opening handshake took too long",
            Self::Close => "the closing handshake took too long",
            Self::Pong => "the peer gave no sign of life after a ping",
            Self::Write => "the transport took no output for too long",
            Self::Idle => "there was no message for too long",
            Self::Lifetime => "the connection lasted as long as it may",
        })
    }
}

impl core::error::Error for Timeout {}

/// Why something could not be sent. Nothing went to the peer and the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A Close frame was sent or received, or the connection failed.
    NotOpen,
    /// The output queue is full; try again when some of it was transmitted.
    Full,
    /// A fragmented message must be finished before the next one starts (RFC 6455 section 5.4).
    MessageInProgress,
    /// A fragment's kind differs from that of the message it continues.
    KindMismatch,
    /// The fragments of a text message do not add up to UTF-8 (RFC 6455 section 5.6).
    InvalidUtf8,
    /// More than 125 bytes of payload for a ping or pong, or 123 for the reason of a Close (RFC
    /// 6455 section 5.5).
    ControlTooLong,
    /// A close code that must not be on the wire (RFC 6455 section 7.4).
    InvalidCloseCode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the connection is not open",
            Self::Full => "the output queue is full",
            Self::MessageInProgress => "a fragmented message is not finished",
            Self::KindMismatch => "a fragment has another kind than its message",
            Self::InvalidUtf8 => "a fragmented text message is not UTF-8",
            Self::ControlTooLong => "the payload of a control frame is too long",
            Self::InvalidCloseCode => "the close code must not be sent",
        })
    }
}

impl core::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_of_errors() {
        assert_eq!(
            Error::from(ProtocolError::Unmasked).close_code(),
            Some(CloseCode::PROTOCOL_ERROR)
        );
        assert_eq!(
            Error::InvalidUtf8.close_code(),
            Some(CloseCode::INVALID_PAYLOAD)
        );
        assert_eq!(
            Error::from(CapacityError::FrameTooLarge).close_code(),
            Some(CloseCode::TOO_BIG)
        );
        assert_eq!(Error::Eof.close_code(), None);
        assert_eq!(Error::Timeout(Timeout::Close).close_code(), None);
    }

    #[test]
    fn sizes() {
        assert!(size_of::<Error>() <= 8);
    }
}
