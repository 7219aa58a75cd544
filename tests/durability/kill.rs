//! SIGKILL at random moments, while clients push, pull and delete.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use reqwest::{Method, StatusCode, blocking::Response};
use sealock_blobs::testing::Chance;
use sealock_tests::{
    http::Http,
    images::{MANIFEST, Made, digest},
    server::{Options, Server, eventually, new_postgres_database, pause},
};

/// Rounds in `make test`; `SEALOCK_KILL_ROUNDS` asks for more.
const ROUNDS: u64 = 10;
const PUSHERS: u64 = 3;
const PULLERS: u64 = 2;
/// Largest layer, in bytes.
const LAYER_BYTES: u64 = 200_000;
/// Latest moment of the kill after the first push of its round was acknowledged.
const LONGEST: Duration = Duration::from_millis(1_200);
/// Older images that are looked at after each round; all of them are after the last.
const LOOKED_AT: usize = 40;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// How many of its blobs, config first, were answered by 201.
    blobs: usize,
    manifest: Fate,
    tag: Fate,
}

/// What was acknowledged, by repository and seed of the image.
type Ledger = Mutex<BTreeMap<(&'static str, u64), Known>>;

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
    fn note(&self, key: (&'static str, u64), change: impl FnOnce(&mut Known)) {
        let new = Known { blobs: 0, manifest: Fate::Pushing, tag: Fate::Pushing };
        change(self.ledger.lock().unwrap().entry(key).or_insert(new));
    }

    /// Pushes an image, now and then in chunks, and mounts some of them elsewhere.
    fn push(&mut self, seed: u64) -> Result<(), Gone> {
        let image = image(seed);
        for blob in &image.blobs {
            match self.chance.below(3) {
                0 => self.push_in_chunks(blob)?,
                _ => {
                    let answer = self.http.push_blob(HOME, &digest(blob), blob.clone())?;
                    must_be(answer, StatusCode::CREATED)?;
                }
            }
            self.note((HOME, seed), |known| known.blobs += 1);
        }
        self.put(HOME, seed, &image)?;
        if seed.is_multiple_of(4) {
            for blob in &image.blobs {
                let mount = format!("/v2/{SIDE}/blobs/uploads/?mount={}&from={HOME}", digest(blob));
                must_be(self.http.request(Method::POST, &mount).send()?, StatusCode::CREATED)?;
                self.note((SIDE, seed), |known| known.blobs += 1);
            }
            self.put(SIDE, seed, &image)?;
        }
        Ok(())
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

    fn put(&self, name: &'static str, seed: u64, image: &Made) -> Result<(), Gone> {
        let tag = format!("t{seed}");
        let answer = self.http.push_manifest(name, &tag, MANIFEST, &image.manifest)?;
        must_be(answer, StatusCode::CREATED)?;
        self.note((name, seed), |known| (known.manifest, known.tag) = (Fate::Pushed, Fate::Pushed));
        Ok(())
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
            let seed = seeds.fetch_add(1, Ordering::Relaxed);
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

    /// What stands in the ledger holds, whatever happens to the image meanwhile.
    fn look(&self, key: (&'static str, u64)) -> Result<(), Gone> {
        let (name, seed) = key;
        let image = image(seed);
        let before = self.ledger.lock().unwrap()[&key];
        let tag = self.get(&format!("/v2/{name}/manifests/t{seed}"))?;
        let manifest = self.get(&format!("/v2/{name}/manifests/{}", image.digest()))?;
        let after = self.ledger.lock().unwrap()[&key];
        for (what, found, before, after) in [
            ("tag", &tag, before.tag, after.tag),
            ("manifest", &manifest, before.manifest, after.manifest),
        ] {
            let place = format!("the {what} of image {seed} in {name}");
            match found {
                Some(bytes) => {
                    assert_ne!(before, Fate::Deleted, "{place} came back");
                    assert_eq!(digest(bytes), image.digest(), "{place}");
                }
                None if before == Fate::Pushed => {
                    assert_ne!(after, Fate::Pushed, "{place} is lost");
                }
                None => {}
            }
        }
        // Whatever a tag shows is whole, acknowledged or not.
        let visible = tag.is_some() || manifest.is_some();
        for (number, blob) in image.blobs.iter().enumerate() {
            let found = self.get(&format!("/v2/{name}/blobs/{}", digest(blob)))?;
            let wanted = visible || number < before.blobs;
            assert!(found.is_some() || !wanted, "blob {number} of image {seed} in {name} is lost");
            assert!(
                found.is_none_or(|found| found == *blob),
                "image {seed} in {name}: other bytes"
            );
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

fn kill_again_and_again(mut server: Server) {
    let seed = number("SEALOCK_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = number("SEALOCK_KILL_ROUNDS").unwrap_or(ROUNDS);
    println!("SEALOCK_KILL_SEED={seed} SEALOCK_KILL_ROUNDS={rounds}");
    let mut chance = Chance::new(seed);
    let ledger = Ledger::default();
    let seeds = AtomicU64::new(0);
    let pushed = || {
        let ledger = ledger.lock().unwrap();
        ledger.values().filter(|known| known.manifest != Fate::Pushing).count()
    };
    for _ in 0..rounds {
        let stop = AtomicBool::new(false);
        let http = server.admin();
        let (first, before) = (seeds.load(Ordering::Relaxed), pushed());
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
            // After the first of this round was acknowledged, however slow the machine is.
            eventually("a push is acknowledged", Duration::from_secs(60), || {
                (pushed() > before).then_some(())
            });
            let longest = usize::try_from(LONGEST.as_micros()).unwrap();
            pause(Duration::from_micros(chance.below(longest) as u64));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        server.restart();
        check(&server.admin(), &ledger, first, &mut chance);
    }
    check(&server.admin(), &ledger, 0, &mut chance);
    let ledger = ledger.lock().unwrap();
    let deleted = ledger.values().filter(|known| known.tag == Fate::Deleted).count();
    println!("{rounds} SIGKILLs: {} images as they were left, {deleted} deleted", ledger.len());
    assert!(deleted > 0 && ledger.len() as u64 > rounds, "the test saw too little");
}

#[test]
fn whatever_was_acknowledged_survives_sigkill_on_sqlite() {
    kill_again_and_again(Server::start());
}

#[test]
fn whatever_was_acknowledged_survives_sigkill_on_postgres() {
    let Some(database) = new_postgres_database() else { return };
    let options = Options { database: Some(database), ..Options::default() };
    kill_again_and_again(Server::start_with(options));
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
