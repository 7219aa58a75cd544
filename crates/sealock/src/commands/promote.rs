use super::Context;
use crate::output;
use anyhow::Result;
use reqwest::Method;
use serde_json::json;

/// Copy an image into a higher tier, if the gate allows it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sealock promote sandbox/app:1.0 release/app:1.0\nExit code 3: refused; \
the reasons are printed."
)]
pub(crate) struct Promote {
    /// What: project/repository[:tag][@digest], or a digest alone.
    image: String,
    /// Where: project[/repository][:tag]; what is not given is taken from the image.
    to: String,
}

const FIELDS: &[output::Column] = &[
    ("promoted", "/image"),
    ("digest", "/digest"),
    ("decision", "/decision"),
    ("summary (VSA)", "/vsa"),
    ("linked", "/linked"),
    ("left behind", "/left_behind"),
];

pub(crate) async fn run(context: &Context, args: Promote) -> Result<()> {
    let body = json!({"image": args.image, "to": args.to});
    let promotion = context.client.write(Method::POST, "promotions", &body).await?;
    output::object(context.format, &promotion, FIELDS)
}
