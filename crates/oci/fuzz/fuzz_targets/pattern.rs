#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealock_oci::doublestar::fuzz_pattern(bytes));
