//! What was received, in numbers.

use super::Receiver;

/// What a connection received so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Bytes on the wire, headers and control frames included.
    pub bytes: u64,
    /// Frames of messages.
    pub frames: u64,
    /// Pings, pongs and Close frames.
    pub control_frames: u64,
    /// Messages that ended, or of which the last piece was handed out.
    pub messages: u64,
    /// Payload bytes of messages, inflated.
    pub payload: u64,
    /// How many of these came compressed.
    pub inflated: u64,
    /// What they were on the wire.
    pub compressed: u64,
    /// How often the peer was above a rate that is only reported
    /// ([`Action::Report`](crate::Action::Report)).
    pub floods: u64,
    /// How often the peer was above a rate and had to wait
    /// ([`Action::Pause`](crate::Action::Pause)).
    pub throttled: u64,
}

impl Received {
    /// By how much the compressed messages were smaller on the wire, 0.25 being a quarter of their
    /// size. `None` if there was none.
    pub fn compression_ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio is for the eye")]
        (self.inflated > 0).then(|| self.compressed as f64 / self.inflated as f64)
    }
}

impl Receiver {
    /// What was received so far.
    pub fn received(&self) -> Received {
        let budget = self.budget.as_ref();
        let floods = budget.map_or(0, |budget| budget.floods());
        let throttled = budget.map_or(0, |budget| budget.pauses());
        Received {
            frames: self.received.frames + self.whole_messages,
            messages: self.received.messages + self.whole_messages,
            floods: self.received.floods + floods,
            throttled: self.received.throttled + throttled,
            ..self.received
        }
    }
}
