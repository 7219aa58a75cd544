use crate::{
    Error, Result,
    admission_log::AdmissionLog,
    audit::{PullLog, SharedPullLog},
    configuration::Settings,
    flights::Flights,
    inspect::Inspections,
    jobs::JOB_KINDS,
    open_uploads::OpenUploads,
    policies::PolicyCache,
    product_keys::ProductKeys,
    quotas::Unnamed,
    refusals::Refusals,
    standing::Standing,
};
use sealock_advisories::SnapshotStore;
use sealock_blobs::BlobStore;
use sealock_jobs::{Handler, Job, JobError, Jobs, Limits};
use sealock_metadata::Database;
use sealock_signing::MasterKey;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Weak},
    time::Duration,
};

/// How long a door waits for facts that are still being made (decision D4).
pub const DOOR_WAIT: Duration = Duration::from_secs(20);

/// What a registry is made of.
pub struct Config {
    /// The database.
    pub database: Database,
    /// The bytes.
    pub blobs: BlobStore,
    /// The advisory snapshots.
    pub snapshots: SnapshotStore,
    /// What seals the product's own keys. Replicas share it.
    pub master_key: MasterKey,
    /// The URL under which clients reach this registry, such as `https://registry.example.com`.
    pub external_url: String,
    /// Most layers that are read at a time; none for one per processor.
    pub inspectors: Option<NonZeroUsize>,
    /// Read layers while they are received; else a job reads them after the push.
    pub inspect_while_receiving: bool,
    /// How long a door waits for facts that are still being made.
    pub door_wait: Duration,
}

/// The heart: blobs, metadata, contents, advisories, signatures, policy and rights in one place.
/// Clones share it.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    blobs: BlobStore,
    snapshots: Arc<SnapshotStore>,
    external_url: String,
    inspect_while_receiving: bool,
    door_wait: Duration,
    keys: ProductKeys,
    inspections: Inspections,
    flights: Flights,
    policies: PolicyCache,
    refusals: Refusals,
    standing: Standing,
    unnamed: Unnamed,
    open_uploads: OpenUploads,
    pulls: SharedPullLog,
    admissions: AdmissionLog,
    jobs: Jobs,
    settings: Settings,
}

impl Registry {
    /// Opens the registry: makes or unseals its keys, and sets the policies that ship with it where
    /// none stand. Scans nothing.
    pub async fn open(config: Config) -> Result<Self> {
        let keys = ProductKeys::load(&config.database, &config.master_key).await?;
        let jobs = Jobs::new(config.database.clone());
        let places = config
            .inspectors
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(2, NonZeroUsize::get);
        let registry = Self {
            inner: Arc::new(Inner {
                pulls: Arc::new(PullLog::start(config.database.clone())),
                admissions: AdmissionLog::start(config.database.clone()),
                standing: Standing::new(&config.database),
                database: config.database,
                blobs: config.blobs,
                snapshots: Arc::new(config.snapshots),
                unnamed: Unnamed::new(),
                open_uploads: OpenUploads::default(),
                keys,
                external_url: config.external_url.trim_end_matches('/').to_owned(),
                inspect_while_receiving: config.inspect_while_receiving,
                door_wait: config.door_wait,
                inspections: Inspections::new(places.max(2)),
                flights: Flights::default(),
                policies: PolicyCache::new(),
                refusals: Refusals::new(),
                jobs,
                settings: Settings::default(),
            }),
        };
        for kind in JOB_KINDS {
            let runner = Runner(Arc::downgrade(&registry.inner));
            registry.jobs().register(kind, Limits::default(), Arc::new(runner));
        }
        registry.set_shipped_policies().await?;
        registry.catch_up_advisories().await?;
        Ok(registry)
    }

    /// The database, for what stands above the registry and has queries of its own.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// The bytes, for what stands above the registry and looks after the files.
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    pub(crate) fn open_uploads(&self) -> &OpenUploads {
        &self.inner.open_uploads
    }

    pub(crate) fn admissions(&self) -> &AdmissionLog {
        &self.inner.admissions
    }

    pub(crate) fn snapshots(&self) -> &Arc<SnapshotStore> {
        &self.inner.snapshots
    }

    /// The durable queue of what is found out after a push. Whoever serves starts its workers;
    /// without them the doors do what they need themselves, later and slower.
    pub fn jobs(&self) -> &Jobs {
        &self.inner.jobs
    }

    /// The product's own keys.
    pub fn product_keys(&self) -> &ProductKeys {
        &self.inner.keys
    }

    pub(crate) fn inspections(&self) -> &Inspections {
        &self.inner.inspections
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    pub(crate) fn policy_cache(&self) -> &PolicyCache {
        &self.inner.policies
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.inner.standing
    }

    pub(crate) fn unnamed(&self) -> &Unnamed {
        &self.inner.unnamed
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn pulls(&self) -> &PullLog {
        &self.inner.pulls
    }

    /// Whether inspectors ride along with uploads.
    pub(crate) fn inspects_while_receiving(&self) -> bool {
        self.inner.inspect_while_receiving
    }

    /// Writes what is still held in memory: the last allowed pulls and admissions. Before the
    /// process ends.
    pub async fn close(&self) {
        self.pulls().flush().await;
        self.admissions().flush().await;
    }

    pub(crate) fn door_wait(&self) -> Duration {
        self.inner.door_wait
    }

    /// The URL under which clients reach this registry, without a slash at its end.
    pub fn external_url(&self) -> &str {
        &self.inner.external_url
    }

    /// The host and port of [`Registry::external_url`], as image references name it.
    pub fn external_host(&self) -> &str {
        let url = self.external_url();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// Runs jobs without keeping the registry alive.
struct Runner(Weak<Inner>);

#[async_trait::async_trait]
impl Handler for Runner {
    async fn run(&self, job: &Job) -> Result<(), JobError> {
        let Some(inner) = self.0.upgrade() else {
            return Err(JobError::retry("the registry is closing"));
        };
        let registry = Registry { inner };
        registry
            .run_job(&job.kind, &job.key, &job.payload)
            .await
            .map_err(|error| JobError::retry(error.log().unwrap_or(error.message())))
    }
}

impl From<sealock_metadata::Error> for Error {
    fn from(error: sealock_metadata::Error) -> Self {
        use crate::Kind;
        use sealock_metadata::Error as Db;
        use sealock_oci::ErrorCode;
        let text = error.to_string();
        match error {
            Db::Busy { .. } | Db::Retry | Db::Locked | Db::Unavailable { .. } => Self::new(
                Kind::Busy,
                ErrorCode::TooManyRequests,
                "the registry's database is busy; try again soon",
            )
            .with_log(text),
            Db::Disk { .. } => Self::new(
                Kind::Full,
                ErrorCode::Unknown,
                "the registry's disk is full or failing, and nothing is promised of what was \
                 asked; do it again when that is over",
            )
            .with_log(text),
            Db::Conflict { .. } => Self::new(
                Kind::Conflict,
                ErrorCode::Denied,
                "it was changed by another request at the same time; try again",
            )
            .with_log(text),
            _ => Self::internal(text),
        }
    }
}
