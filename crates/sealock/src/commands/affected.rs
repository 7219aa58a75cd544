use super::Context;
use crate::{failure::Failure, output};
use anyhow::Result;

/// Which images contain a vulnerability or a package.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sealock affected CVE-2021-3711\n  sealock affected \
pkg:npm/lodash --range '<4.17.21'\n  sealock affected pkg:deb/debian/openssl@3.0.11-1")]
pub(crate) struct Affected {
    /// A vulnerability id (CVE, GHSA, …) or a package URL.
    what: String,
    /// With a package URL without version: versions in the ecosystem's own order, such as
    /// `>=1.2,<2`.
    #[arg(long)]
    range: Option<String>,
}

const COLUMNS: &[output::Column] = &[
    ("repository", "/repository"),
    ("tags", "/tags"),
    ("tier", "/tier"),
    ("digest", "/digest"),
    ("vulnerability", "/vulnerability"),
    ("severity", "/severity"),
    ("component", "/component"),
    ("path", "/path"),
    ("fix", "/fix/version"),
];

pub(crate) async fn run(context: &Context, args: Affected) -> Result<()> {
    let is_purl = args.what.starts_with("pkg:");
    if args.range.is_some() && !is_purl {
        return Err(Failure::usage("--range goes with a package URL, such as pkg:npm/lodash"));
    }
    let mut query = vec![(if is_purl { "purl" } else { "vulnerability" }, args.what.as_str())];
    query.extend(args.range.as_deref().map(|range| ("range", range)));
    let items = context.client.list("affected", &query).await?;
    output::list(context.format, &items, COLUMNS)
}
