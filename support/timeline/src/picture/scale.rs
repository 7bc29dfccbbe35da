use std::time::Duration;

/// The room for a time on the axis: nine characters.
const TICK: f64 = 64.0;

/// Maps the times of a run to places in the picture.
pub(super) struct Scale {
    end: f64,
    left: f64,
    right: f64,
}

impl Scale {
    pub(super) fn new(end: Duration, left: f64, right: f64) -> Self {
        Self { end: end.as_secs_f64().max(1e-9), left, right }
    }

    pub(super) fn x(&self, at: Duration) -> f64 {
        self.left + at.as_secs_f64() / self.end * (self.right - self.left)
    }

    /// Where the run begins.
    pub(super) fn left(&self) -> f64 {
        self.left
    }

    /// Where it ends.
    pub(super) fn right(&self) -> f64 {
        self.right
    }

    /// Round times for the axis, as many as there is room for. A step is used even if the run is up
    /// to 2 % too long for it.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let rough = self.end / ((self.right - self.left) / TICK).floor() / 1.02;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].map(|factor| factor * magnitude);
        let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * magnitude);
        let at = |tick: u32| Duration::from_secs_f64(f64::from(tick) * step);
        let ticks = (0..).map(at).take_while(|at| at.as_secs_f64() <= self.end * 1.000_001);
        ticks.map(|at| (self.x(at), time(at))).collect()
    }
}

/// A time in the unit that suits it.
pub(super) fn time(at: Duration) -> String {
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
