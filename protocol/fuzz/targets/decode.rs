//! libFuzzer drives [`timecoin_fuzz::decode::run`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timecoin_fuzz::decode::run(bytes));
