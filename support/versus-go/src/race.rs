use std::error::Error;

use crate::child::this_program;
use crate::go::Go;
use crate::row::{Row, Run};

/// The medians of the runs of one side.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Of the times, in seconds.
    pub seconds: f64,
    /// Of the peaks of memory, in bytes.
    pub memory: f64,
}

/// The result of one row.
#[derive(Clone, Debug)]
pub struct Line {
    /// The row.
    pub row: &'static Row,
    /// Our side.
    pub ours: Figures,
    /// Go's, in the order of the row's names: the same contract, then its own best trick. Empty
    /// without Go.
    pub go: Vec<Against>,
}

/// One of Go's ways, and how we compare.
#[derive(Clone, Copy, Debug)]
pub struct Against {
    /// Go's medians.
    pub figures: Figures,
    /// Our time as a ratio of Go's: the median over the pairs of runs.
    pub time: f64,
    /// The same of the peaks of memory.
    pub memory: f64,
}

impl Line {
    /// How we compare with Go's own trick; `None` where that is no faster than plain Go.
    pub fn to_best(&self) -> Option<f64> {
        let (plain, best) = (self.go.first()?, self.go.get(1)?);
        (best.figures.seconds < plain.figures.seconds).then_some(best.time)
    }
}

/// Runs all sides of a row in turns, `pairs` times each, and takes the medians. The sides take
/// turns at going first.
///
/// # Errors
///
/// If a side fails, or if its check value differs: then its time does not count.
pub fn race(
    row: &'static Row,
    go: Option<&Go>,
    items: u64,
    pairs: usize,
) -> Result<Line, Box<dyn Error + Send + Sync>> {
    let ways = go.map_or(0, |_| row.go.len());
    let mut ours = Vec::with_capacity(pairs);
    let mut theirs = vec![Vec::with_capacity(pairs); ways];
    for pair in 0..pairs {
        let ours_first = pair % 2 == 0;
        if ours_first {
            ours.push(this_program(row, items)?);
        }
        for (way, runs) in theirs.iter_mut().enumerate() {
            let go = go.expect("there are ways only with Go");
            runs.push(go.run(row, row.go[way], items)?);
        }
        if !ours_first {
            ours.push(this_program(row, items)?);
        }
    }
    for run in ours.iter().chain(theirs.iter().flatten()) {
        if run.check != ours[0].check {
            return Err(format!("{}: {} is not {}", row.name, run.check, ours[0].check).into());
        }
    }
    let go = theirs.iter().map(|theirs| against(&ours, theirs)).collect();
    Ok(Line { row, ours: medians(&ours), go })
}

fn against(ours: &[Run], theirs: &[Run]) -> Against {
    let ratios = |of: fn(&Run) -> f64| {
        let pairs = ours.iter().zip(theirs);
        median(pairs.map(|(ours, theirs)| of(ours) / of(theirs)).collect())
    };
    Against {
        figures: medians(theirs),
        time: ratios(|run| run.seconds),
        memory: ratios(|run| run.memory as f64),
    }
}

fn medians(runs: &[Run]) -> Figures {
    Figures {
        seconds: median(runs.iter().map(|run| run.seconds).collect()),
        memory: median(runs.iter().map(|run| run.memory as f64).collect()),
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn gos_trick_is_compared_only_where_it_is_faster() {
        let figures = |seconds| Figures { seconds, memory: 0.0 };
        let way = |seconds| Against { figures: figures(seconds), time: 1.0 / seconds, memory: 1.0 };
        let row = &crate::rows::ROWS[0];
        let line = |go: Vec<Against>| Line { row, ours: figures(1.0), go }.to_best();
        assert_eq!(line(vec![way(2.0), way(4.0)]), None);
        assert_eq!(line(vec![way(4.0), way(2.0)]), Some(0.5));
        assert_eq!(line(vec![way(4.0)]), None);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let run = |seconds| Run { seconds, memory: 1000, check: 0 };
        // A machine that slows down: the ratio is a half in every pair.
        let ours = [run(1.0), run(2.0), run(4.0)];
        let theirs = [run(2.0), run(4.0), run(8.0)];
        let against = against(&ours, &theirs);
        assert!((against.time - 0.5).abs() < 1e-9 && (against.memory - 1.0).abs() < 1e-9);
    }
}
