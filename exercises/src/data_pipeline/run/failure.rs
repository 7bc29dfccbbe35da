/// Why a run did not start, or failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// With these settings no start can succeed, whatever is done about files and servers.
    #[error("{0}")]
    Settings(String),
    /// Something that the settings name is missing or does not work.
    #[error("{0}")]
    Run(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Run(why)
    }
}
