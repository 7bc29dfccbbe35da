//! The library: whatever the number of workers, the result is that of plain code.
#![allow(clippy::unwrap_used, reason = "a helper of tests is a test")]
#![cfg(feature = "file-processor")]

use std::fs;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::ValueEnum;
use crossbeam_channel::bounded;
use exercises::file_processor::{
    By, Column, Columns, Counter, Counts, FormatName, Inputs, Listing, Operation, Options, Printer,
    Progress, Row, Status, Summary, Whitespace, process, scalar,
};
use proptest::prelude::*;
use tempfile::TempDir;

fn options(jobs: usize) -> Options {
    Options { jobs: NonZeroUsize::new(jobs).unwrap(), ..Options::default() }
}

fn run(path: &Path, options: &Options) -> (Vec<Row>, Summary) {
    let mut rows = Vec::new();
    let summary = run_each(path, options, |row| rows.push(row));
    (rows, summary)
}

fn run_each(path: &Path, options: &Options, each: impl FnMut(Row)) -> Summary {
    let inputs = Inputs::Paths(vec![path.into()]);
    let (_never_dropped_before_the_end, interrupted) = bounded(0);
    process(&inputs, options, &Progress::default(), &interrupted, each).unwrap()
}

/// A few directories with a few files; paths may repeat, then the last text counts.
fn tree() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let text = prop_oneof![
        3 => "[a-c \n]{0,40}".prop_map(String::into_bytes),
        2 => "[ab\u{2003}é \r\n]{0,400}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..600),
    ];
    prop::collection::vec(("[ab]/[ab]/[a-f]\\.(rs|md)", text), 0..12)
}

fn plant(tree: &[(String, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in tree {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn eight_workers_find_what_one_finds(tree in tree(), unicode in any::<bool>(), as_wc in any::<bool>()) {
        let dir = plant(&tree);
        let whitespace = if unicode { Whitespace::Unicode } else { Whitespace::Ascii };
        let columns = Column::ALL.into_iter().collect();
        let counter = Counter { columns, whitespace, as_wc };
        let with = |jobs| Options {
            counter,
            top: NonZeroUsize::new(5),
            by: Some(By::Ext),
            // Chunks so small that most files are shared, and cut at every place.
            chunk: NonZeroUsize::new(7).unwrap(),
            ..options(jobs)
        };
        let (rows, summary) = run(dir.path(), &with(1));
        prop_assert_eq!((&rows, &summary), (&run(dir.path(), &with(8)).0, &run(dir.path(), &with(8)).1));
        prop_assert!(rows.is_sorted_by(|a, b| a.path < b.path));
        for row in rows {
            let text = fs::read(&row.path).unwrap();
            let expected = scalar::count(&text, counter);
            prop_assert_eq!(row.outcome, Status::Counted(expected));
        }
    }
}

#[test]
fn a_file_that_vanishes_after_it_was_listed_fails_alone() {
    const FILES: usize = 6000; // so that the last one is far beyond the window
    let dir = tempfile::tempdir().unwrap();
    let path = |n: usize| dir.path().join(format!("{n:05}"));
    (0..FILES).for_each(|n| fs::write(path(n), "line\n").unwrap());
    let mut failed = Vec::new();
    let mut first = true;
    let summary = run_each(dir.path(), &options(2), |row: Row| {
        if std::mem::take(&mut first) {
            fs::remove_file(path(FILES - 1)).unwrap();
        }
        if let Status::Failed(failure) = row.outcome {
            failed.push((row.path, failure.operation));
        }
    });
    assert_eq!(failed, [(path(FILES - 1), Operation::Open)]);
    assert_eq!(summary.total.files as usize, FILES - 1);
    assert!(summary.complete);
}

#[test]
fn a_file_that_shrinks_and_grows_is_counted_up_to_one_of_its_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changing");
    let line = b"line\n\0\0\0"; // 8 bytes, so that chunks of 4 KiB cut between lines
    let full = line.repeat(100_000);
    fs::write(&path, &full).unwrap();
    let options = Options { chunk: NonZeroUsize::new(4096).unwrap(), ..options(2) };
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = fs::File::options().write(true).open(&path).unwrap();
            let stopped = stopped;
            while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                file.set_len(full.len() as u64 / 2).unwrap();
                std::os::unix::fs::FileExt::write_all_at(&file, &full, 0).unwrap();
            }
        });
        for _ in 0..200 {
            let (rows, summary) = run(&path, &options);
            assert!(matches!(rows[0].outcome, Status::Counted(_)), "{rows:?}");
            let bytes = summary.total.counts.get(Column::Bytes);
            assert!(bytes > 0 && bytes <= full.len() as u64);
            let lines = summary.total.counts.get(Column::Lines);
            assert!(lines.abs_diff(bytes / 8) <= 1, "{lines} lines in {bytes} bytes");
        }
        drop(stop);
    });
}

#[test]
fn a_panic_in_a_worker_is_the_error_of_its_file() {
    let dir = plant(&[
        ("a".into(), b"one\n".into()),
        ("b".into(), b"two\n".into()),
        ("c".into(), b"three\n".into()),
    ]);
    for workers in [1, 4] {
        let options = Options { panic_at: Some(2), ..options(workers) };
        let (rows, summary) = run(dir.path(), &options);
        let failures: Vec<_> = rows
            .iter()
            .filter_map(|row| match &row.outcome {
                Status::Failed(failure) => Some(failure.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(failures, ["count: panicked: planted panic in piece 2"]);
        assert_eq!((summary.total.files, summary.failed, rows.len()), (2, 1, 3));
    }
}

#[test]
fn a_panic_in_a_chunk_fails_the_whole_file_and_no_other() {
    let dir = plant(&[("large".into(), b"line\n".repeat(1000)), ("small".into(), b"x\n".into())]);
    let chunk = NonZeroUsize::new(16).unwrap();
    let options = Options { chunk, panic_at: Some(20), ..options(4) };
    let (rows, summary) = run(dir.path(), &options);
    assert!(matches!(rows[0].outcome, Status::Failed(_)), "{rows:?}");
    assert_eq!((summary.total.files, summary.failed), (1, 1));
}

#[test]
fn an_interrupted_run_hands_over_what_is_done_and_ends() {
    const FILES: usize = 20_000;
    let dir = tempfile::tempdir().unwrap();
    (0..FILES).for_each(|n| fs::write(dir.path().join(format!("{n:05}")), "line\n").unwrap());
    let (sender, interrupted) = bounded(0);
    let mut sender = Some(sender);
    let mut rows: Vec<PathBuf> = Vec::new();
    let inputs = Inputs::Paths(vec![dir.path().into()]);
    let summary = process(&inputs, &options(2), &Progress::default(), &interrupted, |row: Row| {
        sender = None; // interrupted from the first row on
        rows.push(row.path);
    })
    .unwrap();
    assert!(!summary.complete);
    assert!(!rows.is_empty() && rows.len() < FILES);
    assert!(rows.is_sorted());
    // A file that was being read at that moment is a failure.
    assert_eq!((summary.total.files + summary.failed) as usize, rows.len());
}

#[test]
fn columns_are_a_set() {
    let columns: Columns = [Column::Bytes, Column::Lines, Column::Bytes].into_iter().collect();
    assert_eq!(columns.iter().collect::<Vec<_>>(), [Column::Lines, Column::Bytes]);
}

/// Counts the writes.
#[derive(Clone, Default)]
struct Writes(Arc<AtomicUsize>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn many_rows_are_written_at_once_in_every_format() {
    let inputs = Inputs::Paths(vec![".".into()]);
    let listing = Listing { files: true, ..Listing::default() };
    let row = |n: u32| {
        let outcome = Status::Counted(Counts::default());
        Row { path: format!("file-{n}").into(), root: 0, outcome }
    };
    for format in FormatName::value_variants() {
        let writes = Writes::default();
        let out = BufWriter::with_capacity(64 * 1024, writes.clone());
        let mut printer = Printer::new(out, *format, listing, &inputs);
        (0..5000).for_each(|n| printer.row(&row(n)));
        printer.end(&Summary::default()).unwrap();
        let writes = writes.0.load(Ordering::Relaxed);
        assert!((1..20).contains(&writes), "{format:?}: {writes} writes");
    }
}
