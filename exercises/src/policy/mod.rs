//! When the next request to a host may go, and if not now, why: all decisions, and neither a socket
//! nor a clock.

mod answer;
mod ceiling;
mod headers;
mod health;
mod host;
mod learner;
mod queue;
mod quotas;
mod rejections;
mod retry_budget;
mod scheduler;
mod settings;

pub use answer::{Answer, Failing, is_success};
pub use headers::{Announced, Quota};
pub use host::{Hold, Reason};
pub use learner::Learner;
pub use scheduler::{Decision, HostReport, Job, Scheduler, Turn};
pub use settings::{Rate, Settings};

/// The time since the start of the run.
pub type Time = std::time::Duration;
