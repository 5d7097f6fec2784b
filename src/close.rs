//! Close codes and the body of a Close frame (RFC 6455 sections 5.5.1 and 7.4).

use alloc::boxed::Box;
use core::fmt;

use crate::error::{Error, ProtocolError};

/// The longest reason in bytes: a control frame's 125 less the code's 2 (RFC 6455 section 5.5).
pub const MAX_REASON_LEN: usize = 123;

/// Why a connection was closed (RFC 6455 section 7.4).
///
/// Any 16-bit number fits, because that is what a peer can write;
/// [`is_sendable`](Self::is_sendable) tells which ones may be on the wire.
///
/// ```
/// use sockeye::CloseCode;
///
/// assert!(CloseCode::NORMAL.is_sendable());
/// assert!(CloseCode::from(4001).is_sendable());
/// assert!(!CloseCode::ABNORMAL.is_sendable());
/// assert_eq!(u16::from(CloseCode::GOING_AWAY), 1001);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection was fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down, or a browser left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that this endpoint does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the Close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the transport ended without a Close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message that breaks this endpoint's rules.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    pub const EXTENSION_REQUIRED: Self = Self(1010);
    /// 1011: an unexpected condition at the sending endpoint (widened to both roles by erratum
    /// 3227).
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from upstream (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_FAILED: Self = Self(1015);

    /// Whether the code may be in a Close frame.
    ///
    /// These are 1000 to 1003, 1007 to 1014, and 3000 to 4999. Everything else is reserved,
    /// unassigned or out of range (RFC 6455 section 7.4.2); a peer that sends it breaks the
    /// protocol.
    pub const fn is_sendable(self) -> bool {
        // 6455-7.4.1-04 to -10, 6455-7.4.2-01 to -04: the one table of codes.
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a peer's Close frame said.
///
/// The reason is for logs; RFC 6455 section 5.5.1 forbids showing it to end users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: Box<str>,
}

impl CloseFrame {
    /// The frame's code, or [`CloseCode::NO_STATUS`] if it was empty (RFC 6455 section 7.1.5).
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// The frame's reason, at most 123 bytes; empty if it had none.
    pub const fn reason(&self) -> &str {
        &self.reason
    }

    /// Reads the payload of a Close frame.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Error> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            // 6455-5.5.1-02: a body starts with two bytes of code, so one byte alone is none.
            return if payload.is_empty() {
                Ok(Self {
                    code: CloseCode::NO_STATUS,
                    reason: Box::default(),
                })
            } else {
                Err(ProtocolError::CloseLength.into())
            };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_sendable() {
            return Err(ProtocolError::CloseCode(code).into());
        }
        // 6455-5.5.1-03, 6455-8.1-01: the reason is UTF-8.
        let reason = core::str::from_utf8(reason).map_err(|_| Error::InvalidUtf8)?;
        Ok(Self {
            code,
            reason: reason.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sendable_codes() {
        // HARDENING C-10 to C-14.
        for code in [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert!(!CloseCode(code).is_sendable(), "{code}");
            let body = code.to_be_bytes();
            assert_eq!(
                CloseFrame::parse(&body),
                Err(ProtocolError::CloseCode(CloseCode(code)).into())
            );
        }
        for code in (1000..=1003)
            .chain(1007..=1014)
            .chain([3000, 3999, 4000, 4999])
        {
            assert!(CloseCode(code).is_sendable(), "{code}");
            assert_eq!(
                CloseFrame::parse(&code.to_be_bytes()).unwrap().code(),
                CloseCode(code)
            );
        }
    }

    #[test]
    fn bodies() {
        // HARDENING C-01 to C-08.
        let empty = CloseFrame::parse(b"").unwrap();
        assert_eq!((empty.code(), empty.reason()), (CloseCode::NO_STATUS, ""));
        assert_eq!(
            CloseFrame::parse(&[3]),
            Err(ProtocolError::CloseLength.into())
        );
        let hello = CloseFrame::parse(b"\x03\xe8hello").unwrap();
        assert_eq!((hello.code(), hello.reason()), (CloseCode::NORMAL, "hello"));
        assert_eq!(
            CloseFrame::parse(b"\x03\xe8\xce\xba").unwrap().reason(),
            "κ"
        );
        for bad in [&b"\xed\xa0\x80"[..], b"\xc3\x28", b"\xe2\x82"] {
            let body = [b"\x03\xe8", bad].concat();
            assert_eq!(CloseFrame::parse(&body), Err(Error::InvalidUtf8));
        }
    }
}
