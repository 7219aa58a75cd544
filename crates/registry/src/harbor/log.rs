//! Audit events in Harbor's words: an operation on a resource of a type.

use super::{ProjectName, require_login};
use crate::{Registry, Result};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{
    self as metadata, Tx,
    audit::{Event, Reach},
    listing::{Listed, Term, Wanted},
    projects::Visible,
};

/// Most events that a list counts and shows: of millions the newest ones, or those of the time that
/// is asked for.
pub const MAX_LOGGED: u32 = 100_000;
/// Events among which a list looks for what no index tells, such as a part of a name: the newest
/// ones, or those of the time that is asked for.
pub const MAX_SEARCHED: u32 = 1_000_000;
const REACH: Reach = Reach { shown: MAX_LOGGED, searched: MAX_SEARCHED };

/// Every action that is recorded, with Harbor's words for it: operation and type of resource.
const WORDS: &[(&str, &str, &str)] = &[
    ("push", "create", "artifact"),
    ("pull", "pull", "artifact"),
    ("delete", "delete", "artifact"),
    ("promote", "promote", "artifact"),
    ("admit", "admit", "artifact"),
    ("eradicate", "eradicate", "artifact"),
    ("quarantine", "quarantine", "artifact"),
    ("lift-quarantine", "lift", "quarantine"),
    ("finding.new", "find", "vulnerability"),
    ("tag", "create", "tag"),
    ("retag", "update", "tag"),
    ("untag", "delete", "tag"),
    ("delete-blob", "delete", "blob"),
    ("update-repository", "update", "repository"),
    ("rename-repository", "update", "repository"),
    ("delete-repository", "delete", "repository"),
    ("create-project", "create", "project"),
    ("update-project", "update", "project"),
    ("rename-project", "update", "project"),
    ("delete-project", "delete", "project"),
    ("policy", "update", "policy"),
    ("update-quota", "update", "quota"),
    ("quota-warning", "warn", "quota"),
    ("quota-exceeded", "exceed", "quota"),
    ("create-immutable-rule", "create", "immutable-tag"),
    ("update-immutable-rule", "update", "immutable-tag"),
    ("delete-immutable-rule", "delete", "immutable-tag"),
    ("update-allowlist", "update", "cve-allowlist"),
    ("grant-allowlist", "grant", "cve-allowlist"),
    ("put-member", "update", "member"),
    ("remove-member", "delete", "member"),
    ("create-label", "create", "label"),
    ("update-label", "update", "label"),
    ("delete-label", "delete", "label"),
    ("add-label", "create", "artifact-label"),
    ("remove-label", "delete", "artifact-label"),
    ("add-key", "create", "key"),
    ("compromise-key", "update", "key"),
    ("remove-key", "delete", "key"),
    ("create-robot", "create", "robot"),
    ("update-robot", "update", "robot"),
    ("renew-robot", "update", "robot"),
    ("delete-robot", "delete", "robot"),
    ("request-waiver", "create", "waiver"),
    ("grant-waiver", "grant", "waiver"),
    ("refuse-waiver", "refuse", "waiver"),
    ("revoke-waiver", "revoke", "waiver"),
    ("grant-examine", "grant", "examine"),
    ("withdraw-examine", "withdraw", "examine"),
    ("login", "login", "user"),
    ("logout", "logout", "user"),
    ("create-token", "create", "token"),
    ("revoke-token", "revoke", "token"),
    ("end-session", "end", "session"),
    ("update-configuration", "update", "configuration"),
    ("create-user", "create", "user"),
    ("update-user", "update", "user"),
    ("delete-user", "delete", "user"),
    ("create-group", "create", "user-group"),
    ("update-group", "update", "user-group"),
    ("delete-group", "delete", "user-group"),
    ("register-cluster", "create", "cluster"),
    ("update-cluster", "update", "cluster"),
    ("renew-cluster-token", "renew", "cluster"),
    ("remove-cluster", "delete", "cluster"),
    ("collect", "collect", "garbage"),
    ("import-advisories", "import", "advisory"),
];

/// An event in Harbor's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Number.
    pub id: i64,
    /// Who.
    pub username: String,
    /// What was done.
    pub operation: String,
    /// To what kind of thing.
    pub resource_type: String,
    /// To which one.
    pub resource: String,
    /// Whether it was not refused.
    pub done: bool,
    /// When.
    pub at: jiff::Timestamp,
}

/// Which part of an event's words a condition is about.
fn part<'w>(name: &str, word: &(&str, &'w str, &'w str)) -> Option<&'w str> {
    match name {
        "operation" => Some(word.1),
        "resource_type" => Some(word.2),
        _ => None,
    }
}

fn holds(term: &Term, word: &str) -> bool {
    match term {
        Term::Is(text) => text == word,
        Term::Like(text) => word.contains(&text.to_ascii_lowercase()),
        Term::AnyOf(texts) => texts.iter().any(|text| text == word),
        Term::AllOf(texts) => texts.iter().all(|text| text == word),
        Term::Between(low, high) => {
            low.as_deref().is_none_or(|low| low <= word)
                && high.as_deref().is_none_or(|high| word <= high)
        }
    }
}

/// Conditions on Harbor's words become conditions on actions; and millions of events are sorted by
/// their time or number only.
fn translated(wanted: &Wanted) -> Wanted {
    let mut wanted = wanted.clone();
    wanted.terms.retain(|(name, _)| name != "action");
    for (name, term) in &mut wanted.terms {
        if !matches!(name.as_str(), "operation" | "resource_type") {
            continue;
        }
        let meant = WORDS.iter().filter(|word| part(name, word).is_some_and(|w| holds(term, w)));
        *term = Term::AnyOf(meant.map(|word| word.0.to_owned()).collect());
        "action".clone_into(name);
    }
    wanted.order.retain(|(name, _)| matches!(name.as_str(), "id" | "op_time"));
    wanted
}

fn logged(event: Event) -> Logged {
    let words = WORDS.iter().find(|word| word.0 == event.action);
    let (operation, resource_type) =
        words.map_or((event.action.as_str(), "system"), |word| (word.1, word.2));
    let detail = ["user", "name", "group", "label", "robot"];
    let detail = detail.iter().find_map(|name| event.detail.get(*name)?.as_str());
    let resource = match (&event.repository, &event.tag, &event.digest, &event.project) {
        (Some(repository), Some(tag), _, _) => format!("{repository}:{tag}"),
        (Some(repository), None, Some(digest), _) => format!("{repository}@{digest}"),
        (Some(repository), None, None, _) => repository.clone(),
        (None, _, _, Some(project)) => project.clone(),
        (None, _, _, None) => detail.unwrap_or_default().to_owned(),
    };
    Logged {
        id: event.id,
        operation: operation.to_owned(),
        resource_type: resource_type.to_owned(),
        resource,
        done: event.result == "allowed",
        at: event.at,
        username: event.actor,
    }
}

impl Registry {
    /// Events: all of them for system administrators and security officers, for others those of
    /// the projects that they administer. With `done` only what was not refused.
    pub async fn harbor_log(
        &self,
        caller: &Caller,
        done: bool,
        wanted: &Wanted,
    ) -> Result<Listed<Logged>> {
        require_login(caller)?;
        let mut tx = self.database().read().await?;
        let visible = match caller.principal.may_in_system(Resource::AuditLog, Act::List) {
            true => Visible::All,
            false => self.visible(&mut tx, caller, (Resource::Log, Act::List)).await?,
        };
        // What a robot was given in every project is nothing of the system's own records.
        let visible = match visible {
            Visible::All if !caller.principal.may_in_system(Resource::AuditLog, Act::List) => {
                self.every_project(&mut tx, caller).await?
            }
            visible => visible,
        };
        let wanted = translated(wanted);
        let listed = metadata::audit::page(&mut tx, &visible, done, &wanted, REACH).await?;
        Ok(listed.map(logged))
    }

    /// Every project one by one, for a robot; security officers look everywhere.
    async fn every_project(&self, tx: &mut Tx, caller: &Caller) -> Result<Visible> {
        match caller.principal.is_robot() {
            true => Ok(Visible::Only(metadata::projects::ids(tx).await?)),
            false => Ok(Visible::All),
        }
    }

    /// Events of a project.
    pub async fn harbor_project_log(
        &self,
        caller: &Caller,
        project: &str,
        done: bool,
        wanted: &Wanted,
    ) -> Result<Listed<Logged>> {
        let mut tx = self.database().read().await?;
        let name = ProjectName::Name(project.to_owned());
        let (project, _) =
            self.harbor_project(&mut tx, caller, &name, Resource::Log, Act::List).await?;
        let only = Visible::Only(vec![project.id]);
        let wanted = translated(wanted);
        let listed = metadata::audit::page(&mut tx, &only, done, &wanted, REACH).await?;
        Ok(listed.map(logged))
    }

    /// The kinds of events that there are. For system administrators.
    pub fn harbor_event_types(&self, caller: &Caller) -> Result<Vec<String>> {
        self.require_system(caller, Resource::AuditLog, Act::List)?;
        let mut types: Vec<String> = Vec::new();
        for (_, operation, resource) in WORDS {
            let word = format!("{operation}_{resource}");
            if !types.contains(&word) {
                types.push(word);
            }
        }
        Ok(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_words_become_conditions_on_actions() {
        let wanted = Wanted {
            terms: vec![
                ("operation".into(), Term::Is("delete".into())),
                ("resource_type".into(), Term::Like("TAG".into())),
                ("action".into(), Term::Is("login".into())),
            ],
            order: vec![("username".into(), true), ("op_time".into(), true)],
            ..Wanted::default()
        };
        let translated = translated(&wanted);
        assert_eq!(translated.order, [("op_time".to_owned(), true)]);
        let [(one, Term::AnyOf(deletes)), (two, Term::AnyOf(tags))] = &*translated.terms else {
            panic!("{translated:?}")
        };
        assert_eq!((one.as_str(), two.as_str()), ("action", "action"));
        assert!(deletes.contains(&"untag".into()) && !deletes.contains(&"push".into()));
        let rules = ["create", "update", "delete"].map(|verb| format!("{verb}-immutable-rule"));
        assert_eq!(tags, &[&["tag", "retag", "untag"].map(str::to_owned)[..], &rules].concat());
    }
}
