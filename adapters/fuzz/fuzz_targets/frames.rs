//! See `penstock_adapters::modbus::fuzz::frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_adapters::modbus::fuzz::frames(bytes));
