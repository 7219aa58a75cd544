//! What a list costs does not depend on how much it shows.

use crate::Api;
use reqwest::{Method, StatusCode};
use sealock_auth::Role;
use sealock_http::testing::{PASSWORD, Stand};
use sealock_metadata::{repositories, testing::TestDatabase};
use serde_json::Value;

/// Rows of the longer lists.
const MANY: usize = 60;
const LISTS: [&str; 8] = [
    "/projects?page_size=100",
    "/users?page_size=100",
    "/repositories?page_size=100",
    "/projects/team/members?page_size=100",
    "/projects/team/repositories?page_size=100",
    "/labels?scope=g&page_size=100",
    "/quotas?page_size=100",
    "/search?q=p",
];

#[tokio::test]
async fn a_list_costs_the_same_statements_however_long_it_is() {
    costs(Stand::new().await).await;
}

#[tokio::test]
async fn a_list_costs_the_same_statements_on_postgresql() {
    if let Some(database) = TestDatabase::postgres().await {
        costs(Stand::on(database).await).await;
    }
}

async fn costs(stand: Stand) {
    let api = Api::on(stand).await;
    api.stand.project("team", false).await;
    fill(&api, 0, 2).await;
    let few = ask(&api).await;
    fill(&api, 2, MANY).await;
    let many = ask(&api).await;
    for ((list, few), many) in LISTS.iter().zip(&few).zip(&many) {
        assert!(many.1 > few.1 + MANY / 2, "{list} shows {} rows and then {}", few.1, many.1);
        assert_eq!(few.0, many.0, "statements of {list} for {} and {} rows", few.1, many.1);
        assert!(many.0 <= 10, "{list}: {} statements", many.0);
    }
}

async fn fill(api: &Api, from: usize, to: usize) {
    for number in from..to {
        let name = format!("p{number:03}");
        api.stand.project(&name, number % 2 == 0).await;
        let mut tx = api.stand.database.db.write().await.unwrap();
        let new = sealock_metadata::users::NewUser { name: &name, ..Default::default() };
        sealock_metadata::users::create(&mut tx, &new).await.unwrap().unwrap();
        let words = sealock_metadata::labels::Words { name: &name, description: "", color: "" };
        sealock_metadata::labels::create(&mut tx, None, words).await.unwrap().unwrap();
        let team = sealock_metadata::projects::find(&mut tx, "team").await.unwrap().unwrap();
        let repository = format!("team/{name}").parse().unwrap();
        repositories::ensure(&mut tx, team.id, &repository).await.unwrap();
        let settings = sealock_metadata::project_settings::put;
        settings(&mut tx, team.id, "auto_scan", "true").await.unwrap();
        tx.commit().await.unwrap();
        api.stand.member("team", &name, Role::Guest).await;
    }
}

/// The statements and the rows of each list, after the log-in is known: the least of three looks,
/// as what is known of a log-in is looked up again at times.
async fn ask(api: &Api) -> Vec<(u64, usize)> {
    let mut costs = Vec::new();
    for list in LISTS {
        let ask = || api.ask(Method::GET, list).basic_auth("admin", Some(PASSWORD)).send();
        ask().await.unwrap();
        let mut statements = u64::MAX;
        for _ in 0..2 {
            let before = api.stand.database.db.statements();
            ask().await.unwrap();
            statements = statements.min(api.stand.database.db.statements() - before);
        }
        let before = api.stand.database.db.statements();
        let answer = ask().await.unwrap();
        let statements = statements.min(api.stand.database.db.statements() - before);
        assert_eq!(answer.status(), StatusCode::OK, "{list}");
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let rows = body.as_array().map_or_else(
            || {
                ["project", "repository"]
                    .map(|one| body[one].as_array().unwrap().len())
                    .iter()
                    .sum()
            },
            Vec::len,
        );
        costs.push((statements, rows));
    }
    costs
}
