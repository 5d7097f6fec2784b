//! What a connection tells its caller.

use crate::close::CloseFrame;
use crate::message::{Kind, Message, Payload, Text};

/// Something that arrived. Borrows the caller's read buffer, never the connection.
///
/// Its `Debug` is for tests: it shows the beginning of payloads, and the reason of a Close frame. In
/// a log, write lengths. (That of connections, halves and sockets shows lengths only.)
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'b> {
    /// A whole text message.
    Text(Text<'b>),
    /// A whole binary message.
    Binary(Payload<'b>),
    /// A piece of a message, with [`Delivery::Chunks`](crate::Delivery::Chunks).
    Fragment(Fragment<'b>),
    /// A ping. It is answered already.
    Ping(Payload<'b>),
    /// A pong, to a ping of this side or to none (RFC 6455 section 5.5.3).
    Pong(Payload<'b>),
    /// The peer's Close frame, the last event. It is answered already.
    Close(CloseFrame),
}

impl<'b> Event<'b> {
    /// The message, if the event is a whole one.
    ///
    /// # Errors
    ///
    /// The event, if it is something else.
    #[inline]
    pub fn into_message(self) -> Result<Message<'b>, Self> {
        match self {
            Self::Text(text) => Ok(Message::Text(text)),
            Self::Binary(payload) => Ok(Message::Binary(payload)),
            other @ (Self::Fragment(_) | Self::Ping(_) | Self::Pong(_) | Self::Close(_)) => {
                Err(other)
            }
        }
    }

    /// The event with bytes of its own: free unless they are borrowed, then one copy.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Text(text) => Event::Text(text.into_owned()),
            Self::Binary(payload) => Event::Binary(payload.into_owned()),
            Self::Fragment(fragment) => Event::Fragment(fragment.into_owned()),
            Self::Ping(payload) => Event::Ping(payload.into_owned()),
            Self::Pong(payload) => Event::Pong(payload.into_owned()),
            Self::Close(frame) => Event::Close(frame),
        }
    }
}

impl<'b> From<Message<'b>> for Event<'b> {
    fn from(message: Message<'b>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(payload) => Self::Binary(payload),
        }
    }
}

/// A piece of a message as it arrived.
///
/// Pieces end where reads and frames end, which has no meaning (RFC 6455 section 5.4). The bytes of
/// a text message are valid so far, but a piece may end inside a code point. Only the last piece
/// may be empty.
#[derive(Debug, PartialEq, Eq)]
pub struct Fragment<'b> {
    payload: Payload<'b>,
    kind: Kind,
    first: bool,
    last: bool,
}

impl<'b> Fragment<'b> {
    pub(super) fn new(kind: Kind, payload: Payload<'b>, first: bool, last: bool) -> Self {
        Self {
            payload,
            kind,
            first,
            last,
        }
    }

    /// What the message is made of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes of this piece.
    pub fn payload(&self) -> &Payload<'b> {
        &self.payload
    }

    /// The bytes of this piece, to keep.
    pub fn into_payload(self) -> Payload<'b> {
        self.payload
    }

    /// Whether the message starts here.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// Whether the message ends here; if it is text, it is valid as a whole.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// The piece with bytes of its own.
    pub fn into_owned(self) -> Fragment<'static> {
        Fragment {
            payload: self.payload.into_owned(),
            kind: self.kind,
            first: self.first,
            last: self.last,
        }
    }
}
