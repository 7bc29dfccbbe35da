use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{self, Handle};
use tokio::task::{Id, JoinError, JoinSet};

/// Tasks that remember what they are called and where they were spawned, so that a leak has a
/// name. Dropping the set cancels them.
#[derive(Debug, Default)]
#[must_use = "dropping the set cancels its tasks"]
pub struct NamedTasks {
    tasks: JoinSet<()>,
    spawned: HashMap<Id, Spawned>,
}

/// What was recorded as a task was spawned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spawned {
    /// The name given to it.
    pub name: String,
    /// The line of code that spawned it.
    pub at: &'static Location<'static>,
}

impl NamedTasks {
    /// Spawns a task under a name, which need not be unique. What has ended is forgotten in
    /// [`alive`](Self::alive) and [`clean_up`](Self::clean_up): call one of them now and then.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let spawned = Spawned { name: name.into(), at: Location::caller() };
        let alive = Alive::new(spawned.clone());
        let task = self.tasks.spawn(async move {
            let _alive = alive;
            task.await;
        });
        self.spawned.insert(task.id(), spawned);
    }

    /// Those that have not ended, in no particular order.
    ///
    /// # Panics
    ///
    /// If one of them has panicked: with its panic.
    pub fn alive(&mut self) -> Vec<&Spawned> {
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            self.forget(joined);
        }
        self.spawned.values().collect()
    }

    /// Cancels the tasks that still run, waits until they have ended, and returns their names.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the tasks cancelled; those already gone are not reported again.
    ///
    /// # Panics
    ///
    /// If one of them has panicked: with its panic.
    pub async fn clean_up(&mut self) -> Vec<Spawned> {
        self.tasks.abort_all();
        let mut leaked = Vec::new();
        while let Some(joined) = self.tasks.join_next_with_id().await {
            leaked.extend(self.forget(joined));
        }
        leaked
    }

    /// Removes the record of a joined task; returns it if the task was cancelled.
    fn forget(&mut self, joined: Result<(Id, ()), JoinError>) -> Option<Spawned> {
        match joined {
            Ok((id, ())) => {
                self.spawned.remove(&id);
                None
            }
            Err(err) => {
                let spawned = self.spawned.remove(&err.id());
                err.try_into_panic().map_or(spawned, |panic| resume_unwind(panic))
            }
        }
    }
}

/// The named tasks of the process that have not ended, in the order of their numbers. A static,
/// because the check for what a test has left behind holds none of the sets.
static ALIVE: Mutex<Named> = Mutex::new(Named { last: 0, alive: BTreeMap::new() });

struct Named {
    last: u64,
    alive: BTreeMap<u64, (runtime::Id, Spawned)>,
}

/// A named task that has not ended.
struct Alive(u64);

impl Alive {
    fn new(spawned: Spawned) -> Self {
        let runtime = Handle::current().id();
        Self(with_named(|named| {
            named.last += 1;
            named.alive.insert(named.last, (runtime, spawned));
            named.last
        }))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        drop(with_named(|named| named.alive.remove(&self.0)));
    }
}

/// The number of the named task that was spawned last.
pub(crate) fn last_named() -> u64 {
    with_named(|named| named.last)
}

/// This runtime's named tasks that have a number above `after`, and have not ended.
pub(crate) fn named_since(after: u64) -> Vec<Spawned> {
    let runtime = Handle::current().id();
    with_named(|named| {
        let newer = named.alive.range(after + 1..).map(|(_, task)| task);
        newer.filter(|task| task.0 == runtime).map(|task| task.1.clone()).collect()
    })
}

fn with_named<T>(look: impl FnOnce(&mut Named) -> T) -> T {
    look(&mut ALIVE.lock().unwrap_or_else(PoisonError::into_inner))
}

impl fmt::Display for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, spawned at {}:{}", self.name, self.at.file(), self.at.line())
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;
    use crate::leak_check;

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_leak_is_found_by_its_name_and_cleaned_up() {
        let name = format!("task-{}", rand::random::<u64>());
        let mut tasks = NamedTasks::default();
        tasks.spawn("ends by itself", async {});
        tasks.spawn(&name, pending());
        let line = line!() - 1;
        tokio::task::yield_now().await;

        let alive: Vec<_> = tasks.alive().into_iter().cloned().collect();
        assert_eq!(alive.len(), 1);
        assert_eq!((&alive[0].name, alive[0].at.line()), (&name, line));
        assert_eq!(alive[0].to_string(), format!("{name}, spawned at {}:{line}", file!()));
        assert_eq!(tasks.clean_up().await, alive);
        assert!(tasks.alive().is_empty() && tasks.clean_up().await.is_empty());
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn cleaning_up_waits_until_the_tasks_are_gone() {
        let (held, gone) = oneshot::channel::<()>();
        let mut tasks = NamedTasks::default();
        tasks.spawn("holder", async move {
            let _held = held;
            pending::<()>().await;
        });
        assert_eq!(tasks.clean_up().await.len(), 1);
        assert!(gone.await.is_err(), "what the task held has been dropped");
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn dropping_the_set_cancels_its_tasks() {
        NamedTasks::default().spawn("dropped", pending());
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "lost no more")]
    async fn a_panic_surfaces() {
        let mut tasks = NamedTasks::default();
        tasks.spawn("panics", async { panic!("lost no more") });
        tokio::task::yield_now().await;
        tasks.clean_up().await;
    }
}
