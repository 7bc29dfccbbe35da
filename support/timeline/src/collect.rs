//! Collects the bars and the moments of a run: the subscriber of the spans that [`bar`](crate::bar())
//! opens and of the events of [`moment`](crate::moment()).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::bar::{Bar, Ending, Moment, TARGET};

/// Most bars that are kept: at about 100 bytes each, 50 MB for a run of any length. Later ones are
/// counted.
const MOST_BARS: usize = 500_000;

/// Most moments that are kept: more lines cannot be told apart. Later ones are not drawn.
const MOST_MOMENTS: usize = 16;

/// What a run has done.
pub(crate) struct Collected {
    /// Work that was still under way is cut off at the end.
    pub(crate) bars: Vec<Bar>,
    pub(crate) moments: Vec<Moment>,
    /// The number of bars that were not kept.
    pub(crate) missed: u64,
}

/// A handle to the bars so far.
#[derive(Clone)]
pub(crate) struct Collector {
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    bars: Arc<Mutex<Bars>>,
}

#[derive(Default)]
struct Bars {
    /// The number of spans so far. Those from `MOST_BARS` on are not kept.
    count: u64,
    open: BTreeMap<u64, Bar>,
    closed: Vec<Bar>,
    moments: Vec<Moment>,
}

impl Collector {
    pub(crate) fn new(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { elapsed: Arc::new(elapsed), bars: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Bars> {
        self.bars.lock().expect("nobody panics while holding the lock")
    }

    /// All so far.
    pub(crate) fn end(&self) -> Collected {
        let (now, bars) = ((self.elapsed)(), self.lock());
        let open = bars.open.values().cloned();
        let cut_off = open.map(|bar| Bar { end: now, ending: Ending::Canceled, ..bar });
        let kept: Vec<_> = bars.closed.iter().cloned().chain(cut_off).collect();
        let missed = bars.count - kept.len() as u64;
        Collected { bars: kept, moments: bars.moments.clone(), missed }
    }
}

/// A bar's span has one handle, is never entered, and stands alone.
impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let start = (self.elapsed)();
        let (lane, name, ending) = (String::new(), String::new(), Ending::Done);
        let mut bar = Bar { lane, name, start, end: start, ending };
        attributes.record(&mut bar);
        let mut bars = self.lock();
        bars.count += 1;
        let id = bars.count;
        if id <= MOST_BARS as u64 {
            bars.open.insert(id, bar);
        }
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        if let Some(bar) = self.lock().open.get_mut(&id.into_u64()) {
            values.record(bar);
        }
    }

    fn try_close(&self, id: Id) -> bool {
        let end = (self.elapsed)();
        let mut bars = self.lock();
        if let Some(bar) = bars.open.remove(&id.into_u64()) {
            bars.closed.push(Bar { end, ..bar });
        }
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut moment = Moment { name: String::new(), at: (self.elapsed)() };
        event.record(&mut moment);
        let mut bars = self.lock();
        if bars.moments.len() < MOST_MOMENTS {
            bars.moments.push(moment);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Moment {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        write!(self.name, "{value:?}").expect("a string takes everything");
    }
}

impl Visit for Bar {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "ending" {
            let ending = Ending::ALL.into_iter().find(|ending| ending.word() == value);
            self.ending = ending.unwrap_or(Ending::Done);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "lane" => &mut self.lane,
            "name" => &mut self.name,
            _ => return,
        };
        write!(text, "{value:?}").expect("a string takes everything");
    }
}
