//! `--dry-run`: what would be sent, and where its body would be.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use futures_util::{Stream, StreamExt};

use super::args::Place;
use super::failed::{Failed, unprinted};
use crate::api_client::Request;
use crate::api_client::input::masked;
use crate::api_client::output::plain;
use crate::api_client::run::host_of;

/// Prints a line for each request: its method, its host, its URL and its file. Fails with status 1 if
/// one of them could not be sent.
pub(super) async fn print(
    requests: impl Stream<Item = Request>,
    place: &Place,
) -> Result<ExitCode, Failed> {
    let (mut requests, mut numbers) = (std::pin::pin!(requests), HashMap::new());
    let mut code = ExitCode::SUCCESS;
    while let Some(request) = requests.next().await {
        let mut line = String::new();
        if let Some(why) = request.invalid_because() {
            code = ExitCode::FAILURE;
            let _ = write!(line, "invalid  {}  ({why})", request.shown()); // a string takes all
        } else {
            let url = request.url();
            let _ = write!(line, "{}  {}  {}", request.method, host_of(url), masked(url));
            if let Place::Directory(directory, naming) = place {
                let path = naming.path(directory, url, &mut numbers);
                let _ = write!(line, " -> {}", path.display());
            }
        }
        writeln!(io::stdout().lock(), "{}", plain(&line))
            .map_err(|err| unprinted("the requests", &err))?;
    }
    Ok(code)
}
