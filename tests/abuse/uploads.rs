//! Uploads that are begun and never ended.

use reqwest::Method;
use sealock_registry::{MAX_OPEN_UPLOADS, MAX_UNENDED_UPLOADS, UNENDED_UPLOADS_PER_SECOND};
use sealock_tests::server::Server;
use std::{fs, net::IpAddr, thread, time::Instant};

const MOST: usize = MAX_OPEN_UPLOADS as usize;

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.process())).unwrap().count()
}

fn resident_mib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn thousands_of_open_uploads_hold_no_file_and_end_at_a_limit() {
    let server = Server::start();
    let admin = server.admin();
    let begin = |repository: &str| {
        admin.request(Method::POST, &format!("/v2/{repository}/blobs/uploads/")).send().unwrap()
    };
    let mut locations = Vec::new();
    for _ in 0..100 {
        locations.push(begin("library/app").headers()["location"].to_str().unwrap().to_owned());
    }
    let (files, memory) = (open_files(&server), resident_mib(&server));
    for number in locations.len()..MOST {
        let begun = begin("library/app");
        assert_eq!(begun.status(), 202, "number {number}");
        locations.push(begun.headers()["location"].to_str().unwrap().to_owned());
    }
    // Some bytes in each of many: what is held is on the disk, not in the process.
    for location in &locations[..200] {
        let sent = admin.request(Method::PATCH, location).body(vec![1; 10_000]).send().unwrap();
        assert_eq!(sent.status(), 202);
    }
    assert!(open_files(&server) <= files + 8, "{} after {files}", open_files(&server));
    assert!(resident_mib(&server) <= memory + 40, "{} after {memory}", resident_mib(&server));
    let full = begin("library/app");
    assert_eq!(full.status(), 429);
    assert!(full.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let text = full.text().unwrap();
    assert!(text.contains("TOOMANYREQUESTS") && text.contains("unfinished uploads"), "{text}");
    // Whoever ends one may begin one, and another repository has its own number.
    assert_eq!(begin("library/other").status(), 202);
    assert_eq!(admin.request(Method::DELETE, &locations[0]).send().unwrap().status(), 204);
    assert_eq!(begin("library/app").status(), 202);
}

/// An address that begins uploads without end is stopped, in however many repositories it does so;
/// others push.
#[test]
fn an_address_begins_only_so_many_uploads_without_ending_any() {
    let server = Server::start();
    let admin = server.admin();
    let (began, share) = (Instant::now(), MAX_UNENDED_UPLOADS / 4 + 400);
    let begin = |who: &sealock_tests::http::Http, repository: &str| {
        let path = format!("/v2/library/{repository}/blobs/uploads/");
        who.request(Method::POST, &path).send().unwrap()
    };
    let (taken, refused) = thread::scope(|scope| {
        let work = |worker: u32| {
            let (mut taken, mut refused) = (0, 0);
            for number in 0..share {
                match begin(&admin, &format!("r{worker}-{}", number / 500)).status().as_u16() {
                    202 => taken += 1,
                    429 => refused += 1,
                    other => panic!("{other}"),
                }
                if refused == 3 {
                    break;
                }
            }
            (taken, refused)
        };
        let workers: Vec<_> = (0..4).map(|worker| scope.spawn(move || work(worker))).collect();
        let all = workers.into_iter().map(|worker| worker.join().unwrap());
        all.fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    });
    let over = began.elapsed().as_secs() as u32 * UNENDED_UPLOADS_PER_SECOND;
    assert!(taken <= MAX_UNENDED_UPLOADS + over + UNENDED_UPLOADS_PER_SECOND, "{taken}");
    assert!(refused > 0, "{taken} were taken");
    let there = server.admin().from_address(IpAddr::from([127, 0, 0, 2]));
    assert_eq!(begin(&there, "app").status(), 202);
}
