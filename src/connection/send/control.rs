//! Pings, pongs, and the encoding of every control frame.

use super::Sender;
use super::data::frame_header;
use crate::connection::state::State;
use crate::connection::transmit::MAX_CONTROL_QUEUED;
use crate::error::SendError;
use crate::frame::OpCode;
use crate::mask::Mask;

/// The payload limit of control frames (RFC 6455 section 5.5).
pub(super) const MAX_CONTROL_LEN: usize = 125;

impl Sender {
    /// Queues a ping; see [`Connection::ping`](crate::Connection::ping).
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`](crate::Connection::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.push_control(OpCode::Ping, payload)
    }

    /// Queues an unsolicited pong; see [`Connection::pong`](crate::Connection::pong).
    ///
    /// # Errors
    ///
    /// As [`Connection::pong`](crate::Connection::pong).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.push_control(OpCode::Pong, payload)
    }

    fn push_control(&mut self, opcode: OpCode, payload: &[u8]) -> Result<(), SendError> {
        self.check_control(payload)?;
        let frame = ControlFrame::new(opcode, self.next_key(), payload);
        self.sent.control_frames += 1;
        self.queue.control_mut().push(frame.as_bytes());
        Ok(())
    }

    fn check_control(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.may_send_control(payload)
            .map_err(|error| self.refuse(error))
    }

    fn may_send_control(&self, payload: &[u8]) -> Result<(), SendError> {
        if self.state() != State::Open {
            return Err(SendError::NotOpen);
        }
        if payload.len() > MAX_CONTROL_LEN {
            return Err(SendError::ControlTooLong);
        }
        if self.queue.control().len() + payload.len() > MAX_CONTROL_QUEUED {
            return Err(SendError::Full);
        }
        Ok(())
    }

    /// Queues a ping that measures the round trip; see
    /// [`Connection::probe`](crate::Connection::probe).
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`](crate::Connection::ping).
    pub fn probe(&mut self) -> Result<(), SendError> {
        self.check_control(&[])?;
        let timers = self.timers();
        let Some(payload) = timers.next_ping() else {
            return Ok(());
        };
        timers.note_ping();
        let frame = ControlFrame::new(OpCode::Ping, self.next_key(), &payload);
        self.sent.control_frames += 1;
        self.queue.control_mut().push_probe(frame.as_bytes());
        Ok(())
    }

    pub(super) fn respond_ping(&mut self, payload: &[u8]) {
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
        self.sent.control_frames += 1;
        self.queue.control_mut().push_pong(frame.as_bytes());
    }
}

/// A control frame, encoded.
pub(super) struct ControlFrame {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl ControlFrame {
    /// Two bytes, the masking key, the payload.
    const MAX_LEN: usize = 2 + 4 + MAX_CONTROL_LEN;

    /// Encodes up to 125 bytes; callers check that there are no more.
    pub(super) fn new(opcode: OpCode, key: Option<[u8; 4]>, payload: &[u8]) -> Self {
        let header = frame_header(opcode, 0, true, key, payload.len());
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

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
