use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::HeaderName;

use super::output::{Naming, Store};
use crate::policy::Settings;

/// The settings of a client. [`Default`] learns every host's rate and stores nothing.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// When a request may go, and whether it is tried again.
    pub policy: Settings,
    /// What one attempt may take.
    pub limits: Limits,
    /// Where bodies are stored; without it they are counted and dropped.
    pub output: Option<PathBuf>,
    /// What their files are called.
    pub naming: Naming,
    /// Whether the body of a failed request is stored too, as `NAME.error`.
    pub keep_failed: bool,
    /// Which headers of the answer are kept in the outcome.
    pub keep_headers: KeepHeaders,
    /// Whether all hosts share one limit, as behind one gateway.
    pub one_limit: bool,
}

/// Headers of an answer that are kept in its outcome.
#[derive(Clone, Debug)]
pub enum KeepHeaders {
    /// Those with these names.
    Named(Vec<HeaderName>),
    /// All of them.
    All,
}

impl Default for KeepHeaders {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// What one attempt may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest time to make a connection.
    pub connect: Duration,
    /// The longest silence, until the head of a response and between pieces of its body.
    pub stall: Duration,
    /// The longest time for the whole attempt, if it is bounded.
    pub max_time: Option<Duration>,
    /// The longest body, in bytes.
    pub max_body: u64,
    /// How many redirects are followed; with `None` a redirect is the answer that was asked for.
    pub max_redirects: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            max_time: None,
            max_body: u64::MAX,
            max_redirects: Some(10),
        }
    }
}

/// What a client and its runs share.
pub(super) struct Shared<T> {
    pub(super) transport: T,
    pub(super) config: Config,
    pub(super) store: Option<Store>,
    /// Bytes of bodies that have come in, those in flight included.
    pub(super) received: AtomicU64,
}
