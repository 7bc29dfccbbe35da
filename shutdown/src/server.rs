use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use common::{Context, panic_message};
use tokio::task::{Id, JoinError, JoinSet};

/// A group of workers that are stopped together.
///
/// Dropping it cuts its workers off where they wait; [`shutdown`](Server::shutdown) asks them to
/// stop.
#[derive(Debug)]
#[must_use = "dropping a server cuts its workers off"]
pub struct Server {
    ctx: Context,
    workers: JoinSet<()>,
    names: HashMap<Id, String>,
    panicked: BTreeMap<String, String>,
}

/// A shutdown that was not graceful: the names of the workers that were late or had panicked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unclean {
    /// Those that were still running when the deadline passed. They have been cut off.
    pub late: BTreeSet<String>,
    /// Those that panicked, before or during the shutdown, each with its message.
    pub panicked: BTreeMap<String, String>,
}

impl Server {
    /// A server without workers. They see the values of `ctx`, and are told to stop when it ends.
    pub fn new(ctx: &Context) -> Self {
        Self {
            ctx: ctx.with_cancel(),
            workers: JoinSet::new(),
            names: HashMap::new(),
            panicked: BTreeMap::new(),
        }
    }

    /// Starts a worker. The context that it is given ends when the server is shut down.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn start<F>(&mut self, name: impl Into<String>, worker: impl FnOnce(Context) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = self.workers.spawn(worker(self.ctx.clone())).id();
        self.names.insert(id, name.into());
    }

    /// Waits for a worker to panic, and returns its name. A server should not run on without it:
    /// wait for this beside the signal.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: [`shutdown`](Server::shutdown) reports the panic too.
    pub async fn panicked(&mut self) -> String {
        while let Some(joined) = self.workers.join_next_with_id().await {
            if let Some(name) = self.forget(joined) {
                return name;
            }
        }
        std::future::pending().await // all workers have ended well, so none will panic
    }

    /// Tells the workers to stop, and waits until they have, for `deadline` at the longest. Then it
    /// aborts the workers that are left.
    ///
    /// # Errors
    ///
    /// If a worker was late or has panicked: which ones.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts off the workers that are left.
    pub async fn shutdown(mut self, deadline: Duration) -> Result<(), Unclean> {
        self.ctx.cancel();
        let all_stopped = async {
            while let Some(joined) = self.workers.join_next_with_id().await {
                self.forget(joined);
            }
        };
        // The deadline is not an error of its own: the names that are left are the late workers.
        let _ = tokio::time::timeout(deadline, all_stopped).await;
        let late = self.names.into_values().collect();
        let unclean = Unclean { late, panicked: self.panicked };
        if unclean == Unclean::default() { Ok(()) } else { Err(unclean) }
    }

    /// Removes the record of a worker that has ended, and returns its name if it panicked.
    fn forget(&mut self, joined: Result<(Id, ()), JoinError>) -> Option<String> {
        let id = joined.as_ref().map_or_else(JoinError::id, |&(id, ())| id);
        let name = self.names.remove(&id)?;
        let panic = joined.err()?.try_into_panic().ok()?;
        self.panicked.insert(name.clone(), panic_message(panic));
        Some(name)
    }
}

impl fmt::Display for Unclean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late: Vec<_> = self.late.iter().map(String::as_str).collect();
        let panicked = self.panicked.iter().map(|(name, message)| format!("{name} ({message})"));
        let (late, panicked) = (late.join(", "), panicked.collect::<Vec<_>>().join(", "));
        match (late.is_empty(), panicked.is_empty()) {
            (_, true) => write!(f, "late: {late}"),
            (true, _) => write!(f, "panicked: {panicked}"),
            _ => write!(f, "late: {late}; panicked: {panicked}"),
        }
    }
}

impl Error for Unclean {}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::panic::panic_any;

    use common::Cause;
    use leaks::leak_check;
    use tokio::time::{Instant, sleep};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    async fn obedient(ctx: Context) {
        ctx.done().await;
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn stops_at_once_when_all_cooperate() {
        let mut server = Server::new(&Context::background());
        (1..=1000).for_each(|id| server.start(format!("worker-{id}"), obedient));
        let started = Instant::now();
        assert_eq!(server.shutdown(DEADLINE).await, Ok(()));
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn waits_for_work_in_flight() {
        let mut server = Server::new(&Context::background());
        let in_flight = Duration::from_millis(4999);
        server.start("slow", async move |_| sleep(in_flight).await);
        let started = Instant::now();
        assert_eq!(server.shutdown(DEADLINE).await, Ok(()));
        assert_eq!(started.elapsed(), in_flight);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn late_workers_are_named_and_cut_off() {
        let mut server = Server::new(&Context::background());
        server.start("obedient", obedient);
        server.start("stubborn", async |_| pending().await);
        let started = Instant::now();
        let late = server.shutdown(DEADLINE).await.unwrap_err();
        assert_eq!(late, Unclean { late: names(["stubborn"]), panicked: BTreeMap::new() });
        assert_eq!(started.elapsed(), DEADLINE);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn all_workers_share_one_deadline() {
        let mut server = Server::new(&Context::background());
        for seconds in [4, 8, 12] {
            let in_flight = Duration::from_secs(seconds);
            server.start(format!("{seconds} s"), async move |_| sleep(in_flight).await);
        }
        let started = Instant::now();
        let late = server.shutdown(DEADLINE).await.unwrap_err();
        assert_eq!(late, Unclean { late: names(["12 s", "8 s"]), panicked: BTreeMap::new() });
        assert_eq!(started.elapsed(), DEADLINE);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_panic_is_noticed_at_once_and_reported_at_the_end() {
        let mut server = Server::new(&Context::background());
        server.start("ends well", async |_| {});
        server.start("obedient", obedient);
        server.start("bad", async |_| panic!("bad worker"));
        assert_eq!(server.panicked().await, "bad");
        server.start("stubborn", async |_| pending().await);
        server.start("bad at the end", async |ctx| {
            ctx.done().await;
            panic_any(PanicsWhenDropped);
        });
        let unclean = server.shutdown(DEADLINE).await.unwrap_err();
        let told = "late: stubborn; panicked: bad (bad worker), bad at the end (without a message)";
        let panicked = [("bad", "bad worker"), ("bad at the end", "without a message")];
        let panicked = panicked.map(|(name, told)| (name.to_owned(), told.to_owned())).into();
        assert_eq!(unclean, Unclean { late: names(["stubborn"]), panicked });
        assert_eq!(unclean.to_string(), told);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn workers_see_the_parents_values_and_its_end() {
        let parent = Context::background().with_value(42);
        let mut server = Server::new(&parent);
        let (saw, seen) = tokio::sync::oneshot::channel();
        server.start("obedient", async |ctx| {
            let value = ctx.value::<i32>().copied();
            saw.send((value, ctx.done().await)).unwrap();
        });
        parent.cancel();
        assert_eq!(seen.await, Ok((Some(42), Cause::Canceled)));
        assert_eq!(server.shutdown(DEADLINE).await, Ok(()));
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn shutting_down_leaves_the_parent_alone() {
        let parent = Context::background();
        assert_eq!(Server::new(&parent).shutdown(DEADLINE).await, Ok(()));
        assert_eq!(parent.err(), None);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn dropping_the_server_cuts_its_workers_off() {
        let mut server = Server::new(&Context::background());
        server.start("stubborn", async |_| pending().await);
    }
}
