//! Connections that are opened and held.

use crate::wire;
use sealock_tests::{
    http::Http,
    server::{Options, Server, pause},
};
use std::{
    io::Write as _,
    net::{IpAddr, TcpListener},
    time::Duration,
};

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

/// The listener of metrics has places of its own, half of which one address cannot pass.
#[test]
fn the_listener_of_metrics_has_few_places_and_no_address_takes_all() {
    /// As `MAX_METRICS_CONNECTIONS` of the server.
    const MOST: usize = 64;
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let environment = vec![("SEALOCK_METRICS_LISTEN".into(), metrics.to_string())];
    let server = Server::start_with(Options { environment, ..Options::default() });
    let request = b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert_eq!(wire::exchange(metrics, request)[0].status, 200);
    let mut held: Vec<_> = (0..=MOST / 2).map(|_| wire::connect(metrics)).collect();
    let told = wire::answers(&wire::read(held.last_mut().unwrap()));
    assert_eq!((told.len(), told[0].status), (1, 429));
    let there = Http::new(&format!("http://{metrics}"));
    let there = there.from_address(IpAddr::from([127, 0, 0, 2]));
    assert_eq!(there.get("/metrics").unwrap().status(), 200);
    held.truncate(MOST / 2);
    // A second address takes the rest: the next one waits, and is let in when a place is free.
    let other: Vec<_> =
        (0..MOST / 2).map(|_| wire::connect_from([127, 0, 0, 3], metrics)).collect();
    let mut waiting = wire::connect_from([127, 0, 0, 4], metrics);
    waiting.write_all(request).unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut byte = [0];
    assert!(std::io::Read::read(&mut waiting, &mut byte).is_err(), "there was a place left");
    // The registry itself has its own.
    assert!(server.http().get("/health").unwrap().status().is_success());
    drop(other);
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(wire::answers(&wire::read(&mut waiting))[0].status, 200);
}
