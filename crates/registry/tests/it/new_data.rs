//! An advisory that is published today: its cost depends on what it names, not on what is here.

use crate::{
    story::{DPKG, OS, Story},
    world::{World, repo},
};
use sealock_registry::{AuditQuery, ImpactQuery, PageRequest};
use std::collections::BTreeSet;

/// How many images the second advisory finds. `make bench` measures it with 1,000.
const IMAGES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advisory_costs_the_same_statements_for_three_images_and_for_forty() {
    published_today(Story::new(World::new().await).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advisory_costs_the_same_statements_on_postgresql() {
    if let Some(world) = World::on_postgres().await {
        published_today(Story::new(world).await).await;
    }
}

async fn published_today(story: Story) {
    let world = &story.world;
    let holders = async |from: usize, to: usize| {
        for number in from..to {
            let mark = number.to_string();
            let files = [OS, DPKG, ("etc/mark", mark.as_str())];
            world.image(&story.dev, "team/app", &format!("n{number}"), &files).await.unwrap();
        }
        world.image(&story.dev, "team/clean", "v1", &[OS]).await.unwrap();
        world.settle().await;
    };
    // The story's own image holds the package, too.
    holders(1, 3).await;
    let few = import(&story, "CVE-2026-0001", 3).await;
    holders(3, IMAGES).await;
    let many = import(&story, "CVE-2026-0002", IMAGES).await;
    assert_eq!(few, many, "statements of an import that finds 3 images, and {IMAGES}");
}

/// Imports an advisory about the package, sees every image that holds it reported, and tells how
/// many statements the import took.
async fn import(story: &Story, id: &str, images: usize) -> u64 {
    let (world, registry) = (&story.world, &story.world.registry);
    let before = world.db().statements();
    let imported = story.advise(id, "here").await;
    let statements = world.db().statements() - before;
    assert_eq!((imported.rematched, imported.new_findings), (1, 1), "only what the record names");

    let page = PageRequest { limit: Some(100), ..PageRequest::default() };
    let query = ImpactQuery::Vulnerability(id.to_owned());
    let affected = registry.affected(&story.officer, &query, &page).await.unwrap();
    let affected: BTreeSet<_> = affected.items.iter().map(|image| image.digest).collect();
    let query = AuditQuery { actions: vec!["finding.new".to_owned()], ..AuditQuery::default() };
    let events = registry.audit_events(&story.officer, &query, &page).await.unwrap();
    let told: BTreeSet<_> = events
        .items
        .iter()
        .filter(|event| event.detail["vulnerability"] == id)
        .filter_map(|event| event.digest)
        .collect();
    assert_eq!(affected.len(), images);
    assert_eq!(affected, told);
    let clean = "v1".parse().unwrap();
    let clean = registry.artifact(&story.dev, &repo("team/clean"), &clean).await.unwrap();
    assert!(!told.contains(&clean.summary.digest));
    statements
}
