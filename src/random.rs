//! Where masking keys come from.

#[cfg(feature = "rand")]
use core::cell::Cell;

/// A source of masking keys for a client.
///
/// RFC 6455 section 5.3 asks for a fresh key for each frame that nobody can predict from earlier
/// ones, so the source must be a cryptographically secure generator. With the `rand` feature
/// [`RandomKeys`] is one; on other platforms implement this for the hardware's. Any closure that
/// returns keys will do. A source that can fail has to wait or panic: no key may stand in for an
/// unpredictable one.
///
/// ```
/// use sockeye::MaskKeys;
///
/// struct Trng;
/// # impl Trng { fn read_word(&mut self) -> u32 { 4 } }
///
/// impl MaskKeys for Trng {
///     fn next_key(&mut self) -> [u8; 4] {
///         self.read_word().to_ne_bytes()
///     }
/// }
/// # Trng.next_key();
/// ```
pub trait MaskKeys: Send + Sync {
    /// The masking key of the next frame.
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4] + Send + Sync> MaskKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

/// Masking keys and handshake nonces from `rand`'s thread-local generator: ChaCha, seeded by the
/// operating system.
///
/// It has no state of its own: the thread draws some keys at once, so one costs a nanosecond.
#[cfg(feature = "rand")]
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RandomKeys;

#[cfg(feature = "rand")]
impl RandomKeys {
    /// The source; all of them share the thread's generator.
    pub const fn new() -> Self {
        Self
    }

    /// A nonce for a client's opening handshake (RFC 6455 section 4.1).
    pub fn nonce() -> [u8; 16] {
        rand::random()
    }
}

#[cfg(feature = "rand")]
impl MaskKeys for RandomKeys {
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        // While a thread ends there is no place for more than one.
        KEYS.try_with(DrawnKeys::next)
            .unwrap_or_else(|_| rand::random())
    }
}

#[cfg(feature = "rand")]
std::thread_local! {
    static KEYS: DrawnKeys = const { DrawnKeys::new() };
}

/// Keys that were drawn and not used.
#[cfg(feature = "rand")]
struct DrawnKeys {
    keys: [Cell<[u8; 4]>; DRAWN],
    /// How many of them are left: those in front.
    left: Cell<usize>,
}

/// A draw of 256 bytes costs little more than one of four.
#[cfg(feature = "rand")]
const DRAWN: usize = 64;

#[cfg(feature = "rand")]
impl DrawnKeys {
    const fn new() -> Self {
        Self {
            keys: [const { Cell::new([0; 4]) }; DRAWN],
            left: Cell::new(0),
        }
    }

    #[inline]
    fn next(&self) -> [u8; 4] {
        let left = self.left.get();
        match left.checked_sub(1).and_then(|last| self.keys.get(last)) {
            Some(key) => {
                self.left.set(left - 1);
                key.take()
            }
            None => self.draw(),
        }
    }

    #[cold]
    fn draw(&self) -> [u8; 4] {
        let mut drawn = [[0; 4]; DRAWN + 1];
        rand::fill(drawn.as_flattened_mut());
        let [first, rest @ ..] = drawn;
        for (place, key) in self.keys.iter().zip(rest) {
            place.set(key);
        }
        self.left.set(DRAWN);
        first
    }
}

#[cfg(all(test, feature = "rand"))]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_is_given_twice() {
        let mut keys = RandomKeys::new();
        let drawn: BTreeSet<_> = (0..10 * DRAWN).map(|_| keys.next_key()).collect();
        // Of 640 keys two are equal once in twenty thousand times.
        assert!(drawn.len() >= 10 * DRAWN - 2, "{}", drawn.len());
    }
}
