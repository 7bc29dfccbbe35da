use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam::channel::bounded;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Most pieces of work that wait for a worker of the [`pool`].
const QUEUE_BOUND: usize = 64;

/// An OS thread for each piece of work.
///
/// # Errors
///
/// If the system gives no more threads. The threads already started finish their work.
///
/// # Panics
///
/// If `work` does, once all threads have ended.
pub fn threads(tasks: usize, work: impl Fn() + Sync) -> io::Result<()> {
    thread::scope(|scope| {
        for started in 0..tasks {
            let thread = thread::Builder::new().spawn_scoped(scope, &work);
            thread.map_err(|err| refused(started, tasks, &err))?;
        }
        Ok(())
    })
}

/// `workers` threads that share a queue of work.
///
/// # Errors
///
/// If the system does not give that many threads. Then no work is done.
///
/// # Panics
///
/// If `work` does, once the other workers have done what is left.
pub fn pool(tasks: usize, workers: usize, work: impl Fn() + Sync) -> io::Result<()> {
    thread::scope(|scope| {
        let (sender, queue) = bounded(QUEUE_BOUND);
        let work = &work;
        let workers = workers.min(tasks); // more could only wait
        for started in 0..workers {
            let queue = queue.clone();
            let worker = move || queue.iter().for_each(|()| work());
            let thread = thread::Builder::new().spawn_scoped(scope, worker);
            thread.map_err(|err| refused(started, workers, &err))?;
        }
        drop(queue); // the workers hold the only receivers: without them a send fails
        for _ in 0..tasks {
            if sender.send(()).is_err() {
                break; // all workers have panicked, which surfaces at the end of the scope
            }
        }
        Ok(()) // `sender` is dropped here, and the workers end with the queue
    })
}

fn refused(started: usize, wanted: usize, err: &io::Error) -> io::Error {
    let advice = "ask for fewer, or see the limits of memory and of processes (`ulimit -a`)";
    io::Error::other(format!("the system gave {started} of {wanted} threads: {advice}: {err}"))
}

/// A task for each piece of work, all at once. A panic in `work` is not reported: count what was
/// done.
///
/// # Cancel safety
///
/// Dropping the future leaves the tasks running, with nobody to wait for them.
pub async fn unlimited<F>(tasks: usize, work: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let tracker = TaskTracker::new();
    for _ in 0..tasks {
        tracker.spawn(work());
    }
    tracker.close(); // no more tasks: the wait is for those that are there
    tracker.wait().await;
}

/// As [`unlimited`], but each task is spawned only when fewer than `limit` are there.
///
/// # Cancel safety
///
/// As for [`unlimited`]; no more tasks are spawned.
pub async fn limited<F>(tasks: usize, limit: usize, work: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(limit.min(tasks))); // more are never taken
    let tracker = TaskTracker::new();
    for _ in 0..tasks {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("it is never closed");
        let work = work();
        tracker.spawn(async move {
            let _permit = permit; // given back when the task ends, however it ends
            work.await;
        });
    }
    tracker.close(); // no more tasks: the wait is for those that are there
    tracker.wait().await;
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::time::Duration;

    use leaks::leak_check;
    use tokio::time::sleep;

    use super::*;
    use crate::Gauge;

    const TASKS: usize = 60;
    const WORKERS: usize = 6;

    #[test]
    fn all_threads_are_there_at_once() {
        let (gauge, meet) = (Gauge::default(), Barrier::new(TASKS)); // opens for all at once
        let work = || {
            let _running = gauge.start();
            meet.wait();
        };
        threads(TASKS, work).unwrap();
        assert_eq!((gauge.peak(), gauge.done()), (TASKS, TASKS));
    }

    #[test]
    fn the_pool_has_all_its_workers_at_work_and_never_more() {
        let (gauge, meet) = (Gauge::default(), Barrier::new(WORKERS));
        let work = || {
            let _running = gauge.start();
            meet.wait();
        };
        pool(TASKS, WORKERS, work).unwrap();
        assert_eq!((gauge.peak(), gauge.done()), (WORKERS, TASKS));
    }

    #[test]
    fn a_pool_whose_workers_have_all_panicked_ends() {
        let work = AssertUnwindSafe(|| pool(1000, 2, || panic!("no worker survives")));
        assert!(catch_unwind(work).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn all_tasks_are_there_at_once() {
        let (gauge, meet) = (Arc::default(), Arc::new(tokio::sync::Barrier::new(TASKS)));
        leak_check(unlimited(TASKS, || meeting(&gauge, &meet))).await;
        assert_eq!((gauge.peak(), gauge.done()), (TASKS, TASKS));
    }

    #[tokio::test(start_paused = true)]
    async fn only_as_many_tasks_exist_as_there_are_permits() {
        let (gauge, meet) = (Arc::default(), Arc::new(tokio::sync::Barrier::new(WORKERS)));
        leak_check(limited(TASKS, WORKERS, || meeting(&gauge, &meet))).await;
        assert_eq!((gauge.peak(), gauge.done()), (WORKERS, TASKS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_gives_its_permit_back_and_is_not_done() {
        let gauge = Arc::new(Gauge::default());
        let work = || {
            let gauge = Arc::clone(&gauge);
            async move {
                let _running = gauge.start();
                panic!("a bad task");
            }
        };
        leak_check(limited(3, 1, work)).await;
        assert_eq!((gauge.peak(), gauge.done()), (1, 0));
    }

    fn meeting(
        gauge: &Arc<Gauge>,
        meet: &Arc<tokio::sync::Barrier>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (gauge, meet) = (Arc::clone(gauge), Arc::clone(meet));
        async move {
            let _running = gauge.start();
            meet.wait().await;
            sleep(Duration::from_secs(1)).await; // one too many would come in now
        }
    }
}
