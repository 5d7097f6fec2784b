//! Which rules a header breaks, and where they are written.

use std::fmt;

use sockeye::frame::{Header, Rules};
use sockeye::{CloseCode, Error, ProtocolError};

/// A rule that is broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    what: String,
    section: &'static str,
    /// What whoever receives it closes with.
    code: CloseCode,
}

impl Broken {
    pub(super) fn new(what: impl Into<String>, section: &'static str, code: CloseCode) -> Self {
        Self {
            what: what.into(),
            section,
            code,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            section,
            code,
        } = self;
        write!(f, "{what} ({section}; close code {code})")
    }
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Self {
        let section = match error {
            ProtocolError::ReservedBits
            | ProtocolError::ReservedOpcode
            | ProtocolError::NonMinimalLength
            | ProtocolError::LengthMsb => "RFC 6455 section 5.2",
            ProtocolError::Unmasked | ProtocolError::Masked => "RFC 6455 section 5.1",
            ProtocolError::FragmentedControl
            | ProtocolError::UnexpectedContinuation
            | ProtocolError::ExpectedContinuation => "RFC 6455 section 5.4",
            ProtocolError::ControlTooLong => "RFC 6455 section 5.5",
            ProtocolError::CloseLength => "RFC 6455 section 5.5.1",
            ProtocolError::CloseCode(_) => "RFC 6455 section 7.4",
            _ => "RFC 6455",
        };
        Self::new(error.to_string(), section, CloseCode::PROTOCOL_ERROR)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        let code = error.close_code().unwrap_or(CloseCode::ABNORMAL);
        match error {
            Error::Protocol(error) => error.into(),
            Error::InvalidUtf8 => Self::new("the text is not UTF-8", "RFC 6455 section 8.1", code),
            Error::InvalidDeflate => Self::new(
                "the compressed message is not valid",
                "RFC 7692 section 7.2.2",
                code,
            ),
            _ => Self::new(error.to_string(), "no rule, but a limit", code),
        }
    }
}

/// All rules that a header breaks, where whoever receives it stops at the first one.
pub(super) fn broken_by_header(header: &[u8], mut rules: Rules) -> Vec<Broken> {
    let mut probe = header.to_vec();
    let mut broken = Vec::new();
    // Each turn mends what the turn before found, and there are not more kinds of it.
    while let Err(error) = Header::decode(&probe, &rules)
        && broken.len() < 8
    {
        broken.push(error.into());
        if mend(error, &mut probe, &mut rules).is_none() {
            break;
        }
    }
    broken
}

/// Changes the header so that this one rule holds. `None` where nothing else is left to find.
fn mend(error: ProtocolError, header: &mut [u8], rules: &mut Rules) -> Option<()> {
    let first = header.first_mut()?;
    match error {
        ProtocolError::ReservedOpcode => {
            let opcode = if *first & 0x8 == 0 { 0x2 } else { 0x9 };
            *first = *first & 0xf0 | opcode;
        }
        ProtocolError::ReservedBits => *first &= 0x8f,
        ProtocolError::FragmentedControl => *first |= 0x80,
        ProtocolError::Unmasked | ProtocolError::Masked => {
            *rules = Rules::any().with_rsv(rules.rsv());
        }
        ProtocolError::ControlTooLong => *first = *first & 0xf0 | 0x2,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them() {
        // An unmasked fragmented reserved control frame of 126 bytes, in the form for 64 bits.
        let header = [0x7b, 127, 0, 0, 0, 0, 0, 0, 0, 126];
        let broken = broken_by_header(&header, Rules::server());
        let sections: Vec<_> = broken.iter().map(|broken| broken.section).collect();
        assert_eq!(
            sections,
            [
                "RFC 6455 section 5.2",
                "RFC 6455 section 5.2",
                "RFC 6455 section 5.4",
                "RFC 6455 section 5.1",
                "RFC 6455 section 5.5",
                "RFC 6455 section 5.2",
            ]
        );
    }

    #[test]
    fn every_header_comes_to_an_end() {
        for first in 0..=255 {
            for second in 0..=255 {
                let mut header = [0; 14];
                header[0] = first;
                header[1] = second;
                let rules = Rules::server().with_rsv(Header::RSV1);
                assert!(broken_by_header(&header, rules).len() < 8);
            }
        }
    }
}
