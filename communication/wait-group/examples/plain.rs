//! Five workers, and main waits until all of them have ended.

use std::thread;
use std::time::Duration;

use crossbeam::sync::WaitGroup;

fn main() {
    let group = WaitGroup::new();
    let mut threads = Vec::new();
    for id in 1..=5 {
        let member = group.clone(); // counts up
        threads.push(thread::spawn(move || {
            worker(id);
            drop(member); // counts down; so does a panic, because it drops `member` too
        }));
    }

    println!("Waiting for workers to complete...");
    group.wait(); // gives up its own membership and waits for the others
    println!("All workers completed");

    // The group knows that the workers have ended, and the join knows how: a panic surfaces here.
    for thread in threads {
        thread.join().expect("a worker does not panic");
    }
}

fn worker(id: u64) {
    println!("Worker {id} starting");
    thread::sleep(Duration::from_millis(100 * id));
    println!("Worker {id} done");
}
