//! Lists of referrers that clients of old registries keep under a tag: merged, never served stale,
//! and proof of nothing.

use crate::support::{Api, OCI_MANIFEST, header, json_of};
use reqwest::Method;
use sealock_auth::Right;
use sealock_oci::{Digest, ReferrersTag};
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

struct Old {
    api: Api,
    subject: Digest,
    tag: String,
}

impl Old {
    /// A repository with a subject, and a client that keeps its list.
    async fn new() -> Self {
        let api = Api::new().await;
        let subject = api.push("team/app", "v1", "subject").await;
        Self { api, subject, tag: ReferrersTag::of(&subject).text() }
    }

    /// Pushes a manifest of this type, with or without saying what it is about.
    async fn manifest(&self, text: &str, about: Option<Digest>) -> Digest {
        let mut manifest = self.api.image("team/app", text).await;
        manifest["artifactType"] = json!(format!("application/vnd.example.{text}"));
        manifest["annotations"] = json!({"text": text});
        if let Some(digest) = about {
            manifest["subject"] = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 9});
        }
        let digest = Digest::sha256(manifest.to_string().as_bytes());
        let put = self.api.put("team/app", &digest.to_string(), &manifest).await;
        assert_eq!(put.status(), 201);
        digest
    }

    /// An index as old clients write it. Its words about the members are not to be believed.
    fn index(members: &[Digest]) -> Value {
        let entry = |digest: &Digest| {
            json!({
                "mediaType": OCI_MANIFEST, "digest": digest, "size": 9,
                "artifactType": "application/vnd.example.lie", "annotations": {"text": "lie"},
            })
        };
        let manifests: Vec<Value> = members.iter().map(entry).collect();
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    }

    async fn keep(&self, members: &[Digest]) {
        let put = self.api.put("team/app", &self.tag, &Self::index(members)).await;
        assert_eq!(put.status(), 201);
    }

    /// The texts of what the answer lists, in its order, by a path of it.
    async fn texts_at(&self, path: &str) -> (Vec<String>, String) {
        let answer = self.api.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let link = header(&answer, "link").to_owned();
        let index = json_of(answer).await;
        let entries = index["manifests"].as_array().unwrap().iter();
        let text = |entry: &Value| {
            let text = entry["annotations"]["text"].as_str().unwrap().to_owned();
            assert_eq!(entry["artifactType"], format!("application/vnd.example.{text}"));
            text
        };
        let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        (entries.map(text).collect(), next)
    }

    async fn texts(&self) -> Vec<String> {
        let path = format!("/v2/team/app/referrers/{}", self.subject);
        let mut texts = self.texts_at(&path).await.0;
        texts.sort();
        texts
    }

    async fn delete(&self, reference: &str) {
        let path = format!("/v2/team/app/manifests/{reference}");
        assert_eq!(self.api.status(Method::DELETE, &path).await, 202);
    }
}

#[tokio::test]
async fn the_answer_is_the_union_of_what_is_here() {
    let old = Old::new().await;
    let real = old.manifest("real", Some(old.subject)).await;
    let plain = old.manifest("plain", None).await;
    let other = old.manifest("other", Some(Digest::sha256(b"another subject"))).await;
    let absent = Digest::sha256(b"never pushed");
    assert_eq!(old.texts().await, ["real"]);
    // Listed twice, listed though it is absent, listed though it speaks about something else.
    old.keep(&[plain, real, plain, absent, other]).await;
    assert_eq!(old.texts().await, ["plain", "real"]);
    // A list that forgot the real one hides nothing.
    old.keep(&[plain]).await;
    assert_eq!(old.texts().await, ["plain", "real"]);
    let more = old.manifest("more", None).await;
    old.keep(&[plain, more]).await;
    assert_eq!(old.texts().await, ["more", "plain", "real"]);
    // A member goes, by a client that knows nothing of lists.
    old.delete(&plain.to_string()).await;
    assert_eq!(old.texts().await, ["more", "real"]);
    old.delete(&real.to_string()).await;
    assert_eq!(old.texts().await, ["more"]);
    // It comes again: the list still names it.
    old.manifest("plain", None).await;
    assert_eq!(old.texts().await, ["more", "plain"]);
    old.manifest("real", Some(old.subject)).await;
    old.delete(&old.tag).await;
    assert_eq!(old.texts().await, ["real"], "without the tag nothing is listed");
    assert_eq!(old.texts_at(&format!("/v2/team/app/referrers/{absent}")).await.0.len(), 0);
}

#[tokio::test]
async fn a_list_by_digest_or_of_an_image_counts_for_nothing() {
    let old = Old::new().await;
    let plain = old.manifest("plain", None).await;
    let index = Old::index(&[plain]);
    let digest = Digest::sha256(index.to_string().as_bytes());
    assert_eq!(old.api.put("team/app", &digest.to_string(), &index).await.status(), 201);
    assert!(old.texts().await.is_empty(), "it has no tag");
    for tag in [format!("{}.sig", old.tag), old.tag.replace("sha256", "sha512"), "latest".into()] {
        assert_eq!(old.api.put("team/app", &tag, &index).await.status(), 201);
        assert!(old.texts().await.is_empty(), "{tag}");
    }
    old.api.push("team/app", &old.tag, "an image").await;
    assert!(old.texts().await.is_empty());
    // Another repository's list says nothing about this one.
    let copy = old.api.image("team/copy", "plain").await;
    assert_eq!(old.api.put("team/copy", "v1", &copy).await.status(), 201);
    assert_eq!(old.api.put("team/copy", &old.tag, &index).await.status(), 201);
    assert!(old.texts().await.is_empty());
    old.keep(&[plain]).await;
    assert_eq!(old.texts().await, ["plain"]);
}

#[tokio::test]
async fn filtered_and_in_pages() {
    let old = Old::new().await;
    let mut members = Vec::new();
    for i in 0..6 {
        let about = (i % 2 == 0).then_some(old.subject);
        members.push((old.manifest(&format!("m{i}"), about).await, format!("m{i}")));
    }
    let digests: Vec<Digest> = members.iter().map(|member| member.0).collect();
    old.keep(&digests).await;
    members.sort_by_key(|member| member.0.to_string());
    let expected: Vec<String> = members.into_iter().map(|member| member.1).collect();
    for n in 1..=7 {
        let mut next = format!("/v2/team/app/referrers/{}?n={n}", old.subject);
        let (mut found, mut pages) = (Vec::new(), 0);
        while !next.is_empty() {
            let (page, link) = old.texts_at(&next).await;
            assert!(page.len() <= n && !page.is_empty());
            found.extend(page);
            next = link;
            pages += 1;
        }
        assert_eq!((found, pages), (expected.clone(), 6usize.div_ceil(n)), "{n} to a page");
    }
    let of = |kind: &str| {
        format!(
            "/v2/team/app/referrers/{}?artifactType=application/vnd.example.{kind}",
            old.subject
        )
    };
    for kind in ["m1", "m2"] {
        assert_eq!(old.texts_at(&of(kind)).await.0, [kind]);
    }
    assert!(old.texts_at(&of("lie")).await.0.is_empty(), "what the list says of them is not asked");
}

/// Who may only attest keeps a list of accessories that are here, and of nothing else.
#[tokio::test]
async fn a_list_opens_nothing() {
    let old = Old::new().await;
    let rights = [Right::Pull, Right::Attest];
    let (name, secret) = old.api.stand.robot("team", "signer", &rights).await;
    let real = old.manifest("real", Some(old.subject)).await;
    let plain = old.manifest("plain", None).await;
    let other = old.manifest("other", Some(Digest::sha256(b"another subject"))).await;
    let put = async |tag: &str, members: &[Digest]| {
        let path = format!("/v2/team/app/manifests/{tag}");
        let request = old.api.anonymous(Method::PUT, &path).basic_auth(&name, Some(&secret));
        let request = request.header("content-type", INDEX);
        request.body(Old::index(members).to_string()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(put(&old.tag, &[real]).await, 201);
    assert_eq!(put(&old.tag, &[]).await, 201);
    for members in [&[plain][..], &[real, plain], &[other], &[Digest::sha256(b"absent")]] {
        assert_eq!(put(&old.tag, members).await, 403, "{members:?}");
    }
    assert_eq!(put("latest", &[real]).await, 403);
    assert_eq!(put(&ReferrersTag::of(&Digest::sha256(b"absent")).text(), &[]).await, 403);
}
