//! Any bytes as an image archive: OCI, Docker, plain or compressed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sealock_sbom::fuzz_image(data);
});
