use sealock_tests::clients::Desk;

use crate::shop;

/// Charts as OCI artifacts: pushed, shown, pulled, listed and deleted.
#[test]
fn helm_pushes_shows_and_pulls_charts() {
    let (server, desk) = shop();
    desk.helm(&["create", "shopfront"]).ok();
    desk.helm(&["package", "shopfront", "--version", "0.1.0"]).ok();
    desk.helm(&["package", "shopfront", "--version", "0.2.0"]).ok();
    let repository = format!("oci://{}", desk.name("shop/charts"));
    for chart in ["shopfront-0.1.0.tgz", "shopfront-0.2.0.tgz"] {
        desk.helm(&["push", chart, &repository, "--plain-http"]).ok();
    }
    let chart = format!("{repository}/shopfront");
    let show =
        |version: &str| desk.helm(&["show", "chart", &chart, "--plain-http", "--version", version]);
    assert!(show("0.1.0").ok().contains("version: 0.1.0"));
    // A range of versions is answered from the list of tags.
    assert!(show("<1").ok().contains("version: 0.2.0"));
    let tags = desk.crane(&["ls", &desk.name("shop/charts/shopfront")]).ok();
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["0.1.0", "0.2.0"]);

    std::fs::create_dir(desk.home().join("pulled")).unwrap();
    desk.helm(&["pull", &chart, "--plain-http", "--version", "0.1.0", "-d", "pulled"]).ok();
    let bytes = |path: &str| std::fs::read(desk.home().join(path)).unwrap();
    assert!(bytes("pulled/shopfront-0.1.0.tgz") == bytes("shopfront-0.1.0.tgz"));
    let rendered = desk.helm(&["template", &chart, "--plain-http", "--version", "0.2.0"]).ok();
    assert!(rendered.contains("kind: Deployment"), "{rendered}");

    // A chart copied by another client is the chart.
    let copied = desk.name("shop/mirror/shopfront:0.1.0");
    desk.crane(&["copy", &desk.name("shop/charts/shopfront:0.1.0"), &copied]).ok();
    let mirror = format!("oci://{}", desk.name("shop/mirror/shopfront"));
    let pull = ["pull", &mirror, "--plain-http", "--version", "0.1.0", "-d", "mirrored"];
    std::fs::create_dir(desk.home().join("mirrored")).unwrap();
    desk.helm(&pull).ok();
    assert!(bytes("mirrored/shopfront-0.1.0.tgz") == bytes("shopfront-0.1.0.tgz"));

    desk.oras(&[
        "manifest",
        "delete",
        "--plain-http",
        "--force",
        &desk.name("shop/charts/shopfront:0.1.0"),
    ])
    .ok();
    show("0.1.0").refused("not found");
    assert!(show("0.2.0").ok().contains("version: 0.2.0"));
    let nobody = Desk::anonymous(&server);
    nobody.helm(&["show", "chart", &chart, "--plain-http", "--version", "0.2.0"]).refused("");
}
