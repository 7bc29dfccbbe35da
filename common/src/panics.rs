use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The message of a panic, from the payload that `catch_unwind` or a join gives: "without a
/// message" if it is not text, as after `panic_any`.
pub fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(message) => return *message,
        Err(payload) => payload,
    };
    let message = payload.downcast_ref::<&str>().copied().unwrap_or("without a message");
    mem::forget(payload); // dropping a value of any type could panic once more
    message.to_owned()
}

/// Drops `value`. A panic in its `drop` is reported on stderr and ends here: while another panic
/// unwinds, a second one would abort the process.
pub fn discard<T>(value: T) {
    mem::forget(catch_unwind(AssertUnwindSafe(|| drop(value)))); // a payload may panic as well
}

/// Resumes the panic of work that was joined. The results of other work are [discarded](discard).
pub fn resume_panic<T>(payload: Box<dyn Any + Send>, results: impl IntoIterator<Item = T>) -> ! {
    results.into_iter().for_each(discard);
    resume_unwind(payload)
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("once more");
        }
    }

    #[test]
    fn a_message_is_kept_and_any_other_payload_is_never_dropped() {
        let message = |panics: fn()| panic_message(catch_unwind(panics).unwrap_err());
        assert_eq!(message(|| panic!("a text")), "a text");
        assert_eq!(message(|| panic!("job {}", 7)), "job 7");
        assert_eq!(message(|| panic_any(42)), "without a message");
        assert_eq!(message(|| panic_any(PanicsWhenDropped)), "without a message");
    }

    #[test]
    fn a_panic_in_a_drop_leaves_another_panic_alone() {
        struct Discards(Option<PanicsWhenDropped>);
        impl Drop for Discards {
            fn drop(&mut self) {
                discard(self.0.take());
            }
        }
        let panics = || {
            let _discards = Discards(Some(PanicsWhenDropped));
            panic!("the first");
        };
        assert_eq!(panic_message(catch_unwind(panics).unwrap_err()), "the first");
    }
}
