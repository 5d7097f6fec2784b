//! Settings of the permessage-deflate extension (RFC 7692), as plain numbers.

use core::time::Duration;

/// How an endpoint compresses, and what it agrees to.
///
/// The parameters of RFC 7692 speak of client and server; these settings speak of this side's
/// *sending* and *receiving*, so each value means the same in both roles. Start from
/// [`server`](Self::server) or [`client`](Self::client).
///
/// ```
/// use sockeye::{Config, Deflate, Memory};
///
/// let config = Config::new().with_deflate(
///     Deflate::server()
///         .with_send_window_bits(12)
///         .with_send_memory(Memory::Window),
/// );
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deflate {
    level: u8,
    mem_level: u8,
    threshold: usize,
    send: Direction,
    receive: Direction,
    idle_release: Option<Duration>,
    required: bool,
}

/// The settings of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Direction {
    window_bits: u8,
    memory: Memory,
}

/// What a connection keeps between compressed messages, for one direction.
///
/// The window of plaintext is what RFC 7692 calls context: messages that refer back to earlier ones
/// are smaller. The codec is zlib's working memory; it can be made anew from the window at each
/// message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Memory {
    /// The window and the codec: a few hundred KiB a connection. Fastest if there are few
    /// connections, so that their codecs stay in the processor's caches.
    Retained,
    /// The window only: 2^bits bytes at most, growing with what was sent. A codec comes from the
    /// thread's pool for the time of a message.
    Window,
    /// Next to nothing: every message is compressed by itself, which both ends agree on in the
    /// handshake.
    NoTakeover,
}

/// What was agreed on for permessage-deflate (RFC 7692 section 7.1).
///
/// The handshakes of this crate make one. Make it by hand if the handshake was done elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateParams {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// The base-2 logarithm of the server's window, 8 to 15.
    pub server_max_window_bits: u8,
    /// The base-2 logarithm of the client's window, 8 to 15.
    pub client_max_window_bits: u8,
}

impl DeflateParams {
    /// What holds without any parameter: contexts are kept, windows have 32 KiB.
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

impl Default for DeflateParams {
    fn default() -> Self {
        Self::new()
    }
}

/// The smallest window that zlib can keep to when it compresses: for 8 bits it would use 9.
pub(crate) const MIN_WINDOW_BITS: u8 = 9;
/// The largest window of the format.
pub(crate) const MAX_WINDOW_BITS: u8 = 15;

impl Deflate {
    /// For a server, which has many connections: windows of 4 KiB both ways, and
    /// [`Memory::Window`]. `docs/COMPRESSION.md` has the measurements behind this.
    pub fn server() -> Self {
        let direction = Direction {
            window_bits: 12,
            memory: Memory::Window,
        };
        Self {
            level: 6,
            mem_level: 5,
            threshold: 64,
            send: direction,
            receive: direction,
            idle_release: Some(Duration::from_secs(10)),
            required: false,
        }
    }

    /// For a client, which has few connections: [`Memory::Retained`], and windows as large as the
    /// server likes them, because not every server can be asked for less.
    pub fn client() -> Self {
        let direction = Direction {
            window_bits: MAX_WINDOW_BITS,
            memory: Memory::Retained,
        };
        Self {
            send: direction,
            receive: direction,
            ..Self::server()
        }
    }

    /// The effort of compression, 1 (fast) to 9 (small); other numbers are brought into that range.
    /// Default: 6, zlib's own.
    #[must_use]
    pub fn with_level(mut self, level: u8) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// How much of a message the compressor collects before it writes a block, 1 to 9; other
    /// numbers are brought into that range.
    ///
    /// Default: 5. A compressor takes 7 * 2^(level + 6) bytes for it: 14 KiB at 5, 112 KiB at 8. On
    /// messages up to 1 KiB every level from 2 on gives the same size, and higher ones take
    /// more time. (The hash tables of zlib-rs have 128 KiB at any level.)
    #[must_use]
    pub fn with_mem_level(mut self, level: u8) -> Self {
        self.mem_level = level.clamp(1, 9);
        self
    }

    /// Messages shorter than this are sent as they are, unless they are to be compressed
    /// explicitly.
    ///
    /// Default: 64 bytes. Shorter ones become no smaller without context takeover; with it they do,
    /// by few bytes for the time that a longer message takes.
    #[must_use]
    pub fn with_threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// The largest window for compressing, 9 to 15; other numbers are brought into that range.
    ///
    /// Default: 12 for a server, that is 4 KiB, which finds most of what repeats between messages
    /// at an eighth of the memory of 15 and, with [`Memory::Window`], a third of its time; 15
    /// for a client. The peer may ask for less.
    #[must_use]
    pub fn with_send_window_bits(mut self, bits: u8) -> Self {
        self.send.window_bits = bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self
    }

    /// The largest window for inflating, 9 to 15; other numbers are brought into that range.
    ///
    /// Default: 12 for a server, 15 for a client. The peer is asked to keep to it. A client that
    /// does not let itself be asked may use 15 whatever this is.
    #[must_use]
    pub fn with_receive_window_bits(mut self, bits: u8) -> Self {
        self.receive.window_bits = bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self
    }

    /// What is kept between messages that are sent. Default: [`Memory::Window`] for a server,
    /// [`Memory::Retained`] for a client.
    #[must_use]
    pub fn with_send_memory(mut self, memory: Memory) -> Self {
        self.send.memory = memory;
        self
    }

    /// What is kept between messages that are received. Default: [`Memory::Window`] for a server,
    /// [`Memory::Retained`] for a client.
    #[must_use]
    pub fn with_receive_memory(mut self, memory: Memory) -> Self {
        self.receive.memory = memory;
        self
    }

    /// How long a codec that [`Memory::Retained`] keeps may be idle. Then it is given back, and the
    /// next compressed message makes another from the window; the peer need not know.
    ///
    /// Default: 10 s. Making one takes less than 0.1 ms, so it costs nothing to speak of, and an
    /// idle connection keeps its windows only. It may take up to twice as long. `None` keeps codecs
    /// for as long as the connection lives.
    #[must_use]
    pub fn with_idle_release(mut self, after: Option<Duration>) -> Self {
        self.idle_release = after;
        self
    }

    /// Whether a client fails the connection with close code 1010 if the server does not agree to
    /// compress. Default: no.
    #[must_use]
    pub fn with_required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// The effort of compression.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// How much of a message the compressor collects before it writes a block.
    pub fn mem_level(&self) -> u8 {
        self.mem_level
    }

    /// The length from which messages are compressed.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The largest window for compressing.
    pub fn send_window_bits(&self) -> u8 {
        self.send.window_bits
    }

    /// The largest window for inflating.
    pub fn receive_window_bits(&self) -> u8 {
        self.receive.window_bits
    }

    /// What is kept between messages that are sent.
    pub fn send_memory(&self) -> Memory {
        self.send.memory
    }

    /// What is kept between messages that are received.
    pub fn receive_memory(&self) -> Memory {
        self.receive.memory
    }

    /// How long a retained codec may be idle.
    pub fn idle_release(&self) -> Option<Duration> {
        self.idle_release
    }

    /// Whether a client insists.
    pub fn is_required(&self) -> bool {
        self.required
    }
}
