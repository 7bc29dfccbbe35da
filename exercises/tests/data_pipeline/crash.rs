//! `data-pipeline` killed and stopped, with rotated files and failing disks.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::kit::{Kit, lines, sorted};

const JOB: [&str; 14] = [
    "--by",
    "k",
    "--p",
    "v",
    "--where",
    "v!=3",
    "--out",
    "out",
    "--aggregates",
    "win",
    "--dead-letters",
    "dead",
    "--workers=2",
    "--max-keys=100000", // how far apart the sources get is up to the kills,
];

fn sources(kit: &Kit) {
    let bad = format!("not json\n{}\n", "y".repeat(3 << 20));
    kit.write("a.log", &(lines(0..150_000) + &bad + &lines(150_000..300_000)));
    kit.write("b.log", &(bad + &lines(1000..250_000)));
}

#[test]
fn killed_at_any_point_the_outputs_are_those_of_one_run() {
    let whole = Kit::new();
    sources(&whole);
    whole.ok(&[&["--file", "*.log"], &JOB[..]].concat());

    let kit = Kit::new();
    sources(&kit);
    kit.killed(&[&["--file", "*.log"], &JOB[..]].concat(), 20);
    for output in ["out", "win", "dead"] {
        let (ours, wanted) = (kit.read(output), whole.read(output));
        assert!(sorted(&ours) == sorted(&wanted), "{output} differs");
    }
}

#[test]
fn stopped_in_mid_run_it_exits_with_0_and_goes_on_later() {
    let kit = Kit::new();
    sources(&kit);
    let args = [&["--file", "*.log", "--checkpoint", "ck"], &JOB[..]].concat();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let inode = || fs::metadata(kit.path("ck")).map(|metadata| metadata.ino()).ok();
        let before = inode();
        let running = kit.start(&args);
        kit.wait_until("a checkpoint", || inode() != before);
        statuses.push(running.stop());
    }
    assert_eq!(statuses, [Some(0); 3]);
    kit.ok(&args);

    let whole = Kit::new();
    sources(&whole);
    whole.ok(&[&["--file", "*.log"], &JOB[..]].concat());
    assert!(sorted(&kit.read("out")) == sorted(&whole.read("out")));
    assert!(sorted(&kit.read("win")) == sorted(&whole.read("win")));
}

#[test]
fn a_second_process_on_a_checkpoint_is_refused() {
    let kit = Kit::new();
    kit.write("in", &lines(0..10));
    let args = ["--file", "in", "--follow", "--out", "out", "--checkpoint", "ck"];
    let running = kit.start(&args);
    kit.wait_until("the checkpoint", || kit.path("ck").exists());
    let second = kit.run(&args).expect_status(1);
    assert!(second.stderr.contains("another data-pipeline runs on the checkpoint"), "{second:#?}");
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn a_torn_checkpoint_falls_back_to_the_previous_and_loses_nothing() {
    let kit = Kit::new();
    let args = ["--file", "in", "--out", "out", "--checkpoint", "ck"];
    for part in [0..1000, 0..2000, 0..3000] {
        kit.write("in", &lines(part));
        kit.ok(&args);
        kit.ok(&args); // now there is a previous one for certain
        let whole = fs::read(kit.path("ck")).unwrap();
        fs::write(kit.path("ck"), &whole[..whole.len() / 2]).unwrap();
    }
    kit.ok(&args);
    assert_eq!(kit.read("out"), lines(0..3000));
}

#[test]
fn a_file_is_followed_through_both_kinds_of_rotation() {
    let kit = Kit::new();
    let args = ["--file", "app.log*", "--follow", "--out", "out", "--checkpoint", "ck"];
    let wait_for = |end| kit.wait_until("the output", || kit.read("out") == lines(0..end));
    kit.write("app.log", &lines(0..10));
    let running = kit.start(&args);
    wait_for(10);
    kit.append("app.log", &lines(10..20));
    wait_for(20);
    // Renamed: lines still written to the old file come first. The new name matches the pattern
    // too.
    fs::rename(kit.path("app.log"), kit.path("app.log.1")).unwrap();
    kit.append("app.log.1", &lines(20..30));
    kit.append("app.log", &lines(30..40));
    wait_for(40);
    // Copied and truncated, and stopped in between.
    assert_eq!(running.stop(), Some(0));
    fs::write(kit.path("app.log"), "").unwrap();
    kit.append("app.log", &lines(40..45));
    let running = kit.start(&args);
    wait_for(45);
    fs::write(kit.path("app.log"), "").unwrap();
    kit.append("app.log", &lines(45..60));
    wait_for(60);
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn a_file_with_a_recycled_inode_is_another_file() {
    let kit = Kit::new();
    let args = ["--file", "in", "--out", "out", "--checkpoint", "ck"];
    kit.write("in", &lines(0..1000));
    kit.ok(&args);
    // Written in place: the same inode, another beginning, and longer than before.
    kit.write("in", &lines(1000..3000));
    kit.ok(&args);
    assert_eq!(kit.read("out"), lines(0..3000));
}

#[test]
fn new_files_are_found_while_following() {
    let kit = Kit::new();
    let running = kit.start(&["--file", "*.log", "--follow", "--out", "out"]);
    kit.write("a.log", &lines(0..5));
    kit.wait_until("the first file", || kit.read("out") == lines(0..5));
    kit.write("b.log", &lines(5..9));
    kit.wait_until("the second file", || kit.read("out") == lines(0..9));
    assert_eq!(running.stop(), Some(0));
}

/// A failure is reported when it happens, not when the run is stopped.
#[test]
fn a_followed_file_that_cannot_be_read_any_more_does_not_stop_the_others() {
    let kit = Kit::new();
    kit.write("a.log", &lines(0..5));
    kit.write("b.log", &lines(5..9));
    let running = kit.start(&["--file", "*.log", "--follow", "--out", "out"]);
    kit.wait_until("both files", || sorted(&kit.read("out")) == sorted(&lines(0..9)));
    fs::rename(kit.path("a.log"), kit.path("a.old")).unwrap();
    fs::create_dir(kit.path("a.log")).unwrap();
    kit.wait_until("the warning", || kit.read("stderr").contains("a.log: it is a directory"));
    kit.append("b.log", &lines(9..12));
    kit.wait_until("more of the other", || sorted(&kit.read("out")) == sorted(&lines(0..12)));
    assert_eq!(running.stop(), Some(1));
}

/// Makes the fourth sync of a file fail, as a failing disk does.
const FAILING: &str = "#include <errno.h>
static int calls;
int fdatasync(int file) {
    (void)file;
    if (++calls != 4) return 0;
    errno = EIO;
    return -1;
}
";

/// A sync that has failed may have lost what was written before it: no checkpoint covers that.
#[test]
fn after_a_failed_sync_the_run_ends_and_the_next_one_replays() {
    let kit = Kit::new();
    kit.write("failing.c", FAILING);
    let library = kit.path("failing.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(kit.path("failing.c"));
    assert!(compiler.status().expect("cc links Rust programs too").success());

    kit.write("in", &lines(0..1000));
    let args = ["--file", "in", "--out", "out", "--checkpoint", "ck"];
    let preload = [("LD_PRELOAD", library.to_str().unwrap())];
    let mut running = kit.start_with(&[&args[..], &["--follow"]].concat(), &preload);
    kit.wait_until("a checkpoint", || kit.path("ck").exists());
    for n in 10..20 {
        kit.append("in", &lines(n * 100..(n + 1) * 100)); // each is something to sync
        let before = kit.read("ck");
        kit.wait_until("its checkpoint", || {
            kit.read("ck") != before || running.0.try_wait().unwrap().is_some()
        });
    }
    assert_eq!(running.0.wait().unwrap().code(), Some(1), "{}", kit.read("stderr"));
    assert!(kit.read("stderr").contains("cannot write to out: Input/output error"));

    // The disk has lost everything that was not synced.
    let checkpoint = kit.read("ck");
    let (_, synced) = checkpoint.split_once("\"outputs\":{\"out\":").unwrap();
    let synced = synced.split_once('}').unwrap().0.parse().unwrap();
    File::options().write(true).open(kit.path("out")).unwrap().set_len(synced).unwrap();
    kit.ok(&args);
    assert_eq!(kit.read("out"), lines(0..2000));
}
