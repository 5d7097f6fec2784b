//! UTF-8 with the vectors of AVX2, and unmasking in the same pass.
//!
//! Whether a byte can be where it is depends on the three before it, so whole vectors of them are
//! judged at once (Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte").

use core::arch::x86_64::*;
use core::mem::transmute;

/// Text of less bytes is not for vectors: where they end, the last half of one is read again.
pub(super) const MIN: usize = HALF;

/// Bytes of a vector.
const WHOLE: usize = 32;
/// Bytes of half a vector.
const HALF: usize = 16;
/// Bytes of a step of the loops: two vectors, which are tested for ASCII together.
const STEP: usize = 64;

/// That the processor has AVX2.
// INVARIANT: only `for_len` makes one, where it has.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// For a text of so many bytes. `None` also if it is too short.
    #[inline(always)]
    pub(super) fn for_len(len: usize) -> Option<Self> {
        #[cfg(feature = "std")]
        let has_it = || std::is_x86_feature_detected!("avx2");
        #[cfg(not(feature = "std"))]
        let has_it = || cfg!(target_feature = "avx2");
        (len >= MIN && has_it()).then_some(Self(()))
    }

    /// Whether every byte of a text of at least [`MIN`] can be there. Its last code point may be
    /// open, and what opens it is not looked at.
    #[inline(always)]
    pub(super) fn is_possible(self, text: &[u8]) -> bool {
        #[expect(unsafe_code, reason = "the processor has what the function needs")]
        // SAFETY: AVX2 is all that the function asks for, and `self` is only where it is.
        unsafe {
            is_possible(text)
        }
    }

    /// Unmasks a text, and tells the same of it.
    #[inline(always)]
    pub(super) fn unmask(self, text: &mut [u8], key: [u8; 4]) -> bool {
        #[expect(unsafe_code, reason = "the processor has what the function needs")]
        // SAFETY: as above.
        unsafe {
            unmask(text, key)
        }
    }
}

#[target_feature(enable = "avx2")]
fn is_possible(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return false;
    };
    let mut check = Check::new();
    let mut rest = text;
    while let Some((step, behind)) = rest.split_first_chunk() {
        check.step(load_step(step));
        rest = behind;
    }
    if let Some((whole, behind)) = rest.split_first_chunk() {
        check.vector(load(whole));
        rest = behind;
    }
    let end = match rest.first_chunk() {
        Some(first) => two_halves(
            load_half(first),
            last_of(load_half(last), rest.len() - HALF),
        ),
        None => two_halves(last_of(load_half(last), rest.len()), _mm_setzero_si128()),
    };
    check.end(end, rest.len());
    check.is_possible()
}

#[target_feature(enable = "avx2")]
fn unmask(text: &mut [u8], key: [u8; 4]) -> bool {
    let Some(last) = text.last_chunk() else {
        return false;
    };
    let key = u32::from_le_bytes(key);
    let keys = _mm256_set1_epi32(key.cast_signed());
    let half_keys = _mm256_castsi256_si128(keys);
    // The last half is read before what it overlaps is written, and written when that agrees.
    #[expect(clippy::cast_possible_truncation, reason = "at most 3")]
    let last_key = key.rotate_right(8 * (text.len() % 4) as u32);
    let last = _mm_xor_si128(load_half(last), _mm_set1_epi32(last_key.cast_signed()));

    let mut check = Check::new();
    let mut steps = text.chunks_exact_mut(STEP);
    for step in steps.by_ref().filter_map(<[u8]>::first_chunk_mut) {
        let vectors = load_step(step).map(|vector| _mm256_xor_si256(vector, keys));
        store_step(step, vectors);
        check.step(vectors);
    }
    let mut wholes = steps.into_remainder().chunks_exact_mut(WHOLE);
    for whole in wholes.by_ref().filter_map(<[u8]>::first_chunk_mut) {
        let vector = _mm256_xor_si256(load(whole), keys);
        store(whole, vector);
        check.vector(vector);
    }
    let rest = wholes.into_remainder();
    let len = rest.len();
    let end = match rest.first_chunk_mut() {
        Some(first) => {
            let half = _mm_xor_si128(load_half(first), half_keys);
            store_half(first, half);
            two_halves(half, last_of(last, len - HALF))
        }
        None => two_halves(last_of(last, len), _mm_setzero_si128()),
    };
    if let Some(target) = text.last_chunk_mut() {
        store_half(target, last);
    }
    check.end(end, len);
    check.is_possible()
}

/// The text so far.
struct Check {
    /// The last vector.
    before: __m256i,
    /// Not 0 where some byte could not be.
    errors: __m256i,
}

impl Check {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new() -> Self {
        Self {
            before: _mm256_setzero_si256(),
            errors: _mm256_setzero_si256(),
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn step(&mut self, [first, second]: [__m256i; 2]) {
        if is_ascii(_mm256_or_si256(first, second)) {
            self.ascii(second);
        } else {
            self.vector(first);
            self.vector(second);
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn vector(&mut self, vector: __m256i) {
        self.note(errors(vector, self.before));
        self.before = vector;
    }

    /// The end: the first `len` bytes of a vector whose others are 0.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn end(&mut self, vector: __m256i, len: usize) {
        if len == 0 {
            return;
        }
        if is_ascii(vector) {
            return self.ascii(vector);
        }
        // What follows the text is no error yet.
        let errors = errors(vector, self.before);
        self.note(_mm256_and_si256(errors, first(len)));
    }

    /// ASCII needs a look at what is before it only.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn ascii(&mut self, vector: __m256i) {
        self.note(_mm256_subs_epu8(self.before, load(&CLOSED)));
        self.before = vector;
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn note(&mut self, errors: __m256i) {
        self.errors = _mm256_or_si256(self.errors, errors);
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn is_possible(&self) -> bool {
        _mm256_testz_si256(self.errors, self.errors) == 1
    }
}

/// Not 0 where a byte cannot follow the three before it. Those before the first are at the end of
/// `before`.
#[target_feature(enable = "avx2")]
#[inline]
fn errors(vector: __m256i, before: __m256i) -> __m256i {
    let middle = _mm256_permute2x128_si256::<0x21>(before, vector);
    let one_before = _mm256_alignr_epi8::<15>(vector, middle);
    let two_before = _mm256_alignr_epi8::<14>(vector, middle);
    let three_before = _mm256_alignr_epi8::<13>(vector, middle);

    let pairs = _mm256_and_si256(
        _mm256_and_si256(
            look_up(&FIRST_HIGH, high_nibbles(one_before)),
            look_up(&FIRST_LOW, low_nibbles(one_before)),
        ),
        look_up(&SECOND_HIGH, high_nibbles(vector)),
    );
    // E0 less 60, and F0 less 70, have the highest bit: the third byte of three, and the third and
    // the fourth of four.
    let third = _mm256_subs_epu8(two_before, _mm256_set1_epi8(0x60));
    let fourth = _mm256_subs_epu8(three_before, _mm256_set1_epi8(0x70));
    let due = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(i8::MIN));
    // There, and nowhere else, a continuation must follow another.
    _mm256_xor_si256(pairs, due)
}

/// A nibble of each byte is looked up in a table of 16.
#[target_feature(enable = "avx2")]
#[inline]
fn look_up(table: &[u8; 16], nibbles: __m256i) -> __m256i {
    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_half(table)), nibbles)
}

#[target_feature(enable = "avx2")]
#[inline]
fn low_nibbles(vector: __m256i) -> __m256i {
    _mm256_and_si256(vector, _mm256_set1_epi8(0x0f))
}

#[target_feature(enable = "avx2")]
#[inline]
fn high_nibbles(vector: __m256i) -> __m256i {
    low_nibbles(_mm256_srli_epi16::<4>(vector))
}

#[target_feature(enable = "avx2")]
#[inline]
fn is_ascii(vector: __m256i) -> bool {
    _mm256_movemask_epi8(vector) == 0
}

/// The last `len` bytes of a half, in front of zeros.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most 16")]
fn last_of(half: __m128i, len: usize) -> __m128i {
    // Indices from 16 - len on. From 16 on they have the highest bit, which makes a zero.
    let from = _mm_set1_epi8((0x80 - len as u8).cast_signed());
    _mm_shuffle_epi8(
        half,
        _mm_add_epi8(_mm256_castsi256_si128(load(&INDICES)), from),
    )
}

/// All bits of the first `len` bytes.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "less than a vector")]
fn first(len: usize) -> __m256i {
    _mm256_cmpgt_epi8(_mm256_set1_epi8(len as i8), load(&INDICES))
}

#[target_feature(enable = "avx2")]
#[inline]
fn two_halves(low: __m128i, high: __m128i) -> __m256i {
    _mm256_set_m128i(high, low)
}

/// A larger byte at the end of a vector leaves a code point open.
static CLOSED: [u8; WHOLE] = {
    let mut largest = [0xff; WHOLE];
    largest[WHOLE - 3] = 0xef;
    largest[WHOLE - 2] = 0xdf;
    largest[WHOLE - 1] = 0xbf;
    largest
};

static INDICES: [u8; WHOLE] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, //
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
];

static FIRST_HIGH: [u8; 16] = table(0);
static FIRST_LOW: [u8; 16] = table(1);
static SECOND_HIGH: [u8; 16] = table(2);

/// Nibbles, as bits.
type Nibbles = u16;

const ANY: Nibbles = 0xffff;
const ASCII: Nibbles = 0x00ff;
const CONTINUATION: Nibbles = 0x0f00;
const START: Nibbles = 0xf000;

/// Pairs of bytes that are wrong: the high and the low nibble of the first, and the high nibble of
/// the second. The index is the bit that says so.
const PAIRS: [[Nibbles; 3]; 8] = [
    // Nothing to continue.
    [ASCII, ANY, CONTINUATION],
    // A continuation is missing.
    [START, ANY, !CONTINUATION],
    // C0 and C1 were overlong.
    [1 << 0xc, 0x0003, CONTINUATION],
    // E0 is, before 80 to 9F.
    [1 << 0xe, 1 << 0x0, 0x0300],
    // ED begins a surrogate, before A0 to BF.
    [1 << 0xe, 1 << 0xd, 0x0c00],
    // F4 to FF are above U+10FFFF, before 90 to BF.
    [1 << 0xf, 0xfff0, 0x0e00],
    // F5 to FF are, before 80 to 8F, and F0 is overlong there.
    [1 << 0xf, 0xffe1, 0x0100],
    // A continuation after a continuation is wrong unless it is due.
    [CONTINUATION, ANY, CONTINUATION],
];

/// For each value of one of the three nibbles, which `PAIRS` it can belong to.
#[expect(clippy::indexing_slicing, reason = "a mistake here would not compile")]
const fn table(nibble: usize) -> [u8; 16] {
    let mut table = [0; 16];
    let mut value = 0;
    while value < 16 {
        let mut pair = 0;
        while pair < 8 {
            let belongs = PAIRS[pair][nibble] >> value & 1;
            table[value] |= (belongs as u8) << pair;
            pair += 1;
        }
        value += 1;
    }
    table
}

// Between bytes and vectors of as many bytes. The compiler checks the sizes, every bit pattern is a
// value of both, and neither has padding.

#[inline(always)]
fn load(bytes: &[u8; WHOLE]) -> __m256i {
    #[expect(unsafe_code, reason = "bytes are a vector")]
    // SAFETY: 32 plain bytes are copied, as above.
    unsafe {
        transmute(*bytes)
    }
}

#[inline(always)]
fn load_step(bytes: &[u8; STEP]) -> [__m256i; 2] {
    #[expect(unsafe_code, reason = "bytes are vectors")]
    // SAFETY: 64 plain bytes are copied, as above; an array has no padding between its elements.
    unsafe {
        transmute(*bytes)
    }
}

#[inline(always)]
fn load_half(bytes: &[u8; HALF]) -> __m128i {
    #[expect(unsafe_code, reason = "bytes are a vector")]
    // SAFETY: 16 plain bytes are copied, as above.
    unsafe {
        transmute(*bytes)
    }
}

#[inline(always)]
fn store(bytes: &mut [u8; WHOLE], vector: __m256i) {
    #[expect(unsafe_code, reason = "a vector is bytes")]
    // SAFETY: 32 plain bytes are copied, as above.
    let from = unsafe { transmute::<__m256i, [u8; WHOLE]>(vector) };
    *bytes = from;
}

#[inline(always)]
fn store_step(bytes: &mut [u8; STEP], vectors: [__m256i; 2]) {
    #[expect(unsafe_code, reason = "vectors are bytes")]
    // SAFETY: 64 plain bytes are copied, as above; an array has no padding between its elements.
    let from = unsafe { transmute::<[__m256i; 2], [u8; STEP]>(vectors) };
    *bytes = from;
}

#[inline(always)]
fn store_half(bytes: &mut [u8; HALF], vector: __m128i) {
    #[expect(unsafe_code, reason = "a vector is bytes")]
    // SAFETY: 16 plain bytes are copied, as above.
    let from = unsafe { transmute::<__m128i, [u8; HALF]>(vector) };
    *bytes = from;
}
