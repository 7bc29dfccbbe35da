#![doc = include_str!("../README.md")]

use std::thread;
use std::time::Duration;

use common::bar;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What the second goroutine says.
pub const MESSAGE: &str = "Hello from goroutine";

/// The chapter's two anonymous goroutines as tasks: one counts to `count` and rests for `pause`
/// after each number, the other says one message that it was given. `say` gets the lines as they
/// come.
///
/// # Panics
///
/// If `say` panics: with its panic, and the other task is cancelled.
///
/// # Cancel safety
///
/// Dropping the future cancels both tasks.
pub async fn in_tasks(
    count: usize,
    pause: Duration,
    say: impl Fn(String) + Clone + Send + 'static,
) {
    let mut tasks = JoinSet::new();
    let tell = say.clone();
    tasks.spawn(async move {
        for number in 0..count {
            let _bar = bar("counting task", number);
            tell(line(number));
            sleep(pause).await;
        }
    });

    let message = MESSAGE.to_owned();
    tasks.spawn(async move { say(message) }); // takes the message along, as Go's parameter does
    tasks.join_all().await;
}

/// The same as threads: they end before this returns, so they borrow what they use.
///
/// # Panics
///
/// If `say` panics, once both threads have ended.
pub fn in_threads(count: usize, pause: Duration, say: impl Fn(String) + Sync) {
    let message = MESSAGE.to_owned();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                let _bar = bar("counting thread", number);
                say(line(number));
                thread::sleep(pause);
            }
        });
        scope.spawn(|| say(message.clone())); // borrows the message: it is still ours
    });
}

fn line(number: usize) -> String {
    format!("Anonymous goroutine: {number}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use leaks::leak_check;
    use tokio::time::Instant;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);
    const LINES: [&str; 4] = [
        "Anonymous goroutine: 0",
        "Anonymous goroutine: 1",
        "Anonymous goroutine: 2",
        "Hello from goroutine",
    ];

    fn sorted(lines: &Mutex<Vec<String>>) -> Vec<String> {
        let mut lines = lines.lock().unwrap().clone();
        lines.sort();
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_say_everything_before_they_are_joined() {
        leak_check(async {
            let (lines, started) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
            let say = {
                let lines = Arc::clone(&lines);
                move |line| lines.lock().unwrap().push(line)
            };
            in_tasks(3, PAUSE, say).await;
            assert_eq!(sorted(&lines), LINES);
            assert_eq!(started.elapsed(), 3 * PAUSE);
        })
        .await;
    }

    #[test]
    fn threads_say_everything_before_they_are_joined() {
        let lines = Mutex::new(Vec::new());
        in_threads(3, Duration::ZERO, |line| lines.lock().unwrap().push(line));
        assert_eq!(sorted(&lines), LINES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_cancels_the_other_task_and_goes_on_in_the_caller() {
        leak_check(async {
            let say = |line| assert_ne!(line, MESSAGE, "a bad line");
            let joined = tokio::spawn(in_tasks(3, PAUSE, say)).await;
            assert!(joined.unwrap_err().is_panic());
        })
        .await;
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_in_a_thread_goes_on_in_the_caller() {
        in_threads(3, Duration::ZERO, |line| assert_ne!(line, LINES[1], "a bad line"));
    }
}
