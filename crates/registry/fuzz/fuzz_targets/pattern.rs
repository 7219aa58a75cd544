#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealock_registry::doublestar::fuzz_pattern(bytes));
