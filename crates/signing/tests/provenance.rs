//! Source and pipeline from SLSA provenance.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use sealock_signing::{Provenance, Statement, provenance};
use serde_json::{Value, json};

fn read(predicate_type: &str, predicate: &Value) -> Option<Provenance> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": "aa" } }],
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    provenance(&Statement::parse(statement.to_string().as_bytes()).unwrap())
}

const V02: &str = "https://slsa.dev/provenance/v0.2";
const V1: &str = "https://slsa.dev/provenance/v1";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn github_actions_v1() {
    let found = read(V1, &json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": { "workflow": {
                "ref": "refs/tags/v1.2.3", "repository": "https://github.example/o/app",
                "path": ".github/workflows/release.yml",
            }},
            "resolvedDependencies": [
                { "uri": "pkg:docker/base@sha256:1", "digest": { "sha256": "ff" } },
                {
                    "uri": "git+https://github.example/o/app@refs/tags/v1.2.3",
                    "digest": { "gitCommit": "c0ffee" },
                },
            ],
        },
        "runDetails": {
            "builder": { "id": "https://github.example/runner" },
            "metadata": { "invocationId": "https://github.example/o/app/actions/runs/7/attempts/1" },
        },
    }))
    .unwrap();
    assert_eq!(
        found,
        Provenance {
            source_repository: some("https://github.example/o/app"),
            source_revision: some("c0ffee"),
            source_ref: some("refs/tags/v1.2.3"),
            builder_id: some("https://github.example/runner"),
            build_type: some("https://actions.github.io/buildtypes/workflow/v1"),
            invocation_id: some("https://github.example/o/app/actions/runs/7/attempts/1"),
            entry_point: some(".github/workflows/release.yml"),
        }
    );
}

#[test]
fn generators_of_v02() {
    let found = read(
        V02,
        &json!({
            "builder": { "id": "https://ci.example/builder@v2" },
            "buildType": "https://ci.example/container",
            "invocation": { "configSource": {
                "uri": "git+ssh://git@git.example:2222/team/app.git@refs/heads/main",
                "digest": { "sha1": "c0ffee" }, "entryPoint": "ci.yml",
            }},
            "metadata": { "buildInvocationID": "pipeline-42" },
            "materials": [{ "uri": "git+https://git.example/other", "digest": { "sha1": "bad" } }],
        }),
    )
    .unwrap();
    assert_eq!(found.source_repository, some("ssh://git@git.example:2222/team/app.git"));
    assert_eq!(found.source_ref, some("refs/heads/main"));
    assert_eq!(found.source_revision, some("c0ffee"));
    assert_eq!(found.invocation_id, some("pipeline-42"));
    assert_eq!(found.entry_point, some("ci.yml"));
    let from_materials = read(
        V02,
        &json!({
            "builder": { "id": "b" }, "invocation": { "configSource": {} },
            "materials": [
                { "uri": "pkg:docker/base", "digest": { "sha256": "1" } },
                { "uri": "git+https://git.example/team/app", "digest": { "sha1": "c0ffee" } },
            ],
        }),
    )
    .unwrap();
    assert_eq!(from_materials.source_repository, some("https://git.example/team/app"));
    assert_eq!(from_materials.source_revision, some("c0ffee"));
}

#[test]
fn buildkit_in_both_versions() {
    let vcs = json!({ "vcs": {
        "source": "https://git.example/team/app.git", "revision": "c0ffee",
    }});
    let old = read(
        V02,
        &json!({
            "builder": { "id": "" }, "buildType": "https://mobyproject.org/buildkit@v1",
            "metadata": { "https://mobyproject.org/buildkit@v1#metadata": vcs },
        }),
    );
    let new = read(
        V1,
        &json!({
            "buildDefinition": { "externalParameters": { "configSource": { "path": "Dockerfile" } } },
            "runDetails": { "builder": { "id": "" }, "metadata": { "buildkit_metadata": vcs } },
        }),
    );
    for found in [old.unwrap(), new.unwrap()] {
        assert_eq!(found.source_repository, some("https://git.example/team/app.git"));
        assert_eq!(found.source_revision, some("c0ffee"));
        assert_eq!(found.builder_id, None);
    }
}

#[test]
fn what_says_nothing_is_none() {
    assert_eq!(read("https://slsa.dev/verification_summary/v1", &json!({ "builder": {} })), None);
    for predicate in [json!({}), json!(null), json!([]), json!("x"), json!({ "runDetails": 3 })] {
        assert_eq!(read(V1, &predicate), None);
        assert_eq!(read(V02, &predicate), None);
    }
    let long = "x".repeat(100_000);
    let found = read(V02, &json!({ "builder": { "id": long } })).unwrap();
    assert!(found.builder_id.unwrap().len() <= 2_000);
}
