//! A registry whose every change is recorded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use sealock_advisories::SnapshotStore;
use sealock_auth::{Caller, Principal, Role};
use sealock_blobs::{
    BlobStore,
    testing::{FaultyDisk, Journal, Log},
};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Clock as _, Database, DatabaseConfig, TestClock, Tx, users::NewUser,
};
use sealock_registry::{Config, NewProject, Registry};
use sealock_signing::MasterKey;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    known::{Known, Thing},
    wal::Wal,
};

/// People who push.
pub(crate) const PEOPLE: [&str; 3] = ["ann", "ben", "cleo"];
/// Projects. Their tier refuses nothing: refusals are other tests' business.
pub(crate) const PROJECTS: [&str; 3] = ["team", "other", "built"];

/// A registry at work.
pub(crate) struct Recording {
    pub(crate) registry: Registry,
    pub(crate) disk: FaultyDisk,
    pub(crate) memory: Mutex<Memory>,
    pub(crate) clock: Arc<TestClock>,
    home: Home,
    wal: Arc<Mutex<Wal>>,
    /// A reader of the oldest state: SQLite keeps the log as it is until it ends.
    _hold: Tx,
    folder: TempDir,
}

/// What clients remember.
#[derive(Debug, Default, Clone)]
pub(crate) struct Memory {
    pub(crate) known: Known,
    /// What uploads will hold in the end.
    pub(crate) uploads: BTreeMap<Uuid, Vec<u8>>,
    /// Repository and name of every tag that was asked for.
    pub(crate) tags: BTreeSet<(String, String)>,
    /// Manifests that refer to another one, with that one.
    pub(crate) accessories: Vec<(Thing, Thing)>,
    pub(crate) promises: Promises,
}

/// What outlives the power loss by other means.
#[derive(Clone)]
pub(crate) struct Home {
    master: String,
    pub(crate) people: BTreeMap<&'static str, Caller>,
    /// The database before the recording began.
    base: Arc<Vec<u8>>,
    /// What is known of vulnerabilities: nothing.
    advisories: Arc<TempDir>,
}

/// A history that is over.
pub(crate) struct History {
    pub(crate) journal: Journal,
    pub(crate) memory: Memory,
    pub(crate) home: Home,
    pub(crate) wal: Vec<u8>,
    /// Where each transaction ends in it.
    pub(crate) ends: Vec<u64>,
    /// When it was over.
    pub(crate) now: Timestamp,
}

const DATABASE: &str = "sealock.db";

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new("2026-01-02T03:04:05Z".parse().unwrap()))
}

/// What was promised of things for which a collector looks, so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Promises {
    /// Until when each blob stays that a client was told of, whatever names it.
    pub(crate) leased: BTreeMap<Thing, Timestamp>,
    /// Manifests that stay because nobody has asked for their deletion, with what they name.
    pub(crate) standing: BTreeMap<Thing, Vec<Thing>>,
    /// Deletions that began or ended.
    pub(crate) deletions: u64,
    /// Deletions under way.
    pub(crate) deleting: u64,
}

impl Home {
    /// A database with people and projects, closed.
    async fn new(folder: &Path) -> Self {
        let path = folder.join(DATABASE);
        let database = Database::open(DatabaseConfig::sqlite(&path), clock()).await.unwrap();
        let master = MasterKey::generate().unwrap().to_text().to_string();
        let (people, base) = (BTreeMap::new(), Arc::default());
        let mut home = Self { master, people, base, advisories: Arc::new(TempDir::new().unwrap()) };
        let other = folder.join("before");
        std::fs::create_dir(&other).unwrap();
        let registry = home.open(&database, &other, &FaultyDisk::new()).await.unwrap();
        let admin = person(&database, "root", true).await;
        for name in PEOPLE {
            home.people.insert(name, person(&database, name, false).await);
        }
        for name in PROJECTS {
            let tier = Tier::Sandbox;
            let new = NewProject { name: name.to_owned(), public: false, tier };
            let project = registry.create_project(&admin, &new).await.unwrap();
            let mut tx = database.write().await.unwrap();
            for member in home.people.values() {
                let user = member.principal.user_id().unwrap();
                let role = Role::ProjectAdmin.id();
                metadata::members::put(&mut tx, project.id, user, role).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        drop(registry);
        database.close().await;
        assert!(!folder.join(format!("{DATABASE}-wal")).exists(), "the log was not folded in");
        home.base = Arc::new(std::fs::read(&path).unwrap());
        home
    }

    pub(crate) fn master_key(&self) -> MasterKey {
        MasterKey::from_text(&self.master).unwrap()
    }

    pub(crate) fn advisories(&self) -> &Path {
        self.advisories.path()
    }

    /// The registry over this database and the blobs in this folder.
    pub(crate) async fn open(
        &self,
        database: &Database,
        folder: &Path,
        disk: &FaultyDisk,
    ) -> Result<Registry, String> {
        let words = |error: &dyn std::fmt::Debug| format!("start-up fails: {error:?}");
        let blobs = BlobStore::open(&folder.join("blobs"), Arc::new(disk.clone()));
        let config = Config {
            database: database.clone(),
            blobs: blobs.map_err(|error| words(&error))?,
            snapshots: SnapshotStore::open(self.advisories()).unwrap(),
            master_key: self.master_key(),
            external_url: "https://registry.example.com".to_owned(),
            inspectors: None,
            inspect_while_receiving: true,
            door_wait: Duration::from_secs(20),
        };
        Registry::open(config).await.map_err(|error| words(&error))
    }
}

async fn person(database: &Database, name: &str, sysadmin: bool) -> Caller {
    let mut tx = database.write().await.unwrap();
    let new = NewUser { name, sysadmin, ..NewUser::default() };
    let user = metadata::users::create(&mut tx, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    let principal =
        Principal::User { id: user.id, name: name.to_owned(), sysadmin, security_officer: false };
    Caller {
        principal,
        address: [192, 0, 2, 7].into(),
        user_agent: "test/1".to_owned(),
        request_id: "r-1".to_owned(),
        scope: None,
    }
}

impl Recording {
    pub(crate) async fn start() -> Self {
        Self::start_on(|_| {}).await
    }

    /// Starts on a disk that was prepared.
    pub(crate) async fn start_on(prepare: impl FnOnce(&FaultyDisk)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path()).await;
        let path = folder.path().join(DATABASE);
        let wal = Arc::new(Mutex::new(Wal::of(&path)));
        let root = folder.path().join("disk");
        std::fs::create_dir(&root).unwrap();
        let disk = FaultyDisk::recording(&root);
        let (flushed, journal) = (wal.clone(), disk.clone());
        let flush = move |_: &File| {
            // It covers what stands in the log now, and does so when it ends.
            let written = flushed.lock().unwrap().read_on();
            journal.position();
            flushed.lock().unwrap().synced = written;
            journal.position();
            Ok(())
        };
        let config = DatabaseConfig::sqlite(&path);
        let clock = clock();
        let database = Database::open_flushed_by(config, clock.clone(), flush).await.unwrap();
        let mut hold = database.read().await.unwrap();
        metadata::projects::find(&mut hold, "team").await.unwrap();
        let reader = wal.clone();
        disk.watch(move || {
            let mut wal = reader.lock().unwrap();
            Log { written: wal.read_on(), synced: wal.synced }
        });
        prepare(&disk);
        let registry = home.open(&database, &root, &disk).await.unwrap();
        let memory = Mutex::default();
        Self { registry, disk, memory, clock, home, wal, _hold: hold, folder }
    }

    pub(crate) fn caller(&self, name: &str) -> &Caller {
        &self.home.people[name]
    }

    /// Runs every job that waits.
    pub(crate) async fn settle(&self) {
        self.registry.jobs().drain().await.unwrap();
    }

    pub(crate) async fn end(self) -> History {
        self.registry.close().await;
        self.disk.position();
        let wal = self.wal.lock().unwrap();
        let base = std::fs::read(self.folder.path().join(DATABASE)).unwrap();
        assert!(base == *self.home.base, "the log was folded into the database");
        History {
            journal: self.disk.journal(),
            memory: self.memory.lock().unwrap().clone(),
            home: self.home.clone(),
            wal: wal.bytes(),
            ends: wal.ends.clone(),
            now: self.clock.now(),
        }
    }
}

impl History {
    /// The database with its first `commits` transactions and `torn` bytes of the next, in a folder
    /// of its own.
    pub(crate) async fn database(&self, commits: u64, torn: usize) -> (TempDir, Database) {
        self.database_at(commits, torn, Arc::new(TestClock::new(self.now))).await
    }

    /// The same, by this clock.
    pub(crate) async fn database_at(
        &self,
        commits: u64,
        torn: usize,
        clock: Arc<TestClock>,
    ) -> (TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join(DATABASE);
        std::fs::write(&path, &*self.home.base).unwrap();
        let end = match usize::try_from(commits).unwrap() {
            0 => 0,
            commits => usize::try_from(self.ends[commits - 1]).unwrap(),
        };
        let end = (end + torn).min(self.wal.len());
        std::fs::write(folder.path().join(format!("{DATABASE}-wal")), &self.wal[..end]).unwrap();
        let database = Database::open(DatabaseConfig::sqlite(path), clock).await.unwrap();
        (folder, database)
    }
}
