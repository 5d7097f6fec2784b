//! The header lines of a head.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::name::Name;
use crate::error::{Field, HandshakeError};

/// The header lines of a head, as ranges of its bytes. Clones share both.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fields(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    head: Vec<u8>,
    /// INVARIANT: all within `head`; names are tokens.
    spans: Vec<FieldSpan>,
    /// The first line with each known name.
    firsts: [u32; Name::COUNT],
    /// The sets of known names that at least one line has, and more than one.
    seen: u16,
    repeated: u16,
}

/// Where a field's name and value are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) name: Span,
    pub(crate) value: Span,
    pub(crate) known: Option<Name>,
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
    pub(crate) fn new(head: Vec<u8>, spans: Vec<FieldSpan>) -> Self {
        let (mut firsts, mut seen, mut repeated) = ([0; Name::COUNT], 0, 0);
        for (index, span) in (0..).zip(&spans) {
            let Some(name) = span.known else { continue };
            if seen & name.bit() != 0 {
                repeated |= name.bit();
            } else if let Some(first) = firsts.get_mut(name as usize) {
                *first = index;
                seen |= name.bit();
            }
        }
        Self(Arc::new(Inner {
            head,
            spans,
            firsts,
            seen,
            repeated,
        }))
    }

    /// All bytes of the head.
    pub(crate) fn head(&self) -> &[u8] {
        &self.0.head
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let head = self.head();
        let spans = self.0.spans.iter();
        spans.map(|span| (span.name.str_of(head), span.value.of(head)))
    }

    /// The values of all lines with this name, in order.
    pub(crate) fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let spans = match self.first_line(name) {
            Some(first) if self.repeats(name) => self.0.spans.get(first..),
            Some(first) => self.0.spans.get(first..=first),
            None => None,
        };
        spans
            .unwrap_or_default()
            .iter()
            .filter(move |span| span.known == Some(name))
            .map(|span| span.value.of(self.head()))
    }

    /// The value of the first line with this name.
    pub(crate) fn first(&self, name: Name) -> Option<&[u8]> {
        let span = self.0.spans.get(self.first_line(name)?)?;
        Some(span.value.of(self.head()))
    }

    /// The value of a header that may be there once.
    pub(crate) fn once(&self, field: Field) -> Result<Option<&[u8]>, HandshakeError> {
        if self.repeats(field.into()) {
            return Err(HandshakeError::Duplicate(field));
        }
        Ok(self.first(field.into()))
    }

    /// Whether there is a line with this name.
    pub(crate) fn has(&self, name: Name) -> bool {
        self.0.seen & name.bit() != 0
    }

    /// Whether there are several lines with this name.
    pub(crate) fn repeats(&self, name: Name) -> bool {
        self.0.repeated & name.bit() != 0
    }

    fn first_line(&self, name: Name) -> Option<usize> {
        let first = self.0.firsts.get(name as usize)?;
        self.has(name).then_some(*first as usize)
    }

    /// The values of all lines named `name`, in any case, in order.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        // 6455-4.1-45: names ignore ASCII case.
        self.0
            .spans
            .iter()
            .filter(move |span| {
                let other = span.name.of(self.head());
                other.eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|span| span.value.of(self.head()))
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
    let mut map = f.debug_map();
    for (name, value) in fields {
        if is_secret(name) {
            map.entry(&name, &format_args!("(hidden)"));
        } else {
            map.entry(&name, &format_args!("\"{}\"", value.escape_ascii()));
        }
    }
    map.finish()
}

/// Whether the value of a header with this name is nobody else's business.
pub(crate) fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 4] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
    ];
    SECRET
        .iter()
        .any(|secret| secret.eq_ignore_ascii_case(name))
}
