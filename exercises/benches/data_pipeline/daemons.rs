//! Peers that follow a file forever. The last command waits until they have had time to start;
//! after that, a peer is done when its output stops growing.

use std::fs;
use std::path::Path;

use super::{Contender, Input, Shape, contender, words};

/// It parses and filters, but counts no windows, so it does less than the job.
pub(crate) fn rsyslog(folder: &Path, lines: u64) -> Contender {
    let text = r#"global(workDirectory="FOLDER/rsyslog-work" maxMessageSize="64k")
main_queue(queue.type="FixedArray" queue.size="200000" queue.dequeueBatchSize="4096"
           queue.workerThreads="2" queue.workerThreadMinimumMessages="20000")
module(load="imfile")
module(load="mmjsonparse")
template(name="line" type="string" string="%msg%\n")
input(type="imfile" file="INPUT" tag="bench" readMode="0")
action(type="mmjsonparse" cookie="")
if $!status >= 500 then {
    action(type="omfile" file="FOLDER/rsyslog-out" template="line" asyncWriting="on"
           ioBufferSize="256k")
}
"#;
    let name = "rsyslog, no windows, a tenth of the lines";
    let config = folder.join("rsyslog.conf");
    let command = ["rsyslogd", "-n", "-i", "NONE", "-f", config.to_str().unwrap()];
    daemon(folder, lines, name, &[("rsyslog.conf", text)], &command, "rsyslog-out")
}

const JSON: &str = "[PARSER]
    Name json
    Format json
";

/// Its windows are by time of arrival, and it has no quantiles.
const STREAMS: &str = "[STREAM_TASK]
    Name matches
    Exec CREATE STREAM m WITH (tag='matches') AS SELECT * FROM TAG:'lines' WHERE status >= 500;
[STREAM_TASK]
    Name windows
    Exec CREATE STREAM w WITH (tag='windows') AS SELECT service, COUNT(*), AVG(latency_ms) \
FROM TAG:'matches' WINDOW TUMBLING (1 SECOND) GROUP BY service;
";

/// The input has its own thread, in which processors filter too, and uses buffers of 1 MB.
const INPUT: &str = "service:
  flush: 0.2
  log_level: error
  parsers_file: FOLDER/fluent-parsers.conf
  STREAMS
pipeline:
  inputs:
    - name: tail
      path: INPUT
      tag: lines
      read_from_head: on
      threaded: on
      inotify_watcher: off
      buffer_chunk_size: 1M
      buffer_max_size: 4M
";

/// From as much of the job as Fluent Bit can do, down to its smallest part.
pub(crate) fn fluent_bits(folder: &Path, lines: u64) -> [Contender; 3] {
    let windows = "      parser: json
  outputs:
    - {name: file, match: matches, path: FOLDER, file: fluent-out, format: plain}
    - {name: file, match: windows, path: FOLDER, file: fluent-win, format: plain}
";
    let parsed = "      parser: json
      processors:
        logs:
          - {name: sql, query: 'SELECT * FROM STREAM WHERE status >= 500;'}
  outputs:
    - {name: file, match: lines, path: FOLDER, file: fluent-out, format: plain}
";
    let text = r#"      processors:
        logs:
          - {name: grep, regex: 'log "status":5'}
  outputs:
    - {name: file, match: lines, path: FOLDER, file: fluent-out, format: template,
       template: '{log}'}
"#;
    let streams = "streams_file: FOLDER/fluent-streams.conf";
    [
        ("Fluent Bit, windows of averages", "fluent-windows.yaml", streams, windows),
        ("Fluent Bit, no windows", "fluent-parsed.yaml", "", parsed),
        ("Fluent Bit, no windows, and nothing parsed", "fluent-text.yaml", "", text),
    ]
    .map(|(name, file, streams, rest)| {
        let config = INPUT.replace("STREAMS", streams) + rest;
        let files =
            [(file, &config[..]), ("fluent-parsers.conf", JSON), ("fluent-streams.conf", STREAMS)];
        let config = folder.join(file);
        let command = ["fluent-bit", "-q", "-c", config.to_str().unwrap()];
        daemon(folder, lines, name, &files, &command, "fluent-out")
    })
}

fn daemon(
    folder: &Path,
    lines: u64,
    name: &'static str,
    files: &[(&str, &str)],
    command: &[&str],
    out: &str,
) -> Contender {
    let input = Input::of(folder, Shape::Flat, lines);
    for (file, text) in files {
        let text = text.replace("FOLDER", folder.to_str().unwrap());
        fs::write(folder.join(file), text.replace("INPUT", &input.pattern)).unwrap();
    }
    let commands = vec![words(command), words(&["sleep", "1"])];
    contender(name, lines, commands, folder.join(out), Some(input.matches()))
}
