//! Whether stdin or stdout was closed when the program was started.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};

static STDIN: AtomicBool = AtomicBool::new(false);
static STDOUT: AtomicBool = AtomicBool::new(false);

/// Looks before `main`, because Rust's runtime opens `/dev/null` in place of a closed descriptor:
/// reads would then find nothing and writes would be lost, both without an error.
fn look() {
    STDIN.store(fcntl_getfd(rustix::stdio::stdin()) == Err(Errno::BADF), Ordering::Relaxed);
    STDOUT.store(fcntl_getfd(rustix::stdio::stdout()) == Err(Errno::BADF), Ordering::Relaxed);
}

ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn before_main() {
        look();
    }
}

pub(crate) fn stdin() -> bool {
    STDIN.load(Ordering::Relaxed)
}

pub(crate) fn stdout() -> bool {
    STDOUT.load(Ordering::Relaxed)
}
