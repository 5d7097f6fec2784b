//! What the messages are made of: always the same for the same seed.

/// xorshift64*.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    #[inline]
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A masking key.
    #[inline]
    pub fn key(&mut self) -> [u8; 4] {
        ((self.word() >> 32) as u32).to_ne_bytes()
    }

    fn below(&mut self, end: usize) -> usize {
        (self.word() >> 33) as usize % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

pub fn random_bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let words = std::iter::repeat_with(|| random.word().to_le_bytes());
    words.flatten().take(len).collect()
}

pub fn ascii_text(len: usize, seed: u64) -> Vec<u8> {
    const WORDS: [&str; 18] = [
        "the", "quick", "brown", "socket", "frame", "masked", "payload", "stream", "echo", "lazy",
        "window", "latency", "kernel", "packet", "header", "upgrade", "binary", "message",
    ];
    let mut random = Random::new(seed);
    let mut text = String::new();
    while text.len() < len {
        text.push_str(random.pick(&WORDS));
        text.push(' ');
    }
    text.truncate(len);
    text.into_bytes()
}

/// Characters of one to four bytes.
pub fn mixed_text(len: usize, seed: u64) -> Vec<u8> {
    const PARTS: [&str; 14] = [
        "hello ",
        "привет ",
        "こんにちは",
        "안녕하세요 ",
        "γειά σου ",
        "مرحبا ",
        "שלום ",
        "你好，世界",
        "नमस्ते ",
        "😀🎉🚀",
        "Grüße ",
        "çà et là ",
        "ok 42 ",
        "{\"k\":1} ",
    ];
    let mut random = Random::new(seed);
    let mut text = String::new();
    while text.len() < len {
        text.push_str(random.pick(&PARTS));
    }
    text.truncate(text.floor_char_boundary(len));
    let mut text = text.into_bytes();
    text.resize(len, b'.');
    text
}

/// JSON with as much repetition as such messages have.
pub fn json_text(len: usize, seed: u64) -> Vec<u8> {
    const NAMES: [&str; 8] = [
        "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi",
    ];
    const TAGS: [&str; 8] = [
        "alpha", "beta", "gamma", "delta", "prod", "test", "eu-west", "us-east",
    ];
    let mut random = Random::new(seed);
    let mut text = String::from("[");
    while text.len() < len {
        let record = format!(
            r#"{{"id":{},"user":"{}","active":{},"score":{}.{:02},"tags":["{}","{}"],"note":"{:x}"}},"#,
            random.below(10_000_000),
            random.pick(&NAMES),
            random.below(2) == 0,
            random.below(1000),
            random.below(100),
            random.pick(&TAGS),
            random.pick(&TAGS),
            random.below(1 << 30),
        );
        text.push_str(&record);
    }
    text.truncate(len);
    text.into_bytes()
}
