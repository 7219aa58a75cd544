use anyhow::Result;
/// Run the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {}
pub(crate) async fn run(_: Serve) -> Result<()> { Ok(()) }
