//! Tests of the flags that every program has, without starting a program.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use clap::Parser;
use common::{Cause, Demo, Result, Seed, duration, run};
use rand::RngExt;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    demo: Demo<Seed>,
}

fn demo(args: &[&str]) -> Demo<Seed> {
    Args::parse_from([&["demo"], args].concat()).demo
}

/// How a program ends, in a form that can be compared.
fn status(exit: ExitCode) -> String {
    format!("{exit:?}")
}

/// The ways to run a program, each with a body that does not wait.
fn everywhere(args: &[&str], body: fn(&Demo<Seed>) -> Result) -> [String; 3] {
    [
        status(demo(args).threads(|demo| body(&demo))),
        status(demo(args).tasks(async |demo| body(&demo))),
        status(demo(args).mixed(async |demo| body(&demo))),
    ]
}

#[test]
fn an_error_and_a_panic_reach_the_exit_status() {
    let [success, failure] = [ExitCode::SUCCESS, ExitCode::FAILURE].map(status);
    assert_ne!(success, failure);
    let ended = everywhere(&[], |_| Ok(()));
    assert_eq!(ended, [&*success; 3]);
    let ended = everywhere(&[], |_| Err(Cause::Canceled.into()));
    assert_eq!(ended, [&*failure; 3]);
    let ended = everywhere(&["--panic-at", "2"], |demo| {
        demo.piece();
        demo.piece();
        Ok(())
    });
    assert_eq!(ended, [&*failure; 3]);
    assert_eq!(status(run(|| Ok(()))), success);
}

#[test]
fn only_the_chosen_piece_panics() {
    let count = Arc::new(AtomicU64::new(0));
    let pieces = count.clone();
    let ended = demo(&["--panic-at", "5"]).threads(move |demo| {
        for _ in 0..9 {
            demo.piece();
            pieces.fetch_add(1, Relaxed);
        }
        Ok(())
    });
    assert_eq!(status(ended), status(ExitCode::FAILURE));
    assert_eq!(count.load(Relaxed), 4);
}

#[test]
fn work_is_counted_and_takes_its_time() {
    let count = Arc::new(AtomicU64::new(0));
    let works = count.clone();
    let ended = demo(&["--pace", "0", "--panic-at", "3"]).tasks(async move |demo| {
        let started = Instant::now();
        for millis in [1500, 500, 7] {
            demo.work("worker 1", "job", millis).await;
            works.fetch_add(1, Relaxed);
            assert_eq!(started.elapsed(), SECOND * 3 / 2 + SECOND / 2 * u32::from(millis == 500));
        }
        Ok(())
    });
    assert_eq!((status(ended), count.load(Relaxed)), (status(ExitCode::FAILURE), 2));

    let ended = demo(&["--pace", "0", "--panic-at", "2"]).threads(|demo| {
        let started = std::time::Instant::now();
        demo.work_blocking("worker 1", "job", 3_600_000);
        assert!(started.elapsed() < 60 * SECOND, "there is no rest at pace 0");
        demo.work_blocking("worker 1", "job", 1);
        Ok(())
    });
    assert_eq!(status(ended), status(ExitCode::FAILURE));
}

/// At pace 0, where a mixed program's work takes no time, it still gives way to others.
#[test]
fn work_without_a_rest_lets_others_run() {
    let ended = demo(&["--pace", "0"]).mixed(async |demo| {
        let other = tokio::spawn(std::future::ready(()));
        while !other.is_finished() {
            demo.work("main", "waits", 100).await;
        }
        Ok(())
    });
    assert_eq!(status(ended), status(ExitCode::SUCCESS));
}

#[test]
fn all_time_is_scaled_by_the_pace() {
    assert_eq!(demo(&[]).pace().to_string(), "1");
    assert_eq!(demo(&[]).millis(1500), SECOND * 3 / 2);
    let slow = demo(&["--pace", "2.5"]);
    assert_eq!((slow.time(SECOND), slow.millis(400)), (SECOND * 5 / 2, SECOND));
    assert_eq!(slow.time(Duration::MAX), Duration::MAX);
    assert_eq!(demo(&["--pace", "0"]).time(SECOND), Duration::ZERO);
    assert_eq!(demo(&[]).unpaced().time(SECOND), Duration::ZERO);
    assert_eq!(demo(&["--pace", "2"]).unpaced().time(SECOND), 2 * SECOND);
}

#[test]
fn at_pace_0_tasks_keep_their_times_on_a_clock_that_jumps() {
    let ended = demo(&["--pace", "0"]).tasks(async |demo| {
        let hour = demo.time(3600 * SECOND);
        let (virtually, really) = (Instant::now(), std::time::Instant::now());
        sleep(hour).await;
        assert_eq!(virtually.elapsed(), hour);
        assert!(really.elapsed() < hour / 60);
        Ok(())
    });
    assert_eq!(status(ended), status(ExitCode::SUCCESS));
}

#[test]
fn random_numbers_follow_from_the_seed_and_the_item() {
    let draw = |seed: u64, item| demo(&["--seed", &seed.to_string()]).rng(item).random::<u64>();
    assert_eq!(draw(1, 1), draw(1, 1));
    let draws = (0..64).map(|number| draw(number % 8, number / 8));
    assert_eq!(draws.collect::<BTreeSet<_>>().len(), 64, "two pairs share their numbers");
}

#[test]
fn a_bad_pace_duration_or_picture_is_refused_with_a_remedy() {
    for pace in ["-1", "fast", "1e7", "NaN"] {
        let refused = Args::try_parse_from(["demo", &format!("--pace={pace}")]);
        let refused = refused.err().map(|err| err.to_string()).unwrap_or_default();
        assert!(refused.contains("a number from 0 to 1000000"), "{pace}: {refused}");
    }
    let refused = Args::try_parse_from(["demo", "--timeline", "a/run.png"]);
    let refused = refused.err().map(|err| err.to_string()).unwrap_or_default();
    assert!(refused.contains("the picture is an SVG: name it a/run.svg"), "{refused}");
    for name in ["run.svg", "run.SVG", "/dev/stdout"] {
        assert!(Args::try_parse_from(["demo", "--timeline", name]).is_ok(), "{name}");
    }
    assert_eq!(duration("1m 30s"), Ok(90 * SECOND));
    assert!(duration("30").is_err_and(|err| err.contains("such as 5s")));
}
