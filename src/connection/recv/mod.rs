//! The receiving half: frames in, events out.

#[cfg(feature = "deflate")]
mod inflate;

use bytes::BytesMut;

use super::event::{Event, Fragment};
use crate::close::CloseFrame;
use crate::config::{Config, Delivery};
use crate::error::{CapacityError, Error, ProtocolError};
use crate::frame::{Decoder, Header, OpCode, Rules};
use crate::input::Input;
use crate::message::{Assembler, Kind, Payload, Text};
use crate::time::Instant;
use crate::utf8::Validator;

/// The receiving half of a [`Connection`](super::Connection): parses, validates and assembles.
///
/// It owes nothing to the peer. What an event or error obliges this side to is the
/// [`Sender`](super::Sender)'s to do: hand it every event
/// ([`Sender::respond`](super::Sender::respond)) and the error
/// ([`Sender::fail`](super::Sender::fail)). `Connection` does that by itself; halves that were
/// [split](super::Connection::into_split) leave it to their owner.
///
/// Between calls it holds at most a partial header (14 bytes), a partial control payload (125
/// bytes) and the message being assembled.
#[derive(Debug)]
pub struct Receiver {
    decoder: Decoder,
    frame: Frame,
    message: Option<Incoming>,
    /// A control payload that is split over reads.
    control: BytesMut,
    max_frame_size: u64,
    max_message_size: u64,
    delivery: Delivery,
    /// No message is taken for a while.
    paused: bool,
    #[cfg(feature = "deflate")]
    inflation: Option<inflate::Inflation>,
    end: Option<End>,
}

/// The frame whose payload comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// None: a header comes next.
    None,
    Data {
        fin: bool,
    },
    Control(Control),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Close,
    Ping,
    Pong,
}

/// The message whose frames arrive.
#[derive(Debug)]
struct Incoming {
    kind: Kind,
    /// Payload bytes that its headers declared so far; at most `max_message_size` unless it is
    /// compressed.
    size: u64,
    /// Its payload goes through the inflater (RFC 7692 section 6).
    #[cfg(feature = "deflate")]
    compressed: bool,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    /// Nothing was taken yet.
    None,
    Assembled(Assembler),
    /// Pieces are handed out. Text goes through the validator.
    Chunks(Validator),
}

/// Why nothing is received any more.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The peer's Close frame came: what follows is ignored (RFC 6455 section 1.4).
    Closed,
    /// 6455-7.1.7-05: after a failure no data is processed.
    Failed(Error),
}

impl Receiver {
    pub(super) fn new(config: &Config, rules: Rules) -> Self {
        Self {
            decoder: Decoder::new(rules),
            frame: Frame::None,
            message: None,
            control: BytesMut::new(),
            max_frame_size: config.limits().max_frame_size(),
            max_message_size: config.limits().max_message_size(),
            delivery: config.delivery(),
            paused: false,
            #[cfg(feature = "deflate")]
            inflation: None,
            end: None,
        }
    }

    /// Consumes input up to the next event. `None` means that all of it was consumed.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`](super::Connection::receive).
    #[inline]
    pub fn receive<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Error> {
        match self.end {
            None => {}
            Some(End::Closed) => {
                input.take_all();
                return Ok(None);
            }
            Some(End::Failed(error)) => {
                input.take_all();
                return Err(error);
            }
        }
        let result = self.step(input);
        match &result {
            Ok(Some(Event::Close(_))) => self.finish(End::Closed),
            Ok(_) => {}
            Err(error) => {
                self.finish(End::Failed(*error));
                input.take_all();
            }
        }
        result
    }

    /// Takes no messages for a while; see [`Connection::pause`](super::Connection::pause).
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Takes messages again.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.release();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        #[cfg(feature = "deflate")]
        return self.inflater_timeout();
        #[cfg(not(feature = "deflate"))]
        None
    }

    /// Gives back what was not used for a while. It is no error, and the peer does not see it.
    pub fn handle_timeout(&mut self, now: Instant) {
        #[cfg(feature = "deflate")]
        if let Some(inflater) = self.inflater() {
            inflater.handle_timeout(now);
        }
        #[cfg(not(feature = "deflate"))]
        let _nothing_to_do = now;
    }

    /// Gives back what a partial message holds, because the transport ended: it will never be
    /// delivered.
    pub fn release(&mut self) {
        #[cfg(feature = "deflate")]
        {
            self.inflation = None;
        }
        self.message = None;
        self.control = BytesMut::new();
    }

    #[inline]
    fn step<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Error> {
        loop {
            if self.frame == Frame::None {
                if self.paused && self.is_data_next(input) {
                    return Ok(None);
                }
                let Some(header) = self.decoder.header(input)? else {
                    return Ok(None);
                };
                if let Some(kind) = self.whole_message(&header, input) {
                    return self.lend(kind, input).map(Some);
                }
                self.frame = self.begin(&header)?;
            }
            let event = match self.frame {
                Frame::None => None,
                Frame::Data { .. } if self.paused => return Ok(None),
                Frame::Data { fin } => self.data(fin, input)?,
                Frame::Control(control) => self.control(control, input)?,
            };
            if self.decoder.remaining() == 0 && !self.has_more() {
                self.frame = Frame::None;
            } else if event.is_none() {
                // The frame goes on and the input is empty.
                return Ok(None);
            }
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    #[cold]
    fn is_data_next(&self, input: &Input<'_>) -> bool {
        // 6455-5.5-01: control frames are those with the top bit of the opcode set.
        let first = self.decoder.first_byte(input);
        first.is_some_and(|first| first & 0x08 == 0)
    }

    /// Whether the frame that was taken whole still has something to give.
    #[inline]
    fn has_more(&self) -> bool {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &self.inflation {
            return inflation.has_more();
        }
        false
    }

    /// Whether a frame is a whole message, and lies whole in the input. Most do.
    #[inline]
    fn whole_message(&self, header: &Header, input: &Input<'_>) -> Option<Kind> {
        let whole = header.fin
            && header.len <= input.len() as u64
            && header.len <= self.max_frame_size
            && header.len <= self.max_message_size
            && header.rsv == 0
            && self.message.is_none()
            && self.delivery == Delivery::Messages;
        if !whole {
            return None;
        }
        match header.opcode {
            OpCode::Text => Some(Kind::Text),
            OpCode::Binary => Some(Kind::Binary),
            OpCode::Continuation | OpCode::Close | OpCode::Ping | OpCode::Pong => None,
        }
    }

    /// Lends a whole message out of the input.
    #[inline]
    fn lend<'b>(&mut self, kind: Kind, input: &mut Input<'b>) -> Result<Event<'b>, Error> {
        let payload = self.decoder.payload(input);
        Ok(match kind {
            Kind::Text => Event::Text(Text::from_utf8(payload).map_err(|_| Error::InvalidUtf8)?),
            Kind::Binary => Event::Binary(payload.into()),
        })
    }

    /// Decides on a frame by its header and the message it is in.
    fn begin(&mut self, header: &Header) -> Result<Frame, Error> {
        let kind = match header.opcode {
            OpCode::Close => return Ok(Frame::Control(Control::Close)),
            OpCode::Ping => return Ok(Frame::Control(Control::Ping)),
            OpCode::Pong => return Ok(Frame::Control(Control::Pong)),
            OpCode::Continuation => None,
            OpCode::Text => Some(Kind::Text),
            OpCode::Binary => Some(Kind::Binary),
        };
        // 6455-5.4-02, 6455-5.4-07: fragments of two messages are not mixed.
        let before = match (kind, &self.message) {
            (Some(_), None) => 0,
            (None, Some(message)) => message.size,
            (None, None) => return Err(ProtocolError::UnexpectedContinuation.into()),
            (Some(_), Some(_)) => return Err(ProtocolError::ExpectedContinuation.into()),
        };
        // 6455-10.4-01: limits are checked on what the header declares, before any payload is
        // taken.
        if header.len > self.max_frame_size {
            return Err(CapacityError::FrameTooLarge.into());
        }
        #[cfg(feature = "deflate")]
        let compressed = match &self.message {
            None => header.rsv & Header::RSV1 != 0,
            Some(message) => message.compressed,
        };
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        let max_size = if compressed {
            // What inflates to the limit may itself be larger: stored blocks have headers.
            self.max_message_size
                .saturating_add(self.max_message_size / 256 + 64)
        } else {
            self.max_message_size
        };
        let size = match before.checked_add(header.len) {
            Some(size) if size <= max_size => size,
            _ => return Err(CapacityError::MessageTooLarge.into()),
        };
        match (&mut self.message, kind) {
            (Some(message), _) => message.size = size,
            (none, kind) => {
                *none = Some(Incoming {
                    kind: kind.unwrap_or(Kind::Binary),
                    size,
                    #[cfg(feature = "deflate")]
                    compressed,
                    parts: Parts::None,
                });
            }
        }
        Ok(Frame::Data { fin: header.fin })
    }

    /// Takes what there is of a data frame's payload.
    fn data<'b>(&mut self, fin: bool, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Error> {
        #[cfg(feature = "deflate")]
        if self
            .message
            .as_ref()
            .is_some_and(|message| message.compressed)
        {
            return self.inflate(fin, input);
        }
        match self.delivery {
            Delivery::Messages => self.assemble(fin, input),
            Delivery::Chunks => self.chunk(fin, input),
        }
    }

    /// Appends what there is of a data frame's payload to the message.
    fn assemble<'b>(
        &mut self,
        fin: bool,
        input: &mut Input<'_>,
    ) -> Result<Option<Event<'b>>, Error> {
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        if !matches!(message.parts, Parts::Assembled(_)) {
            message.parts = Parts::Assembled(Assembler::new(message.kind));
        }
        let Parts::Assembled(assembler) = &mut message.parts else {
            return Ok(None);
        };
        let (piece, mask) = self.decoder.payload_masked(input);
        assembler
            .push(piece, mask, self.max_message_size)
            .map_err(|_| Error::InvalidUtf8)?;
        if self.decoder.remaining() > 0 || !fin {
            return Ok(None);
        }
        match self.message.take().map(|message| message.parts) {
            Some(Parts::Assembled(assembler)) => {
                let message = assembler.finish().map_err(|_| Error::InvalidUtf8)?;
                Ok(Some(message.into()))
            }
            _ => Ok(None),
        }
    }

    /// Hands out what there is of a data frame's payload.
    fn chunk<'b>(&mut self, fin: bool, input: &mut Input<'b>) -> Result<Option<Event<'b>>, Error> {
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        let first = !matches!(message.parts, Parts::Chunks(_));
        let mut validator = match message.parts {
            Parts::Chunks(validator) => validator,
            Parts::None | Parts::Assembled(_) => Validator::new(),
        };
        let piece = self.decoder.payload(input);
        let last = fin && self.decoder.remaining() == 0;
        if message.kind == Kind::Text {
            validator.push(piece).map_err(|_| Error::InvalidUtf8)?;
            if last {
                validator.finish().map_err(|_| Error::InvalidUtf8)?;
            }
        }
        if piece.is_empty() && !last {
            // Empty fragments cost nothing and say nothing.
            return Ok(None);
        }
        let kind = message.kind;
        if last {
            self.message = None;
        } else {
            message.parts = Parts::Chunks(validator);
        }
        Ok(Some(Event::Fragment(Fragment::new(
            kind,
            piece.into(),
            first,
            last,
        ))))
    }

    /// Takes what there is of a control frame's payload, at most 125 bytes in all.
    fn control<'b>(
        &mut self,
        control: Control,
        input: &mut Input<'b>,
    ) -> Result<Option<Event<'b>>, Error> {
        let piece = self.decoder.payload(input);
        let complete = self.decoder.remaining() == 0;
        let payload = if complete && self.control.is_empty() {
            Payload::from(piece)
        } else {
            self.control.extend_from_slice(piece);
            if !complete {
                return Ok(None);
            }
            Payload::from(core::mem::take(&mut self.control))
        };
        Ok(Some(match control {
            Control::Close => Event::Close(CloseFrame::parse(&payload)?),
            Control::Ping => Event::Ping(payload),
            Control::Pong => Event::Pong(payload),
        }))
    }
}

#[cfg(test)]
impl Receiver {
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_none() && self.control.capacity() == 0
    }

    /// Pretends that so many bytes of the message were declared.
    pub(super) fn pretend_size(&mut self, size: u64) {
        if let Some(message) = &mut self.message {
            message.size = size;
        }
    }
}
