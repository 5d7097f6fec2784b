//! permessage-deflate: negotiation and codec (RFC 7692).

#[cfg(feature = "handshake")]
pub(crate) mod negotiation;

mod deflater;
mod inflater;
mod pool;
mod window;

pub(crate) use deflater::{Deflater, compress_alone};
pub(crate) use inflater::{Inflater, InvalidDeflate};
pub(crate) use pool::Shape;

#[cfg(test)]
mod tests;
