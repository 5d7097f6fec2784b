//! permessage-deflate: negotiation and codec (RFC 7692).

#[cfg(feature = "handshake")]
pub(crate) mod negotiation;

mod deflater;
mod inflater;
mod pool;
mod release;
mod window;

pub(crate) use deflater::{Deflater, compress_alone};
pub(crate) use inflater::Inflater;
#[cfg(test)]
use inflater::InvalidDeflate;
pub(crate) use pool::{INFLATE_SIZE, Shape, with_output, with_scratch};

#[cfg(test)]
mod tests;
