#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
mod config;
mod error;
#[cfg(feature = "handshake")]
mod extension;
#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "handshake")]
mod http;
mod input;
mod negotiated;
mod random;
mod time;

pub use close::{CloseCode, CloseFrame, MAX_REASON_LEN};
pub use config::{Config, Delivery, Limits, Timeouts};
#[cfg(feature = "handshake")]
pub use error::HandshakeError;
pub use error::{CapacityError, Error, ProtocolError, SendError, Timeout};
pub use input::Input;
pub use negotiated::Negotiated;
pub use random::MaskKeys;
#[cfg(feature = "rand")]
pub use random::RandomKeys;
pub use time::Instant;
