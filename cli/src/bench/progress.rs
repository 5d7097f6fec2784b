//! What is seen on a terminal while it is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use super::measure::Measurements;
use super::plan::{End, Plan};
use super::report::grouped;

const INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    bar: ProgressBar,
    updates: JoinHandle<()>,
}

/// Shows a bar on stderr, if that is a terminal.
pub(super) fn start(plan: &Arc<Plan>, measurements: &Arc<Measurements>) -> Progress {
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let updates = tokio::spawn(update(
        bar.clone(),
        Arc::clone(plan),
        Arc::clone(measurements),
    ));
    Progress { bar, updates }
}

impl Progress {
    pub(super) async fn finish(self) {
        self.updates.abort();
        let _ended = self.updates.await;
        self.bar.finish_and_clear();
    }
}

async fn update(bar: ProgressBar, plan: Arc<Plan>, measurements: Arc<Measurements>) {
    let mut before = (Instant::now(), 0);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = Instant::now();
        let answered = measurements.answered();
        let seconds = now.saturating_duration_since(before.0).as_secs_f64();
        #[expect(clippy::cast_possible_truncation, reason = "for eyes")]
        let rate = ((answered - before.1) as f64 / seconds) as u64;
        before = (now, answered);
        let errors = match measurements.errors() {
            0 => String::new(),
            errors => format!(", {errors} errors"),
        };
        let phase = if now < plan.measured_from {
            "warming up, "
        } else {
            ""
        };
        bar.set_message(format!("{phase}{} messages/s{errors}", grouped(rate)));
        bar.set_position(thousandths(&plan, now, answered));
    }
}

fn thousandths(plan: &Plan, now: Instant, answered: u64) -> u64 {
    let share = match plan.end {
        End::At(end) => {
            let whole = end.saturating_duration_since(plan.start).as_secs_f64();
            now.saturating_duration_since(plan.start).as_secs_f64() / whole
        }
        End::After(count) => answered as f64 / count as f64,
    };
    #[expect(clippy::cast_possible_truncation, reason = "0 to 1000")]
    let thousandths = (share.min(1.0) * 1000.0) as u64;
    thousandths
}
