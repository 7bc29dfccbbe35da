//! Finds the bytes at which a string ends, many at a time.

/// How many bytes are examined together.
const BLOCK: usize = 64;

/// The marks of one block: quotes, backslashes and control bytes.
pub(super) struct Marks {
    block: usize,
    bits: u64,
}

impl Default for Marks {
    /// Of no block.
    fn default() -> Self {
        Self { block: usize::MAX, bits: 0 }
    }
}

impl Marks {
    /// The index of the next mark from `at` on, if the block at hand is that of `at` and has one.
    #[inline]
    pub(super) fn near(&self, at: usize) -> Option<usize> {
        let ahead = self.bits >> (at % BLOCK);
        (self.block == at / BLOCK && ahead != 0).then(|| at + ahead.trailing_zeros() as usize)
    }

    /// The index of the next mark in `bytes` from `at` on, or one past their end.
    pub(super) fn next(&mut self, bytes: &[u8], mut at: usize) -> usize {
        loop {
            let block = at / BLOCK;
            if block != self.block {
                let rest = bytes.get(block * BLOCK..).unwrap_or_default();
                let padded = || {
                    let mut last = [0; BLOCK]; // a mark past the end
                    last[..rest.len()].copy_from_slice(rest);
                    marks(&last)
                };
                self.bits = rest.first_chunk().map_or_else(padded, marks);
                self.block = block;
            }
            match self.near(at) {
                Some(mark) => return mark,
                None => at = (block + 1) * BLOCK,
            }
        }
    }
}

/// One bit for each byte that is a quote, a backslash or a control byte. The compiler turns the
/// comparisons into SIMD; nothing here branches.
fn marks(block: &[u8; BLOCK]) -> u64 {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        let (is_quote, is_backslash) = (u8::from(*byte == b'"'), u8::from(*byte == b'\\'));
        *flag = is_quote | is_backslash | u8::from(*byte < b' ');
    }
    let (words, _) = flags.as_chunks();
    // The multiplication gathers the lowest bits of eight bytes in its highest byte.
    let bits = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().rev().fold(0, |marks, word| marks << 8 | bits(word))
}
