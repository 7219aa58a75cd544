use crate::cli::Global;
use anyhow::Result;
/// Find vulnerable components.
#[derive(Debug, clap::Args)]
pub(crate) struct Scan {}
/// Print the SBOM.
#[derive(Debug, clap::Args)]
pub(crate) struct Sbom {}
pub(crate) async fn scan(_: &Global, _: Scan) -> Result<()> { Ok(()) }
pub(crate) async fn sbom(_: &Global, _: Sbom) -> Result<()> { Ok(()) }
