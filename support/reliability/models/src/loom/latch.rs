use common::{Cause, Latch};
use model::future::block_on;
use model::sync::Arc;
use model::thread::spawn;

pub fn trips_once() {
    let latch = Arc::new(Latch::new());
    let (context, channel) = (latch.context(), latch.channel());
    let task = spawn(move || assert_eq!(block_on(context.done()), Cause::Canceled));
    let signal = spawn({
        let latch = Arc::clone(&latch);
        move || latch.trip()
    });
    let second = latch.trip();
    assert!(channel.recv().is_err(), "nothing is ever sent");
    // Tasks hear it before threads do: who has heard of it as a thread finds the context ended.
    assert_eq!(latch.context().err(), Some(Cause::Canceled));
    let first = signal.join().expect("it does not panic");
    assert!(first != second, "one of them is the first, and the other exits the process");
    task.join().expect("it does not panic");
}
