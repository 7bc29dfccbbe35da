//! Fetches many URLs as fast as their hosts allow, and loses none: `api-client -i urls.txt`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exercises::api_client::cli::main()
}
