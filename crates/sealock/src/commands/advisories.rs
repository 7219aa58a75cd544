use crate::{advisory_store, cli::Global, client::Client, output};
use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use sealock_advisories::{FILE_ENDINGS, file_ending};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Vulnerability data.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Import OSV records (file, folder, zip, JSON Lines, also .zst), or CISA's KEV catalogue.
    Import(Import),
    /// Fetch the ecosystems' archives, if they have changed, from an address in osv.dev's layout
    /// (BASE/ECOSYSTEM/all.zip).
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
sealock advisories import known_exploited_vulnerabilities.json --source cisa-kev")]
pub(crate) struct Import {
    /// A file (.zip, or .json, .jsonl, .ndjson, each also with .zst) or a folder of them.
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

const REPORT: &[output::Column] = &[
    ("records", "/records"),
    ("withdrawn", "/withdrawn"),
    ("duplicates", "/duplicates"),
    ("known exploited", "/kev"),
    ("unknown ecosystems", "/unknown_ecosystems"),
    ("left out", "/skipped"),
];

const ECOSYSTEMS: &[output::Column] = &[
    ("ecosystem", "/ecosystem"),
    ("coverage", "/coverage"),
    ("records", "/records"),
    ("data of", "/data_date"),
];

pub(crate) async fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::Status { local } => status(global, local).await,
        Command::Import(import) if import.local => {
            let report = advisory_store::import(import).await?;
            output::object(global.output, &report, REPORT)
        }
        Command::Import(import) => upload(global, import).await,
        Command::Update(update) if update.local => {
            let report = advisory_store::update(update).await?;
            updated(global, &report)
        }
        Command::Update(update) => {
            let body = json!({
                "url": update.base.as_str(), "ecosystems": update.ecosystems, "force": update.force,
            });
            let client = Client::new(global)?;
            let report = client.write(Method::POST, "advisories/update", &body).await?;
            updated(global, &report)
        }
    }
}

fn updated(global: &Global, report: &Value) -> Result<()> {
    if report["unchanged"] == true && global.output == output::Format::Table {
        let said = "Nothing has changed there since it was fetched last.";
        return output::line(global.output, said);
    }
    output::object(global.output, report, REPORT)
}

async fn status(global: &Global, local: bool) -> Result<()> {
    let status = if local {
        advisory_store::status()?
    } else {
        Client::new(global)?.get("advisories", &[]).await?
    };
    if global.output == output::Format::Json {
        return output::json(&status);
    }
    let snapshot = [("snapshot", "/snapshot/digest"), ("built", "/snapshot/built_at")];
    output::object(global.output, &status, &snapshot)?;
    let rows: Vec<Value> = status
        .pointer("/snapshot/ecosystems")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, row)| {
            let mut row = row.clone();
            row["ecosystem"] = json!(name);
            row
        })
        .collect();
    output::list(global.output, &rows, ECOSYSTEMS)
}

async fn upload(global: &Global, import: Import) -> Result<()> {
    let source = import.source.clone().unwrap_or_else(|| source_name(&import.path));
    let packed;
    let (path, form) = if import.path.is_dir() {
        packed = advisory_store::pack(&import.path)?;
        (packed.path(), "zip")
    } else {
        let Some(form) = file_ending(&import.path.to_string_lossy()) else {
            bail!("{} must end in one of .{}", import.path.display(), FILE_ENDINGS.join(" ."));
        };
        (import.path.as_path(), form)
    };
    let file = tokio::fs::File::open(path)
        .await
        .with_context(|| format!("cannot open {}", import.path.display()))?;
    let size = file.metadata().await?.len();
    let progress = progress_bar(global.quiet, size);
    let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::with_capacity(
        progress.wrap_async_read(file),
        256 * 1024,
    ));
    let query = [
        ("source", source.as_str()),
        ("format", form),
        ("mode", if import.add { "add" } else { "replace" }),
        ("coverage", import.coverage.as_str()),
        ("force", if import.force { "true" } else { "false" }),
    ];
    let client = Client::new(global)?;
    let octets = "application/octet-stream";
    let report = client.send_body(Method::POST, "advisories/import", &query, octets, body).await;
    progress.finish_and_clear();
    output::object(global.output, &report?, REPORT)
}

/// The file's name without its endings, in the characters that a source's name may have.
pub(crate) fn source_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = file_ending(&name).map_or(0, |ending| ending.len() + 1);
    let stem = name[..name.len() - ending].to_ascii_lowercase();
    stem.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .collect()
}

fn progress_bar(quiet: bool, size: u64) -> ProgressBar {
    if !output::interactive(quiet) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size).with_message("uploading");
    let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
