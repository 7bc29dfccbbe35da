//! Generate, square, add ten, keep the even numbers: each stage is a task.

use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};

#[tokio::main]
async fn main() {
    let numbers = generate(1..=10);
    let squared = stage(numbers, 100, |n| Some(n * n));
    let added = stage(squared, 50, |n| Some(n + 10));
    let mut even = stage(added, 0, |n| (n % 2 == 0).then_some(n));

    println!("Pipeline results:");
    while let Some(result) = even.recv().await {
        println!("Result: {result}");
    }
}

fn generate(numbers: impl Iterator<Item = u64> + Send + 'static) -> Receiver<u64> {
    let (output, receiver) = channel(1); // the smallest bound: tokio has no channel of 0
    tokio::spawn(async move {
        for n in numbers {
            let Ok(()) = output.send(n).await else { return }; // nobody receives any more
        }
    });
    receiver // when a stage ends, its `output` is dropped, and that ends the stage behind it
}

fn stage(mut input: Receiver<u64>, pause: u64, work: fn(u64) -> Option<u64>) -> Receiver<u64> {
    let (output, receiver) = channel(1);
    tokio::spawn(async move {
        while let Some(n) = input.recv().await {
            let Some(result) = work(n) else { continue };
            let Ok(()) = output.send(result).await else { return };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    });
    receiver
}
