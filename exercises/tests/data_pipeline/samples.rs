//! Lines as well-known programs write them. For each, a command answers a question, and the test
//! computes the answer in another way from the whole documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::kit::Kit;

/// The start of the day of all samples, in seconds since 1970.
const DAY: f64 = 1_772_323_200.0;

/// The length of the windows, in seconds.
const WINDOW: i64 = 10;

/// A file, the command's flags, and their meaning as code.
struct Sample {
    name: &'static str,
    args: &'static [&'static str],
    /// The time of an event in seconds since 1970.
    time: fn(&Json) -> f64,
    keeps: fn(&Json) -> bool,
    key: fn(&Json) -> Json,
}

/// The time of day at a place in a text.
fn hms(value: &Json, at: usize) -> f64 {
    let text = &value.as_str().unwrap()[at..at + 8];
    let number = |at: usize| text[at..at + 2].parse::<f64>().unwrap();
    DAY + number(0) * 3600.0 + number(3) * 60.0 + number(6)
}

fn number(value: &Json) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(f64::NAN)
}

/// A field that ECS writes nested or with dots.
fn dotted<'j>(event: &'j Json, path: &str) -> &'j Json {
    let nested = path.split('.').try_fold(event, |value, name| value.get(name));
    nested.or_else(|| event.get(path)).unwrap_or(&Json::Null)
}

const SAMPLES: &[Sample] = &[
    Sample {
        name: "nginx",
        args: &[
            "--time",
            "time_local",
            "--where",
            "num(status)>=500 or num(request_time)>0.2",
            "--by",
            "status",
        ],
        time: |e| hms(&e["time_local"], 12),
        keeps: |e| number(&e["status"]) >= 500.0 || number(&e["request_time"]) > 0.2,
        key: |e| e["status"].clone(),
    },
    Sample {
        name: "caddy",
        args: &[
            "--where",
            "request.headers.User-Agent[*]~^curl and duration*1000>=5",
            "--by",
            "request.method",
        ],
        time: |e| number(&e["ts"]),
        keeps: |e| {
            let agent = e["request"]["headers"]["User-Agent"][0].as_str().unwrap();
            agent.starts_with("curl") && number(&e["duration"]) * 1000.0 >= 5.0
        },
        key: |e| e["request"]["method"].clone(),
    },
    Sample {
        name: "traefik",
        args: &[
            "--time",
            "time",
            "--where",
            "DownstreamStatus in [500, 502, 503]",
            "--by",
            "RouterName",
        ],
        time: |e| hms(&e["time"], 11),
        keeps: |e| [500.0, 502.0, 503.0].contains(&number(&e["DownstreamStatus"])),
        key: |e| e["RouterName"].clone(),
    },
    Sample {
        name: "zap",
        args: &["--where", "level != info && latency>0.005", "--by", "user.id"],
        time: |e| number(&e["ts"]),
        keeps: |e| e["level"] != "info" && number(&e["latency"]) > 0.005,
        key: |e| e["user"]["id"].clone(),
    },
    Sample {
        name: "slog",
        args: &["--time", "time", "--where", "level=ERROR or job.attempt=2", "--by", "job.name"],
        time: |e| hms(&e["time"], 11) - 3600.0,
        keeps: |e| e["level"] == "ERROR" || e["job"]["attempt"] == 2,
        key: |e| e["job"]["name"].clone(),
    },
    Sample {
        name: "pino",
        args: &[
            "--time",
            "time",
            "--where",
            "level>=40 and not res.statusCode=200",
            "--by",
            "req.method",
        ],
        time: |e| number(&e["time"]) / 1000.0,
        keeps: |e| number(&e["level"]) >= 40.0 && e["res"]["statusCode"] != 200,
        key: |e| e["req"]["method"].clone(),
    },
    Sample {
        name: "bunyan",
        args: &[
            "--time",
            "time",
            "--derive",
            "euros=amount.cents/100",
            "--where",
            "euros>6 and level<=50",
            "--by",
            "lower(amount.currency)",
        ],
        time: |e| hms(&e["time"], 11),
        keeps: |e| number(&e["amount"]["cents"]) > 600.0 && number(&e["level"]) <= 50.0,
        key: |e| e["amount"]["currency"].as_str().unwrap().to_lowercase().into(),
    },
    Sample {
        name: "serilog",
        args: &["--time", "@t", "--where", "exists(@l) || Elapsed>30", "--by", "Path"],
        time: |e| hms(&e["@t"], 11),
        keeps: |e| e.get("@l").is_some() || number(&e["Elapsed"]) > 30.0,
        key: |e| e["Path"].clone(),
    },
    Sample {
        name: "ecs",
        args: &[
            "--time",
            "@timestamp",
            "--where",
            "log.level=error or http.response.status_code>=500",
            "--by",
            "service.name",
        ],
        time: |e| hms(&e["@timestamp"], 11),
        keeps: |e| {
            let status = number(dotted(e, "http.response.status_code"));
            dotted(e, "log.level") == "error" || status >= 500.0
        },
        key: |e| dotted(e, "service.name").clone(),
    },
    Sample {
        name: "otel",
        args: &[
            "--time",
            "timeUnixNano",
            "--where",
            r#"severityNumber>=13 and attributes."http.status_code">=400"#,
            "--by",
            r#"resource."service.name""#,
        ],
        time: |e| number(&e["timeUnixNano"]) / 1e9,
        keeps: |e| {
            number(&e["severityNumber"]) >= 13.0
                && number(&e["attributes"]["http.status_code"]) >= 400.0
        },
        key: |e| e["resource"]["service.name"].clone(),
    },
    Sample {
        name: "cloudtrail",
        args: &[
            "--time",
            "eventTime",
            "--where",
            "resources[*].ARN~:backup$ or errorCode=AccessDenied",
            "--by",
            "userIdentity.userName",
        ],
        time: |e| hms(&e["eventTime"], 11),
        keeps: |e| {
            let mut resources = e["resources"].as_array().unwrap().iter();
            resources.any(|r| r["ARN"].as_str().unwrap().ends_with(":backup"))
                || e.get("errorCode").is_some()
        },
        key: |e| e["userIdentity"]["userName"].clone(),
    },
    Sample {
        name: "k8s-audit",
        args: &[
            "--time",
            "requestReceivedTimestamp",
            "--where",
            "user.groups[*]=admins or objectRef.resource=secrets",
            "--where",
            "verb!=get",
            "--by",
            "user.groups[0]",
        ],
        time: |e| hms(&e["requestReceivedTimestamp"], 11),
        keeps: |e| {
            let groups = e["user"]["groups"].as_array().unwrap();
            e["verb"] != "get"
                && (groups.contains(&"admins".into()) || e["objectRef"]["resource"] == "secrets")
        },
        key: |e| e["user"]["groups"][0].clone(),
    },
    Sample {
        name: "journald",
        args: &[
            "--time",
            "__REALTIME_TIMESTAMP",
            "--where",
            "num(PRIORITY)<=4 and MESSAGE~^m",
            "--by",
            "_SYSTEMD_UNIT",
        ],
        time: |e| number(&e["__REALTIME_TIMESTAMP"]) / 1e6,
        keeps: |e| {
            let text = e["MESSAGE"].as_str().unwrap_or_default();
            number(&e["PRIORITY"]) <= 4.0 && text.starts_with('m')
        },
        key: |e| e["_SYSTEMD_UNIT"].clone(),
    },
    Sample {
        name: "postgres",
        args: &[
            "--time",
            "timestamp",
            "--where",
            "error_severity in [ERROR, FATAL] or pid%5=0",
            "--by",
            "dbname",
        ],
        time: |e| hms(&e["timestamp"], 11),
        keeps: |e| e["error_severity"] != "LOG" || e["pid"].as_u64().unwrap().is_multiple_of(5),
        key: |e| e["dbname"].clone(),
    },
    Sample {
        name: "gelf",
        args: &["--time", "timestamp", "--where", "level<4 and num(_took_ms)>=9", "--by", "host"],
        time: |e| number(&e["timestamp"]),
        keeps: |e| number(&e["level"]) < 4.0 && number(&e["_took_ms"]) >= 9.0,
        key: |e| e["host"].clone(),
    },
    Sample {
        name: "github",
        args: &[
            "--time",
            "created_at",
            "--where",
            r#"payload.commits[*].author.email="ben@example.com" or actor.login~"\[bot\]$""#,
            "--by",
            "repo.name",
        ],
        time: |e| hms(&e["created_at"], 11),
        keeps: |e| {
            let none = Vec::new();
            let mut commits = e["payload"]["commits"].as_array().unwrap_or(&none).iter();
            commits.any(|commit| commit["author"]["email"] == "ben@example.com")
                || e["actor"]["login"].as_str().unwrap().ends_with("[bot]")
        },
        key: |e| e["repo"]["name"].clone(),
    },
    Sample {
        name: "docker",
        args: &[
            "--time",
            "time",
            "--where",
            r#"log~"^GET /1[0-4]" or stream=stderr"#,
            "--by",
            "stream",
        ],
        time: |e| hms(&e["time"], 11),
        keeps: |e| {
            let log = e["log"].as_str().unwrap().trim_end();
            ["10", "11", "12", "13", "14"].contains(&&log[5..]) || e["stream"] == "stderr"
        },
        key: |e| e["stream"].clone(),
    },
    Sample {
        name: "log4j",
        args: &[
            "--time",
            "instant.epochSecond",
            "--where",
            "level=ERROR or contextMap.tenant=y",
            "--by",
            "loggerName",
        ],
        time: |e| number(&e["instant"]["epochSecond"]),
        keeps: |e| e["level"] == "ERROR" || e["contextMap"]["tenant"] == "y",
        key: |e| e["loggerName"].clone(),
    },
    Sample {
        name: "logback",
        args: &[
            "--time",
            "@timestamp",
            "--time-zone",
            "Europe/Berlin",
            "--where",
            "took>=7",
            "--by",
            "level",
        ],
        time: |e| hms(&e["@timestamp"], 11) - 3600.0,
        keeps: |e| number(&e["took"]) >= 7.0,
        key: |e| e["level"].clone(),
    },
    Sample {
        name: "envoy",
        args: &[
            "--time",
            "start_time",
            "--where",
            "response_code>=500 and response_flags!=\"-\"",
            "--by",
            "authority",
        ],
        time: |e| hms(&e["start_time"], 17),
        keeps: |e| number(&e["response_code"]) >= 500.0 && e["response_flags"] != "-",
        key: |e| e["authority"].clone(),
    },
    Sample {
        name: "iot",
        args: &[
            "--time",
            "when",
            "--time-format",
            "%d.%m.%Y %H:%M:%S",
            "--time-zone",
            "+01:00",
            "--where",
            "readings[*]>=30 or readings[2]=null",
            "--by",
            "sensor",
        ],
        time: |e| hms(&e["when"], 11) - 3600.0,
        keeps: |e| {
            let readings = e["readings"].as_array().unwrap();
            readings.iter().any(|reading| number(reading) >= 30.0)
                || readings.get(2).is_some_and(Json::is_null)
        },
        key: |e| e["sensor"].clone(),
    },
];

#[test]
fn a_question_about_lines_as_programs_write_them_is_answered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data_pipeline/samples");
    for Sample { name, args, time, keeps, key } in SAMPLES {
        let text = fs::read_to_string(folder.join(format!("{name}.ndjson"))).unwrap();
        let (mut lines, mut windows) = (String::new(), BTreeMap::new());
        for line in text.split_inclusive('\n') {
            let event: Json = serde_json::from_str(line).unwrap();
            if keeps(&event) {
                lines += line;
                let start = (time(&event) as i64).div_euclid(WINDOW) * WINDOW;
                *windows.entry((start, key(&event).to_string())).or_insert(0_u64) += 1;
            }
        }
        assert!(
            !lines.is_empty() && lines.len() < text.len(),
            "{name}: the question tells nothing"
        );
        let kit = Kit::new();
        kit.write("in", &text);
        let usual = ["--file", "in", "--window", "10s", "--out", "out", "--aggregates", "win"];
        let run = kit.ok(&[&usual[..], args].concat());
        assert!(run.stderr.contains("+ dead 0 +"), "{name}: {run:#?}");
        assert_eq!(kit.read("out"), lines, "{name}");
        let counted = kit.read("win").lines().map(window).collect::<BTreeMap<_, _>>();
        assert_eq!(counted, windows, "{name}");
    }
}

/// A window's start in seconds since 1970, its key, and its count.
fn window(line: &str) -> ((i64, String), u64) {
    let window: Json = serde_json::from_str(line).unwrap();
    let start = hms(&window["window_start"], 11) as i64;
    ((start, window["key"].to_string()), window["count"].as_u64().unwrap())
}

#[test]
fn every_sample_has_its_question() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data_pipeline/samples");
    assert_eq!(fs::read_dir(folder).unwrap().count(), SAMPLES.len());
}

#[test]
fn check_shows_what_becomes_of_the_first_lines() {
    let kit = Kit::new();
    let input = "{\"at\":\"2026-03-01 12:00:07\",\"status\":\"503\",\"tags\":[\"a\",\"b\"]}\n\
                 {\"at\":\"2026-03-01 12:00:08\",\"status\":\"200\"}\nnot json\n{\"at\":\"when\"}\n{}\n";
    kit.write("in", input);
    let conditions = ["--where", "num(status)>=500 and tags[*]=b", "--where", "not exists(none)"];
    let windows = ["--time", "at", "--window", "5s", "--by", "status", "--p", "num(status)"];
    let args = [&["check", "--sample", "in", "-n", "4"], &conditions[..], &windows].concat();
    let shown = kit.command(&args).expect_status(0).stdout;
    for part in [
        "1  {\"at\":\"2026-03-01 12:00:07\",\"status\":\"503\",\"tags\":[\"a\",\"b\"]}\n   \
         time    2026-03-01T12:00:07Z (at)\n   \
         where   num(status)>=500 and tags[*]=b: yes, status is \"503\", tags[*] is [\"a\", \"b\"]\n   \
         where   not exists(none): yes, none is missing\n   \
         window  from 2026-03-01T12:00:05Z, key \"503\", value 503\n   => kept\n",
        "2  {\"at\":\"2026-03-01 12:00:08\",\"status\":\"200\"}\n   time    2026-03-01T12:00:08Z (at)\n   \
         where   num(status)>=500 and tags[*]=b: no, status is \"200\"\n",
        "3  not json\n   => dead letter: expected ident at column 2\n",
        "   => dead letter: no time: the field at holds \"when\", which is in no known form of time; \
         --time-format gives another\n",
        "4 lines: 1 kept, 1 filtered, 2 dead letters\n",
    ] {
        assert!(shown.contains(part), "{part}\nis missing in\n{shown}");
    }
    assert!(!shown.contains("\n5  "), "{shown}");
    // A mistake is refused here too, and no file is created.
    let _ = kit.command(&["check", "--sample", "in", "--where", "status>=5OO"]).expect_status(2);
    let _ = kit.command(&["check", "--sample", "none"]).expect_status(1);
    assert_eq!(fs::read_dir(kit.path(".")).unwrap().count(), 1);
}

#[test]
fn input_that_is_not_lines_of_json_is_named_once_with_a_remedy() {
    let kit = Kit::new();
    let utf16: Vec<u8> = "\u{feff}{\"a\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big_endian: Vec<u8> = "{\"a\":1}\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let array = format!("[{{\"a\":1}}{}]\n", ",\n{\"a\":2}".repeat(5000));
    let pretty = "{\n  \"a\": 1\n}\n".repeat(5000);
    for (bytes, hint) in [
        (
            utf16.repeat(100),
            "is UTF-16, and JSON has to be UTF-8: convert it with iconv -f UTF-16 ",
        ),
        (big_endian, "is UTF-16, and JSON has to be UTF-8: convert it with iconv -f UTF-16BE "),
        (array.into_bytes(), "is a JSON array, and not an object a line: jq -c '.[]' makes"),
        (pretty.into_bytes(), "is JSON objects over several lines: jq -c . makes"),
    ] {
        fs::write(kit.path("in"), &bytes).unwrap();
        kit.write("out", "kept\n");
        let run = kit.run(&["--file", "in", "--out", "out"]).expect_status(1);
        assert!(
            run.stderr.contains("cannot read in: it ") && run.stderr.contains(hint),
            "{run:#?}"
        );
        assert_eq!((run.stderr.lines().count(), kit.read("out")), (1, "kept\n".to_owned()));
        let shown = kit.command(&["check", "--sample", "in", "-n", "1"]).expect_status(0).stdout;
        assert!(shown.starts_with("in is ") && shown.contains(hint), "{shown}");
    }
    // Input from stdin is recognised only when it arrives.
    let args = ["-c", "\"$0\" run --stdin --out out --dead-letters dead < in", crate::kit::PROGRAM];
    let folder = kit.path(".");
    fs::write(kit.path("in"), b"\x1f\x8b\x08\0\n").unwrap();
    let run = testkit::run(
        "/usr/bin/env",
        &[&["-C", folder.to_str().unwrap(), "sh"], &args[..]].concat(),
    );
    assert_eq!(run.stderr.matches("is gzip where none is unpacked").count(), 1, "{run:#?}");
}

/// The page's blocks with output are what the program prints, and its file of settings runs.
#[test]
fn the_page_of_the_language_shows_what_is_printed() {
    let page = include_str!("../../src/data_pipeline/LANGUAGE.md");
    let block = |start: &str| {
        let from = &page[page.find(start).expect(start)..];
        &from[..from.find("```").unwrap()]
    };
    let kit = Kit::new();
    let sample = block("1  {\"time_local\"");
    kit.write("access.log", &format!("{}\n", &sample.lines().next().unwrap()[3..]));
    let args = ["check", "--sample", "access.log", "--time", "time_local"];
    let shown = kit.command(&[&args[..], &["--where", "num(status)>=500"]].concat());
    assert_eq!(shown.expect_status(0).stdout, sample);
    let run = kit.run(&["--file", "access.log", "--where", "status>=5OO"]).expect_status(2);
    assert_eq!(run.stderr, block("error: invalid condition"));
    kit.write("p.toml", &block("file = '${LOGS").replace("/var/log/nginx", "."));
    kit.ok(&["p.toml"]);
    assert!(kit.read("failed.ndjson").contains("\"key\":\"503\",\"count\":1,"));
}
