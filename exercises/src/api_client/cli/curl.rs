//! Flags of curl that do not exist here or mean something else, and what to write instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The spellings of a flag, and what to write instead.
const NOT_HERE: &[(&[&str], &str)] = &[
    (&["-b", "--cookie"], "send a cookie with -H 'Cookie: NAME=VALUE'"),
    (
        &["-c", "--cookie-jar"],
        "-c N is how many requests go at once; curl's cookie jar is not supported",
    ),
    (
        &["-F", "--form"],
        "forms with files are not supported: send a body with --data-binary @FILE and -H 'Content-Type: ...'",
    ),
    (&["-T", "--upload-file"], "write -X PUT --data-binary @FILE"),
    (&["-G", "--get", "--url-query"], "write the query into the URL"),
    (&["--data-urlencode"], "pass encoded data to -d, or use --json"),
    (
        &["-K", "--config"],
        "use -i FILE with JSON lines, which set method, headers and body for each request",
    ),
    (
        &["-w", "--write-out"],
        "use --format ndjson for status, times and sizes, and --keep-header NAME for headers",
    ),
    (
        &["-i", "--include", "--show-headers"],
        "-i FILE reads requests; for headers use -I, or --format ndjson with --keep-header NAME",
    ),
    (&["-D", "--dump-header"], "use -I, or --format ndjson with --keep-header NAME"),
    (&["-r", "--range"], "write -H 'Range: bytes=0-99'"),
    (&["-C", "--continue-at"], "not needed: -o continues a body that broke off"),
    (
        &["-Z", "--parallel", "--parallel-max"],
        "not needed: requests go in parallel, at most -c N at once",
    ),
    (&["-n", "--netrc", "--netrc-file"], "use -u USER:PASSWORD"),
    (&["-E", "--cert", "--key", "--cert-type", "--pass"], "client certificates are not supported"),
    (
        &["--http2", "--http2-prior-knowledge"],
        "not needed: TLS uses HTTP/2 if the host can; --http1.1 turns it off",
    ),
    (&["-0", "--http1.0", "--http3", "--http3-only"], "only HTTP/1.1 and HTTP/2 are supported"),
    (
        &["--resolve", "--connect-to", "--interface", "-4", "--ipv4", "-6", "--ipv6"],
        "the system resolves addresses: use /etc/hosts",
    ),
    (&["--limit-rate"], "only requests can be limited: --rate 50/s"),
    (
        &["--retry-all-errors", "--retry-connrefused", "--retry-delay", "--retry-max-time"],
        "not needed: it retries; --retries, --backoff and --patience bound that",
    ),
    (
        &["-#", "--progress-bar", "--no-progress-meter"],
        "not needed: a terminal gets a bar, and -s removes it",
    ),
    (&["-N", "--no-buffer"], "a body is printed only when it is complete"),
    (&["-J", "--remote-header-name"], "use -O: the URL names the file, not the server"),
    (&["--output-dir", "--create-dirs"], "use -O -o DIR, which creates the directory"),
    (&["--oauth2-bearer"], "write -H 'Authorization: Bearer TOKEN'"),
    (
        &["--digest", "--ntlm", "--negotiate", "--anyauth", "--basic", "--aws-sigv4"],
        "-u is Basic authentication, the only kind here",
    ),
    (&["-z", "--time-cond"], "write -H 'If-Modified-Since: DATE'"),
    (&["-U", "--proxy-user"], "write it into the proxy's URL: -x http://USER:PASSWORD@HOST:PORT"),
    (&["--url"], "give the URL without a flag"),
    (&["-g", "--globoff"], "not needed: brackets and braces of a URL are sent unchanged"),
    (
        &["-a", "--append", "-R", "--remote-time", "-q", "--disable", "--next", "-:"],
        "not supported",
    ),
];

/// What to write instead of a flag of curl that is not here.
pub(super) fn reason(flag: &str) -> Option<&'static str> {
    let found = NOT_HERE.iter().find(|(flags, _)| flags.contains(&flag));
    found.map(|(_, reason)| *reason)
}

/// The reason for a flag that clap does not know.
pub(super) fn explained(err: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = err.get(ContextKind::InvalidArg) else { return None };
    let reason = reason(flag).filter(|_| err.kind() == ErrorKind::UnknownArgument)?;
    Some(format!("curl's `{flag}` does not exist here: {reason}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::api_client::cli::args::Args;

    #[test]
    fn each_flag_of_the_table_is_refused_with_its_reason() {
        for (flags, reason) in NOT_HERE {
            for flag in flags.iter().filter(|flag| !["-i", "-c"].contains(*flag)) {
                let args = ["api-client", flag, "x", "http://a.example/"];
                let err = Args::command().try_get_matches_from(args).expect_err(flag);
                let told = explained(&err).unwrap_or_else(|| panic!("{flag}: {err}"));
                assert!(told.contains(reason), "{told}");
            }
        }
    }

    #[test]
    fn a_flag_with_another_meaning_is_explained_too() {
        let args = ["api-client", "-c", "cookies.txt", "http://a.example/"];
        let err = Args::command().try_get_matches_from(args).expect_err("no number");
        assert!(err.to_string().contains("cookie jar"), "{err}");
    }
}
