use super::Order;
use proptest::prelude::*;
use std::{cmp::Ordering, fs, path::PathBuf};

fn check(order: Order, table: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in table.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let [a, relation, b] = words[..] else { panic!("not a pair: {line}") };
        let expected = match relation {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            _ => panic!("not a relation: {line}"),
        };
        let (forward, back) = (order.compare(a, b), order.compare(b, a));
        if forward != expected || back != expected.reverse() {
            wrong.push(format!("{line}: got {forward:?}, reversed {back:?}"));
        }
    }
    wrong
}

const DEBIAN: &str = "
1.0 = 0:1.0-0
1:0.1 > 9
1.0~rc1-1 < 1.0-1
1.0~~ < 1.0~
1.0~ < 1.0
1.0 < 1.0a
1.0a < 1.0+
1.0+dfsg-1 > 1.0-1
1.2.3-1~deb12u1 < 1.2.3-1
1.2.3-1+deb12u1 > 1.2.3-1
1.2.3-1+deb12u1 < 1.2.3-1+deb12u10
1.0-1ubuntu1 < 1.0-1+deb9u1
20250101000000000000001 > 20250101000000000000000
00018446744073709551616 > 18446744073709551615
1.002 = 1.2
3.0.11-1~deb12u2 < 3.0.15-1~deb12u1
2.36-9+deb12u4 > 2.36-9+deb12u3
";

const ALPINE: &str = "
1.0 < 1.0.1
1.0_alpha < 1.0_beta
1.0_beta < 1.0_pre
1.0_pre < 1.0_rc
1.0_rc9 < 1.0
1.0 < 1.0_cvs
1.0_cvs < 1.0_svn
1.0_svn < 1.0_git
1.0_git < 1.0_hg
1.0_hg < 1.0_p
1.0_p1 < 1.0a
1.0-r0 > 1.0
1.0-r10 > 1.0-r9
1.0-r9 < 1.0a-r0
3.0.8-r3 < 3.0.8-r4
1.02 < 1.1
1.010 < 1.02
1.10 > 1.9
99999999999999999999999 > 99999999999999999999998
1.0~abc-r0 < 1.0~abd-r0
";

const PYPI: &str = "
1.0 = 1.0.0
1.0.dev1 < 1.0a1
1.0a1 < 1.0b1
1.0b1 < 1.0rc1
1.0c1 = 1.0rc1
1.0.alpha1 = 1.0a1
1.0-preview_2 = 1.0rc2
1.0rc1 < 1.0
1.0 < 1.0+local
1.0+local < 1.0.post1
1.0-1 = 1.0.post1
1.0.post1.dev1 < 1.0.post1
1.0rev2 = 1.0.post2
1.0a1.dev1 < 1.0a1
1.0a1 < 1.0a1.post1
1!0.1 > 2024.1
v1.0 = 1.0
1.0a = 1.0a0
1.0.a- = 1.0a0
1.0a-.dev1 = 1.0a0.dev1
1.0a--1 = 1.0a0.post1
1.0+ubuntu-1 = 1.0+UBUNTU.1
1.0+1 > 1.0+abc
0.1.dev-r1716 < 0.0.1
100000000000000000000000 > 99999999999999999999999
";

const SEMANTIC: &str = "
1.0.0-alpha < 1.0.0-alpha.1
1.0.0-alpha.1 < 1.0.0-alpha.beta
1.0.0-rc.1 < 1.0.0
1.0.0+a = 1.0.0+b
v1.2.3 = =1.2.3
1.2 = 1.2.0
1.2.3beta < 1.2.3
1.2.3beta = 1.2.3-beta
10.0.0 > 9.99.99
1.0.0-9 < 1.0.0-a
0.0.0-0 < 0.0.0
";

#[test]
fn own_tables() {
    for (order, table) in [
        (Order::Debian, DEBIAN),
        (Order::Alpine, ALPINE),
        (Order::Pypi, PYPI),
        (Order::Semantic, SEMANTIC),
    ] {
        let wrong = check(order, table);
        assert!(wrong.is_empty(), "{order:?}: {wrong:#?}");
    }
}

/// The pairs of the shared data, judged by each system's own tool.
#[test]
fn shared_pairs() {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/testdata/scanning/versions");
    if !base.is_dir() {
        eprintln!("note: shared version pairs are absent, only the own tables were checked");
        return;
    }
    for (order, files) in [
        (
            Order::Debian,
            &[
                "curated/debian-versions.txt",
                "generated-sample/debian-versions-generated.txt",
                "real-tool/debian-dpkg-1.21.txt",
            ][..],
        ),
        (
            Order::Alpine,
            &["curated/alpine-versions.txt", "generated-sample/alpine-versions-generated.txt"],
        ),
        (
            Order::Pypi,
            &[
                "curated/pypi-versions.txt",
                "generated-sample/pypi-versions-generated.txt",
                "real-tool/pypi-packaging.txt",
            ],
        ),
        (Order::Semantic, &["curated/semver-versions.txt"]),
    ] {
        for file in files {
            let wrong = check(order, &fs::read_to_string(base.join(file)).unwrap());
            assert!(wrong.is_empty(), "{file}: {} wrong: {:#?}", wrong.len(), wrong);
        }
    }
}

#[test]
fn what_is_a_version() {
    for (order, good, bad) in [
        (
            Order::Debian,
            &["1.0", "1:1.0-1", "0~", "1.0-1-2", "2024a"][..],
            &["", "-1", "1.0 1", "a:1.0", ":1", "1.0/2", "${binary:Version}"][..],
        ),
        (
            Order::Alpine,
            &["1", "1.2a", "1.2_rc1_p2-r0", "1.0~0a-r1"],
            &["", "a", ".1", "1.", "1-r", "1_foo", "1.0-1", "1.0bc", "1.2.0A", "1~"],
        ),
        (
            Order::Pypi,
            &["1", "1!1.0rc1.post2.dev3+a.1", "v1.0", "1.0-1", "1.0_b_2", " 1.0 "],
            &["", "a", "1.0-", "0.1.dev-r1716", "1.0+", "1.0+a..b", "1..0", "unknown", "1.*"],
        ),
        (
            Order::Semantic,
            &["1.2.3", "v1.2", "=1", "1.2.3-rc.1+b", "1.2.3beta"],
            &["", "x", "1.2.3.4", "latest", "1..2", "1.2.3-", "1.2.3-a..b", "git+ssh://a"],
        ),
    ] {
        for version in good {
            assert!(order.accepts(version), "{order:?} refuses {version:?}");
        }
        for version in bad {
            assert!(!order.accepts(version), "{order:?} accepts {version:?}");
        }
    }
}

fn any_order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Debian), Just(Order::Alpine), Just(Order::Pypi), Just(Order::Semantic)]
}

/// Texts that look like versions, plus anything at all.
fn any_version() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[0-9.]{1,6}(_|-|~|\\.)?(alpha|rc|p|dev|post|r|a|b|git|foo)?[0-9]{0,3}(-r[0-9])?",
        2 => "[0-9]{1,2}[:!]?[0-9.]{1,4}[-+~_.a-z0-9]{0,6}",
        1 => "[-+~_.:!a-cA-C0-2v=]{0,8}",
        1 => "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn orders_are_total(
        order in any_order(), a in any_version(), b in any_version(), c in any_version(),
    ) {
        let cmp = |x: &str, y: &str| order.compare(x, y);
        prop_assert_eq!(cmp(&a, &a), Ordering::Equal);
        prop_assert_eq!(cmp(&a, &b), cmp(&b, &a).reverse());
        let mut list = [a.as_str(), b.as_str(), c.as_str()];
        list.sort_by(|x, y| cmp(x, y));
        prop_assert!(cmp(list[0], list[1]).is_le() && cmp(list[1], list[2]).is_le());
        prop_assert!(cmp(list[0], list[2]).is_le(), "{:?}", list);
        if cmp(list[0], list[1]).is_lt() || cmp(list[1], list[2]).is_lt() {
            prop_assert!(cmp(list[0], list[2]).is_lt(), "{:?}", list);
        }
    }

    #[test]
    fn pypi_agrees_with_an_independent_reader(a in any_version(), b in any_version()) {
        let parse = |v: &str| v.parse::<pep440_rs::Version>().ok();
        if let (Some(x), Some(y)) = (parse(&a), parse(&b)) {
            prop_assert!(Order::Pypi.accepts(&a) && Order::Pypi.accepts(&b));
            prop_assert_eq!(Order::Pypi.compare(&a, &b), x.cmp(&y), "{} {}", a, b);
        }
    }

    #[test]
    fn semantic_agrees_with_an_independent_reader(
        a in "[0-3]\\.[0-3]\\.[0-3](-[a-b0-2]{1,2}(\\.[a-b1-2]{1,2})?)?",
        b in "[0-3]\\.[0-3]\\.[0-3](-[a-b0-2]{1,2}(\\.[a-b1-2]{1,2})?)?",
    ) {
        let parse = |v: &str| v.parse::<semver::Version>().ok();
        if let (Some(x), Some(y)) = (parse(&a), parse(&b)) {
            prop_assert_eq!(Order::Semantic.compare(&a, &b), x.cmp_precedence(&y));
        }
    }
}
