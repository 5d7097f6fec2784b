//! How often a peer may do something: token buckets that are fed by `now`.

use alloc::boxed::Box;

use crate::config::{Action, Limits, Rate};
use crate::error::{Error, PolicyError};
use crate::time::Instant;

/// The rates of one connection.
#[derive(Debug)]
pub(super) struct Budget {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    control: Option<Bucket>,
    /// Nothing more is taken before this moment.
    blocked_until: Option<Instant>,
    /// The next frame was counted already, and its header is not complete.
    admitted: bool,
    /// How often the peer was above a rate that is only reported.
    floods: u64,
    /// How often it was above one that makes it wait.
    pauses: u64,
}

/// What a frame counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The first frame of a message.
    Message,
    /// Another one of it, or a Close frame, which is always taken.
    Other,
    Control,
}

impl Budget {
    /// `None` if there is no rate to keep.
    pub(super) fn new(limits: &Limits) -> Option<Box<Self>> {
        let budget = Self {
            messages: limits.message_rate().map(Bucket::new),
            bytes: limits.byte_rate().map(Bucket::new),
            control: limits.control_rate().map(Bucket::new),
            blocked_until: None,
            admitted: false,
            floods: 0,
            pauses: 0,
        };
        let rates = [&budget.messages, &budget.bytes, &budget.control];
        let wanted = rates.iter().any(|bucket| bucket.is_some());
        wanted.then(|| Box::new(budget))
    }

    /// Whether the next frame, which begins with this byte, may be taken now.
    pub(super) fn admits(&mut self, now: Instant, first_byte: u8) -> Result<bool, Error> {
        if self.admitted {
            return Ok(true);
        }
        // RFC 6455 section 5.2: FIN, reserved bits, opcode.
        let kind = match first_byte & 0x0F {
            1 | 2 => Kind::Message,
            9 | 10 => Kind::Control,
            _ => Kind::Other,
        };
        self.admitted = self.check(now, kind)?;
        Ok(self.admitted)
    }

    /// Whether more of a frame may be taken now.
    pub(super) fn admits_more(&mut self, now: Instant) -> Result<bool, Error> {
        self.check(now, Kind::Other)
    }

    fn check(&mut self, now: Instant, kind: Kind) -> Result<bool, Error> {
        let was_blocked = self.blocked_until.take().is_some();
        let checks = [
            (&mut self.bytes, 0, PolicyError::ByteRate, true),
            (
                &mut self.messages,
                1,
                PolicyError::MessageRate,
                kind == Kind::Message,
            ),
            (
                &mut self.control,
                1,
                PolicyError::ControlRate,
                kind == Kind::Control,
            ),
        ];
        for (bucket, cost, error, applies) in checks {
            let Some(bucket) = bucket.as_mut().filter(|_| applies) else {
                continue;
            };
            let Err(free_at) = bucket.take(now, cost) else {
                continue;
            };
            match bucket.rate.action() {
                Action::Pause => {
                    self.blocked_until = Some(free_at);
                    self.pauses += u64::from(!was_blocked);
                    return Ok(false);
                }
                Action::Close => return Err(error.into()),
                Action::Report => {
                    self.floods += 1;
                    bucket.spend(now, cost);
                }
            }
        }
        Ok(true)
    }

    /// The header of the frame that was admitted is complete.
    pub(super) fn note_header(&mut self) {
        self.admitted = false;
    }

    /// So many bytes were taken.
    pub(super) fn note_bytes(&mut self, now: Instant, count: usize) {
        if let Some(bytes) = &mut self.bytes {
            bytes.spend(now, count as u64);
        }
    }

    /// When the peer is listened to again, if it is not now.
    pub(super) fn blocked_until(&self) -> Option<Instant> {
        self.blocked_until
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.blocked_until = self.blocked_until.filter(|until| *until > now);
    }

    /// Nothing more comes.
    pub(super) fn release(&mut self) {
        self.blocked_until = None;
    }

    pub(super) fn floods(&self) -> u64 {
        self.floods
    }

    pub(super) fn pauses(&self) -> u64 {
        self.pauses
    }
}

/// A token bucket, as the moment at which it will be full: then nothing has to be done while time
/// passes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    full_at: Instant,
}

impl Bucket {
    const fn new(rate: Rate) -> Self {
        Self {
            rate,
            full_at: Instant::AT_ONCE,
        }
    }

    /// Takes tokens, or tells when there will be enough. Of no token there is enough while one is
    /// there.
    fn take(&mut self, now: Instant, count: u64) -> Result<(), Instant> {
        let missing = u64::from(self.rate.burst()).saturating_sub(count.max(1));
        // It may be so far from full and still have what is asked for.
        let slack = self.span(missing);
        let free_at = Instant::from_nanos(self.full_at.as_nanos().saturating_sub(slack));
        if free_at > now {
            return Err(free_at);
        }
        self.spend(now, count);
        Ok(())
    }

    /// Takes tokens, even those that are not there.
    fn spend(&mut self, now: Instant, count: u64) {
        let from = self.full_at.max(now).as_nanos();
        self.full_at = Instant::from_nanos(from.saturating_add(self.span(count)));
    }

    /// In how many nanoseconds so many tokens come.
    fn span(&self, count: u64) -> u64 {
        let nanos = u128::from(count) * 1_000_000_000 / u128::from(self.rate.per_second());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// In any stretch of time no more is taken than the burst and what the rate allows.
        #[test]
        fn never_more_than_the_rate(
            per_second in 1..1000_u32,
            burst in 1..100_u32,
            steps in prop::collection::vec((0..200_u64, 1..5_u64), 1..100),
        ) {
            let mut bucket = Bucket::new(Rate::new(per_second, burst));
            let start = Instant::from_millis(5000);
            let (mut now, mut taken) = (start, 0);
            for (millis, count) in steps {
                now = now + Duration::from_millis(millis);
                let count = count.min(u64::from(burst));
                match bucket.take(now, count) {
                    Ok(()) => taken += count,
                    Err(free_at) => {
                        prop_assert!(free_at > now);
                        prop_assert!(bucket.take(free_at, count).is_ok());
                        (now, taken) = (free_at, taken + count);
                    }
                }
                let elapsed = u64::try_from((now - start).as_nanos()).unwrap();
                let allowed = u64::from(burst) + elapsed * u64::from(per_second) / 1_000_000_000;
                prop_assert!(taken <= allowed + 1, "{taken} of {allowed}");
            }
        }
    }

    #[test]
    fn a_full_bucket_gives_its_burst_at_once() {
        let mut bucket = Bucket::new(Rate::new(10, 5));
        let now = Instant::from_millis(1000);
        for _ in 0..5 {
            assert_eq!(bucket.take(now, 1), Ok(()));
        }
        assert_eq!(bucket.take(now, 1), Err(now + Duration::from_millis(100)));
        // Debts are paid off first.
        bucket.spend(now, 10);
        assert_eq!(bucket.take(now, 0), Err(now + Duration::from_millis(1100)));
    }
}
