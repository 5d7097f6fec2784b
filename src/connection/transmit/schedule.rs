//! Classes of messages, and whose turn it is.

use super::lane::Ends;

/// Bytes of higher classes that may leave in a row while a message waits. They are counted as
/// bytes because that is what time is on a line: 256 KiB are 20 ms at 100 Mbit/s, and 2 s at
/// 1 Mbit/s. Counted in messages, a handful of short urgent ones would let a long one in between.
const MAX_PASSED: usize = 256 * 1024;

/// The class of a message: which one goes first when several wait.
///
/// A message overtakes those of lower classes that have not begun to leave. Messages of one class
/// keep their order. A class that waits is passed by about 256 KiB of higher ones at a time, then
/// something of it goes: one message, or up to 16 KiB of small ones.
///
/// ```
/// # use sockeye::*;
/// # let mut conn = Connection::server(&Config::new(), Negotiated::new(), Instant::from_nanos(0));
/// conn.send_with("a page of history", Priority::Bulk)?;
/// conn.send("hello")?;
/// conn.send_with("stop", Priority::Urgent)?;
/// let mut output = Vec::new();
/// conn.take_transmit(&mut output);
/// assert_eq!(output.concat(), b"\x81\x04stop\x81\x05hello\x81\x11a page of history");
/// # Ok::<(), SendError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there are four lanes, and callers may list them"
)]
pub enum Priority {
    /// What must not wait for anything but a message that has begun.
    Urgent,
    /// Ahead of most.
    High,
    /// Whatever is sent without saying more.
    #[default]
    Normal,
    /// What may wait, such as a file or a backlog.
    Bulk,
}

impl Priority {
    /// All classes, the highest first.
    pub const ALL: [Self; 4] = [Self::Urgent, Self::High, Self::Normal, Self::Bulk];
}

/// One of something for each class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByClass<T> {
    urgent: T,
    high: T,
    normal: T,
    bulk: T,
}

impl<T> ByClass<T> {
    pub(super) fn new(mut make: impl FnMut(Priority) -> T) -> Self {
        Self {
            urgent: make(Priority::Urgent),
            high: make(Priority::High),
            normal: make(Priority::Normal),
            bulk: make(Priority::Bulk),
        }
    }

    pub(super) fn of(&self, class: Priority) -> &T {
        match class {
            Priority::Urgent => &self.urgent,
            Priority::High => &self.high,
            Priority::Normal => &self.normal,
            Priority::Bulk => &self.bulk,
        }
    }

    pub(super) fn of_mut(&mut self, class: Priority) -> &mut T {
        match class {
            Priority::Urgent => &mut self.urgent,
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
            Priority::Bulk => &mut self.bulk,
        }
    }
}

/// Whose turn it is, once there is more than one class.
///
/// A turn is a segment, up to the end of a message. What is sent depends on what waits, but not on
/// how many bytes leave at a time: whoever writes what is offered may take any part of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    /// The class that the last byte was of.
    current: Priority,
    /// What is left of its turn.
    left: usize,
    /// Bytes of higher classes that left since the last one of this class, while it waited.
    passed: ByClass<usize>,
    /// Where in the lane of normal messages one begins whose last fragment was not queued yet.
    open_at: Option<usize>,
}

impl Schedule {
    /// Whose bytes are next, if `at` is what the last byte ended.
    pub(super) fn next(&self, at: Ends, waiting: &ByClass<usize>) -> Priority {
        // 6455-5.4-07: a message that has begun is finished first.
        if at != Ends::Message || self.left > 0 {
            return self.current;
        }
        // Nobody knows when a message ends whose fragments still come, and nothing could go before
        // that: so it waits until there is nothing else.
        let waits = |class: &Priority| {
            let is_open = *class == Priority::Normal && self.open_at == Some(0);
            *waiting.of(*class) > 0 && !is_open
        };
        let is_due = |class: &Priority| waits(class) && *self.passed.of(*class) >= MAX_PASSED;
        let all = Priority::ALL.into_iter();
        let due = all.clone().find(is_due);
        due.or_else(|| all.clone().find(waits))
            .unwrap_or(Priority::Normal)
    }

    /// Notes that `count` bytes leave, out of a segment of `segment` bytes.
    pub(super) fn note(
        &mut self,
        class: Priority,
        segment: usize,
        count: usize,
        waiting: &ByClass<usize>,
    ) {
        self.current = class;
        if self.left == 0 {
            self.left = segment;
        }
        self.left = self.left.saturating_sub(count);
        *self.passed.of_mut(class) = 0;
        for lower in Priority::ALL.into_iter().filter(|lower| *lower > class) {
            if *waiting.of(lower) > 0 {
                *self.passed.of_mut(lower) += count;
            }
        }
        if class == Priority::Normal {
            self.open_at = self.open_at.map(|at| at.saturating_sub(count));
        }
    }

    /// A message of this class is queued. Returns the lower class whose turn that ends.
    pub(super) fn interrupt(&mut self, class: Priority) -> Option<Priority> {
        let current = self.current;
        (class < current).then(|| {
            self.left = 0;
            current
        })
    }

    /// A message begins at `at` whose fragments still come, or ends.
    pub(super) fn note_open(&mut self, at: Option<usize>) {
        self.open_at = at;
    }
}
