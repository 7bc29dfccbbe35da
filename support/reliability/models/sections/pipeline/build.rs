//! Bugs in the stages, each of which a model must find.

const STAGES: &str = "../../../../../patterns/pipeline/src/stages.rs";
const RECEIVER: &str = "../../../../../patterns/pipeline/src/receiver.rs";

fn main() {
    let good = "() = dropped.closed() => {}";
    let bad = "() = std::future::pending() => drop(dropped),";
    known_bad::write(STAGES, "early_end_is_not_reported", good, bad);
    known_bad::write(STAGES, "stages", good, good);
    let good = "unless_canceled(ended);";
    known_bad::write(RECEIVER, "panic_is_not_reported", good, "drop(ended);");
}
