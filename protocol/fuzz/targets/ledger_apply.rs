//! libFuzzer drives [`timecoin_fuzz::ledger_apply::run`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| timecoin_fuzz::ledger_apply::run(bytes));
