//! What a peer may make an endpoint hold, and how often it may do what.

use super::Rate;

/// What a peer may make this endpoint hold, and what the application may queue.
///
/// A connection's worst case is `max_message_size` for the message being assembled (up to twice
/// that while its buffer grows), plus `max_queued` and one message of the application's for output,
/// for each [`Priority`](crate::Priority) that it uses, plus 3 KiB of control frames. Before that, a
/// handshake holds at most `max_head_size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    max_frame_size: u64,
    max_message_size: u64,
    max_inflate_ratio: Option<u32>,
    max_queued: usize,
    low_water: Option<usize>,
    max_head_size: usize,
    max_headers: usize,
    max_target_size: usize,
    max_fragments: Option<u64>,
    max_empty_fragments: u32,
    max_memory: Option<usize>,
    message_rate: Option<Rate>,
    byte_rate: Option<Rate>,
    control_rate: Option<Rate>,
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest payload of one received data frame in bytes, checked as soon as its length is
    /// known.
    ///
    /// Default: 16 MiB, as for messages, because most peers send a message as one frame. A longer
    /// frame fails the connection with close code 1009. Nothing is allocated for a declared
    /// length (RFC 6455 section 10.4).
    #[must_use]
    pub fn with_max_frame_size(mut self, bytes: u64) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// The largest received message in bytes, counted over its fragments.
    ///
    /// Default: 16 MiB, which is what most peers allow too. A longer message fails the connection
    /// with close code 1009 at the header of the frame that goes over. It holds for
    /// [`Delivery::Chunks`](crate::Delivery::Chunks) as well; set it and `max_frame_size` to
    /// `u64::MAX` to receive without end.
    #[must_use]
    pub fn with_max_message_size(mut self, bytes: u64) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// How many times larger than its compressed form a message may be, once it has 64 KiB.
    ///
    /// Default: none, because `max_message_size` bounds what a message may become, exactly, and
    /// honest messages that repeat themselves reach the format's own limit of 1032. A message
    /// above it fails the connection with close code 1009.
    ///
    /// It is watched while the message comes. Its compressed form counts in steps of 4 KiB, all of
    /// one with its first byte, because a message may begin with what compresses best: so it may be
    /// ahead of what came by 4 KiB times the ratio.
    #[must_use]
    pub fn with_max_inflate_ratio(mut self, ratio: Option<u32>) -> Self {
        self.max_inflate_ratio = ratio;
        self
    }

    /// How many bytes of output may wait before a send is refused as
    /// [`SendError::Full`](crate::SendError::Full).
    ///
    /// Default: 1 MiB, some network round trips' worth on a fast line. The message that reaches the
    /// mark is still taken, so the worst case is this plus the largest message that the
    /// application sends. Control frames do not count, and neither do messages of lower classes,
    /// which the new one overtakes.
    #[must_use]
    pub fn with_max_queued(mut self, bytes: usize) -> Self {
        self.max_queued = bytes;
        self
    }

    /// How few bytes of output wait when a queue that was full counts as drained; see
    /// [`Connection::poll_drained`](crate::Connection::poll_drained). `max_queued` if that is less.
    ///
    /// Default: half of `max_queued`. Nearer to it, whoever was refused is called for each message;
    /// nearer to nothing, the transport may run dry before more is there.
    #[must_use]
    pub fn with_low_water(mut self, bytes: usize) -> Self {
        self.low_water = Some(bytes);
        self
    }

    /// The largest head of a handshake, request or response, in bytes.
    ///
    /// Default: 16 KiB, twice what common servers take, because cookies add up. A server answers a
    /// longer one with 431.
    #[must_use]
    pub fn with_max_head_size(mut self, bytes: usize) -> Self {
        self.max_head_size = bytes;
        self
    }

    /// The most header lines in a handshake. Default: 100, as in most HTTP servers. A server
    /// answers more with 431.
    #[must_use]
    pub fn with_max_headers(mut self, count: usize) -> Self {
        self.max_headers = count;
        self
    }

    /// The longest request target in bytes. Default: 8 KiB. A server answers a longer one with 414.
    #[must_use]
    pub fn with_max_target_size(mut self, bytes: usize) -> Self {
        self.max_target_size = bytes;
        self
    }

    /// The most frames that a received message may consist of.
    ///
    /// Default: as many as there are, because a fragment costs its bytes and nothing else, and a
    /// message that is received in pieces may never end. More fail the connection with close code
    /// 1008.
    #[must_use]
    pub fn with_max_fragments(mut self, count: Option<u64>) -> Self {
        self.max_fragments = count;
        self
    }

    /// The most frames without payload in a received message, besides its last.
    ///
    /// Default: 1000. They cost no memory, but they are no use either, and a peer could send them
    /// for ever. More fail the connection with close code 1008.
    #[must_use]
    pub fn with_max_empty_fragments(mut self, count: u32) -> Self {
        self.max_empty_fragments = count;
        self
    }

    /// The most bytes that a connection may hold in all: the buffer of the message being assembled,
    /// output that waits, and with compression the codecs and windows that are kept or in use, as in
    /// [`Connection::held`](crate::Connection::held).
    ///
    /// Default: what the other limits add up to, and so it is from 4 GiB on. A message for which there is no room left fails
    /// the connection with close code 1009, and sending is refused as
    /// [`SendError::Full`](crate::SendError::Full). The message that reaches the limit is still
    /// sent, and one is always taken while nothing waits.
    ///
    /// A compressed message needs room for the inflater, which is 47 KiB and the window of the
    /// peer's; `docs/COMPRESSION.md` says what the compressor takes. A limit below that refuses every
    /// compressed message.
    ///
    /// Not counted: the connection itself (less than 2 KiB with everything in use), the few hundred
    /// bytes of a header and a control frame, the message before while a buffer grows (up to as much
    /// again, for the time of a copy), memory that the queue has reserved (at most eight times what
    /// waits, or 16 KiB), and what belongs to a thread, such as read buffers. Halves that are
    /// [split](crate::Connection::into_split) have to be told what the other one holds
    /// ([`Receiver::set_held_elsewhere`](crate::Receiver::set_held_elsewhere),
    /// [`Sender::set_held_elsewhere`](crate::Sender::set_held_elsewhere)); the adapters do that.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: Option<usize>) -> Self {
        self.max_memory = bytes;
        self
    }

    /// How many messages the peer may send. Default: as many as it likes.
    #[must_use]
    pub fn with_message_rate(mut self, rate: Option<Rate>) -> Self {
        self.message_rate = rate;
        self
    }

    /// How many bytes the peer may send, headers and control frames included, as they are on the
    /// wire. Default: as many as it likes.
    ///
    /// What was read at once is taken at once, and then paid off.
    #[must_use]
    pub fn with_byte_rate(mut self, rate: Option<Rate>) -> Self {
        self.byte_rate = rate;
        self
    }

    /// How many pings and pongs the peer may send. Default: as many as it likes: a flood of pings
    /// costs less than 300 bytes of output ([`Connection::queued`](crate::Connection::queued)), and
    /// the time to read it.
    #[must_use]
    pub fn with_control_rate(mut self, rate: Option<Rate>) -> Self {
        self.control_rate = rate;
        self
    }

    /// The largest payload of one received data frame in bytes.
    pub fn max_frame_size(&self) -> u64 {
        self.max_frame_size
    }

    /// The largest received message in bytes.
    pub fn max_message_size(&self) -> u64 {
        self.max_message_size
    }

    /// How many times larger than its compressed form a message may be.
    pub fn max_inflate_ratio(&self) -> Option<u32> {
        self.max_inflate_ratio
    }

    /// How many bytes of output may wait.
    pub fn max_queued(&self) -> usize {
        self.max_queued
    }

    /// How few bytes of output wait when a queue that was full counts as drained.
    pub fn low_water(&self) -> usize {
        let half = self.max_queued / 2;
        self.low_water
            .map_or(half, |bytes| bytes.min(self.max_queued))
    }

    /// The largest head of a handshake in bytes.
    pub fn max_head_size(&self) -> usize {
        self.max_head_size
    }

    /// The most header lines in a handshake.
    pub fn max_headers(&self) -> usize {
        self.max_headers
    }

    /// The longest request target in bytes.
    pub fn max_target_size(&self) -> usize {
        self.max_target_size
    }

    /// The most frames of a message.
    pub fn max_fragments(&self) -> Option<u64> {
        self.max_fragments
    }

    /// The most frames of a message that have no payload.
    pub fn max_empty_fragments(&self) -> u32 {
        self.max_empty_fragments
    }

    /// The most bytes that a connection may hold.
    pub fn max_memory(&self) -> Option<usize> {
        self.max_memory
    }

    pub(crate) fn has_rates(&self) -> bool {
        let rates = [self.message_rate, self.byte_rate, self.control_rate];
        rates.iter().any(Option::is_some)
    }

    /// How many messages the peer may send.
    pub fn message_rate(&self) -> Option<Rate> {
        self.message_rate
    }

    /// How many bytes the peer may send.
    pub fn byte_rate(&self) -> Option<Rate> {
        self.byte_rate
    }

    /// How many pings and pongs the peer may send.
    pub fn control_rate(&self) -> Option<Rate> {
        self.control_rate
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_size: 16 << 20,
            max_message_size: 16 << 20,
            max_inflate_ratio: None,
            max_queued: 1 << 20,
            low_water: None,
            max_head_size: 16 << 10,
            max_headers: 100,
            max_target_size: 8 << 10,
            max_fragments: None,
            max_empty_fragments: 1000,
            max_memory: None,
            message_rate: None,
            byte_rate: None,
            control_rate: None,
        }
    }
}
