use std::path::PathBuf;

use super::attempt::Limits;
use super::output::Store;
use super::policy::Settings;

/// What a client goes by. [`Default`] learns every host's rate and stores nothing.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// When a request may go, and whether it is tried again.
    pub policy: Settings,
    /// What one attempt may take.
    pub limits: Limits,
    /// Where bodies are stored; without it they are counted and dropped.
    pub output: Option<PathBuf>,
    /// Whether all hosts share one limit, as behind one gateway.
    pub one_limit: bool,
}

/// What a client and its runs share.
pub(super) struct Shared<T> {
    pub(super) transport: T,
    pub(super) config: Config,
    pub(super) store: Option<Store>,
}
