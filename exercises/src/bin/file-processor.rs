//! The program of [`exercises::file_processor`].

use std::process::ExitCode;

fn main() -> ExitCode {
    exercises::file_processor::cli::main()
}
