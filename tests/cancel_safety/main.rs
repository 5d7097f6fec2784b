//! Futures that are dropped wherever they can wait, over a transport that takes and gives a few
//! bytes at a time and refuses every other call: nothing is lost, reordered or sent twice.
//!
//! Connecting and accepting are not here. They own their transport, so it goes when their futures
//! are dropped.
#![cfg(feature = "futures")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test"
)]

mod deadlines;
mod mock;
mod serving;
mod tasks;

use sockeye::{CloseCode, Config, Event, Kind, Message, SendHalf, SocketError, State, WebSocket};

use mock::*;

/// What a client sends in the tests of receiving, and the events that it makes.
fn conversation() -> (Vec<u8>, Vec<Event<'static>>) {
    let mut bytes = Vec::new();
    let mut events = Vec::new();
    for i in 0..5 {
        let text = format!("message {i}, which takes several reads");
        bytes.extend(masked(0x81, text.as_bytes()));
        events.push(Message::from(text).into());
        bytes.extend(masked(0x89, &[i; 9]));
        events.push(Event::Ping(vec![i; 9].into()));
        bytes.extend(masked(0x02, b"in "));
        bytes.extend(masked(0x8A, b"pong"));
        events.push(Event::Pong(b"pong"[..].into()));
        bytes.extend(masked(0x80, b"pieces"));
        events.push(Event::Binary(b"in pieces"[..].into()));
    }
    bytes.extend(masked(0x88, &[3, 0xE8]));
    (bytes, events)
}

/// Receives with futures that are polled a few times each until there is no more. Checks what they
/// gave, and that the answers went out once.
fn receive_all(
    polls: usize,
    mock: &Mock,
    kept: impl Fn(&Event<'static>) -> bool,
    mut receive: impl AsyncFnMut() -> Result<Option<Event<'static>>, SocketError>,
) {
    let (bytes, events) = conversation();
    mock.give(&bytes);
    let mut got = Vec::new();
    for call in 0.. {
        assert!(call < 10_000, "no progress");
        match attempt(polls, receive()) {
            Some(Ok(Some(event))) => got.push(event),
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
        if mock.wire().shut_down {
            mock.end();
        }
    }
    got.retain(|event| !matches!(event, Event::Close(_)));
    let expected: Vec<_> = events.into_iter().filter(kept).collect();
    assert_eq!(got, expected, "{polls} polls");
    let frames = mock.frames();
    let (close, pongs) = frames.split_last().unwrap();
    assert_eq!(close, &(0x88, vec![3, 0xE8]));
    // Pongs may be left out, but only for later ones.
    assert!(pongs.is_sorted_by(|a, b| a.1 < b.1), "{pongs:?}");
    assert_eq!(pongs.last().unwrap(), &(0x8A, vec![4; 9]));
}

fn any(_: &Event<'static>) -> bool {
    true
}

fn is_message(event: &Event<'static>) -> bool {
    matches!(event, Event::Text(_) | Event::Binary(_))
}

#[test]
fn receiving() {
    for polls in 1..30 {
        let mock = Mock::rough();
        let mut ws = server(&Config::new(), &mock);
        receive_all(polls, &mock, is_message, async || {
            Ok(ws.recv().await?.map(Event::from))
        });
        assert!(ws.closed().unwrap().clean);

        let mock = Mock::rough();
        let mut ws = server(&Config::new(), &mock);
        receive_all(polls, &mock, any, async || ws.recv_event().await);

        let mock = Mock::rough();
        let mut ws = server(&Config::new(), &mock);
        receive_all(polls, &mock, any, async || {
            ws.recv_with(|event, _| event.into_owned()).await
        });

        let mock = Mock::rough();
        let mut ws = server(&watched(Config::new()), &mock);
        receive_all(polls, &mock, any, async || ws.recv_event().await);
    }
}

#[test]
fn receiving_by_half() {
    for polls in 1..30 {
        let mock = Mock::rough();
        let (mut receive, _send) = halves(&Config::new(), &mock);
        receive_all(polls, &mock, is_message, async || {
            Ok(receive.recv().await?.map(Event::from))
        });
        assert!(receive.closed().unwrap().clean);

        let mock = Mock::rough();
        let (mut receive, _send) = halves(&Config::new(), &mock);
        receive_all(polls, &mock, any, async || receive.recv_event().await);

        let mock = Mock::rough();
        let (mut receive, _send) = halves(&watched(Config::new()), &mock);
        receive_all(polls, &mock, any, async || receive.recv_event().await);

        let mock = Mock::rough();
        let (mut receive, _send) = halves(&Config::new(), &mock);
        receive_all(polls, &mock, any, async || {
            receive.recv_with(|event| event.into_owned()).await
        });
    }
}

/// The ways to send, of both types.
trait Sends {
    async fn send(&mut self, way: Way, text: &str) -> Result<(), SocketError>;
    async fn flush(&mut self);
    fn queued(&self) -> usize;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Send,
    Feed,
    Fragment,
    Ping,
}

impl Sends for WebSocket<Mock> {
    async fn send(&mut self, way: Way, text: &str) -> Result<(), SocketError> {
        match way {
            Way::Send => self.send(text).await,
            Way::Feed => self.feed(text).await,
            Way::Fragment => self.send_fragment(Kind::Text, text.as_bytes(), true).await,
            Way::Ping => self.ping(text.as_bytes()).await,
        }
    }
    async fn flush(&mut self) {
        self.flush().await.unwrap();
    }
    fn queued(&self) -> usize {
        self.queued()
    }
}

impl Sends for SendHalf<Half> {
    async fn send(&mut self, way: Way, text: &str) -> Result<(), SocketError> {
        match way {
            Way::Send => self.send(text).await,
            Way::Feed => self.feed(text).await,
            Way::Fragment => self.send_fragment(Kind::Text, text.as_bytes(), true).await,
            Way::Ping => self.ping(text.as_bytes()).await,
        }
    }
    async fn flush(&mut self) {
        self.flush().await.unwrap();
    }
    fn queued(&self) -> usize {
        self.queued()
    }
}

fn text(i: usize) -> String {
    format!("message {i:02} is longer than what the transport takes at once")
}

/// Sends six messages, dropping the futures of every other one after a few polls. Returns how many
/// of those were dropped while they waited for room.
fn send_all(polls: usize, way: Way, mock: &Mock, mut ws: impl Sends) -> usize {
    let mut messages = Vec::new();
    let mut pings = Vec::new();
    let mut unsent = 0;
    for i in 0..6 {
        let text = text(i);
        if i % 2 == 0 {
            finish(ws.send(Way::Feed, &text)).unwrap();
            messages.push(text.into_bytes());
            continue;
        }
        let before = mock.taken() + ws.queued();
        let outcome = attempt(polls, ws.send(way, &text));
        let after = mock.taken() + ws.queued();
        if after == before {
            assert!(outcome.is_none(), "{way:?}, {polls} polls");
            unsent += 1;
            continue;
        }
        // As a whole, or not at all.
        assert_eq!(after, before + 2 + text.len(), "{way:?}, {polls} polls");
        if way == Way::Ping {
            pings.push(text.into_bytes());
        } else {
            messages.push(text.into_bytes());
        }
    }
    finish(ws.flush());
    let (got_pings, got_messages): (Vec<_>, Vec<_>) =
        mock.frames().into_iter().partition(|frame| frame.0 == 0x89);
    assert!(got_messages.iter().all(|frame| frame.0 == 0x81));
    let payloads = |frames: Vec<(u8, Vec<u8>)>| frames.into_iter().map(|frame| frame.1);
    assert!(
        payloads(got_messages).eq(messages),
        "{way:?}, {polls} polls"
    );
    assert!(payloads(got_pings).eq(pings), "{way:?}, {polls} polls");
    unsent
}

fn send_in_every_way<S: Sends>(make: impl Fn(&Config, &Mock) -> S) {
    for way in [Way::Send, Way::Feed, Way::Fragment, Way::Ping] {
        let mut unsent = 0;
        for polls in 1..60 {
            for dress in [std::convert::identity, watched] {
                let mock = Mock::rough();
                let ws = make(&dress(Config::new()), &mock);
                assert_eq!(send_all(polls, way, &mock, ws), 0);

                let mock = Mock::rough();
                let ws = make(&dress(narrow()), &mock);
                unsent += send_all(polls, way, &mock, ws);
            }
        }
        // Both happened: a full queue, and pings that need no room in it.
        assert_eq!(unsent == 0, way == Way::Ping);
    }
}

#[test]
fn sending() {
    send_in_every_way(server);
}

#[test]
fn sending_by_half() {
    send_in_every_way(|config, mock| halves(config, mock).1);
}

/// A dropped flush goes on with the next call of any kind.
#[test]
fn flushing() {
    for polls in 1..20 {
        let mock = Mock::rough();
        let mut ws = server(&Config::new(), &mock);
        for i in 0..4 {
            finish(ws.feed(&*text(i))).unwrap();
        }
        if polls % 2 == 0 {
            while attempt(polls, ws.flush()).is_none() {}
        } else {
            attempt(polls, ws.flush());
            while mock.wire().outgoing.len() < 4 * (2 + text(0).len()) {
                assert!(attempt(polls, ws.recv()).is_none());
            }
        }
        let frames = mock.frames();
        assert_eq!(frames.len(), 4);
        for (i, frame) in frames.into_iter().enumerate() {
            assert_eq!(frame, (0x81, text(i).into_bytes()));
        }
    }
}

/// One Close frame, whatever happened to the future that sent it.
#[test]
fn closing() {
    let expected = [(0x81, b"before".to_vec()), (0x88, b"\x0F\xA0bye".to_vec())];
    for polls in 1..60 {
        let code = CloseCode::from(4000);
        let mock = Mock::rough();
        let mut ws = server(&Config::new(), &mock);
        finish(ws.feed("before")).unwrap();
        mock.give(&masked(0x81, b"still coming"));
        mock.give(&masked(0x88, &[3, 0xE8]));
        mock.end();
        attempt(polls, ws.close(code, "bye"));
        assert_ne!(ws.state(), State::Open);
        while finish(ws.recv()).unwrap().is_some() {}
        assert!(ws.closed().unwrap().clean, "{polls}");
        assert_eq!(mock.frames(), expected);

        let mock = Mock::rough();
        let (mut receive, mut send) = halves(&Config::new(), &mock);
        finish(send.feed("before")).unwrap();
        mock.give(&masked(0x81, b"still coming"));
        mock.give(&masked(0x88, &[3, 0xE8]));
        mock.end();
        attempt(polls, send.close(code, "bye"));
        while finish(receive.recv()).unwrap().is_some() {}
        assert!(receive.closed().unwrap().clean, "{polls}");
        assert_eq!(mock.frames(), expected);
    }
}
