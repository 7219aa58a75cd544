//! Very many projects, people, robots, groups and labels, as Harbor's lists have them.

use anyhow::{Context, Result};
use sealock_facts::Tier;
use sealock_metadata::{
    Database, ToValue as _, Tx, labels, members, project_settings, projects, repositories, robots,
    user_groups, users,
};

/// How many of each.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Crowd {
    /// Projects, named p00000 and so on, each with repositories and a member; a tenth is public.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) projects: u64,
    /// People, groups and labels; all of these people are members of the project `crowd`, which has
    /// as many labels and robots of its own.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) people: u64,
    /// Robots of the system, and as many of the project `crowd`.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) robots: u64,
}

/// Repositories of each project.
const REPOSITORIES: u64 = 3;
/// The project whose lists are long.
const CROWD: &str = "crowd";
/// People who ask, if they are there; others are made: each with the first of the projects that
/// they administer, their number, and the pattern to which they are limited.
const ASKING: [(&str, Share, &str); 4] = [
    ("few", Share::Last(3), ""),
    ("busy", Share::First(2), ""),
    ("many", Share::Tenth, ""),
    ("part", Share::Hundredth, "app*"),
];

#[derive(Clone, Copy)]
enum Share {
    First(u64),
    Last(u64),
    Tenth,
    Hundredth,
}

impl Share {
    fn holds(self, number: u64, of: u64) -> bool {
        match self {
            Self::First(some) => number < some,
            Self::Last(some) => number + some >= of,
            Self::Tenth => number % 10 == 5,
            Self::Hundredth => number % 100 == 7,
        }
    }
}

/// Fills the database.
pub(crate) async fn fill(database: &Database, crowd: Crowd, batch: u64) -> Result<()> {
    if crowd.projects + crowd.people + crowd.robots == 0 {
        return Ok(());
    }
    let mut tx = database.write().await?;
    let home = projects::create(&mut tx, CROWD, false, Tier::Sandbox, None).await?;
    let home = home.context("the project crowd is there already")?.id;
    let mut asking = Vec::new();
    for (name, share, pattern) in ASKING {
        asking.push((person(&mut tx, name).await?, share, pattern));
    }
    tx.commit().await?;
    for first in (0..crowd.people).step_by(batch as usize) {
        let mut tx = database.write().await?;
        for number in first..crowd.people.min(first + batch) {
            one_of_all(&mut tx, home, number).await?;
        }
        tx.commit().await?;
    }
    for first in (0..crowd.robots).step_by(batch as usize) {
        let mut tx = database.write().await?;
        for number in first..crowd.robots.min(first + batch) {
            robot(&mut tx, None, number).await?;
            robot(&mut tx, Some(home), number).await?;
        }
        tx.commit().await?;
    }
    for first in (0..crowd.projects).step_by(batch as usize) {
        let mut tx = database.write().await?;
        for number in first..crowd.projects.min(first + batch) {
            let owner = asking[number as usize % asking.len()].0;
            let project = project(&mut tx, number, owner).await?;
            for (user, share, pattern) in &asking {
                if share.holds(number, crowd.projects) {
                    let id = members::add(&mut tx, project, *user, 1).await?.context("a member")?;
                    members::set_limit(&mut tx, project, id, pattern).await?;
                }
            }
        }
        tx.commit().await?;
    }
    Ok(())
}

/// The number of somebody who may be there already.
async fn person(tx: &mut Tx, name: &str) -> Result<i64> {
    if let Some(found) = users::find(tx, name).await? {
        return Ok(found.id);
    }
    let email = format!("{name}@example.com");
    let new = users::NewUser { name, email: Some(&email), real_name: name, ..Default::default() };
    Ok(users::create(tx, &new).await?.context("a user")?.id)
}

/// A member, a group and labels.
async fn one_of_all(tx: &mut Tx, home: i64, number: u64) -> Result<()> {
    let id = person(tx, &format!("user{number:05}")).await?;
    let role = i64::try_from(number % 5)? + 1;
    members::add(tx, home, id, role).await?;
    user_groups::create(tx, &format!("group{number:05}"), 2, "").await?;
    let name = format!("label{number:05}");
    let words = labels::Words { name: &name, description: "of the benchmark", color: "#00ab9a" };
    labels::create(tx, None, words).await?;
    labels::create(tx, Some(home), words).await?;
    Ok(())
}

async fn robot(tx: &mut Tx, project_id: Option<i64>, number: u64) -> Result<()> {
    let grant = robots::NewGrant {
        project_id,
        every_project: project_id.is_none(),
        repositories: String::new(),
        permissions: vec!["repository:pull".to_owned(), "repository:push".to_owned()],
    };
    let new = robots::NewRobot {
        project_id,
        name: &format!("robot{number:05}"),
        description: "of the benchmark",
        secret_hash: b"none",
        disabled: number.is_multiple_of(7),
        duration: -1,
        expires_at: None,
        created_by: "admin",
        creator: ("local", 1),
        grants: &[grant],
    };
    robots::create(tx, &new).await?.context("a robot")?;
    Ok(())
}

async fn project(tx: &mut Tx, number: u64, owner: i64) -> Result<i64> {
    let name = format!("p{number:05}");
    let project =
        projects::create(tx, &name, number.is_multiple_of(10), Tier::Sandbox, Some(owner)).await?;
    let id = project.context("a project of the benchmark is there already")?.id;
    for part in 0..REPOSITORIES {
        repositories::ensure(tx, id, &format!("{name}/app{part}").parse()?).await?;
    }
    project_settings::put(tx, id, "auto_scan", "true").await?;
    // What two pushes at once left; in no order.
    let used = |part: u64| i64::try_from((number * 7919 + part * 104_729) % 1_000_003 * 1024);
    let rows =
        vec![vec![id.to_value(), used(0)?.to_value()], vec![id.to_value(), used(1)?.to_value()]];
    tx.insert_many("INSERT INTO project_usage (project_id, bytes)", rows, "").await?;
    Ok(id)
}
