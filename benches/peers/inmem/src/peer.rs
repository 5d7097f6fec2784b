//! What each column has to do. There is one file for each in `peers/`.

use bytes::Bytes;

use crate::io::MemIo;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// permessage-deflate, the same in both directions, with windows of 32 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Off,
    /// Messages refer to earlier ones.
    Context,
    /// Each message stands for itself.
    NoContext,
}

/// How a connection is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub role: Role,
    /// Messages are text, and only valid UTF-8 may be handed out.
    pub text: bool,
    pub compression: Compression,
}

/// What a column can do besides receiving.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    pub sending: bool,
    pub handshakes: bool,
    pub context: bool,
    pub no_context: bool,
}

impl Abilities {
    pub const ALL: Self = Self {
        sending: true,
        handshakes: true,
        context: true,
        no_context: true,
    };
    pub const NO_DEFLATE: Self = Self {
        context: false,
        no_context: false,
        ..Self::ALL
    };
}

/// One connection of a peer, over memory.
pub trait Peer: Sized {
    const NAME: &'static str;
    const ABILITIES: Abilities;
    /// A connection as the opening handshakes leave it.
    type Server;
    type Client;

    /// A connection whose opening handshake is done.
    fn open(io: MemIo, setup: Setup) -> Self;

    /// Receives so many data messages. `visit` sees the payload of each: whole, unmasked, inflated.
    fn receive(&mut self, count: usize, visit: impl FnMut(&[u8]));

    /// Sends so many binary messages, of the payloads in turn, and flushes after every
    /// `flush_every` of them.
    fn send(&mut self, payloads: &[Bytes], count: usize, flush_every: usize);

    /// Receives so many messages and sends each back.
    fn echo(&mut self, count: usize, flush_every: usize);

    /// Waits for a message that does not come, as an idle connection does.
    fn wait(&mut self);

    /// Only called if [`CAPS`](Self::CAPS) says that it accepts.
    fn accept(_io: MemIo) -> Self::Server {
        panic!("{} does no handshake", Self::NAME)
    }

    /// Only called if [`CAPS`](Self::CAPS) says that it connects.
    fn connect(_io: MemIo) -> Self::Client {
        panic!("{} does no handshake", Self::NAME)
    }
}
