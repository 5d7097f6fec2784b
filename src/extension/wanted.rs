//! What an endpoint wants of extensions, and what comes of it in a handshake.

use alloc::string::String;

#[cfg(feature = "deflate")]
use super::deflate::negotiation;
#[cfg(feature = "deflate")]
use super::grammar;
use super::grammar::Extension;
use crate::config::Config;
use crate::negotiated::Negotiated;

/// The extensions that an endpoint would like to use.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    #[cfg(feature = "deflate")]
    deflate: Option<crate::config::Deflate>,
}

/// The server's answer does not fit the client's offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadAnswer {
    /// An extension that was not offered, or an offered one twice.
    Unoffered,
    /// A parameter that is wrong or missing.
    #[cfg(feature = "deflate")]
    Parameter,
}

#[cfg(feature = "deflate")]
impl Wanted {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            deflate: config.deflate().cloned(),
        }
    }

    /// The value of a client's header, if it offers something.
    pub(crate) fn offer(&self) -> Option<String> {
        self.deflate.as_ref().map(negotiation::offer)
    }

    /// The value of a server's header, if it agrees to something, which is noted in `negotiated`.
    /// The lines with the client's offers were checked before.
    pub(crate) fn answer<'a>(
        &self,
        offers: impl Iterator<Item = &'a [u8]>,
        negotiated: &mut Negotiated,
    ) -> Option<String> {
        let deflate = self.deflate.as_ref()?;
        let offers = grammar::parse(offers).ok()?;
        let (answer, params) = negotiation::answer(deflate, &offers)?;
        negotiated.set_deflate(Some(params));
        Some(answer)
    }

    /// What a client makes of the server's answer; it is noted in `negotiated`.
    pub(crate) fn check(
        &self,
        answers: &[Extension<'_>],
        negotiated: &mut Negotiated,
    ) -> Result<(), BadAnswer> {
        negotiated.set_deflate(negotiation::check(self.deflate.as_ref(), answers)?);
        Ok(())
    }
}

#[cfg(not(feature = "deflate"))]
impl Wanted {
    pub(crate) fn new(_config: &Config) -> Self {
        Self {}
    }

    pub(crate) fn offer(&self) -> Option<String> {
        None
    }

    pub(crate) fn answer<'a>(
        &self,
        _offers: impl Iterator<Item = &'a [u8]>,
        _negotiated: &mut Negotiated,
    ) -> Option<String> {
        None
    }

    pub(crate) fn check(
        &self,
        answers: &[Extension<'_>],
        _negotiated: &mut Negotiated,
    ) -> Result<(), BadAnswer> {
        match answers {
            [] => Ok(()),
            _ => Err(BadAnswer::Unoffered),
        }
    }
}
