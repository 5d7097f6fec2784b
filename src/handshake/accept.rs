//! The key and its answer (RFC 6455 section 4.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// What a server puts after the key before it hashes: proof that it knows this protocol.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2).
///
/// The handshakes of this crate do this themselves; it is for upgrades that an HTTP server does.
/// The key is hashed as it is on the wire, without the spaces around it. The result is ASCII.
///
/// ```
/// use sockeye::handshake::accept_key;
///
/// let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(&accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    // 6455-4.2.2-19. 6455-10.8-01: no collision resistance is asked of SHA-1 here.
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    encode(digest.as_slice())
}

/// The `Sec-WebSocket-Key` of a nonce (RFC 6455 section 4.1).
pub(super) fn encode_nonce(nonce: [u8; 16]) -> [u8; 24] {
    // 6455-4.1-25, 6455-4.1-27: the standard alphabet, padded, with zero bits in the padding.
    encode(&nonce)
}

/// Whether `key` is the Base64 of 16 bytes, padded.
///
/// 6455-4.2.1-07. K10: the bits in the padding may be anything, because the RFC's own example
/// (erratum 3150) has some.
pub(super) fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key.split_first_chunk::<22>() {
        // Without a branch for each of them.
        Some((digits, b"==")) => digits.iter().fold(true, |all, byte| all & is_digit(byte)),
        _ => false,
    }
}

/// Base64 into an array of the right size.
fn encode<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    let written = STANDARD.encode_slice(bytes, &mut text);
    debug_assert_eq!(written.ok(), Some(N));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces() {
        // Erratum 3150.
        let nonce = core::array::from_fn(|i| u8::try_from(i + 1).unwrap());
        assert_eq!(&encode_nonce(nonce), b"AQIDBAUGBwgJCgsMDQ4PEA==");
        assert!(is_key(&encode_nonce([0xff; 16])));
    }

    #[test]
    fn keys() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(b"AQIDBAUGBwgJCgsMDQ4PEC=="));
        for bad in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZQ===",
            b"dGhlIHNhbXBsZSBub25j",
            b"dGhlIHNhbXBsZSBub25jZQAA",
            b"dGhlIHNhbXBsZSBub2-_ZQ==",
            b"dGhlIHNhbXBsZ= ub25jZQ==",
        ] {
            assert!(!is_key(bad));
        }
    }
}
