/// The smallest page size in use, in bytes; all others are multiples of it.
const PAGE: usize = 4096;

/// The most bytes kept in front of a read: the start of a character that the read before it cut.
pub(crate) const LOOK_BEHIND: usize = 3;

/// A read buffer whose data has the same offset within a page as in the page cache.
///
/// Where the kernel copies with `rep movsb`, some processors slow down to a quarter of the speed
/// when the destination lies 1 to 63 bytes ahead of the source modulo 4,096 (seen on an AMD EPYC
/// with `fsrm`, Linux 6.18). `malloc` puts every large buffer 16 bytes behind a page boundary,
/// which is in that range. The benchmark shows the difference on any machine.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// The index of the first page boundary with room in front of it for kept bytes.
    aligned: usize,
    size: usize,
}

impl Buffer {
    /// For reads of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        // One page to reach a boundary, one in front of it, one for an offset inside a page.
        let bytes = vec![0; size + 3 * PAGE];
        let aligned = PAGE + bytes.as_ptr().align_offset(PAGE);
        Self { bytes, aligned, size }
    }

    /// The bytes of one read from this position of a file on, with `behind` bytes in front of them.
    pub(crate) fn at(&mut self, position: u64, behind: usize) -> &mut [u8] {
        let start = self.aligned + (position % PAGE as u64) as usize;
        &mut self.bytes[start - behind..start + self.size]
    }

    /// What the first `filled` bytes of a read hold, with `behind` bytes in front of them.
    pub(crate) fn filled(&self, behind: usize, filled: usize) -> &[u8] {
        &self.bytes[self.aligned - behind..self.aligned + filled]
    }

    /// Moves the last `kept` of the first `filled` bytes to where they stand in front of the next
    /// read.
    pub(crate) fn keep(&mut self, filled: usize, kept: usize) {
        let end = self.aligned + filled;
        self.bytes.copy_within(end - kept..end, self.aligned - kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_and_its_file_have_the_same_offset_in_a_page() {
        for size in [1, 7, PAGE, 256 * 1024] {
            let mut buffer = Buffer::new(size);
            for (position, behind) in [(0, 0), (37, 3), (4095, 3), (4096, 1), (1 << 40 | 16, 3)] {
                let read = buffer.at(position, behind);
                assert_eq!(read.len(), size + behind);
                let address = read[behind..].as_ptr().addr() as u64;
                assert_eq!(address % PAGE as u64, position % PAGE as u64);
            }
        }
    }
}
