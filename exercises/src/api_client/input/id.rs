use serde::{Deserialize, Serialize};
use serde_json::Number;

/// The id of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`id` is a string, a number, `true` or `false`")]
pub enum Id {
    /// Its place in the input, or a number that it was given.
    Number(Number),
    /// A name that it was given.
    Text(String),
    /// `true` or `false`, which JSON allows.
    Truth(bool),
}
