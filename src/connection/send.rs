//! The sending half: messages and obligations in, bytes out.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::event::Event;
use super::state::{Closed, Closing, Initiator, State, Transport};
use super::transmit::{MAX_CONTROL_QUEUED, Queue, Transmit};
use crate::close::{CloseCode, CloseFrame, MAX_REASON_LEN};
use crate::config::Config;
use crate::error::{Error, SendError, Timeout};
use crate::frame::{Header, HeaderBytes, OpCode};
use crate::mask::Mask;
use crate::message::{Kind, Message, Payload, Unsent};
use crate::random::MaskKeys;
use crate::time::Instant;
use crate::utf8::Validator;

/// Payloads from this size stay where they are and become a segment of their own; smaller ones are
/// copied next to their header. Below it a copy costs less than another entry in a vectored write.
const CHAIN_MIN: usize = 4096;

/// The payload limit of control frames (RFC 6455 section 5.5).
const MAX_CONTROL_LEN: usize = 125;

/// The sending half of a [`Connection`](super::Connection): encodes, queues, and keeps the closing
/// handshake and its deadline.
///
/// A connection that was [split](super::Connection::into_split) has one owner for each half. The
/// owner of the [`Receiver`](super::Receiver) reports to this half what came:
/// [`respond`](Self::respond) for each event, [`fail`](Self::fail) for the error,
/// [`handle_eof`](Self::handle_eof) for the end.
pub struct Sender {
    /// A client masks, a server does not (RFC 6455 section 5.1).
    keys: Option<Box<dyn MaskKeys>>,
    queue: Queue,
    /// The message whose fragments are being sent.
    outgoing: Option<Outgoing>,
    closing: Closing,
    max_queued: usize,
    close_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Outgoing {
    kind: Kind,
    validator: Validator,
}

impl Sender {
    pub(super) fn new(config: &Config, keys: Option<Box<dyn MaskKeys>>) -> Self {
        Self {
            keys,
            queue: Queue::default(),
            outgoing: None,
            closing: Closing::default(),
            max_queued: config.limits().max_queued(),
            close_timeout: config.timeouts().close(),
        }
    }

    /// Queues a message as one frame; see [`Connection::send`](super::Connection::send).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](super::Connection::send).
    #[inline]
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SendError> {
        self.check_send()?;
        self.push_message(message.into());
        Ok(())
    }

    /// Queues a message, or hands it back; see
    /// [`Connection::try_send`](super::Connection::try_send).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](super::Connection::send).
    pub fn try_send<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        let message = message.into();
        match self.check_send() {
            Ok(()) => {
                self.push_message(message);
                Ok(())
            }
            Err(error) => Err(Unsent::new(error, message)),
        }
    }

    #[inline]
    fn push_message(&mut self, message: Message<'_>) {
        let opcode = opcode_of(message.kind());
        self.push_data(opcode, true, message.into_payload());
    }

    fn check_send(&self) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if self.outgoing.is_some() {
            return Err(SendError::MessageInProgress);
        }
        self.check_room()
    }

    /// The limit is a mark: the message that reaches it is still taken, so the bound is the limit
    /// and one message.
    fn check_room(&self) -> Result<(), SendError> {
        let queued = self.queue.data_len();
        if queued > 0 && queued >= self.max_queued {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Queues a fragment; see [`Connection::send_fragment`](super::Connection::send_fragment).
    ///
    /// # Errors
    ///
    /// As [`Connection::send_fragment`](super::Connection::send_fragment).
    pub fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SendError> {
        let payload = payload.into();
        let outgoing = self.check_fragment(kind, &payload, fin)?;
        let opcode = match self.outgoing {
            Some(_) => OpCode::Continuation,
            None => opcode_of(kind),
        };
        self.outgoing = (!fin).then_some(outgoing);
        self.push_data(opcode, fin, payload);
        Ok(())
    }

    fn check_fragment(&self, kind: Kind, payload: &[u8], fin: bool) -> Result<Outgoing, SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        let mut outgoing = self.outgoing.unwrap_or(Outgoing {
            kind,
            validator: Validator::new(),
        });
        if outgoing.kind != kind {
            return Err(SendError::KindMismatch);
        }
        self.check_room()?;
        if kind == Kind::Text {
            // 6455-5.6-01: the message as a whole is UTF-8; fragments may split code points.
            let validator = &mut outgoing.validator;
            validator
                .push(payload)
                .map_err(|_| SendError::InvalidUtf8)?;
            if fin {
                validator.finish().map_err(|_| SendError::InvalidUtf8)?;
            }
        }
        Ok(outgoing)
    }

    #[inline]
    fn push_data(&mut self, opcode: OpCode, fin: bool, payload: Payload<'_>) {
        // 6455-5.3-02: a fresh key for each frame.
        let key = self.keys.as_mut().map(|keys| keys.next_key());
        let header = header(opcode, fin, key, payload.len());
        if payload.len() >= CHAIN_MIN {
            self.push_large(&header, key, payload);
        } else {
            self.queue
                .push_frame(|buffer| append(buffer, &header, key, &payload));
        }
    }

    /// Queues a frame without a copy where the payload allows it: a server shares it, a client
    /// masks it in place if nobody else can see it.
    fn push_large(&mut self, header: &[u8], key: Option<[u8; 4]>, payload: Payload<'_>) {
        let payload = match key {
            None => payload.try_into_shared(),
            Some(key) => payload.try_into_unique().map(|mut bytes| {
                Mask::new(key).apply(&mut bytes);
                bytes.freeze()
            }),
        };
        match payload {
            Ok(payload) => self.queue.push_chained(header, payload),
            Err(payload) => self
                .queue
                .push_frame(|buffer| append(buffer, header, key, &payload)),
        }
    }

    /// Queues a ping; see [`Connection::ping`](super::Connection::ping).
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`](super::Connection::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.push_control(OpCode::Ping, payload)
    }

    /// Queues an unsolicited pong; see [`Connection::pong`](super::Connection::pong).
    ///
    /// # Errors
    ///
    /// As [`Connection::pong`](super::Connection::pong).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.push_control(OpCode::Pong, payload)
    }

    fn push_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong);
        }
        if self.queue.control_len() + payload.len() > MAX_CONTROL_QUEUED {
            return Err(SendError::Full);
        }
        let frame = ControlFrame::new(opcode, self.next_key(), payload);
        self.queue.push_control(frame.as_bytes());
        Ok(())
    }

    fn next_key(&mut self) -> Option<[u8; 4]> {
        self.keys.as_mut().map(|keys| keys.next_key())
    }

    /// Starts the closing handshake; see [`Connection::close`](super::Connection::close).
    ///
    /// # Errors
    ///
    /// As [`Connection::close`](super::Connection::close).
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if !code.is_sendable() {
            return Err(SendError::InvalidCloseCode);
        }
        if reason.len() > MAX_REASON_LEN {
            return Err(SendError::ControlTooLong);
        }
        self.closing.begin(Initiator::Local);
        self.push_close(now, code, reason);
        Ok(())
    }

    fn push_close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        // 6455-6.1-03: a message whose fragments were not all sent is abandoned.
        self.outgoing = None;
        let mut body = [0; MAX_CONTROL_LEN];
        let len = if code == CloseCode::NO_STATUS {
            0
        } else {
            let parts = u16::from(code).to_be_bytes();
            let parts = parts.iter().chain(reason.as_bytes());
            body.iter_mut()
                .zip(parts)
                .map(|(to, from)| *to = *from)
                .count()
        };
        let body = body.get(..len).unwrap_or_default();
        let frame = ControlFrame::new(OpCode::Close, self.next_key(), body);
        self.queue.set_close(frame.as_bytes());
        self.closing.sent = Some(code);
        self.start_close_timer(now);
    }

    fn start_close_timer(&mut self, now: Instant) {
        if self.closing.deadline.is_none() {
            self.closing.deadline = self.close_timeout.map(|timeout| now + timeout);
        }
    }

    /// Answers what has to be answered: a ping with a pong, the peer's Close frame with one of this
    /// side.
    pub fn respond(&mut self, now: Instant, event: &Event<'_>) {
        match event {
            Event::Ping(payload) => self.respond_ping(payload),
            Event::Close(frame) => self.respond_close(now, frame),
            Event::Text(_) | Event::Binary(_) | Event::Fragment(_) | Event::Pong(_) => {}
        }
    }

    fn respond_ping(&mut self, payload: &[u8]) {
        // 6455-5.5.2-02, K9: also after this side's Close frame, as long as the peer's did not
        // come.
        if self.closing.received.is_some() || self.closing.error.is_some() || self.closing.ended {
            return;
        }
        if payload.len() > MAX_CONTROL_LEN {
            // Not from a `Receiver`.
            return;
        }
        let frame = ControlFrame::new(OpCode::Pong, self.next_key(), payload);
        self.queue.push_pong(frame.as_bytes());
    }

    fn respond_close(&mut self, now: Instant, frame: &CloseFrame) {
        if self.closing.received.is_some() || self.closing.error.is_some() || self.closing.ended {
            return;
        }
        self.closing.begin(Initiator::Peer);
        self.closing.received = Some(frame.clone());
        // 6455-5.5.1-08, 6455-5.5.1-14: exactly one Close frame; the reply has the peer's code.
        if self.closing.sent.is_none() {
            self.push_close(now, frame.code(), "");
        }
    }

    /// Fails the connection: queues a Close frame with the error's code, unless one has begun to
    /// leave (RFC 6455 section 7.1.7).
    ///
    /// Like every Close frame it goes behind the data that was accepted before.
    pub fn fail(&mut self, now: Instant, error: Error) {
        if self.closing.error.is_some() || self.closing.ended {
            return;
        }
        self.closing.begin(Initiator::Local);
        self.closing.error = Some(error);
        self.outgoing = None;
        match error.close_code() {
            None => self.end(),
            // A Close frame that has begun to leave stays the only one; one that still waits is
            // replaced.
            Some(_) if self.queue.close_started() => self.start_close_timer(now),
            Some(code) => self.push_close(now, code, ""),
        }
    }

    /// The transport ended; see [`Connection::handle_eof`](super::Connection::handle_eof).
    ///
    /// # Errors
    ///
    /// As [`Connection::handle_eof`](super::Connection::handle_eof).
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        self.closing.end_of_input(self.queue.close_sent());
        if self.closing.received.is_none() && self.closing.error.is_none() {
            self.closing.begin(Initiator::Peer);
            self.closing.error = Some(Error::Eof);
        }
        if self.closing.error.is_some() || self.queue.close_sent() {
            self.end();
        }
        // After a Close frame the peer may have shut down its writing side only, and still wait for
        // what is queued.
        self.closing.error.map_or(Ok(()), Err)
    }

    /// Ends the connection at once; see [`Connection::abort`](super::Connection::abort).
    pub fn abort(&mut self) {
        if self.state() != State::Closed {
            self.closing.begin(Initiator::Local);
            self.end();
        }
    }

    fn end(&mut self) {
        self.closing.end_of_input(self.queue.close_sent());
        self.closing.end();
        self.outgoing = None;
        self.queue.clear();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.closing
            .deadline
            .filter(|_| self.state() != State::Closed)
    }

    /// Acts on the deadlines that passed; see
    /// [`Connection::handle_timeout`](super::Connection::handle_timeout).
    ///
    /// # Errors
    ///
    /// As [`Connection::handle_timeout`](super::Connection::handle_timeout).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match self.poll_timeout() {
            Some(deadline) if deadline <= now => {}
            _ => return Ok(()),
        }
        if self.closing.error.is_some() || (self.closing.is_clean() && self.queue.close_sent()) {
            // The peer had its chance to end the transport.
            self.end();
            return Ok(());
        }
        let error = Error::Timeout(Timeout::Close);
        self.closing.error = Some(error);
        self.end();
        Err(error)
    }

    /// Output that waits for the transport, or `None`.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.queue.is_empty() {
            None
        } else {
            Some(Transmit(&mut self.queue))
        }
    }

    /// Takes all output as owned segments; see
    /// [`Connection::take_transmit`](super::Connection::take_transmit).
    pub fn take_transmit(&mut self, out: &mut Vec<Bytes>) {
        self.queue.take(out);
    }

    /// How many bytes wait for the transport, control frames included.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether a message would be queued and not be refused as [`SendError::Full`].
    pub fn has_room(&self) -> bool {
        self.check_room().is_ok()
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        if self.closing.eof && self.queue.is_empty() {
            return State::Closed;
        }
        self.closing.state()
    }

    /// What failed the connection, if something did.
    pub fn error(&self) -> Option<Error> {
        self.closing.error
    }

    /// What the transport is to do when [`poll_transmit`](Self::poll_transmit) gives nothing.
    pub fn transport(&self) -> Transport {
        if self.state() == State::Closed {
            Transport::Close
        } else if self.closing.error.is_some() || self.closing.eof {
            Transport::ShutdownWrite
        } else if self.keys.is_none() && self.closing.is_clean() {
            // 6455-5.5.1-13: the server closes first, the client waits for it.
            Transport::ShutdownWrite
        } else {
            Transport::Open
        }
    }

    /// The peer's Close frame, once it came.
    pub fn peer_close(&self) -> Option<&CloseFrame> {
        self.closing.received.as_ref()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        (self.state() == State::Closed).then(|| self.closing.outcome())
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("masks", &self.keys.is_some())
            .field("queued", &self.queue.len())
            .field("outgoing", &self.outgoing)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

const fn opcode_of(kind: Kind) -> OpCode {
    match kind {
        Kind::Text => OpCode::Text,
        Kind::Binary => OpCode::Binary,
    }
}

#[inline]
fn header(opcode: OpCode, fin: bool, key: Option<[u8; 4]>, len: usize) -> HeaderBytes {
    let header = Header::new(opcode, len as u64).with_fin(fin);
    match key {
        Some(key) => header.with_mask(key).encode(),
        None => header.encode(),
    }
}

/// Appends a frame, masking on the way.
#[inline]
fn append(buffer: &mut BytesMut, header: &[u8], key: Option<[u8; 4]>, payload: &[u8]) {
    buffer.reserve(header.len() + payload.len());
    buffer.extend_from_slice(header);
    crate::message::append(buffer, payload, key.map(Mask::new));
}

/// A control frame, encoded.
struct ControlFrame {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl ControlFrame {
    /// Two bytes, the masking key, the payload.
    const MAX_LEN: usize = 2 + 4 + MAX_CONTROL_LEN;

    /// Encodes up to 125 bytes; callers check that there are no more.
    fn new(opcode: OpCode, key: Option<[u8; 4]>, payload: &[u8]) -> Self {
        let header = header(opcode, true, key, payload.len());
        let mut bytes = [0; Self::MAX_LEN];
        let (to_header, rest) = bytes.split_at_mut(header.len());
        to_header.copy_from_slice(&header);
        let to_payload = rest.get_mut(..payload.len()).unwrap_or_default();
        to_payload.copy_from_slice(payload);
        if let Some(key) = key {
            Mask::new(key).apply(to_payload);
        }
        Self {
            len: header.len() + payload.len(),
            bytes,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
