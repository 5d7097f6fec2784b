//! Frames: a public, allocation-free codec for the wire format (RFC 6455 section 5).
//!
//! [`Connection`](crate::Connection) is built on it. Alone it is for proxies, firmware and tests,
//! which see single frames. It knows headers and payload bytes, but no messages: that a
//! continuation continues something, that text is UTF-8 and that sizes have limits is for its user.
//!
//! * [`Decoder`] takes [`Input`](crate::Input) in pieces of any size and unmasks in place.
//! * [`Encoder`] writes headers and masks payloads, in place or while copying.
//! * [`Header`] encodes and decodes one header, without any state.
//! * [`Rules`] are what a receiver demands of every header.

mod decoder;
mod encoder;
mod header;
mod opcode;
mod rules;
mod short;
mod whole;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use header::{Header, HeaderBytes};
pub use opcode::{MAX_CONTROL_PAYLOAD, OpCode};
pub use rules::{Masking, Rules};
pub(crate) use short::short_header;
pub(crate) use whole::Whole;
