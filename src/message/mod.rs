//! Messages and the bytes they are made of, the same types for both directions.

mod arena;
mod assembler;
mod buffer;
mod payload;
mod text;

use core::fmt;

use bytes::{Bytes, BytesMut};

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::SendError;
pub(crate) use assembler::Assembler;
pub(crate) use buffer::Growth;
pub use payload::Payload;
pub(crate) use payload::{Block, Pieces};
pub use text::Text;

/// What a message is made of (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "RFC 6455 has two kinds of data messages"
)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole message, received or to be sent.
///
/// Everything that looks like text or bytes converts into one, so `send("hello")` and `send(vec![1,
/// 2, 3])` compile.
///
/// ```
/// use sockeye::Message;
///
/// let message = Message::from("hello");
/// assert_eq!(message.len(), 5);
/// assert!(matches!(message, Message::Text(text) if text == "hello"));
/// ```
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "RFC 6455 has two kinds of data messages"
)]
pub enum Message<'a> {
    /// A text message; its payload is UTF-8.
    Text(Text<'a>),
    /// A binary message.
    Binary(Payload<'a>),
}

impl<'a> Message<'a> {
    /// Whether this is text or binary.
    #[inline]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The payload of either kind.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// The text, if it is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload of either kind, without its kind.
    #[inline]
    pub fn into_payload(self) -> Payload<'a> {
        match self {
            Self::Text(text) => text.into_payload(),
            Self::Binary(payload) => payload,
        }
    }

    /// The message with a payload of its own: free unless the payload is borrowed, then one copy.
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(text.into_owned()),
            Self::Binary(payload) => Message::Binary(payload.into_owned()),
        }
    }
}

impl<'a> From<Text<'a>> for Message<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Payload<'a>> for Message<'a> {
    fn from(payload: Payload<'a>) -> Self {
        Self::Binary(payload)
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes.into())
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes.as_slice().into())
    }
}

impl From<Vec<u8>> for Message<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Message<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<BytesMut> for Message<'_> {
    fn from(bytes: BytesMut) -> Self {
        Self::Binary(bytes.into())
    }
}

/// A message that was not sent, handed back with the reason.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsent<T> {
    /// Why it was not sent.
    pub error: SendError,
    /// What was to be sent, unchanged.
    pub value: T,
}

impl<T> Unsent<T> {
    pub(crate) const fn new(error: SendError, value: T) -> Self {
        Self { error, value }
    }
}

impl<T> fmt::Display for Unsent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Unsent<T> {}

impl<T> From<Unsent<T>> for SendError {
    fn from(unsent: Unsent<T>) -> Self {
        unsent.error
    }
}
