use crate::race::Line;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 56.0;
const ROW: f64 = 24.0;
/// The ratios at the two ends of the logarithmic scale.
const ENDS: (f64, f64) = (0.005, 5.0);

const STYLE: &str = "
svg { color: #1f2328; background: #fff; font: 12px system-ui, sans-serif }
text { fill: currentColor }
.grid { stroke: currentColor; stroke-opacity: .2 }
.par { stroke: currentColor; stroke-opacity: .8 }
.goal { stroke: #8a5a00; stroke-width: 3 }
.time { fill: #0a56a8 }
.memory { fill: none; stroke: #0a7a4b; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; background: #0d1117 }
  .goal { stroke: #e3b341 } .time { fill: #79b8ff } .memory { stroke: #6fdba8 }
}
";

/// The ratios as a picture: a row for each workload, on a logarithmic scale. A dot is the time, a
/// diamond the peak of memory where it has a goal, a bar the goal for the time.
pub fn plot(lines: &[Line]) -> String {
    let lines: Vec<_> = lines.iter().filter(|line| !line.go.is_empty()).collect();
    let bottom = TOP + ROW * lines.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">Ours to Go</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <text x=\"16\" y=\"22\" font-size=\"15\">Ours to Go: less is faster, and 1 is par</text>\n\
         <text x=\"16\" y=\"42\">● time   ▮ its goal   ◇ peak memory, where it has a goal</text>\n",
        describe(&lines),
        height = bottom + 30.0
    );
    for tick in [0.01, 0.1, 1.0] {
        let (x, class) = (place(tick), if tick < 1.0 { "grid" } else { "par" });
        svg += &format!(
            "<path class=\"{class}\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>\n",
            bottom + 16.0
        );
    }
    for (row, line) in lines.iter().enumerate() {
        svg += &draw(line, TOP + ROW * (row as f64 + 0.5));
    }
    svg + "</svg>\n"
}

fn draw(line: &Line, y: f64) -> String {
    let go = line.go[0];
    let mut svg = format!(
        "<g><title>{0}: time {1:.3}</title><text x=\"16\" y=\"{2}\">{0}</text>",
        line.row.what,
        go.time,
        y + 4.0
    );
    let goal = line.row.goal;
    svg += &format!("<path class=\"goal\" d=\"M{:.1} {}v14\"/>", place(goal.time), y - 7.0);
    svg += &format!("<circle class=\"time\" cx=\"{:.1}\" cy=\"{y}\" r=\"5\"/>", place(go.time));
    if goal.memory.is_some() {
        let x = place(go.memory);
        svg += &format!("<path class=\"memory\" d=\"M{x:.1} {}l5 5-5 5-5-5z\"/>", y - 5.0);
    }
    svg + "</g>\n"
}

fn describe(lines: &[&Line]) -> String {
    let rows = lines.iter().map(|line| format!("{}: {:.3}.", line.row.what, line.go[0].time));
    format!("Our time as a ratio of Go's. {}", rows.collect::<Vec<_>>().join(" "))
}

/// Where a ratio stands; those beyond the scale stand at its end.
fn place(ratio: f64) -> f64 {
    let (low, high) = (ENDS.0.ln(), ENDS.1.ln());
    let along = ((ratio.max(1e-9).ln() - low) / (high - low)).clamp(0.0, 1.0);
    LEFT + along * (WIDTH - LEFT - RIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_logarithmic_and_stay_inside() {
        let step = place(0.1) - place(0.01);
        assert!((place(1.0) - place(0.1) - step).abs() < 1e-9);
        assert!((place(0.0) - LEFT).abs() < 1e-9);
        assert!((place(1e9) - (WIDTH - RIGHT)).abs() < 1e-9);
    }
}
