//! Draws bars as a self-contained SVG, with colours for light and dark and with a description for
//! screen readers. Its text is large enough to be read on a phone.

mod lanes;
mod scale;
mod text;

use std::time::Duration;

use crate::bar::{Bar, Ending, Moment};
use lanes::{Block, Lane, Spot, arrange, gaps, grain};
pub(crate) use lanes::{Numbers, lanes};
use scale::{Scale, time};
use text::{NAME, escape, length, shorten};

/// All lengths are in the units of the picture's `viewBox`.
const WIDTH: f64 = 480.0;
/// How much larger the picture is drawn where there is room for it.
const ENLARGED: f64 = 1.2;
const MARGIN: f64 = 12.0;
const TITLE: f64 = 22.0;
const LANE: f64 = 30.0;
const BAR: f64 = 22.0;
/// The height of a line of text.
const LINE: f64 = 18.0;

const STYLE: &str = "
svg { color: #1f2328; background: #fff; font: 14px system-ui, sans-serif }
text { fill: currentColor }
.title { font-size: 16px }
.axis, .lane { stroke: currentColor; stroke-opacity: .2 }
.lane { stroke-dasharray: 2 4; stroke-opacity: .5 }
.moment { stroke: #8250df; stroke-width: 2; stroke-dasharray: 6 3 }
.halo { paint-order: stroke; stroke: #fff; stroke-width: 5; stroke-linejoin: round }
.done { fill: #9ecbff; stroke: #0a56a8 }
.failed { fill: #fff1c2; stroke: #7a5200; stroke-width: 2 }
.cancelled { fill: url(#hatch); stroke: #57606a; stroke-dasharray: 4 2 }
.panicked { fill: #ffc1ba; stroke: #b3140a; stroke-width: 3 }
.hatch { stroke: #57606a; stroke-opacity: .6 }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; background: #0d1117 }
  .moment { stroke: #c297ff }
  .halo { stroke: #0d1117 }
  .done { fill: #123d6e; stroke: #79b8ff }
  .failed { fill: #3d2f00; stroke: #f0c54a }
  .cancelled { stroke: #8b949e }
  .hatch { stroke: #8b949e }
  .panicked { fill: #67150f; stroke: #ff8f85 }
}
";

/// Most lanes that are drawn, because nobody can read more. The others are counted.
const MOST_LANES: usize = 16;

/// The longest name in front of a lane, in characters: a third of the picture.
const LANE_NAME: usize = 18;

/// Draws the bars in lanes, those that begin first on top, and the moments across them.
pub(crate) fn draw(title: &str, bars: &[Bar], moments: &[Moment]) -> String {
    let ends = bars.iter().map(|bar| bar.end).chain(moments.iter().map(|moment| moment.at));
    let end = ends.max().unwrap_or_default();
    let mut lanes = lanes(bars, end / 100);
    let more = lanes.len().saturating_sub(MOST_LANES);
    let words = describe(&lanes, moments, end);
    lanes.truncate(MOST_LANES);
    for lane in &mut lanes {
        lane.name = shorten(&lane.name, LANE_NAME);
    }
    let names = lanes.iter().map(|lane| length(&lane.name)).fold(0.0, f64::max);
    let scale = Scale::new(end, 2.0 * MARGIN + names, WIDTH - 2.0 * MARGIN);
    let grain = grain(&lanes, &scale);
    let blocks: Vec<_> = lanes.iter().map(|lane| arrange(lane, &scale, grain)).collect();

    let (labels, rows) = moment_labels(moments, &scale);
    let top = TITLE + LINE * rows as f64 + 10.0;
    let bottom = top + LANE * lanes.len() as f64;
    let title = match more {
        0 => title.to_owned(),
        more => format!("{title} (and {more} more lanes)"),
    };
    let legend = legend(&blocks, bottom + 2.0 * LINE + 6.0);
    let mut svg = head(&title, &words, bottom + 2.0 * LINE + 16.0);
    for (at, label) in scale.ticks() {
        let text = at.min(WIDTH - length(&label) / 2.0 - 6.0);
        svg += &format!(
            "<path class=\"axis\" d=\"M{at:.1} {top}V{bottom}\"/>\
             <text x=\"{text:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
            bottom + LINE
        );
    }
    for (row, (lane, blocks)) in lanes.iter().zip(&blocks).enumerate() {
        draw_lane(&mut svg, lane, blocks, top + LANE * row as f64);
    }
    for (moment, label) in moments.iter().zip(labels) {
        draw_moment(&mut svg, moment, label, &scale, top, bottom);
    }
    svg + &legend + "</svg>\n"
}

fn head(title: &str, words: &str, height: f64) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{title}</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <defs><pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\">\
         <path class=\"hatch\" d=\"M0 7 7 0\"/></pattern></defs>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{TITLE}\">{title}</text>\n",
        WIDTH * ENLARGED,
        height * ENLARGED,
        escape(words)
    )
}

/// The picture in words.
fn describe(lanes: &[Lane<'_>], moments: &[Moment], end: Duration) -> String {
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
    for Moment { name, at } in moments {
        words += &format!(" At {}: {}.", time(*at), shorten(name, NAME));
    }
    words
}

fn draw_lane(svg: &mut String, lane: &Lane<'_>, blocks: &[Block], top: f64) {
    let middle = top + LANE / 2.0;
    *svg += &format!("<text x=\"{MARGIN}\" y=\"{}\">{}</text>\n", middle + 5.0, escape(&lane.name));
    for (from, to) in gaps(blocks) {
        *svg += &format!("<path class=\"lane\" d=\"M{from:.1} {middle}H{to:.1}\"/>\n");
    }
    // Bars that did not end normally are drawn on top.
    for ending in Ending::ALL {
        for block in blocks.iter().filter(|block| block.ending == ending) {
            *svg += &draw_block(block, &lane.name, middle);
        }
    }
}

fn draw_block(block: &Block, lane: &str, middle: f64) -> String {
    let Block { name, start, end, x, width, ending, label, spot, .. } = block;
    let class = ending.word();
    let mut svg = format!(
        "<g><title>{}: {}, {} to {}, {class}</title>\
         <rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{BAR}\" \
         rx=\"2\"/>",
        escape(lane),
        escape(name),
        time(*start),
        time(*end),
        middle - BAR / 2.0,
    );
    if !label.is_empty() {
        let halo = *ending == Ending::Canceled || *spot != Spot::Inside;
        let (at, anchor) = match spot {
            Spot::Inside => (x + 5.0, "start"),
            Spot::Right => (x + width + 5.0, "start"),
            Spot::Left => (x - 5.0, "end"),
        };
        svg += &format!(
            "<text{} x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            if halo { " class=\"halo\"" } else { "" },
            middle + 5.0,
            escape(label)
        );
    }
    svg + "</g>\n"
}

/// Where the label of a moment stands: the middle of the text, and its row.
type Label = (f64, usize);

/// A label for each moment, in as many rows as it takes for no two to overlap. Also the number of
/// rows.
fn moment_labels(moments: &[Moment], scale: &Scale) -> (Vec<Label>, usize) {
    let mut rows = Vec::<f64>::new(); // where each row is free from
    let labels = moments.iter().map(|moment| {
        let half = length(&shorten(&moment.name, LANE_NAME)) / 2.0;
        let at = scale.x(moment.at).clamp(MARGIN + half, WIDTH - MARGIN - half);
        let row = rows.iter().position(|free| *free <= at - half).unwrap_or(rows.len());
        rows.resize(rows.len().max(row + 1), 0.0);
        rows[row] = at + half + MARGIN;
        (at, row)
    });
    let labels = labels.collect();
    (labels, rows.len())
}

fn draw_moment(
    svg: &mut String,
    moment: &Moment,
    (at, row): Label,
    scale: &Scale,
    top: f64,
    bottom: f64,
) {
    let (x, y) = (scale.x(moment.at), top - 6.0 - LINE * row as f64);
    *svg += &format!(
        "<g><title>{name}, {}</title><path class=\"moment\" d=\"M{x:.1} {}V{bottom}\"/>\
         <text class=\"halo\" x=\"{at:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text></g>\n",
        time(moment.at),
        y + 2.0,
        escape(&shorten(&moment.name, LANE_NAME)),
        name = escape(&shorten(&moment.name, NAME)),
    );
}

/// What the kinds of bars in this picture mean.
fn legend(blocks: &[Vec<Block>], y: f64) -> String {
    let mut svg = String::new();
    let mut x = MARGIN;
    for ending in Ending::ALL {
        if blocks.iter().flatten().all(|block| block.ending != ending) {
            continue;
        }
        let (class, text) = (ending.word(), format!("{}{}", ending.mark(), ending.word()));
        svg += &format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"14\" height=\"13\" rx=\"2\"/>\
             <text x=\"{}\" y=\"{y}\">{text}</text>\n",
            y - 11.0,
            x + 19.0
        );
        x += 19.0 + length(&text) + MARGIN + 4.0;
    }
    if blocks.iter().any(|blocks| !gaps(blocks).is_empty()) {
        svg += &format!(
            "<path class=\"lane\" d=\"M{x} {}h14\"/><text x=\"{}\" y=\"{y}\">waiting</text>\n",
            y - 5.0,
            x + 19.0
        );
    }
    svg
}

#[cfg(test)]
mod tests;
