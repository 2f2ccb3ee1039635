//! Output texts of rules: `cargo fuzz run output`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sensor_fuzz::output(bytes));
