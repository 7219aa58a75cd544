//! A certificate is renewed while the server runs.

use sealock_tests::{
    clients::run,
    http::Http,
    server::{Options, Server, TlsFiles, eventually},
};
use std::time::Duration;

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (before, after) = (TlsFiles::new(first.path()), TlsFiles::new(second.path()));
    let server = Server::start_with(Options { tls: Some(before.clone()), ..Options::default() });
    // Each on a connection of its own.
    let trusts = |tls: &TlsFiles| {
        let http = Http::new(&server.url()).trusting(&tls.authority);
        http.get("/health").is_ok_and(|answer| answer.status() == 200)
    };
    let look = || run("kill", &["-HUP", &server.process().to_string()]).ok();
    let told = |words: &str| server.log().matches(words).count();
    assert!(trusts(&before) && !trusts(&after));

    // What does not fit together is told, and changes nothing.
    let refused = "the certificate was changed and cannot be used";
    std::fs::copy(&after.certificate, &before.certificate).unwrap();
    look();
    eventually("the refusal in the log", Duration::from_secs(10), || {
        (told(refused) == 1).then_some(())
    });
    assert!(trusts(&before) && !trusts(&after));
    assert!(server.log().contains("do not fit each other"), "{}", server.log());

    std::fs::copy(&after.key, &before.key).unwrap();
    look();
    eventually("the renewed certificate", Duration::from_secs(10), || {
        (trusts(&after) && !trusts(&before)).then_some(())
    });
    eventually("the renewal in the log", Duration::from_secs(10), || {
        (told("the renewed certificate is shown from now on") == 1).then_some(())
    });
    // The server goes on: SIGHUP is no reason to end.
    look();
    assert!(trusts(&after));
    assert_eq!(told(refused), 1, "told once");
}
