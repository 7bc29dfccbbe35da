use std::error::Error;
use std::fmt::Write;
use std::process::{Command, Stdio};

use crate::{Design, Load, Measured};

/// Measures a design in a process of its own, so that neither the memory nor the threads of
/// another are in its figures. `program` is the program that understands `--measure`; it complains
/// on the stderr of this one.
///
/// # Errors
///
/// If the process cannot be started, or ends without a measurement.
pub fn apart(
    program: &str,
    design: Design,
    load: Load,
) -> Result<Measured, Box<dyn Error + Send + Sync>> {
    let mut command = Command::new(program);
    command.args(["--measure", design.name()]);
    command.args(["--tasks", &load.tasks.to_string(), "--workers", &load.workers.to_string()]);
    command.args(["--work", &format!("{}ns", load.work.as_nanos())]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", design.name(), output.status).into());
    }
    String::from_utf8(output.stdout)?.parse()
}

/// A line for each design under a line of headings. The memory is that of one thread or task.
pub fn table(load: Load, rows: &[(Design, Option<Measured>)]) -> String {
    let mut text = "design      tasks  workers  seconds    peak       memory".to_owned();
    for &(design, measured) in rows {
        let (name, tasks) = (design.name(), load.tasks);
        let workers = or_dash(design.limit(load));
        let seconds = or_dash(measured.map(|m| format!("{:.3}", m.time.as_secs_f64())));
        let peak = or_dash(measured.map(|m| m.peak));
        let memory = measured.and_then(memory_per_unit);
        let memory = or_dash(memory.map(|bytes| format!("{:.1} KiB", bytes / 1024.0)));
        let row = format!("{name:9} {tasks:>7} {workers:>8} {seconds:>8} {peak:>7} {memory:>12}");
        write!(text, "\n{row}").expect("a string takes everything");
    }
    text
}

/// The same as JSON: times in seconds, memory in bytes, and `null` where the table has a dash.
pub fn json(load: Load, rows: &[(Design, Option<Measured>)]) -> String {
    let rows = rows.iter().map(|&(design, measured)| {
        let (name, tasks) = (design.name(), load.tasks);
        let workers = or_null(design.limit(load));
        let seconds = or_null(measured.map(|m| m.time.as_secs_f64()));
        let peak = or_null(measured.map(|m| m.peak));
        let memory = measured.and_then(memory_per_unit);
        let memory = or_null(memory.map(f64::round));
        format!(
            r#"  {{"design": "{name}", "tasks": {tasks}, "workers": {workers}, "seconds": {seconds}, "peak": {peak}, "memory": {memory}}}"#
        )
    });
    format!("[\n{}\n]", rows.collect::<Vec<_>>().join(",\n"))
}

/// The growth of the process, divided by the most threads or tasks that existed at once.
fn memory_per_unit(measured: Measured) -> Option<f64> {
    measured.memory.map(|bytes| bytes as f64 / measured.peak as f64)
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LOAD: Load = Load { tasks: 1000, workers: 10, work: Duration::from_millis(10) };

    fn rows() -> [(Design, Option<Measured>); 3] {
        let measured = |millis, peak, memory| {
            Some(Measured { time: Duration::from_millis(millis), peak, memory })
        };
        [
            (Design::Threads, None), // could not be measured
            (Design::Pool, measured(1013, 10, Some(123_904))),
            (Design::Tasks, measured(15, 1000, None)),
        ]
    }

    #[test]
    fn the_table_has_a_dash_for_a_missing_figure() {
        let lines = [
            "design      tasks  workers  seconds    peak       memory",
            "threads      1000        -        -       -            -",
            "pool         1000       10    1.013      10     12.1 KiB",
            "tasks        1000        -    0.015    1000            -",
        ];
        assert_eq!(table(LOAD, &rows()), lines.join("\n"));
    }

    #[test]
    fn json_has_null_for_a_missing_figure() {
        let lines = [
            r"[",
            r#"  {"design": "threads", "tasks": 1000, "workers": null, "seconds": null, "peak": null, "memory": null},"#,
            r#"  {"design": "pool", "tasks": 1000, "workers": 10, "seconds": 1.013, "peak": 10, "memory": 12390},"#,
            r#"  {"design": "tasks", "tasks": 1000, "workers": null, "seconds": 0.015, "peak": 1000, "memory": null}"#,
            r"]",
        ];
        assert_eq!(json(LOAD, &rows()), lines.join("\n"));
    }

    #[test]
    fn a_failed_process_is_an_error_that_names_the_design() {
        let err = apart("false", Design::Pool, LOAD).unwrap_err();
        assert!(err.to_string().starts_with("pool failed: exit status"), "{err}");
        assert!(apart("/no/such/program", Design::Pool, LOAD).is_err());
    }
}
