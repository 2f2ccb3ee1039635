//! A compiled condition in the shape in which it was written: for explanations and coverage.

use std::sync::Arc;

use crate::rules::program::CheckId;

/// A condition or a part of it.
#[derive(Clone, Debug)]
pub enum Outline {
    And(Vec<Arc<Outline>>),
    Or(Vec<Arc<Outline>>),
    Not(Arc<Outline>),
    Check { check: CheckId, text: Box<str> },
    Macro { name: Box<str>, body: Arc<Outline> },
}
