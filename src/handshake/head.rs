//! Reading the head of an HTTP/1.1 message as it trickles in.
//!
//! Each byte is looked at once when it arrives: for the ends of lines, for what no line may have,
//! and against the limits. When the head is complete, `httparse` splits the header lines, once.
//! That makes the work linear in the bytes however they are cut up (HARDENING A1.1), and a fault is
//! found at the same byte however they are cut up.
//!
//! `httparse` takes bare line feeds and more than one empty line before the start line, which the
//! scan refuses (K15); the start line is read here, because it is checked as soon as it is
//! complete.

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

use crate::config::Limits;
use crate::error::HandshakeError;
use crate::http::token::is_token;
use crate::http::{FieldSpan, Fields, Span};
use crate::input::Input;

/// Which kind of head is expected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Request,
    Response,
}

/// A complete head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) start: StartLine,
    pub(super) fields: Fields,
}

/// The first line of a head.
#[derive(Clone, Copy, Debug)]
pub(super) enum StartLine {
    /// Of a request, with version 1.1.
    Request { method: Span, target: Span },
    /// Of a response.
    Response {
        status: u16,
        reason: Span,
        /// The version is 1.0.
        is_old: bool,
    },
}

/// A head that is still arriving.
pub(super) struct HeadReader {
    kind: Kind,
    max_size: usize,
    max_headers: usize,
    max_target: usize,
    /// INVARIANT: at most `max_size` long; starts with a whole number of lines of `line`.
    bytes: Vec<u8>,
    /// Where the current line starts in `bytes`.
    line_start: usize,
    /// The first line, once it was complete, and where the second one starts.
    start: Option<(StartLine, usize)>,
    headers: usize,
    /// How many bytes the current line has; some of them may not be in `bytes` yet.
    column: usize,
    after_cr: bool,
    spaces: usize,
    target: usize,
}

impl HeadReader {
    pub(super) fn new(kind: Kind, limits: &Limits) -> Self {
        // Spans are 32 bits wide.
        let widest = u32::MAX as usize;
        Self {
            kind,
            max_size: limits.max_head_size().min(widest),
            max_headers: limits.max_headers(),
            max_target: limits.max_target_size(),
            bytes: Vec::new(),
            line_start: 0,
            start: None,
            headers: 0,
            column: 0,
            after_cr: false,
            spaces: 0,
            target: 0,
        }
    }

    /// Takes bytes up to the end of the head; what follows stays in `input`.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Head>, HandshakeError> {
        while !input.is_empty() {
            let (len, is_line) = self.scan_line(input.as_slice())?;
            self.reserve(len, input.len());
            self.bytes.extend_from_slice(input.take(len));
            if is_line && self.end_line()? {
                return self.parse().map(Some);
            }
        }
        Ok(None)
    }

    /// Looks at bytes up to the end of the line. Returns how many, and whether the end is among
    /// them.
    fn scan_line(&mut self, bytes: &[u8]) -> Result<(usize, bool), HandshakeError> {
        let room = self.max_size - self.bytes.len();
        for (index, &byte) in bytes.iter().enumerate() {
            if index == room {
                return Err(HandshakeError::HeadTooLarge);
            }
            #[cfg(test)]
            crate::steps::looked_at(1);
            if self.after_cr {
                // K15, and HARDENING A1.17: a line ends with both characters or the peer and a
                // proxy may disagree.
                return if byte == b'\n' {
                    Ok((index + 1, true))
                } else {
                    Err(HandshakeError::Malformed)
                };
            }
            self.scan(byte)?;
            self.column += 1;
        }
        Ok((bytes.len(), false))
    }

    /// Looks at one byte that does not end a line.
    fn scan(&mut self, byte: u8) -> Result<(), HandshakeError> {
        let in_start_line = self.start.is_none();
        if byte == b'\r' {
            // RFC 9112 section 2.2: one empty line before a request is overlooked.
            let is_empty = self.column == 0 && in_start_line;
            if is_empty && (self.line_start > 0 || matches!(self.kind, Kind::Response)) {
                return Err(HandshakeError::Malformed);
            }
            self.after_cr = true;
            return Ok(());
        }
        let is_allowed = match (self.kind, in_start_line, self.column) {
            // H-50: garbage shows in its first byte.
            (Kind::Request, true, 0) => is_token(&[byte]),
            (Kind::Response, true, 0) => byte == b'H',
            // 6455-8.1-01: a target is ASCII.
            (Kind::Request, true, _) => matches!(byte, b' '..=b'~'),
            // Not a space either: no folded lines (K15).
            (_, false, 0) => is_token(&[byte]),
            (_, false, _) | (Kind::Response, true, _) => {
                matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
            }
        };
        if !is_allowed {
            return Err(HandshakeError::Malformed);
        }
        if in_start_line && matches!(self.kind, Kind::Request) {
            self.scan_request_line(byte)?;
        }
        Ok(())
    }

    fn scan_request_line(&mut self, byte: u8) -> Result<(), HandshakeError> {
        if byte == b' ' {
            self.spaces += 1;
        } else if self.spaces == 1 {
            self.target += 1;
        }
        if self.target > self.max_target {
            return Err(HandshakeError::TargetTooLong);
        }
        if self.spaces > 2 {
            return Err(HandshakeError::Malformed);
        }
        Ok(())
    }

    /// Grows the buffer, but never beyond the limit.
    fn reserve(&mut self, len: usize, available: usize) {
        let needed = self.bytes.len() + len;
        if needed > self.bytes.capacity() {
            // What is already here is most likely the rest of the head.
            let wanted = (self.bytes.len() + available).max(2 * self.bytes.capacity());
            let capacity = wanted.min(self.max_size).max(needed);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
    }

    /// Judges the line that `bytes` now ends with. Returns whether it ends the head.
    fn end_line(&mut self) -> Result<bool, HandshakeError> {
        // Without the line feed, the carriage return counts as the last column.
        let len = self.column - 1;
        let line = Span::new(self.line_start..self.line_start + len).of(&self.bytes);
        let is_end = len == 0 && self.start.is_some();
        if self.start.is_none() && len > 0 {
            let start = match self.kind {
                Kind::Request => request_line(line, &self.bytes)?,
                Kind::Response => status_line(line, &self.bytes)?,
            };
            self.start = Some((start, self.bytes.len()));
        } else if len > 0 {
            self.headers += 1;
            if self.headers > self.max_headers {
                return Err(HandshakeError::TooManyHeaders);
            }
        }
        self.line_start = self.bytes.len();
        self.column = 0;
        self.after_cr = false;
        Ok(is_end)
    }

    /// Splits the header lines of the complete head.
    fn parse(&mut self) -> Result<Head, HandshakeError> {
        let (start, fields_at) = self.start.take().ok_or(HandshakeError::Malformed)?;
        let head = Bytes::from(core::mem::take(&mut self.bytes));
        let lines = head.get(fields_at..).unwrap_or_default();
        let mut parsed = alloc::vec![httparse::EMPTY_HEADER; self.headers];
        #[cfg(test)]
        crate::steps::looked_at(lines.len());
        match httparse::parse_headers(lines, &mut parsed) {
            Ok(httparse::Status::Complete((len, _))) if len == lines.len() => {}
            _ => return Err(HandshakeError::Malformed),
        }
        let spans = parsed
            .iter()
            .map(|header| FieldSpan {
                name: Span::locate(header.name.as_bytes(), &head),
                value: Span::locate(header.value, &head),
            })
            .collect();
        Ok(Head {
            start,
            fields: Fields::new(head, spans),
        })
    }
}

impl fmt::Debug for HeadReader {
    /// Not the bytes, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadReader")
            .field("kind", &self.kind)
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Reads `method SP target SP version`.
fn request_line(line: &[u8], head: &[u8]) -> Result<StartLine, HandshakeError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HandshakeError::Malformed);
    };
    if !is_token(method) || target.is_empty() {
        return Err(HandshakeError::Malformed);
    }
    match version {
        b"HTTP/1.1" => Ok(StartLine::Request {
            method: Span::locate(method, head),
            target: Span::locate(target, head),
        }),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(HandshakeError::HttpVersion)
        }
        _ => Err(HandshakeError::Malformed),
    }
}

/// Reads `version SP status [SP reason]`; R-07: the space before an empty reason may be missing.
fn status_line(line: &[u8], head: &[u8]) -> Result<StartLine, HandshakeError> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let version = parts.next().unwrap_or_default();
    let is_old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ if version.starts_with(b"HTTP/") => return Err(HandshakeError::HttpVersion),
        _ => return Err(HandshakeError::Malformed),
    };
    let status = match parts.next() {
        Some(&[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => {
            [a, b, c].map(|digit| u16::from(digit - b'0'))
        }
        _ => return Err(HandshakeError::Malformed),
    };
    let [hundreds, tens, ones] = status;
    let reason = parts
        .next()
        .map_or_else(Span::default, |reason| Span::locate(reason, head));
    Ok(StartLine::Response {
        status: hundreds * 100 + tens * 10 + ones,
        reason,
        is_old,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"\r\nGET / HTTP/1.1\r\nHost: h\r\nX:\r\nY: \t a b \t\r\n\r\n";

    /// Feeds `bytes` in pieces of `size`, and counts looks per byte.
    fn read(
        limits: &Limits,
        bytes: &[u8],
        size: usize,
    ) -> (Result<Option<Head>, HandshakeError>, usize) {
        let mut bytes = bytes.to_vec();
        let mut reader = HeadReader::new(Kind::Request, limits);
        crate::steps::count(|| {
            for piece in bytes.chunks_mut(size) {
                let outcome = reader.read(&mut Input::new(piece));
                assert!(reader.bytes.capacity() <= limits.max_head_size());
                if !matches!(outcome, Ok(None)) {
                    return outcome;
                }
            }
            Ok(None)
        })
    }

    #[test]
    fn values_are_trimmed() {
        for size in 1..=HEAD.len() {
            let head = read(&Limits::new(), HEAD, size).0.unwrap().unwrap();
            let fields: Vec<_> = head.fields.iter().collect();
            assert_eq!(fields, [("Host", &b"h"[..]), ("X", b""), ("Y", b"a b")]);
        }
    }

    #[test]
    fn every_byte_is_looked_at_once() {
        // HARDENING A1.1: a head of the largest size in single bytes.
        let limits = Limits::new();
        let filler = alloc::vec![b'x'; limits.max_head_size() - 26];
        let head = [b"GET / HTTP/1.1\r\nHost: ", &filler[..], b"\r\n\r\n"].concat();
        assert_eq!(head.len(), limits.max_head_size());
        for size in [1, 7, head.len()] {
            let (outcome, visits) = read(&limits, &head, size);
            assert!(outcome.unwrap().is_some());
            // And those of header lines once more when they are split.
            let lines = head.len() - "GET / HTTP/1.1\r\n".len();
            assert_eq!(visits, head.len() + lines);
        }
    }

    #[test]
    fn limits_are_exact() {
        let limit = HEAD.len();
        for size in [1, 3, limit] {
            let fits = Limits::new().with_max_head_size(limit);
            assert!(read(&fits, HEAD, size).0.unwrap().is_some());
            let short = Limits::new().with_max_head_size(limit - 1);
            let (outcome, visits) = read(&short, HEAD, size);
            assert_eq!(outcome.unwrap_err(), HandshakeError::HeadTooLarge);
            assert_eq!(visits, limit - 1);
            let few = Limits::new().with_max_headers(2);
            assert_eq!(
                read(&few, HEAD, size).0.unwrap_err(),
                HandshakeError::TooManyHeaders
            );
        }
    }
}
