//! What a project's own settings refuse, as clients of Harbor read it.

use crate::support::{Api, json_of};
use reqwest::{Method, Response};
use sealock_metadata::{self as metadata, testing::TestDatabase};
use sealock_oci::{Digest, Tag};

async fn told(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let body = json_of(response).await;
    let error = &body["errors"][0];
    (status, error["code"].as_str().unwrap().into(), error["message"].as_str().unwrap().into())
}

async fn limit(api: &Api, hard: i64) {
    let mut tx = api.stand.registry.database().write().await.unwrap();
    let team = metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
    metadata::quotas::set(&mut tx, team.id, hard).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_full_project_is_said_in_harbors_words() {
    full_project(Api::new().await).await;
}

#[tokio::test]
async fn a_full_project_is_said_in_harbors_words_on_postgresql() {
    if let Some(database) = TestDatabase::postgres().await {
        full_project(Api::on(database).await).await;
    }
}

async fn full_project(api: Api) {
    api.push("team/app", "v1", "one").await;
    let two = api.image("team/app", "two").await;
    let mut tx = api.stand.registry.database().read().await.unwrap();
    let team = metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
    let used = metadata::quotas::used(&mut tx, team.id).await.unwrap();
    drop(tx);
    limit(&api, used + 10).await;
    let (status, code, message) = told(api.put("team/app", "v2", &two).await).await;
    assert_eq!((status, code.as_str()), (403, "DENIED"));
    let words = "B of storage resource, which when updated to current usage of";
    assert!(message.starts_with("adding ") && message.contains(words), "{message}");
    assert!(message.contains("will exceed the configured upper limit of"), "{message}");
    // Refused by the length that the request states, whatever comes.
    let digest = Digest::sha256(&[1; 64]);
    let path = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let whole = api.ask(Method::POST, &path).body(vec![1; 64]).send().await.unwrap();
    assert_eq!(told(whole).await.0, 403);
    let place = api.begin("team/app").await;
    let chunk = api.ask(Method::PATCH, &place).body(vec![1; 64]).send().await.unwrap();
    let (status, code, _) = told(chunk).await;
    assert_eq!((status, code.as_str()), (403, "DENIED"));
    // Nothing at all fits: not even a beginning.
    limit(&api, used).await;
    let begun = api.ask(Method::POST, "/v2/team/app/blobs/uploads/").send().await.unwrap();
    assert_eq!(told(begun).await.0, 403);
    // What is here is read as ever, and pushed again.
    let get = api.ask(Method::GET, "/v2/team/app/manifests/v1").send().await.unwrap();
    assert_eq!(get.status(), 200);
    limit(&api, -1).await;
    assert_eq!(api.put("team/app", "v2", &two).await.status(), 201);
}

#[tokio::test]
async fn a_tag_that_does_not_move_is_said_in_harbors_words() {
    let api = Api::new().await;
    let one = api.push("team/app", "v1", "one").await;
    let selectors = r#"{"tag_selectors":[{"kind":"doublestar","decoration":"matches",
        "pattern":"v*"}],"scope_selectors":{"repository":[{"kind":"doublestar",
        "decoration":"repoMatches","pattern":"**"}]}}"#;
    let mut tx = api.stand.registry.database().write().await.unwrap();
    let team = metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
    metadata::immutable_rules::create(&mut tx, team.id, 0, false, selectors, 1).await.unwrap();
    tx.commit().await.unwrap();
    let words = "Failed to process request due to 'app:v1' configured as immutable.";
    let expected = (412, "PRECONDITION".to_owned(), words.to_owned());
    let two = api.image("team/app", "two").await;
    assert_eq!(told(api.put("team/app", "v1", &two).await).await, expected);
    for reference in ["v1".to_owned(), one.to_string()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let gone = api.ask(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(told(gone).await, expected);
    }
    let again = api.image("team/app", "one").await;
    assert_eq!(api.put("team/app", "v1", &again).await.status(), 201, "the same digest");
    let tag: Tag = "v1".parse().unwrap();
    let mut tx = api.stand.registry.database().read().await.unwrap();
    let name = "team/app".parse().unwrap();
    let row = metadata::repositories::find(&mut tx, team.id, &name).await.unwrap().unwrap();
    let row = metadata::tags::find(&mut tx, row.id, &tag).await.unwrap().unwrap();
    assert_eq!(row.digest, one);
}
