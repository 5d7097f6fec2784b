//! Reading the head of an HTTP/1.1 message as it trickles in.
//!
//! Each byte is looked at once when it arrives: for the ends of names and lines, for what must not
//! be there, and against the limits. That makes the work linear in the bytes however they are cut up
//! (HARDENING A1.1), and a fault is found at the same byte however they are cut up.
//!
//! A head that comes in one piece is read where it lies, and copied once, when it is complete.

use alloc::vec::Vec;
use core::fmt;

use crate::config::Limits;
use crate::error::HandshakeError;
use crate::http::token::{field_value_len, is_token, token_len, trim};
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
    max_size: usize,
    /// What arrived, unless it is nothing or everything.
    ///
    /// INVARIANT: at most `max_size` long.
    bytes: Vec<u8>,
    lines: LineReader,
}

impl HeadReader {
    pub(super) fn new(kind: Kind, limits: &Limits) -> Self {
        // Spans are 32 bits wide.
        let widest = u32::MAX as usize;
        Self {
            max_size: limits.max_head_size().min(widest),
            bytes: Vec::new(),
            lines: LineReader::new(kind, limits),
        }
    }

    /// Takes bytes up to the end of the head; what follows stays in `input`.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Head>, HandshakeError> {
        let before = self.bytes.len();
        let room = self.max_size - before;
        let available = input.as_slice();
        let allowed = available.get(..room).unwrap_or(available);
        let is_first = self.bytes.is_empty();
        let end = if is_first {
            self.lines.read(allowed)?
        } else {
            self.keep(allowed);
            self.lines.read(&self.bytes)?
        };
        match end {
            Some(end) => {
                let taken = input.take(end - before);
                if is_first {
                    self.bytes = taken.to_vec();
                }
                self.bytes.truncate(end);
                self.finish().map(Some)
            }
            None if available.len() > allowed.len() => Err(HandshakeError::HeadTooLarge),
            None => {
                if is_first {
                    self.keep(allowed);
                }
                input.take_all();
                Ok(None)
            }
        }
    }

    /// Grows the buffer, but never beyond the limit.
    fn keep(&mut self, bytes: &[u8]) {
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            let doubled = (2 * self.bytes.capacity()).min(self.max_size);
            let capacity = doubled.max(needed);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn finish(&mut self) -> Result<Head, HandshakeError> {
        let start = self.lines.start.ok_or(HandshakeError::Malformed)?;
        let bytes = core::mem::take(&mut self.bytes);
        let fields = core::mem::take(&mut self.lines.fields);
        Ok(Head {
            start,
            fields: Fields::new(bytes, fields),
        })
    }
}

impl fmt::Debug for HeadReader {
    /// Not the bytes, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadReader")
            .field("kind", &self.lines.kind)
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Browsers send about so many; more are possible.
const USUAL_HEADERS: usize = 16;

/// Takes a head apart. It is shown all that there is of the head each time, and goes on where it
/// stopped.
struct LineReader {
    kind: Kind,
    max_headers: usize,
    max_target: usize,
    place: Place,
    /// How many bytes were looked at, but for a carriage return after them.
    at: usize,
    line_start: usize,
    spaces: usize,
    target: usize,
    /// The first line, once it is complete.
    start: Option<StartLine>,
    fields: Vec<FieldSpan>,
}

/// Where in a line the next byte is.
#[derive(Clone, Copy)]
enum Place {
    StartLine,
    /// In the name of a header, or at the end of the head.
    Name,
    /// Behind a colon.
    Value {
        name_end: usize,
    },
}

impl LineReader {
    fn new(kind: Kind, limits: &Limits) -> Self {
        Self {
            kind,
            max_headers: limits.max_headers(),
            max_target: limits.max_target_size(),
            place: Place::StartLine,
            at: 0,
            line_start: 0,
            spaces: 0,
            target: 0,
            start: None,
            fields: Vec::new(),
        }
    }

    /// Reads on to the end of the head and returns where it is, or to the end of what there is.
    fn read(&mut self, head: &[u8]) -> Result<Option<usize>, HandshakeError> {
        loop {
            #[cfg(test)]
            let before = self.at;
            self.pass(head)?;
            #[cfg(test)]
            crate::steps::looked_at(self.at - before);
            let rest = head.get(self.at..).unwrap_or_default();
            if rest.first() == Some(&b'\r') && self.is_surplus_line() {
                return Err(HandshakeError::Malformed);
            }
            match rest {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => {}
                // What no line may have. K15, and HARDENING A1.17: a line ends with both characters
                // or the peer and a proxy may disagree.
                _ => return Err(HandshakeError::Malformed),
            }
            let is_end = self.end_line(head)?;
            #[cfg(test)]
            crate::steps::looked_at(2);
            self.at += 2;
            self.line_start = self.at;
            if is_end {
                return Ok(Some(self.at));
            }
        }
    }

    /// Passes what may be in the line.
    fn pass(&mut self, head: &[u8]) -> Result<(), HandshakeError> {
        let rest = head.get(self.at..).unwrap_or_default();
        match self.place {
            Place::StartLine => match self.kind {
                Kind::Request => return self.pass_request_line(rest),
                // H-50: garbage shows in its first byte.
                Kind::Response if self.at > 0 || rest.starts_with(b"H") => {
                    self.at += field_value_len(rest);
                }
                Kind::Response => {}
            },
            // Not a space at the front either: no folded lines (K15).
            Place::Name => match rest.split_at_checked(token_len(rest)) {
                Some((name, [b':', value @ ..])) if self.at + name.len() > self.line_start => {
                    let name_end = self.at + name.len();
                    self.place = Place::Value { name_end };
                    self.at = name_end + 1 + field_value_len(value);
                }
                Some((name, [b'\r', ..])) if self.at + name.len() > self.line_start => {
                    return Err(HandshakeError::Malformed);
                }
                Some((name, _)) => self.at += name.len(),
                None => {}
            },
            Place::Value { .. } => self.at += field_value_len(rest),
        }
        Ok(())
    }

    fn pass_request_line(&mut self, rest: &[u8]) -> Result<(), HandshakeError> {
        for &byte in rest {
            let is_allowed = if self.at == self.line_start {
                is_token(&[byte])
            } else {
                // 6455-8.1-01: a target is ASCII.
                matches!(byte, b' '..=b'~')
            };
            if !is_allowed {
                return Ok(());
            }
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
            self.at += 1;
        }
        Ok(())
    }

    /// Whether the line that ends here is empty and must not be.
    fn is_surplus_line(&self) -> bool {
        // RFC 9112 section 2.2: one empty line before a request is overlooked.
        matches!(self.place, Place::StartLine)
            && self.at == self.line_start
            && (self.line_start > 0 || matches!(self.kind, Kind::Response))
    }

    /// Judges the line that ends here. Returns whether it ends the head.
    fn end_line(&mut self, head: &[u8]) -> Result<bool, HandshakeError> {
        let line = head.get(self.line_start..self.at).unwrap_or_default();
        match self.place {
            Place::StartLine if line.is_empty() => return Ok(false),
            Place::StartLine => {
                self.start = Some(match self.kind {
                    Kind::Request => request_line(line, head)?,
                    Kind::Response => status_line(line, head)?,
                });
                self.fields = Vec::with_capacity(USUAL_HEADERS.min(self.max_headers));
            }
            Place::Name => return Ok(true),
            Place::Value { name_end } => {
                if self.fields.len() == self.max_headers {
                    return Err(HandshakeError::TooManyHeaders);
                }
                let value = trim(head.get(name_end + 1..self.at).unwrap_or_default());
                // The name once more, and the spaces.
                #[cfg(test)]
                crate::steps::looked_at(line.len() - value.len());
                let name = Span::new(self.line_start..name_end);
                let value = Span::locate(value, head);
                self.fields.push(FieldSpan::new(name, value, head));
            }
        }
        self.place = Place::Name;
        Ok(false)
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
            // And the name and the space behind it once more at the end of the line.
            assert_eq!(visits, head.len() + "Host: ".len());
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
            let again = "Host: X:Y: \t \t".len();
            assert_eq!(visits, limit - 1 + again);
            let few = Limits::new().with_max_headers(2);
            assert_eq!(
                read(&few, HEAD, size).0.unwrap_err(),
                HandshakeError::TooManyHeaders
            );
        }
    }
}
