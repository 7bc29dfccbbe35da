//! Nothing is touched before everything is known to be right.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::kit::{Kit, PROGRAM, lines};

const KEPT: &str = "these lines\nare still there\n";

/// A folder with an input, and an output that already holds something.
fn kit() -> Kit {
    let kit = Kit::new();
    kit.write("in.log", &lines(0..10));
    kit.write("o", KEPT);
    kit
}

/// `run` and `check` refuse these settings with one line that contains these texts, and leave the
/// output unchanged.
fn refused(kit: &Kit, args: &[&str], says: &[&str]) {
    refused_with(1, kit, args, says);
}

/// The same for settings that have to change: a restart cannot mend them.
fn wrong(kit: &Kit, args: &[&str], says: &[&str]) {
    refused_with(2, kit, args, says);
}

fn refused_with(status: i32, kit: &Kit, args: &[&str], says: &[&str]) {
    for command in ["run", "check"] {
        let run = kit.command(&[&[command], args].concat()).expect_status(status);
        for part in says {
            assert!(run.stderr.contains(part), "{part}: {run:#?}");
        }
        let shown = if says[0].starts_with("invalid ") { 3 } else { 1 }; // with its place
        assert_eq!(run.stderr.lines().count(), shown, "{run:#?}");
        assert_eq!(kit.read("o"), KEPT, "{args:?}");
        assert_eq!(kit.read("in.log"), lines(0..10), "{args:?}");
        assert!(!kit.path("new").exists(), "{args:?}");
    }
}

#[test]
fn a_file_that_is_read_is_never_written() {
    let kit = kit();
    symlink("in.log", kit.path("link")).unwrap();
    fs::hard_link(kit.path("in.log"), kit.path("hard")).unwrap();
    for out in ["in.log", "link", "hard", "./in.log"] {
        let both = [&format!("--file in.log and --out {out} are one file")[..]];
        wrong(&kit, &["--file", "in.log", "--out", out], &both);
        wrong(&kit, &["--file", "in.log", "--out", out, "--checkpoint", "ck"], &both);
    }
    let glob = ["--file *.log (in.log) and --dead-letters hard are one file"];
    wrong(&kit, &["--file", "*.log", "--out", "new", "--dead-letters", "hard"], &glob);
    let stdin = File::open(kit.path("in.log")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--stdin", "--out"]).arg(kit.path("hard")).stdin(stdin);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("--stdin and --out ") && stderr.contains("are one file"), "{stderr}");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(kit.read("in.log"), lines(0..10));
}

#[test]
fn an_output_that_would_be_found_as_a_source_is_refused_before_it_is_there() {
    let kit = kit();
    let says = ["--file *.log matches --out new.log"];
    wrong(&kit, &["--file", "*.log", "--out", "new.log"], &says);
    wrong(&kit, &["--file", "*.log", "--follow", "--out", "new.log"], &says);
    assert!(!kit.path("new.log").exists());
    let state = ["--file *.log matches --checkpoint state.log"];
    wrong(&kit, &["--file", "*.log", "--out", "o", "--checkpoint", "state.log"], &state);
}

#[test]
fn no_file_has_two_outputs_or_is_output_and_checkpoint() {
    let kit = kit();
    symlink("o", kit.path("link")).unwrap();
    symlink("nowhere", kit.path("dangling")).unwrap();
    let args = |more: &[&'static str]| [&["--file", "in.log", "--out", "o"], more].concat();
    wrong(&kit, &args(&["--out", "link"]), &["--out o and --out link are one file"]);
    wrong(&kit, &args(&["--aggregates", "./o"]), &["--out o and --aggregates ./o are one file"]);
    wrong(&kit, &args(&["--checkpoint", "link"]), &["--out o and --checkpoint link are one file"]);
    let lock = ["--dead-letters ck.lock and --checkpoint ck (ck.lock) are one file"];
    wrong(&kit, &args(&["--dead-letters", "ck.lock", "--checkpoint", "ck"]), &lock);
    let both = ["--out dangling and --dead-letters nowhere are one file"];
    wrong(&kit, &["--file", "in.log", "--out", "dangling", "--dead-letters", "nowhere"], &both);
    // A path that is not a regular file may have any number of roles.
    kit.ok(&["--file", "in.log", "--out", "/dev/null", "--out", "/dev/stdout", "--out", "-"]);
}

#[test]
fn an_error_in_any_setting_leaves_all_outputs_as_they_were() {
    let kit = kit();
    fs::create_dir(kit.path("dir")).unwrap();
    let args = |more: &[&'static str]| [&["--file", "in.log", "--out", "o"], more].concat();
    refused(&kit, &["--file", "typo*", "--out", "o"], &["no file matches --file typo*"]);
    wrong(&kit, &args(&["--file", "a[b"]), &["in --file a[b"]);
    wrong(
        &kit,
        &args(&["--where", "v"]),
        &["invalid condition: expected FIELD OP VALUE", "\n  v\n   ^"],
    );
    let slip = ["invalid condition: `5OO` is not a number", "\n  v>=5OO\n     ^"];
    wrong(&kit, &args(&["--where", "v>=5OO"]), &slip);
    wrong(&kit, &args(&["--derive", "v"]), &["invalid --derive: expected NAME=FORMULA"]);
    wrong(&kit, &args(&["--out", "s3://bucket/key"]), &["s3://bucket/key", "expected a path"]);
    wrong(&kit, &args(&["--out", "kafka://host/topic"]), &["kafka://host/topic"]);
    wrong(&kit, &args(&["--out", "tcp://host"]), &["tcp://host: expected tcp://HOST:PORT"]);
    wrong(&kit, &args(&["--http", "foo"]), &["--http foo: expected PORT or HOST:PORT"]);
    wrong(&kit, &args(&["--listen", "foo"]), &["--listen foo: expected PORT or HOST:PORT"]);
    refused(&kit, &args(&["--out", "dir"]), &["--out dir: it is a directory"]);
    wrong(&kit, &args(&["--out", "new/"]), &["--out new/: a file's name does not end with /"]);
    wrong(&kit, &args(&["--p", "v"]), &["--p has no effect without windows; add --aggregates"]);
    refused(&kit, &args(&["--out", "new", "--out", "no/such"]), &["--out no/such", "No such file"]);
    refused(&kit, &args(&["--checkpoint", "no/such"]), &["--checkpoint no/such", "No such file"]);
    kit.write("ck", "torn");
    refused(&kit, &args(&["--checkpoint", "ck"]), &["no usable checkpoint, ck"]);
    // A port is taken before an output is cut.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let run = kit.run(&["--file", "in.log", "--out", "o", "--http", &taken]).expect_status(1);
    assert!(run.stderr.contains("cannot listen on --http"), "{run:#?}");
    assert_eq!(kit.read("o"), KEPT);
    // If all settings are right, the output is written anew.
    kit.ok(&["--file", "in.log", "--out", "o"]);
    assert_eq!(kit.read("o"), lines(0..10));
}

/// Without a checkpoint too: the file itself is locked.
#[test]
fn two_processes_never_write_to_one_output() {
    let kit = kit();
    let running = kit.start(&["--file", "in.log", "--follow", "--out", "new"]);
    kit.wait_until("the output", || kit.read("new") == lines(0..10));
    symlink("new", kit.path("link")).unwrap();
    for out in ["new", "link"] {
        let run = kit.run(&["--file", "in.log", "--out", "o", "--out", out]).expect_status(1);
        assert!(run.stderr.contains(&format!("another process writes to {out}")), "{run:#?}");
    }
    assert_eq!((kit.read("new"), kit.read("o")), (lines(0..10), KEPT.to_owned()));
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn an_output_that_is_rotated_is_written_on_under_its_name() {
    for checkpoint in [&["--checkpoint", "ck"][..], &[]] {
        let kit = kit();
        let args = [&["--file", "in.log", "--follow", "--out", "out"], checkpoint].concat();
        let running = kit.start(&args);
        kit.wait_until("the output", || kit.read("out") == lines(0..10));
        fs::rename(kit.path("out"), kit.path("out.1")).unwrap();
        kit.wait_until("the new file", || kit.path("out").exists());
        kit.append("in.log", &lines(10..20));
        kit.wait_until("the rest", || kit.read("out") == lines(10..20));
        assert_eq!(kit.read("out.1"), lines(0..10));
        assert_eq!(running.stop(), Some(0));
        if !checkpoint.is_empty() {
            kit.append("in.log", &lines(20..30));
            kit.ok(&args[..2].iter().chain(&args[3..]).copied().collect::<Vec<_>>());
            assert_eq!(kit.read("out"), lines(10..30));
        }
    }
}

#[test]
fn an_output_that_is_copied_and_truncated_is_written_on_without_a_hole() {
    let kit = kit();
    let args = ["--file", "in.log", "--out", "out", "--checkpoint", "ck"];
    let running = kit.start(&[&args[..], &["--follow"]].concat());
    kit.wait_until("the output", || kit.read("out") == lines(0..10));
    kit.write("out", "");
    kit.append("in.log", &lines(10..20));
    kit.wait_until("the rest", || kit.read("out") == lines(10..20));
    let length = format!("\"outputs\":{{\"out\":{}}}", lines(10..20).len());
    kit.wait_until("the checkpoint", || kit.read("ck").contains(&length));
    assert_eq!(running.stop(), Some(0));
    kit.append("in.log", &lines(20..30));
    kit.ok(&args);
    assert_eq!(kit.read("out"), lines(10..30));
}

#[test]
fn a_start_whose_output_was_renamed_goes_on_in_a_new_file_and_says_so() {
    let kit = kit();
    let args = ["--file", "in.log", "--out", "out", "--checkpoint", "ck"];
    kit.ok(&args);
    fs::rename(kit.path("out"), kit.path("out.1")).unwrap();
    kit.append("in.log", &lines(10..20));
    let run = kit.ok(&args);
    assert!(run.stderr.contains("out is not the file that the checkpoint knows"), "{run:#?}");
    assert_eq!((kit.read("out.1"), kit.read("out")), (lines(0..10), lines(10..20)));
    // Another file was put there: it is not cut.
    kit.write("other", KEPT);
    fs::rename(kit.path("other"), kit.path("out")).unwrap(); // or it might get the inode again
    kit.append("in.log", &lines(20..30));
    let run = kit.ok(&args);
    assert!(run.stderr.contains("going on behind what is there now"), "{run:#?}");
    assert_eq!(kit.read("out"), KEPT.to_owned() + &lines(20..30));
}

#[test]
fn a_picture_that_cannot_be_written_at_the_end_is_refused_at_the_start() {
    let kit = kit();
    for (flag, file, why) in [
        ("--timeline", "none/run.svg", "there is no folder none; make it first"),
        ("--timeline", "in.log/run.svg", "there is no folder in.log"),
        ("--timeline", ".", "it is a folder; name a file in it"),
        ("--trace", "none/run.json", "there is no folder none"),
    ] {
        let run = kit.run(&["--file", "in.log", "--out", "o", flag, file]).expect_status(2);
        assert!(run.stderr.contains(flag) && run.stderr.contains(why), "{run:#?}");
        assert_eq!(kit.read("o"), KEPT);
    }
    kit.ok(&["--file", "in.log", "--out", "new", "--timeline", "run.svg"]);
    assert!(kit.read("run.svg").starts_with("<svg"));
}

#[test]
fn the_programs_own_files_are_readable_by_their_owner_only() {
    let kit = kit();
    let args = ["--file", "in.log", "--out", "new", "--checkpoint", "ck"];
    kit.ok(&args);
    kit.ok(&args);
    for own in ["ck", "ck.prev", "ck.lock"] {
        let mode = fs::metadata(kit.path(own)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{own}");
    }
    assert_eq!(fs::metadata(kit.path("new")).unwrap().mode() & 0o600, 0o600);
}

#[test]
fn a_closed_stdout_is_an_error_and_not_delivered() {
    let kit = kit();
    let run = |redirection: &str| {
        let script = format!("exec \"$0\" run --file \"$1\" {redirection}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, PROGRAM]).arg(kit.path("in.log"));
        shell.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    };
    let closed = run(">&-");
    let stderr = String::from_utf8_lossy(&closed.stderr).into_owned();
    assert_eq!(closed.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write to stdout: it is closed"), "{stderr}");
    let reader = run("--stdin <&-");
    assert!(String::from_utf8_lossy(&reader.stderr).contains("stdin is closed"), "{reader:?}");
    assert!(run(">/dev/null").status.success());
    assert!(run("<>/dev/null >&0").status.success(), "as other programs hand it over");
    assert_eq!(run("").stdout, lines(0..10).as_bytes());
}

/// `check` and `run` alike, and before anything is created.
#[test]
fn an_address_that_makes_no_sense_is_a_wrong_setting() {
    for args in [
        &["--out", "s3://bucket/key"][..],
        &["--out", "http://"],
        &["--out", "http:/host/path"],
        &["--out", "nats:"],
        &["--out", "http://host:port/"],
        &["--out", "tcp://host"],
        &["--aggregates", "https:///path"],
        &["--http", "foo"],
        &["--listen", "foo"],
        &["--out", "http://host/", "--http-header", "no colon"],
        &["--out", "http://host/", "--http-header", "Content-Length: 1"],
        &["--out", "http://host/", "--http-batch", "0"],
        &["--out", "other", "--http-compression", "gzip"],
    ] {
        for command in ["check", "run"] {
            let kit = kit();
            let usual = [command, "--file", "in.log", "--out", "out", "--checkpoint", "ck"];
            let run = kit.command(&[&usual[..], args].concat()).expect_status(2);
            assert!(
                run.stderr.starts_with("error: ") && run.stderr.lines().count() == 1,
                "{run:#?}"
            );
            assert!(!kit.path("out").exists() && !kit.path("ck.lock").exists(), "{args:?}");
        }
    }
}
