//! A store as a server leaves it, made once and copied for each case.

use jiff::SignedDuration;
use sealock_advisories::SnapshotStore;
use sealock_auth::{Caller, Principal};
use sealock_blobs::{BlobStore, Disk, RealDisk};
use sealock_facts::Tier;
use sealock_lifecycle::{
    Collector, Limits,
    fsck::{self, Depth, Kind, Options, Place, Report, Silent},
};
use sealock_metadata::{
    self as metadata, Access, Clock as _, Database, DatabaseConfig, SystemClock, TestClock,
    testing::{TestDatabase, plant},
    users::NewUser,
};
use sealock_oci::{Algorithm, Digest, RepositoryName};
use sealock_registry::{Body, Config, ManifestPush, NewProject, Precondition, Registry};
use sealock_signing::MasterKey;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What a store of the tests holds.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Of `p/app`, tag `1.0`; the same one is `q/copy:1.0`.
    pub(crate) a: Image,
    /// Of `p/app`, tag `2.0`.
    pub(crate) b: Image,
    /// Of `p/app`, names the other two; tag `multi`.
    pub(crate) index: Digest,
    /// Of `p/app`, its subject is `a`.
    pub(crate) accessory: Digest,
    /// A blob under sha512 that is linked in `p/app` and named by nothing.
    pub(crate) long: Digest,
    /// An upload with 5 acknowledged bytes.
    pub(crate) upload: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) digest: Digest,
    pub(crate) layer: Digest,
}

pub(crate) struct Store {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: DatabaseConfig,
    pub(crate) known: Known,
}

/// Kinds with their counts.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

pub(crate) fn counts(list: &[(Kind, u64)]) -> Counts {
    list.iter().map(|(kind, count)| (kind.word(), *count)).collect()
}

impl Store {
    /// A new one on SQLite.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::sqlite().await;
        let folder = private_folder();
        let known = fill(&database, folder.path()).await;
        let DatabaseConfig::Sqlite { path, .. } = &database.config else { panic!("SQLite") };
        database.db.close().await;
        let file = folder.path().join("sealock.db");
        std::fs::copy(path, &file).unwrap();
        let config = DatabaseConfig::Sqlite { path: file, must_exist: true };
        Self { folder, config, known }
    }

    /// A new one on PostgreSQL, whose database the caller ends.
    pub(crate) async fn on(database: &TestDatabase) -> Self {
        let folder = private_folder();
        let known = fill(database, folder.path()).await;
        Self { folder, config: database.config.clone(), known }
    }

    /// The same store once more, on SQLite.
    pub(crate) fn copy(&self) -> Self {
        let folder = private_folder();
        copy(self.folder.path(), folder.path());
        let config =
            DatabaseConfig::Sqlite { path: folder.path().join("sealock.db"), must_exist: true };
        Self { folder, config, known: self.known.clone() }
    }

    /// A path below the data directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The only file of a digest.
    pub(crate) fn file(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        let shard = self.path(&format!("blobs/blobs/{algorithm}/{}", &hex[..2]));
        let mut found = std::fs::read_dir(shard).unwrap().map(|entry| entry.unwrap().path());
        found.find(|path| path.to_str().unwrap().contains(&hex)).unwrap()
    }

    /// The file of the upload.
    pub(crate) fn upload(&self) -> PathBuf {
        self.path("blobs/uploads").join(&self.known.upload)
    }

    pub(crate) async fn sql(&self, sql: &str) {
        assert!(plant(&self.config, sql).await > 0, "it changed nothing: {sql}");
    }

    pub(crate) async fn open(&self, access: Access) -> Database {
        let clock = Arc::new(SystemClock);
        Database::open_as_it_is(self.config.clone(), clock, access).await.unwrap()
    }

    /// Checks every byte.
    pub(crate) async fn check(&self, repair: bool) -> Report {
        self.check_with(Depth::Bytes, repair, Arc::new(RealDisk)).await
    }

    pub(crate) async fn check_with(
        &self,
        depth: Depth,
        repair: bool,
        disk: Arc<dyn Disk>,
    ) -> Report {
        let access = if repair { Access::Write } else { Access::Read };
        let database = self.open(access).await;
        let key = std::fs::read_to_string(self.path("keys/master.key"));
        let key = key.map_err(|error| error.to_string());
        let place = Place {
            data_dir: self.folder.path().to_owned(),
            store: "blobs".into(),
            advisories: "advisories".into(),
            disk,
            database: database.clone(),
            master_key: key.and_then(|text| MasterKey::from_text(&text).map_err(|e| e.to_string())),
            secrets: vec!["keys".into()],
        };
        let report = fsck::check(&place, Options { depth, repair }, &Silent).await;
        database.close().await;
        report
    }

    /// Collects as a server does that is started so much later.
    pub(crate) async fn collect(&self, later: SignedDuration) -> sealock_lifecycle::Report {
        let clock = Arc::new(TestClock::new(SystemClock.now() + later));
        let database = Database::open(self.config.clone(), clock).await.unwrap();
        let registry = registry(&database, self.folder.path()).await;
        let collected = Collector::default().run_once(&registry, Limits::default()).await.unwrap();
        registry.close().await;
        database.close().await;
        collected
    }

    /// Every file with its bytes, mode and time.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)> {
        use std::os::unix::fs::MetadataExt as _;
        let mut found = BTreeMap::new();
        let mut open = vec![self.folder.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = std::fs::symlink_metadata(&path).unwrap();
                let bytes = match metadata.is_dir() {
                    true => Vec::new(),
                    false => std::fs::read(&path).unwrap(),
                };
                // A directory's time also tells of files that came and went again.
                let time = match metadata.is_dir() && folder == self.folder.path() {
                    true => (0, 0),
                    false => (metadata.mtime(), metadata.mtime_nsec()),
                };
                if metadata.is_dir() {
                    open.push(path.clone());
                }
                found.insert(path, (bytes, metadata.mode(), time.0, time.1));
            }
        }
        found
    }
}

/// What a report says, and that it looked at all.
pub(crate) fn told(report: &Report) -> Counts {
    assert_eq!(report.unchecked, Vec::<String>::new(), "everything was looked at");
    report.findings.iter().map(|(kind, found)| (kind.word(), found.count)).collect()
}

/// A data directory as a server makes it.
fn private_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.path(), private).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::DirBuilder::new().mode(0o700).create(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

async fn fill(database: &TestDatabase, folder: &Path) -> Known {
    let master = MasterKey::generate().unwrap().to_text();
    std::fs::DirBuilder::new().mode(0o700).create(folder.join("keys")).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(folder.join("keys/master.key"))
        .unwrap();
    file.write_all(master.as_bytes()).unwrap();
    let registry = registry(&database.db, folder).await;
    let filler = Filler { registry, ann: ann(&database.db).await };
    for project in ["p", "q"] {
        let new = NewProject { name: project.to_owned(), public: true, tier: Tier::Sandbox };
        filler.registry.create_project(&filler.ann, &new).await.unwrap();
    }
    let known = filler.everything().await;
    filler.registry.jobs().drain().await.unwrap();
    // Somebody looks, so that verdicts are stored.
    let reference = "1.0".parse().unwrap();
    filler.registry.get_manifest(&filler.ann, &repo("p/app"), &reference).await.unwrap();
    filler.registry.close().await;
    known
}

/// The registry of a data directory with a key.
async fn registry(database: &Database, folder: &Path) -> Registry {
    let master = std::fs::read_to_string(folder.join("keys/master.key")).unwrap();
    Registry::open(Config {
        database: database.clone(),
        blobs: BlobStore::open(&folder.join("blobs"), Arc::new(RealDisk)).unwrap(),
        snapshots: SnapshotStore::open(&folder.join("advisories")).unwrap(),
        master_key: MasterKey::from_text(&master).unwrap(),
        external_url: "https://registry.example.com".to_owned(),
        inspectors: None,
        inspect_while_receiving: true,
        door_wait: Duration::from_secs(20),
    })
    .await
    .unwrap()
}

async fn ann(database: &Database) -> Caller {
    let mut tx = database.write().await.unwrap();
    let new = NewUser { name: "ann", sysadmin: true, ..NewUser::default() };
    let user = metadata::users::create(&mut tx, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    Caller {
        principal: Principal::User {
            id: user.id,
            name: "ann".to_owned(),
            sysadmin: true,
            security_officer: false,
        },
        address: [192, 0, 2, 7].into(),
        user_agent: "test/1".to_owned(),
        request_id: "r-1".to_owned(),
        scope: None,
    }
}

struct Filler {
    registry: Registry,
    ann: Caller,
}

impl Filler {
    async fn everything(&self) -> Known {
        let package = r#"{"name":"left-pad","version":"1.3.0"}"#;
        let files = [("app/node_modules/left-pad/package.json", package), ("etc/one", "1")];
        let a = self.image("p/app", "1.0", &files).await;
        self.image("q/copy", "1.0", &files).await;
        let b = self.image("p/app", "2.0", &[("etc/two", "2"), ("etc/three", "3")]).await;
        let children: Vec<Value> = [&a, &b]
            .iter()
            .map(|(image, size)| {
                json!({"mediaType": IMAGE, "digest": image.digest, "size": size,
                       "platform": {"os": "linux", "architecture": "amd64"}})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children});
        let index = self.manifest("p/app", "multi", &index).await;
        let empty = b"{}";
        self.blob("p/app", Algorithm::Sha256, empty).await;
        let accessory = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.note",
            "config": descriptor("application/vnd.oci.empty.v1+json", empty),
            "layers": [descriptor("application/vnd.oci.empty.v1+json", empty)],
            "subject": {"mediaType": IMAGE, "digest": a.0.digest, "size": a.1},
            "annotations": {"b": "2", "a": "1"},
        });
        let accessory = self.manifest("p/app", "", &accessory).await;
        let long = self.blob("p/app", Algorithm::Sha512, b"a long digest").await;
        let begun = self.registry.begin_upload(&self.ann, &repo("p/app"), Algorithm::Sha256).await;
        let upload = begun.unwrap().id;
        let app = repo("p/app");
        self.registry.append_upload(&self.ann, &app, upload, None, body(b"12345")).await.unwrap();
        Known { a: a.0, b: b.0, index, accessory, long, upload: upload.to_string() }
    }

    async fn blob(&self, name: &str, algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let digest = Digest::of(algorithm, bytes);
        self.registry.push_blob(&self.ann, &repo(name), &digest, body(bytes)).await.unwrap();
        digest
    }

    async fn manifest(&self, name: &str, reference: &str, document: &Value) -> Digest {
        let payload = serde_json::to_vec(document).unwrap();
        let digest = Digest::sha256(&payload).to_string();
        let reference = if reference.is_empty() { digest.as_str() } else { reference };
        let push = ManifestPush {
            repository: &repo(name),
            reference: &reference.parse().unwrap(),
            tags: &[],
            content_type: "",
            payload: payload.into(),
            condition: &Precondition::default(),
        };
        self.registry.put_manifest(&self.ann, push).await.unwrap().digest
    }

    /// An image of one layer, with the size of its manifest.
    async fn image(&self, name: &str, tag: &str, files: &[(&str, &str)]) -> (Image, usize) {
        let tar = tar_of(files);
        let layer_bytes = gzip(&tar);
        let config_bytes = serde_json::to_vec(&json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&tar)]},
        }))
        .unwrap();
        let layer = self.blob(name, Algorithm::Sha256, &layer_bytes).await;
        self.blob(name, Algorithm::Sha256, &config_bytes).await;
        let document = json!({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config_bytes),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer_bytes)],
        });
        let digest = self.manifest(name, tag, &document).await;
        (Image { digest, layer }, serde_json::to_vec(&document).unwrap().len())
    }
}

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn body(bytes: &[u8]) -> Body<'static> {
    let part = Ok(bytes::Bytes::copy_from_slice(bytes));
    Body::new(futures_util::stream::iter([part]))
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(bytes), "size": bytes.len()})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}
