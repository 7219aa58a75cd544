#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealock_api_distribution::fuzz_request(bytes));
