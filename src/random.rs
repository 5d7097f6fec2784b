//! Where masking keys come from.

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
/// It has no state of its own; the generator buffers, so a key costs a few nanoseconds.
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
    fn next_key(&mut self) -> [u8; 4] {
        rand::random()
    }
}
