//! One function for each reader of untrusted input. `fuzz/` calls them with a fuzzer's bytes, and
//! the test below calls them with the kept corpus.

#[cfg(feature = "api-client")]
pub use crate::api_client::fuzz::{hints, journals, redirects, requests};
#[cfg(feature = "data-pipeline")]
pub use crate::data_pipeline::fuzz::{checkpoints, chunks, fields, filter, lines, settings, times};

#[cfg(all(test, feature = "api-client", feature = "data-pipeline"))]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    type Target = fn(&[u8]);

    #[test]
    fn every_property_holds_for_every_kept_input() {
        let targets: [(&str, Target); 11] = [
            ("checkpoints", checkpoints),
            ("chunks", chunks),
            ("fields", fields),
            ("filter", filter),
            ("hints", hints),
            ("journals", journals),
            ("lines", lines),
            ("redirects", redirects),
            ("requests", requests),
            ("settings", settings),
            ("times", times),
        ];
        for (name, target) in targets {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let inputs = fs::read_dir(&kept).expect("each target has its inputs");
            let inputs: Vec<_> = inputs.map(|input| input.expect("it is there").path()).collect();
            assert!(!inputs.is_empty(), "{}", kept.display());
            for input in inputs {
                eprintln!("{}", input.display()); // the last one is the one that fails
                target(&fs::read(input).expect("it is there"));
            }
        }
    }
}
