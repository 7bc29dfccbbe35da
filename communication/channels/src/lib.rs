#![doc = include_str!("../README.md")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Scope;

use common::panic_message;
use crossbeam::channel::{Receiver, Sender, bounded};

/// Most results that wait to be read, in items. When it is reached, the workers wait for the
/// reader.
pub const RESULT_BOUND: usize = 5;

/// Starts `workers` threads, numbered from 1, that call `work(worker, job)` for each job of the
/// queue. The results come out in the order in which they are ready, and end when the last worker
/// has ended.
///
/// The workers end when `queue` does, or when nobody reads the results any more. A panic in `work`
/// ends its worker; the scope panics once all its threads have been joined.
///
/// # Panics
///
/// Without workers, because nobody would take the jobs.
#[must_use = "the workers end when nobody reads the results"]
pub fn start_workers<'scope, J, R, F>(
    scope: &'scope Scope<'scope, '_>,
    workers: usize,
    queue: &Receiver<J>,
    work: F,
) -> Receiver<R>
where
    J: Send + 'scope,
    R: Send + 'scope,
    F: Fn(usize, J) -> R + Clone + Send + 'scope,
{
    assert!(workers > 0, "at least one worker is needed to take the jobs");
    let (sender, results) = bounded(RESULT_BOUND);
    for id in 1..=workers {
        let (queue, sender, work) = (queue.clone(), sender.clone(), work.clone());
        scope.spawn(move || {
            let work = || worker(queue, &sender, |job| work(id, job));
            // The scope drops the payload of a panic, and that drop must not panic: pass on a text.
            catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|payload| resume_unwind(Box::new(panic_message(payload))));
        });
    }
    // `sender` is dropped here: the workers' clones are the last ones, and close the channel.
    results
}

fn worker<J, R>(queue: Receiver<J>, results: &Sender<R>, work: impl Fn(J) -> R) {
    for job in queue {
        if results.send(work(job)).is_err() {
            return; // nobody reads the results: no reason to go on
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn every_job_gives_one_result_and_the_results_end() {
        let mut results: Vec<u64> = thread::scope(|scope| {
            let (jobs, queue) = bounded(1);
            scope.spawn(move || (1..=1000).for_each(|job| jobs.send(job).unwrap()));
            start_workers(scope, 3, &queue, |_, job| job * 2).into_iter().collect()
        });
        results.sort_unstable();
        assert_eq!(results, (1..=1000).map(|job| job * 2).collect::<Vec<_>>());
    }

    #[test]
    fn all_workers_are_at_work_at_the_same_time() {
        let meet = &Barrier::new(3); // opens for three at once
        let results = thread::scope(|scope| {
            let (jobs, queue) = bounded(3);
            (1..=3).for_each(|job| jobs.send(job).unwrap());
            drop(jobs); // the workers end once the queue is empty
            start_workers(scope, 3, &queue, |worker, _: i32| {
                meet.wait();
                worker
            })
            .into_iter()
            .count()
        });
        assert_eq!(results, 3);
    }

    #[test]
    fn workers_stop_when_nobody_reads_the_results() {
        let (jobs, queue) = bounded(0);
        thread::scope(|scope| {
            drop(start_workers(scope, 3, &queue, |_, job: i32| job));
            drop(queue); // the workers hold the only receivers
            while jobs.send(1).is_ok() {}
        });
    }

    #[test]
    fn a_panicking_job_ends_its_worker_and_surfaces_at_the_scope() {
        let scope = AssertUnwindSafe(|| {
            thread::scope(|scope| {
                let (jobs, queue) = bounded(5);
                (1..=5).for_each(|job| jobs.send(job).unwrap());
                drop(jobs); // the workers end once the queue is empty
                let results = start_workers(scope, 2, &queue, |_, job| {
                    assert_ne!(job, 2, "a bad job");
                    job
                });
                let mut results: Vec<i32> = results.into_iter().collect();
                results.sort_unstable();
                assert_eq!(results, [1, 3, 4, 5]); // nothing else is lost
            });
        });
        assert!(catch_unwind(scope).is_err());
    }

    #[test]
    #[should_panic(expected = "at least one worker is needed to take the jobs")]
    fn zero_workers_are_refused() {
        let (_jobs, queue) = bounded::<i32>(1);
        thread::scope(|scope| drop(start_workers(scope, 0, &queue, |_, job| job)));
    }

    #[test]
    fn a_panic_in_a_drop_ends_its_worker_and_not_the_process() {
        struct PanicsWhenDropped;
        impl Drop for PanicsWhenDropped {
            fn drop(&mut self) {
                panic!("once more");
            }
        }
        let scope = |work: fn(usize, i32) -> PanicsWhenDropped| {
            thread::scope(|scope| {
                let (jobs, queue) = bounded(1);
                drop(start_workers(scope, 1, &queue, work)); // nobody reads the results
                jobs.send(1).unwrap();
            });
        };
        for work in [|_, _| panic_any(PanicsWhenDropped), |_, _| PanicsWhenDropped] {
            let panic = catch_unwind(|| scope(work)).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"a scoped thread panicked"));
        }
    }
}
