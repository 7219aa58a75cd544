//! `sealock fsck` on what a real server stored, and what clients see of damage before and after.

use reqwest::Method;
use sealock_tests::{
    http::Http,
    images::{MANIFEST, Made, digest},
    server::{Server, binary},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const REPOSITORY: &str = "library/app";

/// Runs it; the exit code and the report.
pub(crate) fn fsck(server: &Server, options: &[&str]) -> (i32, Value, String) {
    let mut command = Command::new(binary());
    command.args(["fsck", "--output", "json", "--data-dir"]).arg(server.data_directory());
    if let Some(database) = &server.database() {
        command.args(["--database-url", database]);
    }
    let ran = command.args(options).output().expect("it runs");
    let report = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (ran.status.code().expect("an exit code"), report, said)
}

/// The words of what was found, with their counts.
pub(crate) fn found(report: &Value) -> Vec<(String, u64)> {
    let findings = report["findings"].as_array().expect("findings");
    let pair =
        |one: &Value| (one["kind"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap());
    findings.iter().map(pair).collect()
}

fn push(http: &Http, image: &Made) {
    for blob in &image.blobs {
        let answer = http.push_blob(REPOSITORY, &digest(blob), blob.clone()).unwrap();
        assert_eq!(answer.status(), 201);
    }
    let answer = http.push_manifest(REPOSITORY, "1", MANIFEST, &image.manifest).unwrap();
    assert_eq!(answer.status(), 201);
}

/// The file of a blob.
fn file_of(server: &Server, blob: &str) -> PathBuf {
    let hex = blob.split(':').nth(1).unwrap();
    let shard = server.data_directory().join("blobs/blobs/sha256").join(&hex[..2]);
    let mut names = fs::read_dir(shard).unwrap().map(|entry| entry.unwrap().path());
    names.find(|path| path.to_str().unwrap().contains(hex)).unwrap()
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn get(http: &Http, blob: &str) -> (u16, String) {
    let answer = http.get(&format!("/v2/{REPOSITORY}/blobs/{blob}")).unwrap();
    (answer.status().as_u16(), answer.text().unwrap_or_default())
}

fn head(http: &Http, path: &str) -> u16 {
    let answer = http.request(Method::HEAD, &format!("/v2/{REPOSITORY}/{path}")).send().unwrap();
    answer.status().as_u16()
}

fn damage_is_named_seen_and_healed(mut server: Server) {
    let image = Made::new(7, 20_000);
    let blobs: Vec<String> = image.blobs.iter().map(|blob| digest(blob)).collect();
    let layer = &blobs[1];
    push(&server.admin(), &image);
    let (code, _, said) = fsck(&server, &["--repair"]);
    assert_eq!(code, 8);
    assert!(said.contains("stop it first"), "a running server's data is refused: {said}");

    server.terminate();
    let (code, report, said) = fsck(&server, &["--bytes"]);
    assert_eq!((code, &report["healthy"]), (0, &Value::Bool(true)), "{report:#} {said}");

    // Cut off, and nobody has looked yet: a clear word, and never the wrong bytes.
    let file = file_of(&server, layer);
    let whole = fs::read(&file).unwrap();
    change(&file, |bytes| bytes.truncate(1_000));
    server.restart();
    let (status, text) = get(&server.admin(), layer);
    assert!(status >= 500 && text.contains("lost or damaged"), "{status} {text}");
    fs::remove_file(&file).unwrap();
    let (status, text) = get(&server.admin(), layer);
    assert!(status >= 500 && text.contains("sealock fsck"), "{status} {text}");
    server.terminate();

    // One bit.
    fs::write(&file, &whole).unwrap();
    change(&file, |bytes| bytes[10_000] ^= 1);
    let (code, report, _) = fsck(&server, &[]);
    assert_eq!((code, found(&report)), (0, vec![]), "it takes --bytes");
    let (code, report, said) = fsck(&server, &["--bytes"]);
    assert_eq!((code, found(&report)), (7, vec![("blob-corrupt".to_owned(), 1)]), "{said}");
    let example = &report["findings"][0]["examples"][0];
    assert_eq!(example["digest"], layer.as_str());
    assert_eq!(example["repository"], REPOSITORY);
    let named = server.data_directory().join(example["path"].as_str().unwrap());
    assert_eq!(named, file, "the path is below the data directory");
    let (code, report, _) = fsck(&server, &["--bytes", "--repair"]);
    assert_eq!((code, &report["left"]), (0, &Value::from(0)));
    assert!(file.exists(), "isolated, not deleted");
    let (code, report, _) = fsck(&server, &["--bytes", "--repair"]);
    assert_eq!((code, found(&report)), (7, vec![("blob-isolated".to_owned(), 1)]));

    // Clients see that it is gone, push it again, and all is well.
    server.restart();
    let http = server.admin();
    assert_eq!(head(&http, &format!("blobs/{layer}")), 404);
    let (status, text) = get(&http, layer);
    assert!(status == 404 && text.contains("BLOB_UNKNOWN"), "{status} {text}");
    push(&http, &image);
    let answer = http.get(&format!("/v2/{REPOSITORY}/blobs/{layer}")).unwrap();
    assert_eq!(digest(&answer.bytes().unwrap()), *layer);
    assert_eq!(head(&http, &format!("blobs/{layer}")), 200);
    server.terminate();
    assert!(!file.exists(), "what was isolated is replaced");
    let (code, report, _) = fsck(&server, &["--bytes"]);
    assert_eq!(code, 0, "{report:#}");
    server.restart();
}

#[test]
fn damage_is_named_seen_and_healed_on_sqlite() {
    damage_is_named_seen_and_healed(Server::start());
}

#[test]
fn damage_is_named_seen_and_healed_on_postgresql() {
    let Some(server) = Server::start_on_postgres() else { return };
    damage_is_named_seen_and_healed(server);
}

/// A crash may take the bytes of an upload that is under way: that is shown, and is no defect.
#[test]
fn an_upload_that_a_crash_took_is_shown_and_no_defect() {
    let mut server = Server::start();
    let http = server.admin();
    let begun = http.request(Method::POST, "/v2/library/app/blobs/uploads/").send().unwrap();
    let upload = begun.headers()["Location"].to_str().unwrap().to_owned();
    let chunk = http.request(Method::PATCH, &upload).body("12345").send().unwrap();
    assert_eq!(chunk.status(), 202);
    let upload = chunk.headers()["Location"].to_str().unwrap().to_owned();
    server.terminate();
    let folder = server.data_directory().join("blobs/uploads");
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    for (kind, bytes) in [("upload-short", &b"123"[..]), ("upload-missing", b"")] {
        match bytes {
            b"" => fs::remove_file(&file).unwrap(),
            bytes => fs::write(&file, bytes).unwrap(),
        }
        let (code, report, said) = fsck(&server, &["--bytes"]);
        assert_eq!((code, found(&report)), (0, vec![(kind.to_owned(), 1)]), "{said}");
        assert_eq!((&report["healthy"], &report["defects"]), (&true.into(), &0.into()));
        assert_eq!(report["findings"][0]["severity"], "expected");
    }
    // Its client is told so, and begins again.
    server.restart();
    let status = server.admin().get(&upload).unwrap();
    assert!([204, 404].contains(&status.status().as_u16()), "{}", status.status());
    let more = server.admin().request(Method::PATCH, &upload).body("678").send().unwrap();
    assert_eq!(more.status(), 404, "{}", more.text().unwrap());
    server.terminate();
    assert_eq!(fsck(&server, &["--repair"]).0, 0);
    let (code, report, _) = fsck(&server, &[]);
    assert_eq!((code, found(&report)), (0, Vec::new()));
}

#[test]
fn what_is_no_data_directory_cannot_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("none");
    let ran = Command::new(binary()).args(["fsck", "--data-dir"]).arg(&empty).output().unwrap();
    assert_eq!(ran.status.code(), Some(8));
    assert!(!empty.exists(), "nothing is made");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(said.contains("not the data directory of a server"), "{said}");
}
