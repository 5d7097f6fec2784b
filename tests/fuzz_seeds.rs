//! The seeds of every fuzz target, without a fuzzer: `fuzz/src` has what they check.
#![cfg(all(feature = "handshake", feature = "deflate"))]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;

#[test]
fn every_seed_of_every_target() {
    for (target, check) in fuzz::TARGETS {
        let path = format!("{}/fuzz/seeds/{target}.bin", env!("CARGO_MANIFEST_DIR"));
        let packed = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let seeds = fuzz::seeds::unpack(&packed);
        assert!(seeds.len() > 5, "{target} has hardly any seeds");
        assert!(
            fuzz::seeds::pack(seeds.iter().map(|seed| seed.to_vec()).collect()) == packed,
            "{target}: not in order, or twice"
        );
        for (number, seed) in seeds.into_iter().enumerate() {
            // If it fails, this tells which one it was.
            println!("{target}, seed {number}");
            check(seed);
        }
    }
}
