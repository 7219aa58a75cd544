use crate::{
    cli::Global,
    failure::Failure,
    output::{self, Format},
    server::{Home, existing_master_key},
};
use anyhow::Result;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sealock_blobs::RealDisk;
use sealock_lifecycle::fsck::{Depth, Kind, Options, Outcome, Place, Progress, Report, check};
use sealock_metadata::{Access, Database, DatabaseConfig, SystemClock};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Check a stopped server's data, and repair it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --repair nothing is changed. Every kind of defect, what --repair does about it and \
what only a person can do are on the page docs/reference/fsck.md and in the JSON output."
)]
pub(crate) struct Fsck {
    /// The server's data directory.
    #[arg(long, env = "SEALOCK_DATA_DIR", default_value = "sealock-data")]
    data_dir: PathBuf,
    /// The server's PostgreSQL, if it uses one.
    #[arg(long, env = "SEALOCK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// File with the master key, as the server is given it.
    #[arg(long)]
    master_key_file: Option<PathBuf>,
    /// Only compare rows, names and lengths; do not read manifests and facts.
    #[arg(long, conflicts_with = "bytes")]
    quick: bool,
    /// Read and hash every stored byte.
    #[arg(long)]
    bytes: bool,
    /// Repair what can be repaired.
    #[arg(long)]
    repair: bool,
}

const COLUMNS: &[output::Column] = &[
    ("kind", "/kind"),
    ("severity", "/severity"),
    ("found", "/count"),
    ("repaired", "/repaired"),
    ("what it is", "/what"),
    ("what to do", "/do"),
];

const EXAMPLES: &[output::Column] = &[
    ("kind", "/kind"),
    ("digest", "/digest"),
    ("path", "/path"),
    ("repository", "/repository"),
    ("detail", "/detail"),
    ("outcome", "/said"),
];

pub(crate) async fn run(global: &Global, args: Fsck) -> Result<()> {
    let report =
        examine(global, &args).await.map_err(|error| Failure::unchecked(format!("{error:#}")))?;
    print(global.output, &report)?;
    if !report.unchecked.is_empty() {
        return Err(Failure::unchecked(format!(
            "{} could not be checked; {} defects were found in the rest",
            plural(report.unchecked.len() as u64, "part"),
            report.count()
        )));
    }
    match report.left() {
        0 => Ok(()),
        left if report.repair => Err(Failure::defects(format!("{} left", plural(left, "defect")))),
        left => Err(Failure::defects(format!(
            "{} found; run it again with --repair to repair what can be repaired",
            plural(left, "defect")
        ))),
    }
}

async fn examine(global: &Global, args: &Fsck) -> Result<Report> {
    // Held to the end: no server starts on what is being looked at.
    let home = Home::of_stopped_server(&args.data_dir)?;
    let config = match &args.database_url {
        Some(url) => DatabaseConfig::postgres(url),
        None => DatabaseConfig::Sqlite { path: home.join("sealock.db"), must_exist: true },
    };
    let access = if args.repair { Access::Write } else { Access::Read };
    let database = Database::open_as_it_is(config, Arc::new(SystemClock), access).await?;
    let place = Place {
        data_dir: args.data_dir.clone(),
        store: "blobs".into(),
        advisories: "advisories".into(),
        disk: Arc::new(RealDisk),
        database: database.clone(),
        master_key: existing_master_key(&home, args.master_key_file.as_deref())
            .map_err(|error| format!("{error:#}")),
        secrets: vec!["keys".into(), "tls".into()],
    };
    let depth = match (args.quick, args.bytes) {
        (true, _) => Depth::Quick,
        (_, true) => Depth::Bytes,
        _ => Depth::Normal,
    };
    let bar = Bar::new(output::interactive(global.quiet));
    let report = check(&place, Options { depth, repair: args.repair }, &bar).await;
    bar.end();
    database.close().await;
    Ok(report)
}

fn print(format: Format, report: &Report) -> Result<()> {
    let document = document(report);
    if format == Format::Json {
        return output::json(&document);
    }
    let rows = document["findings"].as_array().cloned().unwrap_or_default();
    if !rows.is_empty() {
        output::list(format, &rows, COLUMNS)?;
        output::line(format, "")?;
        let examples: Vec<Value> = rows
            .iter()
            .flat_map(|row| row["examples"].as_array().cloned().unwrap_or_default())
            .collect();
        output::list(format, &examples, EXAMPLES)?;
        output::line(format, "")?;
    }
    for line in &report.unchecked {
        output::line(format, &format!("Not checked: {line}"))?;
    }
    let checked = &report.checked;
    output::line(
        format,
        &format!(
            "Checked {}, {} ({}, {} of it byte by byte), {}, {}.",
            plural(checked.blobs, "blob"),
            plural(checked.files, "file"),
            HumanBytes(checked.bytes),
            HumanBytes(checked.hashed_bytes),
            plural(checked.manifests, "manifest"),
            plural(checked.uploads, "upload"),
        ),
    )?;
    let verdict = match (report.is_healthy(), report.count(), report.left()) {
        (true, ..) => "Healthy: no defects.".to_owned(),
        (_, 0, _) => "No defects in what was checked.".to_owned(),
        (_, count, left) => format!("{}, {} left.", plural(count, "defect"), left),
    };
    output::line(format, &verdict)
}

/// The report as one document.
fn document(report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|(kind, found)| {
            let examples: Vec<Value> = found
                .examples
                .iter()
                .map(|example| {
                    let mut value = serde_json::to_value(example).unwrap_or_default();
                    value["kind"] = json!(kind);
                    value["said"] = json!(said(&example.outcome));
                    value
                })
                .collect();
            let steps = what_to_do(*kind, report.repair, found.count - found.repaired);
            json!({
                "kind": kind, "severity": kind.severity(), "count": found.count,
                "repaired": found.repaired, "left": found.count - found.repaired,
                "bytes": found.bytes, "what": kind.what(), "repair": kind.repair(),
                "person": kind.person(), "do": steps, "examples": examples,
            })
        })
        .collect();
    json!({
        "healthy": report.is_healthy(), "depth": report.depth, "repair": report.repair,
        "defects": report.count(), "left": report.left(), "checked": report.checked,
        "unchecked": report.unchecked, "findings": findings,
    })
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Found => String::new(),
        Outcome::Repaired => "repaired".to_owned(),
        Outcome::Left(why) => format!("left: {why}"),
    }
}

fn what_to_do(kind: Kind, repair: bool, left: u64) -> String {
    let mut steps = Vec::new();
    if !repair && !kind.repair().is_empty() {
        steps.push(format!("--repair {}", kind.repair()));
    }
    if (left > 0 || !kind.repair().is_empty()) && !kind.person().is_empty() {
        steps.push(kind.person().to_owned());
    }
    steps.join("; then: ")
}

fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The progress, drawn where there is a terminal.
struct Bar {
    bar: Mutex<Option<ProgressBar>>,
    shown: bool,
}

impl Bar {
    fn new(shown: bool) -> Self {
        Self { bar: Mutex::new(None), shown }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn stage(&self, name: &'static str, total: u64, unit: &'static str) {
        if !self.shown {
            return;
        }
        self.end();
        let counts = match (unit, total) {
            ("bytes", _) => "{bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left".to_owned(),
            (_, 0) => format!("{{human_pos}} {unit}"),
            _ => format!("{{human_pos}}/{{human_len}} {unit}, {{eta}} left"),
        };
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let template = match total {
            0 => format!("{{spinner}} {name}: {counts}"),
            _ => format!("{name} [{{bar:30}}] {counts}"),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advance(&self, by: u64) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            bar.inc(by);
        }
    }
}
