//! The same bytes, however they are cut and delivered, mean the same.

use sockeye::{Config, Deflate, DeflateParams, Memory, Negotiated};

use super::wire::*;

/// Flags: bit 0 the role, bit 1 whether the limits are the defaults, bit 2 whether messages may be
/// compressed, bit 3 without context takeover. Then two bytes that say how the bytes are cut, and
/// the bytes.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let flags = source.flags();
    let cuts = [Cuts::new(source.byte()), Cuts::new(source.byte())];
    let role = if flags.bit(0) {
        Role::Client
    } else {
        Role::Server
    };
    let mut config = if flags.bit(1) { Config::new() } else { small() };
    let mut negotiated = Negotiated::new();
    if flags.bit(2) {
        let mut params = DeflateParams::new();
        params.client_no_context_takeover = flags.bit(3);
        params.server_no_context_takeover = flags.bit(3);
        negotiated = negotiated.with_deflate(params);
        config = config.with_deflate(Deflate::server().with_receive_memory(Memory::Window));
    }

    let run = |config: &Config, mut cuts: Cuts| {
        let mut conn = connection(role, config, negotiated.clone());
        let mut outcome = feed(&mut conn, source.0, &mut cuts, |_, _| {});
        assert_answers(role, &outcome);
        outcome.events = join(outcome.events);
        outcome
    };
    let whole = run(&config, Cuts::Whole);
    for cuts in cuts {
        assert_eq!(run(&config, cuts.clone()), whole, "in pieces");
        assert_eq!(run(&chunked(&config), cuts), whole, "delivered in pieces");
    }
    assert_eq!(
        run(&chunked(&config), Cuts::Whole),
        whole,
        "delivered in pieces, read at once"
    );
}
