//! What an observer is told.

use std::sync::{Arc, Mutex};

use sockeye::{
    CloseCode, Closed, Config, Error, Event, Initiator, Kind, Limits, Observer, ProtocolError,
    Rate, Rtt, SendError,
};

use crate::wire::*;

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn received(&self, event: &Event<'_>) {
        let name = format!("{event:?}");
        let end = name.find(['(', ' ']).unwrap_or(name.len());
        self.add(format!("received {}", &name[..end]));
    }
    fn sent(&self, kind: Kind, bytes: usize, on_the_wire: usize) {
        self.add(format!("sent {kind:?} {bytes} {on_the_wire}"));
    }
    fn refused(&self, error: SendError) {
        self.add(format!("refused {error:?}"));
    }
    fn throttled(&self) {
        self.add("throttled".into());
    }
    fn measured(&self, rtt: Rtt) {
        self.add(format!("measured {:?}", rtt.last));
    }
    fn failed(&self, error: Error) {
        self.add(format!("failed {error:?}"));
    }
    fn closed(&self, closed: &Closed) {
        self.add(format!("closed {:?} {}", closed.initiator, closed.clean));
    }
}

#[test]
fn a_conversation() {
    let notes = Arc::new(Notes::default());
    let mut conn = connection(Role::Client, &Config::new());
    conn.set_observer(notes.clone());
    let mut events = Vec::new();
    receive(&mut conn, START, b"\x81\x02hi\x89\x00", &mut events).unwrap();
    assert_eq!(notes.take(), ["received Text", "received Ping"]);
    conn.send("hello").unwrap();
    conn.send_fragment(Kind::Binary, &b"12"[..], false).unwrap();
    assert_eq!(conn.send("in between"), Err(SendError::MessageInProgress));
    let refused = "refused MessageInProgress".to_owned();
    assert_eq!(notes.take(), ["sent Text 5 5", "sent Binary 2 2", &refused]);
    conn.close(START, CloseCode::NORMAL, "").unwrap();
    drain(&mut conn);
    receive(&mut conn, START, b"\x88\x02\x03\xE8", &mut events).unwrap();
    conn.handle_eof().unwrap();
    assert_eq!(notes.take(), ["received Close", "closed Local true"]);
    conn.handle_eof().unwrap();
    conn.abort();
    assert_eq!(conn.send("late"), Err(SendError::NotOpen));
    assert_eq!(notes.take(), ["refused NotOpen"]);
}

#[test]
fn failures_and_floods() {
    let limits = Limits::new().with_message_rate(Some(Rate::new(1, 1)));
    let notes = Arc::new(Notes::default());
    let mut conn = connection(Role::Client, &Config::new().with_limits(limits));
    conn.set_observer(notes.clone());
    let mut bytes = b"\x81\x00\x81\x00".to_vec();
    let mut input = sockeye::Input::new(&mut bytes);
    while conn.receive(START, &mut input).unwrap().is_some() {}
    assert!(conn.receive(START, &mut input).unwrap().is_none());
    assert_eq!(notes.take(), ["received Text", "throttled"]);
    conn.receive(START, &mut sockeye::Input::new(&mut [0x83, 0]))
        .unwrap_err();
    let error = Error::from(ProtocolError::ReservedOpcode);
    assert_eq!(notes.take(), [format!("failed {error:?}")]);
    drain(&mut conn);
    let _error = conn.handle_eof();
    let _again = conn.handle_eof();
    assert_eq!(
        notes.take(),
        [format!("closed {:?} false", Initiator::Local)]
    );

    let mut conn = connection(Role::Client, &Config::new());
    conn.set_observer(notes.clone());
    let _error = conn.handle_eof();
    assert_eq!(notes.take(), ["failed Eof", "closed Peer false"]);
}

/// The rate of bytes mostly stops a peer inside a frame, and only stops in front of one were told.
#[test]
fn regression_a_stop_inside_a_frame_was_not_told() {
    let limits = Limits::new().with_byte_rate(Some(Rate::new(1000, 1000)));
    for role in BOTH {
        let notes = Arc::new(Notes::default());
        let mut conn = connection(*role, &Config::new().with_limits(limits.clone()));
        conn.set_observer(notes.clone());
        let bytes = to(*role, &frame(0x82, [0; 10_000]));
        let mut stops = 0;
        for piece in bytes.chunks(2000) {
            let mut piece = piece.to_vec();
            let mut input = sockeye::Input::new(&mut piece);
            for _again in 0..3 {
                assert_eq!(conn.receive(START, &mut input), Ok(None));
            }
            stops = usize::from(!input.is_empty());
        }
        assert_eq!(stops, 1);
        assert_eq!(notes.take(), ["throttled"], "once for each stop");
        assert_eq!(conn.received().throttled, 1);
    }
}

#[test]
fn limits_that_were_hit_are_counted() {
    let limits = Limits::new()
        .with_message_rate(Some(Rate::new(1, 1)))
        .with_max_queued(1);
    for role in BOTH {
        let mut conn = connection(*role, &Config::new().with_limits(limits.clone()));
        let mut bytes = to(*role, &b"\x81\x00".repeat(3));
        let mut input = sockeye::Input::new(&mut bytes);
        let mut now = START;
        for stops in 0..3 {
            assert_eq!(conn.received().throttled, stops);
            assert!(conn.receive(now, &mut input).unwrap().is_some());
            assert!(conn.receive(now, &mut input).unwrap().is_none());
            now = conn.poll_timeout().unwrap_or(now);
            conn.handle_timeout(now).unwrap();
        }
        // What was counted stays when the limits change.
        conn.set_limits(&limits);
        assert_eq!(conn.received().throttled, 2);

        assert_eq!(conn.sent().refused, 0);
        conn.send("taken").unwrap();
        assert_eq!(conn.send("not"), Err(SendError::Full));
        assert!(conn.try_send("not").is_err());
        let fragment = conn.send_fragment(Kind::Text, &b"not"[..], false);
        assert_eq!(fragment, Err(SendError::Full));
        assert_eq!(conn.ping(&[0; 126]), Err(SendError::ControlTooLong));
        assert_eq!((conn.sent().refused, conn.sent().messages), (4, 1));
    }
}

#[test]
fn the_end_is_told_when_the_last_output_has_gone() {
    let notes = Arc::new(Notes::default());
    let mut conn = connection(Role::Server, &Config::new());
    conn.set_observer(notes.clone());
    conn.send("hi").unwrap();
    let close = to(Role::Server, b"\x88\x02\x03\xE8");
    receive(&mut conn, START, &close, &mut Vec::new()).unwrap();
    conn.handle_eof().unwrap();
    notes.take();
    drain(&mut conn);
    assert_eq!(notes.take(), ["closed Peer false"]);
}

/// Who takes the output as segments was not told of the end.
#[test]
fn regression_the_end_was_not_told_to_who_takes_segments() {
    for role in BOTH {
        let notes = Arc::new(Notes::default());
        let mut conn = connection(*role, &Config::new());
        conn.set_observer(notes.clone());
        let close = to(*role, b"\x88\x02\x03\xE8");
        receive(&mut conn, START, &close, &mut Vec::new()).unwrap();
        conn.handle_eof().unwrap();
        assert_eq!(notes.take(), ["received Close"]);
        conn.take_transmit(&mut Vec::new());
        assert_eq!(conn.state(), sockeye::State::Closed);
        assert_eq!(notes.take(), ["closed Peer false"]);
        conn.take_transmit(&mut Vec::new());
        assert!(notes.take().is_empty(), "only once");
    }
}

#[test]
fn what_was_sent_is_counted() {
    let config = with_deflate(sockeye::Deflate::client());
    let mut conn = connection(Role::Server, &config);
    let text = "words, words, words, words, words, words, words, words, words, words";
    conn.send(text).unwrap();
    conn.send_with("as it is", sockeye::Compress::Never)
        .unwrap();
    conn.send_fragment(Kind::Binary, &b"ab"[..], false).unwrap();
    conn.ping(b"!").unwrap();
    conn.send_fragment(Kind::Binary, &b"c"[..], true).unwrap();
    assert_eq!(conn.sent().bytes, 0, "nothing was taken");
    let wire = drain(&mut conn);
    let sent = conn.sent();
    assert_eq!(sent.bytes, wire.len() as u64);
    assert_eq!((sent.messages, sent.frames, sent.control_frames), (3, 4, 1));
    assert_eq!(sent.payload, (text.len() + 8 + 3) as u64);
    assert_eq!(sent.deflated, text.len() as u64);
    assert!(sent.compressed > 0 && sent.compression_ratio().unwrap() < 0.5);
    // As the peer counts them.
    let mut peer = connection(Role::Client, &config);
    receive(&mut peer, START, &wire, &mut Vec::new()).unwrap();
    let received = peer.received();
    assert_eq!((received.bytes, received.frames), (sent.bytes, sent.frames));
    assert_eq!(
        (received.messages, received.payload),
        (sent.messages, sent.payload)
    );
    assert_eq!(
        (received.inflated, received.compressed),
        (sent.deflated, sent.compressed)
    );
}

/// No payload, no reason of a close, ever.
#[cfg(feature = "tracing")]
#[test]
fn the_log_tells_no_secrets() {
    use std::fmt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::field::{Field, Visit};
    use tracing::{Event as Traced, Metadata, Subscriber, span};

    #[derive(Default)]
    struct Collect(Mutex<String>, AtomicUsize);

    struct Line<'a>(&'a mut String);

    impl Visit for Line<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            use fmt::Write;
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }

    impl Subscriber for Collect {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Traced<'_>) {
            assert_eq!(event.metadata().target(), "sockeye");
            self.1.fetch_add(1, Ordering::Relaxed);
            event.record(&mut Line(&mut self.0.lock().unwrap()));
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    let collect = Arc::new(Collect::default());
    tracing::subscriber::with_default(Arc::clone(&collect), || {
        let mut conn = connection(Role::Client, &Config::new());
        conn.set_observer(Arc::new(sockeye::Log::new()));
        let bytes = b"\x81\x06secret\x82\x06secret\x89\x06secret\x8A\x06secret";
        receive(&mut conn, START, bytes, &mut Vec::new()).unwrap();
        conn.send("secret").unwrap();
        conn.send(&b"secret"[..]).unwrap();
        conn.ping(b"secret").unwrap();
        conn.close(START, CloseCode::NORMAL, "secret").unwrap();
        drain(&mut conn);
        let _refused = conn.send("secret");
        let close = b"\x88\x08\x03\xE8secret";
        receive(&mut conn, START, close, &mut Vec::new()).unwrap();
        conn.handle_eof().unwrap();
    });
    let log = collect.0.lock().unwrap();
    assert!(collect.1.load(Ordering::Relaxed) >= 9, "{log}");
    assert!(
        !log.contains("secret") && !log.contains("115, 101, 99"),
        "{log}"
    );
    assert!(
        log.contains("bytes=6") && log.contains("code=1000"),
        "{log}"
    );
}
