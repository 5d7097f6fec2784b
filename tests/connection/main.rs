//! The connection from outside: one test for each row of the requirements and of the catalogue of bad input that
//! concerns frames, messages, the closing handshake and output, and the laws that hold for any input.

mod autobahn;
mod close;
mod fragments;
mod framing;
mod laws;
mod misuse;
mod output;
mod pair;
mod rfc_examples;
mod text;
mod wire;
