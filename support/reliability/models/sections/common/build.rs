//! Bugs in the context, each of which a model must find.

const CONTEXT: &str = "../../../../../common/src/context.rs";

fn main() {
    let good = "*decides.node.cause.get_or_init(|| cause)";
    known_bad::write(CONTEXT, "cause_does_not_stand", good, "cause");
    let good = "self.node.canceled.notify(usize::MAX)";
    known_bad::write(CONTEXT, "one_is_woken", good, "self.node.canceled.notify(1)");
}
