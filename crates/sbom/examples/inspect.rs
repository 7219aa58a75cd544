//! Prints the components of one layer file or root filesystem: for measuring and for looking.
//!
//! `cargo run --release -p sealock-sbom --example inspect -- layer.tar.gz [--components]`
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use sealock_oci::Digest;
use sealock_sbom::{Limits, inspect_layer, inspect_root_filesystem, merge};
use std::{error::Error, fs::File, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: inspect FILE_OR_FOLDER [--components]")?;
    let limits = Limits::default();
    let contents = if Path::new(&path).is_dir() {
        inspect_root_filesystem(Path::new(&path), &limits)?
    } else {
        let layer = inspect_layer(File::open(&path)?, &limits);
        println!("diff_id  {:?}", layer.diff_id);
        println!("entries  {}", layer.entries);
        println!("bytes    {} -> {}", layer.compressed_bytes, layer.expanded_bytes);
        println!("record   {} bytes of JSON", serde_json::to_vec(&layer)?.len());
        merge(&[(Digest::sha256(b"example"), layer)], None)
    };
    println!("distro   {:?}", contents.distro.and_then(|d| d.ecosystem));
    println!("found    {} components, {:?}", contents.components.len(), contents.completeness);
    if arguments.next().as_deref() == Some("--components") {
        for component in contents.components {
            println!("{}\t{}\t{:?}", component.purl, component.path, component.owner);
        }
    }
    Ok(())
}
