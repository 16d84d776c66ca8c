//! See `penstock_buffer::fuzz::journals`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_buffer::fuzz::journals(bytes));
