//! A disk that runs full beneath a running server, as a user would see it.

use std::{fs::File, io::Write, time::Duration};

use reqwest::Method;
use sealock_tests::{
    images::{MANIFEST, Made, digest},
    server::{Options, Server, eventually},
};

const DISK_MIB: u32 = 96;
const BALLAST_MIB: usize = 48;
const LAYER_BYTES: usize = 4_000_000;

/// Pushes an image; what the server said where it took one of its parts not.
fn push(server: &Server, tag: u64, image: &Made) -> Result<(), (u16, String)> {
    let http = server.admin();
    let said = |answer: reqwest::blocking::Response| {
        (answer.status().as_u16(), answer.text().unwrap_or_default())
    };
    for blob in &image.blobs {
        let answer = http.push_blob("library/full", &digest(blob), blob.clone()).unwrap();
        if answer.status() != 201 {
            return Err(said(answer));
        }
    }
    let tag = format!("t{tag}");
    let answer = http.push_manifest("library/full", &tag, MANIFEST, &image.manifest).unwrap();
    if answer.status() == 201 { Ok(()) } else { Err(said(answer)) }
}

fn check(server: &Server, tag: u64, image: &Made) {
    let http = server.admin();
    let manifest = http.get(&format!("/v2/library/full/manifests/t{tag}")).unwrap();
    let (status, bytes) = (manifest.status(), manifest.bytes().unwrap());
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(digest(&bytes), image.digest(), "t{tag}: {status} {text}");
    for blob in &image.blobs {
        let got = http.get(&format!("/v2/library/full/blobs/{}", digest(blob))).unwrap();
        assert_eq!(digest(&got.bytes().unwrap()), digest(blob), "t{tag}");
    }
}

/// Every kind of write while not a byte is left. Where the database finds a page of its own to
/// write to again, it may be done; else the client is told why not. Whether the tag `extra` was
/// deleted.
fn refused_or_done(server: &Server, taken: &[(u64, Made)]) -> bool {
    let http = server.admin();
    let (_, image) = &taken[0];
    let layer = digest(&image.blobs[1]);
    let mount = format!("/v2/library/other/blobs/uploads/?mount={layer}&from=library/full");
    let delete = http.request(Method::DELETE, "/v2/library/full/manifests/extra").send().unwrap();
    let deleted = delete.status() == 202;
    let answers = [
        delete,
        http.request(Method::POST, "/v2/library/full/blobs/uploads/").send().unwrap(),
        http.request(Method::POST, &mount).send().unwrap(),
        http.push_manifest("library/full", "again", MANIFEST, &image.manifest).unwrap(),
        http.push_blob("library/full", &digest(b"some"), b"some".to_vec()).unwrap(),
        http.request(Method::DELETE, &format!("/v2/library/full/manifests/{}", digest(b"none")))
            .send()
            .unwrap(),
    ];
    for answer in answers {
        let (status, url) = (answer.status().as_u16(), answer.url().clone());
        let text = answer.text().unwrap();
        let told = matches!(status, 503 | 507) && text.contains("disk is full");
        assert!(told || matches!(status, 201 | 202 | 404), "{url}: {status} {text}");
    }
    // Who only reads, notices nothing.
    assert_eq!(http.get("/v2/library/full/tags/list").unwrap().status(), 200);
    deleted
}

#[test]
fn a_full_disk_is_said_loses_nothing_and_is_over_when_there_is_room_again() {
    let options = Options { disk_mib: Some(DISK_MIB), ..Options::default() };
    let Some(mut server) = Server::start_on_small_disk(options) else { return };
    let ballast = server.inside(&server.data_directory()).join("ballast");
    File::create(&ballast).unwrap().write_all(&vec![0; BALLAST_MIB << 20]).unwrap();

    let mut taken = Vec::new();
    let mut refused = 0;
    for seed in 0..40 {
        let image = Made::new(seed, LAYER_BYTES);
        match push(&server, seed, &image) {
            Ok(()) => taken.push((seed, image)),
            Err((status, text)) => {
                assert_eq!(status, 507, "{text}");
                assert!(text.contains("disk is full"), "{text}");
                let http = server.admin();
                let tag = http.get(&format!("/v2/library/full/manifests/t{seed}")).unwrap();
                assert_eq!(tag.status(), 404, "a push that was refused is visible");
                refused += 1;
            }
        }
        if refused >= 4 {
            break;
        }
    }
    assert!(taken.len() >= 3 && refused >= 4, "{} taken, {refused} refused", taken.len());
    assert!(server.runs());
    for (seed, image) in &taken {
        check(&server, *seed, image);
    }

    let (_, image) = &taken[0];
    let extra =
        server.admin().push_manifest("library/full", "extra", MANIFEST, &image.manifest).unwrap();
    assert_eq!(extra.status(), 201);

    // Not a byte is left: not even the database can write.
    let filler = server.inside(&server.data_directory()).join("filler");
    let mut filler_file = File::create(&filler).unwrap();
    while filler_file.write_all(&[0; 4096]).is_ok() {}
    let taken_back = refused_or_done(&server, &taken);
    let small = Made::new(1_000, 10);
    let (status, text) = push(&server, 1_000, &small).unwrap_err();
    assert!(matches!(status, 503 | 507), "{status}: {text}");
    assert!(text.contains("disk is full"), "{text}");
    for (seed, image) in &taken {
        check(&server, *seed, image);
    }

    assert!(server.runs());
    std::fs::remove_file(&filler).unwrap();
    std::fs::remove_file(&ballast).unwrap();
    eventually("there is room again", Duration::from_secs(30), || {
        push(&server, 1_000, &small).ok()
    });
    let tag = server.admin().get("/v2/library/full/manifests/extra").unwrap();
    assert_eq!(tag.status() == 200, !taken_back, "a deletion of the tag was answered otherwise");
    let image = Made::new(2_000, LAYER_BYTES);
    push(&server, 2_000, &image).unwrap();
    check(&server, 2_000, &image);
    for (seed, image) in &taken {
        check(&server, *seed, image);
    }
    server.terminate();
}
