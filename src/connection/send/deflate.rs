//! Sending compressed messages (RFC 7692 section 6.1).

use alloc::boxed::Box;

use super::data::{Outgoing, Outline};
use super::{SendOptions, Sender};
use crate::config::{self, Config, DeflateParams, MAX_WINDOW_BITS, MIN_WINDOW_BITS};
use crate::error::SendError;
use crate::extension::deflate::{Deflater, with_output};
use crate::message::{Kind, Message, Payload};
use crate::time::Instant;

/// Whether a message is compressed, if permessage-deflate was agreed on; without it, nothing is.
///
/// Messages that refer to those before must arrive in the order in which they were compressed. So
/// with context takeover a message goes as it is, whatever is chosen here, while a compressed one of
/// another [`Priority`](crate::Priority) waits: one of the two might overtake the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compress {
    /// If it has at least [`Deflate::threshold`](crate::Deflate::threshold) bytes and becomes
    /// smaller.
    #[default]
    Auto,
    /// In any case, even if that makes it larger.
    Always,
    /// Not: for what is compressed already, and for secrets next to what somebody else chose
    /// (RFC 7692 section 8).
    Never,
}

/// What was agreed on for sent messages, and the compressor once there was a message for it.
#[derive(Debug)]
pub(super) struct Deflation {
    config: config::Deflate,
    takeover: bool,
    window_bits: u8,
    deflater: Option<Box<Deflater>>,
}

impl Sender {
    /// Gets ready to compress, if zlib can keep to the window that was agreed on.
    pub(in crate::connection) fn with_deflate(
        mut self,
        config: &Config,
        params: DeflateParams,
    ) -> Self {
        let default = || match self.keys {
            None => config::Deflate::server(),
            Some(_) => config::Deflate::client(),
        };
        let config = config.deflate().cloned().unwrap_or_else(default);
        let (no_takeover, window_bits) = match self.keys {
            None => (
                params.server_no_context_takeover,
                params.server_max_window_bits,
            ),
            Some(_) => (
                params.client_no_context_takeover,
                params.client_max_window_bits,
            ),
        };
        let window_bits = window_bits
            .min(MAX_WINDOW_BITS)
            .min(config.send_window_bits());
        // 7692-7.2.1-13: with 8 bits agreed on, messages go as they are.
        if window_bits >= MIN_WINDOW_BITS {
            self.deflation = Some(Deflation {
                takeover: !no_takeover && config.send_memory() != config::Memory::NoTakeover,
                window_bits,
                deflater: None,
                config,
            });
        }
        self
    }

    /// Gives back the codec that is retained; see
    /// [`Connection::shrink`](crate::Connection::shrink).
    pub fn shrink(&mut self) {
        if let Some(deflater) = self.present_deflater() {
            deflater.shrink();
        }
    }

    pub(super) fn present_deflater(&mut self) -> Option<&mut Deflater> {
        self.deflation.as_mut()?.deflater.as_deref_mut()
    }

    /// Bytes that are held now, besides output.
    pub(super) fn held_to_deflate(&self) -> usize {
        let deflation = self.deflation.as_ref();
        let deflater = deflation.and_then(|deflation| deflation.deflater.as_ref());
        deflater.map_or(0, |deflater| deflater.held())
    }

    pub(super) fn deflater_timeout(&self) -> Option<Instant> {
        self.deflation.as_ref()?.deflater.as_ref()?.poll_timeout()
    }

    /// Queues a fragment of a message that is compressed or not, as its first fragment says; see
    /// [`Connection::send_fragment_with`](crate::Connection::send_fragment_with).
    ///
    /// # Errors
    ///
    /// As [`Connection::send_fragment`](crate::Connection::send_fragment).
    pub fn send_fragment_with<'p>(
        &mut self,
        kind: Kind,
        payload: impl Into<Payload<'p>>,
        fin: bool,
        compress: Compress,
    ) -> Result<(), SendError> {
        let payload = payload.into();
        let outgoing = self.check_fragment(kind, &payload, fin)?;
        if !self.push_compressed_fragment(outgoing, &payload, fin, compress) {
            let len = payload.len();
            self.push_fragment(outgoing, fin, payload, len);
        }
        Ok(())
    }

    /// Queues a message compressed. `false` if it is better sent as it is.
    pub(super) fn push_compressed(&mut self, message: &Message<'_>, options: SendOptions) -> bool {
        let plaintext = message.as_bytes();
        if !self.compresses(plaintext.len(), options) {
            return false;
        }
        let may_skip = options.compress() != Compress::Always;
        with_output(|output| {
            let is_smaller = self
                .deflater()
                .is_some_and(|deflater| deflater.message(plaintext, may_skip, output));
            if is_smaller {
                let outline = Outline {
                    compressed: true,
                    ..Outline::message(message.kind(), options.priority())
                };
                self.push_data(outline, Payload::from(output.as_slice()), plaintext.len());
            }
            is_smaller
        })
    }

    /// Queues a fragment compressed. `false` if the message is sent as it is.
    pub(super) fn push_compressed_fragment(
        &mut self,
        mut outgoing: Outgoing,
        plaintext: &[u8],
        fin: bool,
        compress: Compress,
    ) -> bool {
        if self.outgoing.is_none() {
            outgoing.compressed = self.compresses(plaintext.len(), compress.into());
        }
        if !outgoing.compressed {
            return false;
        }
        with_output(|output| {
            if let Some(deflater) = self.deflater() {
                deflater.fragment(plaintext, fin, output);
            }
            self.push_fragment(
                outgoing,
                fin,
                Payload::from(output.as_slice()),
                plaintext.len(),
            );
        });
        true
    }

    /// Whether a message of so many bytes is to be compressed, and may be.
    pub(super) fn compresses(&self, len: usize, options: SendOptions) -> bool {
        self.deflation.as_ref().is_some_and(|deflation| {
            deflation.wants(len, options.compress())
                && !(deflation.takeover && self.queue.has_compressed_besides(options.priority()))
        })
    }

    /// The compressor's settings, and the compressor.
    pub(super) fn deflater(&mut self) -> Option<&mut Deflater> {
        self.deflation.as_mut().map(Deflation::activate)
    }
}

impl Deflation {
    /// Messages from this size are compressed unless somebody says otherwise.
    pub(super) fn compresses_from(&self) -> usize {
        self.config.threshold()
    }

    fn wants(&self, len: usize, compress: Compress) -> bool {
        match compress {
            Compress::Auto => len >= self.config.threshold(),
            Compress::Always => true,
            Compress::Never => false,
        }
    }

    /// The compressor. A connection that sends nothing compressed has none.
    fn activate(&mut self) -> &mut Deflater {
        self.deflater.get_or_insert_with(|| {
            Box::new(Deflater::new(&self.config, self.takeover, self.window_bits))
        })
    }
}
