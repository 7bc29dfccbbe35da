//! Which bar is drawn where: its lane, the block that it is part of, and the place of its label.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::scale::Scale;
use super::text::{NAME, length, shorten};
use crate::bar::{Bar, Ending};

/// Most blocks that are drawn: at some 250 bytes each, they take half a megabyte. More are merged.
const MOST_BLOCKS: usize = 2000;

/// The smallest width of a block, so that it is visible.
const LEAST: f64 = 2.0;

/// The smallest width of a block that did not end normally, so that it stands out.
const LEAST_MARKED: f64 = 6.0;

/// The room on each side of a label.
const ROOM: f64 = 5.0;

/// The room after a label to the right of its block, so that it is clear which block it belongs to.
const APART: f64 = 30.0;

/// A worker's bars, in the order in which they began; at least one.
pub(crate) struct Lane<'bars> {
    pub(crate) name: String,
    pub(crate) bars: Vec<&'bars Bar>,
}

/// Lanes that begin within `together` of each other stand in the order of their names.
pub(crate) fn lanes(bars: &[Bar], together: Duration) -> Vec<Lane<'_>> {
    let mut by_name = BTreeMap::<String, Vec<&Bar>>::new();
    let mut numbers = BTreeMap::<&str, Numbers>::new();
    let mut bars: Vec<_> = bars.iter().collect();
    bars.sort_by_key(|bar| (bar.start, bar.end));
    for bar in bars {
        let mut name = bar.lane.clone();
        if name.contains('#') {
            let number = numbers.entry(&bar.lane).or_default().take(bar);
            name = name.replace('#', &number.to_string());
        }
        by_name.entry(name).or_default().push(bar);
    }
    let mut lanes: Vec<_> = by_name.into_iter().map(|(name, bars)| Lane { name, bars }).collect();
    let unit = together.as_nanos().max(1);
    lanes.sort_by_cached_key(|lane| {
        let (before, number) = first_number(&lane.name);
        (lane.bars[0].start.as_nanos() / unit, before.to_owned(), number)
    });
    lanes
}

/// The part of a name before its first number, and that number, so that 2 comes before 10.
fn first_number(name: &str) -> (&str, Option<u64>) {
    let start = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (before, rest) = name.split_at(start);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (before, rest[..end].parse().ok())
}

/// A `#` in the name of a lane stands for the first number whose lane is free: the lanes then show
/// how many work at once, though not who.
#[derive(Default)]
pub(crate) struct Numbers {
    free: BinaryHeap<Reverse<usize>>,
    taken: BinaryHeap<Reverse<(Duration, usize)>>,
}

impl Numbers {
    /// The number for a bar that begins no earlier than those before it.
    pub(crate) fn take(&mut self, bar: &Bar) -> usize {
        while let Some(&Reverse((end, number))) = self.taken.peek()
            && end <= bar.start
        {
            self.taken.pop();
            self.free.push(Reverse(number));
        }
        let next = self.taken.len() + 1; // if none is free, all before it are taken
        let number = self.free.pop().map_or(next, |Reverse(number)| number);
        self.taken.push(Reverse((bar.end, number)));
        number
    }
}

/// One bar, or several that are too thin to be told apart.
pub(super) struct Block {
    pub(super) name: String,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) ending: Ending,
    pub(super) count: usize,
    pub(super) x: f64,
    pub(super) width: f64,
    /// The label, if there is room for one.
    pub(super) label: String,
    pub(super) spot: Spot,
}

/// Where a label stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Inside,
    Right,
    Left,
}

/// The blocks of a lane in the order of time, with their labels.
pub(super) fn arrange(lane: &Lane<'_>, scale: &Scale, grain: f64) -> Vec<Block> {
    let mut blocks = merge(&lane.bars, scale, grain);
    blocks.sort_by_key(|block| (block.start, block.end));
    let mut free = scale.left(); // where the lane is free from
    for at in 0..blocks.len() {
        let next = blocks.get(at + 1).map_or(scale.right() + 2.0 * ROOM, |next| next.x);
        let block = &mut blocks[at];
        (block.label, block.spot) = label(block, block.x - free, next - block.x - block.width);
        let label = if block.spot == Spot::Right { length(&block.label) + APART } else { 0.0 };
        free = free.max(block.x + block.width + label);
    }
    blocks
}

/// The longest label that has room inside the block, or else to its right or its left. A name such
/// as `job 7` may be shortened to its number.
fn label(block: &Block, left: f64, right: f64) -> (String, Spot) {
    let mark = block.ending.mark();
    let number = block.name.split_once(' ').filter(|(word, number)| {
        word.chars().all(char::is_alphabetic) && number.parse::<u64>().is_ok()
    });
    let short = number.map(|(_, number)| format!("{mark}{number}"));
    let alone = (!mark.is_empty()).then(|| mark.trim().to_owned());
    let texts = [Some(format!("{mark}{}", block.name)), short, alone];
    for text in texts.into_iter().flatten() {
        let needs = length(&text) + ROOM;
        let spots = [(block.width, Spot::Inside), (right, Spot::Right), (left, Spot::Left)];
        if let Some((_, spot)) = spots.into_iter().find(|(room, _)| needs + ROOM <= *room) {
            return (text, spot);
        }
    }
    (String::new(), Spot::Inside)
}

/// The waits of a lane: the gaps between its first and its last block.
pub(super) fn gaps(blocks: &[Block]) -> Vec<(f64, f64)> {
    let mut gaps = Vec::new();
    let mut busy = blocks.first().map_or(0.0, |block| block.x);
    for block in blocks {
        if block.x - busy > LEAST {
            gaps.push((busy, block.x));
        }
        busy = busy.max(block.x + block.width);
    }
    gaps
}

/// The width below which bars are merged: a pixel, or more if that leaves too many blocks.
pub(super) fn grain(lanes: &[Lane<'_>], scale: &Scale) -> f64 {
    let blocks = |grain: f64| lanes.iter().map(move |lane| merge(&lane.bars, scale, grain).len());
    let mut grains = (0..).map(|doublings| 2_f64.powi(doublings));
    let few = |grain: &f64| blocks(*grain).sum::<usize>() <= MOST_BLOCKS;
    grains.find(few).expect("all bars of a lane that end alike are one block in the end")
}

/// Merges bars thinner than `grain` that have the same outcome and less than `grain` between them.
pub(super) fn merge(bars: &[&Bar], scale: &Scale, grain: f64) -> Vec<Block> {
    let thin = |from: Duration, to: Duration| scale.x(to) - scale.x(from) < grain;
    let mut blocks = Vec::<Block>::new();
    for ending in Ending::ALL {
        for bar in bars.iter().filter(|bar| bar.ending == ending) {
            if let Some(last) = blocks.last_mut()
                && last.ending == ending
                && (last.count > 1 || thin(last.start, last.end))
                && thin(bar.start, bar.end)
                && thin(last.end.min(bar.start), bar.start)
            {
                last.end = last.end.max(bar.end);
                last.count += 1;
                last.name = format!("{} pieces", last.count);
                continue;
            }
            blocks.push(Block::of(bar));
        }
    }
    for block in &mut blocks {
        block.place(scale);
    }
    blocks
}

impl Block {
    fn of(bar: &Bar) -> Self {
        Self {
            name: shorten(&bar.name, NAME),
            start: bar.start,
            end: bar.end,
            ending: bar.ending,
            count: 1,
            x: 0.0,
            width: 0.0,
            label: String::new(),
            spot: Spot::Inside,
        }
    }

    /// A block that is widened at the end of the picture begins earlier.
    fn place(&mut self, scale: &Scale) {
        let least = if self.ending == Ending::Done { LEAST } else { LEAST_MARKED };
        self.width = (scale.x(self.end) - scale.x(self.start)).max(least);
        self.x = scale.x(self.start).min(scale.right() - self.width);
    }
}
