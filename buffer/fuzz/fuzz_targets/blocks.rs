//! See `penstock_buffer::fuzz::blocks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_buffer::fuzz::blocks(bytes));
