//! One connection of a measurement.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sockeye::{Event, Message, SendError, Unsent};

use super::measure::Measurements;
use super::pace::Pace;
use super::payload::Payloads;
use super::plan::Plan;
use crate::dial::Socket;
use crate::exit::{Exit, Failure};

pub(super) struct Load {
    pub(super) index: usize,
    pub(super) plan: Arc<Plan>,
    pub(super) pace: Arc<Pace>,
    pub(super) payloads: Arc<Payloads>,
    pub(super) measurements: Arc<Measurements>,
}

/// A message that is under way, or is to be sent when there is room.
struct Sent {
    number: u64,
    /// When it was sent, or should have been.
    at: Instant,
    is_measured: bool,
}

/// What the queue of a connection has to do with its deadlines.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Load {
    pub(super) async fn run(self, mut socket: Socket) {
        let mut under_way = VecDeque::new();
        let mut next = Next::default();
        let counts = Counts::default();
        let result = tokio::select! {
            biased;
            result = self.exchange(&mut socket, &mut under_way, &counts, &mut next) => result,
            () = self.stalled(&counts) => Err(Failure::new(
                Exit::Timeout,
                format!("no answer for {:?}", self.plan.timeout),
            )
            .with_hint("--timeout gives it more time")),
        };
        match result {
            Ok(()) => super::close(socket).await,
            Err(failure) => {
                let waiting = next.waiting.as_ref().map(|(sent, _)| sent);
                let unanswered = under_way.iter().chain(waiting);
                let lost = unanswered.filter(|sent| sent.is_measured).count();
                self.measurements.lose(lost as u64);
                self.lose_due(&mut next);
                self.measurements.fail(failure);
            }
        }
    }

    /// Sends and receives until the plan is done and everything is answered.
    async fn exchange(
        &self,
        socket: &mut Socket,
        under_way: &mut VecDeque<Sent>,
        counts: &Counts,
        next: &mut Next,
    ) -> Result<(), Failure> {
        let mut last_answer = None;
        loop {
            self.send_due(socket, under_way, counts, next)?;
            if next.is_done && under_way.is_empty() {
                break;
            }
            let event = tokio::select! {
                biased;
                event = socket.recv_with(|event, _| self.receive(event, under_way)) => event?,
                // The plan may have ended as well.
                () = self.pace.tick(self.index) => continue,
            };
            match event {
                Some(at) => {
                    if let Some(at) = at? {
                        counts.answered.fetch_add(1, Ordering::Relaxed);
                        last_answer = Some(at);
                    }
                }
                None => {
                    let closed = socket.closed();
                    let (code, reason) = match &closed {
                        Some(closed) => (closed.code(), closed.reason()),
                        None => (sockeye::CloseCode::ABNORMAL, ""),
                    };
                    return Err(Failure::closed(code, reason));
                }
            }
        }
        if let Some(at) = last_answer {
            self.measurements.last_answer(at);
        }
        Ok(())
    }

    /// Queues what is due, as far as there is room: nothing may wait for that, or both sides would wait
    /// for each other.
    fn send_due(
        &self,
        socket: &mut Socket,
        under_way: &mut VecDeque<Sent>,
        counts: &Counts,
        next: &mut Next,
    ) -> Result<(), Failure> {
        loop {
            let (sent, message) = match next.waiting.take() {
                Some(waiting) => waiting,
                None => match self.next(under_way.len(), next) {
                    Some(sent) => {
                        let message = self.payloads.message(self.index, sent.number);
                        (sent, message)
                    }
                    None => return Ok(()),
                },
            };
            match socket.try_feed(message) {
                Ok(()) => {
                    counts.sent.fetch_add(1, Ordering::Relaxed);
                    under_way.push_back(sent);
                }
                Err(Unsent {
                    error: SendError::Full,
                    value,
                    ..
                }) => {
                    next.waiting = Some((sent, value));
                    if self.plan.is_stopped() {
                        self.lose_due(next);
                        next.is_done = true;
                    }
                    return Ok(());
                }
                // Receiving tells why.
                Err(_) => {
                    next.is_done = true;
                    under_way.push_back(sent);
                    return Ok(());
                }
            }
        }
    }

    /// The next message, if it is due.
    fn next(&self, under_way: usize, next: &mut Next) -> Option<Sent> {
        if next.is_done {
            return None;
        }
        let now = Instant::now();
        let at = match self.pace.due(&self.plan, self.index, next.number) {
            Some(due) if due > now && !self.plan.is_stopped() => {
                // The last one may have been before the end of the plan.
                next.is_done = self.plan.is_over_by(due);
                return None;
            }
            Some(due) => due,
            None if under_way >= self.plan.depth => return None,
            None => now,
        };
        let Some(is_measured) = self.plan.ticket(at) else {
            next.is_done = true;
            return None;
        };
        let number = next.number;
        next.number += 1;
        Some(Sent {
            number,
            at,
            is_measured,
        })
    }

    /// Counts as lost what is due by now and will not be sent: a server is not spared what it would have
    /// got.
    fn lose_due(&self, next: &mut Next) {
        let now = Instant::now();
        let mut lost = 0;
        while let Some(due) = self.pace.due(&self.plan, self.index, next.number)
            && due <= now
            && let Some(is_measured) = self.plan.ticket(due)
        {
            next.number += 1;
            lost += u64::from(is_measured);
        }
        self.measurements.lose(lost);
    }

    /// When the answer came, if it was one.
    fn receive(
        &self,
        event: Event<'_>,
        under_way: &mut VecDeque<Sent>,
    ) -> Result<Option<Instant>, Failure> {
        let Ok(answer) = event.into_message() else {
            return Ok(None); // a ping, a pong, or the Close frame before the end
        };
        let now = Instant::now();
        let is_answer = |sent: &Sent| self.payloads.is_answer(&answer, self.index, sent.number);
        let Some(sent) = under_way.pop_front().filter(is_answer) else {
            return Err(
                Failure::new(Exit::Protocol, "an answer is not what was sent")
                    .with_hint("is it an echo server?"),
            );
        };
        let latency = sent
            .is_measured
            .then(|| now.saturating_duration_since(sent.at));
        self.measurements.answer(self.index, latency);
        Ok(Some(now))
    }

    /// Ready when no answer came for so long that the server must have lost one.
    async fn stalled(&self, counts: &Counts) {
        let mut before = None;
        loop {
            tokio::time::sleep(self.plan.timeout).await;
            let answered = counts.answered.load(Ordering::Relaxed);
            let is_waiting = counts.sent.load(Ordering::Relaxed) > answered;
            if is_waiting && before == Some(answered) {
                return;
            }
            before = is_waiting.then_some(answered);
        }
    }
}

/// How far a connection is with its messages.
#[derive(Default)]
struct Next {
    number: u64,
    /// A message that found the queue full.
    waiting: Option<(Sent, Message<'static>)>,
    is_done: bool,
}
