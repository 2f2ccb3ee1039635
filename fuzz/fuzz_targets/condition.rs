//! Conditions of rules: `cargo fuzz run condition`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sensor_fuzz::condition(bytes));
