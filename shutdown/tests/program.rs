//! The program and its flags, without signals.

use std::time::Duration;

use testkit::{Program, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shutdown");

#[test]
fn stops_by_itself_after_the_time_it_is_given() {
    let run = run(PROGRAM, &["--for", "1200ms"]).expect_status(0);
    assert!(run.took >= Duration::from_millis(1200), "{run:?}");
    for worker in 1..=3 {
        run.assert_order(&[
            "Server starting...",
            &format!("Worker worker-{worker} starting"),
            &format!("Worker worker-{worker}: tick"),
            &format!("Worker worker-{worker}: tick"),
            "Stopping after 1.2s",
            "Server shutting down...",
            &format!("Worker worker-{worker} shutting down gracefully"),
            "All workers stopped gracefully",
            "Server stopped",
        ]);
    }
}

#[test]
fn late_workers_are_named() {
    let args = ["--pace", "0.1", "--for", "1s", "--deadline", "2s", "--stubborn", "2"];
    let run = run(PROGRAM, &args).expect_status(1);
    assert!(run.took >= Duration::from_millis(300), "the deadline was waited for: {run:?}");
    run.assert_order(&[
        "Server shutting down...",
        "Worker worker-3 shutting down gracefully",
        "Shutdown timeout, forcing exit",
        "Server stopped",
    ]);
    assert_eq!(run.stderr, "error: late: worker-1, worker-2\n");
}

#[test]
fn a_worker_that_panics_stops_the_server_and_is_named() {
    // Without `--for` and without a signal: it is the panic that ends it.
    let run = run(PROGRAM, &["--pace", "0.01", "--panic-at", "5"]).expect_status(1);
    run.assert_order(&["Worker worker-* panicked", "All workers stopped gracefully"]);
    assert!(run.stderr.contains("error: panicked: worker-"), "{run:?}");
}

#[test]
fn survives_all_faults() {
    // The program waits for a signal, and no virtual clock can jump to that. So `--for` ends it,
    // and pace 0 is refused.
    Program {
        path: PROGRAM,
        args: &["--pace", "0.01", "--for", "24h", "--for", "2s"],
        bad: &[
            &["--pace", "0", "--for", "2s"],
            &["--for", "2"],
            &["--deadline", "soon"],
            &["--stubborn", "4"],
            &["--seed", "x"],
            &["--no-such-flag"],
        ],
        panics: &[
            &["--pace", "0.01", "--for", "2s", "--panic-at", "1"],
            &["--pace", "0.01", "--for", "2s", "--panic-at", "2"],
        ],
    }
    .check_section();
}
