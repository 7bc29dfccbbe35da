//! When may this request go, is it tried again, how long does it wait: state machines without
//! sockets and without clocks. Time comes in as data, so ten minutes of a run are tested in a
//! millisecond.

mod answer;
mod health;
mod hints;
mod host;
mod learner;
mod rejections;
mod retry_budget;
mod scheduler;
mod settings;

pub use answer::{Answer, Trouble};
pub use hints::{Hints, Quota};
pub use learner::Learner;
pub use scheduler::{Decision, HostReport, Job, Reason, Scheduler, Turn};
pub use settings::{Rate, Settings};

/// The time since the start of the run.
pub type Time = std::time::Duration;
