//! What a list costs does not depend on how much it shows.

use crate::Api;
use reqwest::{Method, StatusCode};
use sealock_auth::Role;
use sealock_http::testing::{PASSWORD, Stand};
use sealock_metadata::{
    Tx, labels, project_settings, projects, repositories, robots, testing::TestDatabase,
    user_groups, users,
};
use serde_json::Value;

/// Rows of the longer lists: a hundredth of what `make bench` measures them with.
const MANY: usize = 100;
/// Events of the longer log, likewise.
const EVENTS: usize = 100_000;
/// The lists, and who asks: `ann` is a member of every project and administers `team`.
const LISTS: [(&str, &str); 22] = [
    ("admin", "/projects?page_size=100"),
    ("admin", "/users?page_size=100"),
    ("admin", "/repositories?page_size=100"),
    ("admin", "/projects/team/members?page_size=100"),
    ("admin", "/projects/team/repositories?page_size=100"),
    ("admin", "/labels?scope=g&page_size=100"),
    ("admin", "/usergroups?page_size=100"),
    ("admin", "/quotas?page_size=100&sort=-used.storage"),
    ("admin", "/search?q=p"),
    ("admin", "/robots?page_size=100"),
    ("admin", "/robots?page_size=100&q=Level=project,ProjectID=TEAM"),
    ("admin", "/audit-logs?page_size=100&q=username=robot"),
    ("admin", "/auditlog-exts?page_size=100&q=username=robot,operation={pull%20create}"),
    ("admin", "/projects/team/logs?page_size=100&q=username=robot,resource=~app&sort=op_time"),
    ("ann", "/projects?page_size=100&sort=-creation_time"),
    ("ann", "/repositories?page_size=100"),
    ("ann", "/search?q=p"),
    ("ann", "/users/search?username=p&page_size=100"),
    ("ann", "/projects/team/members?page_size=100&sort=-entity_name"),
    ("ann", "/audit-logs?page_size=100&q=username=robot"),
    ("ann", "/auditlog-exts?page_size=100&q=username=robot,operation={pull%20create}"),
    ("ann", "/projects/team/auditlog-exts?page_size=100&q=username=robot"),
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
    api.stand.user("ann").await;
    api.stand.member("team", "ann", Role::ProjectAdmin).await;
    fill(&api, 0, 2).await;
    log(&api, 2).await;
    let few = ask(&api).await;
    fill(&api, 2, MANY).await;
    log(&api, EVENTS).await;
    let many = ask(&api).await;
    for (((who, list), few), many) in LISTS.iter().zip(&few).zip(&many) {
        assert!(many.1 > few.1 + MANY / 2, "{list} shows {who} {} rows, then {}", few.1, many.1);
        assert_eq!(few.0, many.0, "statements of {list} for {who}, {} and {}", few.1, many.1);
        assert!(many.0 <= 11, "{list}: {} statements for {who}", many.0);
    }
}

async fn fill(api: &Api, from: usize, to: usize) {
    for number in from..to {
        let name = format!("p{number:03}");
        api.stand.project(&name, number % 2 == 0).await;
        let mut tx = api.stand.database.db.write().await.unwrap();
        let new = users::NewUser { name: &name, ..Default::default() };
        users::create(&mut tx, &new).await.unwrap().unwrap();
        let words = labels::Words { name: &name, description: "", color: "" };
        labels::create(&mut tx, None, words).await.unwrap().unwrap();
        user_groups::create(&mut tx, &name, 2, "").await.unwrap().unwrap();
        let team = projects::find(&mut tx, "team").await.unwrap().unwrap();
        let repository = format!("team/{name}").parse().unwrap();
        repositories::ensure(&mut tx, team.id, &repository).await.unwrap();
        project_settings::put(&mut tx, team.id, "auto_scan", "true").await.unwrap();
        for project_id in [None, Some(team.id)] {
            robot(&mut tx, &name, project_id).await;
        }
        tx.commit().await.unwrap();
        api.stand.member("team", &name, Role::Guest).await;
        api.stand.member(&name, "ann", Role::Developer).await;
    }
}

async fn robot(tx: &mut Tx, name: &str, project_id: Option<i64>) {
    let grant = robots::NewGrant {
        project_id,
        every_project: project_id.is_none(),
        repositories: String::new(),
        permissions: vec!["repository:pull".to_owned()],
    };
    let new = robots::NewRobot {
        project_id,
        name,
        description: "",
        secret_hash: b"",
        disabled: false,
        duration: -1,
        expires_at: None,
        created_by: "ann",
        creator: ("local", 1),
        grants: &[grant],
    };
    robots::create(tx, &new).await.unwrap().unwrap();
}

/// Makes so many events of the project `team`.
async fn log(api: &Api, count: usize) {
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO audit_events (action, result, actor, address, user_agent, request_id, \
         project_id, project, repository, detail, happened_at) \
         SELECT CASE WHEN i % 2 = 0 THEN 'pull' ELSE 'push' END, 'allowed', 'robot', '', '', '', \
         p.id, p.name, 'team/app', '{{}}', 1767323045000000 + i \
         FROM n JOIN projects p ON p.name = 'team'"
    );
    api.stand.database.plant(&sql).await;
}

/// The statements and the rows of each list, after the log-in is known: the least of three looks,
/// as what is known of a log-in is looked up again at times.
async fn ask(api: &Api) -> Vec<(u64, usize)> {
    let mut tx = api.stand.database.db.read().await.unwrap();
    let team = projects::find(&mut tx, "team").await.unwrap().unwrap().id.to_string();
    tx.rollback().await.unwrap();
    let mut costs = Vec::new();
    for (who, list) in LISTS {
        let list = &list.replace("TEAM", &team);
        let ask = || api.ask(Method::GET, list).basic_auth(who, Some(PASSWORD)).send();
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
        let found = ["project", "repository"].map(|one| body[one].as_array().map_or(0, Vec::len));
        costs.push((statements, body.as_array().map_or(found.iter().sum(), Vec::len)));
    }
    costs
}
