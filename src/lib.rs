#![doc = include_str!("../README.md")]
#![no_std]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_core)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures"))]
mod adapter;
pub mod backoff;
mod close;
mod config;
mod connection;
mod error;
#[cfg(any(feature = "handshake", feature = "deflate"))]
mod extension;
pub mod frame;
#[cfg(feature = "handshake")]
pub mod handshake;
#[cfg(feature = "handshake")]
mod http;
mod input;
pub mod mask;
mod message;
mod negotiated;
mod random;
mod spare;
mod time;
#[cfg(feature = "rustls")]
pub mod tls;
pub mod utf8;

#[cfg(feature = "blocking")]
pub use adapter::blocking;
#[cfg(feature = "futures")]
pub use adapter::futures;
#[cfg(feature = "hyper")]
pub use adapter::hyper;
#[cfg(feature = "tokio")]
pub use adapter::tokio;
#[cfg(any(feature = "blocking", feature = "tokio", feature = "futures"))]
pub use adapter::{
    ByteStream, Connector, ReadIo, ReceiveHalf, Replies, SendHalf, SocketError, Upgrade, WebSocket,
    WriteIo, connector, reconnect,
};
pub use bytes;
pub use close::{CloseCode, CloseFrame, MAX_REASON_LEN};
pub use config::{Action, Config, Delivery, Limits, Rate, Role, Timeouts};
#[cfg(feature = "deflate")]
pub use config::{Deflate, DeflateParams, Memory};
#[cfg(feature = "tracing")]
pub use connection::Log;
pub use connection::{
    Closed, Connection, Event, Fragment, Initiator, Observer, Priority, Received, Receiver, Rtt,
    SendOptions, Sender, Sent, State, Transmit, Transport,
};
#[cfg(feature = "deflate")]
pub use connection::{Compress, Prepared};
#[cfg(feature = "handshake")]
pub use error::HandshakeError;
pub use error::{CapacityError, Error, PolicyError, ProtocolError, SendError, Timeout};
#[cfg(feature = "handshake")]
pub use handshake::proxy;
pub use input::Input;
pub use message::{Kind, Message, Payload, Text, Unsent};
pub use negotiated::Negotiated;
pub use random::MaskKeys;
#[cfg(feature = "rand")]
pub use random::RandomKeys;
pub use time::Instant;

/// The examples of the recipes are tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/EMBEDDING.md")]
mod embedding {}

#[cfg(doctest)]
#[doc = include_str!("../docs/AUTH.md")]
mod auth {}

#[cfg(doctest)]
#[doc = include_str!("../docs/CLIENTS.md")]
mod clients {}

#[cfg(doctest)]
#[doc = include_str!("../docs/HTTP.md")]
mod over_http {}

#[cfg(doctest)]
#[doc = include_str!("../docs/RECONNECTING.md")]
mod reconnecting {}

#[cfg(doctest)]
#[doc = include_str!("../docs/BACKPRESSURE.md")]
mod backpressure {}

#[cfg(doctest)]
#[doc = include_str!("../docs/COMPRESSION.md")]
mod compression {}

#[cfg(doctest)]
#[doc = include_str!("../docs/COOKBOOK.md")]
mod cookbook {}

#[cfg(doctest)]
#[doc = include_str!("../docs/DEPLOYMENT.md")]
mod deployment {}

#[cfg(doctest)]
#[doc = include_str!("../docs/HARDENING.md")]
mod hardening {}

#[cfg(doctest)]
#[doc = include_str!("../docs/KEEPALIVE.md")]
mod keepalive {}

#[cfg(doctest)]
#[doc = include_str!("../docs/MEMORY.md")]
mod memory {}

#[cfg(doctest)]
#[doc = include_str!("../docs/MIGRATING.md")]
mod migrating {}

#[cfg(test)]
mod steps;
