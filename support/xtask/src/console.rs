use crate::markdown::{Block, Page};

/// The commands of one code block, in order.
pub type Steps = Vec<(String, Transcript)>;

/// What a page says of a command.
#[derive(Debug, Default, PartialEq)]
pub struct Transcript {
    /// The lines it prints; `None` if the page does not say.
    pub lines: Option<Vec<String>>,
    /// The lines may come in any order.
    pub any_order: bool,
    /// Every number stands for any other one.
    pub numbers_vary: bool,
}

/// The commands of a page, block by block, with the line of the block: those in `sh` blocks, a line
/// each, and those behind a `$` in `console` blocks, with what they print.
pub fn commands(page: &Page) -> Vec<(usize, Steps)> {
    let steps = |block: &Block| match block.info.split_whitespace().next() {
        Some("sh") => Some((block.line, lines(&block.text))),
        Some("console") => Some((block.line, session(block))),
        _ => None,
    };
    page.blocks.iter().filter_map(steps).collect()
}

/// A command without the `# remark` behind it.
pub fn without_remark(command: &str) -> &str {
    command.split(" #").next().unwrap_or_default().trim()
}

fn lines(text: &str) -> Steps {
    let text = text.replace("\\\n", " ");
    let commands = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    commands.map(|line| (line.to_owned(), Transcript::default())).collect()
}

fn session(block: &Block) -> Steps {
    let mut steps = Steps::new();
    for line in block.text.replace("\\\n", " ").lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            let transcript = Transcript {
                lines: Some(Vec::new()),
                any_order: block.info.contains("any order"),
                numbers_vary: block.info.contains("numbers vary"),
            };
            steps.push((command.to_owned(), transcript));
        } else if let Some((_, Transcript { lines: Some(lines), .. })) = steps.last_mut() {
            lines.push(line.to_owned());
        }
    }
    steps
}

impl Transcript {
    /// The line after which the reader presses Ctrl-C: the one before `^C`.
    pub fn interrupted_after(&self) -> Option<&str> {
        let lines = self.lines.as_deref().unwrap_or_default();
        let at = lines.iter().position(|line| line == "^C")?;
        lines.get(at.checked_sub(1)?).map(String::as_str)
    }

    /// Whether `line` is what the page shows as `shown`, where `…` stands for any text.
    pub fn is(&self, shown: &str, line: &str) -> bool {
        if self.numbers_vary {
            matches(&without_numbers(shown), &without_numbers(line))
        } else {
            matches(shown, line)
        }
    }

    /// Compares what was printed with what the page shows. A line `…` stands for any lines.
    ///
    /// # Errors
    ///
    /// The first shown line that is missing, or what was printed beyond what is shown.
    pub fn check(&self, printed: &str) -> Result<(), String> {
        let Some(lines) = &self.lines else { return Ok(()) };
        let shown: Vec<&str> =
            lines.iter().map(String::as_str).filter(|line| *line != "^C").collect();
        let printed: Vec<&str> = printed.lines().collect();
        if self.any_order {
            self.in_any_order(&shown, printed)
        } else {
            self.in_order(&shown, &printed)
        }
    }

    fn in_any_order(&self, shown: &[&str], mut left: Vec<&str>) -> Result<(), String> {
        for wanted in shown.iter().filter(|line| **line != "…") {
            let found = left.iter().position(|line| self.is(wanted, line));
            left.remove(found.ok_or_else(|| format!("`{wanted}` is not printed"))?);
        }
        match left.first() {
            Some(line) if !shown.contains(&"…") => Err(format!("`{line}` is not on the page")),
            _ => Ok(()),
        }
    }

    fn in_order(&self, shown: &[&str], printed: &[&str]) -> Result<(), String> {
        let mut rest = printed;
        let mut any_lines = false;
        for wanted in shown {
            if *wanted == "…" {
                any_lines = true;
                continue;
            }
            let at = rest.iter().position(|line| self.is(wanted, line));
            match at {
                Some(at) if at == 0 || any_lines => rest = &rest[at + 1..],
                _ => {
                    return Err(format!(
                        "`{wanted}` is shown, `{}` printed",
                        rest.first().unwrap_or(&"")
                    ));
                }
            }
            any_lines = false;
        }
        match rest.first() {
            Some(line) if !any_lines => Err(format!("`{line}` is not on the page")),
            _ => Ok(()),
        }
    }
}

/// Whether `line` is `pattern`, in which `…` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('…') else { return pattern == line };
    let Some(line) = line.strip_prefix(head) else { return false };
    (0..=line.len()).any(|at| line.is_char_boundary(at) && matches(rest, &line[at..]))
}

/// The line with a `#` for each number and for its unit of time, and one space for several.
fn without_numbers(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let mut kept = String::new();
        let mut number = false;
        for c in word.chars() {
            let more = c.is_ascii_digit() || (number && matches!(c, '.' | 'n' | 'µ' | 'm' | 's'));
            if more && !number {
                kept.push('#');
            }
            if !more {
                kept.push(c);
            }
            number = more;
        }
        words.push(kept);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(info: &str, text: &str) -> (String, Transcript) {
        let block = Block { info: info.to_owned(), text: text.to_owned(), line: 1 };
        session(&block).remove(0)
    }

    #[test]
    fn a_session_is_commands_with_what_they_print() {
        let (info, text) = ("console".to_owned(), "$ a \\\nb\none\n\n$ echo $?\n1\n".to_owned());
        let steps = session(&Block { info, text, line: 1 });
        let steps = steps.iter().map(|(command, said)| (&**command, said.lines.as_deref()));
        let (one, two) = (["one".to_owned(), String::new()], ["1".to_owned()]);
        assert!(steps.eq([("a  b", Some(&one[..])), ("echo $?", Some(&two[..]))]));
    }

    #[test]
    fn the_lines_of_a_shell_block_are_commands() {
        let commands = lines("# why\ncargo a   # what\n\ncargo b \\\n    c\n");
        let commands = commands.iter().map(|(command, _)| &**command);
        assert!(commands.eq(["cargo a   # what", "cargo b      c"]));
    }

    #[test]
    fn every_line_must_be_printed_and_no_other_one() {
        let (_, said) = shown("console", "$ x\none\ntwo\n");
        assert_eq!(said.check("one\ntwo\n"), Ok(()));
        for wrong in ["one\n", "two\none\n", "one\nand\ntwo\n", "one\ntwo\nthree\n"] {
            said.check(wrong).unwrap_err();
        }
    }

    #[test]
    fn an_ellipsis_stands_for_lines_or_for_text() {
        let (_, said) = shown("console", "$ x\none …\n…\nfour\n…\n");
        assert_eq!(said.check("one and two\nthree\nfour\nfive\n"), Ok(()));
        assert_eq!(said.check("one or\nfour\n"), Ok(()));
        said.check("one and two\nthree\n").unwrap_err();
        said.check("two\none and\nfour\n").unwrap_err();
    }

    #[test]
    fn the_order_counts_only_where_the_page_says_so() {
        let (_, said) = shown("console any order", "$ x\none\ntwo\ntwo\n");
        assert_eq!(said.check("two\none\ntwo\n"), Ok(()));
        for wrong in ["two\none\n", "two\none\ntwo\nthree\n", "one\ntwo\n"] {
            said.check(wrong).unwrap_err();
        }
        let (_, said) = shown("console any order", "$ x\none\n…\n");
        assert_eq!(said.check("two\none\n"), Ok(()));
    }

    #[test]
    fn numbers_vary_where_the_page_says_so() {
        let (_, said) = shown("console numbers vary", "$ x\ntook  1.5ms, 10 of 0.6 KiB\n");
        assert_eq!(said.check("took 917µs, 9 of 12.25 KiB\n"), Ok(()));
        said.check("took 917µs, all of 12.25 KiB\n").unwrap_err();
        said.check("took 917µs, 9 of 12.25 MiB\n").unwrap_err();
    }

    #[test]
    fn an_interrupt_comes_after_a_line() {
        let (_, said) = shown("console", "$ x\none\n^C\ntwo\n");
        assert_eq!(said.interrupted_after(), Some("one"));
        assert_eq!(said.check("one\ntwo\n"), Ok(()));
    }
}
