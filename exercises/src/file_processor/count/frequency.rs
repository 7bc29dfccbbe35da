use std::hash::BuildHasher;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::whitespace::Whitespace;
use crate::file_processor::row::{Frequency, Word};

/// Words are spread over this many tables by their hash, so that the tables of all workers can be
/// merged in parallel: each thread merges whole shards.
const SHARDS: usize = 32;

/// The longest word that is ranked, in bytes. Longer ones, such as a file without whitespace, are
/// not words of a text, and keeping them whole would take unbounded memory.
pub(crate) const LONGEST_WORD: usize = 256;

/// How often each word occurs in what one worker has seen. Workers share none of it.
#[derive(Debug)]
pub(crate) struct Frequencies {
    hasher: DefaultHashBuilder,
    shards: [HashTable<Frequency>; SHARDS],
    /// How many words were longer than [`LONGEST_WORD`].
    too_long: u64,
}

/// The word fragments at the edges of a part of a file. Joining the part with its neighbours shows
/// where these words end. Keeps only as much of a fragment as shows that the word is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fragments {
    /// No whitespace: all of it is part of one word.
    Inside(Vec<u8>),
    /// What stands before the first whitespace and after the last. Either may be empty.
    Edges { head: Vec<u8>, tail: Vec<u8> },
}

impl Frequencies {
    /// Empty. All workers of a run must have clones of one hasher.
    pub(crate) fn new(hasher: DefaultHashBuilder) -> Self {
        Self { hasher, shards: [const { HashTable::new() }; SHARDS], too_long: 0 }
    }

    /// Counts the words that are complete in `text`, and returns the fragments at its edges.
    pub(crate) fn collect(&mut self, text: &[u8], whitespace: Whitespace) -> Fragments {
        let mut head = None;
        let (mut start, mut at) = (0, 0);
        while at < text.len() {
            let space = whitespace.len_at(&text[at..]);
            if space == 0 {
                at += 1;
                continue;
            }
            let word = &text[start..at];
            if head.is_none() {
                head = Some(start_of(word).to_vec());
            } else {
                self.add(word);
            }
            at += space;
            start = at;
        }
        let tail = start_of(&text[start..]).to_vec();
        match head {
            None => Fragments::Inside(tail),
            Some(head) => Fragments::Edges { head, tail },
        }
    }

    /// Counts the words at the edges of a whole file.
    pub(crate) fn finish(&mut self, fragments: Fragments) {
        match fragments {
            Fragments::Inside(word) => self.add(&word),
            Fragments::Edges { head, tail } => {
                self.add(&head);
                self.add(&tail);
            }
        }
    }

    fn add(&mut self, word: &[u8]) {
        if word.len() > LONGEST_WORD {
            self.too_long += 1;
        } else if !word.is_empty() {
            let hash = self.hasher.hash_one(word);
            let shard = &mut self.shards[shard_of(hash)];
            let entry =
                shard.entry(hash, |(known, _)| known.as_slice() == word, rehash(&self.hasher));
            entry.or_insert_with(|| (Word::from_slice(word), 0)).into_mut().1 += 1;
        }
    }
}

impl Fragments {
    /// Appends those of the part that follows.
    pub(crate) fn join(&mut self, next: Self, frequencies: &mut Frequencies) {
        match (&mut *self, next) {
            (Self::Inside(ours) | Self::Edges { tail: ours, .. }, Self::Inside(theirs)) => {
                lengthen(ours, &theirs);
            }
            (Self::Inside(ours), Self::Edges { head, tail }) => {
                lengthen(ours, &head);
                *self = Self::Edges { head: std::mem::take(ours), tail };
            }
            (Self::Edges { tail, .. }, Self::Edges { head: next_head, tail: next_tail }) => {
                lengthen(tail, &next_head);
                frequencies.add(tail);
                *tail = next_tail;
            }
        }
    }
}

/// The part of a fragment that is kept.
fn start_of(part: &[u8]) -> &[u8] {
    &part[..part.len().min(LONGEST_WORD + 1)]
}

fn lengthen(part: &mut Vec<u8>, next: &[u8]) {
    part.extend_from_slice(&next[..next.len().min(LONGEST_WORD + 1 - part.len())]);
}

impl Default for Fragments {
    fn default() -> Self {
        Self::Inside(Vec::new())
    }
}

/// The `limit` most frequent words of all workers, the most frequent first, equal ones by their
/// bytes; and how many were too long to have a rank. The shards are merged by as many threads as there are workers.
pub(crate) fn top(workers: Vec<Frequencies>, limit: usize) -> (Vec<Frequency>, u64) {
    let too_long = workers.iter().map(|worker| worker.too_long).sum();
    (ranked(workers, limit), too_long)
}

fn ranked(workers: Vec<Frequencies>, limit: usize) -> Vec<Frequency> {
    let Some(hasher) = workers.first().map(|worker| worker.hasher.clone()) else {
        return Vec::new();
    };
    let threads = workers.len();
    let mut work: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, shard) in by_shard(workers).into_iter().enumerate() {
        work[number % threads].push(shard);
    }
    let merge = |shards: Vec<Vec<_>>| {
        let merged = shards.into_iter().map(|tables| merge(tables, &hasher));
        merged.fold(Vec::new(), |top, table| first(top.into_iter().chain(table), limit))
    };
    let tops = thread::scope(|scope| {
        let threads: Vec<_> =
            work.into_iter().map(|shards| scope.spawn(move || merge(shards))).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let tops = tops.into_iter().map(|top| top.unwrap_or_else(|panic| resume_unwind(panic)));
    first(tops.flatten(), limit)
}

/// Turns each worker's tables for all shards into each shard's tables of all workers.
fn by_shard(workers: Vec<Frequencies>) -> Vec<Vec<HashTable<Frequency>>> {
    let mut shards: Vec<Vec<_>> = (0..SHARDS).map(|_| Vec::new()).collect();
    for worker in workers {
        for (shard, table) in shards.iter_mut().zip(worker.shards) {
            shard.push(table);
        }
    }
    shards
}

/// Adds up the tables of one shard, into the largest of them.
fn merge(
    mut tables: Vec<HashTable<Frequency>>,
    hasher: &DefaultHashBuilder,
) -> HashTable<Frequency> {
    tables.sort_by_key(HashTable::len);
    let mut merged = tables.pop().unwrap_or_default();
    for (word, count) in tables.into_iter().flatten() {
        let hash = hasher.hash_one(word.as_slice());
        let entry = merged.entry(hash, |(known, _)| *known == word, rehash(hasher));
        entry.or_insert_with(|| (word, 0)).into_mut().1 += count;
    }
    merged
}

/// The first `limit` in the order of the result.
fn first(words: impl Iterator<Item = Frequency>, limit: usize) -> Vec<Frequency> {
    let mut words: Vec<_> = words.collect();
    let by_rank = |(a, m): &Frequency, (b, n): &Frequency| n.cmp(m).then_with(|| a.cmp(b));
    if words.len() > limit {
        words.select_nth_unstable_by(limit, by_rank);
        words.truncate(limit);
    }
    words.sort_unstable_by(by_rank);
    words
}

/// The hash tables use the lowest and the highest bits, so the shard comes from bits in between.
const fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

fn rehash(hasher: &DefaultHashBuilder) -> impl Fn(&Frequency) -> u64 {
    |(word, _)| hasher.hash_one(word.as_slice())
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::scalar;
    use super::*;

    fn frequencies(workers: &[&[u8]]) -> Vec<Frequencies> {
        let hasher = DefaultHashBuilder::default();
        let count = |text: &&[u8]| {
            let mut frequencies = Frequencies::new(hasher.clone());
            let edges = frequencies.collect(text, Whitespace::Ascii);
            frequencies.finish(edges);
            frequencies
        };
        workers.iter().map(count).collect()
    }

    #[test]
    fn equal_counts_are_ordered_by_the_word() {
        let (top, _) = top(frequencies(&[b"b a c c", b"a b d"]), 3);
        let top: Vec<_> = top.iter().map(|(word, count)| (&**word, *count)).collect();
        assert_eq!(top, [(&b"a"[..], 2), (b"b", 2), (b"c", 2)]);
    }

    #[test]
    fn a_word_that_is_too_long_is_counted_and_not_kept() {
        let longest = [b'x'; LONGEST_WORD];
        let mut frequencies = frequencies(&[&longest]).remove(0);
        let mut long = Fragments::default();
        for _ in 0..1000 {
            let next = frequencies.collect(&longest, Whitespace::Ascii);
            long.join(next, &mut frequencies);
        }
        assert!(matches!(&long, Fragments::Inside(kept) if kept.len() == LONGEST_WORD + 1));
        frequencies.finish(long);
        let ranked = vec![(Word::from_slice(&longest), 1)];
        assert_eq!(top(vec![frequencies], 9), (ranked, 1));
    }

    proptest! {
        #[test]
        fn many_workers_count_what_one_map_counts(
            texts in prop::collection::vec("[a-c \\n]{0,60}", 1..5),
            limit in 0_usize..20,
        ) {
            let mut map: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
            for word in texts.iter().flat_map(|t| scalar::words(t.as_bytes(), Whitespace::Ascii)) {
                *map.entry(word).or_default() += 1;
            }
            let mut expected: Vec<_> = map.into_iter().collect();
            expected.sort_by_key(|(_, count)| Reverse(*count));
            expected.truncate(limit);

            let texts: Vec<_> = texts.iter().map(String::as_bytes).collect();
            let (top, _) = top(frequencies(&texts), limit);
            let top: Vec<_> = top.into_iter().map(|(word, count)| (word.to_vec(), count)).collect();
            prop_assert_eq!(top, expected);
        }
    }
}
