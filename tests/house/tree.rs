//! What the other modules look at: the checked-in files and `cargo metadata`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The top of the clone.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file under version control that exists, relative to the top.
pub(crate) fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<String> = String::from_utf8(output.stdout)
        .expect("file names are UTF-8")
        .split_terminator('\0')
        .filter(|name| root().join(name).is_file())
        .map(str::to_owned)
        .collect();
    assert!(files.len() > 50, "git lists only {} files", files.len());
    files
}

/// `cargo metadata` with the whole dependency graph as it is built on this platform.
pub(crate) fn metadata() -> Value {
    let output = cargo(&["metadata", "--format-version=1", "--filter-platform", &platform()]);
    serde_json::from_slice(&output).expect("cargo metadata prints JSON")
}

/// Every package that a build or test on this platform really uses, as (name, licence). The lock
/// file and `cargo metadata` name more: crates behind features that nobody turns on. What other
/// systems would need was never downloaded where nothing but this was built.
pub(crate) fn used_packages() -> BTreeSet<(String, String)> {
    let output = cargo(&[
        "tree",
        "--workspace",
        "--edges=normal,build,dev",
        "--target",
        &platform(),
        "--prefix=none",
        "--no-dedupe",
        "--format={p}\t{l}",
    ]);
    String::from_utf8(output)
        .expect("cargo prints UTF-8")
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.split_once('\t')?;
            let licence = licence.trim_end_matches(" (*)");
            Some((package.split(' ').next()?.to_owned(), licence.to_owned()))
        })
        .collect()
}

fn platform() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
