//! Bugs in the channel, each of which a model must find.

const CHUNKS: &str = "../../../../../patterns/pipeline/src/chunks.rs";

fn main() {
    let good = "let sender = state.waiting.take();";
    known_bad::write(CHUNKS, "room_is_not_told", good, "let sender = None;");
    let good = "let other_end = state.waiting.take();";
    known_bad::write(CHUNKS, "end_is_not_told", good, "let other_end = None;");
    let good = "if shared.lock().open {\n                dropped.await;\n            }";
    let bad = "drop(dropped);\n            if shared.lock().open {\n                \
               shared.closed.notified().await;\n            }";
    known_bad::write(CHUNKS, "looks_before_it_listens", good, bad);
}
