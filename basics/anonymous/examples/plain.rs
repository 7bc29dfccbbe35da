//! A closure in a thread that borrows, and an async block in a task that takes its value along.

use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(100);

fn main() {
    let message = String::from("Hello from the thread");

    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..3 {
                println!("Anonymous thread: {i}");
                thread::sleep(PAUSE);
            }
        });
        scope.spawn(|| println!("{message}")); // borrows: the scope ends before `message` does
    });

    in_tasks(message.replace("thread", "task"));
}

#[tokio::main]
async fn in_tasks(message: String) {
    let counting = tokio::spawn(async {
        for i in 0..3 {
            println!("Anonymous task: {i}");
            tokio::time::sleep(PAUSE).await;
        }
    });
    // A spawned task may outlive its caller, so it has to own what it uses: `move`.
    let greeting = tokio::spawn(async move { println!("{message}") });

    greeting.await.expect("the greeting does not panic");
    counting.await.expect("the counting does not panic");
}
