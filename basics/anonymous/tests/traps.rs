//! Shows the traps that the page warns of.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn an_async_block_does_nothing_until_it_is_awaited() {
    let ran = AtomicBool::new(false);
    let block = async { ran.store(true, Ordering::Relaxed) };
    assert!(!ran.load(Ordering::Relaxed));
    block.await;
    assert!(ran.load(Ordering::Relaxed));
}

#[test]
fn moving_a_reference_moves_no_value() {
    let owned = String::from("fast");
    let name = &owned;
    let length = move || name.len();
    assert_eq!(owned, "fast"); // still here, and still borrowed
    assert_eq!(length(), 4);
}

#[tokio::test]
async fn futures_awaited_together_may_borrow() {
    let said = Mutex::new(Vec::new());
    let say = async |word| said.lock().unwrap().push(word);
    tokio::join!(say("Hello"), say("goroutine"));
    assert_eq!(*said.lock().unwrap(), ["Hello", "goroutine"]);
}
