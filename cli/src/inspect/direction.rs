//! What the frames of one side are together: messages, and the closing handshake.

use sockeye::frame::{Header, OpCode};
use sockeye::utf8::Validator;
use sockeye::{
    CloseCode, Config, Connection, Deflate, DeflateParams, Error, Event, Input, Instant, Limits,
    MAX_REASON_LEN, Negotiated, ProtocolError,
};

use super::frame::Frame;
use super::rules::Broken;
use crate::exit::meaning;

/// The largest message that is inflated: a capture may be meant to fill the memory.
const MAX_INFLATED: u64 = 64 << 20;

/// What a frame says beside its header.
pub(super) enum Meaning {
    /// Nothing more than its bytes.
    Bytes,
    /// A compressed message, behind one that could not be inflated.
    Lost,
    /// A text message, or a piece of one, as far as it is text.
    Text(Vec<u8>),
    /// A Close frame with a code, and a reason.
    Close(CloseCode, String),
    /// The end of a message in several frames, or of a compressed one.
    Message(Whole),
}

/// A message that was put together.
pub(super) struct Whole {
    pub(super) is_text: bool,
    pub(super) frames: usize,
    /// The size of all payloads.
    pub(super) len: usize,
    pub(super) is_compressed: bool,
    pub(super) payload: Vec<u8>,
}

/// The frames of one side so far.
pub(super) struct Direction {
    message: Option<Partial>,
    inflater: Option<Inflater>,
    is_closed: bool,
}

/// A message that is not finished.
struct Partial {
    is_text: bool,
    is_compressed: bool,
    /// The bytes on the wire are not those of the text.
    is_opaque: bool,
    frames: usize,
    payload: Vec<u8>,
    utf8: Validator,
    is_broken: bool,
}

impl Direction {
    pub(super) fn new(deflate: bool) -> Self {
        Self {
            message: None,
            inflater: deflate.then(Inflater::new),
            is_closed: false,
        }
    }

    /// Takes the next frame, and adds the rules that it breaks in its place.
    pub(super) fn take(
        &mut self,
        frame: &Frame<'_>,
        payload: &[u8],
        broken: &mut Vec<Broken>,
    ) -> Meaning {
        if self.is_closed {
            broken.push(Broken::new(
                "a frame follows the Close frame",
                "RFC 6455 section 5.5.1",
                CloseCode::PROTOCOL_ERROR,
            ));
        }
        match OpCode::from_u8(frame.opcode()) {
            Some(OpCode::Close) => {
                self.is_closed = true;
                close(payload, frame.missing() == 0, broken)
            }
            Some(opcode @ (OpCode::Text | OpCode::Binary)) => {
                if self.message.is_some() {
                    broken.push(ProtocolError::ExpectedContinuation.into());
                }
                let is_compressed = frame.rsv() & Header::RSV1 != 0 && self.inflater.is_some();
                self.message = Some(Partial {
                    is_text: opcode == OpCode::Text,
                    is_compressed,
                    is_opaque: frame.rsv() != 0,
                    frames: 0,
                    payload: Vec::new(),
                    utf8: Validator::new(),
                    is_broken: false,
                });
                self.continue_message(frame, payload, broken)
            }
            Some(OpCode::Continuation) => {
                if self.message.is_none() {
                    broken.push(ProtocolError::UnexpectedContinuation.into());
                }
                self.continue_message(frame, payload, broken)
            }
            Some(OpCode::Ping | OpCode::Pong) | None => Meaning::Bytes,
        }
    }

    fn continue_message(
        &mut self,
        frame: &Frame<'_>,
        payload: &[u8],
        broken: &mut Vec<Broken>,
    ) -> Meaning {
        let Some(message) = &mut self.message else {
            return Meaning::Bytes;
        };
        message.frames += 1;
        message.payload.extend_from_slice(payload);
        let is_last = frame.is_final() && frame.missing() == 0;
        if message.is_text && !message.is_opaque && !message.is_broken {
            let valid =
                message.utf8.push(payload).is_ok() && (!is_last || message.utf8.finish().is_ok());
            if !valid {
                message.is_broken = true;
                broken.push(Error::InvalidUtf8.into());
            }
        }
        let is_single = message.frames == 1 && frame.is_final() && !message.is_compressed;
        let is_text = message.is_text && !message.is_opaque;
        if !is_last || is_single {
            if is_last {
                self.message = None;
            }
            return match is_text {
                true => Meaning::Text(payload.to_vec()),
                false => Meaning::Bytes,
            };
        }
        let Some(message) = self.message.take() else {
            return Meaning::Bytes;
        };
        let len = message.payload.len();
        let payload = match self.inflater.as_mut().filter(|_| message.is_compressed) {
            None => message.payload,
            Some(inflater) => match inflater.inflate(message.is_text, &message.payload) {
                Ok(payload) => payload,
                Err(None) => return Meaning::Lost,
                Err(Some(error)) => {
                    broken.push(error.into());
                    return Meaning::Bytes;
                }
            },
        };
        Meaning::Message(Whole {
            is_text: message.is_text,
            frames: message.frames,
            len,
            is_compressed: message.is_compressed,
            payload,
        })
    }
}

/// The payload of a Close frame (RFC 6455 section 5.5.1).
fn close(payload: &[u8], is_complete: bool, broken: &mut Vec<Broken>) -> Meaning {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        if payload.len() == 1 && is_complete {
            broken.push(ProtocolError::CloseLength.into());
        }
        return Meaning::Bytes;
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.is_sendable() {
        let error = Broken::from(ProtocolError::CloseCode(code));
        broken.push(error);
    }
    if is_complete && reason.len() <= MAX_REASON_LEN && str::from_utf8(reason).is_err() {
        broken.push(Broken::new(
            "the reason is not UTF-8",
            "RFC 6455 section 5.5.1",
            CloseCode::INVALID_PAYLOAD,
        ));
    }
    Meaning::Close(code, String::from_utf8_lossy(reason).into_owned())
}

/// How a close code reads.
pub(super) fn describe(code: CloseCode) -> String {
    match meaning(code) {
        Some(meaning) => format!("{code} ({meaning})"),
        None => format!("{code} (not assigned)"),
    }
}

/// Inflates the messages of one side, each of which may refer to those before (RFC 7692 section 7).
///
/// It is a client's connection that is given the messages as whole frames. Whatever was negotiated, a
/// window of 32 KiB that is kept has what they refer to.
struct Inflater {
    connection: Connection,
    is_broken: bool,
}

impl Inflater {
    fn new() -> Self {
        let limits = Limits::new()
            .with_max_message_size(MAX_INFLATED)
            .with_max_frame_size(u64::MAX);
        let config = Config::new()
            .with_limits(limits)
            .with_deflate(Deflate::client());
        let negotiated = Negotiated::new().with_deflate(DeflateParams::new());
        let keys = || [0; 4];
        Self {
            connection: Connection::client(&config, negotiated, keys, Instant::from_nanos(0)),
            is_broken: false,
        }
    }

    /// The message, or what is wrong with it. No error if an earlier one is to blame.
    fn inflate(&mut self, is_text: bool, payload: &[u8]) -> Result<Vec<u8>, Option<Error>> {
        if self.is_broken {
            return Err(None);
        }
        let opcode = if is_text {
            OpCode::Text
        } else {
            OpCode::Binary
        };
        let header = Header::new(opcode, payload.len() as u64).with_rsv(Header::RSV1);
        let mut frame = [&*header.encode(), payload].concat();
        let mut input = Input::new(&mut frame);
        let now = Instant::from_nanos(0);
        match self.connection.receive(now, &mut input) {
            Ok(Some(Event::Text(text))) => Ok(text.as_str().as_bytes().to_vec()),
            Ok(Some(Event::Binary(payload))) => Ok(payload.to_vec()),
            Ok(_) => Err(None),
            Err(error) => {
                self.is_broken = true;
                Err(Some(error))
            }
        }
    }
}
