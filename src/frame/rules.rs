//! What a receiver demands of every frame header.

use super::opcode::{MAX_CONTROL_PAYLOAD, OpCode};
use crate::error::ProtocolError;

/// What a receiver demands of every frame header (RFC 6455 sections 5.1, 5.2, 5.4 and 5.5).
///
/// Opcodes, control frames and lengths are always checked. The masking direction depends on who
/// receives, the reserved bits on the extensions that were negotiated.
///
/// ```
/// use sockeye::ProtocolError;
/// use sockeye::frame::{Header, Rules};
///
/// let unmasked = [0x81, 0x05];
/// assert_eq!(
///     Header::decode(&unmasked, &Rules::server()),
///     Err(ProtocolError::Unmasked)
/// );
/// assert!(Header::decode(&unmasked, &Rules::client()).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    masking: Masking,
    rsv: u8,
}

impl Rules {
    /// Rules with this demand on masking, and no reserved bit allowed.
    #[inline]
    pub const fn new(masking: Masking) -> Self {
        Self { masking, rsv: 0 }
    }

    /// What a server receives: every frame is masked (RFC 6455 section 5.1).
    #[inline]
    pub const fn server() -> Self {
        Self::new(Masking::Required)
    }

    /// What a client receives: no frame is masked (RFC 6455 section 5.1).
    #[inline]
    pub const fn client() -> Self {
        Self::new(Masking::Forbidden)
    }

    /// Masked or not, for an observer of both directions.
    #[inline]
    pub const fn any() -> Self {
        Self::new(Masking::Any)
    }

    /// Sets which reserved bits a frame may have, such as [`Header::RSV1`](super::Header::RSV1);
    /// combine them with `|`.
    ///
    /// They may be set on the first frame of a message only. On a continuation or control frame
    /// they are always refused, as RFC 7692 section 6.1 has it.
    #[inline]
    #[must_use]
    pub const fn with_rsv(mut self, bits: u8) -> Self {
        self.rsv = bits & 0b111;
        self
    }

    /// The demand on masking.
    #[inline]
    pub const fn masking(&self) -> Masking {
        self.masking
    }

    /// The reserved bits that are allowed at the start of a message.
    #[inline]
    pub const fn rsv(&self) -> u8 {
        self.rsv
    }

    /// Checks what the first byte of a header says.
    #[inline]
    pub(super) const fn check_kind(
        &self,
        fin: bool,
        rsv: u8,
        opcode: OpCode,
    ) -> Result<(), ProtocolError> {
        // 6455-5.2-02, 6455-5.2-03, 7692-6.1-03, 7692-6.1-04
        let allowed = if opcode.starts_message() { self.rsv } else { 0 };
        if rsv & !allowed != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        // 6455-5.4-04, 6455-5.5-01
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        Ok(())
    }

    /// Checks what the second byte of a header says. For `len` its 7 bits are enough.
    #[inline]
    pub(super) const fn check_size(
        &self,
        opcode: OpCode,
        masked: bool,
        len: u64,
    ) -> Result<(), ProtocolError> {
        match self.masking {
            // 6455-5.1-03
            Masking::Required if !masked => return Err(ProtocolError::Unmasked),
            // 6455-5.1-06
            Masking::Forbidden if masked => return Err(ProtocolError::Masked),
            Masking::Required | Masking::Forbidden | Masking::Any => {}
        }
        // 6455-5.5-01
        if opcode.is_control() && len > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlTooLong);
        }
        Ok(())
    }
}

/// Whether frames must be masked (RFC 6455 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no fourth demand on one bit"
)]
pub enum Masking {
    /// Every frame must be: it comes from a client.
    Required,
    /// No frame may be: it comes from a server.
    Forbidden,
    /// Either is fine.
    Any,
}
