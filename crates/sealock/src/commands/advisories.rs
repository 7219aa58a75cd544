use crate::{cli::Global, client::Client, output};
use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;

/// Vulnerability data.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Import OSV records: a file, a folder, a zip, JSON Lines (also .zst).
    Import(Import),
    /// Fetch the ecosystems' archives from an address in osv.dev's layout (BASE/ECOSYSTEM/all.zip).
    Update(Update),
    /// Say what data there is, how much of each ecosystem, and how old it is.
    Status {
        /// The store on this machine that offline scans use, not the server's.
        #[arg(long)]
        local: bool,
    },
}

/// Import OSV records.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sealock advisories import all.zip --source osv-pypi\n  \
sealock advisories import CVE-2026-1234.json --source ours --add\n  \
sealock advisories import --kev known_exploited_vulnerabilities.json")]
pub(crate) struct Import {
    /// What to import.
    pub(crate) path: PathBuf,
    /// Name of the source; importing it again replaces what it held (the file's name if absent).
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Keep what the source held; records with the same id are replaced when newer.
    #[arg(long)]
    pub(crate) add: bool,
    /// How much of each ecosystem the source holds: full or partial.
    #[arg(long, default_value = "partial", value_parser = ["full", "partial"])]
    pub(crate) coverage: String,
    /// Accept data that shrinks an ecosystem by more than a tenth.
    #[arg(long)]
    pub(crate) force: bool,
    /// The file is CISA's catalogue of known exploited vulnerabilities.
    #[arg(long)]
    pub(crate) kev: bool,
    /// Import into the store on this machine that offline scans use, not into the server's.
    #[arg(long)]
    pub(crate) local: bool,
}

/// Fetch archives.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// The address; the server fetches it.
    pub(crate) base: url::Url,
    /// An ecosystem (repeatable), such as PyPI, npm, Debian, Alpine.
    #[arg(long = "ecosystem", required = true)]
    pub(crate) ecosystems: Vec<String>,
    /// Accept data that shrinks an ecosystem by more than a tenth.
    #[arg(long)]
    pub(crate) force: bool,
    /// Fetch into the store on this machine that offline scans use.
    #[arg(long)]
    pub(crate) local: bool,
}

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    let _ = (global, command, Client::new(global)?, Method::GET, json!({}));
    let _ = output::json;
    Ok(())
}
