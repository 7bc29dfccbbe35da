#![doc = include_str!("../README.md")]

use std::thread;

use tokio::task::JoinSet;

/// What the second goroutine says.
pub const MESSAGE: &str = "Hello from goroutine";

/// The chapter's two anonymous goroutines as tasks: one counts to `count` and does `work` with each
/// number, the other says one message that it was given.
///
/// # Panics
///
/// If `work` or `say` panics: with its panic, and the other task is cancelled.
///
/// # Cancel safety
///
/// Dropping the future cancels both tasks.
pub async fn in_tasks<F>(
    count: usize,
    work: impl Fn(usize) -> F + Send + 'static,
    say: impl FnOnce(String) + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for number in 0..count {
            work(number).await;
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
/// If `work` or `say` panics, once both threads have ended.
pub fn in_threads(count: usize, work: impl Fn(usize) + Sync, say: impl Fn(&str) + Sync) {
    let message = MESSAGE.to_owned();
    thread::scope(|scope| {
        scope.spawn(|| (0..count).for_each(&work));
        scope.spawn(|| say(&message)); // borrows the message
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use leaks::leak_check;
    use tokio::time::{Instant, sleep};

    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);
    const LINES: [&str; 4] = ["0", "1", "2", MESSAGE];

    fn sorted(lines: &Mutex<Vec<String>>) -> Vec<String> {
        let mut lines = lines.lock().unwrap().clone();
        lines.sort();
        lines
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn tasks_say_everything_before_they_are_joined() {
        let (lines, started) = (Arc::new(Mutex::new(Vec::new())), Instant::now());
        let [counts, says] = [(); 2].map(|()| Arc::clone(&lines));
        let work = move |number: usize| {
            counts.lock().unwrap().push(number.to_string());
            sleep(PAUSE)
        };
        in_tasks(3, work, move |message| says.lock().unwrap().push(message)).await;
        assert_eq!(sorted(&lines), LINES);
        assert_eq!(started.elapsed(), 3 * PAUSE);
    }

    #[test]
    fn threads_say_everything_before_they_are_joined() {
        let lines = Mutex::new(Vec::new());
        let say = |line: &str| lines.lock().unwrap().push(line.to_owned());
        in_threads(3, |number| say(&number.to_string()), say);
        assert_eq!(sorted(&lines), LINES);
    }

    #[leak_check]
    #[tokio::test(start_paused = true)]
    async fn a_panic_cancels_the_other_task_and_resumes_in_the_caller() {
        let work = |_| sleep(PAUSE);
        let joined = tokio::spawn(in_tasks(3, work, |_| panic!("a bad line"))).await;
        assert!(joined.unwrap_err().is_panic());
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_in_a_thread_resumes_in_the_caller() {
        in_threads(3, |number| assert_ne!(number, 1, "a bad number"), |_| {});
    }
}
