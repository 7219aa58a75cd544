#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealock_policy::fuzz_policy(bytes));
