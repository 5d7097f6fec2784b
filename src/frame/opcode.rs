//! What a frame is for.

/// The most bytes of payload in a control frame (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: u64 = 125;

/// What a frame is for (RFC 6455 sections 5.2 and 11.8).
///
/// ```
/// use sockeye::frame::OpCode;
///
/// assert_eq!(OpCode::from_u8(0x9), Some(OpCode::Ping));
/// assert_eq!(OpCode::from_u8(0x3), None);
/// assert!(OpCode::Close.is_control());
/// ```
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the other ten of the sixteen values are refused on the wire"
)]
pub enum OpCode {
    /// 0: the next fragment of a message.
    Continuation = 0x0,
    /// 1: a text message, or its first fragment.
    Text = 0x1,
    /// 2: a binary message, or its first fragment.
    Binary = 0x2,
    /// 8: the closing handshake.
    Close = 0x8,
    /// 9: a request to answer.
    Ping = 0x9,
    /// 10: the answer to a ping, or a heartbeat.
    Pong = 0xa,
}

impl OpCode {
    /// The opcode with this number, if it is not reserved.
    #[inline]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it is a control frame: never fragmented, at most [`MAX_CONTROL_PAYLOAD`] bytes
    /// (RFC 6455 section 5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    /// Whether it starts a message: text or binary.
    #[inline]
    pub const fn starts_message(self) -> bool {
        matches!(self, Self::Text | Self::Binary)
    }
}

impl From<OpCode> for u8 {
    #[inline]
    fn from(opcode: OpCode) -> Self {
        opcode as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_of_sixteen() {
        let known: alloc::vec::Vec<_> = (0..=255).filter_map(OpCode::from_u8).collect();
        assert_eq!(known.len(), 6);
        for opcode in known {
            assert_eq!(OpCode::from_u8(opcode.into()), Some(opcode));
            assert_eq!(opcode.is_control(), u8::from(opcode) >= 8);
        }
    }
}
