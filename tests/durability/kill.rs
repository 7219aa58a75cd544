//! SIGKILL at random moments, while clients push, pull and delete and the collector frees what they
//! deleted, at zero interval and with a short lease.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode, blocking::Response};
use sealock_blobs::testing::Chance;
use sealock_lifecycle::invariants::{self, Violation};
use sealock_tests::{
    http::Http,
    images::{MANIFEST, Made, digest},
    server::{Options, Server, eventually, new_postgres_database, pause},
};
use serde_json::json;

use crate::{
    collection::{files_below, look},
    fsck::{found, fsck},
};

/// Rounds in `make test`; `SEALOCK_KILL_ROUNDS` asks for more.
const ROUNDS: u64 = 10;
const PUSHERS: u64 = 3;
const PULLERS: u64 = 2;
/// Largest layer, in bytes.
const LAYER_BYTES: u64 = 200_000;
/// Latest moment of the kill after the first push of its round was acknowledged.
const LONGEST: Duration = Duration::from_millis(800);
/// Older images that are looked at after each round; all of them are after the last.
const LOOKED_AT: usize = 20;

/// How long what no manifest names is promised to stay, as the server is told.
const LEASE: Duration = Duration::from_secs(2);
/// What a client hears of an image before it is pushed: that it begins, and of two blobs.
const BEFORE_A_PUSH: u64 = 3;
/// Images that are pushed again when everything was deleted and collected.
const AGAIN: usize = 3;
/// What a crash may leave: bytes that no row names, and an upload whose end was cut off.
const LEFT: [&str; 4] = ["file-leaked", "file-stale", "upload-leaked", "upload-missing"];

const HOME: &str = "library/crash";
/// Where some images are mounted.
const SIDE: &str = "library/side";

/// What a client knows of a name that it pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its push was sent, and not answered.
    Pushing,
    /// Its push was answered by 201.
    Pushed,
    /// Its deletion was sent, and not answered.
    Deleting,
    /// Its deletion was answered by 202.
    Deleted,
}

/// An image in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// Until when each of its blobs, config first, is promised to be there without a manifest.
    leased: Vec<Instant>,
    manifest: Fate,
    tag: Fate,
    /// How often this changed.
    changes: u64,
}

type Key = (&'static str, u64);

/// What was acknowledged, by repository and seed of the image.
type Ledger = Mutex<BTreeMap<Key, Known>>;

fn image(seed: u64) -> Made {
    Made::new(seed, usize::try_from(Chance::new(seed).number() % LAYER_BYTES).unwrap())
}

/// The client's connection broke: the server is gone.
struct Gone;

impl From<reqwest::Error> for Gone {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

fn must_be(answer: Response, wanted: StatusCode) -> Result<Response, Gone> {
    let status = answer.status();
    if status == wanted {
        return Ok(answer);
    }
    // The answer itself may be cut off.
    let text = answer.text()?;
    panic!("{status} instead of {wanted}: {text}");
}

struct Client<'a> {
    http: &'a Http,
    ledger: &'a Ledger,
    chance: Chance,
}

impl Client<'_> {
    fn note(&self, key: Key, change: impl FnOnce(&mut Known)) {
        let (manifest, tag) = (Fate::Pushing, Fate::Pushing);
        let new = Known { leased: Vec::new(), manifest, tag, changes: 0 };
        let mut ledger = self.ledger.lock().unwrap();
        let known = ledger.entry(key).or_insert(new);
        change(known);
        known.changes += 1;
    }

    /// A blob is there: whoever asked at `asked` was told so.
    fn promised(&self, key: Key, number: usize, asked: Instant) {
        self.note(key, |known| {
            known.leased.truncate(number);
            known.leased.push(asked + LEASE);
        });
    }

    /// Somebody pushes it now: from here on it may be there again.
    fn begin(&self, key: Key) {
        self.note(key, |known| {
            for fate in [&mut known.manifest, &mut known.tag] {
                *fate = if *fate == Fate::Pushed { Fate::Pushed } else { Fate::Pushing };
            }
        });
    }

    /// An image that was deleted, and that this client pushes again.
    fn take_deleted(&mut self) -> Option<u64> {
        let mut ledger = self.ledger.lock().unwrap();
        let gone =
            |(name, _): &Key, known: &Known| *name == HOME && known.manifest == Fate::Deleted;
        let gone = ledger.iter().filter(|(key, known)| gone(key, known));
        let gone: Vec<Key> = gone.map(|(key, _)| *key).collect();
        let key = gone.get(self.chance.below(gone.len().max(1)))?;
        let known = ledger.get_mut(key)?;
        (known.manifest, known.tag) = (Fate::Pushing, Fate::Pushing);
        known.changes += 1;
        Some(key.1)
    }

    /// Pushes an image, now and then in chunks, and mounts some of them elsewhere.
    fn push(&mut self, seed: u64) -> Result<(), Gone> {
        let image = image(seed);
        self.begin((HOME, seed));
        loop {
            let begun = Instant::now();
            for (number, blob) in image.blobs.iter().enumerate() {
                let asked = self.bring(blob)?;
                self.promised((HOME, seed), number, asked);
            }
            if self.put(HOME, seed, &image, begun)? {
                break;
            }
        }
        while seed.is_multiple_of(4) {
            self.begin((SIDE, seed));
            let begun = Instant::now();
            for (number, blob) in image.blobs.iter().enumerate() {
                let asked = Instant::now();
                let mount = format!("/v2/{SIDE}/blobs/uploads/?mount={}&from={HOME}", digest(blob));
                must_be(self.http.request(Method::POST, &mount).send()?, StatusCode::CREATED)?;
                self.promised((SIDE, seed), number, asked);
            }
            if self.put(SIDE, seed, &image, begun)? {
                break;
            }
        }
        Ok(())
    }

    /// Brings a blob there: looks first, as most clients do, and uploads it whole or in chunks.
    /// When that was asked for which made it sure.
    fn bring(&mut self, blob: &[u8]) -> Result<Instant, Gone> {
        let asked = Instant::now();
        if self.chance.below(2) == 0 {
            let path = format!("/v2/{HOME}/blobs/{}", digest(blob));
            let look = self.http.request(Method::HEAD, &path).send()?;
            match look.status() {
                StatusCode::OK => return Ok(asked),
                StatusCode::NOT_FOUND => {}
                other => panic!("HEAD answers {other}"),
            }
        }
        match self.chance.below(3) {
            0 => self.push_in_chunks(blob)?,
            _ => {
                let answer = self.http.push_blob(HOME, &digest(blob), blob.to_vec())?;
                must_be(answer, StatusCode::CREATED)?;
            }
        }
        Ok(asked)
    }

    fn push_in_chunks(&mut self, blob: &[u8]) -> Result<(), Gone> {
        let begin = self.http.request(Method::POST, &format!("/v2/{HOME}/blobs/uploads/"));
        let mut last = must_be(begin.send()?, StatusCode::ACCEPTED)?;
        let location =
            |answer: &Response| answer.headers()["Location"].to_str().unwrap().to_owned();
        for chunk in blob.chunks(blob.len().div_ceil(2).max(1)) {
            let patch = self.http.request(Method::PATCH, &location(&last)).body(chunk.to_vec());
            last = must_be(patch.send()?, StatusCode::ACCEPTED)?;
        }
        let next = location(&last);
        let join = if next.contains('?') { '&' } else { '?' };
        let end = self.http.request(Method::PUT, &format!("{next}{join}digest={}", digest(blob)));
        must_be(end.send()?, StatusCode::CREATED)?;
        Ok(())
    }

    /// Names the blobs that this client was told of since `begun`. False when it took longer than
    /// was promised, and one of them is gone.
    fn put(
        &self,
        name: &'static str,
        seed: u64,
        image: &Made,
        begun: Instant,
    ) -> Result<bool, Gone> {
        let tag = format!("t{seed}");
        let answer = self.http.push_manifest(name, &tag, MANIFEST, &image.manifest)?;
        if answer.status() == StatusCode::NOT_FOUND && begun.elapsed() >= LEASE {
            return Ok(false);
        }
        must_be(answer, StatusCode::CREATED)?;
        self.note((name, seed), |known| (known.manifest, known.tag) = (Fate::Pushed, Fate::Pushed));
        Ok(true)
    }

    /// Takes away an image of this client, or only its tag.
    fn delete(&mut self, name: &'static str, seed: u64) -> Result<(), Gone> {
        let whole = self.chance.below(2) == 0;
        let reference = if whole { image(seed).digest() } else { format!("t{seed}") };
        let set = |fate| {
            self.note((name, seed), |known| {
                known.tag = fate;
                known.manifest = if whole { fate } else { known.manifest };
            });
        };
        set(Fate::Deleting);
        let path = format!("/v2/{name}/manifests/{reference}");
        let answer = self.http.request(Method::DELETE, &path).send()?;
        must_be(answer, StatusCode::ACCEPTED)?;
        set(Fate::Deleted);
        Ok(())
    }

    fn push_and_delete(&mut self, seeds: &AtomicU64, stop: &AtomicBool) -> Result<(), Gone> {
        let mut own = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let again = if self.chance.below(3) == 0 { self.take_deleted() } else { None };
            let seed = again.unwrap_or_else(|| seeds.fetch_add(1, Ordering::Relaxed));
            self.push(seed)?;
            own.push(seed);
            if self.chance.below(2) == 0 {
                let seed = own.swap_remove(self.chance.below(own.len()));
                self.delete(HOME, seed)?;
            }
        }
        Ok(())
    }

    fn pull(&mut self, stop: &AtomicBool) -> Result<(), Gone> {
        while !stop.load(Ordering::Relaxed) {
            let images: Vec<_> = self.ledger.lock().unwrap().keys().copied().collect();
            if images.is_empty() {
                continue;
            }
            let key = images[self.chance.below(images.len())];
            self.look(key)?;
        }
        Ok(())
    }

    fn known(&self, key: Key) -> Known {
        self.ledger.lock().unwrap()[&key].clone()
    }

    /// What stands in the ledger holds, whatever happens to the image meanwhile.
    fn look(&self, key: Key) -> Result<(), Gone> {
        let (name, seed) = key;
        let image = image(seed);
        let (begun, before) = (Instant::now(), self.known(key));
        let tag = self.get(&format!("/v2/{name}/manifests/t{seed}"))?;
        let manifest = self.get(&format!("/v2/{name}/manifests/{}", image.digest()))?;
        let still = self.known(key) == before;
        for (what, found, fate) in
            [("tag", &tag, before.tag), ("manifest", &manifest, before.manifest)]
        {
            let place = format!("the {what} of image {seed} in {name}");
            match found {
                Some(bytes) => {
                    assert!(!still || fate != Fate::Deleted, "{place} came back");
                    assert_eq!(digest(bytes), image.digest(), "{place}");
                }
                None => assert!(!still || fate != Fate::Pushed, "{place} is lost"),
            }
        }
        // Whatever a tag shows is whole, acknowledged or not.
        let visible = tag.is_some() || manifest.is_some();
        for (number, blob) in image.blobs.iter().enumerate() {
            let found = self.get(&format!("/v2/{name}/blobs/{}", digest(blob)))?;
            let (now, after) = (Instant::now(), self.known(key));
            // Its manifest stands: nobody has asked for its deletion, now or between.
            let stands = after.changes == before.changes
                && (before.manifest == Fate::Pushed || visible && before.manifest == Fate::Pushing);
            // Or it stood, and whoever was told so has a lease from its deletion on.
            let stood = visible && now < begun + LEASE;
            // Or somebody was told that the blob is there, and may go on to push the manifest.
            let leased = before.leased.get(number).is_some_and(|end| now < *end);
            let place = format!("blob {number} of image {seed} in {name}");
            let wanted = stands || stood || leased;
            assert!(found.is_some() || !wanted, "{place} is lost: {before:?}, {after:?}");
            assert!(found.is_none_or(|found| found == *blob), "{place} has other bytes");
        }
        Ok(())
    }

    /// The bytes at a path; none for 404.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Gone> {
        let answer = self.http.get(path)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(must_be(answer, StatusCode::OK)?.bytes()?.to_vec()))
    }
}

/// Compares the server with the ledger: all of it, or what is new with some of the rest.
fn check(http: &Http, ledger: &Ledger, from: u64, chance: &mut Chance) {
    let client = Client { http, ledger, chance: Chance::new(0) };
    let keys: Vec<_> = ledger.lock().unwrap().keys().copied().collect();
    let (new, old): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(_, seed)| *seed >= from);
    let some = (0..LOOKED_AT.min(old.len())).map(|_| old[chance.below(old.len())]);
    for key in new.into_iter().chain(some.collect::<Vec<_>>()) {
        assert!(client.look(key).is_ok(), "the server does not answer");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn kill_again_and_again(database: Option<String>) {
    let seed = number("SEALOCK_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = number("SEALOCK_KILL_ROUNDS").unwrap_or(ROUNDS);
    println!("SEALOCK_KILL_SEED={seed} SEALOCK_KILL_ROUNDS={rounds}");
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = vec![
        setting("SEALOCK_COLLECTION_INTERVAL", "0s"),
        setting("SEALOCK_COLLECTION_LEASE", &format!("{}s", LEASE.as_secs())),
    ];
    let mut server = Server::start_with(Options { database, environment, ..Options::default() });
    let mut chance = Chance::new(seed);
    let ledger = Ledger::default();
    let seeds = AtomicU64::new(0);
    let changes = || ledger.lock().unwrap().values().map(|known| known.changes).sum::<u64>();
    for round in 1..=rounds {
        let stop = AtomicBool::new(false);
        let http = server.admin();
        let first = seeds.load(Ordering::Relaxed);
        let before = changes();
        thread::scope(|scope| {
            for worker in 0..PUSHERS + PULLERS {
                let chance = Chance::new(chance.number());
                let mut client = Client { http: &http, ledger: &ledger, chance };
                let (seeds, stop) = (&seeds, &stop);
                scope.spawn(move || match worker < PUSHERS {
                    true => client.push_and_delete(seeds, stop),
                    false => client.pull(stop),
                });
            }
            // After the first push of this round was acknowledged, however slow the machine is.
            eventually("a push is acknowledged", Duration::from_secs(60), || {
                (changes() > before + PUSHERS * BEFORE_A_PUSH).then_some(())
            });
            let longest = usize::try_from(LONGEST.as_micros()).unwrap();
            pause(Duration::from_micros(chance.below(longest) as u64));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        if round == rounds {
            leaks_at_most(&server, rounds);
        }
        server.restart();
        check(&server.admin(), &ledger, first, &mut chance);
    }
    check(&server.admin(), &ledger, 0, &mut chance);
    let images: Vec<Key> = ledger.lock().unwrap().keys().copied().collect();
    let deleted = {
        let ledger = ledger.lock().unwrap();
        ledger.values().filter(|known| known.tag == Fate::Deleted).count()
    };
    println!("{rounds} SIGKILLs: {} images as they were left, {deleted} deleted", images.len());
    assert!(deleted > 0 && images.len() as u64 > rounds, "the test saw too little");
    everything_goes(&mut server, &ledger, &images, rounds);
}

/// A crash leaks bytes at worst: of each upload that was under way, once.
fn leaks_at_most(server: &Server, kills: u64) -> Vec<(String, u64)> {
    let (_, report, said) = fsck(server, &["--bytes"]);
    let found = found(&report);
    println!("left: {found:?}");
    let all = found.iter().map(|(_, count)| count).sum::<u64>();
    let leaks = found.iter().all(|(kind, _)| LEFT.contains(&kind.as_str()));
    // Of an end that was cut off both the published file and the upload's row may be left.
    assert!(leaks && all <= kills * PUSHERS * 2, "{said}\n{report:#}");
    assert_eq!(report["unchecked"], json!([]));
    let view = look(server.database().as_deref(), &server.data_directory());
    let broken = invariants::violations(&view);
    let broken: Vec<_> =
        broken.into_iter().filter(|one| !matches!(one, Violation::ForgottenFile(..))).collect();
    assert_eq!(broken, []);
    found
}

/// Everything is deleted, and goes when its lease is over; then all of it can come again.
fn everything_goes(server: &mut Server, ledger: &Ledger, images: &[Key], kills: u64) {
    let http = server.admin();
    for (name, seed) in images {
        let path = format!("/v2/{name}/manifests/{}", image(*seed).digest());
        let answer = http.request(Method::DELETE, &path).send().unwrap().status();
        let fate = ledger.lock().unwrap()[&(*name, *seed)].manifest;
        let wanted: &[u16] = match fate {
            Fate::Pushed => &[202],
            Fate::Deleted => &[404],
            Fate::Pushing | Fate::Deleting => &[202, 404],
        };
        assert!(wanted.contains(&answer.as_u16()), "{answer} for {path}, {fate:?}");
    }
    eventually("all garbage is freed", Duration::from_secs(60), || {
        (queued(&http) == 0).then_some(())
    });
    // The rows that remember the files go right after the files.
    pause(Duration::from_millis(500));
    server.terminate();
    let leaks: u64 = leaks_at_most(server, kills)
        .into_iter()
        .map(|(kind, count)| if kind.starts_with("file-") { count } else { 0 })
        .sum();
    let blobs = server.data_directory().join("blobs").join("blobs");
    assert_eq!(files_below(&blobs).len() as u64, leaks, "no row is left that names a file");

    server.restart();
    let http = server.admin();
    let mut client = Client { http: &http, ledger, chance: Chance::new(1) };
    let again: Vec<u64> = images
        .iter()
        .filter(|(name, _)| *name == HOME)
        .map(|(_, seed)| *seed)
        .take(AGAIN)
        .collect();
    for seed in &again {
        client.note((HOME, *seed), |known| {
            (known.manifest, known.tag) = (Fate::Deleted, Fate::Deleted)
        });
        assert!(client.push(*seed).is_ok() && client.look((HOME, *seed)).is_ok());
    }
    server.terminate();
    assert_eq!(fsck(server, &["--repair"]).0, 0);
    let (code, report, said) = fsck(server, &["--bytes"]);
    assert_eq!((code, found(&report)), (0, Vec::new()), "{said}\n{report:#}");
    let view = look(server.database().as_deref(), &server.data_directory());
    let named: Vec<_> =
        view.rows.iter().map(|(blob, row)| (blob.clone(), row.generation)).collect();
    assert_eq!(view.files.iter().cloned().collect::<Vec<_>>(), named);
    assert_eq!((named.len(), view.dying.len()), (2 * again.len(), 0));
    assert_eq!(invariants::violations(&view), []);
}

/// Files that are to be freed, their leases aside.
fn queued(http: &Http) -> u64 {
    let all = json!({"dry_run": true, "ignore_leases": true});
    let run = http.write(Method::POST, "/api/sealock/v1/collections", &all);
    let path = format!("/api/sealock/v1/collections/{}", run["id"]);
    let run = eventually("a dry run ends", Duration::from_secs(20), || {
        Some(http.json(&path)).filter(|run| run["state"] != "running")
    });
    assert_eq!(run["state"], "finished", "{run}");
    run["report"]["freed"]["files"].as_u64().unwrap()
}

#[test]
fn whatever_was_acknowledged_survives_sigkill_on_sqlite() {
    kill_again_and_again(None);
}

#[test]
fn whatever_was_acknowledged_survives_sigkill_on_postgres() {
    let Some(database) = new_postgres_database() else { return };
    kill_again_and_again(Some(database));
}

#[test]
fn an_upload_goes_on_after_sigkill_where_its_last_acknowledged_chunk_ended() {
    let mut server = Server::start();
    let image = Made::new(1, 5_000_000);
    let layer = &image.blobs[1];
    let whole = digest(layer);
    let http = server.admin();
    let start = http.request(Method::POST, "/v2/library/resumed/blobs/uploads/").send().unwrap();
    assert_eq!(start.status(), 202);
    let location = |answer: &reqwest::blocking::Response| {
        answer.headers()["Location"].to_str().unwrap().to_owned()
    };
    let half = 2_500_000;
    let first = http
        .request(Method::PATCH, &location(&start))
        .header("Content-Type", "application/octet-stream")
        .header("Content-Range", format!("0-{}", half - 1))
        .body(layer[..half].to_vec())
        .send()
        .unwrap();
    assert_eq!(first.status(), 202);
    let next = location(&first);

    server.kill();
    server.restart();
    let status = http.request(Method::GET, &next).send().unwrap();
    assert_eq!(status.status(), 204);
    let range = status.headers()["Range"].to_str().unwrap().to_owned();
    let arrived: usize = range.rsplit('-').next().unwrap().parse().unwrap();
    assert_eq!(arrived, half - 1, "an acknowledged chunk was lost");
    let join = if next.contains('?') { '&' } else { '?' };
    let end = http
        .request(Method::PUT, &format!("{next}{join}digest={whole}"))
        .header("Content-Type", "application/octet-stream")
        .body(layer[half..].to_vec())
        .send()
        .unwrap();
    assert_eq!(end.status(), 201, "{}", end.text().unwrap());
    let pulled = http.get(&format!("/v2/library/resumed/blobs/{whole}")).unwrap();
    assert_eq!(digest(&pulled.bytes().unwrap()), whole);
}
