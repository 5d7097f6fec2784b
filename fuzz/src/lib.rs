//! What the fuzz targets check: one function of bytes for each, which panics if a law is broken.
//!
//! Each file in `fuzz_targets` calls one of them. `tests/fuzz_seeds.rs` of the crate above includes
//! this module by its path and runs the seeds through all of them, without a fuzzer.
#![allow(
    missing_docs,
    unnameable_types,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a check may panic, and knows its numbers"
)]

pub mod client_bytes;
pub mod differential;
pub mod extension_header;
pub mod frame_decoder;
pub mod inflate;
pub mod naive;
pub mod operations;
pub mod request_head;
pub mod response_head;
pub mod seeds;
pub mod server_bytes;
pub mod split_invariance;
pub mod utf8;
pub mod wire;

/// Every target by its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("request_head", request_head::check),
    ("response_head", response_head::check),
    ("extension_header", extension_header::check),
    ("frame_decoder", frame_decoder::check),
    ("utf8", utf8::check),
    ("inflate", inflate::check),
    ("server_bytes", server_bytes::check),
    ("client_bytes", client_bytes::check),
    ("split_invariance", split_invariance::check),
    ("operations", operations::check),
    ("differential", differential::check),
];
