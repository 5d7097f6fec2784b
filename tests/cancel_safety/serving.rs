//! Replies from a handler: in how many writes they leave, and that none of them waits for what the
//! handler waits for.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sockeye::{
    CloseCode, Config, Delivery, Error, Kind, Limits, Priority, Rate, SendError, SocketError,
    State, Timeout, Timeouts, WebSocket,
};
use tokio::sync::Notify;

use crate::mock::*;

const SECOND: Duration = Duration::from_secs(1);
const WRITE: Duration = Duration::from_secs(10);

fn texts(from: u8, to: u8) -> Vec<(u8, Vec<u8>)> {
    (from..to).map(|i| (0x81, vec![b'a' + i; 16])).collect()
}

/// As many messages in one piece.
fn read(from: u8, to: u8) -> Vec<u8> {
    let frames = texts(from, to).into_iter();
    frames
        .flat_map(|(first, payload)| masked(first, &payload))
        .collect()
}

async fn echo(ws: &mut WebSocket<Mock>) -> Result<(), SocketError> {
    let closed = ws
        .serve(async |message, replies| replies.send(message).await)
        .await?;
    assert_eq!(ws.closed(), Some(closed));
    Ok(())
}

#[test]
fn what_came_in_one_read_is_answered_in_one_write() {
    for dress in [std::convert::identity, watched] {
        let mock = Mock::smooth();
        let mut ws = server(&dress(Config::new()), &mock);
        let task = Task::new();
        let mut serving = pin!(echo(&mut ws));
        for turn in 1..4 {
            mock.give(&read(0, 16));
            assert!(task.poll(serving.as_mut()).is_pending());
            assert_eq!(mock.wire().writes, turn);
            task.woken();
        }
        assert_eq!(
            mock.frames(),
            [texts(0, 16), texts(0, 16), texts(0, 16)].concat()
        );
        // Left alone until there is more.
        for _ in 0..10 {
            assert!(task.poll(serving.as_mut()).is_pending());
            assert_eq!(task.woken(), 0);
        }
        assert_eq!(mock.wire().writes, 3);
    }
}

/// Whoever reads as much as there is room for reads on before it writes. So much is what an adapter
/// reads at once.
const FULL: usize = 20 * 1024;

#[test]
fn what_came_in_full_reads_is_answered_in_one_write() {
    for dress in [std::convert::identity, watched] {
        let mock = Mock::smooth();
        let mut ws = server(&dress(Config::new()), &mock);
        let task = Task::new();
        let mut serving = pin!(echo(&mut ws));
        let count = 2 * FULL / read(0, 16).len() + 1;
        mock.give(&read(0, 16).repeat(count));
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(mock.wire().writes, 1);
        assert_eq!(mock.wire().reads, 4, "two full, one short, none");
        assert!(mock.frames() == vec![texts(0, 16); count].concat());
    }
}

/// Also when nothing comes behind a full read.
#[test]
fn a_full_read_is_answered_before_another_one_waits() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let task = Task::new();
    let mut serving = pin!(echo(&mut ws));
    let count = FULL / 32;
    mock.give(&masked(0x82, &[7; 26]).repeat(count));
    assert!(task.poll(serving.as_mut()).is_pending());
    assert!(mock.frames() == vec![(0x82, vec![7; 26]); count]);
    assert_eq!(mock.wire().writes, 1);
    task.woken();
    for _ in 0..10 {
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(task.woken(), 0);
    }
}

/// However much is at hand, replies are put off neither for long nor in numbers.
#[test]
fn what_is_put_off_is_bounded() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let mut most = 0;
    mock.give(&read(0, 16).repeat(20 * FULL / 352));
    let served = attempt(
        1,
        ws.serve(async |message, replies| {
            most = most.max(replies.queued());
            replies.send(message).await
        }),
    );
    assert!(served.is_none());
    assert!(most < 64 * 1024 + FULL, "{most}");
    assert!(mock.wire().writes < 6, "{}", mock.wire().writes);

    // One reply, and a peer that sends and sends.
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let mut reads = 0;
    mock.give(&read(0, 16).repeat(20 * FULL / 352));
    let served = attempt(
        1,
        ws.serve(async |message, replies| {
            if mock.wire().reads == 1 && replies.queued() == 0 {
                replies.send(message).await?;
            }
            if replies.queued() > 0 {
                reads = mock.wire().reads;
            }
            Ok::<_, SocketError>(())
        }),
    );
    assert!(served.is_none());
    assert_eq!(reads, 8);

    // A queue of little room.
    let mock = Mock::smooth();
    let mut ws = server(&narrow(), &mock);
    mock.give(&masked(0x82, &[7; 26]).repeat(4 * FULL / 32));
    let served = attempt(
        1,
        ws.serve(async |message, replies| {
            if replies.queued() == 0 {
                replies.send(message).await?;
                replies.send("and").await?;
            }
            reads = mock.wire().reads;
            assert_eq!(mock.wire().writes + 1, reads);
            Ok::<_, SocketError>(())
        }),
    );
    assert!(served.is_none());
    assert_eq!(reads, 4);
}

/// A pong leaves before anything else is read.
#[test]
fn a_pong_is_not_put_off() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let mut reads = 0;
    mock.give(&masked(0x89, b"there?"));
    mock.give(&read(0, 16).repeat(2 * FULL / 352));
    let served = attempt(
        1,
        ws.serve(async |_, _| {
            reads = mock.wire().reads;
            assert_eq!(mock.wire().writes, usize::from(reads > 1));
            Ok::<_, SocketError>(())
        }),
    );
    assert!(served.is_none());
    assert!(reads > 1);
    assert_eq!(mock.frames(), [(0x8A, b"there?".to_vec())]);
}

/// The deadline of what waits does not pass without an attempt to write it.
#[test]
fn what_is_put_off_is_written_in_time() {
    let timeouts = Timeouts::new().with_write(Some(WRITE));
    let mock = Mock::smooth();
    mock.stop_the_clock();
    let mut ws = server(&Config::new().with_timeouts(timeouts), &mock);
    let mut reads = 0;
    mock.give(&read(0, 16).repeat(5 * FULL / 352));
    let served = attempt(
        1,
        ws.serve(async |message, replies| {
            // It takes its time for each read.
            if reads < mock.wire().reads {
                reads = mock.wire().reads;
                mock.wind(2 * WRITE);
                replies.send(message).await?;
            }
            Ok::<_, SocketError>(())
        }),
    );
    assert!(served.is_none());
    assert_eq!(reads, 5);
    assert_eq!(mock.frames().len(), 5);
    assert_eq!(ws.state(), State::Open);
}

/// Large messages are read several at a time, and answered so.
#[test]
fn large_messages_that_follow_one_another_share_reads_and_writes() {
    const COUNT: usize = 64;
    let payload = vec![7; 16 << 10];
    // The mask is all zeros.
    let header = [0x82, 0xFE, 0x40, 0, 0, 0, 0, 0];
    for round in 0..2 {
        let mock = Mock::smooth();
        let mut ws = server(&Config::new(), &mock);
        mock.give(&[&header[..], &payload].concat().repeat(COUNT));
        // After some reads others have their turn.
        assert!(attempt(8, echo(&mut ws)).is_none());
        assert!(mock.frames() == vec![(0x82, payload.clone()); COUNT]);
        // In the second round the thread has what they are put together in.
        if round == 1 {
            let Wire { reads, writes, .. } = *mock.wire();
            assert!(reads < COUNT * 2 / 3, "{reads}");
            assert!(writes < COUNT / 2, "{writes}");
        }
    }
}

/// A peer that has the next messages ready does not keep the thread. With 64 reads in a row, others
/// waited for half a second where much was under way.
#[test]
fn others_have_their_turn() {
    let payload = vec![7; 16 << 10];
    let header = [0x82, 0xFE, 0x40, 0, 0, 0, 0, 0];
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.give(&[&header[..], &payload].concat().repeat(64));
    assert!(attempt(1, echo(&mut ws)).is_none());
    assert_eq!(mock.wire().reads, 8);
    // What was read is answered before.
    assert!((4..64).contains(&mock.frames().len()));
    assert_eq!(ws.queued(), 0);
}

/// The first of three messages is answered in two parts, between which the handler waits.
#[test]
fn no_reply_waits_for_the_handler() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let gate = Notify::new();
    let task = Task::new();
    let mut serving = pin!(ws.serve(async |message, replies| {
        let is_first = message.as_bytes()[0] == b'b';
        replies.send(message).await?;
        if is_first {
            gate.notified().await;
            replies.send("later").await?;
        }
        Ok::<_, SocketError>(())
    }));
    mock.give(&read(0, 4));
    assert!(task.poll(serving.as_mut()).is_pending());
    assert_eq!(mock.frames(), texts(0, 2));
    assert_eq!(mock.wire().writes, 1);
    for _ in 0..10 {
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(task.woken(), 0);
    }
    assert_eq!(mock.wire().writes, 1);
    assert_eq!(mock.wire().reads, 1);
    gate.notify_one();
    assert_ne!(task.woken(), 0);
    assert!(task.poll(serving.as_mut()).is_pending());
    assert_eq!(mock.wire().writes, 2);
    let rest = [vec![(0x81, b"later".to_vec())], texts(2, 4)].concat();
    assert_eq!(mock.frames(), [texts(0, 2), rest].concat());
}

/// Nor does it wait for ever because the transport took nothing at first.
#[test]
fn a_blocked_reply_leaves_while_the_handler_waits() {
    for buffers in [false, true] {
        let mock = Mock::smooth();
        mock.wire().blocked = true;
        mock.wire().buffers = buffers;
        let mut ws = server(&Config::new(), &mock);
        let task = Task::new();
        let mut serving = pin!(ws.serve(async |message, replies| {
            replies.send(message).await?;
            std::future::pending::<Result<(), SocketError>>().await
        }));
        mock.give(&read(0, 1));
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(mock.frames(), []);
        task.woken();
        mock.unblock();
        assert_ne!(task.woken(), 0);
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(mock.frames(), texts(0, 1));
    }
}

/// A peer that does not read: `send` waits, and goes on as soon as there is room.
#[test]
fn a_full_queue_holds_the_handler_back() {
    let mock = Mock::smooth();
    mock.wire().blocked = true;
    let mut ws = server(&narrow(), &mock);
    let task = Task::new();
    let mut serving = pin!(echo(&mut ws));
    mock.give(&read(0, 16));
    assert!(task.poll(serving.as_mut()).is_pending());
    task.woken();
    for turn in 1..4 {
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(task.woken(), 0);
        // One byte of room is not enough; one message is.
        let taken = mock.taken();
        {
            let mut wire = mock.wire();
            wire.takes_one = true;
            wire.write_size = 18;
        }
        mock.unblock();
        assert_ne!(task.woken(), 0);
        while task.woken() > 0 || mock.taken() == taken {
            assert!(task.poll(serving.as_mut()).is_pending());
        }
        assert_eq!(mock.taken(), turn * 18);
    }
    mock.wire().write_size = usize::MAX;
    mock.unblock();
    while task.woken() > 0 {
        assert!(task.poll(serving.as_mut()).is_pending());
    }
    assert_eq!(mock.frames(), texts(0, 16));
}

/// The same where the future that waits for room has a waker of its own.
#[test]
fn room_wakes_who_waits_for_it() {
    let mock = Mock::smooth();
    mock.wire().blocked = true;
    let mut ws = server(&watched(narrow()), &mock);
    let task = Task::new();
    let mut serving = pin!(ws.serve(async |message, replies| {
        let mut parts = FuturesUnordered::new();
        parts.push(async { replies.send(message).await });
        parts.next().await.unwrap()
    }));
    mock.give(&read(0, 16));
    assert!(task.poll(serving.as_mut()).is_pending());
    mock.unblock();
    while task.woken() > 0 {
        assert!(task.poll(serving.as_mut()).is_pending());
    }
    assert_eq!(mock.frames(), texts(0, 16));
}

/// What was handled was answered, once and in order, wherever the future was dropped.
#[test]
fn dropped_anywhere() {
    for polls in 1..30 {
        for config in [Config::new(), watched(Config::new()), narrow()] {
            for waits in [false, true] {
                let mock = Mock::rough();
                let mut ws = server(&config, &mock);
                mock.give(&read(0, 16));
                mock.give(&masked(0x89, b"ping"));
                mock.give(&masked(0x88, &[3, 0xE8]));
                let mut handled = Vec::new();
                for call in 0.. {
                    assert!(call < 10_000, "no progress");
                    let serving = ws.serve(async |message, replies| {
                        let bytes = message.as_bytes().to_vec();
                        if waits {
                            tokio::task::yield_now().await;
                        }
                        replies.send(message).await?;
                        handled.push((0x81, bytes));
                        Ok::<_, SocketError>(())
                    });
                    match attempt(polls, serving) {
                        Some(closed) => {
                            assert!(closed.unwrap().clean);
                            break;
                        }
                        None if mock.wire().shut_down => mock.end(),
                        None => {}
                    }
                }
                let mut frames = mock.frames();
                frames.retain(|frame| frame.0 == 0x81);
                assert_eq!(frames, handled, "{polls} polls");
                if !waits && config.limits() == Config::new().limits() {
                    assert_eq!(frames, texts(0, 16), "nothing was dropped");
                }
                // Fewer polls may not be enough for any handler.
                assert!(polls < 20 || !frames.is_empty());
            }
        }
    }
}

/// An error of the handler's ends the loop and not the connection.
#[test]
fn errors_of_the_handler() {
    #[derive(Debug)]
    enum Failure {
        Socket,
        Own(u8),
    }
    impl From<SocketError> for Failure {
        fn from(_: SocketError) -> Self {
            Self::Socket
        }
    }
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.give(&read(0, 4));
    let served = finish(ws.serve(async |message, replies| {
        let first = message.as_bytes()[0];
        replies.send(message).await?;
        if first == b'b' {
            return Err(Failure::Own(first));
        }
        Ok(())
    }));
    assert!(matches!(served, Err(Failure::Own(b'b'))), "{served:?}");
    assert_eq!(ws.state(), State::Open);
    assert_eq!(ws.queued(), 2 * 18);
    assert_eq!(mock.wire().writes, 0);
    // On with the third.
    assert!(attempt(1, echo(&mut ws)).is_none());
    assert_eq!(mock.frames(), texts(0, 4));
    assert_eq!(mock.wire().writes, 1);
    // One of the connection's.
    mock.give(&masked(0x83, b"reserved"));
    mock.end();
    let served = finish(ws.serve(async |_, _| Ok(())));
    assert!(matches!(served, Err(Failure::Socket)), "{served:?}");
    assert!(matches!(
        finish(echo(&mut ws)),
        Err(SocketError::Connection(_))
    ));
}

/// The Close frame goes behind the replies, and what arrives after it is dropped.
#[test]
fn closing_from_the_handler() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    let task = Task::new();
    let mut handled = 0;
    {
        let mut serving = pin!(ws.serve(async |message, replies| {
            handled += 1;
            let is_last = message.as_bytes()[0] == b'c';
            replies.send(message).await?;
            if is_last {
                replies.close(CloseCode::from(4000), "enough")?;
                assert_eq!(replies.state(), State::Closing);
                let again = replies.close(CloseCode::NORMAL, "");
                assert!(matches!(again, Err(SocketError::Send(SendError::NotOpen))));
            }
            Ok::<_, SocketError>(())
        }));
        mock.give(&read(0, 6));
        assert!(task.poll(serving.as_mut()).is_pending());
        let mut expected = texts(0, 3);
        expected.push((0x88, b"\x0F\xA0enough".to_vec()));
        assert_eq!(mock.frames(), expected);
        assert_eq!(mock.wire().writes, 1);
        mock.give(&read(6, 8));
        mock.give(&masked(0x88, &[15, 160]));
        mock.end();
        while task.woken() > 0 {
            if let std::task::Poll::Ready(closed) = task.poll(serving.as_mut()) {
                let closed = closed.unwrap();
                assert!(closed.clean);
                assert_eq!(closed.sent, Some(CloseCode::from(4000)));
                break;
            }
        }
    }
    assert_eq!(handled, 3);
    assert!(ws.closed().is_some());
    // It stays so.
    finish(echo(&mut ws)).unwrap();
}

/// Replies to what came before the peer's Close frame leave before the answer to it, and pings are
/// answered in between, all in one write.
#[test]
fn control_frames_among_messages() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    mock.give(&read(0, 2));
    mock.give(&masked(0x89, b"one"));
    mock.give(&masked(0x8A, b"unasked"));
    mock.give(&read(2, 4));
    mock.give(&masked(0x88, &[3, 0xE8]));
    mock.end();
    finish(echo(&mut ws)).unwrap();
    assert!(ws.closed().unwrap().clean);
    assert_eq!(mock.wire().writes, 1);
    let mut frames = mock.frames();
    assert_eq!(frames.pop(), Some((0x88, vec![3, 0xE8])));
    let pong = frames.iter().position(|frame| frame.0 == 0x8A).unwrap();
    assert_eq!(frames.remove(pong).1, b"one");
    assert_eq!(frames, texts(0, 4));
}

/// Messages that arrive in fragments, and several at a time are sent in fragments.
#[test]
fn fragments() {
    let mock = Mock::smooth();
    mock.wire().write_size = 7;
    mock.wire().read_size = 3;
    let mut ws = server(&Config::new(), &mock);
    mock.give(&masked(0x01, b"in "));
    mock.give(&masked(0x89, b"ping"));
    mock.give(&masked(0x80, b"pieces"));
    mock.give(&masked(0x88, &[3, 0xE8]));
    mock.end();
    let served = ws.serve(async |message, replies| {
        assert_eq!(message.as_text(), Some("in pieces"));
        replies
            .send_fragment(Kind::Text, &b"and "[..], false)
            .await?;
        replies.ping(b"between").await?;
        replies.send_fragment(Kind::Text, &b"out"[..], true).await?;
        replies.send_with("last", Priority::Bulk).await
    });
    assert!(finish(served).unwrap().clean);
    let mut frames = mock.frames();
    frames.retain(|frame| frame.0 & 8 == 0);
    let payloads: Vec<_> = frames.into_iter().map(|frame| frame.1).collect();
    assert_eq!(payloads, [&b"and "[..], b"out", b"last"]);

    // Pieces are not messages, and skipped.
    let mock = Mock::smooth();
    let mut ws = server(&Config::new().with_delivery(Delivery::Chunks), &mock);
    mock.give(&read(0, 2));
    mock.give(&masked(0x88, &[3, 0xE8]));
    mock.end();
    let served = ws.serve::<SocketError>(async |_, _| panic!("a piece"));
    assert!(finish(served).unwrap().clean);
}

/// A handler that computes for long flushes first.
#[test]
fn flushing_by_hand() {
    let mock = Mock::smooth();
    mock.wire().write_size = 7;
    mock.wire().buffers = true;
    let mut ws = server(&Config::new(), &mock);
    mock.give(&read(0, 3));
    mock.give(&masked(0x88, &[3, 0xE8]));
    mock.end();
    let mut seen = 0;
    let served = ws.serve(async |message, replies| {
        replies.send(message).await?;
        assert_eq!(replies.queued(), 18);
        replies.flush().await?;
        assert_eq!(replies.queued(), 0);
        seen += 1;
        assert_eq!(mock.frames().len(), seen);
        Ok::<_, SocketError>(())
    });
    finish(served).unwrap();
    assert_eq!(seen, 3);
}

/// Output that nobody takes ends the connection while the handler waits. It is not cut short, and
/// learns what happened when it replies.
#[test]
fn a_stalled_write_is_found_while_the_handler_waits() {
    let mock = Mock::smooth();
    mock.stop_the_clock();
    mock.wire().blocked = true;
    let timeouts = Timeouts::new().with_write(Some(WRITE));
    let mut ws = server(&Config::new().with_timeouts(timeouts.clone()), &mock);
    let gate = Notify::new();
    let task = Task::new();
    let mut states = Vec::new();
    {
        let mut serving = pin!(ws.serve(async |message, replies| {
            replies.send(message).await?;
            gate.notified().await;
            states.push(replies.state());
            replies.send("later").await
        }));
        mock.give(&read(0, 1));
        assert!(task.poll(serving.as_mut()).is_pending());
        for _ in 0..9 {
            mock.wind(SECOND);
            assert!(task.poll(serving.as_mut()).is_pending());
        }
        task.woken();
        mock.wind(SECOND);
        assert_ne!(task.woken(), 0, "the timer wakes the task");
        assert!(task.poll(serving.as_mut()).is_pending());
        gate.notify_one();
        let std::task::Poll::Ready(Err(SocketError::Connection(error))) =
            task.poll(serving.as_mut())
        else {
            panic!("the connection is lost");
        };
        assert_eq!(error, Error::Timeout(Timeout::Write));
    }
    assert_eq!(states, [State::Closed]);
    assert_eq!(ws.closed().unwrap().expired, Some(Timeout::Write));

    // Also while it waits for room.
    let mock = Mock::smooth();
    mock.stop_the_clock();
    mock.wire().blocked = true;
    let limits = Limits::new().with_max_queued(64);
    let config = Config::new().with_timeouts(timeouts).with_limits(limits);
    let mut ws = server(&config, &mock);
    let mut serving = pin!(echo(&mut ws));
    mock.give(&read(0, 16));
    assert!(task.poll(serving.as_mut()).is_pending());
    mock.wind(WRITE - SECOND);
    task.woken();
    assert!(task.poll(serving.as_mut()).is_pending());
    mock.wind(SECOND);
    assert_ne!(task.woken(), 0);
    while task.poll(serving.as_mut()).is_pending() {
        assert_ne!(task.woken(), 0);
    }
}

/// Nothing is read while a handler waits, so a peer that is silent then is not dead, whether or not
/// something waits to be written.
#[test]
fn the_keep_alive_stands_still_while_the_handler_waits() {
    for blocked in [false, true] {
        let mock = Mock::smooth();
        mock.stop_the_clock();
        let timeouts = Timeouts::new()
            .with_ping(Some(3 * SECOND))
            .with_pong(Some(2 * SECOND));
        let mut ws = server(&Config::new().with_timeouts(timeouts), &mock);
        let gate = Notify::new();
        let task = Task::new();
        let mut serving = pin!(ws.serve(async |message, replies| {
            replies.send(message).await?;
            gate.notified().await;
            Ok::<_, SocketError>(())
        }));
        // A ping is under way.
        assert!(task.poll(serving.as_mut()).is_pending());
        mock.wind(3 * SECOND);
        assert!(task.poll(serving.as_mut()).is_pending());
        assert_eq!(mock.frames().len(), 1);
        mock.give(&read(0, 1));
        mock.wire().blocked = blocked;
        for _ in 0..30 {
            assert!(task.poll(serving.as_mut()).is_pending());
            mock.wind(SECOND);
        }
        assert_eq!(
            mock.frames().iter().filter(|frame| frame.0 == 0x89).count(),
            1
        );
        mock.unblock();
        gate.notify_one();
        mock.give(&masked(0x8A, &mock.frames()[0].1));
        task.woken();
        assert!(task.poll(serving.as_mut()).is_pending());
        // From here on it counts again.
        for _ in 0..6 {
            mock.wind(SECOND);
            if task.poll(serving.as_mut()).is_ready() {
                panic!("too early");
            }
            if mock.frames().iter().filter(|frame| frame.0 == 0x89).count() == 2 {
                break;
            }
        }
        mock.wind(2 * SECOND);
        let std::task::Poll::Ready(Err(SocketError::Connection(error))) =
            task.poll(serving.as_mut())
        else {
            panic!("the peer is dead now, {blocked}");
        };
        assert_eq!(error, Error::Timeout(Timeout::Pong));
    }
}

/// A transport that fails while the handler waits is news for its next reply.
#[test]
fn a_failed_write_is_news_for_the_handler() {
    let mock = Mock::smooth();
    mock.wire().write_error = Some(ErrorKind::BrokenPipe);
    let mut ws = server(&Config::new(), &mock);
    mock.give(&read(0, 1));
    let mut serving = pin!(ws.serve(async |message, replies| {
        replies.send(message).await?;
        tokio::task::yield_now().await;
        let later = replies.send("later").await;
        assert!(
            matches!(&later, Err(SocketError::Io(error)) if error.kind() == ErrorKind::BrokenPipe)
        );
        assert!(replies.flush().await.is_err());
        Ok::<_, SocketError>(())
    }));
    assert!(matches!(finish(serving.as_mut()), Err(SocketError::Io(_))));
    assert_eq!(mock.wire().writes, 1);
}

/// A peer above a rate is held back, and goes on in time, also when it is polled in between.
#[test]
fn a_peer_above_a_rate() {
    let mock = Mock::smooth();
    mock.stop_the_clock();
    let limits = Limits::new().with_message_rate(Some(Rate::new(1, 1)));
    let mut ws = server(&Config::new().with_limits(limits), &mock);
    let task = Task::new();
    let mut serving = pin!(echo(&mut ws));
    mock.give(&read(0, 4));
    for count in 1..=4 {
        for _ in 0..3 {
            assert!(task.poll(serving.as_mut()).is_pending());
            task.woken();
        }
        assert_eq!(mock.frames(), texts(0, count));
        mock.wind(SECOND);
        assert_eq!(task.woken() > 0, count < 4);
    }
}

/// What a peer above a rate may have is answered at once, also when the read was full.
#[test]
fn regression_replies_waited_for_the_rate_of_a_full_read() {
    let mock = Mock::smooth();
    mock.stop_the_clock();
    let limits = Limits::new().with_message_rate(Some(Rate::new(1, 1)));
    let mut ws = server(&Config::new().with_limits(limits), &mock);
    let task = Task::new();
    let mut serving = pin!(echo(&mut ws));
    // More than any read buffer.
    mock.give(
        &(0..20_000)
            .flat_map(|_| masked(0x81, b"text"))
            .collect::<Vec<_>>(),
    );
    assert!(task.poll(serving.as_mut()).is_pending());
    assert_eq!(mock.frames().len(), 1);
}

/// A peer that ends its side without a Close frame still gets its replies.
#[test]
fn regression_a_reply_that_was_put_off_was_lost_with_the_transport() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    // Its rest is read in place, in one read that fills the room.
    mock.give(&masked(0x82, &[7; 40_000]));
    mock.end();
    let mut serving = pin!(echo(&mut ws));
    assert!(finish(serving.as_mut()).is_err());
    assert_eq!(mock.frames().len(), 1);
}

/// Nobody knows when who receives by itself comes again, so what was fed does not wait for that.
#[test]
fn regression_what_was_fed_waited_while_reads_were_full() {
    let mock = Mock::smooth();
    let mut ws = server(&Config::new(), &mock);
    for _ in 0..2 {
        mock.give(&masked(0x82, &[7; 40_000]));
    }
    for written in 0..2 {
        let mut receiving = pin!(async {
            let message = ws.recv().await?.unwrap();
            assert_eq!(mock.frames().len(), written);
            ws.feed(message).await
        });
        finish(receiving.as_mut()).unwrap();
    }
}
