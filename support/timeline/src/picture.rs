//! Draws bars as a self-contained SVG, with colours for light and dark and with a description for
//! screen readers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::bar::Ending;

/// One piece of work. Times are counted from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// The worker, task or stage that did it.
    pub(crate) lane: String,
    /// What was done.
    pub(crate) name: String,
    /// When it began.
    pub(crate) start: Duration,
    /// When it ended.
    pub(crate) end: Duration,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// All lengths are in the units of the picture's `viewBox`.
const WIDTH: f64 = 760.0;
const LABELS: f64 = 130.0;
const MARGIN: f64 = 16.0;
const TOP: f64 = 40.0;
const LANE: f64 = 30.0;
const BAR: f64 = 20.0;
const CHARACTER: f64 = 6.4;

const STYLE: &str = "
svg { color: #1f2328; background: #fff; font: 12px system-ui, sans-serif }
text { fill: currentColor }
.axis, .lane { stroke: currentColor; stroke-opacity: .2 }
.lane { stroke-dasharray: 2 4; stroke-opacity: .5 }
.done { fill: #9ecbff; stroke: #0a56a8 }
.canceled { fill: url(#hatch); stroke: #8a5a00; stroke-dasharray: 4 2 }
.panicked { fill: #ffc1ba; stroke: #b3140a; stroke-width: 2.5 }
.hatch { stroke: #8a5a00 }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; background: #0d1117 }
  .done { fill: #123d6e; stroke: #79b8ff }
  .canceled { stroke: #e3b341 }
  .hatch { stroke: #e3b341 }
  .panicked { fill: #67150f; stroke: #ff8f85 }
}
";

/// Only few pictures have these.
const FAILED_STYLE: &str = "
.failed { fill: #fff1c2; stroke: #7a5200; stroke-dasharray: 1 2 }
@media (prefers-color-scheme: dark) { .failed { fill: #3d2f00; stroke: #f0c54a } }
";

/// Draws the bars in lanes, those that begin first on top.
pub(crate) fn draw(title: &str, bars: &[Bar]) -> String {
    let end = bars.iter().map(|bar| bar.end).max().unwrap_or_default();
    let mut lanes = lanes(bars, end / 100);
    let more = lanes.len().saturating_sub(MOST_LANES);
    let words = describe(&lanes, end);
    lanes.truncate(MOST_LANES);
    let scale = Scale::to(end);
    let bottom = TOP + LANE * lanes.len() as f64;

    let title = match more {
        0 => title.to_owned(),
        more => format!("{title} (and {more} more lanes)"),
    };
    let mut svg = head(&title, &words, &style(bars), bottom + 58.0);
    for (at, label) in scale.ticks() {
        svg += &format!(
            "<path class=\"axis\" d=\"M{at:.1} {TOP}V{bottom}\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
            bottom + 16.0
        );
    }
    let grain = grain(&lanes, &scale);
    for (row, lane) in lanes.iter().enumerate() {
        draw_lane(&mut svg, lane, &scale, grain, TOP + LANE * row as f64);
    }
    svg + &legend(bars, bottom + 44.0) + "</svg>\n"
}

/// Most lanes that are drawn, because nobody can read more. The others are counted.
const MOST_LANES: usize = 16;

/// Most blocks that are drawn: at some 250 bytes each, they take half a megabyte. More are merged.
const MOST_BLOCKS: usize = 2000;

/// The longest name in a tooltip or a description: 60 characters, in units of the `viewBox`. A
/// longer one is cut, so that the size of the picture has a bound.
const NAME: f64 = 60.0 * CHARACTER;

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

fn style(bars: &[Bar]) -> String {
    let fails = bars.iter().any(|bar| bar.ending == Ending::Failed);
    format!("{STYLE}{}", if fails { FAILED_STYLE } else { "" })
}

fn head(title: &str, words: &str, style: &str, height: f64) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{title}</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{style}</style>\n\
         <defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <path class=\"hatch\" d=\"M0 6 6 0\"/></pattern></defs>\n\
         <text x=\"{MARGIN}\" y=\"22\" font-size=\"15\">{title}</text>\n",
        escape(words)
    )
}

/// The picture in words.
fn describe(lanes: &[Lane<'_>], end: Duration) -> String {
    let mut words = format!("{} lanes over {}.", lanes.len(), time(end));
    for Lane { name, bars } in lanes.iter().take(MOST_LANES) {
        let (first, last) = (bars[0].start, bars.iter().map(|bar| bar.end).max().unwrap_or(end));
        let pieces = match bars.len() {
            1 => "1 piece".to_owned(),
            count => format!("{count} pieces"),
        };
        let name = shorten(name, NAME);
        words += &format!(" {name}: {pieces} of work from {} to {}", time(first), time(last));
        for ending in [Ending::Failed, Ending::Canceled, Ending::Panicked] {
            match bars.iter().filter(|bar| bar.ending == ending).count() {
                0 => {}
                count => words += &format!(", {count} {}", ending.word()),
            }
        }
        words.push('.');
    }
    words
}

/// The width below which bars are merged: a pixel, or more if that leaves too many blocks.
fn grain(lanes: &[Lane<'_>], scale: &Scale) -> f64 {
    let blocks = |grain: f64| lanes.iter().map(move |lane| merge(&lane.bars, scale, grain).len());
    let mut grains = (0..).map(|doublings| 2_f64.powi(doublings));
    let few = |grain: &f64| blocks(*grain).sum::<usize>() <= MOST_BLOCKS;
    grains.find(few).expect("all bars of a lane that end alike are one block in the end")
}

fn draw_lane(svg: &mut String, lane: &Lane<'_>, scale: &Scale, grain: f64, top: f64) {
    let middle = top + LANE / 2.0;
    let first = scale.x(lane.bars[0].start);
    let last = lane.bars.iter().map(|bar| scale.x(bar.end)).fold(first, f64::max);
    *svg += &format!(
        "<text x=\"{MARGIN}\" y=\"{}\">{}</text>\
         <path class=\"lane\" d=\"M{first:.1} {middle}H{last:.1}\"/>\n",
        middle + 4.0,
        escape(&shorten(&lane.name, LABELS - MARGIN))
    );
    for block in merge(&lane.bars, scale, grain) {
        *svg += &block.draw(&shorten(&lane.name, NAME), scale, top + (LANE - BAR) / 2.0);
    }
}

/// One bar, or several that are too thin to be told apart.
struct Block {
    bar: Bar,
    count: usize,
}

/// Merges bars thinner than `grain` that have the same outcome and less than `grain` between them.
/// Bars that failed, panicked or were cancelled come last, so that they are drawn on top.
fn merge(bars: &[&Bar], scale: &Scale, grain: f64) -> Vec<Block> {
    let thin = |from: Duration, to: Duration| scale.x(to) - scale.x(from) < grain;
    let mut blocks = Vec::<Block>::new();
    for ending in Ending::ALL {
        for bar in bars.iter().filter(|bar| bar.ending == ending) {
            if let Some(last) = blocks.last_mut()
                && last.bar.ending == ending
                && thin(bar.start, bar.end)
                && thin(last.bar.end.min(bar.start), bar.start)
            {
                last.bar.end = last.bar.end.max(bar.end);
                last.count += 1;
                continue;
            }
            blocks.push(Block { bar: (*bar).clone(), count: 1 });
        }
    }
    blocks
}

impl Block {
    fn draw(&self, lane: &str, scale: &Scale, y: f64) -> String {
        let Self { bar, count } = self;
        let (x, end) = (scale.x(bar.start), scale.x(bar.end));
        let width = (end - x).max(1.0);
        let name = match count {
            1 => shorten(&bar.name, NAME),
            count => format!("{count} pieces"),
        };
        let (class, mark) = (bar.ending.word(), mark(bar.ending));
        let label = shorten(&format!("{mark}{name}"), width - 8.0);
        let text = if label.is_empty() { mark } else { &label };
        format!(
            "<g><title>{}: {}, {} to {}, {class}</title>\
             <rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" \
             rx=\"2\"/><text x=\"{:.1}\" y=\"{}\">{}</text></g>\n",
            escape(lane),
            escape(&name),
            time(bar.start),
            time(bar.end),
            x + 4.0,
            y + 14.0,
            escape(text)
        )
    }
}

/// What the kinds of bars in this picture mean.
fn legend(bars: &[Bar], y: f64) -> String {
    let mut svg = String::new();
    let mut x = LABELS;
    for ending in Ending::ALL {
        if bars.iter().all(|bar| bar.ending != ending) {
            continue;
        }
        let (class, mark) = (ending.word(), mark(ending).trim());
        svg += &format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"16\" height=\"12\" rx=\"2\"/>\
             <text x=\"{}\" y=\"{y}\">{mark} {class}</text>\n",
            y - 10.0,
            x + 22.0
        );
        x += 110.0;
    }
    svg + &format!(
        "<path class=\"lane\" d=\"M{x} {}h16\"/><text x=\"{}\" y=\"{y}\">waiting</text>\n",
        y - 4.0,
        x + 22.0
    )
}

/// Tells the endings apart without colour.
fn mark(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "",
        Ending::Failed => "\u{21bb} ",
        Ending::Canceled => "\u{d7} ",
        Ending::Panicked => "! ",
    }
}

/// From the times of a run to places in the picture.
struct Scale {
    end: f64,
}

impl Scale {
    fn to(end: Duration) -> Self {
        Self { end: end.as_secs_f64().max(1e-9) }
    }

    fn x(&self, at: Duration) -> f64 {
        LABELS + at.as_secs_f64() / self.end * (WIDTH - LABELS - 2.0 * MARGIN)
    }

    /// Round times, five to ten of them.
    fn ticks(&self) -> Vec<(f64, String)> {
        let rough = self.end / 5.0;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [5.0, 2.0, 1.0].map(|factor| factor * magnitude);
        let step = step.into_iter().find(|step| *step <= rough * 1.000_001).unwrap_or(magnitude);
        let at = |tick: u32| Duration::from_secs_f64(f64::from(tick) * step);
        let ticks = (0..).map(at).take_while(|at| at.as_secs_f64() <= self.end * 1.000_001);
        ticks.map(|at| (self.x(at), time(at))).collect()
    }
}

/// A time in the unit that suits it.
fn time(at: Duration) -> String {
    let seconds = at.as_secs_f64();
    let (value, unit) = match seconds {
        0.0 => return "0".to_owned(),
        0.0..0.001 => (seconds * 1e6, "µs"),
        0.001..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let digits = format!("{value:.2}");
    format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// The start of a text, as much as has room.
fn shorten(text: &str, room: f64) -> String {
    let most = (room.max(0.0) / CHARACTER) as usize;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    match most {
        0..3 => String::new(),
        _ => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// Any text as XML, without the characters that XML forbids even when escaped.
fn escape(text: &str) -> String {
    let is_not_xml =
        |it: char| (it.is_control() && it != '\t') || matches!(it, '\u{FFFE}' | '\u{FFFF}');
    let text = text.replace(is_not_xml, "\u{FFFD}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
