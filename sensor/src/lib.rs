//! The agent, in the order in which data flows through it.
//!
//! ```text
//! probe::ring or probe::capture        probe (sample)          probe (histogram maps)
//!          ▼                              ▼                         ▼
//! event: decode → process table        profile::stack           metrics::latency
//!          ▼                              ▼                         │
//! attribution ◄── one cache, read by all three ─────────────────►   │
//!          ▼                              ▼                         ▼
//! fields → rules                       profile::symbol           metrics::server
//!          ▼                              ▼
//! alert → sinks                        flame graph, folded stacks
//! ```
//!
//! Nothing upstream calls downstream; `pipeline` is the loop that joins the stages.

pub mod alert;
pub mod attribution;
pub mod cli;
pub mod config;
pub mod event;
pub mod fields;
pub mod metrics;
pub mod pipeline;
pub mod probe;
pub mod profile;
pub mod rules;
pub mod sinks;
