use crate::race::Line;

/// The table in Markdown: a line for each row.
pub fn markdown(lines: &[Line]) -> String {
    let mut text = "| workload | ours | Go | time | memory | to Go's best |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for line in lines {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            line.row.what,
            figures(line.ours.seconds, line.ours.memory),
            line.go
                .first()
                .map_or("-".to_owned(), |go| { figures(go.figures.seconds, go.figures.memory) }),
            line.go.first().map_or("-".to_owned(), |go| format!("{:.3}", go.time)),
            line.go.first().map_or("-".to_owned(), |go| format!("{:.2}", go.memory)),
            line.to_best().map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
        );
    }
    text
}

fn figures(seconds: f64, bytes: f64) -> String {
    let time = match seconds {
        0.0..0.001 => format!("{:.1} µs", seconds * 1e6),
        0.001..1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    };
    format!("{time}, {:.1} MB", bytes / 1e6)
}

/// The same as JSON: times in seconds, memory in bytes.
pub fn json(lines: &[Line]) -> String {
    let lines = lines.iter().map(|line| {
        let go = line.go.iter().zip(line.row.go).map(|(go, name)| {
            format!(
                r#"{{"name": "{name}", "seconds": {}, "memory": {}, "time_ratio": {}, "memory_ratio": {}}}"#,
                go.figures.seconds, go.figures.memory, go.time, go.memory
            )
        });
        format!(
            r#"  {{"row": "{}", "measures": "{}", "seconds": {}, "memory": {}, "go": [{}]}}"#,
            line.row.name,
            line.row.measures,
            line.ours.seconds,
            line.ours.memory,
            go.collect::<Vec<_>>().join(", ")
        )
    });
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}
