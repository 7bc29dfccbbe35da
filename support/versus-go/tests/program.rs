//! The race against Go, as far as it goes on a machine without Go.

use std::fs;

use testkit::{Program, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_versus-go");

#[test]
fn prints_a_row_for_each_workload_and_writes_it_three_times() {
    let folder = format!("{}/versus-go", env!("CARGO_TARGET_TMPDIR"));
    let args = ["--short", "--rows", "context,spawn", "--out", &folder];
    let run = run(PROGRAM, &args).expect_status(0);
    run.assert_order(&[
        "| workload | ours | *",
        "| make, look at and cancel a context | *",
        "| spawn and join 1M tasks, no work | *",
    ]);
    let read = |name: &str| fs::read_to_string(format!("{folder}/versus-go.{name}")).unwrap();
    let (machine, table) = run.stdout.split_once("\n\n").expect("the machine, then the table");
    assert_eq!(read("md").trim_end(), format!("{machine}\n\n{}", table.trim_end()));
    let rows = read("json").matches("{\"row\": \"").count();
    assert_eq!((rows, read("json").contains("{\"row\": \"context\"")), (2, true));
    let svg = read("svg");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    let raced = !machine.contains("no Go");
    assert_eq!(svg.contains("make, look at and cancel a context"), raced, "{svg}");
}

#[test]
fn survives_all_faults() {
    // Its work is that of the sections, where a panic is planted in it.
    Program {
        path: PROGRAM,
        args: &["--short", "--rows", "context,context-value"],
        bad: &[
            &["--rows", "no-such-row"],
            &["--pairs", "0"],
            &["--run", "context"],
            &["--no-such-flag"],
        ],
        panics: &[],
    }
    .check_faults();
}
