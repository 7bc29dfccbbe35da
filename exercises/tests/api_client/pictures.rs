//! The data behind the picture that `--timeline` draws.

use testkit::{Drawn, lanes, most_at_once, picture};

use crate::program::PROGRAM;
use crate::server::Server;

/// The bars of this request, in the order of time.
fn of<'a>(bars: &'a [Drawn], path: &str) -> Vec<&'a Drawn> {
    let name = format!("GET {path}");
    let mut bars: Vec<_> = bars
        .iter()
        .filter(|bar| bar.name == name || bar.name.starts_with(&format!("{name},")))
        .collect();
    bars.sort_by_key(|bar| bar.start);
    bars
}

#[test]
fn each_attempt_is_a_bar_and_never_more_than_slots_overlap() {
    let server = Server::start();
    let urls: Vec<_> = (0..9).map(|n| server.url(&format!("/slow/{n}"))).collect();
    let urls = urls.iter().map(String::as_str);
    let args: Vec<_> = ["-c", "3", "--summary", "none"].into_iter().chain(urls).collect();
    let bars = picture(PROGRAM, &args, 0);
    assert_eq!((bars.len(), most_at_once(&bars)), (9, 3));
    assert_eq!(lanes(&bars).into_keys().collect::<Vec<_>>(), ["slot 1", "slot 2", "slot 3"]);
    assert!((0..9).all(|n| of(&bars, &format!("/slow/{n}")).len() == 1), "{bars:?}");
}

#[test]
fn retries_and_failures_are_drawn_differently() {
    let server = Server::start();
    let (half, fine, missing) = (server.url("/half/x"), server.url("/x"), server.url("/missing"));
    let bars = picture(PROGRAM, &["--summary", "none", &half, &fine, &missing], 1);
    let ends = |path| of(&bars, path).iter().map(|bar| bar.ending.as_str()).collect::<Vec<_>>();
    assert_eq!(ends("/half/x"), ["failed", "done"]);
    assert_eq!(of(&bars, "/half/x")[1].name, "GET /half/x, try 2");
    assert_eq!(ends("/x"), ["done"]);
    assert_eq!(ends("/missing"), ["done"], "the host has dealt with it");
}

#[test]
fn attempts_cut_off_by_the_deadline_are_canceled() {
    let server = Server::start();
    let args = ["--deadline", "1s", "--summary", "none", &server.url("/silent")];
    let bars = picture(PROGRAM, &args, 124);
    assert_eq!(bars[0].ending, "cancelled", "{bars:?}");
}
