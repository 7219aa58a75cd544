//! Too many requests: who asks them is told when to come again, and nobody else notices.

use reqwest::blocking::Response;
use sealock_tests::{
    http::Http,
    server::{ADMIN_PASSWORD, Options, Server, pause},
};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn serve(settings: &[(&str, &str)]) -> Server {
    let environment = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Server::start_with(Options { environment: environment.collect(), ..Options::default() })
}

fn elsewhere(server: &Server) -> Http {
    server.http().from_address(IpAddr::from([127, 0, 0, 2]))
}

/// Asks until it is refused; how often it was answered, and the refusal.
fn hammer(ask: impl Fn() -> Response) -> (u32, Response) {
    for answered in 0..2_000 {
        let answer = ask();
        if answer.status() == 429 {
            return (answered, answer);
        }
    }
    panic!("never refused");
}

/// The code of a 429, which says when to come again.
fn refusal(answer: Response) -> (String, u64) {
    assert_eq!(answer.status(), 429);
    let seconds = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(seconds >= 1, "{seconds}");
    let body: Value = answer.json().unwrap();
    let error = &body["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("--rate-limit-"), "{body}");
    (error["code"].as_str().unwrap().to_owned(), seconds)
}

/// What is never refused for being asked too often.
fn free(http: &Http) {
    for (path, expected) in [
        ("/health".to_owned(), 200),
        (format!("/v2/library/app/referrers/sha256:{HEX}"), 200),
        (format!("/v2/library/app/manifests/sha256-{HEX}"), 404),
        (format!("/v2/library/app/manifests/sha256-{HEX}.sig"), 404),
    ] {
        for _ in 0..80 {
            assert_eq!(http.get(&path).unwrap().status(), expected, "{path}");
        }
    }
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_again() {
    let server = serve(&[("SEALOCK_RATE_LIMIT_ADDRESS", "1")]);
    let (http, admin) = (server.http(), server.admin());
    let (answered, refused) = hammer(|| http.get("/v2/").unwrap());
    assert!((50..=65).contains(&answered), "{answered}");
    let (code, seconds) = refusal(refused);
    assert_eq!(code, "TOOMANYREQUESTS");
    for (path, expected) in [
        ("/v2/library/app/tags/list", "TOOMANYREQUESTS"),
        ("/service/token?service=sealock", "TOOMANYREQUESTS"),
        ("/v2/token", "TOOMANYREQUESTS"),
        ("/api/v2.0/ping", "TOO_MANY_REQUEST"),
        ("/api/sealock/v1/me", "TOOMANYREQUESTS"),
        ("/nowhere", "TOOMANYREQUESTS"),
    ] {
        let (code, _) = refusal(hammer(|| admin.get(path).unwrap()).1);
        assert_eq!(code, expected, "{path}");
    }
    // Nobody becomes somebody else by saying so.
    let claims = |n: u32| {
        let request = http.request(reqwest::Method::GET, "/v2/");
        request.header("X-Forwarded-For", format!("198.51.100.{n}")).send().unwrap()
    };
    let refused = (0..20).filter(|n| claims(*n).status() == 429).count();
    assert!(refused >= 17, "{refused}");
    // Lists of referrers, as cosign and others read them, and health are answered all the while.
    free(&admin);
    // Another address has its own allowance.
    assert_eq!(elsewhere(&server).get("/v2/").unwrap().status(), 401);
    pause(Duration::from_secs(seconds + 1));
    assert_eq!(http.get("/v2/").unwrap().status(), 401, "after Retry-After");
}

#[test]
fn an_account_has_one_allowance_wherever_it_asks_from() {
    let server = serve(&[("SEALOCK_RATE_LIMIT_ACCOUNT", "1")]);
    let admin = server.admin();
    let user = json!({"name": "ann", "password": ADMIN_PASSWORD});
    admin.write(reqwest::Method::POST, "/api/sealock/v1/users", &user);
    let token: Value = admin.json("/service/token?service=sealock");
    let (answered, refused) = hammer(|| admin.get("/v2/").unwrap());
    assert!((40..=65).contains(&answered), "{answered}");
    assert_eq!(refusal(refused).0, "TOOMANYREQUESTS");
    // From elsewhere, by token, at the token service and at the other faces it is the same.
    let there = elsewhere(&server);
    let as_admin = there.clone().with_user("admin", ADMIN_PASSWORD);
    let bearer = || {
        let request = there.request(reqwest::Method::GET, "/v2/");
        request.bearer_auth(token["token"].as_str().unwrap()).send().unwrap()
    };
    refusal(hammer(|| as_admin.get("/v2/").unwrap()).1);
    refusal(hammer(bearer).1);
    refusal(hammer(|| admin.get("/service/token?service=sealock").unwrap()).1);
    let harbor = refusal(hammer(|| admin.get("/api/v2.0/users/current").unwrap()).1);
    assert_eq!(harbor.0, "TOO_MANY_REQUEST");
    free(&as_admin);
    // Others are not touched.
    let ann = server.http().with_user("ann", ADMIN_PASSWORD);
    assert_eq!(ann.get("/v2/").unwrap().status(), 200);
    assert_eq!(server.http().get("/v2/").unwrap().status(), 401);
}

#[test]
fn guessing_passwords_of_many_names_closes_an_address_to_strangers_only() {
    let server = serve(&[("SEALOCK_RATE_LIMIT_LOGINS", "1")]);
    let admin = server.admin();
    let user = json!({"name": "ann", "password": ADMIN_PASSWORD});
    admin.write(reqwest::Method::POST, "/api/sealock/v1/users", &user);
    let ann = server.http().with_user("ann", ADMIN_PASSWORD);
    let guess = |number: u32| {
        server.http().with_user(&format!("name-{number}"), "a wrong one").get("/v2/").unwrap()
    };
    let failed = (0..20).take_while(|number| guess(*number).status() == 401).count();
    assert!((5..=8).contains(&failed), "{failed}");
    refusal(guess(100));
    // Somebody new is not looked at from there for a while, somebody known is.
    assert_eq!(ann.get("/v2/").unwrap().status(), 429);
    assert_eq!(admin.get("/v2/").unwrap().status(), 200);
    // From elsewhere everybody is.
    let there = elsewhere(&server).with_user("ann", ADMIN_PASSWORD);
    assert_eq!(there.get("/v2/").unwrap().status(), 200);
}

#[test]
fn who_asks_without_a_pause_is_answered_and_others_have_their_turn() {
    let server = Server::start();
    let (good, greedy) = (server.admin(), elsewhere(&server));
    let path = format!("/v2/library/app/referrers/sha256:{HEX}");
    let (ended, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(30);
    std::thread::scope(|threads| {
        for _ in 0..16 {
            threads.spawn(|| {
                while !ended.load(Ordering::Relaxed) && Instant::now() < end {
                    assert_eq!(greedy.get(&path).unwrap().status(), 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..100 {
            let begin = Instant::now();
            assert_eq!(good.get("/v2/").unwrap().status(), 200);
            assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
            pause(Duration::from_millis(10));
        }
        ended.store(true, Ordering::Relaxed);
    });
    // Whoever waits for others is not forgotten.
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 200, "{answered} in a second");
    let begin = Instant::now();
    assert_eq!(greedy.get(&path).unwrap().status(), 200);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn who_asks_without_a_pause_does_not_fill_the_log() {
    let server = serve(&[("SEALOCK_RATE_LIMIT_LOG", "1")]);
    let (http, greedy) = (server.http(), elsewhere(&server));
    for _ in 0..300 {
        assert_eq!(greedy.get("/v2/").unwrap().status(), 401);
    }
    assert_eq!(http.get("/v2/_catalog").unwrap().status(), 401);
    let lines = |of: &str| {
        let log = server.log();
        let of_access = log.lines().filter(|line| line.contains("access"));
        of_access.filter(|line| line.contains(of)).map(str::to_owned).collect::<Vec<_>>()
    };
    // Lines wait for each other for a moment.
    let end = Instant::now() + Duration::from_secs(10);
    while lines("/v2/_catalog").is_empty() && Instant::now() < end {
        pause(Duration::from_millis(20));
    }
    assert_eq!(lines("/v2/_catalog").len(), 1, "others have their lines");
    let told = lines("127.0.0.2");
    assert!((60..=120).contains(&told.len()), "{} of 300", told.len());
    // The next line tells of those that are missing.
    pause(Duration::from_secs(2));
    assert_eq!(greedy.get("/v2/").unwrap().status(), 401);
    let untold = || -> u64 {
        let log = lines("127.0.0.2").join("\n");
        let counts = log.split("answers_not_logged=").skip(1);
        counts.map(|rest| rest.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    while untold() + (lines("127.0.0.2").len() as u64) < 301 && Instant::now() < end {
        pause(Duration::from_millis(20));
    }
    assert_eq!(untold() + lines("127.0.0.2").len() as u64, 301);
}

#[test]
fn a_proxy_that_does_not_say_whom_it_asks_for_has_a_line_for_each() {
    let server = serve(&[
        ("SEALOCK_RATE_LIMIT_LOG", "1"),
        ("SEALOCK_TRUSTED_PROXIES", "127.0.0.9,127.0.0.2"),
        ("SEALOCK_LOG_JSON", "1"),
        ("SEALOCK_INSPECT_LATER", "0"),
    ]);
    let proxy = elsewhere(&server);
    for _ in 0..300 {
        assert_eq!(proxy.get("/v2/").unwrap().status(), 401);
    }
    let lines =
        || server.log().lines().filter(|line| line.contains("\"client\":\"127.0.0.2\"")).count();
    let end = Instant::now() + Duration::from_secs(10);
    while lines() < 300 && Instant::now() < end {
        pause(Duration::from_millis(20));
    }
    assert_eq!(lines(), 300, "it is everybody");
}

#[test]
fn nobody_waits_for_who_does_not_read_the_log() {
    let start = || {
        let environment = vec![("SEALOCK_RATE_LIMIT_LOG".to_owned(), "0".to_owned())];
        Server::start_with(Options { log_pipe: true, environment, ..Options::default() })
    };
    let agent = "x".repeat(4_000);
    let ask = |server: &Server, times: u32| {
        let http = server.http();
        for _ in 0..times {
            let asked = http.request(reqwest::Method::GET, "/v2/").header("user-agent", &agent);
            assert_eq!(asked.timeout(Duration::from_secs(20)).send().unwrap().status(), 401);
        }
    };
    // A pipe has room for sixteen such lines, and the server's memory for a thousand.
    let mut server = start();
    ask(&server, 1_500);
    let log = server.read_log_pipe();
    server.terminate();
    let log = log.join().unwrap();
    let there = log.lines().filter(|line| line.contains(&agent)).count();
    let told = log.lines().filter(|line| line.contains("lines are lost"));
    let lost = told.filter_map(|line| line.split("lines=").nth(1)?.trim().parse::<usize>().ok());
    let lost: usize = lost.sum();
    assert!(lost > 300 && there + lost == 1_500, "{there} lines, {lost} said to be lost");
    // And the server ends while nobody reads.
    let mut server = start();
    ask(&server, 100);
    server.terminate();
}

#[test]
fn no_limit_is_felt_by_a_crowd_that_means_well() {
    let server = Server::start();
    let (http, admin) = (server.http(), server.admin());
    for number in 0..1_500 {
        let client = if number % 2 == 0 { &http } else { &admin };
        assert_ne!(client.get("/v2/").unwrap().status(), 429, "after {number}");
    }
}
