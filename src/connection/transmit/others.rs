//! The lanes of the classes that most connections never use.

use super::lane::Lane;
use super::schedule::{ByClass, Priority, Schedule};

/// The lanes of all classes but [`Priority::Normal`].
#[derive(Default)]
pub(super) struct Others {
    urgent: Lane,
    high: Lane,
    bulk: Lane,
    pub(super) schedule: Schedule,
}

impl Others {
    pub(super) fn len(&self) -> usize {
        self.urgent.len() + self.high.len() + self.bulk.len()
    }

    /// Whether all that waits is ready.
    #[cfg(feature = "std")]
    pub(super) fn is_ready(&self) -> bool {
        self.urgent.is_ready() && self.high.is_ready() && self.bulk.is_ready()
    }

    pub(super) fn lane<'a>(&'a self, normal: &'a Lane, class: Priority) -> &'a Lane {
        match class {
            Priority::Urgent => &self.urgent,
            Priority::High => &self.high,
            Priority::Normal => normal,
            Priority::Bulk => &self.bulk,
        }
    }

    pub(super) fn lane_mut<'a>(
        &'a mut self,
        normal: &'a mut Lane,
        class: Priority,
    ) -> &'a mut Lane {
        match class {
            Priority::Urgent => &mut self.urgent,
            Priority::High => &mut self.high,
            Priority::Normal => normal,
            Priority::Bulk => &mut self.bulk,
        }
    }

    /// How many bytes wait in each lane.
    pub(super) fn waiting(&self, normal: &Lane) -> ByClass<usize> {
        ByClass::new(|class| self.lane(normal, class).len())
    }
}
