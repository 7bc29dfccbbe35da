#![doc = include_str!("../README.md")]

mod child;
mod go;
mod ours;
mod plot;
mod race;
mod row;
mod rows;
mod table;

pub use child::{RUN, ensure_built, this_program, whole_program};
pub use go::Go;
pub use plot::plot;
pub use race::{Figures, Line, race};
pub use row::{Row, Run, Work};
pub use rows::{ROWS, row};
pub use table::{json, markdown};
