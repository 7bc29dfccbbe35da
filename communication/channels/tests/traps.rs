//! Shows the traps that the page warns of.

use std::thread;

use channels::{RESULT_BOUND, start_workers};
use crossbeam::channel::{TryRecvError, TrySendError, bounded};

#[test]
fn a_kept_sender_keeps_the_channel_open() {
    let (sender, results) = bounded::<u64>(1);
    let kept = sender.clone();
    thread::spawn(move || sender.send(1)).join().unwrap().unwrap();
    assert_eq!(results.recv(), Ok(1));
    assert_eq!(results.try_recv(), Err(TryRecvError::Empty), "a `for` would wait for ever");
    drop(kept);
    assert_eq!(results.try_recv(), Err(TryRecvError::Disconnected), "a `for` would end");
}

#[test]
fn without_a_reader_the_sender_and_the_workers_wait_for_each_other() {
    const WORKERS: usize = 3;
    const JOBS: usize = 20;
    let results = thread::scope(|scope| {
        let (jobs, queue) = bounded(1);
        let results = start_workers(scope, WORKERS, &queue, |_, job: usize| job);
        let mut sent = 0;
        // One waits in the queue, one in the hands of each worker, and the results are full.
        while sent < 1 + WORKERS + RESULT_BOUND {
            match jobs.try_send(sent) {
                Ok(()) => sent += 1,
                Err(TrySendError::Full(_)) => thread::yield_now(), // a worker is about to take one
                Err(TrySendError::Disconnected(_)) => panic!("the workers have gone"),
            }
        }
        assert!(jobs.try_send(sent).is_err(), "nobody moves any more");
        scope.spawn(move || (sent..JOBS).for_each(|job| jobs.send(job).unwrap()));
        results.into_iter().count() // read as you go
    });
    assert_eq!(results, JOBS);
}
