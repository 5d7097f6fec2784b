//! Extensions: how they are negotiated (RFC 6455 section 9), and permessage-deflate itself.

#[cfg(feature = "deflate")]
pub(crate) mod deflate;
#[cfg(feature = "handshake")]
pub(crate) mod grammar;
#[cfg(feature = "handshake")]
mod wanted;

#[cfg(feature = "handshake")]
pub(crate) use wanted::{BadAnswer, Wanted};
