//! Random operations on files: written, renamed, copied and truncated, deleted, linked, moved and
//! compressed, while the program runs, is stopped, is killed and starts again. A model knows all
//! lines; each comes out once.
//!
//! `SEEDS=200` makes it longer, `SEED=7` runs that one alone.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::rotation::{Followed, Meanwhile, saved};

/// Seeds in every run of the tests.
const SEEDS: u64 = 16;

/// How many runs go on at the same time: each mostly waits.
const AT_ONCE: usize = 6;

/// What is done to the files with one seed.
const STEPS: u64 = 25;

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<'a>(&mut self, files: &'a [String]) -> &'a str {
        &files[self.below(files.len() as u64) as usize]
    }
}

struct Rotator {
    chance: Chance,
    followed: Followed,
    /// The files that are not compressed.
    files: Vec<String>,
    /// The number of the next new name.
    number: u64,
    done: String,
}

impl Rotator {
    fn new(seed: u64) -> Self {
        let followed = Followed::new(&["app*", "sub/*"], Meanwhile::Runs);
        fs::create_dir(followed.kit.path("sub")).unwrap();
        let (files, done) = (Vec::new(), String::new());
        Self { chance: Chance(seed), followed, files, number: 0, done }
    }

    fn step(&mut self) {
        let step = self.chance.below(15);
        let count = 1 + self.chance.below(60);
        if self.files.is_empty() || step < 3 {
            let file = match self.chance.below(4) {
                0 if !self.files.is_empty() => self.chance.one_of(&self.files).to_owned(),
                _ => "app.log".to_owned(),
            };
            let _ = write!(self.done, "write {count} to {file}; ");
            self.followed.write(&file, count);
            if !self.files.contains(&file) {
                self.files.push(file);
            }
            return;
        }
        let file = self.chance.one_of(&self.files).to_owned();
        self.number += 1;
        let number = self.number;
        match step {
            3 | 4 => self.rename(&file, &format!("{file}.{number}")),
            5 => {
                let to = format!("sub/{}.{number}", file.rsplit('/').next().unwrap());
                self.rename(&file, &to);
            }
            6 => {
                let to = format!("{file}.copy{number}");
                let _ = write!(self.done, "copytruncate {file} to {to}; ");
                self.followed.copytruncate(&file, &to);
                self.files.push(to);
                if self.chance.below(2) == 0 {
                    self.followed.write(&file, count);
                }
            }
            7 => {
                let _ = write!(self.done, "gzip {file}; ");
                let suffix = format!(".{number}.gz"); // no two get one name
                self.followed.compress("gzip", &["-S", &suffix, &file]);
                self.files.retain(|other| *other != file);
            }
            8 => self.delete(&file, count),
            12 => self.move_out(&file, count),
            13 => self.write_again(&file),
            14 => self.compress_short(),
            9 => {
                let _ = write!(self.done, "link to {file}; ");
                self.followed.links(&file, "app.link");
            }
            _ => self.turn(),
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        let _ = write!(self.done, "rename {from} to {to}; ");
        self.followed.rename(from, to);
        self.files.retain(|file| file != from);
        self.files.push(to.to_owned());
    }

    /// A file that is deleted before it is read is lost, so this waits until it was read and a
    /// checkpoint holds it.
    fn delete(&mut self, file: &str, count: u64) {
        if self.followed.running.is_none() {
            return;
        }
        let _ = write!(self.done, "delete {file}; ");
        self.followed.all_out();
        let out = self.followed.kit.read("out").len() as u64;
        self.followed.kit.wait_until("a checkpoint", || saved(&self.followed.kit) >= out);
        self.followed.remove(file);
        if self.chance.below(2) == 0 {
            self.followed.write(file, count); // often with the same inode
        } else {
            self.files.retain(|other| other != file);
        }
    }

    /// Renames a file that was silent to a name that no pattern matches, and its writer goes on.
    fn move_out(&mut self, file: &str, count: u64) {
        if self.followed.running.is_none() {
            return;
        }
        self.followed.all_out();
        let to = format!("{file}.{}", self.number).replace("sub/", "").replace("app", "out.");
        let _ = write!(self.done, "move {file} out to {to} and write {count}; ");
        thread::sleep(Duration::from_millis(400)); // longer than `--rotate-wait`
        self.followed.rename(file, &to);
        self.files.retain(|other| other != file);
        self.followed.write(&to, count);
    }

    /// Truncates a file and writes the same lines to it. If they were copied away before they are
    /// read, the copy would be one of the first ones.
    fn write_again(&mut self, file: &str) {
        let text = self.followed.kit.read(file);
        if self.followed.running.is_none() || text.is_empty() {
            return;
        }
        self.followed.all_out();
        let _ = write!(self.done, "write {file} again; ");
        self.followed.truncate(file);
        self.followed.write_again(file, &text);
        self.followed.all_out();
    }

    /// A file with one line is compressed under a name that does not extend its own.
    fn compress_short(&mut self) {
        if self.followed.running.is_none() {
            return;
        }
        let (from, to) = (format!("app.{}", self.number), format!("sub/{}", self.number));
        let _ = write!(self.done, "write 1 to {from} and compress it to {to}.gz; ");
        self.followed.write(&from, 1);
        self.followed.all_out();
        if self.chance.below(2) == 0 {
            self.turn();
        }
        self.followed.rename(&from, &to);
        self.followed.compress("gzip", &[&to]);
    }

    /// Stops or kills the program, or starts it again.
    fn turn(&mut self) {
        if self.followed.running.is_some() {
            let kills = self.chance.below(2) == 0;
            self.followed.meanwhile = if kills { Meanwhile::Killed } else { Meanwhile::Stopped };
            let _ = write!(self.done, "{:?}; ", self.followed.meanwhile);
            self.followed.pause();
        } else {
            self.done += "start; ";
            self.followed.start();
        }
    }
}

fn rotate(seed: u64) -> Result<(), String> {
    let mut rotator = Rotator::new(seed);
    rotator.followed.write("app.log", 20);
    rotator.files.push("app.log".to_owned());
    rotator.followed.start();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..STEPS {
            rotator.step();
            let pause = rotator.chance.below(40);
            thread::sleep(Duration::from_millis(pause)); // in another process: at some point of a look
        }
        rotator.followed.resume();
        rotator.followed.all_out();
        thread::sleep(Duration::from_millis(700)); // a copy is held for `--rotate-wait`
        rotator.followed.all_out();
        assert_eq!(rotator.followed.running.take().unwrap().stop(), Some(0));
        rotator.followed.start(); // nothing comes again
        rotator.followed.write("app.new", 1);
        rotator.followed.all_out();
    }));
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map_or("", String::as_str);
        format!("seed {seed}: {}\n{text}", rotator.done)
    })
}

#[test]
fn whatever_happens_to_files_each_line_comes_out_once() {
    let setting = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = setting("SEED") {
        rotate(seed).unwrap();
        return;
    }
    let (next, seeds) = (AtomicU64::new(0), setting("SEEDS").unwrap_or(SEEDS));
    let failures: Vec<_> = thread::scope(|scope| {
        let work = || {
            let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds);
            std::iter::from_fn(take).filter_map(|seed| rotate(seed).err()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} of {seeds}:\n{}", failures.len(), failures.join("\n\n"));
}
