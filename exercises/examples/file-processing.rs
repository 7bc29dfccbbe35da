//! Exercise 1, the short answer: counts the lines and words of all files of a folder.
//!
//! `cargo run -p exercises --example file-processing -- FOLDER`

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::{collections::BTreeMap, env, path::Path, process::ExitCode, sync::Arc, thread};

use crossbeam::channel::{Receiver, Sender, bounded};

const THREADS: usize = 2; // that read, and as many that count
/// Chunks that wait for a counter: at most this many are in memory, and one for each thread.
const CHUNKS: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;

/// Whole lines of a file.
type Chunk = (Arc<Path>, Vec<u8>);

/// A message of a thread: the count of a chunk, or why a path could not be read.
type Report = (Arc<Path>, io::Result<Count>);

/// Lines and words.
type Count = [usize; 2];
type Counts = BTreeMap<Arc<Path>, Count>;
type Failures = Vec<(Arc<Path>, io::Error)>;

fn main() -> ExitCode {
    let folder = env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let (counts, failed) = count_folder(Path::new(&folder).into());
    for (path, [lines, words]) in &counts {
        println!("{lines:8} {words:8} {}", path.display());
    }
    let [lines, words] = counts.values().fold([0, 0], |total, count| add(total, *count));
    println!("{lines:8} {words:8} total of {} files", counts.len());
    for (path, error) in &failed {
        eprintln!("{}: {error}", path.display());
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn count_folder(folder: Arc<Path>) -> (Counts, Failures) {
    let (paths, queue) = bounded(CHUNKS);
    let (chunks, parts) = bounded(CHUNKS);
    let (reports, results) = bounded(CHUNKS);

    thread::scope(|scope| {
        let walker = reports.clone();
        scope.spawn(move || walk(folder, &paths, &walker));
        // [x] Reads multiple files concurrently.
        for _ in 0..THREADS {
            let (queue, chunks, reports) = (queue.clone(), chunks.clone(), reports.clone());
            scope.spawn(move || read(&queue, &chunks, &reports));
        }
        // [x] Processes each file's content in parallel: a free thread takes the next chunk.
        for _ in 0..THREADS {
            let (parts, reports) = (parts.clone(), reports.clone());
            scope.spawn(move || count(&parts, &reports));
        }
        drop((queue, chunks, parts, reports)); // the threads have their own

        // [x] Aggregates results safely: one thread owns the table, and no lock is needed.
        let (mut counts, mut failed) = (Counts::new(), Failures::new());
        for (path, result) in results {
            match result {
                Ok(count) => {
                    counts.entry(path).and_modify(|sum| *sum = add(*sum, count)).or_insert(count);
                }
                // [x] Handles errors gracefully: prints them, and counts the other files.
                Err(error) => failed.push((path, error)),
            }
        }
        (counts, failed)
    })
}

/// Finds the files. A folder that cannot be listed is reported, and the others are walked.
fn walk(folder: Arc<Path>, paths: &Sender<Arc<Path>>, reports: &Sender<Report>) {
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => return reports.send((folder, Err(error))).expect("main receives"),
    };
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.path().into(), entry.file_type()?))) {
            Ok((path, kind)) if kind.is_dir() => walk(path, paths, reports),
            Ok((path, kind)) if kind.is_file() => paths.send(path).expect("a reader receives"),
            Ok(_) => {} // a link, a pipe or a device
            Err(error) => reports.send((folder.clone(), Err(error))).expect("main receives"),
        }
    }
}

fn read(paths: &Receiver<Arc<Path>>, chunks: &Sender<Chunk>, reports: &Sender<Report>) {
    for path in paths {
        let whole = File::open(&path).and_then(|file| {
            let mut file = BufReader::with_capacity(CHUNK_BYTES, file);
            loop {
                let mut text = file.fill_buf()?.to_vec();
                file.consume(text.len());
                file.read_until(b'\n', &mut text)?; // no word is cut in two
                if text.is_empty() {
                    return Ok(Count::default()); // so that an empty file has a line, too
                }
                chunks.send((path.clone(), text)).expect("a counter receives");
            }
        });
        reports.send((path, whole)).expect("main receives");
    }
}

fn count(chunks: &Receiver<Chunk>, reports: &Sender<Report>) {
    for (path, text) in chunks {
        let lines = text.split(|byte| *byte == b'\n').count() - 1;
        let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        reports.send((path, Ok([lines, words]))).expect("main receives");
    }
}

fn add(one: Count, other: Count) -> Count {
    [one[0] + other[0], one[1] + other[1]]
}
