//! A registry of one test, with people and images in it.

use sealock_advisories::SnapshotStore;
use sealock_auth::{
    Caller, Grant, Grants, Permissions, Place, Principal, Right, RightSet, Role, robot_login,
};
use sealock_blobs::{BlobStore, testing::FaultyDisk};
use sealock_facts::Tier;
use sealock_metadata::{
    self as metadata, Database, TestClock, testing::TestDatabase, users::NewUser,
};
use sealock_oci::{Algorithm, Digest, RepositoryName};
use sealock_registry::{
    Body, Config, ManifestPush, NewProject, Precondition, PushedManifest, Registry, Result,
};
use sealock_signing::MasterKey;
use serde_json::{Value, json};
use std::{io::Write, sync::Arc, time::Duration};

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) database: TestDatabase,
    pub(crate) folder: tempfile::TempDir,
    /// The disk of its blobs, which does as it is told.
    pub(crate) disk: FaultyDisk,
    pub(crate) master: String,
}

/// An image as it was pushed.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) digest: Digest,
    pub(crate) config: Digest,
    pub(crate) layer: Digest,
    pub(crate) manifest: Vec<u8>,
}

/// A robot of a project with rights at its doors.
pub(crate) fn robot(
    id: i64,
    project: &metadata::projects::Project,
    name: &str,
    rights: &[Right],
) -> Principal {
    let permissions = Permissions::of_rights(RightSet::of(rights));
    let grant = Grant { place: Place::Project(project.id), limit: None, permissions };
    Principal::Robot {
        id,
        name: robot_login(Some(&project.name), name),
        project_id: Some(project.id),
        grants: Arc::new(Grants::new(vec![grant])),
    }
}

impl World {
    /// On SQLite.
    pub(crate) async fn new() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    /// On PostgreSQL; none where that is permitted to be skipped.
    pub(crate) async fn on_postgres() -> Option<Self> {
        Some(Self::on(TestDatabase::postgres().await?).await)
    }

    async fn on(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let master = MasterKey::generate().unwrap().to_text().to_string();
        let disk = FaultyDisk::new();
        let registry = open(&database, folder.path(), &disk, &master).await;
        let clock = database.clock.clone();
        Self { registry, clock, database, folder, disk, master }
    }

    /// The same registry, opened anew.
    pub(crate) async fn reopened(&self) -> Registry {
        open(&self.database, self.folder.path(), &self.disk, &self.master).await
    }

    pub(crate) fn db(&self) -> &Database {
        &self.database.db
    }

    /// A person.
    pub(crate) async fn user(&self, name: &str) -> Caller {
        self.person(name, false, false).await
    }

    /// A system administrator.
    pub(crate) async fn admin(&self) -> Caller {
        self.person("root", true, false).await
    }

    /// A security officer.
    pub(crate) async fn officer(&self) -> Caller {
        self.person("officer", false, true).await
    }

    pub(crate) async fn person(&self, name: &str, sysadmin: bool, security: bool) -> Caller {
        let mut tx = self.db().write().await.unwrap();
        let new = NewUser { name, sysadmin, security_officer: security, ..NewUser::default() };
        let user = match metadata::users::create(&mut tx, &new).await.unwrap() {
            Some(user) => user,
            None => metadata::users::find(&mut tx, name).await.unwrap().unwrap(),
        };
        tx.commit().await.unwrap();
        caller(Principal::User {
            id: user.id,
            name: name.to_owned(),
            sysadmin,
            security_officer: security,
        })
    }

    /// A robot of a project.
    pub(crate) async fn robot(&self, project: &str, rights: &[Right]) -> Caller {
        let mut tx = self.db().read().await.unwrap();
        let project = metadata::projects::find(&mut tx, project).await.unwrap().unwrap();
        caller(robot(1, &project, "ci", rights))
    }

    /// A project with `owner` as its administrator.
    pub(crate) async fn project(&self, owner: &Caller, name: &str, tier: Tier, public: bool) {
        let admin = self.admin().await;
        let new = NewProject { name: name.to_owned(), public, tier };
        let project = self.registry.create_project(&admin, &new).await.unwrap();
        let mut tx = self.db().write().await.unwrap();
        let user = owner.principal.user_id().unwrap();
        let role = Role::ProjectAdmin.id();
        metadata::members::put(&mut tx, project.id, user, role).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn blob(&self, caller: &Caller, name: &str, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::sha256(bytes);
        let pushed = self.registry.push_blob(caller, &repo(name), &digest, body(&[bytes])).await?;
        assert_eq!(pushed.size, bytes.len() as u64);
        Ok(digest)
    }

    pub(crate) async fn manifest(
        &self,
        caller: &Caller,
        name: &str,
        reference: &str,
        document: &Value,
    ) -> Result<PushedManifest> {
        let payload = serde_json::to_vec(document).unwrap();
        self.raw_manifest(caller, name, reference, &payload).await
    }

    pub(crate) async fn raw_manifest(
        &self,
        caller: &Caller,
        name: &str,
        reference: &str,
        payload: &[u8],
    ) -> Result<PushedManifest> {
        let digest = Digest::sha256(payload).to_string();
        let reference = if reference.is_empty() { digest.as_str() } else { reference };
        let push = ManifestPush {
            repository: &repo(name),
            reference: &reference.parse().unwrap(),
            tags: &[],
            content_type: "",
            payload: payload.to_vec().into(),
            condition: &Precondition::default(),
        };
        self.registry.put_manifest(caller, push).await
    }

    /// Pushes an image of one layer that holds these files.
    pub(crate) async fn image(
        &self,
        caller: &Caller,
        name: &str,
        tag: &str,
        files: &[(&str, &str)],
    ) -> Result<Image> {
        let tar = tar_of(files);
        let layer_bytes = gzip(&tar);
        let config_bytes = serde_json::to_vec(&json!({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&tar)]},
        }))
        .unwrap();
        let layer = self.blob(caller, name, &layer_bytes).await?;
        let config = self.blob(caller, name, &config_bytes).await?;
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config_bytes),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &layer_bytes)],
        });
        let manifest = serde_json::to_vec(&document).unwrap();
        let pushed = self.raw_manifest(caller, name, tag, &manifest).await?;
        Ok(Image { digest: pushed.digest, config, layer, manifest })
    }

    /// Runs every job that waits.
    pub(crate) async fn settle(&self) {
        self.registry.jobs().drain().await.unwrap();
    }
}

async fn open(
    database: &TestDatabase,
    folder: &std::path::Path,
    disk: &FaultyDisk,
    master: &str,
) -> Registry {
    let snapshots = SnapshotStore::open(&folder.join("advisories")).unwrap();
    let blobs = BlobStore::open(&folder.join("blobs"), Arc::new(disk.clone())).unwrap();
    Registry::open(Config {
        database: database.db.clone(),
        blobs,
        snapshots,
        master_key: MasterKey::from_text(master).unwrap(),
        external_url: "https://registry.example.com".to_owned(),
        inspectors: None,
        inspect_while_receiving: true,
        door_wait: Duration::from_secs(20),
    })
    .await
    .unwrap()
}

pub(crate) fn caller(principal: Principal) -> Caller {
    Caller {
        principal,
        address: [192, 0, 2, 7].into(),
        user_agent: "test/1".to_owned(),
        request_id: "r-1".to_owned(),
        scope: None,
    }
}

pub(crate) fn anonymous() -> Caller {
    caller(Principal::Anonymous)
}

pub(crate) fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

pub(crate) fn body(parts: &[&[u8]]) -> Body<'static> {
    let parts: Vec<std::io::Result<bytes::Bytes>> =
        parts.iter().map(|part| Ok(bytes::Bytes::copy_from_slice(part))).collect();
    Body::new(futures_util::stream::iter(parts))
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(Algorithm::Sha256, bytes), "size": bytes.len()})
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub(crate) fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}
