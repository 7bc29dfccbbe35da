use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// Parses a header's name and value.
pub(in crate::api_client) fn checked_header(
    name: &str,
    value: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let checked = name.trim().parse().map_err(|_| format!("`{name}` is not a header's name"))?;
    let value = value.trim().parse().map_err(|_| format!("the header `{name}` has a bad value"))?;
    Ok((checked, value))
}

/// One value of a header, or several.
#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "the value of a header is a string or an array of strings")]
pub(in crate::api_client) enum Values {
    One(String),
    Several(Vec<String>),
}

impl Values {
    pub(in crate::api_client) fn from_all(mut values: Vec<String>) -> Self {
        if values.len() == 1 { Self::One(values.remove(0)) } else { Self::Several(values) }
    }

    pub(in crate::api_client) fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}
