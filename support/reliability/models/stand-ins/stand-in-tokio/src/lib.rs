//! Stands in for tokio. Under shuttle: shuttle-tokio, with tasks that may panic and have numbers,
//! which it lacks. Under loom: what the contexts use, without tasks. In both:
//! a clock that stands still until the model turns it.

#[cfg(not(loom))]
pub mod runtime;
#[cfg(not(loom))]
pub mod sync;
#[cfg(not(loom))]
pub mod task;
pub mod time;

#[cfg(not(loom))]
pub use shuttle_tokio::{
    macros, pin, select, select_priv_clean_pattern, select_priv_declare_output_enum,
};
#[cfg(not(loom))]
pub use task::spawn;

#[cfg(loom)]
#[doc(hidden)]
pub use real;

/// tokio's, but always biased: loom must be able to repeat a run, which a random start prevents.
#[cfg(loom)]
#[macro_export]
macro_rules! select {
    (biased; $($arms:tt)*) => { $crate::real::select! { biased; $($arms)* } };
    ($($arms:tt)*) => { $crate::real::select! { biased; $($arms)* } };
}
