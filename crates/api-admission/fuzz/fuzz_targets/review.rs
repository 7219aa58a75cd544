#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealock_api_admission::fuzz::review(data));
