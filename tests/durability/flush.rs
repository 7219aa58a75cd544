//! A disk that fails to flush the database's log beneath a running server, as a client sees it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Method, blocking::Response};
use sealock_tests::{
    clients::run,
    images::{MANIFEST, Made, digest},
    server::{Options, Server, eventually},
};

const REPOSITORY: &str = "library/flush";

/// Builds what stands between the server and the C library.
fn between(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("durability/failing_flush.c");
    let library = folder.join("failing_flush.so");
    let names = [library.display().to_string(), source.display().to_string()];
    run("cc", &["-shared", "-fPIC", "-Wall", "-Werror", "-o", &names[0], &names[1]]).ok();
    library
}

/// A 5xx that says that the disk fails.
fn refused(what: &str, answer: Response) {
    let status = answer.status().as_u16();
    let text = answer.text().unwrap();
    assert!(matches!(status, 503 | 507), "{what}: {status} {text}");
    assert!(text.contains("disk is full or failing"), "{what}: {text}");
    assert!(!text.contains("-wal"), "{what} tells too much: {text}");
}

fn push(server: &Server, tag: &str, image: &Made) {
    let http = server.admin();
    for blob in &image.blobs {
        let answer = http.push_blob(REPOSITORY, &digest(blob), blob.clone()).unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().unwrap());
    }
    let answer = http.push_manifest(REPOSITORY, tag, MANIFEST, &image.manifest).unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().unwrap());
}

fn check(server: &Server, tag: &str, image: &Made) {
    let http = server.admin();
    let manifest = http.get(&format!("/v2/{REPOSITORY}/manifests/{tag}")).unwrap();
    assert_eq!(digest(&manifest.bytes().unwrap()), image.digest(), "{tag}");
    for blob in &image.blobs {
        let got = http.get(&format!("/v2/{REPOSITORY}/blobs/{}", digest(blob))).unwrap();
        assert_eq!(digest(&got.bytes().unwrap()), digest(blob), "{tag}");
    }
}

#[test]
fn a_failed_flush_of_the_database_is_said_and_is_over_when_the_disk_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("fails");
    let environment = vec![
        ("LD_PRELOAD".to_owned(), between(folder.path()).display().to_string()),
        ("SEALOCK_TEST_FAILING_FLUSH".to_owned(), flag.display().to_string()),
    ];
    let mut server = Server::start_with(Options { environment, ..Options::default() });
    let (one, two, three) = (Made::new(1, 50_000), Made::new(2, 50_000), Made::new(3, 50_000));
    push(&server, "v1", &one);
    push(&server, "gone", &two);
    let layer = digest(&one.blobs[1]);
    let http = server.admin();
    let ask = |method, path: &str| http.request(method, path).send().unwrap();

    File::create(&flag).unwrap();
    let blob = &three.blobs[1];
    refused("a blob", http.push_blob(REPOSITORY, &digest(blob), blob.clone()).unwrap());
    // Not taken for done because an earlier flush has failed already.
    refused("the blob again", http.push_blob(REPOSITORY, &digest(blob), blob.clone()).unwrap());
    refused("a tag", http.push_manifest(REPOSITORY, "v2", MANIFEST, &one.manifest).unwrap());
    let mount = format!("/v2/library/other/blobs/uploads/?mount={layer}&from={REPOSITORY}");
    refused("a mount", ask(Method::POST, &mount));
    refused("a tag's end", ask(Method::DELETE, &format!("/v2/{REPOSITORY}/manifests/gone")));
    let manifest = format!("/v2/{REPOSITORY}/manifests/{}", two.digest());
    let answer = ask(Method::DELETE, &manifest);
    // Its transaction was seen already, or it is refused: never acknowledged.
    assert_ne!(answer.status(), 202);
    // Who only reads what was acknowledged, notices nothing.
    check(&server, "v1", &one);
    assert!(server.runs());

    // The disk is well again: so is the server, without a restart.
    fs::remove_file(&flag).unwrap();
    eventually("a push is taken again", Duration::from_secs(30), || {
        let answer = http.push_blob(REPOSITORY, &digest(blob), blob.clone()).unwrap();
        (answer.status() == 201).then_some(())
    });
    push(&server, "v3", &three);
    let again = ask(Method::DELETE, &manifest).status().as_u16();
    assert!([202, 404].contains(&again), "{again}");
    check(&server, "v1", &one);
    server.kill();
    server.restart();
    check(&server, "v1", &one);
    check(&server, "v3", &three);
    let gone = server.admin().get(&manifest).unwrap();
    assert_eq!(gone.status(), 404, "an acknowledged deletion came back");
    server.terminate();
}
