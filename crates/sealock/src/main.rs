//! The binary: command line, configuration, wiring, health, metrics.
fn main() {}
