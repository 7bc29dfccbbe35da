//! Recognises input that is not lines of JSON by its first bytes.

/// If the first bytes of a file show that it is not lines of JSON: what it is, and how to convert
/// it.
pub(crate) fn not_lines(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Some(
                "UTF-16, and JSON has to be UTF-8: convert it with iconv -f UTF-16 -t UTF-8",
            );
        }
        // Without a byte order mark, iconv takes the machine's order unless it is told.
        [b'{' | b'[', 0, ..] => {
            return Some(
                "UTF-16, and JSON has to be UTF-8: convert it with iconv -f UTF-16LE -t UTF-8",
            );
        }
        [0, b'{' | b'[', 0, ..] => {
            return Some(
                "UTF-16, and JSON has to be UTF-8: convert it with iconv -f UTF-16BE -t UTF-8",
            );
        }
        [0x1f, 0x8b, ..] => return Some("gzip where none is unpacked: unpack it first with zcat"),
        _ => {}
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text.split_first()? {
        (b'[', rest) if rest.trim_ascii_start().starts_with(b"{") => {
            Some("a JSON array, and not an object a line: jq -c '.[]' makes lines of it")
        }
        (b'{', rest) => {
            let next = rest.trim_ascii_start();
            let breaks = rest[..rest.len() - next.len()].contains(&b'\n');
            (breaks && next.starts_with(b"\""))
                .then_some("JSON objects over several lines: jq -c . makes a line of each")
        }
        _ => None,
    }
}

/// How many bytes [`not_lines`] needs.
pub(crate) const HEAD: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_that_is_not_lines_of_json_is_recognised_by_its_first_bytes() {
        for (head, hint) in [
            (&b"\xff\xfe{\0\"\0"[..], "-f UTF-16 "),
            (b"\xfe\xff\0{\0\"", "-f UTF-16 "),
            (b"{\0\"\0a\0", "-f UTF-16LE "),
            (b"[\0{\0\"\0", "-f UTF-16LE "),
            (b"\0{\0\"\0a", "-f UTF-16BE "),
            (b"\0[\0{\0\"", "-f UTF-16BE "),
            (b"\x1f\x8b\x08", "zcat"),
            (b"[{\"a\":1},\n{\"a\":2}]", "jq -c '.[]'"),
            (b" [\n  {\n", "jq -c '.[]'"),
            (b"{\n  \"a\": 1\n}\n", "jq -c ."),
            (b"\xef\xbb\xbf{\r\n\t\"a\": 1\r\n}\n", "jq -c ."),
        ] {
            let told = not_lines(head).unwrap_or_default();
            assert!(told.contains(hint), "{told}: {:?}", String::from_utf8_lossy(head));
        }
        let lines = [
            "",
            "{",
            "[",
            "[main] started\n{}\n",
            "{\"a\":1}\n",
            "{ \"a\":1}\n",
            "{\n}\n",
            "\0\0{}\n",
            "\0{}\n",
            "{}\n{}\n",
        ];
        for line in lines {
            assert_eq!(not_lines(line.as_bytes()), None, "{line}");
        }
    }
}
