//! The loads of `make bench`.
//!
//! Each subcommand talks to a running server and prints one JSON line. Times are in microseconds.
//! Loads are bounded in count and end by themselves.

#![expect(clippy::print_stdout, reason = "the result is one line on standard output")]

mod abuse;
mod admit;
mod artifacts;
mod crowd;
mod disk;
mod fill;
mod history;
mod load;
mod matching;
mod metadata;
mod push;
mod registry;
mod summary;

use anyhow::Result;
use clap::Parser;

/// The loads of `make bench`.
#[derive(Debug, Parser)]
enum Bench {
    /// Push unique images one after the other and time the 201 of each manifest and the whole push.
    Push(push::Push),
    /// Push many small images that share one layer.
    Seed(push::Seed),
    /// Push one image with a layer of random bytes.
    Large(push::Large),
    /// Ask the admission webhook at a fixed rate (open loop) and report percentiles.
    Admit(admit::Admit),
    /// Push to and pull from any registry, and read the server's processor time and memory.
    Load(load::Load),
    /// Abuse a server in one way, to measure what others notice of it.
    Abuse(abuse::Abuse),
    /// Hash for a while, to know the rate that no server can exceed on one core.
    Hash(disk::Hash),
    /// Store files durably for a while, to know the rate that no server can exceed on this disk.
    Files(disk::Files),
    /// Ask for many lists one after the other, which stand in lines on standard input.
    Shapes(load::Shapes),
    /// Fill the database of a stopped server with very many rows of each kind.
    Fill(fill::Fill),
    /// Match components against an advisory index in this process.
    Matching(matching::Matching),
    /// Small transactions on a SQLite database of this process.
    Metadata(metadata::Metadata),
}

#[tokio::main]
async fn main() -> Result<()> {
    let result = match Bench::parse() {
        Bench::Push(args) => push::push(args).await?,
        Bench::Seed(args) => push::seed(args).await?,
        Bench::Large(args) => push::large(args).await?,
        Bench::Admit(args) => admit::admit(args).await?,
        Bench::Load(args) => load::load(args).await?,
        Bench::Abuse(args) => abuse::abuse(args).await?,
        Bench::Hash(args) => disk::hash(&args)?,
        Bench::Files(args) => disk::files(&args)?,
        Bench::Shapes(args) => load::shapes(args).await?,
        Bench::Fill(args) => fill::fill(args).await?,
        Bench::Matching(args) => matching::matching(&args)?,
        Bench::Metadata(args) => metadata::metadata(args).await?,
    };
    println!("{result}");
    Ok(())
}
