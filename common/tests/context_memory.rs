//! Alone in its file, and so in its process: it counts what the whole process has allocated.

use common::Context;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

#[test]
fn a_million_children_leave_nothing_behind_in_their_parent() {
    let parent = Context::background();
    let make_and_drop = |count: u32| {
        for child in 0..count {
            drop(parent.with_cancel().with_value(child));
        }
    };
    make_and_drop(1000); // what is set up once
    let before = ALLOCATED.current_usage();
    make_and_drop(1_000_000);
    let after = ALLOCATED.current_usage();
    assert!(after <= before + 1024, "{before} bytes have become {after}");
}
