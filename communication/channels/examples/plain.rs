//! Three workers share one channel of jobs and answer on one channel of results.

use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};

fn main() {
    let (jobs, queue) = bounded(5);
    let (answers, results) = bounded(5);

    thread::scope(|scope| {
        for id in 1..=3 {
            let (queue, answers) = (queue.clone(), answers.clone());
            scope.spawn(move || worker(id, &queue, &answers));
        }
        drop((queue, answers)); // the workers have their own: the results end with the last one

        for job in 1..=5 {
            jobs.send(job).expect("a worker still receives");
        }
        drop(jobs); // closes the channel: each worker's loop ends when the queue is empty

        for result in results {
            println!("Result: {result}");
        }
    });
}

fn worker(id: u32, jobs: &Receiver<u32>, results: &Sender<u32>) {
    for job in jobs {
        println!("Worker {id} processing job {job}");
        thread::sleep(Duration::from_millis(100));
        results.send(job * 2).expect("main still receives");
    }
}
