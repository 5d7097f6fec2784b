//! The same bytes into a server of this crate and of tungstenite: what is accepted, what is
//! rejected, and all payloads must be the same, but for the differences in [`known`].

use std::io::{self, Read, Write};

use sockeye::{Error, Negotiated, ProtocolError};
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::naive::{self, End, Frame};
use super::wire::*;

/// The bytes that a client sent.
pub fn check(data: &[u8]) {
    let (ours, error) = ours(data);
    let theirs = theirs(data);
    if ours != theirs && known(data, &ours, error, &theirs).is_none() {
        panic!("{ours:?}\n{error:?}\n{theirs:?}\n{data:02x?}");
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    events: Vec<Got>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There was no Close frame, but nothing was wrong.
    Open,
    /// The peer closed.
    Closed,
    /// Something was wrong, for which there is this close code.
    Rejected(u16),
}

fn ours(data: &[u8]) -> (Reading, Option<Error>) {
    let mut conn = connection(Role::Server, &small(), Negotiated::new());
    let outcome = feed(&mut conn, data, &mut Cuts::Whole, |_, _| {});
    let verdict = match outcome.error {
        Some(error) => Verdict::Rejected(error.close_code().unwrap().into()),
        None if matches!(outcome.events.last(), Some(Got::Close(..))) => Verdict::Closed,
        None => Verdict::Open,
    };
    let events = outcome.events;
    (Reading { events, verdict }, outcome.error)
}

/// A transport that has ended behind the bytes, and takes what is written.
struct Recorded<'a>(&'a [u8]);

impl Read for Recorded<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Recorded<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(data: &[u8]) -> Reading {
    let limits = small();
    let limits = limits.limits();
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_frame_size(usize::try_from(limits.max_frame_size()).ok())
        .max_message_size(usize::try_from(limits.max_message_size()).ok());
    let mut socket = WebSocket::from_raw_socket(Recorded(data), TheirRole::Server, Some(config));
    let mut events = Vec::new();
    loop {
        let verdict = match socket.read() {
            Ok(message) => {
                events.push(event(message));
                continue;
            }
            Err(tungstenite::Error::ConnectionClosed) => Verdict::Closed,
            Err(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => Verdict::Open,
            Err(tungstenite::Error::Protocol(_)) => Verdict::Rejected(1002),
            Err(tungstenite::Error::Utf8(_)) => Verdict::Rejected(1007),
            Err(tungstenite::Error::Capacity(_)) => Verdict::Rejected(1009),
            Err(error) => panic!("{error:?}"),
        };
        return Reading { events, verdict };
    }
}

fn event(message: Message) -> Got {
    match message {
        Message::Text(text) => Got::Text(text.as_str().into()),
        Message::Binary(bytes) => Got::Binary(bytes.to_vec()),
        Message::Ping(bytes) => Got::Ping(bytes.to_vec()),
        Message::Pong(bytes) => Got::Pong(bytes.to_vec()),
        Message::Close(None) => Got::Close(1005, String::new()),
        Message::Close(Some(frame)) => Got::Close(frame.code.into(), frame.reason.as_str().into()),
        Message::Frame(frame) => panic!("{frame:?}"),
    }
}

/// Differences that are right, with the reason for each.
fn known(
    data: &[u8],
    ours: &Reading,
    error: Option<Error>,
    theirs: &Reading,
) -> Option<&'static str> {
    let (frames, end) = naive::frames(data, Some(true), 0);
    let same_events = ours.events == theirs.events;
    match (error, ours.verdict, theirs.verdict) {
        (Some(Error::Protocol(ProtocolError::NonMinimalLength)), ..)
            if matches!(end, End::Fault(ProtocolError::NonMinimalLength, _))
                && theirs.events.starts_with(&ours.events) =>
        {
            Some("RFC 6455 section 5.2: the shortest length is a must; tungstenite takes any")
        }
        (Some(Error::Protocol(ProtocolError::ControlTooLong)), ..)
            if has_long_form(data, &end) && theirs.events.starts_with(&ours.events) =>
        {
            Some("the same in a control frame, where it shows in the second byte")
        }
        (Some(Error::Protocol(ProtocolError::LengthMsb)), _, Verdict::Rejected(1009))
            if same_events =>
        {
            Some("RFC 6455 section 5.2: no limit allows a length with its top bit set")
        }
        // What comes before that frame is right for both.
        (Some(_), _, Verdict::Open)
            if same_events
                && end != End::Clean
                && self::ours(whole_frames(data, frames.len())) == (theirs.clone(), None) =>
        {
            Some("the fault is in a frame that is not complete, and tungstenite waits for its end")
        }
        (Some(Error::Protocol(ProtocolError::CloseCode(_))), _, Verdict::Closed)
            if replaced(theirs) == Some(&ours.events) =>
        {
            Some("RFC 6455 section 7.4: tungstenite reports a code of its own for a bad one")
        }
        (Some(Error::Protocol(ProtocolError::CloseCode(_))), _, Verdict::Rejected(1007))
            if same_events && has_bad_reason(&frames) =>
        {
            Some("a Close frame has two faults, and tungstenite looks at its reason first")
        }
        (None, Verdict::Closed, Verdict::Closed)
            if matches!(ours.events.split_last(), Some((Got::Close(1014, _), before))
                if replaced(theirs) == Some(before)) =>
        {
            Some("1014 was registered (RFC 6455 section 11.7) after tungstenite's list was made")
        }
        (Some(Error::Protocol(_)), _, Verdict::Rejected(1009))
            if same_events && has_large_frame(data) =>
        {
            Some("a frame is wrong and too large, and tungstenite looks at its size first")
        }
        _ => None,
    }
}

/// The events before what tungstenite makes of a Close frame with a code that it does not like.
fn replaced(theirs: &Reading) -> Option<&[Got]> {
    match theirs.events.split_last() {
        Some((Got::Close(1002, reason), before)) if reason == "Protocol violation" => Some(before),
        _ => None,
    }
}

/// What a frame declares, right or wrong.
struct Length {
    start: usize,
    /// The 7 bits of the second byte.
    short: u8,
    payload: u64,
    end: usize,
}

/// The lengths of all frames, as far as they are there.
fn lengths(data: &[u8]) -> Vec<Length> {
    let mut lengths = Vec::new();
    let mut start = 0;
    while let Some([_, second, rest @ ..]) = data.get(start..) {
        let short = second & 0x7F;
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(number) = rest.get(..extended) else {
            break;
        };
        let payload = match extended {
            0 => u64::from(short),
            _ => number
                .iter()
                .fold(0, |len, byte| len << 8 | u64::from(*byte)),
        };
        let key = if second & 0x80 == 0 { 0 } else { 4 };
        let end = (start + 2 + extended + key).saturating_add(payload as usize);
        lengths.push(Length {
            start,
            short,
            payload,
            end,
        });
        start = end;
    }
    lengths
}

/// The first frames.
fn whole_frames(data: &[u8], count: usize) -> &[u8] {
    let last = lengths(data).into_iter().take(count).next_back();
    &data[..last.map_or(0, |last| last.end)]
}

fn has_large_frame(data: &[u8]) -> bool {
    let max = small().limits().max_frame_size();
    lengths(data).iter().any(|length| length.payload > max)
}

/// Whether the frame at the fault is a control frame with a length in more bytes than it needs.
fn has_long_form(data: &[u8], end: &End) -> bool {
    let End::Fault(ProtocolError::ControlTooLong, seen) = end else {
        return false;
    };
    lengths(data)
        .iter()
        .any(|length| length.start + 2 == *seen && length.short > 125 && length.payload <= 125)
}

/// Whether the first Close frame has a reason that is not UTF-8.
fn has_bad_reason(frames: &[Frame]) -> bool {
    let mut closes = frames.iter().filter(|frame| frame.first == 0x88);
    let reason = closes.next().and_then(|close| close.payload.get(2..));
    reason.is_some_and(|reason| std::str::from_utf8(reason).is_err())
}
