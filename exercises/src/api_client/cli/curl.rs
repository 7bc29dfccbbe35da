//! Flags of curl that do not exist here or mean something else, and what to write instead.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The spellings of a flag, and what to write instead. One that ends with `*` stands for all that
/// begin like it; the first row that fits counts.
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
    (&["-Z", "--parallel*"], "not needed: requests go in parallel, at most -c N at once"),
    (&["-n", "--netrc", "--netrc-file", "--netrc-optional"], "use -u USER:PASSWORD"),
    (
        &["-E", "--cert", "--key", "--cert-type", "--key-type", "--pass"],
        "client certificates are not supported",
    ),
    (
        &["--http2", "--http2-prior-knowledge"],
        "not needed: TLS uses HTTP/2 if the host can; --http1.1 turns it off",
    ),
    (
        &["-0", "--http0.9", "--http1.0", "--http3", "--http3-only"],
        "only HTTP/1.1 and HTTP/2 are supported",
    ),
    (
        &["--resolve", "--connect-to", "-4", "--ipv4", "-6", "--ipv6", "--dns-*", "--doh-*"],
        "the system resolves addresses: use /etc/hosts",
    ),
    (
        &["--interface", "--local-port", "--happy-eyeballs-timeout-ms", "--ip-tos"],
        "the system chooses how to connect; --connect-timeout bounds the time",
    ),
    (&["--tcp-*", "--keepalive-*", "--no-keepalive", "--mptcp"], "the options of TCP are fixed"),
    (&["--unix-socket", "--abstract-unix-socket"], "only TCP is supported"),
    (&["--limit-rate"], "only requests can be limited: --rate 50/s"),
    (
        &["-Y", "--speed-limit", "-y", "--speed-time"],
        "--stall-timeout ends an attempt that brings nothing, and --max-time a long one",
    ),
    (
        &["--retry-all-errors", "--retry-connrefused", "--retry-delay", "--retry-max-time"],
        "not needed: it retries; --retries, --backoff and --patience bound that",
    ),
    (
        &["-#", "--progress-bar", "--no-progress-meter"],
        "not needed: a terminal gets a bar, and -s removes it",
    ),
    (&["-N", "--no-buffer"], "a body is printed only when it is complete"),
    (&["--remote-name-all"], "write -O: it names the body of each URL"),
    (&["-J", "--remote-header-name"], "use -O: the URL names the file, not the server"),
    (
        &["--output-dir", "--create-dirs", "--create-file-mode"],
        "use -O -o DIR, which creates the directory; umask sets the modes",
    ),
    (
        &["--no-clobber", "--skip-existing"],
        "not needed: -O and -o DIR never overwrite; --journal with --resume fetches nothing twice",
    ),
    (&["--remove-on-error"], "not needed: a body that fails leaves no file"),
    (&["--max-filesize"], "write --max-body SIZE"),
    (
        &["-R", "--remote-time", "--xattr"],
        "a file has the time of its download; --keep-header last-modified tells the host's",
    ),
    (
        &["--etag-save", "--etag-compare"],
        "--format ndjson tells the ETag: write -H 'If-None-Match: ETAG'",
    ),
    (&["--oauth2-bearer"], "write -H 'Authorization: Bearer TOKEN'"),
    (
        &[
            "--digest",
            "--ntlm",
            "--ntlm-wb",
            "--negotiate",
            "--anyauth",
            "--basic",
            "--aws-sigv4",
            "--delegation",
            "--krb",
            "--sasl-*",
            "--service-name",
            "--login-options",
        ],
        "-u is Basic authentication, the only kind here",
    ),
    (&["--location-trusted"], "another host never gets credentials: give it a request of its own"),
    (
        &["--post301", "--post302", "--post303"],
        "a redirected POST becomes a GET, as with curl's -L",
    ),
    (&["--proto", "--proto-redir"], "not needed: only http and https are supported"),
    (&["--proto-default", "--ssl", "--ssl-reqd"], "write https:// into the URL"),
    (&["-z", "--time-cond"], "write -H 'If-Modified-Since: DATE'"),
    (
        &["-U", "--proxy-user", "--proxy-basic", "--socks5-basic"],
        "write it into the proxy's URL: -x http://USER:PASSWORD@HOST:PORT",
    ),
    (&["-p", "--proxytunnel"], "not needed: https goes through a tunnel, http does not"),
    (
        &["--socks5-gssapi*"],
        "a SOCKS proxy takes a name and a password: -x socks5://USER:PASSWORD@HOST:PORT",
    ),
    (
        &["--socks4", "--socks4a", "--socks5", "--socks5-hostname", "--preproxy", "--proxy1.0"],
        "write -x socks5h://HOST:PORT, or socks5, socks4a, socks4 or http",
    ),
    (
        &["--proxy-*", "--suppress-connect-headers"],
        "a proxy has no settings but its URL and --noproxy",
    ),
    (&["--haproxy-*"], "not supported"),
    (&["--url"], "give the URL without a flag"),
    (
        &["--path-as-is", "--request-target"],
        "not supported: a path is sent without its `..`, as from a browser",
    ),
    (&["--fail-early"], "each URL gets its try; the exit status is 1 if one failed"),
    (&["--disallow-username-in-url"], "a user in a URL is sent to its host only"),
    (&["-g", "--globoff"], "not needed: brackets and braces of a URL are sent unchanged"),
    (
        &["-:", "--next"],
        "use -i FILE with JSON lines, which set method, headers and body for each request",
    ),
    (&["-q", "--disable"], "not needed: it reads no file of settings"),
    (
        &["-j", "--junk-session-cookies", "--hsts", "--alt-svc", "--no-sessionid"],
        "nothing is kept between runs, no cookies either",
    ),
    (
        &["--form-string", "--form-escape"],
        "forms with files are not supported: send fields with -d NAME=VALUE",
    ),
    (&["--raw", "--ignore-content-length"], "a body is what HTTP says it is, or it has failed"),
    (&["--tr-encoding"], "use --compressed"),
    (&["--expect100-timeout"], "a body is sent without asking first"),
    (&["--capath"], "write --cacert FILE, with all certificates in one PEM file"),
    (
        &["--ca-native", "--cert-status", "--crlfile", "--pinnedpubkey"],
        "certificates are checked against those of the system, or of --cacert",
    ),
    (
        &["-1", "-2", "-3", "--tls*", "--ssl*", "--ciphers", "--curves", "--false-start", "--ech"],
        "TLS is 1.2 or 1.3, as the host can, and its settings are fixed",
    ),
    (&["--no-alpn", "--no-npn"], "write --http1.1"),
    (&["--egd-file", "--random-file", "--engine"], "not needed: TLS brings its own"),
    (&["--stderr"], "write 2> FILE"),
    (
        &["--trace-*", "--styled-output", "--libcurl"],
        "-v prints a line for each attempt; --trace and --timeline draw the run",
    ),
    (&["-M", "--manual"], "use --help, or --man"),
    (&["--metalink"], "use -i FILE, with a URL a line"),
    (
        &["-a", "--append", "-B", "--use-ascii", "--crlf", "-l", "--list-only", "-Q", "--quote"],
        "not supported: only HTTP is",
    ),
    (
        &["--ftp-*", "-P", "--disable-ep*", "--mail-*", "--tftp-*", "-t", "--telnet-option"],
        "not supported: only HTTP is",
    ),
    (&["--compressed-ssh", "--hostpub*", "--pubkey"], "not supported: only HTTP is"),
];

/// What to write instead of a flag of curl that is not here.
pub(super) fn reason(flag: &str) -> Option<&'static str> {
    let is_it = |known: &&str| match known.strip_suffix('*') {
        Some(start) => flag.starts_with(start),
        None => *known == flag,
    };
    let found = NOT_HERE.iter().find(|(flags, _)| flags.iter().any(is_it));
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
                let flag = &flag.replace('*', "x");
                let args = ["api-client", flag, "x", "http://a.example/"];
                let err = Args::command().try_get_matches_from(args).expect_err(flag);
                let told = explained(&err).unwrap_or_else(|| panic!("{flag}: {err}"));
                assert!(told.contains(reason), "{told}");
            }
        }
    }

    /// All flags of curl 7.88, as `curl --help all` lists them.
    const CURLS: &str = "
        --abstract-unix-socket --alt-svc --anyauth -a --append --aws-sigv4 --basic --cacert --capath
        -E --cert --cert-status --cert-type --ciphers --compressed --compressed-ssh -K --config
        --connect-timeout --connect-to -C --continue-at -b --cookie -c --cookie-jar --create-dirs
        --create-file-mode --crlf --crlfile --curves -d --data --data-ascii --data-binary --data-raw
        --data-urlencode --delegation --digest -q --disable --disable-eprt --disable-epsv
        --disallow-username-in-url --dns-interface --dns-ipv4-addr --dns-ipv6-addr --dns-servers
        --doh-cert-status --doh-insecure --doh-url -D --dump-header --egd-file --engine
        --etag-compare --etag-save --expect100-timeout -f --fail --fail-early --fail-with-body
        --false-start -F --form --form-escape --form-string --ftp-account --ftp-alternative-to-user
        --ftp-create-dirs --ftp-method --ftp-pasv -P --ftp-port --ftp-pret --ftp-skip-pasv-ip
        --ftp-ssl-ccc --ftp-ssl-ccc-mode --ftp-ssl-control -G --get -g --globoff
        --happy-eyeballs-timeout-ms --haproxy-protocol -I --head -H --header -h --help --hostpubmd5
        --hostpubsha256 --hsts --http0.9 -0 --http1.0 --http1.1 --http2 --http2-prior-knowledge
        --http3 --http3-only --ignore-content-length -i --include -k --insecure --interface -4
        --ipv4 -6 --ipv6 --json -j --junk-session-cookies --keepalive-time --key --key-type --krb
        --libcurl --limit-rate -l --list-only --local-port -L --location --location-trusted
        --login-options --mail-auth --mail-from --mail-rcpt --mail-rcpt-allowfails -M --manual
        --max-filesize --max-redirs -m --max-time --metalink --negotiate -n --netrc --netrc-file
        --netrc-optional -: --next --no-alpn -N --no-buffer --no-clobber --no-keepalive --no-npn
        --no-progress-meter --no-sessionid --noproxy --ntlm --ntlm-wb --oauth2-bearer -o --output
        --output-dir -Z --parallel --parallel-immediate --parallel-max --pass --path-as-is
        --pinnedpubkey --post301 --post302 --post303 --preproxy -# --progress-bar --proto
        --proto-default --proto-redir -x --proxy --proxy-anyauth --proxy-basic --proxy-cacert
        --proxy-capath --proxy-cert --proxy-cert-type --proxy-ciphers --proxy-crlfile --proxy-digest
        --proxy-header --proxy-insecure --proxy-key --proxy-key-type --proxy-negotiate --proxy-ntlm
        --proxy-pass --proxy-pinnedpubkey --proxy-service-name --proxy-ssl-allow-beast
        --proxy-ssl-auto-client-cert --proxy-tls13-ciphers --proxy-tlsauthtype --proxy-tlspassword
        --proxy-tlsuser --proxy-tlsv1 -U --proxy-user --proxy1.0 -p --proxytunnel --pubkey -Q
        --quote --random-file -r --range --rate --raw -e --referer -J --remote-header-name -O
        --remote-name --remote-name-all -R --remote-time --remove-on-error -X --request
        --request-target --resolve --retry --retry-all-errors --retry-connrefused --retry-delay
        --retry-max-time --sasl-authzid --sasl-ir --service-name -S --show-error -s --silent
        --socks4 --socks4a --socks5 --socks5-basic --socks5-gssapi --socks5-gssapi-nec
        --socks5-gssapi-service --socks5-hostname -Y --speed-limit -y --speed-time --ssl
        --ssl-allow-beast --ssl-auto-client-cert --ssl-no-revoke --ssl-reqd --ssl-revoke-best-effort
        -2 --sslv2 -3 --sslv3 --stderr --styled-output --suppress-connect-headers --tcp-fastopen
        --tcp-nodelay -t --telnet-option --tftp-blksize --tftp-no-options -z --time-cond --tls-max
        --tls13-ciphers --tlsauthtype --tlspassword --tlsuser -1 --tlsv1 --tlsv1.0 --tlsv1.1
        --tlsv1.2 --tlsv1.3 --tr-encoding --trace --trace-ascii --trace-time --unix-socket -T
        --upload-file --url --url-query -B --use-ascii -u --user -A --user-agent -v --verbose -V
        --version -w --write-out --xattr";

    #[test]
    fn each_flag_of_curl_is_there_or_refused_with_a_reason() {
        let mut command = Args::command();
        command.build();
        let is_there = |flag: &str| {
            command.get_arguments().any(|arg| {
                let longs = arg.get_long_and_visible_aliases().into_iter().flatten();
                let hidden = arg.get_all_aliases().into_iter().flatten();
                let mut longs = longs.chain(hidden).map(|long| format!("--{long}"));
                longs.any(|long| long == flag)
                    || arg.get_short().is_some_and(|short| flag == format!("-{short}"))
            })
        };
        let flags: Vec<_> = CURLS.split_whitespace().collect();
        assert!(flags.len() > 280, "{}", flags.len());
        let without: Vec<_> =
            flags.iter().filter(|flag| !is_there(flag) && reason(flag).is_none()).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn a_flag_with_another_meaning_is_explained_too() {
        let args = ["api-client", "-c", "cookies.txt", "http://a.example/"];
        let err = Args::command().try_get_matches_from(args).expect_err("no number");
        assert!(err.to_string().contains("cookie jar"), "{err}");
    }
}
