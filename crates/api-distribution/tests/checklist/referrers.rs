//! Referrers: described by what they are, filtered by type, in pages; never "not found".

use crate::{
    member::{INDEX, Member},
    on_both_engines,
    support::{OCI_MANIFEST, header, json_of},
};
use reqwest::Method;
use sealock_oci::{Digest, ReferrersTag};
use serde_json::{Value, json};

on_both_engines!(
    every_kind_is_described_by_its_own_words,
    a_filter_takes_a_type_with_a_plus_and_stays_in_the_link,
    a_list_that_a_client_keeps_is_merged_and_never_stale,
    two_writers_of_a_list_with_conditions_lose_nothing,
    a_copy_that_tags_the_index_itself_makes_no_list,
);

struct Found {
    entries: Vec<Value>,
    filters: String,
    next: Option<String>,
}

async fn found(member: &Member, path: &str) -> Found {
    let got = member.get(path).await;
    assert_eq!(got.status(), 200, "{path}");
    assert_eq!(header(&got, "content-type"), INDEX, "{path}");
    let filters = header(&got, "oci-filters-applied").to_owned();
    let link = header(&got, "link").to_owned();
    let next = link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\""));
    let next = next.map(|(target, _)| target.to_owned());
    let index = json_of(got).await;
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(INDEX)));
    Found { entries: index["manifests"].as_array().unwrap().clone(), filters, next }
}

fn of(subject: &Digest) -> String {
    format!("/v2/team/app/referrers/{subject}")
}

/// Pushes a manifest by digest; its digest.
async fn store(member: &Member, manifest: &Value) -> Digest {
    let text = manifest.to_string();
    let digest = Digest::sha256(text.as_bytes());
    let media_type = manifest["mediaType"].as_str().unwrap();
    let put = member.put(&digest.to_string(), media_type, &text).await;
    assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
    digest
}

fn about(subject: &Digest) -> Value {
    json!({"mediaType": OCI_MANIFEST, "digest": subject, "size": 7})
}

fn index(entries: &Value) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

async fn every_kind_is_described_by_its_own_words(member: Member) {
    for subject in [Digest::sha256(b"not here"), Digest::sha512(b"not here")] {
        // Neither the subject nor, at first, the repository is there.
        assert!(found(&member, &of(&subject)).await.entries.is_empty());
        let mut typed = member.manifest("typed").await;
        typed["artifactType"] = json!("application/vnd.example.typed");
        let untyped = member.manifest("untyped").await;
        let mut emptied = member.manifest("emptied").await;
        emptied["artifactType"] = json!("");
        let mut bare = member.manifest("bare").await;
        bare.as_object_mut().unwrap().remove("annotations");
        let plain_index = index(&json!([]));
        let mut typed_index = index(&json!([]));
        typed_index["artifactType"] = json!("application/vnd.example.index");
        typed_index["annotations"] = json!({"a": "b", "": "\u{1f984}"});
        let config = "application/vnd.oci.empty.v1+json";
        let mut expected = Vec::new();
        for (mut manifest, kind) in [
            (typed, json!("application/vnd.example.typed")),
            (untyped, json!(config)),
            (emptied, json!(config)),
            (bare, json!(config)),
            (plain_index, Value::Null),
            (typed_index, json!("application/vnd.example.index")),
        ] {
            manifest["subject"] = about(&subject);
            let digest = store(&member, &manifest).await;
            let mut entry = json!({
                "mediaType": manifest["mediaType"], "digest": digest,
                "size": manifest.to_string().len(),
            });
            if !kind.is_null() {
                entry["artifactType"] = kind;
            }
            if !manifest["annotations"].is_null() {
                entry["annotations"] = manifest["annotations"].clone();
            }
            expected.push(entry);
        }
        expected.sort_by_key(|entry| entry["digest"].as_str().unwrap().to_owned());
        let all = found(&member, &of(&subject)).await;
        assert_eq!((all.entries, all.filters, all.next), (expected, String::new(), None));
        let head = member.head(&of(&subject)).await;
        assert_eq!((head.status().as_u16(), header(&head, "content-type")), (200, INDEX));
    }
}

async fn a_filter_takes_a_type_with_a_plus_and_stays_in_the_link(member: Member) {
    let subject = member.push("v1", "subject").await;
    let kind = "application/vnd.example.sbom.v1+json";
    for n in 0..6 {
        let mut manifest = member.manifest(&format!("referrer {n}")).await;
        manifest["subject"] = about(&subject);
        manifest["artifactType"] = json!(if n % 2 == 0 { kind } else { "application/vnd.other" });
        store(&member, &manifest).await;
    }
    // A plus as it stands, as many write it, and as a query should have it.
    for written in [kind.to_owned(), kind.replace('+', "%2B"), kind.replace('/', "%2F")] {
        let some = found(&member, &format!("{}?artifactType={written}", of(&subject))).await;
        assert_eq!((some.entries.len(), some.filters.as_str()), (3, "artifactType"), "{written}");
        assert!(some.entries.iter().all(|entry| entry["artifactType"] == kind));
        let mut next = Some(format!("{}?n=1&artifactType={written}", of(&subject)));
        let mut pages = 0;
        while let Some(path) = next {
            let one = found(&member, &path).await;
            assert_eq!((one.entries.len(), one.filters.as_str()), (1, "artifactType"), "{path}");
            assert_eq!(one.entries[0]["artifactType"], kind);
            next = one.next;
            pages += 1;
        }
        assert_eq!(pages, 3);
    }
    // None of a type is an empty list, filtered all the same; no type is no filter.
    let none = found(&member, &format!("{}?artifactType=a/b", of(&subject))).await;
    assert_eq!((none.entries.len(), none.filters.as_str()), (0, "artifactType"));
    let all = found(&member, &format!("{}?artifactType=", of(&subject))).await;
    assert_eq!((all.entries.len(), all.filters.as_str()), (6, ""));
    let zero = found(&member, &format!("{}?n=0", of(&subject))).await;
    assert_eq!((zero.entries.len(), zero.next), (0, None));
    let unknown = found(&member, &format!("{}?a=b&n=100", of(&subject))).await;
    assert_eq!(unknown.entries.len(), 6);
    for bad in ["artifactType=a&artifactType=b", "n=x"] {
        let answer = member.refused(Method::GET, &format!("{}?{bad}", of(&subject))).await;
        assert_eq!(answer, (400, "UNSUPPORTED".into()), "{bad}");
    }
}

/// The texts of what is listed.
async fn texts(member: &Member, subject: &Digest) -> Vec<String> {
    let all = found(member, &of(subject)).await.entries;
    let mut texts: Vec<String> =
        all.iter().map(|entry| entry["annotations"]["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    texts
}

async fn keep(member: &Member, tag: &str, members: &[Digest]) -> reqwest::Response {
    let entries: Vec<Value> = members.iter().map(about).collect();
    member.put(tag, INDEX, &index(&json!(entries)).to_string()).await
}

async fn a_list_that_a_client_keeps_is_merged_and_never_stale(member: Member) {
    for subject in [Digest::sha256(b"subject"), Digest::sha512(b"subject")] {
        let tag = ReferrersTag::of(&subject).text();
        let path = |digest: &Digest| format!("/v2/team/app/manifests/{digest}");
        let mut signed = member.manifest("signed").await;
        signed["subject"] = about(&subject);
        let signed = store(&member, &signed).await;
        let (one, two) = (member.push("", "one").await, member.push("", "two").await);
        assert_eq!(keep(&member, &tag, &[one, signed]).await.status(), 201);
        assert_eq!(texts(&member, &subject).await, ["one", "signed"]);
        // The listed manifest goes by digest; its list is still there, and the answer is right.
        assert_eq!(member.delete(&path(&one)).await.status(), 202);
        assert_eq!(texts(&member, &subject).await, ["signed"]);
        assert_eq!(member.get(&format!("/v2/team/app/manifests/{tag}")).await.status(), 200);
        // The list is written again, with what is here and with what is not.
        assert_eq!(keep(&member, &tag, &[two, one]).await.status(), 201);
        assert_eq!(texts(&member, &subject).await, ["signed", "two"]);
        assert_eq!(member.push("", "one").await, one);
        assert_eq!(texts(&member, &subject).await, ["one", "signed", "two"]);
        // An empty list takes away what only a list had; a tag that becomes an image is no list.
        assert_eq!(keep(&member, &tag, &[]).await.status(), 201);
        assert_eq!(texts(&member, &subject).await, ["signed"]);
        assert_eq!(keep(&member, &tag, &[two]).await.status(), 201);
        assert_eq!(member.push(&tag, "an image").await, member.push("", "an image").await);
        assert_eq!(texts(&member, &subject).await, ["signed"]);
        // The old list's bytes are here still, under no tag: by digest they list nothing.
        assert_eq!(keep(&member, &tag, &[two]).await.status(), 201);
        assert_eq!(member.delete(&format!("/v2/team/app/manifests/{tag}")).await.status(), 202);
        assert_eq!(texts(&member, &subject).await, ["signed"]);
        for digest in [signed, one, two] {
            assert_eq!(member.delete(&path(&digest)).await.status(), 202);
        }
        assert!(texts(&member, &subject).await.is_empty());
    }
}

/// cosign's copy tags what it copies by the name of a list of referrers to it. Where that is an
/// index, its platforms are no referrers.
async fn a_copy_that_tags_the_index_itself_makes_no_list(member: Member) {
    let one = member.push("", "one").await;
    let platforms = index(&json!([about(&one)])).to_string();
    for subject in [Digest::sha256(platforms.as_bytes()), Digest::sha512(platforms.as_bytes())] {
        let tag = ReferrersTag::of(&subject).text();
        let path = format!("{subject}?tag=v1&tag={tag}");
        assert_eq!(member.put(&path, INDEX, &platforms).await.status(), 201);
        assert!(found(&member, &of(&subject)).await.entries.is_empty(), "{subject}");
        // A list that is one is, from then on; what the subject lists is not in it by that.
        assert_eq!(keep(&member, &tag, &[subject, one]).await.status(), 201);
        assert_eq!(texts(&member, &subject).await, ["one"]);
    }
}

/// Each reads the list and adds one entry by `If-Match`; who is told that it moved reads again.
async fn two_writers_of_a_list_with_conditions_lose_nothing(member: Member) {
    let subject = Digest::sha256(b"subject");
    let tag = ReferrersTag::of(&subject).text();
    let path = format!("/v2/team/app/manifests/{tag}");
    let mut mine = Vec::new();
    for n in 0..6 {
        mine.push(member.push("", &format!("m{n}")).await);
    }
    let write = async |digest: Digest| {
        for _ in 0..100 {
            let got = member.get(&path).await;
            let (condition, value) = match got.status().as_u16() {
                404 => ("if-none-match", "*".to_owned()),
                _ => ("if-match", header(&got, "etag").to_owned()),
            };
            let mut entries = match condition {
                "if-match" => json_of(got).await["manifests"].as_array().unwrap().clone(),
                _ => Vec::new(),
            };
            entries.push(about(&digest));
            let put = member.ask(Method::PUT, &path).header("content-type", INDEX);
            let put = put.header(condition, value).body(index(&json!(entries)).to_string());
            match put.send().await.unwrap().status().as_u16() {
                201 => return,
                412 => {}
                other => panic!("{other}"),
            }
        }
        panic!("never let in");
    };
    futures_util::future::join_all(mine.iter().map(|digest| write(*digest))).await;
    assert_eq!(texts(&member, &subject).await, ["m0", "m1", "m2", "m3", "m4", "m5"]);
    let kept = json_of(member.get(&path).await).await;
    assert_eq!(kept["manifests"].as_array().unwrap().len(), 6, "the list itself has them all");
}
