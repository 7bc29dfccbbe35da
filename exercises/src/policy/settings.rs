use std::time::Duration;

/// A ceiling for the rate of a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests per second.
    pub per_second: f64,
    /// Most requests that may go at once after a pause.
    pub burst: u32,
}

/// The settings of the scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many requests may be in flight at once.
    pub concurrency: usize,
    /// The ceiling for each host; without one the rate is learned from the beginning.
    pub rate: Option<Rate>,
    /// Whether to learn from the beginning even under a ceiling, and from every 503.
    pub adaptive: bool,
    /// Whether the whole host pauses even if it asks for no more than a second.
    pub polite: bool,
    /// How often a request that failed by itself is tried again.
    pub retries: u32,
    /// The first backoff is at most this long, and twice as long with every further try...
    pub backoff: Duration,
    /// ... up to this.
    pub max_backoff: Duration,
    /// A host that asks for a longer wait than this is left alone: its requests end at once.
    pub max_retry_after: Duration,
    /// Retries a second as a share of the requests; one a second is always allowed, and ten at once.
    pub retry_budget: f64,
    /// Whether requests that are not idempotent are tried again too.
    pub retry_unsafe: bool,
    /// How long a host may be ill, or reject everything, before its requests end.
    pub patience: Duration,
    /// A host that has never answered gets no more patience than this.
    pub first_patience: Duration,
    /// The seed of the jitter: the same seed makes a run repeatable.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 50,
            rate: None,
            adaptive: false,
            polite: false,
            retries: 8,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            max_retry_after: Duration::from_mins(15),
            retry_budget: 0.5,
            retry_unsafe: false,
            patience: Duration::from_mins(5),
            first_patience: Duration::from_secs(30),
            seed: 0,
        }
    }
}
