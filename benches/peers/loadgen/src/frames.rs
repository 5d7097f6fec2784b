//! What the clients send.

use common::{BINARY, FIN, Random, push_frame, random_bytes};

/// About as much is sent before the same comes again.
const CYCLE: usize = 1 << 20;
const MAX_COUNT: usize = 64;

/// Masked frames of one size, all different.
pub struct Frames {
    payloads: Vec<Vec<u8>>,
    /// All of them twice, so that whatever is sent at once lies in one piece. INVARIANT: both halves
    /// are the same, keys included, because a frame may be written partly from each.
    wire: Vec<u8>,
}

impl Frames {
    pub fn new(size: usize, depth: usize) -> Self {
        let count = (CYCLE / (size + 14)).clamp(2, MAX_COUNT).max(depth);
        let seeds = (77..).take(count);
        let payloads: Vec<_> = seeds.map(|seed| random_bytes(size, seed)).collect();
        let mut random = Random::new(size as u64 + 1);
        let mut wire = Vec::new();
        for payload in &payloads {
            push_frame(&mut wire, FIN | BINARY, payload, Some(random.key()));
        }
        wire.extend_from_within(..);
        Self { payloads, wire }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.payloads.len()
    }

    pub fn payload(&self, index: usize) -> &[u8] {
        &self.payloads[index]
    }

    /// Bytes of all of them, once.
    pub fn cycle(&self) -> usize {
        self.wire.len() / 2
    }

    /// Bytes of one.
    pub fn frame(&self) -> usize {
        self.cycle() / self.count()
    }

    /// All of them, twice.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }
}
