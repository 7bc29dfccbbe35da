//! The models for shuttle: random schedules, and those of PCT.

use crate::Model;

/// All of them.
pub const MODELS: &[Model] = &[];
