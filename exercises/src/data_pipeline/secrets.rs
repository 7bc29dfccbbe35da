//! Removes users and passwords from URLs that are shown.

/// `text` with every `scheme://user:password@host` in it as `scheme://host`.
pub fn without_users(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let is_end = |c: char| c.is_whitespace() || "/?#\"'`,".contains(c);
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        let host = authority.rfind('@').map_or(0, |at| at + 1);
        shown.push_str(before);
        shown.push_str("://");
        rest = &after[host..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_left_out_of_every_url_and_nothing_else_is() {
        for (text, shown) in [
            ("nats://ada:p@ss@host:4222/S", "nats://host:4222/S"),
            ("to nats://t0ken@h, tcp://a:b@c:1 and a@b", "to nats://h, tcp://c:1 and a@b"),
            ("out = [\"nats://u:p@h/s\"]", "out = [\"nats://h/s\"]"),
            ("http://h/path@with", "http://h/path@with"),
            ("://@", "://"),
            ("no URL", "no URL"),
        ] {
            assert_eq!(without_users(text), shown);
        }
    }
}
