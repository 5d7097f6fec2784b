//! The header fields that a handshake looks at.

use crate::error::Field;

/// A header field that this crate itself looks for. A head is asked for each of them, often in vain,
/// so its lines are told apart once, when they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Accept,
    Connection,
    ContentLength,
    Expect,
    Extensions,
    Host,
    Key,
    Origin,
    Protocol,
    Trailer,
    TransferEncoding,
    Upgrade,
    Version,
}

impl Name {
    /// Which one `name` is, in any case.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        // Length and first letter leave one candidate.
        let known = match (name.len(), name.first()?.to_ascii_lowercase()) {
            (4, b'h') => Self::Host,
            (6, b'e') => Self::Expect,
            (6, b'o') => Self::Origin,
            (7, b't') => Self::Trailer,
            (7, b'u') => Self::Upgrade,
            (10, b'c') => Self::Connection,
            (14, b'c') => Self::ContentLength,
            (17, b's') => Self::Key,
            (17, b't') => Self::TransferEncoding,
            (20, b's') => Self::Accept,
            (21, b's') => Self::Version,
            (22, b's') => Self::Protocol,
            (24, b's') => Self::Extensions,
            _ => return None,
        };
        // 6455-4.1-45: names ignore ASCII case.
        name.eq_ignore_ascii_case(known.as_str().as_bytes())
            .then_some(known)
    }

    /// As it is on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => Field::Accept.name(),
            Self::Connection => Field::Connection.name(),
            Self::ContentLength => "Content-Length",
            Self::Expect => "Expect",
            Self::Extensions => "Sec-WebSocket-Extensions",
            Self::Host => Field::Host.name(),
            Self::Key => Field::Key.name(),
            Self::Origin => Field::Origin.name(),
            Self::Protocol => Field::Protocol.name(),
            Self::Trailer => "Trailer",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::Upgrade => Field::Upgrade.name(),
            Self::Version => Field::Version.name(),
        }
    }

    /// The set with this name alone.
    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl From<Field> for Name {
    fn from(field: Field) -> Self {
        match field {
            Field::Accept => Self::Accept,
            Field::Connection => Self::Connection,
            Field::Host => Self::Host,
            Field::Key => Self::Key,
            Field::Origin => Self::Origin,
            Field::Protocol => Self::Protocol,
            Field::Upgrade => Self::Upgrade,
            Field::Version => Self::Version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_in_any_case() {
        let names = [
            Name::Accept,
            Name::Connection,
            Name::ContentLength,
            Name::Expect,
            Name::Extensions,
            Name::Host,
            Name::Key,
            Name::Origin,
            Name::Protocol,
            Name::Trailer,
            Name::TransferEncoding,
            Name::Upgrade,
            Name::Version,
        ];
        let mut bits = 0;
        for name in names {
            let text = name.as_str();
            for spelling in [text.into(), text.to_lowercase(), text.to_uppercase()] {
                assert_eq!(Name::of(spelling.as_bytes()), Some(name));
                let longer = [spelling.as_bytes(), b"x"].concat();
                assert_ne!(Name::of(&longer), Some(name));
                assert_ne!(Name::of(&longer[1..]), Some(name));
            }
            assert_eq!(bits & name.bit(), 0);
            bits |= name.bit();
        }
        for other in [&b""[..], b"Cookie", b"Sec-WebSocket-Kex", b"H\xf6st"] {
            assert_eq!(Name::of(other), None);
        }
    }
}
