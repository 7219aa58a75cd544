//! A page of artifacts with everything beside them costs the same statements for a hundred of a
//! thousand as for ten of ten.

use crate::Api;
use reqwest::{Method, StatusCode};
use sealock_facts::{Component, ComponentKind, Finding, FixState, MatchKey, Severity};
use sealock_http::testing::{PASSWORD, Stand};
use sealock_metadata::{
    Tx, artifacts, contents, findings, labels,
    manifests::{self, Child, Kind, NewManifest, Shown, State},
    projects, repositories, tags,
    testing::TestDatabase,
};
use sealock_oci::{Digest, media_type};
use serde_json::Value;
use std::collections::BTreeMap;

const FEW: usize = 10;
const MANY: usize = 1_000;
const ALL: &str = "page_size=100&with_tag=true&with_label=true&with_scan_overview=true\
                   &with_sbom_overview=true&with_accessory=true&with_signature=true\
                   &with_immutable_status=true";
const LISTS: [&str; 4] = [
    "/projects/team/repositories/app/artifacts?",
    "/projects/team/artifacts?",
    "/projects/team/repositories/app/artifacts?q=tags=~v,type=IMAGE&",
    "/projects/team/artifacts?sort=-size&q=labels=(1)&",
];
/// Most statements of one list, when it is asked for the first time.
const MOST: u64 = 24;

#[tokio::test]
async fn a_page_of_artifacts_costs_the_same_statements_however_many_there_are() {
    costs(Stand::new().await).await;
}

#[tokio::test]
async fn a_page_of_artifacts_costs_the_same_statements_on_postgresql() {
    if let Some(database) = TestDatabase::postgres().await {
        costs(Stand::on(database).await).await;
    }
}

async fn costs(stand: Stand) {
    let api = Api::on(stand).await;
    api.stand.project("team", false).await;
    let mut tx = api.stand.database.db.write().await.unwrap();
    findings_of_all(&mut tx).await;
    tx.commit().await.unwrap();
    fill(&api, 0, FEW).await;
    let few = ask(&api).await;
    fill(&api, FEW, MANY).await;
    let many = ask(&api).await;
    for ((list, few), many) in LISTS.iter().zip(&few).zip(&many) {
        assert_eq!((few.rows, few.total), (FEW, FEW), "{list}");
        assert_eq!((many.rows, many.total), (100, MANY), "{list}");
        assert_eq!(few.first, many.first, "statements of {list}, asked for the first time");
        assert_eq!(few.again, many.again, "statements of {list}, asked again");
        assert!(many.first <= MOST && many.again < many.first, "{list}: {}", many.first);
    }
}

struct Cost {
    first: u64,
    again: u64,
    rows: usize,
    total: usize,
}

/// The least of three looks: settings are read again each second, whoever asks.
async fn ask(api: &Api) -> Vec<Cost> {
    let mut costs = Vec::new();
    for list in LISTS {
        let mut least = look(api, list).await;
        for _ in 0..2 {
            let cost = look(api, list).await;
            least.first = least.first.min(cost.first);
            least.again = least.again.min(cost.again);
        }
        costs.push(least);
    }
    costs
}

async fn look(api: &Api, list: &str) -> Cost {
    let get = |path: String| api.ask(Method::GET, &path).basic_auth("admin", Some(PASSWORD));
    get("/statistics".to_owned()).send().await.unwrap();
    let count = || api.stand.database.db.statements();
    // What is kept of the overviews is of another list; here it is made anew.
    let mut tx = api.stand.database.db.write().await.unwrap();
    tx.execute("UPDATE manifests SET facts_rev = facts_rev + 1", Vec::new()).await.unwrap();
    tx.commit().await.unwrap();
    let mut statements = [0; 2];
    let (mut rows, mut total) = (0, 0);
    for cost in &mut statements {
        let before = count();
        let answer = get(format!("{list}{ALL}")).send().await.unwrap();
        *cost = count() - before;
        assert_eq!(answer.status(), StatusCode::OK, "{list}");
        total = answer.headers()["x-total-count"].to_str().unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let body = body.as_array().unwrap();
        rows = body.len();
        for one in body {
            assert!(!one["tags"].as_array().unwrap().is_empty());
            assert_eq!(one["labels"][0]["name"], "good");
            assert_eq!(one["accessories"].as_array().unwrap().len(), 1);
            let report = one["scan_overview"].as_object().unwrap().values().next().unwrap();
            assert_eq!(report["scan_status"], "Success", "{report}");
        }
    }
    Cost { first: statements[0], again: statements[1], rows, total }
}

fn chain(number: usize) -> Digest {
    Digest::sha256(format!("chain {}", number % 7).as_bytes())
}

/// Some contents, with components and findings, that all artifacts share.
async fn findings_of_all(tx: &mut Tx) {
    let component = |name: &str| Component {
        kind: ComponentKind::Python,
        name: name.to_owned(),
        version: "1".to_owned(),
        purl: format!("pkg:pypi/{name}@1"),
        match_key: Some(MatchKey {
            ecosystem: "PyPI".to_owned(),
            name: name.to_owned(),
            version: "1".to_owned(),
        }),
        architecture: None,
        licences: Vec::new(),
        path: "site-packages".to_owned(),
        layer: Digest::sha256(b"layer"),
        owner: None,
    };
    let all: Vec<Component> = (0..20).map(|n| component(&format!("p{n}"))).collect();
    for number in 0..7 {
        let some = &all[number..];
        contents::put_image(tx, &chain(number), "test", b"", true, some).await.unwrap();
    }
    let finding = |id: i64| Finding {
        vulnerability: format!("CVE-2031-{id}"),
        aliases: Vec::new(),
        purl: String::new(),
        version: "1".to_owned(),
        severity: Severity::High,
        severity_source: None,
        fix: FixState::NotFixed,
        published: None,
        kev: None,
        summary: String::new(),
        records: Vec::new(),
        scanner: "sealock".to_owned(),
    };
    let results: Vec<(i64, Vec<Finding>)> = (1..=20).map(|id| (id, vec![finding(id)])).collect();
    findings::store(tx, "sealock", "snapshot", &results).await.unwrap();
    let words = labels::Words { name: "good", description: "", color: "" };
    labels::create(tx, None, words).await.unwrap().unwrap();
}

/// Artifacts with a tag, a label and an accessory each; every tenth is an index of two others.
async fn fill(api: &Api, from: usize, to: usize) {
    let mut tx = api.stand.database.db.write().await.unwrap();
    let team = projects::find(&mut tx, "team").await.unwrap().unwrap();
    let name = "team/app".parse().unwrap();
    let repository = repositories::ensure(&mut tx, team.id, &name).await.unwrap().id;
    for number in from..to {
        let children = match number % 10 {
            0 => vec![
                push(&mut tx, repository, &format!("{number} a"), number, Parts::default()).await,
                push(&mut tx, repository, &format!("{number} b"), number, Parts::default()).await,
            ],
            _ => Vec::new(),
        };
        let parts = Parts { children: &children, subject: None };
        let (id, digest) = push(&mut tx, repository, &number.to_string(), number, parts).await;
        let tag = format!("v{number}").parse().unwrap();
        tags::set(&mut tx, repository, &tag, id, false, "ann").await.unwrap();
        artifacts::add_label(&mut tx, id, 1).await.unwrap();
        let parts = Parts { children: &[], subject: Some(&digest) };
        push(&mut tx, repository, &format!("about {number}"), number, parts).await;
    }
    for number in 0..7 {
        let chain = chain(number);
        let known = contents::find_image(&mut tx, &chain, "test").await.unwrap().unwrap();
        manifests::set_contents(&mut tx, &chain, known.id).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[derive(Default)]
struct Parts<'a> {
    children: &'a [(i64, Digest)],
    subject: Option<&'a Digest>,
}

async fn push(
    tx: &mut Tx,
    repository_id: i64,
    name: &str,
    number: usize,
    parts: Parts<'_>,
) -> (i64, Digest) {
    let child = |(position, (_, digest)): (u32, &(i64, Digest))| Child {
        parent_id: 0,
        position,
        digest: *digest,
        media_type: media_type::OCI_MANIFEST.to_owned(),
        size: 1,
        platform: Some("linux/amd64".to_owned()),
    };
    let children: Vec<Child> = (0..).zip(parts.children).map(child).collect();
    let is_index = !children.is_empty();
    let digest = Digest::sha256(name.as_bytes());
    let chain = chain(number);
    let shown = Shown {
        kind: "IMAGE",
        media_type: media_type::OCI_CONFIG,
        accessory: parts.subject.map(|_| "subject.accessory"),
        attributes: Some("{\"architecture\":\"amd64\",\"os\":\"linux\"}"),
    };
    let new = NewManifest {
        repository_id,
        digest: &digest,
        media_type: if is_index { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST },
        artifact_type: Some(media_type::OCI_CONFIG),
        kind: if is_index { Kind::Index } else { Kind::Image },
        payload: name.as_bytes(),
        config: None,
        subject: parts.subject,
        annotations: &BTreeMap::new(),
        chain: (!is_index).then_some(&chain),
        state: State::Active,
        pushed_by: "ann",
        blobs: &[],
        children: &children,
        shown,
    };
    let (row, new) = manifests::insert(tx, &new).await.unwrap();
    assert!(new, "{name}");
    (row.id, digest)
}
