//! See `penstock_buffer::fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_buffer::fuzz::records(bytes));
