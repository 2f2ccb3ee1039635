//! Tests of a sensor that runs on this machine's kernel, each in a control group of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod metadata;
mod observer;
mod actor;
mod btf;
mod prototypes;
mod exec;
mod lineage;
mod open;
mod calls;
mod paths;
mod race;
mod connect;
mod socketcall;
mod io_uring;
mod credentials;
mod oom;
mod throttling;
mod storm;
mod filter;
mod cgroups;
mod container;
mod engines;
mod profile;
mod agent;
