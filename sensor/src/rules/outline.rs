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

impl Outline {
    /// Bytes of its own; parts that macros share are counted where they are written.
    pub fn memory(&self) -> usize {
        let inside = match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().map(|part| part.memory()).sum(),
            Self::Not(inner) => inner.memory(),
            Self::Check { text, .. } => text.len(),
            Self::Macro { name, .. } => name.len(),
        };
        size_of::<Self>() + inside
    }
}
