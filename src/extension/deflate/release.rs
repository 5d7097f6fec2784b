//! When a codec goes back that its connection no longer uses.

use core::time::Duration;

use crate::time::Instant;

/// Watches the use of one retained codec.
///
/// It needs no clock while messages flow: at the deadline it asks whether there was one since the
/// deadline was set. So a codec goes back after one to two times the set duration.
#[derive(Debug)]
pub(super) struct Release {
    after: Option<Duration>,
    /// `None` before the first call that tells the time.
    at: Option<Instant>,
    /// There was a message since `at` was set.
    used: bool,
}

impl Release {
    pub(super) const fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            at: None,
            used: false,
        }
    }

    pub(super) fn note_use(&mut self) {
        self.used = true;
    }

    /// When [`is_due`](Self::is_due) wants to be asked, while there is a codec.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.after.map(|_| self.at.unwrap_or(Instant::AT_ONCE))
    }

    /// Whether the codec is to go back now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let Some(after) = self.after else {
            return false;
        };
        match self.at {
            Some(at) if now < at => false,
            Some(_) if !self.used => {
                self.at = None;
                true
            }
            _ => {
                self.used = false;
                self.at = Some(now.after(after));
                false
            }
        }
    }
}
