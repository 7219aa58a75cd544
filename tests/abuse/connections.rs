//! Connections that are opened and held.

use crate::wire;
use sealock_tests::server::{Options, Server, pause};
use std::{io::Write as _, net::IpAddr, time::Duration};

#[test]
fn one_address_does_not_take_every_connection() {
    let settings =
        [("SEALOCK_MAX_CONNECTIONS", "40"), ("SEALOCK_MAX_CONNECTIONS_PER_ADDRESS", "9")];
    let environment = settings.map(|(name, value)| (name.into(), value.into())).to_vec();
    let server = Server::start_with(Options { environment, ..Options::default() });
    let mut held: Vec<_> = (0..60).map(|_| wire::connect(server.address)).collect();
    // Those that are one too many are told, and closed.
    let told = wire::answers(&wire::read(held.last_mut().unwrap()));
    assert_eq!((told.len(), told[0].status), (1, 429));
    assert_eq!(told[0].header("retry-after"), Some("5"));
    assert!(told[0].body.ends_with("]}"), "the whole body: {}", told[0].body);
    let there = server.http().from_address(IpAddr::from([127, 0, 0, 2]));
    assert!(there.get("/health").unwrap().status().is_success());
    // A held connection still is one.
    let request = b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    held[0].write_all(request).unwrap();
    assert_eq!(wire::answers(&wire::read(&mut held[0]))[0].status, 200);
    drop(held);
    let begin = std::time::Instant::now();
    while !server.http().get("/health").is_ok_and(|answer| answer.status().is_success()) {
        assert!(begin.elapsed().as_secs() < 10, "places are not given back");
        pause(Duration::from_millis(50));
    }
    assert_eq!(wire::exchange(server.address, request)[0].status, 200);
}
