//! How large requests may be, as learned from a server that finds some too large.

/// Most full requests that are taken before a size is tried again that was too large.
const LONGEST: u32 = 1024;

/// The size of requests: halved when one is too large, and doubled again while full ones are taken,
/// as congestion control does it. A server with a lasting limit is tried more and more rarely.
#[derive(Debug)]
pub(crate) struct Size {
    /// Most bytes of a request.
    most: usize,
    /// The largest that `most` becomes.
    limit: usize,
    /// The smallest request that was too large, until a larger one is taken.
    failed: Option<usize>,
    /// How many full requests must be taken before `most` is doubled.
    wait: u32,
    /// How many were taken since `most` has changed.
    taken: u32,
}

impl Size {
    pub(crate) fn new(limit: usize) -> Self {
        Self { most: limit, limit, failed: None, wait: 1, taken: 0 }
    }

    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// The server has taken a request of this size.
    pub(crate) fn taken(&mut self, bytes: usize) {
        if self.has_failed(bytes) {
            self.failed = None;
            self.wait = (self.wait / 2).max(1);
        }
        let is_full = bytes > self.most / 2;
        self.taken += u32::from(is_full);
        if self.taken >= self.wait {
            self.most = self.most.saturating_mul(2).min(self.limit);
            self.taken = 0;
        }
    }

    /// A request of this size, of more than one line, was too large.
    pub(crate) fn too_large(&mut self, bytes: usize) {
        if self.has_failed(bytes) {
            self.wait = (self.wait * 2).min(LONGEST);
        }
        self.failed = Some(self.failed.map_or(bytes, |failed| failed.min(bytes)));
        self.most = bytes / 2;
        self.taken = 0;
    }

    /// Whether a request of this size, or a smaller one, was too large before.
    fn has_failed(&self, bytes: usize) -> bool {
        self.failed.is_some_and(|failed| bytes >= failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends full requests of a line of 50 bytes at least to a server that takes up to `takes` bytes.
    /// Returns how many were too large.
    fn send(size: &mut Size, requests: u32, takes: usize) -> u32 {
        let mut too_large = 0;
        for _ in 0..requests {
            let bytes = size.most().max(50);
            match bytes {
                _ if bytes <= takes => size.taken(bytes),
                50 => {} // a single line is refused
                _ => {
                    size.too_large(bytes);
                    too_large += 1;
                }
            }
        }
        too_large
    }

    #[test]
    fn after_a_spell_in_which_everything_is_too_large_requests_soon_have_their_full_size() {
        let mut size = Size::new(1 << 20);
        send(&mut size, 1000, 0);
        assert!(size.most() <= 50);
        assert_eq!((send(&mut size, 20, usize::MAX), size.most()), (0, 1 << 20));
    }

    #[test]
    fn a_lasting_limit_is_tried_more_and_more_rarely() {
        let mut size = Size::new(1 << 20);
        let first = send(&mut size, 1000, 100_000);
        assert!(first < 20, "{first}");
        send(&mut size, 10_000, 100_000);
        let later = send(&mut size, 10_000, 100_000);
        assert!((5..=10).contains(&later), "{later}");
        send(&mut size, 5000, usize::MAX);
        assert_eq!(size.most(), 1 << 20, "the limit was lifted");
    }

    #[test]
    fn small_requests_say_nothing_about_larger_ones() {
        let mut size = Size::new(1000);
        size.too_large(1000);
        (0..10).for_each(|_| size.taken(250));
        assert_eq!(size.most(), 500);
        size.taken(251);
        assert_eq!(size.most(), 1000);
    }
}
