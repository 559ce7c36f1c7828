//! libFuzzer drives [`timecoin_fuzz::text::run`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timecoin_fuzz::text::run(bytes));
