//! PostgreSQL goes away beneath a running server and comes back.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use sealock_tests::{
    admission::Webhook,
    clients::Desk,
    images::{Image, MANIFEST, Made, digest},
    server::{Options, Server, eventually, new_postgres_database},
};
use tempfile::TempDir;

/// Stands between the server and PostgreSQL and can be cut.
struct Line {
    directory: TempDir,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

const SOCKET: &str = ".s.PGSQL.5432";

impl Line {
    fn to(postgres: PathBuf) -> Self {
        let directory = TempDir::with_prefix("line-").unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let (cut, open) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<_>>>::default());
        let (is_cut, streams) = (cut.clone(), open.clone());
        thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { return };
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let far = UnixStream::connect(&postgres).unwrap();
                let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
                streams.lock().unwrap().extend(ends);
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                thread::spawn(move || carry(near, far));
                thread::spawn(move || carry(back.0, back.1));
            }
        });
        Self { directory, cut, open }
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn carry(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The directory of the server's socket, and the URL with another one.
fn through(url: &str, line: impl FnOnce(PathBuf) -> Line) -> (String, Line) {
    let (before, host) = url.split_once("host=").expect("a socket's directory");
    let (host, after) = host.split_once('&').unwrap_or((host, ""));
    let line = line(Path::new(host).join(SOCKET));
    let directory = line.directory.path().display().to_string();
    let join = if after.is_empty() { "" } else { "&" };
    (format!("{before}host={directory}{join}{after}"), line)
}

#[test]
fn postgresql_goes_away_and_comes_back() {
    let Some(database) = new_postgres_database() else { return };
    let (database, line) = through(&database, Line::to);
    let mut server = Server::start_with(Options { database: Some(database), ..Options::default() });
    let http = server.admin();
    let image = Made::new(1, 100_000);
    for blob in &image.blobs {
        assert_eq!(
            http.push_blob("library/app", &digest(blob), blob.clone()).unwrap().status(),
            201
        );
    }
    let put = || http.push_manifest("library/app", "v1", MANIFEST, &image.manifest).unwrap();
    assert_eq!(put().status(), 201);
    // Pulled, and not yet written to the audit log, when the line is cut.
    assert_eq!(http.get("/v2/library/app/manifests/v1").unwrap().status(), 200);
    let late = Made::new(2, 100_000);
    let post = |path: &str| http.request(Method::POST, path).send().unwrap();
    let begun = post("/v2/library/app/blobs/uploads/");
    let upload = begun.headers()["Location"].to_str().unwrap().to_owned();
    line.cut();

    let whole = digest(&late.blobs[1]);
    let layer = digest(&image.blobs[1]);
    let join = if upload.contains('?') { '&' } else { '?' };
    let ask = |method, path: &str| http.request(method, path).send().unwrap();
    let patch = http.request(Method::PATCH, &upload).body(late.blobs[1].clone());
    let end = http.request(Method::PUT, &format!("{upload}{join}digest={whole}"));
    let refused = [
        http.get("/v2/library/app/manifests/v1").unwrap(),
        http.get(&format!("/v2/library/app/blobs/{layer}")).unwrap(),
        http.get("/v2/library/app/tags/list").unwrap(),
        http.get(&format!("/v2/library/app/referrers/{}", image.digest())).unwrap(),
        http.push_blob("library/app", &whole, late.blobs[1].clone()).unwrap(),
        post(&format!("/v2/library/app/blobs/uploads/?digest={whole}")),
        post(&format!("/v2/library/other/blobs/uploads/?mount={layer}&from=library/app")),
        patch.send().unwrap(),
        end.body(late.blobs[1].clone()).send().unwrap(),
        http.push_manifest("library/app", "v2", MANIFEST, &image.manifest).unwrap(),
        ask(Method::DELETE, "/v2/library/app/manifests/v1"),
        ask(Method::DELETE, &format!("/v2/library/app/manifests/{}", image.digest())),
        ask(Method::DELETE, &format!("/v2/library/app/blobs/{layer}")),
        ask(Method::DELETE, &upload),
        http.get("/health").unwrap(),
    ];
    for answer in refused {
        assert_eq!(answer.status(), 503, "{}", answer.url());
        let health = answer.url().path() == "/health";
        assert!(health || answer.headers().contains_key("retry-after"), "{}", answer.url());
        let text = answer.text().unwrap();
        assert!(!text.contains("host=") && !text.contains(SOCKET), "it tells too much: {text}");
        assert!(health || text.contains("database"), "{text}");
    }
    // Somebody who logs in now is told the same, and not that the password is wrong.
    let login = server.http().with_user("admin", "not-the-password").get("/v2/").unwrap();
    assert_eq!(login.status(), 503, "{}", login.text().unwrap());
    assert!(server.runs());

    line.mend();
    eventually("the database is back", Duration::from_secs(60), || {
        http.get("/health").unwrap().status().is_success().then_some(())
    });
    let manifest = http.get("/v2/library/app/manifests/v1").unwrap();
    assert_eq!(digest(&manifest.bytes().unwrap()), image.digest());
    // Nothing that was refused has happened, and the upload that was begun goes on.
    let end = http.request(Method::PUT, &format!("{upload}{join}digest={whole}"));
    assert_eq!(end.body(late.blobs[1].clone()).send().unwrap().status(), 201);
    let config = &late.blobs[0];
    let pushed = http.push_blob("library/app", &digest(config), config.clone()).unwrap();
    assert_eq!(pushed.status(), 201);
    assert_eq!(http.get("/v2/library/app/manifests/v2").unwrap().status(), 404);
    let pushed = http.push_manifest("library/app", "v2", MANIFEST, &late.manifest).unwrap();
    assert_eq!(pushed.status(), 201);
    let events = format!("/api/sealock/v1/audit?action=pull&digest={}", image.digest());
    eventually("both pulls are on record", Duration::from_secs(20), || {
        (http.json(&events)["items"].as_array().unwrap().len() >= 2).then_some(())
    });
    server.terminate();
}

/// No image is let in on the word of a registry that cannot look it up; the cluster hears why.
#[test]
fn the_admission_door_is_closed_while_the_database_is_away() {
    let Some(database) = new_postgres_database() else { return };
    let (database, line) = through(&database, Line::to);
    let options = Options { database: Some(database), admission: true, ..Options::default() };
    let mut server = Server::start_with(options);
    let admin = Desk::admin(&server);
    let webhook = Webhook::of(&server, &admin);
    let small = Image::named("small").reference();
    admin.skopeo_push(&small, "library/app:v1", &["--preserve-digests"]).ok();
    let image = admin.name("library/app:v1");
    let is_open = || {
        let answers = webhook.ask_both(&image).map(|answer| {
            let told = answer.status() == 200;
            told && answer.json::<serde_json::Value>().unwrap()["response"]["allowed"] == true
        });
        answers == [true, true]
    };
    eventually("the image may run", Duration::from_secs(30), || is_open().then_some(()));

    line.cut();
    for image in [image.as_str(), &admin.name("library/app:none")] {
        let begun = Instant::now();
        for answer in webhook.ask_both(image) {
            let status = answer.status();
            let text = answer.text().unwrap();
            // Any status but 2xx is a failure to the API server, whose policy for it is to refuse.
            assert_eq!(status, 503, "{text}");
            assert!(text.contains("database") && !text.contains("host="), "{text}");
        }
        // An API server waits for 10 seconds.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
    assert!(server.runs());

    line.mend();
    eventually("the door is open again", Duration::from_secs(60), || is_open().then_some(()));
    assert_eq!(webhook.admit(&admin.name("library/app:none"))["allowed"], false);
    server.terminate();
}

#[test]
fn a_server_without_its_database_does_not_start() {
    let Some(database) = new_postgres_database() else { return };
    let (database, line) = through(&database, Line::to);
    line.cut();
    let directory = TempDir::with_prefix("sealock-test-").unwrap();
    let start = std::process::Command::new(sealock_tests::server::binary())
        .arg("serve")
        .arg("--data-dir")
        .arg(directory.path().join("data"))
        .args(["--listen", "127.0.0.1:0", "--no-admission", "--database-url", &database])
        .output()
        .unwrap();
    assert!(!start.status.success());
    let said = String::from_utf8_lossy(&start.stderr);
    assert!(said.contains("database cannot be reached"), "{said}");
    assert!(!said.contains("host="), "the URL is shown: {said}");
}
