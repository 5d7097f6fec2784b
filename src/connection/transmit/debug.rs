//! What the output queue shows of itself: debug output ends up in logs, so no bytes.

use core::fmt;

use super::Queue;

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("data", &self.data_len())
            .field("control", &self.control.len())
            .field("close", &self.close.len())
            .field("close_started", &self.close_started)
            .field("transmitted", &self.transmitted)
            .field("unflushed", &self.unflushed)
            .finish_non_exhaustive()
    }
}
