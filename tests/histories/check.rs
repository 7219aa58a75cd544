//! Opens what a power loss left and compares it with what may be there.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use sealock_auth::Caller;
use sealock_blobs::testing::{FaultyDisk, SurvivingDisk};
use sealock_lifecycle::fsck::{self, Kind};
use sealock_metadata::{Database, Row, TestClock, dying_files, reviews::Due};
use sealock_oci::{Digest, Reference};
use sealock_registry::{
    Error, Kind as Why, ManifestPush, PageRequest, Precondition, Registry, TagsShown,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::{Image, MANIFEST, body, repo},
    collecting::{self, OVER},
    known::{State, Thing},
    recording::History,
};

/// What `sealock fsck` may find: bytes that no row names, and uploads whose clients begin again.
const MAY_BE_FOUND: [Kind; 6] = [
    Kind::FileLeaked,
    Kind::FileStale,
    Kind::UploadLeaked,
    Kind::UploadMissing,
    Kind::UploadShort,
    // The test itself wrote the files, with the rights that files have here.
    Kind::Exposed,
];

/// What a client sees after the restart.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    states: BTreeMap<Thing, State>,
    /// What must never be seen, whatever was acknowledged.
    pub(crate) faults: Vec<String>,
}

/// One way in which a history may end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ending {
    pub(crate) disk: SurvivingDisk,
    pub(crate) commits: u64,
}

/// A database after some transactions, and the files that its rows name.
struct Opened {
    database: Database,
    names: HashSet<PathBuf>,
    _folder: TempDir,
}

/// Opens endings of one history. Databases that are only read are opened once.
pub(crate) struct Inspector<'a> {
    history: &'a History,
    databases: HashMap<u64, Opened>,
    /// By what the rows of the database name. Other files are leaks: the server never lists a
    /// directory, so they are on the disk that is opened first, and no reason to open another one.
    seen: HashMap<Ending, Arc<Seen>>,
    /// Whether disks that differ by leaks only are opened as well.
    pub(crate) leaks: bool,
    /// Where the program goes on after the power loss.
    disk: FaultyDisk,
}

impl<'a> Inspector<'a> {
    pub(crate) fn new(history: &'a History) -> Self {
        Self::on(history, FaultyDisk::new())
    }

    /// One that goes on with this disk.
    pub(crate) fn on(history: &'a History, disk: FaultyDisk) -> Self {
        Self { history, databases: HashMap::new(), seen: HashMap::new(), leaks: false, disk }
    }

    /// How many endings were opened.
    pub(crate) fn opened(&self) -> usize {
        self.seen.len()
    }

    /// What is wrong with this ending when the power went after `cut` changes.
    pub(crate) async fn judge(&mut self, ending: Ending, cut: usize) -> Vec<String> {
        let permitted = self.history.memory.known.permitted(cut);
        let seen = self.look(ending).await;
        let mut faults = seen.faults.clone();
        for (thing, state) in &seen.states {
            let initial = BTreeSet::from([State::Absent]);
            let may = permitted.get(thing).unwrap_or(&initial);
            if !may.contains(state) {
                faults.push(format!("{thing:?} is {state:?}, may be {may:?}"));
            }
        }
        faults
    }

    async fn look(&mut self, ending: Ending) -> Arc<Seen> {
        let commits = ending.commits;
        if !self.databases.contains_key(&commits) {
            let (folder, database) = self.history.database(commits, 0).await;
            let names = named_files(&database).await;
            self.databases.insert(commits, Opened { database, names, _folder: folder });
        }
        let names = &self.databases[&commits].names;
        let key = match self.leaks {
            true => ending.clone(),
            false => Ending { disk: ending.disk.only(|path| names.contains(path)), commits },
        };
        if let Some(seen) = self.seen.get(&key) {
            return seen.clone();
        }
        let seen = Arc::new(Box::pin(self.open(&ending)).await);
        self.seen.insert(key, seen.clone());
        seen
    }

    async fn open(&mut self, ending: &Ending) -> Seen {
        let commits = ending.commits;
        let database = self.databases[&commits].database.clone();
        let home = &self.history.home;
        let folder = tempfile::tempdir().unwrap();
        ending.disk.write(folder.path()).unwrap();
        let disk = self.disk.clone();
        let mut seen = Seen::default();
        let registry = match home.open(&database, folder.path(), &disk).await {
            Ok(registry) => registry,
            Err(fault) => return Seen { faults: vec![fault], ..seen },
        };
        seen.faults.extend(Box::pin(self.check_store(folder.path(), &database)).await);
        let mut look = Look { registry: &registry, caller: &home.people["ann"], seen: &mut seen };
        let things = self.history.memory.known.things();
        for thing in &things {
            look.at(thing, &home.people).await;
        }
        look.at_lists(&things).await;
        let uploads = seen.states.iter().filter(|(thing, state)| {
            matches!(thing, Thing::Upload(..)) && **state == State::Present
        });
        // Going on writes: into a database of its own, and on the same disk, which nobody sees
        // again.
        if uploads.count() > 0 || self.seen.len().is_multiple_of(16) {
            drop(registry);
            let clock = Arc::new(TestClock::new(self.history.now));
            let (_folder, database) = self.history.database_at(commits, 100, clock.clone()).await;
            match home.open(&database, folder.path(), &disk).await {
                Ok(registry) => {
                    let on = GoOn { registry: &registry, history: self.history };
                    Box::pin(on.uploads(&mut seen)).await;
                    Box::pin(on.push(&mut seen)).await;
                    clock.advance(OVER);
                    Box::pin(on.collect(&mut seen)).await;
                }
                Err(fault) => seen.faults.push(fault),
            }
            database.close().await;
        }
        seen
    }

    /// What `sealock fsck` finds, reading every byte, beside what a power loss may leave.
    async fn check_store(&self, folder: &Path, database: &Database) -> Vec<String> {
        let place = fsck::Place {
            data_dir: folder.to_owned(),
            store: "blobs".into(),
            advisories: self.history.home.advisories().to_owned(),
            disk: Arc::new(self.disk.clone()),
            database: database.clone(),
            master_key: Ok(self.history.home.master_key()),
            secrets: Vec::new(),
        };
        let options = fsck::Options { depth: fsck::Depth::Bytes, repair: false };
        let report = fsck::check(&place, options, &fsck::Silent).await;
        let other = report.findings.iter().filter(|(kind, _)| !MAY_BE_FOUND.contains(kind));
        let other = other.map(|(kind, found)| format!("fsck: {}: {found:?}", kind.word()));
        other.chain(report.unchecked.iter().map(|why| format!("fsck: unchecked: {why}"))).collect()
    }

    /// Opens an ending whose database was cut in the middle of a transaction's records.
    pub(crate) async fn torn(&self, commits: u64, torn: usize) -> i64 {
        let (_folder, database) = self.history.database(commits, torn).await;
        let mut tx = database.read().await.unwrap();
        let sql = "SELECT (SELECT count(*) FROM manifests) + (SELECT count(*) FROM uploads) \
                   + (SELECT count(*) FROM repository_blobs) + (SELECT count(*) FROM audit_events) AS n";
        let rows = tx.find(sql, Vec::new(), |row| row.get("n")).await.unwrap().unwrap();
        drop(tx);
        database.close().await;
        rows
    }
}

/// Every file that a row names, relative to the root of the recording.
async fn named_files(database: &Database) -> HashSet<PathBuf> {
    let mut tx = database.read().await.unwrap();
    let uploads = "SELECT id FROM uploads";
    let uploads = tx.list(uploads, Vec::new(), |row| row.get::<String>("id")).await.unwrap();
    let blobs = "SELECT digest, generation FROM blobs";
    let read = |row: &Row| Ok((row.get::<Digest>("digest")?, row.get::<i64>("generation")?));
    let blobs = tx.list(blobs, Vec::new(), read).await.unwrap();
    // Who goes on after the power loss removes these.
    let dying = "SELECT digest, generation FROM dying_files WHERE digest IS NOT NULL";
    let dying = tx.list(dying, Vec::new(), read).await.unwrap();
    let uploads = uploads.into_iter().map(|id| format!("blobs/uploads/{id}"));
    let blobs = blobs.into_iter().chain(dying).map(|(digest, generation)| {
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        format!("blobs/blobs/{algorithm}/{}/{hex}.{generation}", &hex[..2])
    });
    uploads.chain(blobs).map(PathBuf::from).collect()
}

struct Look<'a> {
    registry: &'a Registry,
    caller: &'a Caller,
    seen: &'a mut Seen,
}

impl Look<'_> {
    async fn at(&mut self, thing: &Thing, people: &BTreeMap<&'static str, Caller>) {
        let state = match thing {
            Thing::Blob(name, digest) => self.blob(name, digest).await,
            Thing::Manifest(name, digest) => {
                self.manifest(name, &Reference::Digest(*digest)).await.map(|_| State::Present)
            }
            Thing::Tag(name, tag) => {
                self.manifest(name, &tag.parse().unwrap()).await.map(State::Names)
            }
            Thing::Upload(name, id) => {
                // Only who began it finds it.
                let mut found = None;
                for caller in people.values() {
                    let status = self.registry.upload_status(caller, &repo(name), *id).await;
                    found = found.or(self.absent_or("an upload", status));
                }
                found.map(|_| State::Present)
            }
        };
        self.seen.states.insert(thing.clone(), state.unwrap_or(State::Absent));
    }

    fn absent_or<T>(&mut self, what: &str, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(found) => Some(found),
            Err(error) if error.kind() == Why::NotFound => None,
            Err(error) => {
                self.seen.faults.push(format!("{what}: {error} ({:?})", error.log()));
                None
            }
        }
    }

    async fn blob(&mut self, name: &str, digest: &Digest) -> Option<State> {
        let head = self.registry.head_blob(self.caller, &repo(name), digest).await;
        let head = self.absent_or("a blob", head)?;
        match self.registry.open_blob(self.caller, &repo(name), digest).await {
            Err(error) => self.fault(format!("{digest} is there and not readable: {error}")),
            Ok(reader) => match reader.read_all(1 << 30).await {
                Ok(bytes) if Digest::of(digest.algorithm(), &bytes) == *digest => {
                    if bytes.len() as u64 != head.size {
                        self.fault(format!("{digest} has another size than it says"));
                    }
                }
                Ok(_) => self.fault(format!("{digest} has other bytes")),
                Err(error) => self.fault(format!("{digest} cannot be read: {error}")),
            },
        }
        Some(State::Present)
    }

    fn fault(&mut self, fault: String) {
        self.seen.faults.push(fault);
    }

    /// A manifest and all that it needs.
    async fn manifest(&mut self, name: &str, reference: &Reference) -> Option<Digest> {
        let found = self.registry.head_manifest(self.caller, &repo(name), reference).await;
        let found = self.absent_or("a manifest", found)?;
        if Digest::sha256(&found.payload) != found.digest {
            self.fault(format!("the manifest {} has other bytes", found.digest));
        }
        let document: Value = serde_json::from_slice(&found.payload).unwrap();
        let layers = document["layers"].as_array().unwrap().iter();
        for blob in layers.chain([&document["config"]]) {
            let digest = blob["digest"].as_str().unwrap().parse().unwrap();
            if self.blob(name, &digest).await.is_none() {
                self.fault(format!("{name}@{} lacks its blob {digest}", found.digest));
            }
        }
        Some(found.digest)
    }

    /// What is listed was pushed, and can be had.
    async fn at_lists(&mut self, things: &BTreeSet<Thing>) {
        let page = PageRequest::default();
        let names = self.registry.catalog(self.caller, &page).await.unwrap().items;
        for name in names {
            let tags = self.registry.list_tags(self.caller, &name, TagsShown::All, &page).await;
            for tag in tags.unwrap().items {
                let thing = Thing::Tag(name.to_string(), tag.to_string());
                if !things.contains(&thing) {
                    self.fault(format!("{name}:{tag} was never pushed"));
                } else if self.seen.states[&thing] == State::Absent {
                    self.fault(format!("{name}:{tag} is listed and not there"));
                }
            }
        }
    }
}

/// Work after the restart.
struct GoOn<'a> {
    registry: &'a Registry,
    history: &'a History,
}

impl GoOn<'_> {
    /// Every upload that is there goes on and ends with the right bytes, or is lost.
    async fn uploads(&self, seen: &mut Seen) {
        for (id, whole) in &self.history.memory.uploads {
            for thing in self.history.memory.known.things() {
                let Thing::Upload(name, upload) = &thing else { continue };
                if upload != id || seen.states.get(&thing) != Some(&State::Present) {
                    continue;
                }
                for caller in self.history.home.people.values() {
                    if let Err(fault) = self.upload(caller, name, id, whole).await {
                        seen.faults.push(format!("upload {id}: {fault}"));
                    }
                }
            }
        }
    }

    async fn upload(
        &self,
        caller: &Caller,
        name: &str,
        id: &uuid::Uuid,
        whole: &[u8],
    ) -> Result<(), String> {
        let (name, digest) = (repo(name), Digest::sha256(whole));
        let Ok(status) = self.registry.upload_status(caller, &name, *id).await else {
            return Ok(());
        };
        let rest = usize::try_from(status.offset).ok().and_then(|offset| whole.get(offset..));
        let rest = rest.ok_or_else(|| format!("it holds {} bytes", status.offset))?;
        let end = self.registry.finish_upload(caller, &name, *id, &digest, None, body(rest)).await;
        match end {
            Ok(_) => {
                let reader = self.registry.open_blob(caller, &name, &digest).await;
                let reader = reader.map_err(|error| format!("ended and not there: {error}"))?;
                let bytes = reader.read_all(1 << 30).await.map_err(|error| error.to_string())?;
                match bytes == whole {
                    true => Ok(()),
                    false => Err("ended with other bytes".to_owned()),
                }
            }
            Err(error) if error.kind() == Why::NotFound => Ok(()),
            Err(error) => Err(format!("{error} ({:?})", error.log())),
        }
    }

    /// What was cut off is completed, and what nothing names goes; what is visible stays whole.
    async fn collect(&self, seen: &mut Seen) {
        if let Err(error) = collecting::collect(self.registry, Due::Ended).await {
            seen.faults.push(format!("it does not collect: {error} ({:?})", error.log()));
        }
        let mut tx = self.registry.database().read().await.unwrap();
        let dying = dying_files::list(&mut tx, 0, 10).await.unwrap();
        drop(tx);
        if !dying.is_empty() {
            seen.faults.push(format!("a later collection leaves {dying:?}"));
        }
        let manifests: Vec<(String, Digest)> = seen
            .states
            .iter()
            .filter_map(|(thing, state)| match (thing, state) {
                (Thing::Manifest(name, digest), State::Present) => Some((name.clone(), *digest)),
                _ => None,
            })
            .collect();
        let caller = &self.history.home.people["ann"];
        let mut look = Look { registry: self.registry, caller, seen };
        for (name, digest) in manifests {
            if look.manifest(&name, &Reference::Digest(digest)).await.is_none() {
                look.fault(format!("a later collection takes the manifest {name}@{digest}"));
            }
        }
    }

    /// Another image comes and goes.
    async fn push(&self, seen: &mut Seen) {
        if let Err(error) = self.push_and_delete().await {
            seen.faults.push(format!("it does not go on: {error} ({:?})", error.log()));
        }
    }

    async fn push_and_delete(&self) -> Result<(), Error> {
        let (caller, name) = (&self.history.home.people["ann"], repo("team/afterwards"));
        let image = Image::new(u64::MAX, 1000);
        for bytes in [&image.layer, &image.config] {
            let digest = Digest::sha256(bytes);
            self.registry.push_blob(caller, &name, &digest, body(bytes)).await?;
        }
        let push = ManifestPush {
            repository: &name,
            reference: &"v1".parse().unwrap(),
            tags: &[],
            content_type: MANIFEST,
            payload: image.manifest.clone().into(),
            condition: &Precondition::default(),
        };
        self.registry.put_manifest(caller, push).await?;
        let digest = Reference::Digest(image.digest());
        self.registry.head_manifest(caller, &name, &digest).await?;
        self.registry.delete_manifest(caller, &name, &digest, &Precondition::default()).await
    }
}
