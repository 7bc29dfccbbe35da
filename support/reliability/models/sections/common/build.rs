//! Bugs in the context, each of which a model must find.

const CONTEXT: &str = "../../../../../common/src/context.rs";

fn main() {
    let bugs = [
        (
            "decision_does_not_stand",
            "Some(context.node.end.get_or_init(|| end))",
            "Some(&*Box::leak(Box::new(end)))",
        ),
        ("cancel_looks_at_no_clock", "if self.end().is_some() {", "if false {"),
        (
            "run_polls_first",
            "if run.wait.context.err().is_none()",
            "if true",
        ),
        ("one_is_woken", "nearest.node.ended.notify(usize::MAX)", "nearest.node.ended.notify(1)"),
    ];
    for (name, good, bad) in bugs {
        known_bad::write(CONTEXT, name, good, bad);
    }
}
