use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use reqwest::Method;
use sealock_tests::{
    http::Http,
    images::{MANIFEST, Made, digest},
    server::{Server, eventually, pause},
};

const ROUNDS: u64 = 4;
const PUSHERS: u64 = 4;
const LAYER_BYTES: usize = 300_000;

/// Digests whose PUT was answered by 201.
#[derive(Default)]
struct Acknowledged {
    blobs: Mutex<BTreeSet<String>>,
    manifests: Mutex<BTreeSet<(String, String)>>,
}

/// Pushes image after image until the server is gone.
fn push_until_killed(http: &Http, seeds: &AtomicU64, stop: &AtomicBool, done: &Acknowledged) {
    while !stop.load(Ordering::Relaxed) {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        let image = Made::new(seed, LAYER_BYTES);
        for blob in &image.blobs {
            let digest = digest(blob);
            match http.push_blob("library/crash", &digest, blob.clone()) {
                Ok(answer) if answer.status() == 201 => {
                    done.blobs.lock().unwrap().insert(digest);
                }
                Ok(answer) => panic!("{}: {}", answer.status(), answer.text().unwrap()),
                Err(_) => return,
            }
        }
        let tag = format!("t{seed}");
        match http.push_manifest("library/crash", &tag, MANIFEST, &image.manifest) {
            Ok(answer) if answer.status() == 201 => {
                done.manifests.lock().unwrap().insert((tag, image.digest()));
            }
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().unwrap()),
            Err(_) => return,
        }
    }
}

fn pull(http: &Http, path: &str) -> Vec<u8> {
    let answer = http.get(&format!("/v2/library/crash/{path}")).unwrap();
    assert_eq!(answer.status(), 200, "{path} is lost");
    answer.bytes().unwrap().to_vec()
}

/// Everything acknowledged pulls bit-exact, and whatever a tag shows is whole.
fn check(http: &Http, done: &Acknowledged) {
    for blob in done.blobs.lock().unwrap().iter() {
        assert_eq!(&digest(&pull(http, &format!("blobs/{blob}"))), blob);
    }
    for (tag, manifest) in done.manifests.lock().unwrap().iter() {
        assert_eq!(&digest(&pull(http, &format!("manifests/{tag}"))), manifest);
    }
    let mut after = String::new();
    loop {
        let page = http.json(&format!("/v2/library/crash/tags/list?n=100&last={after}"));
        let tags = page["tags"].as_array().cloned().unwrap_or_default();
        for tag in &tags {
            let manifest = pull(http, &format!("manifests/{}", tag.as_str().unwrap()));
            let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
            for blob in [&manifest["config"], &manifest["layers"][0]] {
                let blob = blob["digest"].as_str().unwrap();
                assert_eq!(digest(&pull(http, &format!("blobs/{blob}"))), blob, "half a push");
            }
        }
        match tags.last().and_then(|tag| tag.as_str()) {
            Some(last) => after = last.to_owned(),
            None => break,
        }
    }
}

fn kill_in_the_middle_of_pushes(mut server: Server) {
    let done = Acknowledged::default();
    let seeds = AtomicU64::new(0);
    for round in 0..ROUNDS {
        let stop = AtomicBool::new(false);
        let http = server.admin();
        thread::scope(|scope| {
            for _ in 0..PUSHERS {
                scope.spawn(|| push_until_killed(&http, &seeds, &stop, &done));
            }
            // Another moment each time, so that the cut falls into another step.
            // After the first of this round was acknowledged, however slow the machine is.
            let seen = || done.manifests.lock().unwrap().len();
            let before = seen();
            eventually("a push is acknowledged", Duration::from_secs(60), || {
                (seen() > before).then_some(())
            });
            pause(Duration::from_millis(500 + 137 * round));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        server.restart();
        check(&server.admin(), &done);
    }
    let pushed = done.manifests.lock().unwrap().len();
    println!("{pushed} manifests were acknowledged and are there after {ROUNDS} SIGKILLs");
    assert!(pushed > 10, "only {pushed} pushes were acknowledged: the test saw too little");
}

#[test]
fn acknowledged_pushes_survive_sigkill_on_sqlite() {
    kill_in_the_middle_of_pushes(Server::start());
}

#[test]
fn acknowledged_pushes_survive_sigkill_on_postgres() {
    let Some(server) = Server::start_on_postgres() else { return };
    kill_in_the_middle_of_pushes(server);
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
