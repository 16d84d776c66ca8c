//! See `penstock_adapters::opcua::fuzz::structures`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_adapters::opcua::fuzz::structures(bytes));
