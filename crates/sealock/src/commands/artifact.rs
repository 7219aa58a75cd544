use super::{Context, decision};
use crate::{failure::Failure, output};
use anyhow::Result;
use serde_json::Value;

/// Show an image.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// project/repository[:tag][@digest], or a digest alone
    image: String,
}

/// Explain what each door says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 3: the door (or one of them) refuses.")]
pub(crate) struct Verify {
    /// project/repository[:tag][@digest], or a digest alone
    image: String,
    /// Only this door: push, pull, promote, admit.
    #[arg(long)]
    door: Option<String>,
}

/// Print everything that is known and was decided about a digest.
#[derive(Debug, clap::Args)]
pub(crate) struct Evidence {
    /// project/repository[:tag][@digest], or a digest alone
    image: String,
}

const SHOW: &[output::Column] = &[
    ("repository", "/repository"),
    ("digest", "/digest"),
    ("tags", "/tags"),
    ("kind", "/kind"),
    ("media type", "/media_type"),
    ("manifest bytes", "/size"),
    ("state", "/state"),
    ("pushed by", "/pushed_by"),
    ("pushed at", "/pushed_at"),
    ("contents", "/facts/contents/state"),
    ("distribution", "/facts/contents/distributions"),
    ("components", "/facts/contents/components"),
    ("by kind", "/facts/contents/kinds"),
    ("remarks", "/facts/contents/remarks"),
    ("findings", "/facts/findings"),
];

/// What was signed, and what was attested.
const SIGNATURES: &[output::Column] = &[
    ("signature", "/format"),
    ("state", "/status/state"),
    ("reason", "/status/detail"),
    ("key", "/status/key"),
    ("first seen", "/first_seen"),
    ("accessory", "/accessory"),
];
const ATTESTATIONS: &[output::Column] = &[
    ("attestation", "/predicate_type"),
    ("state", "/status/state"),
    ("reason", "/status/detail"),
    ("key", "/status/key"),
    ("first seen", "/first_seen"),
    ("accessory", "/accessory"),
];

pub(crate) async fn show(context: &Context, args: Show) -> Result<()> {
    let artifact = context.client.get("artifact", &[("image", &args.image)]).await?;
    output::object(context.format, &artifact, SHOW)?;
    if context.format == output::Format::Json {
        return Ok(());
    }
    for (pointer, columns) in
        [("/facts/signatures", SIGNATURES), ("/facts/attestations", ATTESTATIONS)]
    {
        let found = artifact.pointer(pointer).and_then(Value::as_array);
        if let Some(items) = found.filter(|items| !items.is_empty()) {
            output::line(context.format, "")?;
            output::list(context.format, items, columns)?;
        }
    }
    Ok(())
}

pub(crate) async fn verify(context: &Context, args: Verify) -> Result<()> {
    let mut query = vec![("image", args.image.as_str())];
    query.extend(args.door.as_deref().map(|door| ("door", door)));
    // One for each door: this list has no pages.
    let mut found = context.client.get("artifact/verdicts", &query).await?;
    let verdicts: Vec<Value> = serde_json::from_value(found["items"].take())?;
    if context.format == output::Format::Json {
        output::json(&Value::Array(verdicts.clone()))?;
    } else {
        for verdict in &verdicts {
            let word = |name: &str| verdict.get(name).and_then(Value::as_str).unwrap_or("?");
            output::line(context.format, &format!("{}: {}", word("door"), word("action")))?;
            decision::reasons(context, Some(verdict))?;
            output::line(context.format, "")?;
        }
    }
    let refused = |verdict: &&Value| {
        matches!(verdict.get("action").and_then(Value::as_str), Some("deny" | "hold"))
    };
    match verdicts.iter().find(refused) {
        Some(verdict) => {
            let door = verdict.get("door").and_then(Value::as_str).unwrap_or("a door");
            Err(Failure::refused(format!("refused at {door}")))
        }
        None => Ok(()),
    }
}

pub(crate) async fn evidence(context: &Context, args: Evidence) -> Result<()> {
    // One document in one form: it is kept with a release and read by programs.
    output::json(&context.client.get("artifact/evidence", &[("image", &args.image)]).await?)
}
