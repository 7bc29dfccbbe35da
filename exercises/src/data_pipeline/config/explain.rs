//! The settings in words.

use toml::Value;

use super::flags::Config;

/// What is shown instead of the value of a `--http-header`.
const HIDDEN: &str = "(not shown)";

impl Config {
    /// Complete settings as TOML, under comments that describe them in words.
    pub fn explain(&self) -> String {
        let list = |names: &[String], none: &str| match names {
            [] => none.to_owned(),
            names => names.join(", "),
        };
        let sources: Vec<_> = self.sources().into_iter().map(|(name, _)| name).collect();
        let mut lines = vec![format!("# reads   {}", list(&sources, "nothing"))];
        lines.extend(self.unwrap.iter().map(|from| match &**from {
            "docker" | "cri" => {
                format!("# unwraps the lines of a container's log, as {from} has them")
            }
            field => format!("# unwraps the text of {field}"),
        }));
        lines.push(format!("# keeps   {}", list(&self.conditions, "every event")));
        if !self.out.is_empty() {
            lines.push(format!("# writes  the kept lines to {}", self.out.join(", ")));
        }
        let hidden = |field: &String| {
            let name = field.split_once(':').map_or("", |(name, _)| name);
            format!("{name}: {HIDDEN}")
        };
        let http_header = self.http_header.iter().map(hidden).collect();
        let table = Self { http_header, ..self.clone() }.table();
        if let Some(to) = &self.aggregates {
            let by = self.keys().join(",");
            let by = if by.is_empty() { by } else { format!(" for each {by}") };
            let quantiles: Vec<_> = self.quantiles().into_iter().map(|(name, _)| name).collect();
            let p = self.p.as_deref();
            let mut p =
                p.map_or(String::new(), |p| format!(", {} of {p}", quantiles.join(" and ")));
            for (total, field) in self.totals() {
                p += &format!(", {} of {field}", total.flag().trim_start_matches('-'));
            }
            let text = |key| table.get(key).and_then(Value::as_str).unwrap_or_default();
            let (window, time, late) = (text("window"), text("time"), text("lateness"));
            lines.push(format!("# counts  windows of {window} of {time}{by}{p}, into {to};"));
            lines.push(format!("#         an event may be {late} out of order in its source"));
        }
        lines.push(match &self.checkpoint {
            Some(path) => {
                format!("# resumes from {}; file to file is exactly once", path.display())
            }
            None => "# starts over in every run: there is no checkpoint".to_owned(),
        });
        // A line feed in a name would end the comment and begin a setting.
        for line in &mut lines {
            *line = line.replace(char::is_control, " ");
        }
        lines.push(table.to_string().trim_end().to_owned());
        lines.join("\n")
    }
}
