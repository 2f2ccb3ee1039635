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

pub mod probe;
pub mod event;
pub mod attribution;
pub mod fields;
pub mod rules;
pub mod alert;
pub mod sinks;
pub mod profile;
pub mod metrics;
pub mod notify;
pub mod config;
pub mod hold;
pub mod metadata;
pub mod pipeline;
pub mod detect;
pub mod blindness;
pub mod driver;
pub mod cli;
