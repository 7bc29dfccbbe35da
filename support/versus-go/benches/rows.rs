//! Our side of each row by itself, with a hundredth of the items: `cargo bench -p versus-go`.

use divan::Bencher;
use versus_go::{ROWS, Work, row};

/// The allocator of `versus-go`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// The rows that run in this process.
fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().filter(|row| matches!(row.work, Work::Function(_))).map(|row| row.name)
}

#[divan::bench(args = names(), sample_count = 10, sample_size = 1)]
fn rows(bencher: Bencher<'_, '_>, name: &str) {
    let row = row(name).expect("the name is that of a row");
    if let Work::Function(run) = row.work {
        let items = (row.items / 100).max(100);
        bencher.bench_local(|| run(items));
    }
}
