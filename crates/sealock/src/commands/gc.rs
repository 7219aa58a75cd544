use super::{Context, Limit};
use crate::{cli::Global, output};
use anyhow::{Result, bail};
use indicatif::{HumanBytes, ProgressBar};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// How often a run is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Collection of what nothing refers to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The server collects by itself, every few minutes (`sealock serve --collection-interval`). \
What has lost its last user is kept for the lease first (`--collection-lease`), because a push under way may \
have been told that it is there."
)]
pub(crate) struct Gc {
    /// Say what would be freed and kept, and why; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Free also what a lease holds. UNSAFE while anybody pushes: their pushes may fail or lose
    /// layers that they were told are there.
    #[arg(long)]
    ignore_leases: bool,
    /// Begin the run and do not wait for its end.
    #[arg(long)]
    no_wait: bool,
    /// List the last runs instead.
    #[arg(long, conflicts_with_all = ["dry_run", "ignore_leases", "no_wait"])]
    list: bool,
    #[command(flatten)]
    limit: Limit,
}

const COLUMNS: &[output::Column] = &[
    ("run", "/id"),
    ("began", "/started_at"),
    ("state", "/state"),
    ("by", "/actor"),
    ("dry run", "/dry_run"),
    ("files", "/report/freed/files"),
    ("bytes", "/report/freed/bytes"),
    ("failures", "/report/failures"),
];

const PILES: &[output::Column] =
    &[("what", "/what"), ("why", "/why"), ("files", "/files"), ("bytes", "/bytes")];

pub(crate) async fn run(global: &Global, context: &Context, args: Gc) -> Result<()> {
    if args.list {
        let found = context.client.first("collections", &[], args.limit.most()).await?;
        return output::first(context.format, found, COLUMNS);
    }
    let body = json!({"dry_run": args.dry_run, "ignore_leases": args.ignore_leases});
    let begun = context.client.write(Method::POST, "collections", &body).await?;
    let run = match args.no_wait {
        true => begun,
        false => wait(global, context, begun).await?,
    };
    if run.pointer("/state") == Some(&json!("failed")) {
        let why = run.pointer("/error").and_then(Value::as_str).unwrap_or("no reason is known");
        bail!("the collection broke off: {why}");
    }
    match context.format {
        output::Format::Json => output::json(&run),
        output::Format::Table => report(&run),
    }
}

async fn wait(global: &Global, context: &Context, mut run: Value) -> Result<Value> {
    let bar = match output::interactive(global.quiet) {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let path = format!("collections/{}", number(&run, "/id"));
    while run.pointer("/state") == Some(&json!("running")) {
        bar.set_message(format!(
            "collecting: {} reviewed, {} files and {} freed",
            number(&run, "/report/reviewed"),
            number(&run, "/report/freed/files"),
            HumanBytes(number(&run, "/report/freed/bytes"))
        ));
        bar.tick();
        tokio::time::sleep(LOOK).await;
        run = context.client.get(&path, &[]).await?;
    }
    bar.finish_and_clear();
    Ok(run)
}

fn number(run: &Value, pointer: &str) -> u64 {
    run.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

fn report(run: &Value) -> Result<()> {
    let dry = run.pointer("/dry_run") == Some(&json!(true));
    let would = if dry { "would free" } else { "freed" };
    let mut rows = Vec::new();
    for (part, what) in [("/report/freed_by", would), ("/report/kept_by", "kept")] {
        for (why, pile) in run.pointer(part).and_then(Value::as_object).into_iter().flatten() {
            // A run counts what it keeps in reviews; only a dry run adds up bytes.
            let bytes =
                (dry || what == would).then(|| HumanBytes(number(pile, "/bytes")).to_string());
            rows.push(json!({"what": what, "why": why, "files": pile["files"], "bytes": bytes}));
        }
    }
    if !rows.is_empty() {
        output::list(output::Format::Table, &rows, PILES)?;
    }
    let (files, bytes) = (number(run, "/report/freed/files"), number(run, "/report/freed/bytes"));
    let state = run.pointer("/state").and_then(Value::as_str).unwrap_or_default();
    let line = match state {
        "running" => format!("Run {} goes on; see it with --list.", number(run, "/id")),
        _ if dry => format!("A run would free {files} files, {}.", HumanBytes(bytes)),
        _ => format!("Freed {files} files, {}.", HumanBytes(bytes)),
    };
    output::line(output::Format::Table, &line)?;
    match number(run, "/report/failures") {
        0 => Ok(()),
        failures => output::line(
            output::Format::Table,
            &format!("{failures} files could not be removed; the server's log says why."),
        ),
    }
}
