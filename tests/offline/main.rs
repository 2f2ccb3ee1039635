//! Tests that need neither root nor a kernel.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod dependencies;
mod edges;
mod fuzz;
mod limits;
mod readme;
mod places;
mod replay;
mod source;
mod tidy;
mod waiting;
