//! I/O around the core: one asynchronous implementation, driven by whatever a runtime offers.

mod alone;
mod buffer;
mod byte_stream;
mod connect;
pub mod connector;
mod driver;
mod error;
mod inlet;
mod io;
mod output;
mod reading;
mod sending;
mod serve;
mod signals;
mod split;
#[cfg(any(feature = "tokio", feature = "futures"))]
mod stream;
mod upgrade;
mod websocket;

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "futures")]
pub mod futures;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod reconnect;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use byte_stream::ByteStream;
pub use connector::Connector;
pub use error::SocketError;
pub use io::{ReadIo, WriteIo};
pub use serve::Replies;
pub use split::{ReceiveHalf, SendHalf};
pub use upgrade::Upgrade;
pub use websocket::WebSocket;
