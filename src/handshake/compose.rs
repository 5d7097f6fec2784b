//! Writing heads: the headers that an application adds, and the text around them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::error::HeaderError;
use crate::http::debug_fields;
use crate::http::token::{is_field_value, is_token};

/// Header lines that an application wants to send. Kept as given, checked before anything is
/// written.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(Vec<(Box<str>, Box<[u8]>)>);

impl Headers {
    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.into(), value.into()));
    }

    /// Refuses what would break out of its line, or change what the message means (HARDENING A1.19
    /// to A1.22).
    pub(super) fn validate(&self, reserved: &[&str]) -> Result<(), HeaderError> {
        for (name, value) in &self.0 {
            if !is_token(name.as_bytes()) {
                return Err(HeaderError::Name);
            }
            if !is_field_value(value) {
                return Err(HeaderError::Value);
            }
            if is_reserved(name, reserved) {
                return Err(HeaderError::Reserved);
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, head: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            write_line(head, name, value);
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_fields(self.0.iter().map(|(name, value)| (&**name, &**value)), f)
    }
}

/// Whether only the handshake itself may write this header.
fn is_reserved(name: &str, reserved: &[&str]) -> bool {
    const PREFIX: &str = "Sec-WebSocket-";
    // The framing of the message, and what the upgrade consists of.
    const ALWAYS: [&str; 5] = [
        "Connection",
        "Content-Length",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    ];
    name.get(..PREFIX.len())
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
        || ALWAYS
            .iter()
            .chain(reserved)
            .any(|known| known.eq_ignore_ascii_case(name))
}

pub(super) fn write_line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}
