//! Tags and the catalog in pages.

use crate::{
    member::Member,
    on_both_engines,
    support::{OCI_MANIFEST, header, json_of},
};
use reqwest::Method;
use sealock_oci::Digest;
use serde_json::{Value, json};

on_both_engines!(
    tags_in_byte_order_after_any_tag_and_by_any_number,
    links_lead_through_every_list_once,
    a_page_has_a_thousand_at_most_and_says_that_there_is_more,
);

const LIST: &str = "/v2/team/app/tags/list";

/// What a list holds under this name, and where its link leads.
async fn page(member: &Member, path: &str, name: &str) -> (Vec<Value>, Option<String>) {
    let got = member.get(path).await;
    assert_eq!(got.status(), 200, "{path}");
    let link = got.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
    let next = link.map(|link| {
        let (target, rest) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        target.to_owned()
    });
    (json_of(got).await[name].as_array().expect("a list, never null").clone(), next)
}

/// Sets tags by pushes of a hundred.
async fn set(member: &Member, tags: &[String]) {
    let text = member.manifest("one").await.to_string();
    let digest = Digest::sha256(text.as_bytes());
    for some in tags.chunks(100) {
        let path = format!("{digest}?tag={}", some.join("&tag="));
        assert_eq!(member.put(&path, OCI_MANIFEST, &text).await.status(), 201);
    }
}

async fn tags_in_byte_order_after_any_tag_and_by_any_number(member: Member) {
    assert_eq!(member.get(LIST).await.status(), 404, "no repository yet");
    member.blob("team/app", b"content").await;
    assert_eq!(page(&member, LIST, "tags").await, (vec![], None), "a repository without a tag");
    let mut tags: Vec<String> =
        ["v1", "V1", "v10", "v2", "_", "__", "0", "9", "a-b", "a.b", "a_b", "ab", "aB", "Z", "z"]
            .map(str::to_owned)
            .into();
    tags.push("x".repeat(128));
    set(&member, &tags).await;
    tags.sort();
    let json = |tags: &[String]| tags.iter().map(|tag| json!(tag)).collect::<Vec<_>>();
    assert_eq!(page(&member, LIST, "tags").await, (json(&tags), None));
    let whole = json_of(member.get(LIST).await).await;
    assert_eq!(whole["name"], "team/app");
    // After each of them, and after what lies between, before and behind them.
    let between = ["!", "", "00", "a", "v1.", "zzz", "\u{1f984}", "a/b", "x%20y"];
    for last in tags.iter().map(String::as_str).chain(between) {
        let decoded = last.replace("%20", " ");
        let rest: Vec<String> = tags.iter().filter(|tag| **tag > decoded).cloned().collect();
        let found = page(&member, &format!("{LIST}?last={last}"), "tags").await;
        assert_eq!(found, (json(&rest), None), "{last}");
        let (two, next) = page(&member, &format!("{LIST}?n=2&last={last}"), "tags").await;
        assert_eq!(two, json(&rest[..rest.len().min(2)]), "{last}");
        assert_eq!(next.is_some(), rest.len() > 2, "{last}");
    }
    // As many as there are is no reason for a next page.
    let all = page(&member, &format!("{LIST}?n={}", tags.len()), "tags").await;
    assert_eq!(all, (json(&tags), None));
    for n in ["17", "1000", "100000", "18446744073709551616"] {
        assert_eq!(page(&member, &format!("{LIST}?n={n}"), "tags").await, (json(&tags), None));
    }
    for zero in ["n=0", "n=000", "n=0&last=a"] {
        assert_eq!(page(&member, &format!("{LIST}?{zero}"), "tags").await, (vec![], None));
    }
    for bad in ["n=-1", "n=", "n=a", "n=1.0", "n=0x1", "n=1&n=2", "last=a&last=b", "n=1%00"] {
        let answer = member.refused(Method::GET, &format!("{LIST}?{bad}")).await;
        assert_eq!(answer, (400, "UNSUPPORTED".into()), "{bad}");
    }
}

async fn links_lead_through_every_list_once(member: Member) {
    let tags: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
    set(&member, &tags).await;
    for name in ["team/a", "team/a-b", "team/a/b", "team/a.b", "team/a_b"] {
        member.api.blob(name, b"content").await;
    }
    for (list, name, count) in [(LIST, "tags", 7), ("/v2/_catalog", "repositories", 6)] {
        let (whole, none) = page(&member, list, name).await;
        assert_eq!((whole.len(), none), (count, None), "{list}");
        let mut sorted = whole.clone();
        sorted.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        assert_eq!(whole, sorted, "{list}");
        for n in 1..=count + 1 {
            let mut next = Some(format!("{list}?n={n}"));
            let (mut found, mut pages) = (Vec::new(), 0);
            while let Some(path) = next {
                let (items, link) = page(&member, &path, name).await;
                assert!(!items.is_empty() && items.len() <= n, "{path}");
                assert!(link.as_ref().is_none_or(|link| link.contains(&format!("n={n}&"))));
                found.extend(items);
                next = link;
                pages += 1;
            }
            assert_eq!((found, pages), (whole.clone(), count.div_ceil(n)), "{list} by {n}");
        }
        assert_eq!(page(&member, &format!("{list}?n=0"), name).await, (vec![], None));
        assert_eq!(page(&member, &format!("{list}?last=zzz"), name).await, (vec![], None));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = member.ask(method.clone(), list).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{method} {list}");
            assert_eq!(header(&answer, "allow"), "GET, HEAD");
        }
    }
}

async fn a_page_has_a_thousand_at_most_and_says_that_there_is_more(member: Member) {
    let tags: Vec<String> = (0..1_001).map(|n| format!("t{n:04}")).collect();
    set(&member, &tags).await;
    for query in ["", "?n=1001", "?n=4294967296"] {
        let (first, next) = page(&member, &format!("{LIST}{query}"), "tags").await;
        assert_eq!(first.len(), 1_000, "{query}");
        let (rest, none) = page(&member, &next.expect("a link"), "tags").await;
        assert_eq!((rest, none), (vec![json!("t1000")], None), "{query}");
    }
}
