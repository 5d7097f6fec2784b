//! Deadlines get on whatever happens: with rates, limits, compression, pauses and all the timeouts.

use core::time::Duration;

use bytes::Buf;
use proptest::prelude::*;
use sockeye::{
    Action, CloseCode, Connection, Deflate, Input, Instant, Limits, Memory, Rate, Timeouts,
};

use crate::wire::*;

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Step {
    Send,
    WriteSome,
    WriteAll,
    Probe,
    Pause,
    Resume,
    Receive(&'static [u8]),
    Close,
    SetLimits(bool),
    SetUnflushed(bool),
    Shrink,
    Eof,
    AskForAge,
    Wait(Duration),
}

fn millis() -> impl Strategy<Value = Duration> {
    (0..5000_u64).prop_map(Duration::from_millis)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frames: [&[u8]; 5] = [
        b"\x81\x00",
        b"\x89\x02hi",
        b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00",
        b"\x82\x05abcde",
        // It goes on with whatever comes next.
        b"\x82\x05abcd",
    ];
    let step = prop_oneof![
        3 => Just(Step::Send),
        2 => Just(Step::WriteSome),
        2 => Just(Step::WriteAll),
        2 => Just(Step::Probe),
        2 => Just(Step::Pause),
        2 => Just(Step::Resume),
        8 => prop::sample::select(frames.to_vec()).prop_map(Step::Receive),
        1 => Just(Step::Close),
        2 => any::<bool>().prop_map(Step::SetLimits),
        2 => any::<bool>().prop_map(Step::SetUnflushed),
        1 => Just(Step::Shrink),
        1 => Just(Step::Eof),
        1 => Just(Step::AskForAge),
        8 => (0..3000_u64).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
    ];
    prop::collection::vec(step, 0..80)
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    let span = || prop::option::of(millis());
    (span(), span(), span(), span(), span(), span()).prop_map(
        |(ping, pong, idle, write, lifetime, close)| {
            Timeouts::new()
                .with_ping(ping)
                .with_pong(pong)
                .with_idle(idle)
                .with_write(write)
                .with_lifetime(lifetime, Duration::from_millis(100))
                .with_close(close)
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let rate = || {
        let action = prop_oneof![Just(Action::Pause), Just(Action::Report)];
        let rate = (1..50_u32, 1..20_u32, action)
            .prop_map(|(rate, burst, action)| Rate::new(rate, burst).with_action(action));
        prop::option::of(rate)
    };
    let memory = prop::option::of(10..100_000_usize);
    (rate(), rate(), rate(), memory).prop_map(|(messages, bytes, control, memory)| {
        Limits::new()
            .with_message_rate(messages)
            .with_byte_rate(bytes)
            .with_control_rate(control)
            .with_max_memory(memory)
    })
}

fn deflate() -> impl Strategy<Value = Deflate> {
    (prop::option::of(millis()), any::<bool>()).prop_map(|(idle_release, retained)| {
        let memory = match retained {
            true => Memory::Retained,
            false => Memory::Window,
        };
        Deflate::client()
            .with_threshold(0)
            .with_idle_release(idle_release)
            .with_send_memory(memory)
            .with_receive_memory(memory)
    })
}

/// Gives what is there, and keeps what is not taken.
fn feed(conn: &mut Connection, now: Instant, unread: &mut Vec<u8>) {
    let mut bytes = std::mem::take(unread);
    let mut input = Input::new(&mut bytes);
    while let Ok(Some(_)) = conn.receive(now, &mut input) {}
    *unread = input.as_slice().to_vec();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// After `handle_timeout(t)` the next deadline is none or later than `t`.
    #[test]
    fn deadlines_advance_in_all_circumstances(
        is_server in any::<bool>(),
        timeouts in timeouts(),
        limits in limits(),
        deflate in deflate(),
        steps in steps(),
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let config = with_deflate(deflate)
            .with_timeouts(timeouts)
            .with_limits(limits.clone());
        let mut conn = connection(role, &config);
        let (mut now, mut unread) = (START, Vec::new());
        for step in steps {
            match step {
                Step::Send => ignore(conn.send("message message message message")),
                Step::WriteSome => if let Some(mut output) = conn.poll_transmit() {
                    let some = output.remaining().min(7);
                    output.advance(some);
                },
                Step::WriteAll => conn.take_transmit(&mut Vec::new()),
                Step::Probe => ignore(conn.probe()),
                Step::Pause => conn.pause(),
                Step::Resume => conn.resume(),
                Step::Receive(frame) => {
                    unread.extend(to(role, frame));
                    feed(&mut conn, now, &mut unread);
                }
                Step::Close => ignore(conn.close(now, CloseCode::NORMAL, "")),
                Step::SetLimits(true) => conn.set_limits(&limits),
                Step::SetLimits(false) => conn.set_limits(&Limits::new()),
                Step::SetUnflushed(unflushed) => conn.set_unflushed(unflushed),
                Step::Shrink => conn.shrink(),
                Step::Eof => ignore(conn.handle_eof()),
                Step::AskForAge => ignore(conn.queued_age(now)),
                Step::Wait(time) => {
                    now = now + time;
                    ignore(conn.handle_timeout(now));
                    let next = conn.poll_timeout();
                    prop_assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
                    feed(&mut conn, now, &mut unread);
                }
            }
        }
        // A loop that does nothing but meet deadlines ends or gets on.
        for _ in 0..1000 {
            let Some(deadline) = conn.poll_timeout() else { break };
            now = now.max(deadline);
            ignore(conn.handle_timeout(now));
            let next = conn.poll_timeout();
            prop_assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
            feed(&mut conn, now, &mut unread);
        }
    }
}
