//! The collector at zero interval, with a lease of two seconds, under 16 clients that push, look,
//! mount, pull and delete: nothing that was acknowledged is ever missing, and in the end nothing is
//! left over.
//!
//! `SEALOCK_COLLECTION_SECONDS` makes it longer, `SEALOCK_SEED` repeats a run's choices.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use sealock_lifecycle::invariants::{self, Row, View};
use sealock_metadata::{Database, DatabaseConfig, Error, SystemClock, Tx, Value};
use sealock_tests::{
    http::Http,
    images::{MANIFEST, digest},
    server::{Options, Server, eventually, new_postgres_database, pause},
};

const CLIENTS: u64 = 16;
const SECONDS: u64 = 6;
const LEASE: Duration = Duration::from_secs(2);
const REPOSITORIES: u64 = 3;
/// Few blobs, so that clients meet at each of them all the time.
const BLOBS: u64 = 12;
/// Images that one client keeps before it deletes again.
const KEPT: usize = 6;

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

fn bytes_of(blob: u64) -> Vec<u8> {
    format!("blob {blob} ").repeat(150).into_bytes()
}

fn repository(number: u64) -> String {
    format!("library/collected-{number}")
}

/// An image whose push was answered with 201.
struct Kept {
    repository: String,
    digest: String,
    blobs: BTreeSet<u64>,
}

/// What happened, so that a run that saw too little fails.
#[derive(Default)]
struct Seen {
    pushed: AtomicU64,
    skipped: AtomicU64,
    mounted: AtomicU64,
    uploaded: AtomicU64,
    pulled: AtomicU64,
    deleted: AtomicU64,
    blobs_deleted: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Client<'a> {
    number: u64,
    http: Http,
    dice: Dice,
    kept: Vec<Kept>,
    images: u64,
    seen: &'a Seen,
}

impl Client<'_> {
    fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.dice.roll(10) {
                0..=4 => self.push(),
                5..=6 => self.pull(),
                7 => self.disturb(),
                _ if self.kept.len() > KEPT || self.dice.roll(2) == 0 => self.delete(),
                _ => self.pull(),
            }
        }
    }

    /// Brings a blob into a repository as clients do: look, else mount, else upload.
    fn bring(&mut self, repository: &str, blob: u64) {
        let bytes = bytes_of(blob);
        let digest = digest(&bytes);
        let path = format!("/v2/{repository}/blobs/{digest}");
        let look = self.http.request(Method::HEAD, &path).send().unwrap();
        match look.status().as_u16() {
            200 => return count(&self.seen.skipped),
            404 => {}
            other => panic!("HEAD answers {other}"),
        }
        let from = self::repository(self.dice.roll(REPOSITORIES));
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let mount = self.http.request(Method::POST, &path).send().unwrap();
        match mount.status().as_u16() {
            201 => return count(&self.seen.mounted),
            202 => {}
            other => panic!("a mount answers {other}"),
        }
        let upload = self.http.push_blob(repository, &digest, bytes).unwrap();
        assert_eq!(upload.status(), 201, "{}", upload.text().unwrap());
        count(&self.seen.uploaded);
    }

    fn push(&mut self) {
        let repository = repository(self.dice.roll(REPOSITORIES));
        let begun = Instant::now();
        let blobs: BTreeSet<u64> = (0..3).map(|_| self.dice.roll(BLOBS)).collect();
        for blob in &blobs {
            self.bring(&repository, *blob);
        }
        // Some are slow, and some too slow.
        pause(Duration::from_millis([0, 0, 0, 5, 50, 1_500, 2_500][self.dice.roll(7) as usize]));
        self.images += 1;
        let manifest = manifest(&blobs, &format!("{}-{}", self.number, self.images));
        let digest = digest(manifest.as_bytes());
        let put = self.http.push_manifest(&repository, &digest, MANIFEST, &manifest).unwrap();
        let took = begun.elapsed();
        match put.status().as_u16() {
            201 => {
                count(&self.seen.pushed);
                self.kept.push(Kept { repository, digest, blobs });
            }
            // The lease is counted from the first look; it may be over.
            404 if took >= LEASE => {}
            other => panic!("a push after {took:?}: {other} {}", put.text().unwrap()),
        }
    }

    fn pull(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let at = self.dice.roll(self.kept.len() as u64) as usize;
        check(&self.http, &self.kept[at]);
        count(&self.seen.pulled);
    }

    fn delete(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let at = self.dice.roll(self.kept.len() as u64) as usize;
        let kept = self.kept.swap_remove(at);
        let path = format!("/v2/{}/manifests/{}", kept.repository, kept.digest);
        let answer = self.http.request(Method::DELETE, &path).send().unwrap();
        assert_eq!(answer.status(), 202, "{}", answer.text().unwrap());
        count(&self.seen.deleted);
    }

    /// Uploads into a place where blobs are deleted by hand, which nobody counts on.
    fn disturb(&mut self) {
        let blob = self.dice.roll(BLOBS);
        self.bring("library/disturbed", blob);
        let path = format!("/v2/library/disturbed/blobs/{}", digest(&bytes_of(blob)));
        let answer = self.http.request(Method::DELETE, &path).send().unwrap();
        assert!([202, 404].contains(&answer.status().as_u16()), "{}", answer.status());
        count(&self.seen.blobs_deleted);
    }
}

fn manifest(blobs: &BTreeSet<u64>, name: &str) -> String {
    let layer = |blob: &u64| {
        let bytes = bytes_of(*blob);
        serde_json::json!({"mediaType": "application/octet-stream", "size": bytes.len(),
            "digest": digest(&bytes)})
    };
    let layers: Vec<_> = blobs.iter().map(layer).collect();
    serde_json::json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": layers[0],
        "artifactType": "application/vnd.example.collected", "layers": layers,
        "annotations": {"name": name}})
    .to_string()
}

/// An acknowledged image is whole, byte for byte.
fn check(http: &Http, kept: &Kept) {
    let Kept { repository, digest, blobs } = kept;
    let get = http.get(&format!("/v2/{repository}/manifests/{digest}")).unwrap();
    assert_eq!(get.status(), 200, "{digest} was acknowledged and is missing");
    for blob in blobs {
        let bytes = bytes_of(*blob);
        let name = self::digest(&bytes);
        let get = http.get(&format!("/v2/{repository}/blobs/{name}")).unwrap();
        assert_eq!(get.status(), 200, "{name} of {digest} in {repository} is missing");
        assert!(get.bytes().unwrap() == bytes, "{name} has other bytes");
    }
}

fn under_load(database: Option<String>) {
    let seconds = env::var("SEALOCK_COLLECTION_SECONDS").map_or(SECONDS, |s| s.parse().unwrap());
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    let seed = env::var("SEALOCK_SEED").map_or(clock, |seed| seed.parse().unwrap());
    println!("SEALOCK_SEED={seed} SEALOCK_COLLECTION_SECONDS={seconds}");
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = vec![
        setting("SEALOCK_COLLECTION_INTERVAL", "0s"),
        setting("SEALOCK_COLLECTION_LEASE", &format!("{}s", LEASE.as_secs())),
    ];
    let options = Options { database: database.clone(), environment, ..Options::default() };
    let mut server = Server::start_with(options);
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let kept: Vec<Kept> = thread::scope(|scope| {
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|number| {
                let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number) | 1);
                let (http, kept) = (server.admin(), Vec::new());
                let mut client = Client { number, http, dice, kept, images: 0, seen: &seen };
                let stop = &stop;
                scope.spawn(move || {
                    client.run(stop);
                    client.kept
                })
            })
            .collect();
        pause(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    println!("{}", told(&seen));
    let http = server.admin();
    for image in &kept {
        check(&http, image);
    }
    server.terminate();
    let view = look(database.as_deref(), &server.data_directory());
    assert_eq!(invariants::violations(&view), [], "after the load");

    server.restart();
    let http = server.admin();
    for Kept { repository, digest, .. } in &kept {
        let path = format!("/v2/{repository}/manifests/{digest}");
        assert_eq!(http.request(Method::DELETE, &path).send().unwrap().status(), 202);
    }
    let blobs = server.data_directory().join("blobs").join("blobs");
    eventually("all garbage is freed", Duration::from_secs(60), || {
        files_below(&blobs).is_empty().then_some(())
    });
    // The rows that remember the files go right after the files.
    pause(Duration::from_millis(500));
    let runs = http.json("/api/sealock/v1/collections?limit=1000");
    let freed: u64 = runs["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["report"]["freed"]["files"].as_u64().unwrap())
        .sum();
    assert!(freed > 0, "the runs say that they freed nothing: {runs}");
    server.terminate();
    let view = look(database.as_deref(), &server.data_directory());
    assert_eq!(view, View::default(), "something is left over");
    for (what, least) in [(&seen.pushed, 20), (&seen.mounted, 1), (&seen.skipped, 5)] {
        assert!(what.load(Ordering::Relaxed) >= least, "too little was seen: {}", told(&seen));
    }
}

fn told(seen: &Seen) -> String {
    let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    format!(
        "{} images pushed ({} blobs skipped, {} mounted, {} uploaded), {} pulled, {} deleted, \
         {} blobs deleted by hand",
        number(&seen.pushed),
        number(&seen.skipped),
        number(&seen.mounted),
        number(&seen.uploaded),
        number(&seen.pulled),
        number(&seen.deleted),
        number(&seen.blobs_deleted),
    )
}

pub(crate) fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Database and disk of a stopped server, as the invariants see them.
pub(crate) fn look(database: Option<&str>, data: &Path) -> View<i64, String> {
    let config = match database {
        Some(url) => DatabaseConfig::postgres(url),
        None => DatabaseConfig::sqlite(data.join("sealock.db")),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut view = runtime.block_on(async {
        let database = Database::open(config, Arc::new(SystemClock)).await.unwrap();
        let mut tx = database.read().await.unwrap();
        let view = rows(&mut tx).await.unwrap();
        drop(tx);
        database.close().await;
        view
    });
    for path in files_below(&data.join("blobs").join("blobs")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (hex, generation) = name.split_once('.').unwrap();
        view.files.insert((format!("sha256:{hex}"), generation.parse().unwrap()));
    }
    view
}

async fn rows(tx: &mut Tx) -> Result<View<i64, String>, Error> {
    let none = Vec::<Value>::new;
    let mut view = View::default();
    let sql = "SELECT repository_id, digest FROM manifest_blobs";
    for row in tx.query(sql, none()).await? {
        view.named.insert((row.get("repository_id")?, row.get("digest")?));
    }
    let sql = "SELECT repository_id, digest, review_at FROM repository_blobs";
    for row in tx.query(sql, none()).await? {
        let queued = row.opt::<i64>("review_at")?.is_some();
        view.links.insert((row.get("repository_id")?, row.get("digest")?), queued);
    }
    let mut rows = BTreeMap::new();
    for row in tx.query("SELECT digest, generation, review_at FROM blobs", none()).await? {
        let queued = row.opt::<i64>("review_at")?.is_some();
        rows.insert(row.get("digest")?, Row { generation: row.get("generation")?, queued });
    }
    view.rows = rows;
    let sql = "SELECT digest, generation FROM dying_files WHERE digest IS NOT NULL";
    for row in tx.query(sql, none()).await? {
        view.dying.insert((row.get("digest")?, row.get("generation")?));
    }
    Ok(view)
}

#[test]
fn no_acknowledged_digest_is_ever_missing_on_sqlite() {
    under_load(None);
}

#[test]
fn no_acknowledged_digest_is_ever_missing_on_postgres() {
    let Some(database) = new_postgres_database() else { return };
    under_load(Some(database));
}
