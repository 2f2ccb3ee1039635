//! What the sensor counts, and how it is asked: `/metrics`, `/livez` and `/readyz`.
//!
//! [`counters`] are plain atomics that every stage increments; [`snapshot`] is what a scrape reads
//! from the kernel side; the tables in [`family`] name and describe every metric.

pub mod cgroupfs;
mod container;
pub mod counters;
pub mod docs;
pub mod exporter;
pub mod family;
pub mod health;
mod own;
pub mod server;
pub mod snapshot;
