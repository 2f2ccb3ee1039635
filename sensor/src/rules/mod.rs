//! The Falco rule language: text → a [`Ruleset`] that is evaluated without errors.

pub mod priority;
