use super::lanes::merge;
use super::*;

const DONE: Ending = Ending::Done;

fn bar(lane: &str, start: u64, end: u64, ending: Ending) -> Bar {
    let (start, end) = (Duration::from_micros(start), Duration::from_micros(end));
    Bar { lane: lane.to_owned(), name: "<job>".to_owned(), start, end, ending }
}

fn moment(name: &str, at: u64) -> Moment {
    Moment { name: name.to_owned(), at: Duration::from_micros(at) }
}

/// The values of the first attribute `name` behind each occurrence of `after` in a picture.
fn attribute(svg: &str, after: &str, name: &str) -> Vec<f64> {
    let value =
        |part: &str| part.split_once(&format!(" {name}=\""))?.1.split('"').next()?.parse().ok();
    svg.split(after).skip(1).filter_map(value).collect()
}

/// Draws 100,000 bars, and returns the size of the picture in bytes.
fn size(bar: impl Fn(u64) -> Bar) -> usize {
    draw("many", &(0..100_000).map(bar).collect::<Vec<_>>(), &[]).len()
}

#[test]
fn a_hundred_thousand_bars_stay_under_a_megabyte() {
    let short = |at| bar(["a", "b", "c", "d"][at as usize % 4], at * 10, at * 10 + 9, DONE);
    let in_crowds = |at| bar("worker #", at / 50 * 2000, at / 50 * 2000 + 500, DONE);
    let together = |at| bar("task #", 0, 1_000_000 + at, DONE);
    let overlapping = |at| bar("a", at, 1_000_000 + at, DONE);
    let ending_otherwise = |at| bar("a", at, at + 1, Ending::ALL[at as usize % 4]);
    let named_at_length = |at| Bar { name: "&".repeat(2000), ..short(at * 20) };
    for size in [
        size(short),
        size(in_crowds),
        size(together),
        size(overlapping),
        size(ending_otherwise),
        size(named_at_length),
    ] {
        assert!(size < 1_000_000, "{size}");
    }
}

#[test]
fn the_endings_and_waiting_differ_in_more_than_their_colour() {
    let bars = [
        bar("a", 0, 10, Ending::Done),
        bar("b", 0, 10, Ending::Canceled),
        bar("c", 0, 10, Ending::Panicked),
        bar("d", 0, 10, Ending::Failed),
    ];
    let svg = draw("all", &bars, &[]);
    let marks = [
        ("done", "&lt;job"),
        ("failed", "\u{d7} &lt;"),
        ("cancelled", "\u{2298} &lt;"),
        ("panicked", "! &lt;"),
    ];
    for (class, mark) in marks {
        assert!(svg.contains(&format!("to 10 µs, {class}</title><rect class=\"{class}\"")));
        assert!(svg.contains(&format!("\">{mark}")), "{svg}");
    }
    let style = |class: &str| {
        let (_, rule) = STYLE.split_once(&format!("\n.{class} {{ ")).expect("it has a style");
        let (rule, _) = rule.split_once(" }").expect("the style ends");
        let (colour, other): (Vec<_>, Vec<_>) =
            rule.split("; ").partition(|entry| entry.contains('#') && !entry.contains("url"));
        assert!(!colour.is_empty() || class == "lane", "{rule}");
        other.join("; ")
    };
    let styles = ["done", "failed", "cancelled", "panicked", "lane"].map(style);
    for (at, one) in styles.iter().enumerate() {
        assert!(!styles[..at].contains(one), "{styles:?}");
    }
}

#[test]
fn a_failure_that_took_no_time_is_seen() {
    let svg = draw("x", &[bar("a", 0, 0, Ending::Failed), bar("a", 0, 1000, DONE)], &[]);
    let widths = attribute(&svg, "<rect class=\"failed\"", "width");
    assert!(widths[0] >= 6.0, "{svg}");
}

#[test]
fn a_label_stands_beside_a_bar_that_is_too_short_for_it() {
    let of = |name: &str, start, end| Bar { name: name.to_owned(), ..bar("a", start, end, DONE) };
    let bars = [of("job 1", 0, 10), of("job 2", 500, 510), of("job 3", 990, 1000)];
    let svg = draw("x", &bars, &[]);
    let ends: Vec<_> = attribute(&svg, "<rect class=\"done\"", "x");
    let labels: Vec<_> = attribute(&svg, "<text class=\"halo\"", "x");
    assert!(svg.contains(">job 1<") && svg.contains(">job 2<"), "{svg}");
    assert!(labels[0] > ends[0] && labels[1] > ends[1], "to the right: {svg}");
    assert!(
        svg.contains("text-anchor=\"end\">job 3<") && labels[2] < ends[2],
        "to the left: {svg}"
    );
}

#[test]
fn a_label_without_room_is_the_number_or_nothing() {
    let of = |name: &str, start, end| Bar { name: name.to_owned(), ..bar("a", start, end, DONE) };
    let svg = draw("x", &[of("job 12", 0, 80), of("job", 80, 90), of("y", 90, 1000)], &[]);
    assert!(svg.contains(">12<") && !svg.contains(">job<"), "{svg}");
}

#[test]
fn a_moment_is_a_line_with_its_name_and_no_two_names_overlap() {
    let moments = [moment("signal", 500), moment("cancel", 510), moment("deadline", 1000)];
    let svg = draw("x", &[bar("a", 0, 800, DONE)], &moments);
    for name in ["signal, 500 µs", "cancel, 510 µs", "deadline, 1 ms"] {
        assert!(svg.contains(&format!("<title>{name}</title><path class=\"moment\"")), "{svg}");
    }
    assert!(svg.contains(" At 1 ms: deadline."), "{svg}");
    let rows = attribute(&svg, "<path class=\"moment\"", "y");
    assert!(rows[1] < rows[0] && rows[2] >= rows[0], "the second is a row higher: {rows:?}");
}

#[test]
fn the_legend_names_what_is_there_and_nothing_else() {
    let legend = |bars: &[Bar]| {
        let svg = draw("x", bars, &[]);
        let words = ["done", "failed", "cancelled", "panicked", "waiting"];
        words.into_iter().filter(|word| svg.contains(&format!("{word}</text>"))).collect::<Vec<_>>()
    };
    assert_eq!(legend(&[bar("a", 0, 10, DONE), bar("a", 10, 20, DONE)]), ["done"]);
    let waits = [bar("a", 0, 10, DONE), bar("a", 20, 30, Ending::Failed)];
    assert_eq!(legend(&waits), ["done", "failed", "waiting"]);
}

#[test]
fn thin_bars_merge_but_keep_their_count_and_a_different_ending() {
    let scale = Scale::new(Duration::from_secs(1), 0.0, 480.0);
    let bars = [
        bar("a", 0, 10, Ending::Done),
        bar("a", 20, 30, Ending::Done),
        bar("a", 40, 50, Ending::Panicked),
        bar("a", 500_000, 900_000, Ending::Done),
    ];
    let blocks = merge(&bars.iter().collect::<Vec<_>>(), &scale, 1.0);
    assert_eq!(blocks.iter().map(|block| block.count).collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn lanes_stand_in_the_order_of_their_start_and_then_of_their_names() {
    let bars = [
        bar("late", 500, 1000, Ending::Done),
        bar("worker 10", 1, 1000, Ending::Done),
        bar("worker 2", 2, 1000, Ending::Done),
    ];
    let lanes = lanes(&bars, Duration::from_micros(10));
    let names: Vec<_> = lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(names, ["worker 2", "worker 10", "late"]);
}

#[test]
fn a_number_sign_stands_for_the_first_lane_that_is_free() {
    let bars = [(0, 10), (5, 20), (6, 7), (10, 15), (21, 22)];
    let bars = bars.map(|(start, end)| bar("worker #", start, end, Ending::Done));
    let lanes = lanes(&bars, Duration::from_micros(1));
    let counts: Vec<_> = lanes.iter().map(|lane| (&*lane.name, lane.bars.len())).collect();
    assert_eq!(counts, [("worker 1", 3), ("worker 2", 1), ("worker 3", 1)]);
}

#[test]
fn a_thousand_lanes_are_bounded_and_counted() {
    let bars = [(); 1000].map(|()| bar("task #", 0, 10, Ending::Done));
    let svg = draw("tasks", &bars, &[]);
    assert_eq!(svg.matches("<g>").count(), MOST_LANES);
    assert!(svg.contains("and 984 more lanes"));
}

#[test]
fn names_cannot_break_out_of_the_picture() {
    let svg = draw("a & b", &[bar("<script>", 0, 10, Ending::Canceled)], &[moment("<script>", 5)]);
    assert!(!svg.contains("<script>") && !svg.contains("<job>"));
    assert!(svg.contains("a &amp; b") && svg.contains("&lt;script&gt;"));
}

#[test]
fn a_name_may_hold_what_xml_may_not() {
    let svg = draw("x", &[bar("a\u{1}b\u{1b}[2J\u{fffe}", 0, 10, Ending::Done)], &[]);
    let wrong = |c: char| c.is_control() && c != '\n' || c == '\u{fffe}';
    assert!(svg.contains("a\u{fffd}b") && !svg.contains(wrong), "{svg}");
}

#[test]
fn ticks_are_round_and_reach_the_end() {
    let labels = |millis, width| {
        let ticks = Scale::new(Duration::from_millis(millis), 0.0, width).ticks();
        ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
    };
    assert_eq!(labels(1000, 400.0), ["0", "200 ms", "400 ms", "600 ms", "800 ms", "1 s"]);
    assert_eq!(labels(2000, 300.0), ["0", "500 ms", "1 s", "1.5 s", "2 s"]);
    assert_eq!(labels(1001, 300.0).len(), 3, "none for a little more than a second");
}

#[test]
fn a_run_without_bars_is_still_a_picture() {
    assert!(draw("nothing", &[], &[]).ends_with("</svg>\n"));
}
