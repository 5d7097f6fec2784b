//! Time as a plain number, so that the core needs no clock.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment on a monotonic clock: nanoseconds since any fixed origin.
///
/// The core never reads a clock. Every call that depends on time takes `now`, and every deadline
/// comes back as an `Instant` of the same clock. Which clock that is, and where its origin lies, is
/// up to the caller: a hardware timer, `performance.now()`, a virtual clock in a test. Values must
/// not go backwards; if they do, nothing breaks, deadlines are only met late.
///
/// 64 bits of nanoseconds last for 584 years. Arithmetic saturates at both ends.
///
/// ```
/// use core::time::Duration;
/// use sockeye::Instant;
///
/// let start = Instant::from_nanos(5_000);
/// assert_eq!((start + Duration::from_micros(1)).as_nanos(), 6_000);
/// assert_eq!(start - Instant::from_nanos(9_000), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// Durations of deadlines count as no less than this: the resolution of common timers.
const SHORTEST: Duration = Duration::from_millis(1);

impl Instant {
    /// Before every present: a deadline that starts as soon as somebody tells the time.
    pub(crate) const AT_ONCE: Self = Self(0);

    /// The moment `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `millis` milliseconds after the clock's origin; saturates.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The deadline that is `duration` later. It is in the future whatever the duration, so who
    /// meets it makes progress.
    pub(crate) fn after(self, duration: Duration) -> Self {
        self + duration.max(SHORTEST)
    }

    /// The time from `earlier` to `self`, or zero if `earlier` is the later one.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// The later moment; saturates at the end of the clock.
    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:?})", Duration::from_nanos(self.0))
    }
}

#[cfg(feature = "std")]
mod bridge {
    use core::time::Duration;
    use std::sync::OnceLock;

    use super::Instant;

    /// Moments before the process first asked are still representable for as long as this.
    const HEADROOM: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();

    impl Instant {
        /// The present moment on the standard library's clock.
        pub fn now() -> Self {
            std::time::Instant::now().into()
        }

        /// The same moment on the standard library's clock, counted from the reference of the
        /// process.
        ///
        /// ```
        /// use sockeye::Instant;
        ///
        /// let now = std::time::Instant::now();
        /// assert_eq!(Instant::from(now).to_std(), now);
        /// ```
        pub fn to_std(self) -> std::time::Instant {
            let origin = *ORIGIN.get_or_init(std::time::Instant::now);
            let since_start = Duration::from_nanos(self.as_nanos());
            match since_start.checked_sub(HEADROOM) {
                // Deadlines that the platform's clock cannot express are as good as a century away.
                Some(after) => origin
                    .checked_add(after)
                    .unwrap_or_else(|| origin + Duration::from_secs(100 * 365 * 24 * 60 * 60)),
                None => origin
                    .checked_sub(HEADROOM.saturating_sub(since_start))
                    .unwrap_or(origin),
            }
        }
    }

    impl From<std::time::Instant> for Instant {
        /// Counts from a reference that the process fixes at its first conversion.
        fn from(instant: std::time::Instant) -> Self {
            let origin = *ORIGIN.get_or_init(std::time::Instant::now);
            match instant.checked_duration_since(origin) {
                Some(after) => Self::from_nanos(0) + HEADROOM + after,
                None => {
                    let before = origin.saturating_duration_since(instant);
                    Self::from_nanos(0) + HEADROOM.saturating_sub(before)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::from_nanos(1) - end, Duration::ZERO);
        assert_eq!(Instant::from_millis(2).as_nanos(), 2_000_000);
        assert_eq!(Instant::from_millis(u64::MAX), end);
    }

    #[cfg(feature = "std")]
    #[test]
    fn std_instants_keep_their_distance() {
        let now = std::time::Instant::now();
        let later = now + Duration::from_millis(250);
        let earlier = now.checked_sub(Duration::from_millis(40)).unwrap();
        assert_eq!(
            Instant::from(later) - Instant::from(now),
            Duration::from_millis(250)
        );
        assert_eq!(
            Instant::from(now) - Instant::from(earlier),
            Duration::from_millis(40)
        );
    }
}
