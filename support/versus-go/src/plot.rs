use crate::race::Line;

const WIDTH: f64 = 480.0;
/// Room at both sides for a label of the scale.
const MARGIN: f64 = 16.0;
const TOP: f64 = 64.0;
/// A line of text, and below it the marks.
const ROW: f64 = 38.0;
/// The ratios at the two ends of the logarithmic scale.
const ENDS: (f64, f64) = (0.005, 5.0);

const STYLE: &str = "
svg { color: #1f2328; background: #fff; font: 14px system-ui, sans-serif }
text { fill: currentColor; stroke: #fff; stroke-width: 4; paint-order: stroke }
.grid { stroke: currentColor; stroke-opacity: .2 }
.par { stroke: currentColor; stroke-opacity: .8 }
.time { fill: #0a56a8 }
.memory { fill: none; stroke: #0a7a4b; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; background: #0d1117 }
  text { stroke: #0d1117 } .time { fill: #79b8ff } .memory { stroke: #6fdba8 }
}
";

/// The ratios as a picture: a row for each workload, on a logarithmic scale. A dot is the time, a
/// diamond the peak of memory.
pub fn plot(lines: &[Line]) -> String {
    let lines: Vec<_> = lines.iter().filter(|line| !line.go.is_empty()).collect();
    let bottom = TOP + ROW * lines.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">Ours to Go</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"17\">Ours to Go: 1 is as much, left of it is less</text>\n\
         <text x=\"{MARGIN}\" y=\"48\">● time   ◇ peak memory</text>\n",
        describe(&lines),
        height = bottom + 30.0
    );
    for tick in [0.01, 0.1, 1.0] {
        let (x, class) = (place(tick), if tick < 1.0 { "grid" } else { "par" });
        svg += &format!(
            "<path class=\"{class}\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>\n",
            bottom + 18.0
        );
    }
    for (row, line) in lines.iter().enumerate() {
        svg += &draw(line, TOP + ROW * row as f64);
    }
    svg + "</svg>\n"
}

fn draw(line: &Line, top: f64) -> String {
    let (what, go, y) = (line.row.what, line.go[0], top + 28.0);
    format!(
        "<g><title>{what}: time {:.3}, memory {:.2}</title><text x=\"{MARGIN}\" y=\"{}\">{what}</text>\
         <path class=\"memory\" d=\"M{:.1} {}l5 5-5 5-5-5z\"/>\
         <circle class=\"time\" cx=\"{:.1}\" cy=\"{y}\" r=\"5\"/></g>\n",
        go.time,
        go.memory,
        top + 16.0,
        place(go.memory),
        y - 5.0,
        place(go.time),
    )
}

fn describe(lines: &[&Line]) -> String {
    let rows = lines.iter().map(|line| format!("{}: {:.3}.", line.row.what, line.go[0].time));
    format!("Our time as a ratio of Go's. {}", rows.collect::<Vec<_>>().join(" "))
}

/// Where a ratio stands; those beyond the scale stand at its end.
fn place(ratio: f64) -> f64 {
    let (low, high) = (ENDS.0.ln(), ENDS.1.ln());
    let along = ((ratio.max(1e-9).ln() - low) / (high - low)).clamp(0.0, 1.0);
    MARGIN + along * (WIDTH - 2.0 * MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_logarithmic_and_stay_inside() {
        let step = place(0.1) - place(0.01);
        assert!((place(1.0) - place(0.1) - step).abs() < 1e-9);
        assert!((place(0.0) - MARGIN).abs() < 1e-9);
        assert!((place(1e9) - (WIDTH - MARGIN)).abs() < 1e-9);
    }
}
