//! libFuzzer drives [`timecoin_fuzz::engine_step::run`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timecoin_fuzz::engine_step::run(bytes));
