//! See `penstock_adapters::modbus::fuzz::decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_adapters::modbus::fuzz::decode(bytes));
