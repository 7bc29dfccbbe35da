use std::any::Any;
use std::mem;

/// The message of a panic, from the payload that `catch_unwind` or a join gives: "without a message"
/// if it is no text, as after `panic_any`.
pub fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(message) => return *message,
        Err(payload) => payload,
    };
    let message = payload.downcast_ref::<&str>().copied().unwrap_or("without a message");
    mem::forget(payload); // dropping a value of any type could panic once more
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, panic_any};

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
}
