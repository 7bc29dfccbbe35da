//! Two greetings at the same time: as threads, then as tasks.

use std::{thread, time::Duration};

const PAUSE: Duration = Duration::from_millis(100);

fn main() {
    println!("=== Synchronous execution ===");
    say_hello("Alice");
    say_hello("Bob");

    println!("\n=== Asynchronous execution, in threads ===");
    thread::scope(|scope| {
        scope.spawn(|| say_hello("Charlie"));
        scope.spawn(|| say_hello("Diana"));
    }); // the scope ends when both threads have ended

    println!("\n=== Asynchronous execution, in tasks ===");
    greet_in_tasks();
    println!("Main function ending");
}

fn say_hello(name: &str) {
    for n in 1..=3 {
        println!("Hello, {name}! ({n})");
        thread::sleep(PAUSE); // keeps the thread
    }
}

#[tokio::main] // starts the runtime that runs the tasks
async fn greet_in_tasks() {
    let greet = async |name| {
        for n in 1..=3 {
            println!("Hello, {name}! ({n})");
            tokio::time::sleep(PAUSE).await; // lets other tasks use the thread
        }
    };
    let greetings = (tokio::spawn(greet("Charlie")), tokio::spawn(greet("Diana")));
    tokio::try_join!(greetings.0, greetings.1).expect("a greeting does not panic");
}
