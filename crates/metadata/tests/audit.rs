//! Lists of audit events: whatever index leads, they are those of all events that fit.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use sealock_facts::Tier;
use sealock_metadata::{
    Tx,
    audit::{self, Event, NewEvent, Reach},
    both_engines,
    listing::{Term, Wanted},
    projects::Visible,
    testing::TestDatabase,
};
use support::project;

both_engines!(
    a_page_is_what_all_events_that_fit_begin_with,
    older_events_are_found_by_time_and_by_what_is_rare,
    our_own_list_is_what_all_events_that_fit_begin_with,
);

/// More projects than are put together one by one.
const PROJECTS: usize = 70;
const EVENTS: usize = 900;
const ACTORS: [&str; 4] = ["ann", "bob", "robot$ci", "rare"];
const ACTIONS: [&str; 3] = ["pull", "push", "delete"];

/// Events of projects in turn, of which the first has half of them.
async fn fill(tx: &mut Tx) -> Vec<i64> {
    let mut projects = Vec::new();
    for number in 0..PROJECTS {
        projects.push(project(tx, &format!("p{number}"), Tier::Sandbox).await);
    }
    let begin = tx.now();
    let event = |number: usize| {
        let home = match number % 2 {
            0 => &projects[0],
            _ => &projects[number / 2 % PROJECTS],
        };
        let nowhere = number % 17 == 3;
        NewEvent {
            action: ACTIONS[usize::from(number.is_multiple_of(5)) + number % 11 / 10],
            result: if number % 7 == 1 { "denied" } else { "allowed" },
            actor: ACTORS[if number == 40 { 3 } else { number % 3 }],
            address: "",
            user_agent: "",
            request_id: "",
            project_id: (!nowhere).then_some(home.id),
            project: (!nowhere).then_some(home.name.as_str()),
            repository: (!nowhere && !number.is_multiple_of(3)).then_some("team/app"),
            digest: None,
            tag: number.is_multiple_of(4).then_some("v1"),
            detail: serde_json::json!({}),
            // Some are written after what happened later.
            at: Some(begin + jiff::SignedDuration::from_secs((number as i64) ^ 1)),
        }
    };
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    audit::record_all(tx, &events).await.unwrap();
    projects.iter().map(|project| project.id).collect()
}

async fn all(tx: &mut Tx) -> Vec<Event> {
    let rows = tx.query("SELECT id FROM audit_events ORDER BY id", Vec::new()).await.unwrap();
    assert_eq!(rows.len(), EVENTS);
    let filter = audit::Filter { visible: Visible::All, ..Default::default() };
    let mut events = audit::list(tx, &filter, None, EVENTS as u32).await.unwrap();
    events.reverse();
    events
}

fn resource(event: &Event) -> String {
    let name = event.repository.clone().or(event.project.clone()).unwrap_or_default();
    match &event.tag {
        Some(tag) if event.repository.is_some() => format!("{name}:{tag}"),
        _ => name,
    }
}

fn fits(event: &Event, visible: &[i64], done: bool, terms: &[(String, Term)]) -> bool {
    let seen = visible.is_empty() || event.project_id.is_some_and(|id| visible.contains(&id));
    let holds = |(name, term): &(String, Term)| {
        let value = match name.as_str() {
            "username" => event.actor.clone(),
            "action" => event.action.clone(),
            "resource" => resource(event),
            "op_time" => event.at.to_string(),
            _ => event.id.to_string(),
        };
        match term {
            Term::Is(text) => value == *text,
            Term::Like(text) => value.contains(text),
            Term::AnyOf(texts) => texts.contains(&value),
            Term::AllOf(texts) => texts.iter().all(|text| value == *text),
            Term::Between(low, high) => {
                low.as_ref().is_none_or(|low| *low <= value)
                    && high.as_ref().is_none_or(|high| value <= *high)
            }
        }
    };
    seen && (!done || event.result == "allowed") && terms.iter().all(holds)
}

fn conditions(events: &[Event]) -> Vec<Vec<(String, Term)>> {
    let is = |name: &str, text: &str| (name.to_owned(), Term::Is(text.to_owned()));
    let any = |name: &str, texts: &[&str]| {
        (name.to_owned(), Term::AnyOf(texts.iter().map(|text| (*text).to_owned()).collect()))
    };
    let like = |name: &str, text: &str| (name.to_owned(), Term::Like(text.to_owned()));
    let between = |low: usize, high: usize| {
        let ends = [low, high].map(|at| Some(events[at].at.to_string()));
        let [low, high] = ends;
        ("op_time".to_owned(), Term::Between(low, high))
    };
    vec![
        vec![],
        vec![is("username", "ann")],
        vec![is("username", "rare")],
        vec![is("username", "nobody")],
        vec![any("username", &["ann", "rare", "nobody"])],
        vec![any("action", &["pull"])],
        vec![any("action", &["delete", "push"])],
        vec![any("action", &[])],
        vec![any("action", &["pull", "push"]), any("action", &["push", "delete"])],
        vec![is("username", "bob"), any("action", &["delete"])],
        vec![like("username", "o")],
        vec![like("resource", "app")],
        vec![is("resource", "p3"), is("username", "ann")],
        vec![is("id", "77")],
        vec![between(100, 800)],
        vec![between(100, 800), is("username", "ann")],
        vec![("op_time".to_owned(), Term::Is(events[55].at.to_string()))],
    ]
}

async fn a_page_is_what_all_events_that_fit_begin_with(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let projects = fill(&mut tx).await;
    let events = all(&mut tx).await;
    let seen: [&[i64]; 5] = [&[], &projects[..1], &projects[7..9], &projects[..5], &projects];
    let mut asked = 0;
    for (visible, terms) in
        seen.iter().flat_map(|one| conditions(&events).into_iter().map(move |terms| (one, terms)))
    {
        let only = match visible {
            [] => Visible::All,
            ids => Visible::Only(ids.to_vec()),
        };
        for (done, by) in [(false, "id"), (true, ""), (true, "op_time"), (false, "-op_time")] {
            let mut fit: Vec<&Event> =
                events.iter().filter(|event| fits(event, visible, done, &terms)).collect();
            match by {
                "" => fit.reverse(),
                "op_time" => fit.sort_by_key(|event| (event.at, event.id)),
                "-op_time" => fit.sort_by_key(|event| std::cmp::Reverse((event.at, event.id))),
                _ => {}
            }
            let order: Vec<_> = (!by.is_empty())
                .then(|| (by.trim_start_matches('-').to_owned(), by.starts_with('-')))
                .into_iter()
                .collect();
            // Few and many: what there is too much of to be put in order is read from an index.
            for shown in [1_000, 30] {
                // Of very many events, those of one moment are in the order of numbers: whole pages
                // of them are the same.
                for offset in [0, 10] {
                    let wanted = Wanted {
                        terms: terms.clone(),
                        order: order.clone(),
                        offset,
                        limit: 10,
                        uncounted: false,
                    };
                    let reach = Reach { shown, searched: 1_000 };
                    let listed = audit::page(&mut tx, &only, done, &wanted, reach).await.unwrap();
                    let say = format!("{} {terms:?} {done} {by} {shown} {offset}", visible.len());
                    assert_eq!(listed.total, (fit.len() as u64).min(shown.into()), "{say}");
                    let right = fit.iter().skip(offset as usize).take(10);
                    let right: Vec<i64> = right.map(|event| event.id).collect();
                    let found: Vec<i64> = listed.items.iter().map(|event| event.id).collect();
                    let near = |ids: &[i64]| ids.iter().map(|id| (id - 1) / 2).collect::<Vec<_>>();
                    match by.ends_with("op_time") && shown < 1_000 {
                        true => assert_eq!(near(&found), near(&right), "{say}"),
                        false => assert_eq!(found, right, "{say}"),
                    }
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 5 * 17 * 16);
}

async fn older_events_are_found_by_time_and_by_what_is_rare(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    fill(&mut tx).await;
    let events = all(&mut tx).await;
    let term = |name: &str, term: Term| (name.to_owned(), term);
    let like = term("resource", Term::Like("app".to_owned()));
    let reach = Reach { shown: 500, searched: 100 };
    let mut ids = async |terms: Vec<(String, Term)>| -> Vec<i64> {
        let wanted = Wanted { terms, limit: 1_000, ..Wanted::default() };
        let listed = audit::page(&mut tx, &Visible::All, false, &wanted, reach).await.unwrap();
        assert_eq!(listed.total, listed.items.len() as u64);
        listed.items.iter().map(|event| event.id).collect()
    };
    let newest = ids(vec![like.clone()]).await;
    assert!(newest.len() > 30 && newest.iter().all(|id| *id > EVENTS as i64 - 100), "{newest:?}");
    let until = term("op_time", Term::Between(None, Some(events[300].at.to_string())));
    let older = ids(vec![until, like.clone()]).await;
    assert!(older.len() > 20 && older.iter().all(|id| (200..=361).contains(id)), "{older:?}");
    let rare = term("username", Term::Is("rare".to_owned()));
    assert_eq!(ids(vec![rare, like]).await, [41], "one index leaves few, and all are looked at");
}

async fn our_own_list_is_what_all_events_that_fit_begin_with(t: &mut TestDatabase) {
    let mut tx = t.db.write().await.unwrap();
    let projects = fill(&mut tx).await;
    let events = all(&mut tx).await;
    for (visible, project_id) in [
        (Visible::All, None),
        (Visible::All, Some(projects[3])),
        (Visible::Only(projects[..5].to_vec()), None),
        (Visible::Only(projects[..5].to_vec()), Some(projects[4])),
        (Visible::Only(projects[..5].to_vec()), Some(projects[9])),
    ] {
        for (actor, actions) in [
            (None, vec![]),
            (Some("ann"), vec![]),
            (Some("rare"), vec!["pull", "push"]),
            (None, vec!["delete", "push"]),
        ] {
            let filter = audit::Filter {
                visible: visible.clone(),
                project_id,
                actor: actor.map(str::to_owned),
                actions: actions.iter().map(|action| (*action).to_owned()).collect(),
                ..Default::default()
            };
            for before in [None, Some(500)] {
                let found = audit::list(&mut tx, &filter, before, 10).await.unwrap();
                let fits = |event: &&Event| {
                    event.project_id.map_or(visible == Visible::All, |id| visible.contains(id))
                        && project_id.is_none_or(|id| event.project_id == Some(id))
                        && actor.is_none_or(|actor| event.actor == actor)
                        && (actions.is_empty() || actions.contains(&event.action.as_str()))
                        && before.is_none_or(|before| event.id < before)
                };
                let right: Vec<&Event> = events.iter().rev().filter(fits).take(10).collect();
                assert_eq!(found.iter().collect::<Vec<_>>(), right, "{filter:?} {before:?}");
            }
        }
    }
}
