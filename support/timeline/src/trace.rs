//! Writes bars in the trace event format that Perfetto and `chrome://tracing` read.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::bar::Bar;
use crate::picture::{Numbers, lanes};

/// A row for each lane, or more where its bars overlap: viewers nest the bars of a row.
pub(crate) fn write(out: impl Write, bars: &[Bar]) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    let mut before = "[\n";
    let mut event = |event: Value| -> io::Result<()> {
        out.write_all(std::mem::replace(&mut before, ",\n").as_bytes())?;
        Ok(serde_json::to_writer(&mut out, &event)?)
    };
    let mut rows = 0;
    for lane in lanes(bars, Duration::ZERO) {
        let (first, mut numbers) = (rows, Numbers::default());
        for bar in lane.bars {
            let row = first + numbers.take(bar);
            if row > rows {
                rows = row;
                let args = json!({ "name": lane.name });
                event(
                    json!({ "ph": "M", "name": "thread_name", "pid": 1, "tid": row, "args": args }),
                )?;
            }
            let (start, length) = (bar.start, bar.end.saturating_sub(bar.start));
            event(json!({
                "ph": "X", "name": bar.name, "cat": "timeline", "pid": 1, "tid": row,
                "ts": micros(start), "dur": micros(length), "args": { "ending": bar.ending.word() },
            }))?;
        }
    }
    out.write_all(if rows == 0 { b"[]\n" } else { b"\n]\n" })?;
    out.flush()
}

/// The format's unit, with nanoseconds behind the point.
fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::Ending;

    fn bar(lane: &str, name: &str, from: u64, to: u64) -> Bar {
        let (start, end) = (Duration::from_millis(from), Duration::from_millis(to));
        Bar { lane: lane.to_owned(), name: name.to_owned(), start, end, ending: Ending::Done }
    }

    fn written(bars: &[Bar]) -> Vec<Value> {
        let mut out = Vec::new();
        write(&mut out, bars).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_trace_has_a_row_for_each_lane_and_another_for_what_overlaps() {
        let bars = [
            bar("a", "1", 0, 10),
            bar("a", "2", 5, 15),
            bar("a", "\"3\"", 10, 20),
            bar("b", "4", 2, 3),
        ];
        let events = written(&bars);
        let of = |kind: &'static str| events.iter().filter(move |event| event["ph"] == kind);
        let names: Vec<_> = of("M").map(|row| (&row["tid"], &row["args"]["name"])).collect();
        assert_eq!(
            names,
            [(&json!(1), &json!("a")), (&json!(2), &json!("a")), (&json!(3), &json!("b"))]
        );
        let rows: Vec<_> = of("X").map(|it| (it["name"].as_str().unwrap(), &it["tid"])).collect();
        assert_eq!(
            rows,
            [("1", &json!(1)), ("2", &json!(2)), ("\"3\"", &json!(1)), ("4", &json!(3))]
        );
        let last = of("X").next_back().unwrap();
        assert_eq!((&last["ts"], &last["dur"]), (&json!(2000.0), &json!(1000.0)));
        assert_eq!(last["args"]["ending"], "done");
    }

    #[test]
    fn a_run_without_work_is_a_trace_without_events() {
        assert!(written(&[]).is_empty());
    }
}
