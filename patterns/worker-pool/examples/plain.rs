//! Three threads work through ten jobs in one bounded queue.

use std::thread;
use std::time::Duration;

use crossbeam::channel::{bounded, unbounded};

struct Job {
    id: u64,
    data: String,
}

fn main() {
    let (jobs, queue) = bounded::<Job>(10); // `send` waits while ten jobs are queued
    let (answers, results) = unbounded(); // one result a job, kept until it is read

    thread::scope(|scope| {
        for worker in 0..3 {
            let (queue, answers) = (queue.clone(), answers.clone());
            scope.spawn(move || {
                for Job { id, data } in queue {
                    println!("Worker {worker} processing job {id}");
                    thread::sleep(Duration::from_millis(37 * id % 100)); // the work
                    answers.send((id, format!("Processed: {data}"))).expect("main reads on");
                }
            });
        }
        drop((queue, answers)); // the workers have their own

        for id in 1..=10 {
            jobs.send(Job { id, data: format!("Task-{id}") }).expect("a worker lives");
        }
        drop(jobs); // no more jobs: the workers end, and then the results do

        for (id, output) in results {
            println!("Result for job {id}: {output}");
        }
    });
    println!("All jobs completed");
}
