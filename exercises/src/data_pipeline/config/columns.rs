//! The keys and columns of the windows.

use super::flags::Config;

/// What a window reports of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Total {
    Sum,
    Min,
    Max,
}

impl Total {
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Sum => "--sum",
            Self::Min => "--min",
            Self::Max => "--max",
        }
    }
}

impl Config {
    /// The fields of --by.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.by.iter().flat_map(|list| parts(list)).collect()
    }

    /// The quantiles: the columns' names, and the shares in billionths.
    pub(crate) fn quantiles(&self) -> Vec<(String, u64)> {
        let shares = if self.q.is_empty() { &[0.5, 0.99][..] } else { &self.q };
        let quantile = |share: &f64| {
            let billionths = (share * 1e9).round() as u64;
            (format!("p{}", billionths as f64 / 1e7), billionths)
        };
        shares.iter().map(quantile).collect()
    }

    /// The totals (sum, min, max), in the order of the columns.
    pub(crate) fn totals(&self) -> impl Iterator<Item = (Total, &str)> {
        let all = [(Total::Sum, &self.sum), (Total::Min, &self.min), (Total::Max, &self.max)];
        all.into_iter().flat_map(|(total, fields)| fields.iter().map(move |text| (total, &**text)))
    }

    /// The names of the columns behind the count, as the windows show them.
    pub(crate) fn columns(&self) -> Vec<String> {
        let total = |(total, field): (Total, &str)| {
            format!("{}_{field}", total.flag().trim_start_matches('-'))
        };
        let quantiles = self.quantiles().into_iter().map(|(name, _)| name);
        quantiles.chain(self.totals().map(total)).collect()
    }
}

/// Splits a list at its commas, except those inside quotes and brackets.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, char) in list.char_indices() {
        match char {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_what_they_hold_and_keys_are_split_at_their_commas() {
        let config = Config {
            by: vec!["service, \"a,b\"".into(), "lower(x)".into()],
            q: vec![0.5, 0.9, 0.999, 1.0],
            sum: vec!["bytes".into()],
            max: vec!["t.ms".into()],
            ..Config::default()
        };
        assert_eq!(config.keys(), ["service", "\"a,b\"", "lower(x)"]);
        let columns = ["p50", "p90", "p99.9", "p100", "sum_bytes", "max_t.ms"];
        assert_eq!(config.columns(), columns);
        assert_eq!(config.quantiles()[2].1, 999_000_000);
        assert_eq!(Config::default().columns(), ["p50", "p99"]);
    }
}
