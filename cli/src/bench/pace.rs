//! A clock for messages that leave whether earlier ones were answered or not.
//!
//! The timer of tokio wakes up to a millisecond late, which would be measured. A thread that sleeps is
//! some 60 microseconds late; what is left of it counts as latency, because the message was due before.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::plan::Plan;

#[derive(Debug)]
pub(super) struct Pace {
    /// Messages a second of all connections, which take turns.
    rate: Option<f64>,
    connections: Vec<Notify>,
}

impl Pace {
    pub(super) fn new(connections: usize, rate: Option<f64>) -> Self {
        Self {
            rate,
            connections: (0..connections).map(|_| Notify::new()).collect(),
        }
    }

    /// When a connection's message with this number is due; `None` if it is when there is room.
    pub(super) fn due(&self, plan: &Plan, connection: usize, number: u64) -> Option<Instant> {
        let turn = number * self.connections.len() as u64 + connection as u64;
        Some(plan.start + offset(turn, self.rate?))
    }

    /// Ready when a message of the connection may be due. Cancel safe.
    pub(super) async fn tick(&self, connection: usize) {
        match (self.rate, self.connections.get(connection)) {
            (Some(_), Some(notify)) => notify.notified().await,
            _ => std::future::pending().await,
        }
    }

    /// Lets the clock tick from now on, until the end of the plan.
    pub(super) fn start(self: &Arc<Self>, plan: &Arc<Plan>) {
        if let Some(rate) = self.rate {
            let (pace, plan) = (Arc::clone(self), Arc::clone(plan));
            thread::spawn(move || {
                pace.run(&plan, rate);
                // Everybody looks what the plan says.
                pace.connections.iter().for_each(Notify::notify_one);
            });
        }
    }

    fn run(&self, plan: &Plan, rate: f64) {
        for turn in 0.. {
            let due = plan.start + offset(turn, rate);
            if plan.is_over_by(due) {
                return;
            }
            loop {
                if plan.is_stopped() {
                    return;
                }
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                // Not too long, to see that it is over.
                thread::sleep(left.min(Duration::from_millis(100)));
            }
            let index = usize::try_from(turn).unwrap_or(usize::MAX) % self.connections.len();
            if let Some(connection) = self.connections.get(index) {
                connection.notify_one();
            }
        }
    }
}

fn offset(turn: u64, rate: f64) -> Duration {
    let seconds = turn as f64 / rate;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)
}
