//! Extensions: how they are negotiated (RFC 6455 section 9).

#[cfg(feature = "deflate")]
pub(crate) mod deflate;
#[cfg(feature = "handshake")]
pub(crate) mod grammar;
