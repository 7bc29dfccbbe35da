use std::collections::BTreeMap;

use super::frequency::Frequencies;
use super::partial::Partial;
use crate::file_processor::row::Failure;

/// Who counts which chunk of a large file, and what is known of it so far: a state machine without
/// a file or a thread inside.
///
/// Chunks are claimed in order and delivered in any. A chunk joins its neighbours as soon as they
/// are there, so at most one partial count per gap is kept. The file ends where the first chunk
/// came short: its size is never asked for, and may change meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    next: u64,
    /// Chunks that are claimed and not delivered.
    active: u64,
    /// Nothing is left to claim.
    ended: bool,
    failure: Option<Failure>,
    /// Neighbouring chunks, joined, by the number of the first.
    runs: BTreeMap<u64, Joined>,
}

#[derive(Debug)]
struct Joined {
    /// The number after its last chunk.
    end: u64,
    /// Whether its last chunk ends the file.
    last: bool,
    counts: Partial,
}

/// What reading a chunk gave.
pub(crate) struct CountedChunk {
    pub(crate) counts: Partial,
    /// Whether the file ended before the chunk did.
    pub(crate) last: bool,
}

impl Reassembly {
    /// The number of the next chunk to read, unless all have been given out.
    pub(crate) fn claim(&mut self) -> Option<u64> {
        if self.ended {
            return None;
        }
        self.active += 1;
        self.next += 1;
        Some(self.next - 1)
    }

    /// Takes the chunk back. The last one to be delivered brings the result of the whole file; it
    /// does so once.
    pub(crate) fn deliver(
        &mut self,
        number: u64,
        chunk: Result<CountedChunk, Failure>,
        frequencies: Option<&mut Frequencies>,
    ) -> Option<Result<Partial, Failure>> {
        self.active -= 1;
        match chunk {
            Ok(CountedChunk { counts, last }) => {
                self.ended |= last;
                self.insert(number, Joined { end: number + 1, last, counts }, frequencies);
            }
            Err(failure) => {
                self.ended = true;
                self.failure.get_or_insert(failure);
            }
        }
        (self.ended && self.active == 0).then(|| self.result())
    }

    fn insert(&mut self, number: u64, mut run: Joined, mut frequencies: Option<&mut Frequencies>) {
        if let Some(right) = self.runs.remove(&run.end).filter(|_| !run.last) {
            run.counts.join(right.counts, frequencies.as_deref_mut());
            (run.end, run.last) = (right.end, right.last);
        }
        let left = self.runs.range_mut(..number).next_back();
        match left.filter(|(_, left)| left.end == number && !left.last) {
            Some((_, left)) => {
                left.counts.join(run.counts, frequencies);
                (left.end, left.last) = (run.end, run.last);
            }
            None => drop(self.runs.insert(number, run)),
        }
    }

    /// How many chunks are joined from the start on.
    pub(crate) fn joined(&self) -> u64 {
        self.runs.get(&0).map_or(0, |joined| joined.end)
    }

    /// The counts from the start to the end of the file. If the file grew meanwhile, what was read
    /// behind that end does not count.
    fn result(&mut self) -> Result<Partial, Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(self.runs.remove(&0).expect("all chunks up to the end are there").counts),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::partial::Counter;
    use super::*;
    use crate::file_processor::columns::{Column, Counts};
    use crate::file_processor::row::Operation;

    const SIZE: usize = 4;

    fn chunk(text: &[u8], number: u64) -> CountedChunk {
        let start = text.len().min(number as usize * SIZE);
        let end = text.len().min(start + SIZE);
        let counts = Counter::default().partial(&text[start..end]);
        CountedChunk { counts, last: end - start < SIZE }
    }

    fn totals(partial: &Partial) -> Counts {
        partial.counts(Counter::default().columns)
    }

    proptest! {
        #[test]
        fn chunks_may_be_delivered_in_any_order(
            text in "[ab \n]{0,80}",
            ahead in 1_usize..6,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 100),
        ) {
            let mut reassembly = Reassembly::default();
            let (mut claimed, mut picks) = (Vec::new(), picks.into_iter());
            let result = loop {
                while claimed.len() < ahead && let Some(number) = reassembly.claim() {
                    claimed.push(number);
                }
                let number = claimed.swap_remove(picks.next().unwrap().index(claimed.len()));
                let done = reassembly.deliver(number, Ok(chunk(text.as_bytes(), number)), None);
                prop_assert!(reassembly.runs.len() <= ahead + 1);
                if let Some(result) = done {
                    break result;
                }
            };
            prop_assert!(claimed.is_empty());
            let expected = totals(&Counter::default().partial(text.as_bytes()));
            prop_assert_eq!(totals(&result.unwrap()), expected);
        }
    }

    #[test]
    fn bytes_added_after_the_end_was_found_do_not_count() {
        let mut reassembly = Reassembly::default();
        let (first, second) = (reassembly.claim().unwrap(), reassembly.claim().unwrap());
        let grown = chunk(b"12345678", 1);
        assert!(reassembly.deliver(second, Ok(grown), None).is_none());
        let short = chunk(b"123", 0);
        let counts = reassembly.deliver(first, Ok(short), None).unwrap().unwrap();
        assert_eq!(totals(&counts).get(Column::Bytes), 3);
    }

    #[test]
    fn one_failed_chunk_fails_the_file_once() {
        let mut reassembly = Reassembly::default();
        let (first, second) = (reassembly.claim().unwrap(), reassembly.claim().unwrap());
        let failure = Failure::new(Operation::Read, "it broke");
        assert!(reassembly.deliver(second, Err(failure.clone()), None).is_none());
        assert_eq!(reassembly.claim(), None);
        let result = reassembly.deliver(first, Ok(chunk(b"12345678", 0)), None);
        assert_eq!(result, Some(Err(failure)));
    }
}
