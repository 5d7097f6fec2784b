//! Offers of permessage-deflate and the answers to them (RFC 7692 sections 5 and 7.1).

use alloc::format;
use alloc::string::String;

use crate::config::{Deflate, DeflateParams, MAX_WINDOW_BITS, MIN_WINDOW_BITS, Memory};
use crate::extension::BadAnswer;
use crate::extension::grammar::{Extension, Parameter};

/// The extension's registered name.
pub(crate) const NAME: &str = "permessage-deflate";

/// The parameters of one offer or answer, before anybody agreed to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Listed {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<Hint>,
}

/// The value of `client_max_window_bits`, which an offer may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    Any,
    Bits(u8),
}

impl Listed {
    /// Reads parameters. `None` if one is unknown, repeated, or has a value that it must not have
    /// (7692-7-01, 7692-7-02).
    fn read(parameters: &[Parameter<'_>]) -> Option<Self> {
        let mut listed = Self::default();
        for parameter in parameters {
            let value = parameter.value.as_deref();
            let repeated = match (parameter.name, value) {
                (b"server_no_context_takeover", None) => {
                    core::mem::replace(&mut listed.server_no_context_takeover, true)
                }
                (b"client_no_context_takeover", None) => {
                    core::mem::replace(&mut listed.client_no_context_takeover, true)
                }
                (b"server_max_window_bits", Some(value)) => {
                    let bits = window_bits(value)?;
                    listed.server_max_window_bits.replace(bits).is_some()
                }
                (b"client_max_window_bits", value) => {
                    let hint = match value {
                        None => Hint::Any,
                        Some(value) => Hint::Bits(window_bits(value)?),
                    };
                    listed.client_max_window_bits.replace(hint).is_some()
                }
                _ => return None,
            };
            if repeated {
                return None;
            }
        }
        Some(listed)
    }
}

/// Decimal, 8 to 15, without leading zeros (7692-7.1.2.1-02). Nothing else ever reaches the codec.
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// What a client offers: one element.
pub(crate) fn offer(config: &Deflate) -> String {
    let mut offer = String::from(NAME);
    if config.receive_memory() == Memory::NoTakeover {
        offer.push_str("; server_no_context_takeover");
    }
    if config.send_memory() == Memory::NoTakeover {
        offer.push_str("; client_no_context_takeover");
    }
    if config.receive_window_bits() < MAX_WINDOW_BITS {
        offer += &format!("; server_max_window_bits={}", config.receive_window_bits());
    }
    // 7692-7.1.2.2-01: without it the server could not ask for a smaller window.
    if config.send_window_bits() < MAX_WINDOW_BITS {
        offer += &format!("; client_max_window_bits={}", config.send_window_bits());
    } else {
        offer.push_str("; client_max_window_bits");
    }
    offer
}

/// What a server answers: the first offer that it can meet decides (7692-5-02). `None` declines
/// them all.
pub(crate) fn answer(
    config: &Deflate,
    offers: &[Extension<'_>],
) -> Option<(String, DeflateParams)> {
    offers
        .iter()
        .filter(|offer| offer.name == NAME.as_bytes())
        .filter_map(|offer| Listed::read(&offer.parameters))
        .find_map(|offer| agree(config, &offer))
}

fn agree(config: &Deflate, offer: &Listed) -> Option<(String, DeflateParams)> {
    // K18, 7692-7.2.1-15: a window of 8 bits is not promised, because the compressor would not keep
    // to it.
    let asked = offer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
    if asked < MIN_WINDOW_BITS {
        return None;
    }
    let params = DeflateParams {
        server_no_context_takeover: offer.server_no_context_takeover
            || config.send_memory() == Memory::NoTakeover,
        client_no_context_takeover: offer.client_no_context_takeover
            || config.receive_memory() == Memory::NoTakeover,
        server_max_window_bits: asked.min(config.send_window_bits()),
        client_max_window_bits: match offer.client_max_window_bits {
            // 7692-7.1.2.2-05: a client that does not name it cannot be asked for less.
            None => MAX_WINDOW_BITS,
            Some(Hint::Any) => config.receive_window_bits(),
            Some(Hint::Bits(bits)) => bits.min(config.receive_window_bits()),
        },
    };
    let mut answer = String::from(NAME);
    if params.server_no_context_takeover {
        answer.push_str("; server_no_context_takeover");
    }
    if params.client_no_context_takeover {
        answer.push_str("; client_no_context_takeover");
    }
    // 7692-7.1.2.1-03: always when it was asked for; otherwise it spares the client memory.
    if offer.server_max_window_bits.is_some() || params.server_max_window_bits < MAX_WINDOW_BITS {
        answer += &format!("; server_max_window_bits={}", params.server_max_window_bits);
    }
    if params.client_max_window_bits < MAX_WINDOW_BITS {
        answer += &format!("; client_max_window_bits={}", params.client_max_window_bits);
    }
    Some((answer, params))
}

/// What a client makes of the server's answer. `None`: the server declined.
pub(crate) fn check(
    config: Option<&Deflate>,
    answers: &[Extension<'_>],
) -> Result<Option<DeflateParams>, BadAnswer> {
    let (config, answer) = match (config, answers) {
        (_, []) => return Ok(None),
        // 7692-5-08, 7692-5-09: only one extension may use RSV1, so there is only one.
        (Some(config), [answer]) if answer.name == NAME.as_bytes() => (config, answer),
        _ => return Err(BadAnswer::Unoffered),
    };
    let listed = Listed::read(&answer.parameters).ok_or(BadAnswer::Parameter)?;
    // 7692-7.1.1.1-03: what was asked of the server must be in its answer.
    if config.receive_memory() == Memory::NoTakeover && !listed.server_no_context_takeover {
        return Err(BadAnswer::Parameter);
    }
    let server_max_window_bits = match listed.server_max_window_bits {
        Some(bits) if bits <= config.receive_window_bits() => bits,
        None if config.receive_window_bits() == MAX_WINDOW_BITS => MAX_WINDOW_BITS,
        _ => return Err(BadAnswer::Parameter),
    };
    let client_max_window_bits = match listed.client_max_window_bits {
        None => MAX_WINDOW_BITS,
        // 7692-7.1.2.2-04: it may exceed the hint.
        Some(Hint::Bits(bits)) => bits,
        Some(Hint::Any) => return Err(BadAnswer::Parameter),
    };
    Ok(Some(DeflateParams {
        server_no_context_takeover: listed.server_no_context_takeover,
        // 7692-7.1.1.2-01: the hint was this side's wish, and it may keep to it.
        client_no_context_takeover: listed.client_no_context_takeover
            || config.send_memory() == Memory::NoTakeover,
        server_max_window_bits,
        client_max_window_bits,
    }))
}
