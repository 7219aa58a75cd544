#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealock_advisories::fuzz_lines(bytes));
