//! `tokio::runtime`, as far as the sections need it.

pub use shuttle_tokio::runtime::Handle;
