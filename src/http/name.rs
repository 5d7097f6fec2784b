//! The header fields that a handshake looks at.

use super::token::is_folded;
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
        // 6455-4.1-45: names ignore ASCII case.
        match name.len() {
            4 => is_folded(name, b"host").then_some(Self::Host),
            6 if is_folded(name, b"expect") => Some(Self::Expect),
            6 => is_folded(name, b"origin").then_some(Self::Origin),
            7 if is_folded(name, b"trailer") => Some(Self::Trailer),
            7 => is_folded(name, b"upgrade").then_some(Self::Upgrade),
            10 => is_folded(name, b"connection").then_some(Self::Connection),
            14 => is_folded(name, b"content-length").then_some(Self::ContentLength),
            17 if is_folded(name, b"transfer-encoding") => Some(Self::TransferEncoding),
            17 => is_folded(name, b"sec-websocket-key").then_some(Self::Key),
            20 => is_folded(name, b"sec-websocket-accept").then_some(Self::Accept),
            21 => is_folded(name, b"sec-websocket-version").then_some(Self::Version),
            22 => is_folded(name, b"sec-websocket-protocol").then_some(Self::Protocol),
            24 => is_folded(name, b"sec-websocket-extensions").then_some(Self::Extensions),
            _ => None,
        }
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

    /// How many there are.
    pub(super) const COUNT: usize = 13;

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
            bits |= name.bit();
        }
        assert_eq!(names.len(), Name::COUNT);
        assert_eq!(bits, (1 << Name::COUNT) - 1);
        for other in [&b""[..], b"Cookie", b"Sec-WebSocket-Kex", b"H\xf6st"] {
            assert_eq!(Name::of(other), None);
        }
    }
}
