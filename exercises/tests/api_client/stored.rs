//! Where a body goes: which files are replaced, which are written into, and which are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::program::PROGRAM;
use crate::server::{ODD, Server, large};

/// A user who may not do everything.
const NOBODY: u32 = 65534;

/// A directory with a file in it, which holds `before`.
fn a_file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "before").expect("a file");
    (directory, file)
}

fn content(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

fn names_in(directory: &Path) -> usize {
    fs::read_dir(directory).expect("it is there").count()
}

/// Fetches into this file.
fn fetch(url: &str, file: &Path) -> Output {
    Command::new(PROGRAM).args([url, "-o"]).arg(file).output().expect("it runs")
}

/// The same as a user who may not do everything. What is at `owned` belongs to that user. `None`,
/// with a message, if the test cannot become one.
fn fetch_as_nobody(url: &str, file: &Path, owned: &[&Path]) -> Option<Output> {
    if !rustix::process::geteuid().is_root() {
        return Some(fetch(url, file));
    }
    let bin = tempfile::tempdir().expect("a directory"); // the target directory may be closed to it
    let copy = bin.path().join("api-client");
    fs::copy(PROGRAM, &copy).expect("a copy");
    fs::set_permissions(bin.path(), Permissions::from_mode(0o755)).expect("it is ours");
    for path in owned {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("it is ours");
    }
    let mut command = Command::new("setpriv"); // root may write everything
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
    let output = command.args([url, "-o"]).arg(file).output();
    if output.is_err() {
        eprintln!("skipped: there is no `setpriv` here");
    }
    output.ok()
}

/// Fails unless the file was refused with its path, and nothing was asked for.
fn check_refused(output: &Output, server: &Server, file: &Path, why: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = format!("{}: {why}", file.display());
    assert!(stderr.contains(&said) && stderr.lines().count() == 1, "{said}: {stderr}");
    assert_eq!((output.status.code(), server.connections()), (Some(2), 0), "{stderr}");
}

#[test]
fn a_file_with_two_links_is_written_into() {
    let server = Server::start();
    let (directory, file) = a_file();
    let other = directory.path().join("other");
    fs::hard_link(&file, &other).expect("a link");
    assert!(fetch(&server.url("/odd/as asked"), &file).status.success());
    assert!(fs::read(&other).expect("it is there") == large(0..ODD));
    assert_eq!(names_in(directory.path()), 2, "no part is left");
}

#[test]
fn a_file_keeps_its_owner() {
    let server = Server::start();
    let (_directory, file) = a_file();
    if chown(&file, Some(NOBODY), None).is_err() {
        eprintln!("skipped: only root gives files away");
        return;
    }
    assert!(fetch(&server.url("/ok"), &file).status.success());
    assert_eq!(content(&file), "ok");
    assert_eq!(fs::metadata(&file).expect("it is there").uid(), NOBODY);
}

#[test]
fn a_file_in_a_directory_that_may_not_be_written_is_written_into() {
    let server = Server::start();
    let (directory, file) = a_file();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).expect("it is ours");
    let Some(output) = fetch_as_nobody(&server.url("/odd/less"), &file, &[&file]) else { return };
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(&file).expect("it is there") == large(0..ODD));
}

#[test]
fn a_new_file_in_a_directory_that_may_not_be_written_is_refused() {
    let server = Server::start();
    let (directory, file) = a_file();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).expect("it is ours");
    let new = directory.path().join("new");
    let Some(output) = fetch_as_nobody(&server.url("/ok"), &new, &[&file]) else { return };
    check_refused(&output, &server, directory.path(), "Permission denied");
    let Some(output) = fetch_as_nobody(&server.url("/ok"), directory.path(), &[]) else { return };
    check_refused(&output, &server, directory.path(), "Permission denied");
}

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let server = Server::start();
    let (directory, file) = a_file();
    fs::set_permissions(&file, Permissions::from_mode(0o444)).expect("it is ours");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let owned = [&file, directory.path()];
    let Some(output) = fetch_as_nobody(&server.url("/ok"), &file, &owned) else { return };
    check_refused(&output, &server, &file, "Permission denied");
    assert_eq!(content(&file), "before");
}

#[test]
fn a_link_to_itself_is_refused() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("link");
    symlink(&link, &link).expect("a link");
    let output = fetch(&server.url("/ok"), &link);
    check_refused(&output, &server, &link, "Too many levels of symbolic links");
    assert!(link.is_symlink());
}

#[test]
fn a_file_that_is_mounted_is_written_into() {
    let server = Server::start();
    let (directory, file) = a_file();
    let mounted = directory.path().join("mounted");
    fs::write(&mounted, "").expect("a file");
    let script = "mount --bind \"$1\" \"$2\" || exit 77; exec \"$0\" -o \"$2\" \"$3\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, PROGRAM]);
    command.args([&file, &mounted]).arg(server.url("/ok"));
    let Ok(output) = command.output() else {
        eprintln!("skipped: there is no `unshare` here");
        return;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || stderr.contains("unshare failed") {
        eprintln!("skipped: nothing may be mounted here: {stderr}");
        return;
    }
    assert!(output.status.success(), "{stderr}");
    assert_eq!((&content(&file)[..], &content(&mounted)[..]), ("ok", ""));
    assert_eq!(names_in(directory.path()), 2, "no part is left");
}

#[test]
fn a_missing_place_for_a_body_on_its_way_is_named() {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let missing = directory.path().join("missing");
    let mut command = Command::new(PROGRAM);
    let output = command.arg(server.url("/ok")).env("TMPDIR", &missing).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), server.connections()), (Some(2), 0), "{stderr}");
    for said in ["temporary directory", "TMPDIR", &missing.display().to_string()] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

#[test]
fn a_body_that_cannot_be_printed_is_called_a_body() {
    let server = Server::start();
    for (arg, said) in [("-v", "the body"), ("-I", "the head"), ("--dry-run", "the requests")] {
        let full = fs::File::options().append(true).open("/dev/full").expect("a device");
        let output = Command::new(PROGRAM).args([arg, &server.url("/ok")]).stdout(full).output();
        let output = output.expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = format!("cannot print {said}: No space left");
        assert!(!output.status.success() && stderr.contains(&said), "{said}: {stderr}");
    }
}
