//! Writing heads: the headers that an application adds, and the text around them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

use crate::error::HeaderError;
use crate::http::token::{is_field_value, is_token};
use crate::http::{Name, debug_fields, is_secret};

/// Header lines that an application wants to send. Kept as given, checked before anything is
/// written.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(Vec<(Box<str>, Box<[u8]>)>);

impl Headers {
    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.into(), value.into()));
    }

    /// Removes what is for one server only.
    pub(super) fn remove_secrets(&mut self) {
        self.0.retain(|(name, _)| !is_secret(name));
    }

    /// Adds a field by the name that it has in HTTP/2: in lower case.
    pub(super) fn push_lower(&mut self, name: &str, value: &[u8]) {
        self.push(&name.to_ascii_lowercase(), value);
    }

    /// Refuses what would break out of its line, or change what the message means (HARDENING A1.19
    /// to A1.22).
    pub(super) fn validate(&self, reserved: &[&str]) -> Result<(), HeaderError> {
        for (name, value) in self.iter() {
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

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many bytes [`write`](Self::write) adds.
    pub(super) fn len(&self) -> usize {
        self.iter().map(|(name, value)| line_len(name, value)).sum()
    }

    pub(super) fn write(&self, head: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            write_line(head, name, value);
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_fields(self.iter(), f)
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

/// A whole head, in memory of just its size: what it starts with, further lines, and what the
/// application adds.
pub(super) fn write_head(start: &[&[u8]], lines: &[Option<Line<'_>>], headers: &Headers) -> Bytes {
    const END: &[u8] = b"\r\n";
    let lines = || lines.iter().flatten();
    let start_len: usize = start.iter().map(|part| part.len()).sum();
    let lines_len: usize = lines().map(|line| line_len(line.0, line.1)).sum();
    let mut head = Vec::with_capacity(start_len + lines_len + headers.len() + END.len());
    for part in start {
        head.extend_from_slice(part);
    }
    for (name, value) in lines() {
        write_line(&mut head, name, value);
    }
    headers.write(&mut head);
    head.extend_from_slice(END);
    head.into()
}

/// A line with this value, if there is one.
pub(super) fn line(name: Name, value: Option<&str>) -> Option<Line<'_>> {
    value.map(|value| (name.as_str(), value.as_bytes()))
}

/// The name and the value of a header.
pub(super) type Line<'a> = (&'a str, &'a [u8]);

/// How many bytes [`write_line`] adds.
pub(super) const fn line_len(name: &str, value: &[u8]) -> usize {
    name.len() + b": ".len() + value.len() + b"\r\n".len()
}

pub(super) fn write_line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}
