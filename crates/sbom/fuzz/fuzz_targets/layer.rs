//! Any bytes as a layer blob.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sealock_sbom::fuzz_layer(data);
});
