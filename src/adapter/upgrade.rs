//! The server's side of the opening handshake over I/O.

use core::future::poll_fn;

use super::buffer::ReadBuffer;
use super::connect::{Exchange, exchange, finish};
use super::error::SocketError;
use super::io::{ReadIo, WriteIo};
use super::websocket::WebSocket;
use crate::handshake::{Acceptance, Refusal, Request, ServerHandshake};
use crate::{Config, Connection, HandshakeError, Input, Instant};

/// A client's request, to be accepted or rejected.
///
/// Decide by its path, Origin, cookies or subprotocols, at once or after asking somebody else.
/// Bytes that the client sent ahead of the answer are kept, bounded by one read.
#[derive(Debug)]
pub struct Upgrade<I> {
    io: I,
    buffer: ReadBuffer,
    handshake: ServerHandshake,
    request: Request,
    config: Config,
}

impl<I: ReadIo + WriteIo> Upgrade<I> {
    /// Reads a request from a client.
    ///
    /// A request that is no valid upgrade is answered with the HTTP status that says why, and is an
    /// error here.
    ///
    /// # Errors
    ///
    /// [`SocketError::Handshake`] if there was no valid request within
    /// [`Timeouts::with_handshake`](crate::Timeouts::with_handshake), [`SocketError::Io`] if the
    /// transport failed.
    pub async fn receive(io: I, config: &Config) -> Result<Self, SocketError> {
        let handshake = ServerHandshake::new(config, io.now());
        Self::receive_with(io, config, handshake).await
    }

    /// Reads a request from a client, and lets plain HTTP requests through as well: reject them
    /// with the page that they ask for. [`Request::is_upgrade`] tells them apart.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub async fn receive_any(io: I, config: &Config) -> Result<Self, SocketError> {
        let handshake = ServerHandshake::new(config, io.now()).with_plain_requests();
        Self::receive_with(io, config, handshake).await
    }

    async fn receive_with(
        mut io: I,
        config: &Config,
        mut handshake: ServerHandshake,
    ) -> Result<Self, SocketError> {
        let mut buffer = ReadBuffer::default();
        let result = exchange(&mut io, &mut buffer, &mut handshake).await;
        match result {
            Ok(request) => Ok(Self {
                io,
                buffer,
                handshake,
                request,
                config: config.clone(),
            }),
            Err(error) => {
                // The handshake has queued an HTTP answer, if one makes sense.
                finish(&mut io, &mut buffer, &mut handshake, config).await;
                Err(error)
            }
        }
    }

    /// The request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The transport, for what it knows of the client.
    pub fn io(&self) -> &I {
        &self.io
    }

    /// Accepts the request and starts the connection.
    ///
    /// # Errors
    ///
    /// [`SocketError::Answer`] if the acceptance is not valid, such as a subprotocol that the
    /// client did not offer; [`SocketError::Handshake`] if the client did not take the answer
    /// in time; [`SocketError::Io`] if the transport failed.
    pub async fn accept(mut self, acceptance: Acceptance) -> Result<WebSocket<I>, SocketError> {
        let negotiated = self.handshake.accept(acceptance)?;
        poll_fn(|cx| self.handshake.poll_answer(&mut self.io, cx)).await?;
        let connection = Connection::server(&self.config, negotiated, self.io.now());
        let leftover = self.buffer.into_unread();
        Ok(WebSocket::new(self.io, connection, &leftover))
    }

    /// Rejects the request with an HTTP answer, and ends the transport.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub async fn reject(mut self, refusal: Refusal) -> Result<(), SocketError> {
        self.handshake.reject(refusal)?;
        poll_fn(|cx| self.handshake.poll_answer(&mut self.io, cx)).await?;
        finish(
            &mut self.io,
            &mut self.buffer,
            &mut self.handshake,
            &self.config,
        )
        .await;
        Ok(())
    }
}

impl Exchange for ServerHandshake {
    type Output = Request;
    type Error = HandshakeError;

    fn receive(
        &mut self,
        now: Instant,
        input: &mut Input<'_>,
    ) -> Result<Option<Request>, HandshakeError> {
        Self::receive(self, now, input)
    }

    fn output(&mut self) -> Option<&mut bytes::Bytes> {
        self.poll_transmit()
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        Self::handle_timeout(self, now)
    }

    fn handle_eof(&mut self) -> HandshakeError {
        Self::handle_eof(self).err().unwrap_or(HandshakeError::Eof)
    }
}
