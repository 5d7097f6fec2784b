//! The little of HTTP/1.1 that a handshake is made of, as data: header fields, a response, and
//! their grammar.

pub(crate) mod token;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::ops::Range;

/// The header lines of a head, as ranges of its bytes. Clones share both.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    head: Bytes,
    /// INVARIANT: all within `head`; names are tokens.
    spans: Arc<[FieldSpan]>,
}

/// Where a field's name and value are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// A range in half the size: heads are never longer than 32 bits can count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range as a span; saturates, but see the type.
    pub(crate) fn new(range: Range<usize>) -> Self {
        let narrow = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            start: narrow(range.start),
            end: narrow(range.end),
        }
    }

    /// Where `part` lies in `whole`, which it is a part of.
    pub(crate) fn locate(part: &[u8], whole: &[u8]) -> Self {
        // An empty slice may point anywhere.
        if part.is_empty() {
            return Self::default();
        }
        let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        Self::new(start..start + part.len())
    }

    pub(crate) fn of(self, whole: &[u8]) -> &[u8] {
        whole
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// Like [`of`](Self::of), for parts that were checked to be ASCII; empty if they are not UTF-8.
    pub(crate) fn str_of(self, whole: &[u8]) -> &str {
        core::str::from_utf8(self.of(whole)).unwrap_or_default()
    }
}

impl Fields {
    pub(crate) fn new(head: Bytes, spans: Vec<FieldSpan>) -> Self {
        Self {
            head,
            spans: spans.into(),
        }
    }

    /// All bytes of the head.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.spans
            .iter()
            .map(|span| (span.name.str_of(&self.head), span.value.of(&self.head)))
    }

    /// The values of all lines named `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        // 6455-4.1-45: names ignore ASCII case.
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of the first line named `name`.
    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_fields(self.iter(), f)
    }
}

/// Shows header lines, but not the secrets in them: debug output ends up in logs.
pub(crate) fn debug_fields<'a>(
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    const SECRET: [&str; 4] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ];
    let mut map = f.debug_map();
    for (name, value) in fields {
        if SECRET
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(name))
        {
            map.entry(&name, &format_args!("(hidden)"));
        } else {
            map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
        }
    }
    map.finish()
}

/// A server's answer to an opening handshake.
///
/// It comes with a successful handshake, for its headers, and inside
/// [`HandshakeError::Refused`](crate::HandshakeError::Refused), then with as much of the body as
/// arrived and fits. Clones share their memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    reason: Span,
    fields: Fields,
    body: Bytes,
    is_complete: bool,
}

impl Response {
    pub(crate) fn new(status: u16, reason: Span, fields: Fields) -> Self {
        Self {
            status,
            reason,
            fields,
            body: Bytes::new(),
            is_complete: true,
        }
    }

    pub(crate) fn with_body(mut self, body: Vec<u8>, is_complete: bool) -> Self {
        self.body = Bytes::from(Box::from(body));
        self.is_complete = is_complete;
        self
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text after the status code; empty if there is none, or if it is not UTF-8.
    pub fn reason(&self) -> &str {
        self.reason.str_of(self.fields.head())
    }

    /// The value of the first header line named `name`, in any case, without the spaces around it.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.first(name)
    }

    /// All header lines in order, as name and value. A value may have any byte but control
    /// characters.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The body of a refusal; empty with status 101, where the bytes after the head are WebSocket
    /// frames.
    ///
    /// Head and body together are not longer than [`max_head_size`](crate::Limits::max_head_size).
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether [`body`](Self::body) is all of it: not cut off by the limit, the end of the
    /// transport or the deadline.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The protocol versions that the server offers instead, from its `Sec-WebSocket-Version` (RFC
    /// 6455 section 4.4).
    ///
    /// This crate speaks 13 only; the list is for diagnostics.
    pub fn versions(&self) -> impl Iterator<Item = u8> {
        // 6455-4.4-02, 6455-11.3.5-01: several lines are one list.
        token::members(self.fields.all("Sec-WebSocket-Version"))
            .filter_map(|version| core::str::from_utf8(version).ok()?.parse().ok())
    }
}

impl fmt::Debug for Response {
    /// Not the body, nor the secrets among the headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("reason", &self.reason())
            .field("headers", &self.fields)
            .field("body", &self.body.len())
            .field("is_complete", &self.is_complete)
            .finish()
    }
}
