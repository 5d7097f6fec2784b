//! Heads that come in parts, from an HTTP library that has read them.

use alloc::vec::Vec;

use super::head::{Head, StartLine};
use crate::config::Limits;
use crate::error::HandshakeError;
use crate::http::token::{is_field_value, is_token, is_visible, trim, visible_len};
use crate::http::{FieldSpan, Fields, Name, Span};

/// Lays out a head as it would have come over HTTP/1.1, so that the same checks go over it, within
/// the same limits.
pub(super) struct Layout<'a> {
    limits: &'a Limits,
    /// INVARIANT: not longer than [`Limits::max_head_size`], nor than a span can tell.
    head: Vec<u8>,
    spans: Vec<FieldSpan>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            head: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// The first line of a request. Whoever read it may have let more through than this crate does.
    pub(super) fn request_line(
        &mut self,
        method: &[u8],
        target: &[u8],
    ) -> Result<StartLine, HandshakeError> {
        // What has an end before the limit is not too long, but not right either.
        if visible_len(target) > self.limits.max_target_size() {
            return Err(HandshakeError::TargetTooLong);
        }
        // 6455-8.1-01: a target is ASCII. HARDENING A1.19: none breaks out of its line.
        if !is_token(method) || !is_visible(target) {
            return Err(HandshakeError::Malformed);
        }
        let method = self.push(method)?;
        self.push(b" ")?;
        let target = self.push(target)?;
        self.push(b"\r\n")?;
        Ok(StartLine::Request { method, target })
    }

    /// A header line. Whoever read it may have let more through than this crate does.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HandshakeError> {
        if self.spans.len() >= self.limits.max_headers() {
            return Err(HandshakeError::TooManyHeaders);
        }
        if !is_token(name) || !is_field_value(value) {
            return Err(HandshakeError::Malformed);
        }
        let known = Name::of(name);
        let name = self.push(name)?;
        self.push(b": ")?;
        let value = self.push(trim(value))?;
        self.push(b"\r\n")?;
        self.spans.push(FieldSpan { name, value, known });
        Ok(())
    }

    pub(super) fn finish(self, start: StartLine) -> Head {
        Head {
            start,
            fields: self.into_fields(),
        }
    }

    pub(super) fn into_fields(self) -> Fields {
        Fields::new(self.head, self.spans)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<Span, HandshakeError> {
        let max = self.limits.max_head_size().min(u32::MAX as usize);
        let start = self.head.len();
        if bytes.len() > max.saturating_sub(start) {
            return Err(HandshakeError::HeadTooLarge);
        }
        self.head.extend_from_slice(bytes);
        Ok(Span::new(start..self.head.len()))
    }
}
