//! `cargo xtask …`: what the workspace does with its own pages, pictures and manifests.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Result, book, docs, figures, follow, go, links, name_of, pictures, programs};
use xtask::{root, sections, take};

/// Maintains the pages, pictures and manifests of the workspace. `.ci/run` runs the tasks that
/// check something.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make the book of all pages in target/book/html, and check its links and widths
    Book,
    /// Check the links between the HTML pages in a folder
    Links {
        /// The folder
        #[arg(default_value = "target/book/html")]
        folder: PathBuf,
    },
    /// Make the API documentation with the pages' pictures and links, and check them
    Docs,
    /// Run the commands of the pages, and compare what they print with what the page says
    Pages {
        /// Only these pages
        pages: Vec<PathBuf>,
    },
    /// Update what the pages quote from the race against Go and from each other
    Figures,
    /// Redraw the pictures of the pages with the programs themselves
    Pictures {
        /// Draw nothing; fail if a picture that follows from the sources alone would change
        #[arg(long)]
        check: bool,
    },
    /// Run every program and every example to its end
    Programs,
    /// Vet and run the pages' Go programs, and compare their output with the recorded one
    Go,
    /// Run the tests of the sections one at a time, so that a leaked thread or descriptor shows
    Leaks,
    /// Copy a section and what it needs, as the start of your own workspace
    Take {
        /// The section's package, such as `pipeline`
        section: String,
        /// A folder that is not there yet
        to: PathBuf,
    },
    /// Copy each section out of the workspace in turn, and test it there
    Standalone,
    /// Print the packages of the sections, in reading order
    Sections,
}

fn main() -> ExitCode {
    let Args { task } = Args::parse();
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result {
    match task {
        Task::Book => book::build(),
        Task::Links { folder } => links::check(&root().join(folder)),
        Task::Docs => docs::build(),
        Task::Pages { pages } => follow::follow_all(&pages),
        Task::Figures => figures::update(),
        Task::Pictures { check } => pictures::redraw(check),
        Task::Programs => programs::run_all(),
        Task::Go => go::run_all(),
        Task::Leaks => programs::test_for_leaks(),
        Task::Take { section, to } => {
            take::take(&section, &to)?;
            println!("{}", take::next(&section, &to));
            Ok(())
        }
        Task::Standalone => take::check_all(),
        Task::Sections => {
            for section in sections() {
                println!("{}", name_of(&section));
            }
            Ok(())
        }
    }
}
