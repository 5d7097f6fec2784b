#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
mod config;
mod connection;
mod error;
pub mod frame;
mod input;
pub mod mask;
mod message;
mod negotiated;
mod random;
mod time;
pub mod utf8;

pub use close::{CloseCode, CloseFrame, MAX_REASON_LEN};
pub use config::{Config, Delivery, Limits, Timeouts};
pub use connection::{
    Closed, Connection, Event, Fragment, Initiator, Receiver, Sender, State, Transmit, Transport,
};
pub use error::{CapacityError, Error, ProtocolError, SendError, Timeout};
pub use input::Input;
pub use message::{Kind, Message, Payload, Text, Unsent};
pub use negotiated::Negotiated;
pub use random::MaskKeys;
#[cfg(feature = "rand")]
pub use random::RandomKeys;
pub use time::Instant;
