//! What is sent: JSON as applications write it, made from a fixed seed.

/// Messages of about 130 bytes, all different.
pub fn small(count: usize) -> Vec<String> {
    let mut random = Random(7);
    (0..count).map(|n| random.record(n)).collect()
}

/// Messages of about 1 KiB, all different.
pub fn large(count: usize) -> Vec<String> {
    let mut random = Random(11);
    (0..count)
        .map(|n| {
            let records: Vec<_> = (0..8).map(|m| random.record(8 * n + m)).collect();
            format!("[{}]", records.join(","))
        })
        .collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn record(&mut self, number: usize) -> String {
        let kinds = ["trade", "quote", "order", "cancel"];
        let symbols = ["SOCK", "EYEX", "RIVR", "SALM", "TROU", "PIKE", "CARP"];
        format!(
            r#"{{"id":{},"type":"{}","symbol":"{}","price":{}.{:02},"size":{},"user":"u{:06x}","time":{},"flags":["new","live"]}}"#,
            1_000_000 + number,
            kinds[self.below(4) as usize],
            symbols[self.below(7) as usize],
            self.below(900) + 100,
            self.below(100),
            self.below(5000),
            self.below(1 << 24),
            1_700_000_000_000 + 137 * number as u64 + self.below(100),
        )
    }
}
