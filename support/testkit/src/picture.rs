//! The data behind the pictures of real runs: what `--timeline` has drawn, read again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::run;

/// A bar of a picture. The times are rounded as in the picture: that keeps their order, so what
/// overlaps here has overlapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Who worked.
    pub lane: String,
    /// On what.
    pub name: String,
    /// When it began, counted from the start of the run.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
    /// How it ended: `done`, `failed`, `cancelled` or `panicked`.
    pub ending: String,
}

/// Runs a program with `--timeline`, and returns the bars that it draws.
///
/// # Panics
///
/// If the program ends otherwise than with `status`, or draws nothing.
pub fn picture(program: &str, args: &[&str], status: i32) -> Vec<Drawn> {
    let args = [args, &["--timeline", "/dev/stdout"]].concat();
    let stdout = run(program, &args).expect_status(status).stdout;
    let (_, svg) = stdout.split_once("<svg ").expect("the picture follows what is printed");
    let titles = svg.lines().filter_map(|line| line.strip_prefix("<g><title>"));
    let bars: Vec<_> = titles.filter_map(|line| drawn(line.split_once("</title>")?.0)).collect();
    assert!(!bars.is_empty(), "no bars in {svg}");
    bars
}

/// The bars by their lanes, each lane in the order of time.
pub fn lanes(bars: &[Drawn]) -> BTreeMap<&str, Vec<&Drawn>> {
    let mut lanes = BTreeMap::<&str, Vec<&Drawn>>::new();
    for bar in bars {
        lanes.entry(&bar.lane).or_default().push(bar);
    }
    for lane in lanes.values_mut() {
        lane.sort_by_key(|bar| (bar.start, bar.end));
    }
    lanes
}

/// The most bars that overlap at one moment.
pub fn most_at_once(bars: &[Drawn]) -> usize {
    let over = |at: Duration| bars.iter().filter(|bar| bar.start <= at && at < bar.end).count();
    bars.iter().map(|bar| over(bar.start)).max().unwrap_or_default()
}

/// `worker 1: job 3, 1.2 ms to 30 ms, done`
fn drawn(title: &str) -> Option<Drawn> {
    let (title, ending) = title.rsplit_once(", ")?;
    let (title, times) = title.rsplit_once(", ")?;
    let (lane, name) = title.rsplit_once(": ")?;
    let (start, end) = times.split_once(" to ")?;
    let [lane, name, ending] = [lane, name, ending].map(str::to_owned);
    Some(Drawn { lane, name, start: time(start)?, end: time(end)?, ending })
}

fn time(text: &str) -> Option<Duration> {
    let (value, unit) = text.split_once(' ').unwrap_or((text, "s"));
    let nanos = match unit {
        "s" => 1e9,
        "ms" => 1e6,
        "µs" => 1e3,
        _ => return None,
    };
    Some(Duration::from_nanos((value.parse::<f64>().ok()? * nanos).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_read_as_it_is_drawn() {
        let bar = drawn("stage 2: square: item, 1.5 ms to 2 s, done").expect("a bar");
        assert_eq!((&*bar.lane, &*bar.name, &*bar.ending), ("stage 2: square", "item", "done"));
        assert_eq!((bar.start, bar.end), (Duration::from_micros(1500), Duration::from_secs(2)));
        assert_eq!(drawn("no bar"), None);
    }

    #[test]
    fn bars_that_only_touch_are_not_at_once() {
        let bar = |start, end| drawn(&format!("a: b, {start} s to {end} s, done")).expect("a bar");
        assert_eq!(most_at_once(&[bar(0, 1), bar(1, 2)]), 1);
        assert_eq!(most_at_once(&[bar(0, 2), bar(1, 2), bar(2, 3)]), 2);
        assert_eq!(most_at_once(&[]), 0);
    }
}
