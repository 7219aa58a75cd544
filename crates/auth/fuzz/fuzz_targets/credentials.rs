#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealock_auth::fuzz_credentials(bytes));
