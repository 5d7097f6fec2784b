//! The two halves of a blocking connection, for two threads.

use core::future::poll_fn;
use core::time::Duration;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use super::stream::{BlockingIo, Stream};
use super::{ClientStream, WebSocket, block_on};
use crate::adapter::driver::poll_item;
use crate::adapter::{SocketError, split};
use crate::{
    CloseCode, CloseFrame, Closed, Event, Kind, Limits, Message, Observer, Payload, Received, Rtt,
    SendOptions, Sent, State, Unsent,
};
#[cfg(feature = "deflate")]
use crate::{Compress, Prepared};

impl WebSocket<TcpStream> {
    /// The receiving and the sending half, for two threads.
    ///
    /// # Errors
    ///
    /// The socket could not be duplicated. The connection is lost.
    pub fn split(self) -> io::Result<(ReceiveHalf<TcpStream>, SendHalf<TcpStream>)> {
        let second = self.stream().try_clone()?;
        Ok(self.split_with(|stream| (stream, second)))
    }
}

impl WebSocket<ClientStream> {
    /// The receiving and the sending half, for two threads.
    ///
    /// # Errors
    ///
    /// The socket could not be duplicated. The connection is lost.
    pub fn split(self) -> io::Result<(ReceiveHalf<ClientStream>, SendHalf<ClientStream>)> {
        let second = self.stream().try_clone()?;
        Ok(self.split_with(|stream| (stream, second)))
    }
}

impl<S> WebSocket<S> {
    /// As `split`, for other streams: `divide` makes two of one, for reading and for writing.
    pub fn split_with(self, divide: impl FnOnce(S) -> (S, S)) -> (ReceiveHalf<S>, SendHalf<S>) {
        let (receive, send) = self.0.split_io(|io| {
            let (read, write) = divide(io.into_stream());
            (BlockingIo::shared(read), BlockingIo::shared(write))
        });
        (ReceiveHalf(receive), SendHalf(send))
    }
}

/// The receiving half of a blocking [`WebSocket`]. As [`sockeye::ReceiveHalf`](crate::ReceiveHalf).
///
/// While it waits for input it looks up now and then, so that it meets a deadline that the other
/// half has set.
#[derive(Debug)]
pub struct ReceiveHalf<S>(split::ReceiveHalf<BlockingIo<S>, BlockingIo<S>>);

impl<S: Stream> ReceiveHalf<S> {
    /// As [`sockeye::WebSocket::recv`](crate::WebSocket::recv).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv(&mut self) -> Result<Option<Message<'static>>, SocketError> {
        block_on(self.0.recv())
    }

    /// As [`sockeye::WebSocket::recv_event`](crate::WebSocket::recv_event).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_event(&mut self) -> Result<Option<Event<'static>>, SocketError> {
        block_on(self.0.recv_event())
    }

    /// As [`sockeye::ReceiveHalf::recv_with`](crate::ReceiveHalf::recv_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_with<T>(
        &mut self,
        handle: impl FnOnce(Event<'_>) -> T,
    ) -> Result<Option<T>, SocketError> {
        block_on(self.0.recv_with(handle))
    }

    /// As [`sockeye::ReceiveHalf::received`](crate::ReceiveHalf::received).
    pub fn received(&self) -> Received {
        self.0.received()
    }

    /// As [`sockeye::ReceiveHalf::set_observer`](crate::ReceiveHalf::set_observer).
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.0.set_observer(observer);
    }

    /// As [`sockeye::ReceiveHalf::set_limits`](crate::ReceiveHalf::set_limits).
    pub fn set_limits(&mut self, limits: &Limits) {
        self.0.set_limits(limits);
    }

    /// How the connection ended, once it has.
    pub fn closed(&mut self) -> Option<Closed> {
        self.0.closed()
    }
}

/// The messages that arrive, up to the end or the first error.
impl<S: Stream> Iterator for ReceiveHalf<S> {
    type Item = Result<Message<'static>, SocketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let split::ReceiveHalf { inlet, link } = &mut self.0;
        block_on(poll_fn(|cx| poll_item(inlet, link, cx)))
    }
}

/// The sending half of a blocking [`WebSocket`]. As [`sockeye::SendHalf`](crate::SendHalf).
#[derive(Debug)]
pub struct SendHalf<S>(split::SendHalf<BlockingIo<S>>);

impl<S: Stream> SendHalf<S> {
    /// As [`sockeye::SendHalf::ready`](crate::SendHalf::ready).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ready(&mut self) -> Result<(), SocketError> {
        block_on(self.0.ready())
    }

    /// As [`sockeye::SendHalf::drained`](crate::SendHalf::drained).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drained(&mut self) -> Result<(), SocketError> {
        block_on(self.0.drained())
    }

    /// As [`sockeye::WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        block_on(self.0.send(message))
    }

    /// As [`sockeye::SendHalf::feed`](crate::SendHalf::feed).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn feed<'p>(&mut self, message: impl Into<Message<'p>>) -> Result<(), SocketError> {
        block_on(self.0.feed(message))
    }

    /// As [`sockeye::WebSocket::send_with`](crate::WebSocket::send_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        block_on(self.0.send_with(message, options))
    }

    /// As [`sockeye::WebSocket::feed_with`](crate::WebSocket::feed_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), SocketError> {
        block_on(self.0.feed_with(message, options))
    }

    /// As [`sockeye::WebSocket::send_prepared`](crate::WebSocket::send_prepared).
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SocketError> {
        block_on(self.0.send_prepared(message))
    }

    /// As [`sockeye::WebSocket::try_feed`](crate::WebSocket::try_feed).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_feed<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.0.try_feed(message)
    }

    /// As [`sockeye::SendHalf::try_feed_with`](crate::SendHalf::try_feed_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_feed_with<'p>(
        &mut self,
        message: impl Into<Message<'p>>,
        options: impl Into<SendOptions>,
    ) -> Result<(), Unsent<Message<'p>>> {
        self.0.try_feed_with(message, options)
    }

    /// As [`sockeye::WebSocket::flush`](crate::WebSocket::flush).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush(&mut self) -> Result<(), SocketError> {
        block_on(self.0.flush())
    }

    /// As [`sockeye::WebSocket::send_fragment_with`](crate::WebSocket::send_fragment_with).
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "deflate")]
    pub fn send_fragment_with<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
        compress: Compress,
    ) -> Result<(), SocketError> {
        block_on(self.0.send_fragment_with(kind, payload, fin, compress))
    }

    /// As [`sockeye::WebSocket::send_fragment`](crate::WebSocket::send_fragment).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_fragment<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
    ) -> Result<(), SocketError> {
        block_on(self.0.send_fragment(kind, payload, fin))
    }

    /// As [`sockeye::WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SocketError> {
        block_on(self.0.ping(payload))
    }

    /// As [`sockeye::WebSocket::probe`](crate::WebSocket::probe).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn probe(&mut self) -> Result<(), SocketError> {
        block_on(self.0.probe())
    }

    /// As [`sockeye::SendHalf::close`](crate::SendHalf::close).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SocketError> {
        block_on(self.0.close(code, reason))
    }

    /// How far the connection is.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// The peer's Close frame, once it came: why nothing can be sent any more.
    pub fn peer_close(&self) -> Option<CloseFrame> {
        self.0.peer_close()
    }

    /// How the connection ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.0.closed()
    }

    /// As [`sockeye::SendHalf::sent`](crate::SendHalf::sent).
    pub fn sent(&self) -> Sent {
        self.0.sent()
    }

    /// As [`sockeye::SendHalf::set_limits`](crate::SendHalf::set_limits).
    pub fn set_limits(&mut self, limits: &Limits) {
        self.0.set_limits(limits);
    }

    /// As [`sockeye::SendHalf::set_observer`](crate::SendHalf::set_observer).
    pub fn set_observer(&mut self, observer: Arc<dyn Observer>) {
        self.0.set_observer(observer);
    }

    /// As [`sockeye::SendHalf::queued_age`](crate::SendHalf::queued_age).
    pub fn queued_age(&self) -> Option<Duration> {
        self.0.queued_age()
    }

    /// How many bytes wait to be written.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    /// The round trips so far. As [`sockeye::WebSocket::rtt`](crate::WebSocket::rtt).
    pub fn rtt(&self) -> Option<Rtt> {
        self.0.rtt()
    }
}
