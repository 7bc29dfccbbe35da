//! Files that cannot be read, for a while or for good: one warning each, new tries, and an exit
//! status of 1 if it lasts.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::kit::{Kit, lines, sorted};

const ARGS: [&str; 9] =
    ["--file", "*.log*", "--follow", "--poll", "10ms", "--out", "out", "--checkpoint", "ck"];

const ARGS_GZ: [&str; 7] = ["--file", "*.gz", "--follow", "--poll", "10ms", "--out", "followed"];

/// Waits for two more tries in the other process.
const TRIES: Duration = Duration::from_secs(2);

fn out(kit: &Kit, count: usize) {
    kit.wait_until("the lines", || kit.read("out").lines().count() >= count);
}

/// This text, compressed by gzip.
fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    let mut gzip = gzip.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[test]
fn an_unreadable_file_is_reported_once_and_read_once_it_is_readable() {
    let kit = Kit::new();
    kit.write("a.log", &lines(0..10));
    kit.write("b.log", &lines(10..20));
    let may = |mode| fs::set_permissions(kit.path("a.log"), Permissions::from_mode(mode)).unwrap();
    may(0o000);
    let told = "cannot read a.log: Permission denied (os error 13)";
    let tried_again = format!("{told}; it is tried again");
    let Some(running) = kit.start_as_nobody(&ARGS) else { return };
    kit.wait_until("the word", || kit.read("stderr").contains(&tried_again));
    out(&kit, 10);
    sleep(TRIES);
    assert_eq!(running.stop(), Some(1), "it is still so");
    assert_eq!(kit.read("stderr").matches(&tried_again).count(), 1, "{}", kit.read("stderr"));
    assert!(kit.read("stderr").contains(&format!("error: {told}")), "{}", kit.read("stderr"));
    kit.write("stderr", "");
    let running = kit.start_as_nobody(&ARGS).unwrap();
    kit.wait_until("the word", || kit.read("stderr").contains(&tried_again));
    may(0o644);
    out(&kit, 20);
    assert_eq!(running.stop(), Some(0), "{}", kit.read("stderr"));
    assert_eq!(sorted(&kit.read("out")), sorted(&lines(0..20)));
}

#[test]
fn a_directory_in_place_of_a_file_is_reported_once_and_the_next_file_is_read() {
    let kit = Kit::new();
    kit.write("a.log", &lines(0..10));
    let running = kit.start(&ARGS);
    out(&kit, 10);
    fs::rename(kit.path("a.log"), kit.path("old")).unwrap();
    fs::create_dir(kit.path("a.log")).unwrap();
    let told = "cannot read a.log: it is a directory; it is tried again";
    kit.wait_until("the word", || kit.read("stderr").contains(told));
    sleep(TRIES);
    fs::remove_dir(kit.path("a.log")).unwrap();
    kit.write("a.log", &lines(10..20));
    out(&kit, 20);
    assert_eq!(running.stop(), Some(0), "{}", kit.read("stderr"));
    assert_eq!(kit.read("out"), lines(0..20));
    assert_eq!(kit.read("stderr").matches(told).count(), 1, "{}", kit.read("stderr"));
}

#[test]
fn an_unreadable_directory_is_reported_or_refused() {
    let kit = Kit::new();
    fs::create_dir(kit.path("sub")).unwrap();
    kit.write("sub/a.log", &lines(0..10));
    let may = |mode| fs::set_permissions(kit.path("sub"), Permissions::from_mode(mode)).unwrap();
    let cases = [
        ("sub/a.log", 0o000, "sub/a.log"),
        ("sub/*.log", 0o000, "sub/*.log"),
        ("s*/*", 0o711, "sub"),
    ];
    for (pattern, mode, named) in cases {
        may(mode);
        let told = format!("cannot read {named}: Permission denied");
        let refused = kit.start_as_nobody(&["--file", pattern, "--out", "none"]);
        let Some(mut refused) = refused else { return };
        assert_eq!(refused.0.wait().unwrap().code(), Some(1), "{}", kit.read("stderr"));
        assert!(kit.read("stderr").contains(&told), "{}", kit.read("stderr"));
        assert!(!kit.path("none").exists());
        kit.write("stderr", "");
        let follow = ["--file", pattern, "--follow", "--poll", "10ms", "--out", "out"];
        let running = kit.start_as_nobody(&follow).unwrap();
        kit.wait_until("the word", || kit.read("stderr").contains(&told));
        may(0o755);
        out(&kit, 10);
        assert_eq!(running.stop(), Some(0), "{}", kit.read("stderr"));
        assert_eq!(kit.read("stderr").matches(&told).count(), 1, "{}", kit.read("stderr"));
    }
}

/// The run passes on what is there, fails while the end is missing, and later goes on where it was.
#[test]
fn a_compressed_file_without_its_end_fails_the_run_until_it_has_one() {
    let (kit, packed) = (Kit::new(), gzip(&lines(0..50_000)));
    let (start, end) = packed.split_at(packed.len() / 2);
    fs::write(kit.path("a.log.gz"), start).unwrap();
    let args = ["--file", "a.log.gz", "--out", "out", "--checkpoint", "ck"];
    for _ in 0..2 {
        let run = kit.run(&args).expect_status(1);
        assert!(run.stderr.contains("error: cannot read a.log.gz: "), "{run:#?}");
    }
    let torn = kit.read("out");
    assert!(!torn.is_empty() && lines(0..50_000).starts_with(&torn), "{} bytes", torn.len());
    File::options().append(true).open(kit.path("a.log.gz")).unwrap().write_all(end).unwrap();
    kit.ok(&args);
    assert!(kit.read("out") == lines(0..50_000), "{} bytes", kit.read("out").len());
}

/// All that can be unpacked comes out, the line that is cut becomes a dead letter, and one warning
/// says why there is no more.
#[test]
fn a_compressed_file_that_is_cut_off_gives_what_gzip_gives() {
    for (count, cut) in [(5_000, 500), (5_000, 4), (50_000, 1_000)] {
        let (kit, text) = (Kit::new(), lines(0..count));
        let packed = gzip(&text);
        fs::write(kit.path("a.log.gz"), &packed[..packed.len() - cut]).unwrap();
        let unpacked = Command::new("gzip").arg("-dc").arg(kit.path("a.log.gz")).output().unwrap();
        let (whole, half) = unpacked
            .stdout
            .split_at(unpacked.stdout.iter().rposition(|byte| *byte == b'\n').unwrap() + 1);
        let args = ["--file", "a.log.gz", "--out", "out", "--dead-letters", "dead"];
        let run = kit.run(&args).expect_status(1);
        assert!(
            kit.read("out").as_bytes() == whole,
            "{} of {}",
            kit.read("out").len(),
            whole.len()
        );
        assert_eq!(kit.read("dead").lines().count(), usize::from(!half.is_empty()));
        let told = "cannot read a.log.gz: its compressed data is cut off";
        assert_eq!(run.stderr.matches(&format!("warning: {told}")).count(), 1, "{run:#?}");
        assert_eq!(run.stderr.matches(&format!("error: {told}")).count(), 1, "{run:#?}");
        assert_eq!(run.stderr.matches(told).count(), 2, "{run:#?}");
        let shown = kit.command(&["check", "--sample", "a.log.gz", "-n", "50000"]).expect_status(0);
        assert!(shown.stdout.contains("a.log.gz: its compressed data is cut off"));
    }
}

#[test]
fn zeros_behind_compressed_data_are_padding_and_garbage_gets_a_warning() {
    let text = lines(0..1_000);
    for (behind, warnings) in [(&[0; 10_000][..], 0), (b"more".as_slice(), 1)] {
        let kit = Kit::new();
        fs::write(kit.path("a.log.gz"), [&gzip(&text), behind].concat()).unwrap();
        let run = kit.ok(&["--file", "a.log.gz", "--out", "out"]);
        assert_eq!(kit.read("out"), text);
        let told = "warning: a.log.gz: garbage behind its compressed data was ignored";
        assert_eq!(run.stderr.matches(told).count(), warnings, "{run:#?}");
        assert_eq!(run.stderr.matches("warning").count(), warnings, "{run:#?}");
        let running = kit.start(&ARGS_GZ);
        kit.wait_until("the lines", || kit.read("followed").lines().count() >= 1_000);
        assert_eq!(running.stop(), Some(0), "{}", kit.read("stderr"));
        assert_eq!(kit.read("stderr").matches(told).count(), warnings, "{}", kit.read("stderr"));
    }
}

#[test]
fn a_followed_compressed_file_fails_the_run_only_if_it_is_unfinished_at_the_stop() {
    let (kit, packed) = (Kit::new(), gzip(&lines(0..50_000)));
    let (start, end) = packed.split_at(packed.len() / 2);
    fs::write(kit.path("a.log.gz"), start).unwrap();
    let told = "cannot read a.log.gz: ";
    let again = |kit: &Kit| kit.read("stderr").matches("; it is tried again").count();
    let running = kit.start(&ARGS);
    kit.wait_until("the word", || again(&kit) == 1);
    assert_eq!(running.stop(), Some(1), "{}", kit.read("stderr"));
    assert!(kit.read("stderr").contains(&format!("error: {told}")), "{}", kit.read("stderr"));
    let running = kit.start(&ARGS);
    kit.wait_until("the word", || again(&kit) == 2);
    sleep(TRIES);
    File::options().append(true).open(kit.path("a.log.gz")).unwrap().write_all(end).unwrap();
    out(&kit, 50_000);
    assert_eq!(running.stop(), Some(0), "{}", kit.read("stderr"));
    assert!(kit.read("out") == lines(0..50_000), "{} bytes", kit.read("out").len());
    assert_eq!(again(&kit), 2, "{}", kit.read("stderr"));
}

/// What is there is long, and unpacked again in each try: the stop comes in the middle of one.
#[test]
fn stopped_while_a_torn_file_is_tried_again_the_run_fails() {
    let kit = Kit::new();
    let blank = " ".repeat(1 << 20) + "\n";
    let packed = gzip(&blank.repeat(32));
    fs::write(kit.path("a.log.gz"), &packed[..packed.len() - 8]).unwrap();
    let running = kit.start(&ARGS);
    let open = || {
        let files = fs::read_dir(format!("/proc/{}/fd", running.0.id())).unwrap();
        let mut files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        files.any(|file| file.ends_with("a.log.gz"))
    };
    kit.wait_until("the word", || kit.read("stderr").contains("; it is tried again"));
    kit.wait_until("its end", || !open());
    kit.wait_until("the next try", open);
    assert_eq!(running.stop(), Some(1), "{}", kit.read("stderr"));
}
