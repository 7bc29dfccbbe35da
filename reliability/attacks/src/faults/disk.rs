//! Disks that run full, and disks whose fsync fails, mounted for real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attacks::Result;

/// A file system of a fixed size in memory.
pub struct Small {
    path: PathBuf,
}

/// A file system with plenty of room on a disk that has little: it takes every write, and finds out
/// when it has to put it on the disk. That is how a write succeeds and its fsync fails.
pub struct Overcommitted {
    path: PathBuf,
    image: PathBuf,
    below: Small,
}

impl Small {
    /// Mounts one of `size`, such as `1M`, at `path`.
    pub fn mount(path: &Path, size: &str) -> Result<Self> {
        fs::create_dir_all(path)?;
        let size = format!("size={size}");
        run("mount", &["-t", "tmpfs", "-o", &size, "none", text(path)])?;
        Ok(Self { path: path.to_owned() })
    }

    /// Makes it larger, as somebody does who has been called.
    pub fn grow(&self, size: &str) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={size}"), text(&self.path)])
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
        let plain = "^has_journal,^metadata_csum,^uninit_bg";
        let options = ["-q", "-F", "-N", "64", "-E", "lazy_itable_init=0,nodiscard", "-O", plain];
        run("mkfs.ext4", &[&options[..], &[text(&image)]].concat())?;
        run("mount", &["-o", "loop", text(&image), text(path)])?;
        Ok(Self { path: path.to_owned(), image, below })
    }

    /// Gives the disk room, and forgets what was only in memory, as a restart of the machine does.
    pub fn repair(&self, size: &str) -> Result<()> {
        run("umount", &[text(&self.path)])?;
        self.below.grow(size)?;
        run("mount", &["-o", "loop", text(&self.image), text(&self.path)])
    }
}

impl Drop for Overcommitted {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", text(&self.path)]); // as above
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let output =
        Command::new(program).args(args).output().map_err(|err| format!("{program}: {err}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
