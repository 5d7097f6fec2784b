//! An inflater that shares nothing with the crate's: slow, literal (RFC 1951), and strict about the
//! window.

/// Reads the compressed messages of one direction.
pub(crate) struct Reference {
    history: Vec<u8>,
    /// How far a message may refer back.
    window: usize,
    takeover: bool,
}

impl Reference {
    pub(crate) fn new(window_bits: u8, takeover: bool) -> Self {
        Self {
            history: Vec::new(),
            window: 1 << window_bits,
            takeover,
        }
    }

    /// Inflates a message. Panics at whatever is wrong with it.
    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        assert!(!payload.is_empty(), "7692-7.2.1-01");
        assert!(!payload.ends_with(&[0, 0, 0xFF, 0xFF]), "7692-7.2.1-01");
        if !self.takeover {
            self.history.clear();
        }
        let start = self.history.len();
        let bytes = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        let mut bits = Bits {
            bytes: &bytes,
            at: 0,
        };
        loop {
            let is_stored = self.block(&mut bits);
            if bits.at == 8 * bytes.len() {
                assert!(is_stored, "the tail belongs to something else");
                break;
            }
        }
        let message = self.history[start..].to_vec();
        let old = self.history.len().saturating_sub(1 << 15);
        self.history.drain(..old);
        message
    }

    fn block(&mut self, bits: &mut Bits<'_>) -> bool {
        let last = bits.take(1) == 1;
        let kind = bits.take(2);
        match kind {
            0 => {
                bits.align();
                let len = bits.take(16);
                assert_eq!(bits.take(16), len ^ 0xFFFF);
                for _ in 0..len {
                    self.history.push(bits.take(8) as u8);
                }
            }
            1 => {
                let lens = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
                self.codes(bits, &Huffman::new(&lens), &Huffman::new(&[5; 30]));
            }
            2 => {
                let (literals, distances) = dynamic(bits);
                self.codes(bits, &literals, &distances);
            }
            _ => panic!("reserved kind of block"),
        }
        if last {
            bits.align();
        }
        kind == 0
    }

    fn codes(&mut self, bits: &mut Bits<'_>, literals: &Huffman, distances: &Huffman) {
        loop {
            let symbol = literals.next(bits);
            if symbol == 256 {
                return;
            }
            if let Ok(byte) = u8::try_from(symbol) {
                self.history.push(byte);
                continue;
            }
            let len = match symbol - 257 {
                code @ 0..8 => 3 + code,
                28 => 258,
                code => {
                    let extra = code / 4 - 1;
                    3 + ((4 + code % 4) << extra) + bits.take(extra)
                }
            };
            let distance = match distances.next(bits) {
                code @ 0..4 => 1 + code,
                code => {
                    let extra = code / 2 - 1;
                    1 + ((2 + code % 2) << extra) + bits.take(extra)
                }
            };
            assert!(distance <= self.window, "7692-7.2.1-13: {distance}");
            assert!(distance <= self.history.len(), "beyond the history");
            for _ in 0..len {
                self.history
                    .push(self.history[self.history.len() - distance]);
            }
        }
    }
}

/// The codes of a dynamic block.
fn dynamic(bits: &mut Bits<'_>) -> (Huffman, Huffman) {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = bits.take(5) + 257;
    let distances = bits.take(5) + 1;
    let count = bits.take(4) + 4;
    let mut lens = [0; 19];
    for index in &ORDER[..count] {
        lens[*index] = bits.take(3) as u8;
    }
    let code = Huffman::new(&lens);
    let mut lens = Vec::new();
    while lens.len() < literals + distances {
        let (len, times) = match code.next(bits) {
            16 => (*lens.last().unwrap(), 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            len => (len as u8, 1),
        };
        lens.extend(std::iter::repeat_n(len, times));
    }
    let (literals, distances) = lens.split_at(literals);
    (Huffman::new(literals), Huffman::new(distances))
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, index| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << index
        })
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

struct Huffman {
    /// How many codes there are of each length.
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Huffman {
    fn new(lens: &[u8]) -> Self {
        let mut symbols: Vec<usize> = (0..lens.len()).filter(|index| lens[*index] > 0).collect();
        symbols.sort_by_key(|index| (lens[*index], *index));
        let mut counts = [0; 16];
        for index in &symbols {
            counts[usize::from(lens[*index])] += 1;
        }
        Self { counts, symbols }
    }

    fn next(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

/// Writes what no compressor writes.
#[derive(Default)]
pub(crate) struct BitWriter(Vec<bool>);

impl BitWriter {
    /// A number, lowest bit first.
    pub(crate) fn number(mut self, value: usize, count: usize) -> Self {
        self.0.extend((0..count).map(|bit| value >> bit & 1 == 1));
        self
    }

    /// A Huffman code, highest bit first.
    pub(crate) fn code(mut self, value: usize, count: usize) -> Self {
        let bits = (0..count).rev().map(|bit| value >> bit & 1 == 1);
        self.0.extend(bits);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let bits = bits.iter().enumerate();
            bits.fold(0, |byte, (index, bit)| byte | u8::from(*bit) << index)
        };
        self.0.chunks(8).map(byte).collect()
    }
}
