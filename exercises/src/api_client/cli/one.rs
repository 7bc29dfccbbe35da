//! One URL, fetched as curl does: its body on stdout or in a file, an error on stderr.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use http::StatusCode;

use super::failed::{Failed, unprinted};
use crate::api_client::Outcome;
use crate::api_client::output::plain;

/// How many bytes at the start of a body are checked before it goes to a terminal.
const LOOKED_AT: usize = 8 * 1024;

/// Prints a complete body from its temporary file to stdout, or to a device such as /dev/null.
pub(super) fn print_body(body: &Path, to: Option<&Path>) -> Result<(), Failed> {
    let mut body = File::open(body)?;
    if let Some(device) = to {
        let failed = |err| format!("cannot write to {}: {err}", device.display());
        let mut device = File::options().append(true).open(device).map_err(failed)?;
        io::copy(&mut body, &mut device).map_err(failed)?;
        return Ok(());
    }
    let mut beginning = Vec::new();
    (&mut body).take(LOOKED_AT as u64).read_to_end(&mut beginning)?;
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() && beginning.contains(&0) {
        return Err(
            "the body is binary, and this is a terminal: use -o FILE, or -o - | COMMAND".into()
        );
    }
    let printed = stdout.write_all(&beginning).and_then(|()| io::copy(&mut body, &mut stdout));
    printed.and_then(|_| stdout.flush()).map_err(|err| unprinted("the body", &err))
}

/// Prints the head of an answer as curl's `-I` does, with the names of the headers as HTTP/2 has them.
pub(super) fn print_head(outcome: &Outcome) -> Result<(), Failed> {
    let (Some(status), Some(version)) = (outcome.status, &outcome.http_version) else {
        return Ok(());
    };
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.filter(|_| version.starts_with('1')).unwrap_or_default();
    let mut head = format!("HTTP/{version} {status} {reason}\r\n");
    for (name, value) in &outcome.response_headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        head += &format!("{name}: {}\r\n", plain(&value));
    }
    head += "\r\n";
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(head.as_bytes()).and_then(|()| stdout.flush());
    printed.map_err(|err| unprinted("the head", &err))
}
