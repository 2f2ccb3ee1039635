//! Bytes from the kernel: `cargo fuzz run decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sensor_fuzz::decode(bytes));
