//! Tests that need neither root nor a kernel.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dependencies;
mod edges;
mod source;
mod tidy;
