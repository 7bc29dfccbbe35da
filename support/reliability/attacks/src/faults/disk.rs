//! Disks that run full, and disks whose fsync fails, mounted for real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attacks::Result;

/// A file system of a fixed size in memory.
pub struct Small {
    path: PathBuf,
}

/// A large file system on a small disk: it accepts every write, and fails when the data has to go
/// to the disk. So a write succeeds and its fsync fails.
pub struct Overcommitted {
    path: PathBuf,
    device: String,
    below: Small,
}

/// The blocks of the file system, the pages of the disk below it, and the most that is written at
/// once. If only the first part of a larger write finds room, the kernel's loop device
/// (drivers/block/loop.c, `lo_complete_rq`) reports success, and fsync would too.
const BLOCK: &str = "4096";

impl Small {
    /// Mounts one of `size`, such as `1M`, at `path`.
    pub fn mount(path: &Path, size: &str) -> Result<Self> {
        fs::create_dir_all(path)?;
        let size = format!("size={size}");
        run("mount", &["-t", "tmpfs", "-o", &size, "none", text(path)])?;
        Ok(Self { path: path.to_owned() })
    }

    /// Makes it larger, as an administrator would.
    pub fn grow(&self, size: &str) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={size}"), text(&self.path)])?;
        Ok(())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", text(&self.path)]); // it goes away with the process anyway
    }
}

impl Overcommitted {
    /// Mounts one at `path` over a disk of `size`.
    pub fn mount(path: &Path, size: &str) -> Result<Self> {
        fs::create_dir_all(path)?;
        let below = Small::mount(&path.with_extension("below"), size)?;
        let image = below.path.join("image");
        fs::File::create(&image)?.set_len(64 << 20)?;
        let device = run("losetup", &["--find", "--show", text(&image)])?.trim().to_owned();
        let disk = Self { path: path.to_owned(), device, below };
        let name = disk.device.trim_start_matches("/dev/");
        fs::write(format!("/sys/block/{name}/queue/max_sectors_kb"), "4")?;
        let plain = "^has_journal,^metadata_csum,^uninit_bg";
        let options = ["-q", "-b", BLOCK, "-N", "64", "-E", "lazy_itable_init=0,nodiscard"];
        run("mkfs.ext4", &[&options[..], &["-O", plain, &disk.device]].concat())?;
        run("mount", &[&disk.device, text(path)])?;
        Ok(disk)
    }

    /// Gives the disk room, forgets what was only in memory, and checks the file system, as a
    /// restart of the machine does.
    pub fn repair(&self, size: &str) -> Result<()> {
        run("umount", &[text(&self.path)])?;
        self.below.grow(size)?;
        check(&self.device)?;
        run("mount", &[&self.device, text(&self.path)])?;
        Ok(())
    }
}

impl Drop for Overcommitted {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", text(&self.path)]); // as above
        let _ = run("losetup", &["--detach", &self.device]); // once nothing uses it any more
    }
}

/// Without a journal, the maps of free blocks may not have reached the disk. Repairing them changes
/// no file.
fn check(device: &str) -> Result<()> {
    let output = Command::new("e2fsck").args(["-fy", device]).output()?;
    match output.status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(format!("e2fsck {device}: {}", String::from_utf8_lossy(&output.stdout)).into()),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

/// What the command prints.
fn run(program: &str, args: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(args).output().map_err(|err| format!("{program}: {err}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
