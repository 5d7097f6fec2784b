//! The connection from outside: one test for each row of the requirements and of the catalogue of
//! bad input that concerns frames, messages, the closing handshake and output, and the laws that
//! hold for any input.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and knows its numbers"
)]

mod autobahn;
mod budgets;
mod close;
mod deadline_laws;
mod deflate;
mod deflate_cuts;
mod deflate_laws;
mod fragments;
mod framing;
mod laws;
mod misuse;
mod observer;
mod output;
mod pair;
mod pause;
mod priorities;
mod reference;
mod rfc_examples;
mod secrets;
mod shortest;
mod text;
mod timers;
mod wire;
