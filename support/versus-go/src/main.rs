//! Races the sections' own code against the same work in Go, in one run, and prints the ratios.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::available_parallelism;

use clap::Parser;
use common::{Result, parse, say};
use versus_go::{Go, Line, ROWS, RUN, Row, Work, ensure_built, json, markdown, plot, race, row};

/// The allocator decides the rows in which a hundred thousand tasks end at once; Go has its own as
/// well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Our code against goroutines: times and peaks of memory, as ratios in one run.
///
/// Go is taken from the PATH; without it, our side is measured alone.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How often each side of a row runs, in turns
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,

    /// A quick look: a tenth of the items, two pairs
    #[arg(long)]
    short: bool,

    /// Only these rows [default: all]
    #[arg(long, value_name = "ROW,…", value_delimiter = ',', value_parser = find_row)]
    rows: Vec<&'static Row>,

    /// Where versus-go.md, .json and .svg are written [default: beside this program]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some((row, items)) = one_row() {
        return common::run(|| run_here(row, items));
    }
    let args = parse::<Args>();
    common::run(|| compare(&args))
}

/// What `this_program` asks for: `--run ROW ITEMS`. The memory of that process is measured, so it
/// parses its arguments by hand, as the program in Go does.
fn one_row() -> Option<(&'static Row, u64)> {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let [flag, name, items] = &args[..] else { return None };
    if flag != RUN {
        return None;
    }
    Some((row(name.to_str()?)?, items.to_str()?.parse().ok()?))
}

fn run_here(row: &Row, items: u64) -> Result {
    match row.work {
        Work::Function(run) => Ok(writeln!(io::stderr(), "{}", run(items))?),
        Work::Program(name) => Err(format!("{name} is a program of its own").into()),
    }
}

fn compare(args: &Args) -> Result {
    let go = Go::build()?;
    let machine = machine(go.as_ref());
    say!("{machine}\n");
    let (pairs, share) = if args.short { (2, 10) } else { (args.pairs.into(), 1) };
    let rows = if args.rows.is_empty() { ROWS.iter().collect() } else { args.rows.clone() };
    rows.iter().try_for_each(|row| ensure_built(row))?;
    let mut lines = Vec::new();
    for row in rows {
        let _ = writeln!(io::stderr(), "{} …", row.what);
        lines.push(race(row, go.as_ref(), (row.items / share).max(100), pairs)?);
    }
    say!("{}", markdown(&lines));
    let beside = || env::current_exe().map(|this| this.with_file_name("versus-go-results"));
    let folder = args.out.clone().map_or_else(beside, Ok)?;
    write(&folder, &machine, &lines)?;
    let _ = writeln!(io::stderr(), "written to {}", folder.display());
    Ok(())
}

fn write(folder: &Path, machine: &str, lines: &[Line]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("versus-go.md"), format!("{machine}\n\n{}", markdown(lines)))?;
    fs::write(folder.join("versus-go.json"), json(lines))?;
    fs::write(folder.join("versus-go.svg"), plot(lines))
}

/// What the figures were measured on.
fn machine(go: Option<&Go>) -> String {
    let cores = available_parallelism().map_or(0, Into::into);
    let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.to_owned())
    });
    let rust = Command::new("rustc").arg("--version").output().ok();
    let rust = rust.and_then(|output| String::from_utf8(output.stdout).ok());
    let go = go.map_or("no Go on the PATH: our side alone", |go| go.version.as_str());
    format!(
        "{cores} cores ({}), {}, {go}",
        processor.unwrap_or_else(|| "of unknown kind".to_owned()),
        rust.as_deref().map_or("rustc of unknown version", str::trim),
    )
}

fn find_row(name: &str) -> Result<&'static Row, String> {
    row(name).ok_or_else(|| {
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        format!("the rows are {}", names.join(", "))
    })
}
