//! Flags of curl that do not exist here or mean something else, and what to write instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A flag in both of its forms, and the reason.
const NOT_HERE: &[(&[&str], &str)] = &[
    (&["-b", "--cookie"], "send a cookie with -H 'Cookie: NAME=VALUE'"),
    (
        &["-c", "--cookie-jar"],
        "curl's -c is a cookie jar, which is not here: -c N is how many go at once",
    ),
    (
        &["-F", "--form"],
        "forms with files are not made here: send a body with --data-binary @FILE and -H 'Content-Type: ...'",
    ),
    (&["-T", "--upload-file"], "write -X PUT --data-binary @FILE"),
    (&["-G", "--get", "--url-query"], "write the query into the URL"),
    (&["--data-urlencode"], "give -d what is encoded already, or --json"),
    (
        &["-K", "--config"],
        "there is no file of flags: -i FILE with JSON lines says more of each request",
    ),
    (&["-w", "--write-out"], "--format ndjson has status, times, sizes and --keep-header NAME"),
    (
        &["-i", "--include", "--show-headers"],
        "curl's -i prints the head: use -I for the head alone, or --format ndjson with --keep-header NAME; -i FILE reads requests",
    ),
    (&["-D", "--dump-header"], "use -I, or --format ndjson with --keep-header NAME"),
    (&["-r", "--range"], "write -H 'Range: bytes=0-99'"),
    (&["-C", "--continue-at"], "with -o a body that broke off is continued by itself"),
    (
        &["-Z", "--parallel", "--parallel-max"],
        "requests go in parallel by themselves: -c N bounds them",
    ),
    (&["-n", "--netrc", "--netrc-file"], "no file of passwords is read: use -u USER:PASSWORD"),
    (&["-E", "--cert", "--key", "--cert-type", "--pass"], "certificates of clients are not here"),
    (
        &["--http2", "--http2-prior-knowledge"],
        "HTTP/2 is spoken by itself over TLS; --http1.1 turns it off",
    ),
    (&["-0", "--http1.0", "--http3", "--http3-only"], "it speaks HTTP/1.1 and HTTP/2"),
    (
        &["--resolve", "--connect-to", "--interface", "-4", "--ipv4", "-6", "--ipv6"],
        "addresses are those of the system: see /etc/hosts",
    ),
    (&["--limit-rate"], "bytes a second are not bounded, requests are: --rate 50/s"),
    (
        &["--retry-all-errors", "--retry-connrefused", "--retry-delay", "--retry-max-time"],
        "it tries again by itself: --retries, --backoff and --patience bound that",
    ),
    (&["-#", "--progress-bar", "--no-progress-meter"], "a terminal gets a bar; -s takes it away"),
    (
        &["-N", "--no-buffer"],
        "a body is printed once it is whole, so that no half of one is taken for it",
    ),
    (&["-J", "--remote-header-name"], "a file is named by its URL and not by the server: -O"),
    (&["--output-dir", "--create-dirs"], "write -O -o DIR: the directory is made"),
    (&["--oauth2-bearer"], "write -H 'Authorization: Bearer TOKEN'"),
    (
        &["--digest", "--ntlm", "--negotiate", "--anyauth", "--basic", "--aws-sigv4"],
        "-u is Basic authentication, the only kind here",
    ),
    (&["-z", "--time-cond"], "write -H 'If-Modified-Since: DATE'"),
    (&["-U", "--proxy-user"], "write it into the proxy's URL: -x http://USER:PASSWORD@HOST:PORT"),
    (&["--url"], "give the URL itself"),
    (&["-g", "--globoff"], "brackets and braces of a URL are sent as they are"),
    (
        &["-a", "--append", "-R", "--remote-time", "-q", "--disable", "--next", "-:"],
        "nothing stands for it",
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
    Some(format!("`{flag}` of curl is not here: {reason}"))
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
