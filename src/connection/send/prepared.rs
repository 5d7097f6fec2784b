//! Messages that are prepared once and sent to many.

use alloc::vec::Vec;
use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::data::Outline;
use super::{SendOptions, Sender};
use crate::error::SendError;
use crate::extension::deflate::{Shape, compress_alone};
use crate::message::{Kind, Message, Payload};

/// A message for many connections: its payload is shared, and compressed at most once for each set
/// of parameters that their compressors have, by the first connection that needs it.
///
/// Cheap to clone. Connections with context takeover take part: what is compressed here refers to
/// nothing before it, and their later messages can refer to it.
///
/// ```
/// use sockeye::{Config, Connection, Instant, Negotiated, Prepared};
///
/// let news = Prepared::new("something happened");
/// let now = Instant::from_nanos(0);
/// for _ in 0..3 {
///     let mut conn = Connection::server(&Config::new(), Negotiated::new(), now);
///     conn.send_prepared(&news)?;
/// }
/// # Ok::<(), sockeye::SendError>(())
/// ```
#[derive(Clone)]
pub struct Prepared {
    inner: Arc<Inner>,
}

struct Inner {
    kind: Kind,
    plaintext: Bytes,
    compressed: Mutex<Vec<Variant>>,
}

/// The message as one kind of compressor makes it. `None`: no smaller than it was.
struct Variant {
    shape: Shape,
    payload: Option<Bytes>,
}

impl Prepared {
    /// Takes the message over; copies it only if it is borrowed.
    pub fn new<'p>(message: impl Into<Message<'p>>) -> Self {
        let message = message.into();
        Self {
            inner: Arc::new(Inner {
                kind: message.kind(),
                plaintext: message.into_payload().into_bytes(),
                compressed: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Whether it is text or binary.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The payload, uncompressed.
    pub fn payload(&self) -> &Bytes {
        &self.inner.plaintext
    }

    /// How often it was compressed so far.
    pub fn compressions(&self) -> usize {
        self.variants().len()
    }

    /// The message as a compressor of this shape makes it. `None` if that is not smaller.
    fn compressed(&self, shape: Shape) -> Option<Bytes> {
        let mut variants = self.variants();
        if let Some(variant) = variants.iter().find(|variant| variant.shape == shape) {
            return variant.payload.clone();
        }
        // Under the lock, so that it happens once.
        let payload = compress_alone(shape, &self.inner.plaintext);
        let is_smaller = payload.len() < self.inner.plaintext.len();
        let payload = is_smaller.then(|| Bytes::from(payload));
        variants.push(Variant {
            shape,
            payload: payload.clone(),
        });
        payload
    }

    fn variants(&self) -> std::sync::MutexGuard<'_, Vec<Variant>> {
        let variants = self.inner.compressed.lock();
        variants.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Prepared {
    /// Not the payload: debug output ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("kind", &self.kind())
            .field("len", &self.payload().len())
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// Queues a prepared message; see
    /// [`Connection::send_prepared`](crate::Connection::send_prepared).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        self.send_prepared_with(message, SendOptions::new())
    }

    /// Queues a prepared message, in a class; see
    /// [`Connection::send_prepared_with`](crate::Connection::send_prepared_with).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`](crate::Connection::send).
    pub fn send_prepared_with(
        &mut self,
        message: &Prepared,
        options: impl Into<SendOptions>,
    ) -> Result<(), SendError> {
        let options = options.into();
        self.check_send(options.priority())?;
        let mut outline = Outline::message(message.kind(), options.priority());
        let plaintext = message.payload();
        let compressed = self
            .compresses(plaintext.len(), options)
            .then(|| self.deflater())
            .flatten()
            .and_then(|deflater| {
                let compressed = message.compressed(deflater.shape())?;
                deflater.note_prepared(plaintext);
                Some(compressed)
            });
        outline.compressed = compressed.is_some();
        let payload = compressed.unwrap_or_else(|| plaintext.clone());
        self.push_data(outline, Payload::from(payload), plaintext.len());
        Ok(())
    }
}
