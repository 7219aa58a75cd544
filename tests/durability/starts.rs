//! First start, second start, and starts that must fail clearly.

use std::{path::Path, process::Command};

use sealock_tests::{
    clients::Desk,
    images::Image,
    server::{Options, Server, binary},
};

#[test]
fn without_a_given_password_one_is_made_and_shown_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(Options { generated_password: true, ..Options::default() });
    let said = server.log();
    let password = said
        .lines()
        .find_map(|line| line.split_once("password ").map(|(_, rest)| rest))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no password is shown:\n{said}"))
        .to_owned();
    assert!(password.len() >= 16, "{password:?} is short");
    let admin = server.http().with_user("admin", &password);
    assert_eq!(admin.get("/v2/").unwrap().status(), 200);
    server.terminate();
    server.restart();
    assert_eq!(server.log().matches(&password).count(), 1, "the password is shown again");
    assert_eq!(admin.get("/v2/").unwrap().status(), 200, "it changed at the second start");
    drop(directory);
}

#[test]
fn no_default_password_works() {
    let server = Server::start_with(Options { generated_password: true, ..Options::default() });
    for password in ["", "admin", "password", "sealock", "Harbor12345"] {
        let answer = server.http().with_user("admin", password).get("/v2/").unwrap();
        assert_eq!(answer.status(), 401, "{password:?} logs in");
    }
}

#[test]
fn two_servers_do_not_share_a_data_directory() {
    let server = Server::start();
    let second = Command::new(binary())
        .arg("serve")
        .arg("--data-dir")
        .arg(server.data_directory())
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another sealock uses"), "{said}");
}

#[test]
fn a_damaged_database_is_an_error_that_says_so() {
    let mut server = Server::start();
    server.terminate();
    let database = std::fs::read_dir(server.data_directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "db" || end == "sqlite"))
        .expect("a database file");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[..64].fill(0xa5);
    std::fs::write(&database, &bytes).unwrap();
    // The write-ahead log may hold a sound copy of the page: with it the database would be whole.
    for log in ["-wal", "-shm"] {
        let mut name = database.clone().into_os_string();
        name.push(log);
        let _ = std::fs::remove_file(name);
    }
    let start = Command::new(binary())
        .arg("serve")
        .arg("--data-dir")
        .arg(server.data_directory())
        .args(["--listen", &server.host(), "--no-admission"])
        .output()
        .unwrap();
    assert!(!start.status.success());
    let said = String::from_utf8_lossy(&start.stderr);
    assert!(said.contains("database"), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), bytes, "the damaged file was changed");
}

#[test]
fn a_missing_database_is_not_replaced_by_an_empty_one() {
    let mut server = Server::start();
    server.terminate();
    let database = server.data_directory().join("sealock.db");
    let aside = server.scratch().join("aside.db");
    std::fs::rename(&database, &aside).unwrap();
    let start = Command::new(binary())
        .arg("serve")
        .arg("--data-dir")
        .arg(server.data_directory())
        .args(["--listen", &server.host(), "--no-admission"])
        .output()
        .unwrap();
    assert!(!start.status.success());
    let said = String::from_utf8_lossy(&start.stderr);
    assert!(said.contains("is missing") && said.contains("backup"), "{said}");
    assert!(!database.exists(), "an empty database took its place");
    std::fs::rename(&aside, &database).unwrap();
    server.restart();
    assert_eq!(server.admin().get("/v2/").unwrap().status(), 200);
}

#[test]
fn the_first_words_say_how_to_go_on() {
    let server = Server::start_with(Options { generated_password: true, ..Options::default() });
    let said = server.log();
    let line = |word: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(word));
        found.unwrap_or_else(|| panic!("{word:?} is missing in:\n{said}")).trim().to_owned()
    };
    let (login, secret) = line("Log in:").split_once(" # password ").map_or_else(
        || panic!("no password in:\n{said}"),
        |(login, rest)| (login.to_owned(), rest.split(' ').next().unwrap().to_owned()),
    );
    // The lines are done as they stand, with a real image in the place of the example's.
    let desk = Desk::anonymous(&server);
    let image = Image::named("small").reference();
    let push = line("Push:").replace("docker-archive:app.tar", &image);
    let look = line("Look:");
    let login = login.replace("skopeo login", "skopeo login --password-stdin");
    let script = format!("set -eu; echo '{secret}' | {login}; {push}; {look} | grep sha256:");
    desk.run(Path::new("sh"), &["-c", &script]).ok();
}

#[test]
fn a_lost_password_is_reset_on_the_machine() {
    let mut server = Server::start();
    let old = server.admin();
    let reset = |server: &Server, user: &str, chosen: Option<&str>| {
        let mut command = Command::new(binary());
        command.args(["user", "reset-password", user, "--data-dir"]);
        command.arg(server.data_directory()).env_remove("SEALOCK_NEW_PASSWORD");
        if let Some(chosen) = chosen {
            command.env("SEALOCK_NEW_PASSWORD", chosen);
        }
        let ran = command.output().unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.success(), String::from_utf8(said).unwrap())
    };
    // Two programs never share the embedded database.
    let (done, said) = reset(&server, "admin", None);
    assert!(!done && said.contains("another sealock uses"), "{said}");
    server.terminate();
    let (done, said) = reset(&server, "nobody", None);
    assert!(!done && said.contains("no user"), "{said}");
    let (done, said) = reset(&server, "admin", Some("short"));
    assert!(!done && said.contains('8'), "{said}");
    let (done, said) = reset(&server, "admin", None);
    assert!(done, "{said}");
    let password = said.split(" is now ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    server.restart();
    assert_eq!(old.get("/v2/").unwrap().status(), 401, "the old password still works");
    let admin = server.http().with_user("admin", password);
    assert_eq!(admin.get("/v2/").unwrap().status(), 200);
    let events = admin.get("/api/sealock/v1/audit?action=update-user").unwrap().text().unwrap();
    assert!(events.contains("operator of the machine") && !events.contains(password), "{events}");

    // A folder that is none is not made into one.
    let nowhere = server.scratch().join("nowhere");
    let mut command = Command::new(binary());
    let ran =
        command.args(["user", "reset-password", "admin", "--data-dir"]).arg(&nowhere).output();
    assert!(!ran.unwrap().status.success());
    assert!(!nowhere.exists());
}
