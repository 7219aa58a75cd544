use super::Context;
use crate::{advisory_store, cli::Global, client::Client, failure::Failure, output, target};
use anyhow::Result;
use sealock_facts::{Completeness, Coverage, Finding, ImageContents, Severity};
use sealock_metadata::{Clock as _, SystemClock};
use sealock_sbom::SbomSubject;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// Find vulnerable components.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A TARGET that exists here as a folder or file is read here, without a server: an OCI layout \
(oci:DIR[:REF]), an image archive, or a root filesystem (dir:DIR). Anything else is an image on the \
server: project/repository[:tag][@digest].\n\nWith --fail-on, exit code 3: a finding has this severity or a \
worse one; 6: none has, but contents could not be read whole or there is no vulnerability data for some of them \
(with --strict: or it is a part only); 0: none has."
)]
pub(crate) struct Scan {
    #[command(flatten)]
    target: Target,
    /// Print the components that would be matched, not the findings (JSON; local targets only).
    #[arg(long, hide = true)]
    print_components: bool,
    /// List findings at or above this severity only.
    #[arg(long, default_value = "unknown")]
    severity: Severity,
    /// List findings that have a fix only.
    #[arg(long)]
    fixable: bool,
    /// End with exit code 3 if a finding has this severity or a worse one.
    #[arg(long)]
    fail_on: Option<Severity>,
    /// With --fail-on: end with exit code 6 also where the vulnerability data is a part only.
    #[arg(long, requires = "fail_on")]
    strict: bool,
    /// Vulnerability data for a scan without a server (default: the local store, else the starter
    /// set).
    #[arg(long, value_name = "DIR", env = "SEALOCK_ADVISORIES_DIR")]
    advisories_dir: Option<PathBuf>,
}

/// Print the SBOM.
#[derive(Debug, clap::Args)]
#[command(after_help = "Prints CycloneDX 1.6 JSON. TARGET is the same as for `sealock scan`.")]
pub(crate) struct Sbom {
    #[command(flatten)]
    target: Target,
}

/// What is looked at.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// An image on the server, an OCI layout or a root filesystem.
    pub(crate) target: String,
    /// Which image of an index, such as linux/arm64.
    #[arg(long)]
    pub(crate) platform: Option<String>,
}

const COLUMNS: &[output::Column] = &[
    ("severity", "/severity"),
    ("vulnerability", "/vulnerability"),
    ("kev", "/known_exploited"),
    ("component", "/purl"),
    ("fixed in", "/fix/version"),
    ("path", "/path"),
    ("summary", "/summary"),
];

pub(crate) async fn scan(global: &Global, args: Scan) -> Result<()> {
    let format = global.output;
    let (items, gaps) = match target::local(&args.target, global.quiet).await? {
        Some(found) if args.print_components => {
            return output::json(&serde_json::to_value(&found.contents.components)?);
        }
        Some(found) => local_findings(&found, args.advisories_dir.as_deref())?,
        None => server_findings(global, &args.target).await?,
    };
    let shown: Vec<Value> = items
        .iter()
        .filter(|item| severity(item) >= args.severity)
        .filter(|item| !args.fixable || item.pointer("/fix/version").is_some())
        .cloned()
        .collect();
    output::list(format, &shown, COLUMNS)?;
    for remark in gaps.remarks() {
        output::remark(format, &remark)?;
    }
    let Some(threshold) = args.fail_on else { return Ok(()) };
    let count = items.iter().filter(|item| severity(item) >= threshold).count();
    if count > 0 {
        return Err(Failure::refused(format!("{count} finding(s) at or above {threshold}")));
    }
    if gaps.hide_findings(args.strict) {
        let text = format!("no finding at or above {threshold}, but not everything is known");
        return Err(Failure::not_known(text));
    }
    Ok(())
}

pub(crate) async fn sbom(global: &Global, args: Sbom) -> Result<()> {
    if let Some(found) = target::local(&args.target, global.quiet).await? {
        let subject = SbomSubject { name: found.name, tag: found.tag, digest: found.digest };
        let at = SystemClock.now();
        return output::json(&sealock_sbom::cyclonedx(&found.contents, &subject, at));
    }
    let client = Client::new(global)?;
    let image = image_of(&client, &args.target).await?;
    output::json(&client.get("artifact/sbom", &[("image", &image)]).await?)
}

/// The image on the server: of an index, the one for the platform that was asked for.
async fn image_of(client: &Client, target: &Target) -> Result<String> {
    let named = &target.target;
    let Some(platform) = &target.platform else { return Ok(named.clone()) };
    let artifact = client.get("artifact", &[("image", named)]).await?;
    let text = |value: &Value, pointer| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let images = artifact.pointer("/facts/images").and_then(Value::as_array);
    let images = images.map(Vec::as_slice).unwrap_or_default();
    match images.iter().find(|image| text(image, "/platform") == *platform) {
        Some(image) => Ok(format!("{}@{}", text(&artifact, "/repository"), text(image, "/digest"))),
        None => {
            let known: Vec<String> = images.iter().map(|image| text(image, "/platform")).collect();
            let known = known.join(", ");
            Err(Failure::not_found(format!("{named} has no image for {platform}, only: {known}")))
        }
    }
}

async fn server_findings(global: &Global, target: &Target) -> Result<(Vec<Value>, Gaps)> {
    let context = Context { client: Client::new(global)?, format: global.output };
    let image = &image_of(&context.client, target).await?;
    let items = context.client.list("artifact/findings", &[("image", image)]).await?;
    let artifact = context.client.get("artifact", &[("image", image)]).await?;
    let read = |pointer| artifact.pointer(pointer).cloned().unwrap_or_default();
    let gaps = Gaps {
        contents: serde_json::from_value(read("/facts/contents/remarks"))?,
        coverage: serde_json::from_value(read("/facts/coverage"))?,
        unmatched: serde_json::from_value(read("/facts/unmatched"))?,
        empty: read("/facts/contents/components") == json!(0),
    };
    Ok((items, gaps))
}

fn local_findings(
    found: &target::Local,
    store: Option<&std::path::Path>,
) -> Result<(Vec<Value>, Gaps)> {
    let index = advisory_store::for_scans(store)?;
    let contents = &found.contents;
    let findings = index.findings(&contents.components, SystemClock.now())?;
    let items = findings.iter().map(|finding| row(finding, contents)).collect();
    let mut gaps = Gaps {
        contents: Vec::new(),
        coverage: BTreeMap::new(),
        unmatched: 0,
        empty: contents.components.is_empty(),
    };
    if let Completeness::Partial { reasons } = &contents.completeness {
        gaps.contents.extend(
            reasons
                .iter()
                .map(|reason| format!("not read whole: {}: {}", reason.code, reason.detail)),
        );
    }
    for component in &contents.components {
        match &component.match_key {
            Some(key) if gaps.coverage.contains_key(&key.ecosystem) => {}
            Some(key) => {
                gaps.coverage.insert(key.ecosystem.clone(), index.coverage(&key.ecosystem));
            }
            None => gaps.unmatched += 1,
        }
    }
    Ok((items, gaps))
}

/// What is not known: "no finding" and "no data" are never the same words.
struct Gaps {
    /// Of the contents, in words.
    contents: Vec<String>,
    /// How much vulnerability data there is for each ecosystem in the image.
    coverage: BTreeMap<String, Coverage>,
    /// Components that belong to no known release.
    unmatched: u64,
    /// Nothing was recognised: programs that no package manager knows are not looked into.
    empty: bool,
}

impl Gaps {
    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.contents.clone();
        for (ecosystem, coverage) in &self.coverage {
            match coverage {
                Coverage::Full => {}
                Coverage::Partial => remarks.push(format!(
                    "{ecosystem}: the vulnerability data is a part only; no finding is no statement"
                )),
                Coverage::None => {
                    remarks.push(format!("{ecosystem}: there is no vulnerability data"));
                }
            }
        }
        if self.unmatched > 0 {
            let count = self.unmatched;
            remarks.push(format!(
                "{count} of the packages are of no known release: they were not matched"
            ));
        }
        if self.empty {
            remarks.push("no package was recognised; no finding is no statement".to_owned());
        }
        remarks
    }

    /// Whether "no finding" would say more than is known.
    fn hide_findings(&self, strict: bool) -> bool {
        let least = if strict { Coverage::Full } else { Coverage::Partial };
        !self.contents.is_empty()
            || self.unmatched > 0
            || (strict && self.empty)
            || self.coverage.values().any(|coverage| *coverage < least)
    }
}

fn row(finding: &Finding, contents: &ImageContents) -> Value {
    let component = contents.components.iter().find(|component| component.purl == finding.purl);
    let mut row = serde_json::to_value(finding).unwrap_or_default();
    row["path"] = json!(component.map(|component| &component.path));
    row["layer"] = json!(component.map(|component| component.layer));
    row["known_exploited"] = json!(finding.kev.is_some());
    row
}

fn severity(item: &Value) -> Severity {
    item.get("severity")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
