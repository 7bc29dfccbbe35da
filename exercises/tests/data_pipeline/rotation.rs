//! Files as logrotate, Kubernetes and people treat them: each line once, whatever happens to the file
//! that it is in. Each case runs three times: while the program runs, and with the program stopped
//! or killed in between.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::kit::{Kit, Running, lines, sorted};

/// What happens to the program while the files are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Runs,
    Stopped,
    Killed,
}

const ALL: [Meanwhile; 3] = [Meanwhile::Runs, Meanwhile::Stopped, Meanwhile::Killed];

/// Checks files often and closes old ones soon, so that tests need not wait long.
const SOON: [&str; 4] = ["--poll", "10ms", "--rotate-wait", "300ms"];

/// The deadline for a line: none takes this long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A followed folder.
pub(crate) struct Followed {
    pub(crate) kit: Kit,
    args: Vec<&'static str>,
    pub(crate) running: Option<Running>,
    pub(crate) meanwhile: Meanwhile,
    /// The number of the next line.
    next: u64,
    /// Lines that were written a second time.
    again: String,
}

impl Followed {
    pub(crate) fn new(patterns: &[&'static str], meanwhile: Meanwhile) -> Self {
        let files = patterns.iter().flat_map(|pattern| ["--file", *pattern]);
        let rest = ["--follow", "--out", "out", "--checkpoint", "ck", "--dead-letters", "dead"];
        let args = files.chain(rest).chain(SOON).collect();
        let (next, again) = (0, String::new());
        Self { kit: Kit::new(), args, running: None, meanwhile, next, again }
    }

    pub(crate) fn start(&mut self) {
        self.running = Some(self.kit.start(&self.args));
    }

    /// Appends `count` new lines to a file.
    pub(crate) fn write(&mut self, file: &str, count: u64) {
        let text = lines(self.next..self.next + count);
        self.next += count;
        self.kit.append(file, &text);
    }

    fn wanted(&self) -> String {
        lines(0..self.next) + &self.again
    }

    /// Waits until all lines have come out.
    pub(crate) fn all_out(&self) {
        let wanted = self.wanted();
        let started = Instant::now();
        while self.kit.read("out").len() < wanted.len() {
            assert!(started.elapsed() < PATIENCE, "{}", self.difference());
            sleep(Duration::from_millis(5)); // another process is waited for
        }
        assert!(sorted(&self.kit.read("out")) == sorted(&wanted), "{}", self.difference());
    }

    fn difference(&self) -> String {
        let (out, wanted) = (self.kit.read("out"), self.wanted());
        let mut counts = std::collections::BTreeMap::<_, i64>::new();
        out.lines().for_each(|line| *counts.entry(line).or_default() += 1);
        wanted.lines().for_each(|line| *counts.entry(line).or_default() -= 1);
        counts.retain(|_, count| *count != 0);
        let mut text = format!("{:?}: too many or too few:\n", self.meanwhile);
        for (line, count) in counts.iter().take(20) {
            let _ = writeln!(text, "{count:+} {line}");
        }
        text + &self.kit.read("stderr")
    }

    /// What the case says: the program goes on, is stopped, or is killed.
    pub(crate) fn pause(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        match self.meanwhile {
            Meanwhile::Runs => self.running = Some(running),
            Meanwhile::Stopped => {
                let status = running.stop();
                // A signal that comes before the program handles signals would kill it.
                let is_right = matches!(status, Some(0) | None);
                assert!(is_right, "{status:?}: {}", self.kit.read("stderr"));
            }
            Meanwhile::Killed => {
                // The program cannot look for a file that no checkpoint knows.
                let out = self.kit.read("out").len() as u64;
                self.kit.wait_until("a checkpoint", || saved(&self.kit) >= out);
                running.0.kill().unwrap();
                running.0.wait().unwrap();
            }
        }
    }

    pub(crate) fn resume(&mut self) {
        if self.running.is_none() {
            self.start();
        }
    }

    /// Every line is out once, even after some time and after another start.
    pub(crate) fn finish(mut self) {
        self.all_out();
        sleep(Duration::from_millis(700)); // in another process; a copy is held for `--rotate-wait`
        self.all_out();
        assert_eq!(self.running.take().unwrap().stop(), Some(0), "{}", self.kit.read("stderr"));
        self.start();
        self.write("app.log", 1);
        self.all_out();
        assert_eq!(self.running.take().unwrap().stop(), Some(0));
        self.all_out();
        assert_eq!(self.kit.read("dead"), "", "{:?}", self.meanwhile);
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.kit.path(from), self.kit.path(to)).unwrap();
    }

    pub(crate) fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.kit.path(from), self.kit.path(to)).unwrap();
        File::options().write(true).open(self.kit.path(from)).unwrap().set_len(0).unwrap();
    }

    /// Truncates a file, and waits until a checkpoint knows that it is empty.
    pub(crate) fn truncate(&self, name: &str) {
        let inode = fs::metadata(self.kit.path(name)).unwrap().ino();
        let empty_ones = || {
            let checkpoint = checkpoint(&self.kit);
            let files = checkpoint["files"].as_object().cloned().unwrap_or_default();
            let of_this = files.into_iter().filter(|(_, file)| file["id"]["inode"] == inode);
            let empty = of_this.filter(|(_, file)| file["read"]["position"] == 0);
            empty.map(|(name, _)| name).collect::<Vec<_>>()
        };
        let out = self.kit.read("out").len() as u64;
        self.kit.wait_until("a checkpoint", || saved(&self.kit) >= out);
        let before = empty_ones();
        File::options().write(true).open(self.kit.path(name)).unwrap().set_len(0).unwrap();
        self.kit
            .wait_until("an empty file", || empty_ones().iter().any(|name| !before.contains(name)));
    }

    /// Writes these lines, which were there before.
    pub(crate) fn write_again(&mut self, file: &str, text: &str) {
        self.again += text;
        self.kit.append(file, text);
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.kit.path(name)).unwrap();
    }

    pub(crate) fn compress(&self, program: &str, args: &[&str]) {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.kit.path("."));
        assert!(command.status().unwrap().success());
    }

    pub(crate) fn links(&self, to: &str, link: &str) {
        let new = self.kit.path("new-link");
        symlink(self.kit.path(to), &new).unwrap();
        fs::rename(new, self.kit.path(link)).unwrap();
    }
}

/// How much of the output the checkpoint covers.
pub(crate) fn saved(kit: &Kit) -> u64 {
    checkpoint(kit)["outputs"]["out"].as_u64().unwrap_or(0)
}

fn checkpoint(kit: &Kit) -> serde_json::Value {
    let checkpoint = kit.read("ck");
    let body = checkpoint.split_once('\n').map_or("{}", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_default()
}

/// Runs a case three times. Before it, some lines are out, and others are written and may not be
/// out yet.
fn each(patterns: &[&'static str], case: impl Fn(&mut Followed)) {
    for meanwhile in ALL {
        let mut followed = Followed::new(patterns, meanwhile);
        followed.write("app.log", 100);
        followed.start();
        followed.all_out();
        case(&mut followed);
        followed.finish();
    }
}

#[test]
fn numbered_by_rename_even_where_the_pattern_matches_old_files() {
    for pattern in ["app.log", "app.log*"] {
        each(&[pattern], |followed| {
            followed.write("app.log", 10);
            followed.pause();
            followed.write("app.log", 10);
            followed.rename("app.log", "app.log.1");
            followed.write("app.log", 10);
            followed.resume();
            followed.all_out();
            followed.pause();
            followed.write("app.log", 5);
            followed.rename("app.log.1", "app.log.2");
            followed.rename("app.log", "app.log.1");
            followed.write("app.log", 200);
            followed.resume();
        });
    }
}

#[test]
fn dated_and_into_another_folder_that_is_read_too() {
    each(&["app*.log", "old/*.log"], |followed| {
        fs::create_dir(followed.kit.path("old")).unwrap();
        followed.pause();
        followed.write("app.log", 10);
        followed.rename("app.log", "app-20260301.log");
        followed.write("app.log", 10);
        followed.resume();
        followed.all_out();
        followed.pause();
        followed.write("app.log", 7);
        followed.rename("app-20260301.log", "old/app-20260301.log");
        followed.rename("app.log", "old/app.log");
        followed.write("old/app.log", 3);
        followed.write("app.log", 10);
        followed.resume();
    });
}

#[test]
fn files_that_take_each_others_names_in_a_circle() {
    each(&["app.log*"], |followed| {
        for file in ["app.log.1", "app.log.2"] {
            followed.write(file, 30);
        }
        followed.all_out();
        for _ in 0..3 {
            followed.pause();
            followed.write("app.log", 3);
            followed.rename("app.log", "aside");
            followed.rename("app.log.2", "app.log");
            followed.rename("app.log.1", "app.log.2");
            followed.rename("aside", "app.log.1");
            followed.write("app.log", 3);
            followed.write("app.log.2", 2);
            followed.resume();
            followed.all_out();
        }
    });
}

#[test]
fn copied_and_truncated_even_to_a_longer_file_with_the_copy_in_sight() {
    for pattern in ["app.log", "app.log*"] {
        for new in [0, 20, 500] {
            each(&[pattern], |followed| {
                followed.pause();
                followed.write("app.log", 50);
                followed.copytruncate("app.log", "app.log.1");
                followed.write("app.log", new);
                followed.resume();
                followed.write("app.log", 10);
            });
        }
    }
}

#[test]
fn a_slow_copy_is_not_read_while_it_is_made() {
    let mut followed = Followed::new(&["app.log*"], Meanwhile::Runs);
    followed.write("app.log", 10_000);
    followed.start();
    followed.all_out();
    let text = followed.kit.read("app.log");
    for part in text.as_bytes().chunks(text.len() / 30) {
        followed.kit.append("app.log.1", std::str::from_utf8(part).unwrap());
        sleep(Duration::from_millis(30)); // as slow as a copy of a large file
    }
    followed.write("app.log", 5); // lost between copy and truncation, had it not been read
    followed.all_out();
    File::options().write(true).open(followed.kit.path("app.log")).unwrap().set_len(0).unwrap();
    followed.write("app.log", 20);
    followed.finish();
}

/// As when the program starts between the copy and the truncation.
#[test]
fn a_copy_found_together_with_its_original_waits_too() {
    let mut followed = Followed::new(&["app.log*"], Meanwhile::Runs);
    *followed.args.last_mut().unwrap() = "1m"; // the truncation comes in time on any machine
    followed.write("app.log", 100);
    fs::copy(followed.kit.path("app.log"), followed.kit.path("app.log.1")).unwrap();
    followed.start();
    followed.all_out();
    File::options().write(true).open(followed.kit.path("app.log")).unwrap().set_len(0).unwrap();
    followed.write("app.log", 20);
    followed.finish();
}

#[test]
fn deleted_and_created_again_with_the_same_inode() {
    for count in [3, 400] {
        each(&["app.log"], |followed| {
            followed.pause();
            followed.remove("app.log");
            followed.write("app.log", count); // often the same inode
            followed.resume();
            followed.all_out();
            followed.pause();
            let text = lines(followed.next..followed.next + count);
            followed.next += count;
            followed.kit.write("app.log", &text); // the same inode for certain
            followed.resume();
        });
    }
}

#[test]
fn renamed_and_compressed_whether_or_not_the_pattern_matches_that() {
    for pattern in ["app.log", "app.log*"] {
        for (program, option) in [("gzip", "-q"), ("zstd", "-q")] {
            each(&[pattern], |followed| {
                followed.pause();
                followed.write("app.log", 30);
                followed.rename("app.log", "app.log.1");
                followed.write("app.log", 10);
                let remove = if program == "zstd" { "--rm" } else { "-f" };
                followed.compress(program, &[option, remove, "app.log.1"]);
                followed.resume();
                followed.write("app.log", 10);
            });
        }
    }
}

/// A hundred files are in sight, compressed; the program may have 64 open.
#[test]
fn compressed_files_are_read_once_and_not_kept_open() {
    let mut followed = Followed::new(&["app.log*"], Meanwhile::Runs);
    for number in 0..20 {
        let name = format!("app.log.{number}");
        followed.write(&name, 10);
        followed.compress("gzip", &[&name]);
    }
    followed.write("app.log", 1);
    followed.start();
    followed.all_out();
    let running = followed.running.as_ref().unwrap().0.id();
    followed.kit.wait_until("the files to be closed", || open_in(running, &followed.kit) <= 1);
    followed.finish();
}

/// How many files of this test the program has open for reading: all but its outputs.
fn open_in(process: u32, kit: &Kit) -> usize {
    let folder = kit.path(".").canonicalize().unwrap();
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let paths = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let ours = |path: &Path| path.starts_with(&folder) && path.to_string_lossy().contains("log");
    paths.filter(|path| ours(path)).count()
}

#[test]
fn a_writer_that_goes_on_with_the_old_file_is_waited_for() {
    each(&["app.log"], |followed| {
        followed.pause();
        followed.rename("app.log", "app.log.1");
        followed.write("app.log", 10);
        followed.resume();
        followed.all_out();
        for _ in 0..10 {
            followed.write("app.log.1", 7); // as until logrotate runs `postrotate`
            followed.write("app.log", 3);
            sleep(Duration::from_millis(20));
        }
    });
}

/// The silence before the rotation does not count, and a line may have been written by half.
#[test]
fn a_writer_that_was_silent_for_long_is_waited_for_too() {
    let mut followed = Followed::new(&["*.log"], Meanwhile::Runs);
    *followed.args.last_mut().unwrap() = "3s";
    let names = ["renamed.log", "replaced.log", "deleted.log"];
    for name in names {
        followed.write(name, 10);
    }
    let open = |name: &&str| File::options().append(true).open(followed.kit.path(name)).unwrap();
    let mut writers: Vec<_> = names.iter().map(open).collect();
    followed.start();
    followed.all_out();
    let last = lines(followed.next..followed.next + 30);
    let (half, rest) = last.split_at(20);
    writers[0].write_all(half.as_bytes()).unwrap();
    sleep(Duration::from_millis(3500)); // another process is to find the files quiet
    followed.rename("renamed.log", "renamed.log.1");
    followed.rename("replaced.log", "replaced.log.1");
    followed.kit.write("replaced.log", "");
    followed.remove("deleted.log");
    sleep(Duration::from_millis(500)); // as until logrotate runs `postrotate`
    let middle = rest.len() / 2 + rest[rest.len() / 2..].find('\n').unwrap() + 1;
    writers[0].write_all(&rest.as_bytes()[..middle]).unwrap();
    writers[1].write_all(&rest.as_bytes()[middle..]).unwrap();
    followed.next += 30;
    writers[2].write_all(lines(followed.next..followed.next + 5).as_bytes()).unwrap();
    followed.next += 5;
    followed.all_out();
    assert_eq!(followed.running.take().unwrap().stop(), Some(0));
    followed.all_out();
    assert_eq!(followed.kit.read("dead"), "");
}

/// With a copy or without one, and whether or not the program runs when the content comes again.
#[test]
fn a_truncated_file_that_gets_the_same_lines_again_gives_them_again() {
    for copy in [None, Some("app.log.1")] {
        each(&["app.log"], |followed| {
            let text = followed.kit.read("app.log");
            if let Some(copy) = copy {
                fs::copy(followed.kit.path("app.log"), followed.kit.path(copy)).unwrap();
            }
            followed.truncate("app.log");
            followed.pause();
            followed.write_again("app.log", &text);
            followed.resume();
            followed.all_out();
            followed.truncate("app.log");
            followed.write_again("app.log", &text);
            followed.write("app.log", 1);
        });
    }
}

#[test]
fn short_files_that_are_renamed_and_compressed() {
    for count in [1, 2] {
        each(&["app*"], |followed| {
            followed.write("app.log.1", count);
            followed.write("app.jobs", count);
            followed.all_out();
            followed.pause();
            followed.rename("app.log.1", "app.log.2");
            followed.compress("gzip", &["app.log.2"]);
            followed.rename("app.jobs", "app-20260301.jobs");
            followed.compress("zstd", &["-q", "--rm", "app-20260301.jobs"]);
            followed.rename("app.log", "app.log.1");
            followed.write("app.log", 1);
            followed.resume();
            followed.all_out();
            assert!(!followed.kit.read("stderr").contains("no longer there"));
        });
    }
}

/// It gets its first line, and is renamed to a name that no pattern matches before the program
/// checks again.
#[test]
fn an_empty_file_that_is_filled_and_renamed_at_once() {
    let mut followed = Followed::new(&["app.log"], Meanwhile::Runs);
    followed.write("app.log", 100);
    followed.start();
    followed.all_out();
    let process = followed.running.as_ref().unwrap().0.id();
    for round in 0..20 {
        followed.rename("app.log", &format!("app.log.{round}"));
        followed.kit.write("app.log", "");
        followed.kit.wait_until("the empty file", || {
            let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
            let mut paths = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
            paths.any(|path| path.ends_with("app.log"))
        });
        followed.write("app.log", 1);
        sleep(Duration::from_millis(round % 4 * 5)); // the program may have seen the first line
    }
    followed.finish();
}

#[test]
fn a_link_to_a_rotating_file_and_a_link_that_changes_its_target() {
    for meanwhile in ALL {
        let mut followed = Followed::new(&["app.link"], meanwhile);
        fs::create_dir(followed.kit.path("pod")).unwrap();
        followed.write("pod/0.log", 50);
        followed.links("pod/0.log", "app.link");
        followed.start();
        followed.all_out();
        followed.pause(); // as a kubelet rotates
        followed.write("pod/0.log", 20);
        followed.rename("pod/0.log", "pod/0.log.20260301");
        followed.write("pod/0.log", 20);
        followed.resume();
        followed.all_out();
        followed.pause(); // as when a container starts again
        followed.write("pod/0.log", 20);
        followed.write("pod/1.log", 20);
        followed.links("pod/1.log", "app.link");
        followed.resume();
        followed.all_out();
        followed.write("pod/1.log", 5);
        followed.links("pod/1.log", "app.log"); // another link, to where `finish` writes
        followed.finish();
    }
}

#[test]
fn one_file_by_many_paths_gives_each_line_once() {
    for meanwhile in ALL {
        let mut followed =
            Followed::new(&["*.log", "./app.log", "./*.log", "sub/../app.log"], meanwhile);
        fs::create_dir(followed.kit.path("sub")).unwrap();
        followed.write("app.log", 50);
        followed.links("app.log", "link.log");
        fs::hard_link(followed.kit.path("app.log"), followed.kit.path("hard.log")).unwrap();
        followed.start();
        followed.all_out();
        followed.pause();
        followed.write("hard.log", 10);
        followed.links("hard.log", "another.log");
        followed.resume();
        followed.finish();
    }
}

#[test]
fn one_file_by_two_absolute_and_relative_paths_in_one_run() {
    let kit = Kit::new();
    kit.write("in", &lines(0..10));
    let absolute = kit.path("in");
    let files = ["--file", "in", "--file", absolute.to_str().unwrap(), "--file", "./i*"];
    kit.ok(&[&files[..], &["--out", "out", "--checkpoint", "ck"]].concat());
    kit.append("in", &lines(10..20));
    kit.ok(&["--file", absolute.to_str().unwrap(), "--out", "out", "--checkpoint", "ck"]);
    assert_eq!(kit.read("out"), lines(0..20));
}

#[test]
fn deleted_files_are_read_to_their_ends_and_closed_and_hold_no_window_open() {
    let kit = Kit::new();
    let windows = ["--by", "k", "--aggregates", "win", "--lateness", "0s"];
    let args = ["--file", "*.log", "--follow", "--out", "out", "--checkpoint", "ck"];
    for number in 0..8 {
        kit.write(&format!("{number}.log"), &lines(number * 10..number * 10 + 10));
    }
    let mut running = kit.start(&[&args[..], &windows, &SOON].concat());
    kit.wait_until("all lines", || kit.read("out").lines().count() == 80);
    assert_eq!(open_in(running.0.id(), &kit), 8);
    for number in 0..7 {
        kit.append(&format!("{number}.log"), &lines(1000..1001));
        fs::remove_file(kit.path(&format!("{number}.log"))).unwrap();
    }
    kit.wait_until("the last lines", || kit.read("out").lines().count() == 87);
    kit.wait_until("the files to be closed", || open_in(running.0.id(), &kit) == 1);
    // Event time goes on in the remaining file: the files that are gone hold no windows open.
    kit.append("7.log", &lines(5000..5500));
    kit.wait_until("its windows", || kit.read("win").contains("00:00:53Z"));
    assert!(running.0.try_wait().unwrap().is_none());
    assert_eq!(running.stop(), Some(0));
    assert!(kit.read("ck").contains("\"closed\":1"), "{}", kit.read("ck"));
}

#[test]
fn with_few_descriptors_many_files_that_come_and_go_are_read() {
    let kit = Kit::new();
    let command = format!(
        "ulimit -n 64; exec {} run --file '*.log' --follow --out out --checkpoint ck {}",
        crate::kit::PROGRAM,
        SOON.join(" ")
    );
    let log = File::create(kit.path("stderr")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(kit.path(".")).stderr(log);
    let running = Running(shell.spawn().unwrap());
    for number in 0..150 {
        kit.write(&format!("{number}.log"), &lines(number..number + 1));
        kit.wait_until("the line", || kit.read("out").lines().count() as u64 == number + 1);
        if number >= 10 {
            fs::remove_file(kit.path(&format!("{}.log", number - 10))).unwrap();
        }
    }
    assert_eq!(running.stop(), Some(0), "{}", kit.read("stderr"));
    assert_eq!(sorted(&kit.read("out")), sorted(&lines(0..150)));
}

#[test]
fn a_last_line_without_a_line_feed_is_left_for_the_next_run() {
    let kit = Kit::new();
    let args = ["--file", "in", "--out", "out", "--checkpoint", "ck"];
    kit.write("in", "{\"n\":1}\n{\"n\":2");
    let run = kit.ok(&args);
    assert_eq!(kit.read("out"), "{\"n\":1}\n");
    assert!(run.stderr.contains("in: the last line has not ended yet"), "{run:#?}");
    kit.append("in", "2}\n{\"n\":3}\n");
    kit.ok(&args);
    assert_eq!(kit.read("out"), "{\"n\":1}\n{\"n\":22}\n{\"n\":3}\n");
    kit.append("in", "{\"n\":4}");
    kit.ok(&[&args[..], &["--final-line"]].concat());
    assert!(kit.read("out").ends_with("{\"n\":3}\n{\"n\":4}\n"));
    // Without a checkpoint there is no next run to leave it for.
    kit.ok(&["--file", "in", "--out", "all"]);
    assert_eq!(kit.read("all"), kit.read("out"));
}

/// The writer does not append: after the truncation it writes on where it was, and leaves a hole.
#[test]
fn the_hole_that_a_writer_leaves_after_copytruncate_is_skipped_and_counted() {
    for meanwhile in ALL {
        let mut followed = Followed::new(&["app.log"], meanwhile);
        followed.write("app.log", 100);
        followed.start();
        followed.all_out();
        followed.pause();
        followed.copytruncate("app.log", "app.log.1");
        let mut writer = File::options().write(true).open(followed.kit.path("app.log")).unwrap();
        writer.seek(SeekFrom::Start(100 << 20)).unwrap();
        writer.write_all(lines(followed.next..followed.next + 20).as_bytes()).unwrap();
        followed.next += 20;
        followed.resume();
        followed.all_out();
        assert!(followed.kit.read("stderr").contains("app.log@2: NUL bytes at the head of a line"));
        followed.finish();
    }
}

#[test]
fn a_mark_at_the_head_is_skipped_and_control_bytes_in_dead_letters_take_no_more_room() {
    let kit = Kit::new();
    let text = "\u{feff}{\"a\":1}\n\0\0\0{\"a\":2}\nb\u{1}d\n\t{\"a\":\n";
    kit.write("in", text);
    kit.ok(&["--file", "in", "--out", "out", "--dead-letters", "dead"]);
    assert_eq!(kit.read("out"), "{\"a\":1}\n{\"a\":2}\n");
    let dead = kit.read("dead");
    let dead: Vec<_> = dead.lines().collect();
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead[0].ends_with("\"raw_base64\":\"YgFkCg==\"}"), "{dead:?}");
    assert!(dead[1].ends_with("\"raw\":\"\\t{\\\"a\\\":\"}"), "{dead:?}");
}

#[test]
fn a_file_that_disappeared_while_nothing_ran_is_named() {
    let kit = Kit::new();
    let args = ["--file", "*.log", "--follow", "--out", "out", "--checkpoint", "ck"];
    kit.write("a.log", &lines(0..10));
    kit.write("b.log", &lines(10..20));
    kit.write("c.log", "");
    let running = kit.start(&args);
    kit.wait_until("all lines", || kit.read("out").lines().count() == 20);
    assert_eq!(running.stop(), Some(0));
    fs::create_dir(kit.path("away")).unwrap();
    fs::rename(kit.path("a.log"), kit.path("away/a.log")).unwrap();
    kit.write("c.log", &lines(20..30)); // nobody knows what is in it
    fs::rename(kit.path("c.log"), kit.path("c.log.1")).unwrap();
    let gzip = Command::new("gzip").arg(kit.path("c.log.1")).status().unwrap();
    assert!(gzip.success());
    for told in [1, 1] {
        let running = kit.start(&args);
        kit.append("b.log", &lines(0..1));
        let before = kit.read("out").len();
        kit.wait_until("the line", || kit.read("out").len() > before);
        assert_eq!(running.stop(), Some(0));
        let warning = "no longer there, so not read further: a.log (read up to byte 390), c.log \
                       (read up to byte 0)";
        assert_eq!(kit.read("stderr").matches(warning).count(), told, "{}", kit.read("stderr"));
    }
}

/// Its copy is overwritten by a copy of what was written and truncated since: nobody can know that.
#[test]
fn a_rotated_file_that_was_overwritten_while_nothing_ran_is_named() {
    let mut followed = Followed::new(&["app.log"], Meanwhile::Stopped);
    followed.write("app.log", 10);
    followed.start();
    followed.all_out();
    fs::copy(followed.kit.path("app.log"), followed.kit.path("app.log.1")).unwrap();
    followed.truncate("app.log");
    followed.pause();
    followed.kit.append("app.log", &lines(100..120));
    followed.copytruncate("app.log", "app.log.1");
    followed.write("app.log", 10);
    followed.resume();
    followed.all_out();
    let warning = "no longer there, so not read further: app.log (read up to byte 390)";
    assert!(followed.kit.read("stderr").contains(warning), "{}", followed.kit.read("stderr"));
}

/// The real logrotate, in each of its modes, three times each.
#[test]
fn logrotate() {
    if Command::new("logrotate").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "logrotate is not installed");
        eprintln!("left out: logrotate is not installed");
        return;
    }
    for way in [
        "create",
        "create\n compress\n delaycompress",
        "create\n compress\n dateext\n dateformat -%s",
        "copytruncate",
        "copytruncate\n compress",
    ] {
        for pattern in ["app.log", "app.log*"] {
            each(&[pattern], |followed| {
                let log = followed.kit.path("app.log");
                let text = format!("{} {{\n rotate 9\n missingok\n {way}\n}}\n", log.display());
                followed.kit.write("rotate.conf", &text);
                followed.compress("chmod", &["644", "rotate.conf", "app.log"]);
                for round in 1..=3 {
                    followed.write("app.log", 20 * round);
                    followed.pause();
                    followed.write("app.log", round);
                    followed.compress("logrotate", &["--state", "state", "--force", "rotate.conf"]);
                    followed.write("app.log", 10);
                    followed.resume();
                    followed.all_out();
                    // `%s` names a file by the second.
                    sleep(Duration::from_millis(if way.contains("dateext") { 1001 } else { 0 }));
                }
            });
        }
    }
}

#[test]
fn compressed_files_are_read_to_their_end_and_not_again() {
    let kit = Kit::new();
    let args = ["--file", "*.log*", "--out", "out", "--checkpoint", "ck"];
    for (number, program) in [(0, "gzip"), (1, "zstd")] {
        let name = format!("{number}.log");
        kit.write(&name, &lines(number * 1000..number * 1000 + 1000));
        let mut command = Command::new(program);
        assert!(command.arg("-q").arg(kit.path(&name)).status().unwrap().success());
        let _ = fs::remove_file(kit.path(&name)); // zstd leaves it
    }
    kit.ok(&args);
    assert_eq!(sorted(&kit.read("out")), sorted(&lines(0..2000)));
    kit.ok(&args);
    assert_eq!(kit.read("out").lines().count(), 2000);
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let kit = Kit::new();
    for number in 0..100 {
        kit.write(&format!("{number}.log"), &lines(number..number + 1));
    }
    let args = ["--file", "*.log", "--follow", "--out", "out", "--checkpoint", "ck"];
    let running = kit.start(&args);
    kit.wait_until("all lines", || kit.read("out").lines().count() == 100);
    let stamp = || fs::metadata(kit.path("ck")).and_then(|ck| ck.modified()).ok();
    let mut before = stamp();
    kit.wait_until("the last checkpoint", || {
        sleep(Duration::from_secs(1));
        std::mem::replace(&mut before, stamp()) == stamp()
    });
    sleep(Duration::from_secs(1)); // four times the time between two checkpoints
    assert_eq!(stamp(), before);
    assert_eq!(running.stop(), Some(0));
}
