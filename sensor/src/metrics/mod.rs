//! What the sensor counts, and how it is asked: `/metrics`, `/livez` and `/readyz`.
//!
//! [`counters`] are plain atomics that every stage increments; [`snapshot`] is what a scrape reads
//! from the kernel side; tables of families name and describe every metric.

pub mod counters;
pub mod snapshot;
pub mod health;
pub mod cgroupfs;
mod family;
mod own;
mod lookups;
mod container;
pub mod exporter;
pub mod server;
pub mod docs;
