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
use crate::http::token::{
    field_value_len, is_token, is_token_byte, positions, printable_len, trim,
};
use crate::http::{FieldSpan, Fields, Name, Span};
use crate::input::Input;

/// How many informational responses may come before the final one.
pub(super) const MAX_INFORMATIONAL: u32 = 8;

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
        let mut bytes = core::mem::take(&mut self.bytes);
        // It may be kept for long, and what came behind it is not its own.
        if bytes.capacity() / 2 > bytes.len() {
            bytes.shrink_to_fit();
        }
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
    /// How many bytes were looked at.
    at: usize,
    line_start: usize,
    /// Where the spaces of a request line are: before the target, and behind it.
    spaces: [Option<usize>; 2],
    /// The first line, once it is complete.
    start: Option<StartLine>,
    /// Where the name of the current header ends, once its colon came.
    name_end: Option<usize>,
    fields: Vec<FieldSpan>,
}

impl LineReader {
    fn new(kind: Kind, limits: &Limits) -> Self {
        Self {
            kind,
            max_headers: limits.max_headers(),
            max_target: limits.max_target_size(),
            at: 0,
            line_start: 0,
            spaces: [None; 2],
            start: None,
            name_end: None,
            fields: Vec::new(),
        }
    }

    /// Reads on to the end of the head and returns where it is, or to the end of what there is.
    fn read(&mut self, head: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let is_end = self.read_start_line(head)? && self.read_fields(head)?;
        Ok(is_end.then_some(self.at))
    }

    /// Reads on to the end of the first line. Returns whether it is complete.
    fn read_start_line(&mut self, head: &[u8]) -> Result<bool, HandshakeError> {
        while self.start.is_none() {
            self.pass_start_line(head.get(self.at..).unwrap_or_default())?;
            let line = head.get(self.line_start..self.at).unwrap_or_default();
            // RFC 9112 section 2.2: one empty line before a request is overlooked.
            let may_end = !line.is_empty() || (self.at == 0 && matches!(self.kind, Kind::Request));
            match head.get(self.at..).unwrap_or_default() {
                [] => return Ok(false),
                [b'\r'] if may_end => return Ok(false),
                [b'\r', b'\n', ..] if may_end => {}
                _ => return Err(HandshakeError::Malformed),
            }
            if !line.is_empty() {
                self.start = Some(match self.kind {
                    Kind::Request => self.request_line(head)?,
                    Kind::Response => status_line(line, head)?,
                });
                self.fields = Vec::with_capacity(USUAL_HEADERS.min(self.max_headers));
            }
            #[cfg(test)]
            crate::steps::looked_at(2);
            self.at += 2;
            self.line_start = self.at;
        }
        Ok(true)
    }

    /// Passes what the first line may have.
    fn pass_start_line(&mut self, rest: &[u8]) -> Result<(), HandshakeError> {
        let is_first = self.at == self.line_start;
        match (self.kind, rest.first()) {
            // H-50: garbage shows in its first byte.
            (_, None) => return Ok(()),
            (Kind::Request, Some(byte)) if is_first && !is_token_byte(*byte) => return Ok(()),
            (Kind::Response, Some(byte)) if is_first && *byte != b'H' => return Ok(()),
            (Kind::Response, Some(_)) => {
                let len = field_value_len(rest);
                #[cfg(test)]
                crate::steps::looked_at(len);
                self.at += len;
                return Ok(());
            }
            (Kind::Request, Some(_)) => {}
        }
        // 6455-8.1-01: a target is ASCII.
        let (text, _) = rest.split_at(printable_len(rest));
        #[cfg(test)]
        crate::steps::looked_at(text.len());
        let mut has_too_many = false;
        for place in positions(text, |byte| byte == b' ') {
            let at = self.at + place;
            match &mut self.spaces {
                [space @ None, _] | [Some(_), space @ None] => *space = Some(at),
                [Some(_), Some(_)] => has_too_many = true,
            }
        }
        self.at += text.len();
        // A target comes before the last space, so its length is the first fault of the two.
        if let [Some(before), behind] = self.spaces {
            if behind.unwrap_or(self.at) - before - 1 > self.max_target {
                return Err(HandshakeError::TargetTooLong);
            }
        }
        if has_too_many {
            return Err(HandshakeError::Malformed);
        }
        Ok(())
    }

    /// Judges `method SP target SP version`.
    fn request_line(&self, head: &[u8]) -> Result<StartLine, HandshakeError> {
        let [Some(before), Some(behind)] = self.spaces else {
            return Err(HandshakeError::Malformed);
        };
        let method = Span::new(self.line_start..before);
        let target = Span::new(before + 1..behind);
        if !is_token(method.of(head)) || target.of(head).is_empty() {
            return Err(HandshakeError::Malformed);
        }
        match head.get(behind + 1..self.at).unwrap_or_default() {
            b"HTTP/1.1" => Ok(StartLine::Request { method, target }),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                Err(HandshakeError::HttpVersion)
            }
            _ => Err(HandshakeError::Malformed),
        }
    }

    /// Reads on to the end of the head. Returns whether it is there.
    fn read_fields(&mut self, head: &[u8]) -> Result<bool, HandshakeError> {
        let start = self.at;
        let (seen, rest) = head.split_at_checked(start).unwrap_or_default();
        // Of a line end that was cut in two.
        if seen.ends_with(b"\r") && rest.first().is_some_and(|byte| *byte != b'\n') {
            return Err(HandshakeError::Malformed);
        }
        // Colons, and what no value may have.
        let is_control = |byte: u8| byte.is_ascii_control() & (byte != b'\t');
        let is_mark = |byte| is_control(byte) | (byte == b':');
        for place in positions(rest, is_mark) {
            let at = start + place;
            match rest.get(place) {
                Some(b':') => {
                    self.name_end.get_or_insert(at);
                }
                Some(b'\r') if matches!(rest.get(place + 1), Some(b'\n') | None) => {}
                Some(b'\n') if at > 0 && head.get(at - 1) == Some(&b'\r') => {
                    self.at = at + 1;
                    if self.end_line(head, at - 1)? {
                        #[cfg(test)]
                        crate::steps::looked_at(self.at - start);
                        return Ok(true);
                    }
                }
                // K15, and HARDENING A1.17: a line ends with both characters or the peer and a
                // proxy may disagree.
                _ => return Err(HandshakeError::Malformed),
            }
        }
        self.at = head.len();
        #[cfg(test)]
        crate::steps::looked_at(rest.len());
        // Garbage shows in its first byte, and no line is folded (K15).
        match head.get(self.line_start) {
            None | Some(b'\r') => Ok(false),
            Some(byte) if is_token_byte(*byte) => Ok(false),
            Some(_) => Err(HandshakeError::Malformed),
        }
    }

    /// Judges the header line that ends here. Returns whether it is the empty one, after which the
    /// head ends.
    fn end_line(&mut self, head: &[u8], end: usize) -> Result<bool, HandshakeError> {
        let line = head.get(self.line_start..end).unwrap_or_default();
        let Some(name_end) = self.name_end.take() else {
            return if line.is_empty() {
                Ok(true)
            } else {
                Err(HandshakeError::Malformed)
            };
        };
        let name = head.get(self.line_start..name_end).unwrap_or_default();
        let known = Name::of(name);
        if known.is_none() && !is_token(name) {
            return Err(HandshakeError::Malformed);
        }
        if self.fields.len() == self.max_headers {
            return Err(HandshakeError::TooManyHeaders);
        }
        let value = trim(head.get(name_end + 1..end).unwrap_or_default());
        // The name once more, and the spaces.
        #[cfg(test)]
        crate::steps::looked_at(line.len() - value.len());
        self.fields.push(FieldSpan {
            name: Span::new(self.line_start..name_end),
            value: Span::locate(value, head),
            known,
        });
        self.line_start = self.at;
        Ok(false)
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
    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::string::String;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

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

    proptest! {
        #[test]
        fn any_pieces_are_read_like_the_whole(
            lines in vec(line(), 0..6),
            rest in "[ -~\r\n]{0,80}",
            (kind, place, byte) in (any::<bool>(), any::<Index>(), any::<u8>()),
            (max_size, max_headers, max_target) in (1..160_usize, 0..5_usize, 0..40_usize),
            sizes in vec(1..40_usize, 1..8),
            is_limited: bool,
        ) {
            let start = if kind { "GET /chat?a HTTP/1.1" } else { "HTTP/1.1 101 Switching" };
            let kind = if kind { Kind::Request } else { Kind::Response };
            let head = format!("{start}\r\n{}\r\n{rest}", lines.concat());
            let limits = if is_limited {
                let limits = Limits::new().with_max_head_size(max_size);
                limits.with_max_headers(max_headers).with_max_target_size(max_target)
            } else {
                Limits::new()
            };
            let mut broken = head.clone().into_bytes();
            *place.get_mut(&mut broken) = byte;
            for bytes in [head.into_bytes(), broken] {
                let whole = outcome(kind, &limits, &bytes, &[bytes.len()]);
                prop_assert_eq!(outcome(kind, &limits, &bytes, &[1]), whole.clone());
                prop_assert_eq!(outcome(kind, &limits, &bytes, &sizes), whole);
            }
        }

        /// `httparse` is another reader of the same grammar.
        #[test]
        fn fields_are_those_of_another_parser(lines in vec(line(), 0..6)) {
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", lines.concat());
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut theirs = httparse::Request::new(&mut headers);
            let theirs = match theirs.parse(head.as_bytes()) {
                Ok(status) => {
                    prop_assert!(status.is_complete());
                    let headers = theirs.headers.iter();
                    let fields = headers.map(|line| (line.name.to_owned(), line.value.to_vec()));
                    Ok(Some(fields.collect()))
                }
                Err(_) => Err(HandshakeError::Malformed),
            };
            let (ours, _) = outcome(Kind::Request, &Limits::new(), head.as_bytes(), &[7]);
            prop_assert_eq!(ours.map(|head| head.map(|(_, fields)| fields)), theirs);
        }
    }

    /// Mostly a good one.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            9 => "[A-Za-z0-9_.!-]{1,20}:[ \t]{0,2}[ -~]{0,70}[ \t]{0,2}\r\n",
            1 => "[A-Za-z ]{0,5}:?[ -~\t\u{80}\u{7f}]{0,10}\r\n",
        ]
    }

    type Fields = Vec<(String, Vec<u8>)>;

    /// The start line and the fields, or the fault, and how many bytes were taken.
    fn outcome(
        kind: Kind,
        limits: &Limits,
        bytes: &[u8],
        sizes: &[usize],
    ) -> (Result<Option<(String, Fields)>, HandshakeError>, usize) {
        let (mut bytes, mut taken) = (bytes.to_vec(), 0);
        let mut reader = HeadReader::new(kind, limits);
        let mut rest = &mut bytes[..];
        for size in sizes.iter().cycle() {
            let (piece, others) = rest.split_at_mut(rest.len().min(*size));
            let mut input = Input::new(piece);
            let outcome = reader.read(&mut input);
            taken += input.consumed();
            match outcome {
                Ok(None) if others.is_empty() => return (Ok(None), taken),
                Ok(None) => rest = others,
                Ok(Some(head)) => {
                    assert_eq!(head.fields.head(), &bytes[..taken]);
                    let fields = head.fields.iter();
                    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_vec()));
                    let start = format!("{:?}", head.start);
                    return (Ok(Some((start, fields.collect()))), taken);
                }
                // How much of the bytes behind a fault was taken is nobody's business.
                Err(error) => return (Err(error), 0),
            }
        }
        unreachable!("the sizes go on")
    }

    #[test]
    fn regression_a_bad_name_in_a_line_too_many() {
        // Read whole, the line was too many before its name was bad.
        for size in [1, 7, 99] {
            let none = Limits::new().with_max_headers(0);
            let (outcome, _) = read(&none, b"GET / HTTP/1.1\r\n:\r\n\r\n", size);
            assert_eq!(outcome.unwrap_err(), HandshakeError::Malformed);
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
            let again = "Host: X:Y: \t  \t".len();
            assert_eq!(visits, limit - 1 + again);
            let few = Limits::new().with_max_headers(2);
            assert_eq!(
                read(&few, HEAD, size).0.unwrap_err(),
                HandshakeError::TooManyHeaders
            );
        }
    }
}
