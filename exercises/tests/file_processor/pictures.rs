//! The data behind the picture that `--timeline` draws.

use std::process::Command;

use tempfile::tempdir;
use testkit::{Drawn, lanes, picture};

use super::PROGRAM;

#[test]
fn each_file_is_a_bar_in_the_lane_of_its_worker() {
    let dir = tempdir().unwrap();
    for n in 0..40 {
        std::fs::write(dir.path().join(n.to_string()), "a word\n".repeat(10_000)).unwrap();
    }
    let dir = dir.path().to_str().unwrap();
    let bars = picture(PROGRAM, &["-j", "3", dir], 0);
    assert_eq!(bars.len(), 40, "{bars:?}");
    assert!(bars.iter().all(|bar| bar.name.starts_with(dir) && bar.ending == "done"));
    for (lane, bars) in lanes(&bars) {
        assert!(["worker 1", "worker 2", "worker 3"].contains(&lane), "{lane}");
        // The times in a picture have three digits.
        let apart = |pair: &[&Drawn]| pair[0].end <= pair[1].start + pair[1].start / 100;
        assert!(bars.windows(2).all(apart), "{bars:?}");
    }
}

#[test]
fn failures_and_panics_are_drawn_differently() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (fifo, fine, broken) = (path("fifo"), path("fine"), path("broken"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::write(&fine, "x\n").unwrap();
    std::fs::write(&broken, "x\n").unwrap();
    let args = ["-j", "1", "--panic-at", "3", &fifo, &fine, &broken];
    let bars = picture(PROGRAM, &args, 1);
    let ends: Vec<_> = bars.iter().map(|bar| (&bar.name, bar.ending.as_str())).collect();
    for expected in [(&fifo, "failed"), (&fine, "done"), (&broken, "panicked")] {
        assert!(ends.contains(&expected), "{ends:?}");
    }
}
