//! A large registry, made quickly: rows go through the metadata library into the database of a
//! server that is stopped. Manifests, tags and repositories are made by the functions that a push
//! calls; a million blobs one by one would take minutes, so their rows are inserted by the
//! thousand, and those of ten million audit events are made by the database itself: the only SQL
//! outside of that library. No files are made: nothing that is measured with it reads blobs.

use crate::crowd::Crowd;
use anyhow::{Context, Result};
use sealock_metadata::{
    Database, DatabaseConfig, SystemClock, ToValue as _, Tx, manifests, projects, repositories,
    tags,
};
use sealock_oci::{Digest, RepositoryName, Tag, media_type};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Rows in one transaction.
const BATCH: u64 = 5_000;

/// Fill the database of a stopped server.
#[derive(Debug, clap::Args)]
pub(crate) struct Fill {
    /// Its file (`DATA/sealock.db`), or a PostgreSQL server's URL.
    #[arg(long)]
    database: String,
    /// Tags in the repository library/tags, each with a manifest of its own.
    #[arg(long, default_value_t = 100_000)]
    tags: u64,
    /// Referrers of one subject in library/referrers.
    #[arg(long, default_value_t = 100_000)]
    referrers: u64,
    /// Repositories, named library/many/r0 and so on.
    #[arg(long, default_value_t = 100_000)]
    repositories: u64,
    /// Artifacts in the project `decorated`, each with a tag, a label, an accessory and findings.
    #[arg(long, default_value_t = 100_000)]
    artifacts: u64,
    /// Blobs, linked in library/blobs.
    #[arg(long, default_value_t = 1_000_000)]
    blobs: u64,
    #[command(flatten)]
    crowd: Crowd,
    /// Audit events.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
}

/// Fills it; tells what to ask for.
pub(crate) async fn fill(args: Fill) -> Result<Value> {
    let config = match args.database.starts_with("postgres") {
        true => DatabaseConfig::postgres(args.database.clone()),
        false => DatabaseConfig::Sqlite { path: (&args.database).into(), must_exist: true },
    };
    let database = Database::open(config, Arc::new(SystemClock)).await?;
    let started = Instant::now();
    let filler = Filler { database, project: 0 };
    let mut tx = filler.database.read().await?;
    let project = projects::find(&mut tx, "library").await?.context("no project library")?.id;
    tx.rollback().await?;
    let filler = Filler { project, ..filler };
    let subject = Digest::sha256(b"the subject");
    filler.manifests("tags", args.tags, None).await?;
    filler.manifests("referrers", args.referrers, Some(&subject)).await?;
    filler.repositories(args.repositories).await?;
    filler.blobs(args.blobs).await?;
    crate::artifacts::fill(&filler.database, args.artifacts, BATCH).await?;
    crate::crowd::fill(&filler.database, args.crowd, BATCH).await?;
    let others = started.elapsed();
    let Crowd { projects, people, .. } = args.crowd;
    crate::history::fill(&filler.database, args.events, (projects, people)).await?;
    filler.database.close().await;
    let events = started.elapsed().saturating_sub(others);
    Ok(json!({
        "seconds": others.as_secs_f64().round(), "events_seconds": events.as_secs_f64().round(),
        "subject": subject,
    }))
}

struct Filler {
    database: Database,
    project: i64,
}

impl Filler {
    async fn repository(&self, tx: &mut Tx, name: &str) -> Result<i64> {
        let name: RepositoryName = format!("library/{name}").parse()?;
        Ok(repositories::ensure(tx, self.project, &name).await?.id)
    }

    async fn manifests(&self, name: &str, count: u64, subject: Option<&Digest>) -> Result<()> {
        for first in (0..count).step_by(BATCH as usize) {
            let mut tx = self.database.write().await?;
            let repository = self.repository(&mut tx, name).await?;
            for number in first..count.min(first + BATCH) {
                manifest(&mut tx, repository, number, subject).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn repositories(&self, count: u64) -> Result<()> {
        for first in (0..count).step_by(BATCH as usize) {
            let mut tx = self.database.write().await?;
            for number in first..count.min(first + BATCH) {
                self.repository(&mut tx, &format!("many/r{number}")).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn blobs(&self, count: u64) -> Result<()> {
        for first in (0..count).step_by(BATCH as usize) {
            let mut tx = self.database.write().await?;
            let repository = self.repository(&mut tx, "blobs").await?;
            let digests: Vec<Digest> = (first..count.min(first + BATCH))
                .map(|number| Digest::sha256(format!("blob {number}").as_bytes()))
                .collect();
            let now = tx.now().to_value();
            let rows = digests.iter().map(|digest| {
                vec![
                    digest.to_value(),
                    1024_i64.to_value(),
                    1_i64.to_value(),
                    "active".to_value(),
                    now.clone(),
                ]
            });
            let head = "INSERT INTO blobs (digest, size, generation, state, created_at)";
            tx.insert_many(head, rows.collect(), "").await?;
            let links = digests
                .iter()
                .map(|digest| vec![repository.to_value(), digest.to_value(), now.clone()]);
            let head = "INSERT INTO repository_blobs (repository_id, digest, linked_at)";
            tx.insert_many(head, links.collect(), "").await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

async fn manifest(
    tx: &mut Tx,
    repository_id: i64,
    number: u64,
    subject: Option<&Digest>,
) -> Result<()> {
    let empty = Digest::sha256(b"{}");
    let kind = subject.map(|_| "application/vnd.example.signature.v1");
    let subject_part = subject
        .map(|digest| json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 2}));
    let payload = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": kind,
        "config": {"mediaType": media_type::OCI_CONFIG, "digest": empty, "size": 2},
        "layers": [], "subject": subject_part, "annotations": {"number": number.to_string()},
    })
    .to_string();
    let new = manifests::NewManifest {
        repository_id,
        digest: &Digest::sha256(payload.as_bytes()),
        media_type: media_type::OCI_MANIFEST,
        artifact_type: kind,
        kind: manifests::Kind::Image,
        payload: payload.as_bytes(),
        config: Some((&empty, media_type::OCI_CONFIG)),
        subject,
        annotations: &BTreeMap::from([("number".to_owned(), number.to_string())]),
        chain: None,
        state: manifests::State::Active,
        pushed_by: "bench",
        blobs: &[],
        children: &[],
        shown: manifests::Shown::default(),
    };
    let (row, _) = manifests::insert(tx, &new).await?;
    if subject.is_none() {
        let tag: Tag = format!("t{number}").parse()?;
        tags::create(tx, repository_id, &tag, row.id, false, "bench").await?;
    }
    Ok(())
}
