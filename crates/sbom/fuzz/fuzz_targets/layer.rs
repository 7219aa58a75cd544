//! Any bytes as a layer blob. Run with `cargo +nightly fuzz run layer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sealock_sbom::fuzz_layer(data);
});
