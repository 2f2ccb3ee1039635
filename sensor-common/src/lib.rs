//! What crosses the kernel/user boundary: records upwards, configuration downwards.
//!
//! A record is a [`Header`], the kind's fixed part, then its variable parts in the order in which
//! the fixed part names their lengths. Everything is native-endian, `repr(C)` and free of padding,
//! which zerocopy's derives prove at compile time.
#![no_std]
#![forbid(unsafe_code)]

pub mod call;
pub mod cgroup;
pub mod clock;
pub mod config;
pub mod connect;
pub mod container;
pub mod counters;
pub mod credentials;
pub mod exec;
pub mod exit;
pub mod filter;
pub mod fork;
pub mod function;
pub mod header;
pub mod histogram;
pub mod oom;
pub mod open;
pub mod path;
pub mod resolved;
pub mod sample;
pub mod syscall;
pub mod users;

pub use header::{Header, Kind};
