//! Rules of projects by which tags do not move, in Harbor's form.
//!
//! A tag that a rule covers is not moved to another digest, not removed, and its artifact is not
//! deleted. Putting the same digest under the tag again changes nothing and is let in. Rules never
//! cover accessories (decision D8). What a tier or a policy document makes immutable stays so apart
//! from them (decision D7).

use crate::{
    Error, Kind, Registry, Result, access::Scope, audit::Event, harbor::ProjectName,
    incoming::legacy_subject,
};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{
    self as metadata, Tx,
    immutable_rules::{self as rows, Made, RuleRow},
    listing::{Listed, Wanted},
    projects::Project,
};
use sealock_oci::{Digest, ErrorCode, ReferrersTag, RepositoryName, Tag, doublestar::Pattern};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most rules of one project, as in Harbor.
pub const MAX_IMMUTABLE_RULES: i64 = 15;

/// Most selectors of one kind in a rule; the first one counts.
pub const MAX_SELECTORS: usize = 16;

/// Which tags of which repositories never move. The fields are Harbor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImmutableRule {
    /// Number; the server's.
    #[serde(default)]
    pub id: i64,
    /// Place in the list that people see; it decides nothing.
    #[serde(default)]
    pub priority: i64,
    /// It holds nothing for now.
    #[serde(default)]
    pub disabled: bool,
    /// Always `immutable`.
    #[serde(default)]
    pub action: String,
    /// Always `immutable_template`.
    #[serde(default)]
    pub template: String,
    /// Which tags; the first one counts.
    #[serde(default)]
    pub tag_selectors: Vec<Selector>,
    /// Which repositories, under the key `repository`; the first one counts.
    #[serde(default)]
    pub scope_selectors: BTreeMap<String, Vec<Selector>>,
}

/// A pattern and what it says of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Always `doublestar`.
    pub kind: String,
    /// `matches` or `excludes` of tags, `repoMatches` or `repoExcludes` of repositories.
    pub decoration: String,
    /// The pattern; see [`sealock_oci::doublestar`]. Of a repository's name it is about what
    /// follows the project.
    pub pattern: String,
}

/// The part of a rule that says what it covers.
#[derive(Serialize, Deserialize)]
struct Selectors {
    tag_selectors: Vec<Selector>,
    scope_selectors: BTreeMap<String, Vec<Selector>>,
}

const ACTION: &str = "immutable";
const TEMPLATE: &str = "immutable_template";
const KIND: &str = "doublestar";
const REPOSITORY: &str = "repository";

impl ImmutableRule {
    fn read(row: &RuleRow) -> Result<Self> {
        let selectors: Selectors = serde_json::from_str(&row.selectors).map_err(Error::internal)?;
        Ok(Self {
            id: row.id,
            priority: row.priority,
            disabled: row.disabled,
            action: ACTION.to_owned(),
            template: TEMPLATE.to_owned(),
            tag_selectors: selectors.tag_selectors,
            scope_selectors: selectors.scope_selectors,
        })
    }

    /// The selectors as they are kept, once they are known to mean something.
    fn checked(&self) -> Result<String> {
        let bad = |text: String| Err(Error::invalid(ErrorCode::Unsupported, text));
        for (field, found, only) in
            [("action", &self.action, ACTION), ("template", &self.template, TEMPLATE)]
        {
            if !found.is_empty() && found != only {
                return bad(format!("the {field} of such a rule is {only}, not {found:?}"));
            }
        }
        if let Some(other) = self.scope_selectors.keys().find(|key| *key != REPOSITORY) {
            return bad(format!("scope_selectors have the key {REPOSITORY} only, not {other:?}"));
        }
        let repositories = self.scope_selectors.get(REPOSITORY).map_or(&[][..], Vec::as_slice);
        for (what, selectors, words) in [
            ("tag_selectors", self.tag_selectors.as_slice(), ["matches", "excludes"]),
            ("scope_selectors", repositories, ["repoMatches", "repoExcludes"]),
        ] {
            if selectors.is_empty() || selectors.len() > MAX_SELECTORS {
                return bad(format!(
                    "{what} hold 1 to {MAX_SELECTORS} selectors, of which the first one counts"
                ));
            }
            for selector in selectors {
                if selector.kind != KIND {
                    return bad(format!("{what}: the kind is {KIND}, not {:?}", selector.kind));
                }
                if !words.contains(&selector.decoration.as_str()) {
                    let [one, other] = words;
                    let found = &selector.decoration;
                    return bad(format!(
                        "{what}: the decoration is {one} or {other}, not {found:?}"
                    ));
                }
                if let Err(error) = Pattern::parse(&selector.pattern) {
                    return bad(format!("{what}: {:?}: {error}", selector.pattern));
                }
            }
        }
        let selectors = Selectors {
            tag_selectors: self.tag_selectors.clone(),
            scope_selectors: self.scope_selectors.clone(),
        };
        serde_json::to_string(&selectors).map_err(Error::internal)
    }

    /// Whether it covers a tag of a repository, named without its project.
    pub fn covers(&self, repository: &str, tag: &str) -> bool {
        let of = |selector: Option<&Selector>, name: &str| {
            selector.is_some_and(|selector| {
                let matches =
                    Pattern::parse(&selector.pattern).is_ok_and(|pattern| pattern.matches(name));
                match selector.decoration.as_str() {
                    "matches" | "repoMatches" => matches,
                    _ => !matches,
                }
            })
        };
        let first = self.scope_selectors.get(REPOSITORY).and_then(|list| list.first());
        !self.disabled && of(first, repository) && of(self.tag_selectors.first(), tag)
    }
}

impl Registry {
    /// The rules of a project. For its maintainers and administrators, as are the following.
    pub async fn immutable_rules(
        &self,
        caller: &Caller,
        project: &ProjectName,
        wanted: &Wanted,
    ) -> Result<Listed<ImmutableRule>> {
        let mut tx = self.database().read().await?;
        let project = self.keeper_of(&mut tx, caller, project, Act::List).await?;
        let Listed { items, total } = rows::page(&mut tx, project.id, wanted).await?;
        let items = items.iter().map(ImmutableRule::read).collect::<Result<_>>()?;
        Ok(Listed { items, total })
    }

    /// Makes a rule; the project's number and the rule's.
    pub async fn create_immutable_rule(
        &self,
        caller: &Caller,
        project: &ProjectName,
        rule: &ImmutableRule,
    ) -> Result<(i64, i64)> {
        let mut tx = self.database().write().await?;
        let project = self.keeper_of(&mut tx, caller, project, Act::Create).await?;
        let selectors = rule.checked()?;
        let (priority, most) = (rule.priority, MAX_IMMUTABLE_RULES);
        let made =
            rows::create(&mut tx, project.id, priority, rule.disabled, &selectors, most).await?;
        let id = match made {
            Made::Rule(id) => id,
            Made::Twin => return Err(twin()),
            Made::Full => {
                return Err(Error::invalid(
                    ErrorCode::Unsupported,
                    format!(
                        "a project has at most {most} rules; alternatives fit into one: {{a,b}}"
                    ),
                ));
            }
        };
        let told = (id, rule.disabled, selectors.as_str());
        record(&mut tx, caller, "create-immutable-rule", &project, told).await?;
        tx.commit().await?;
        Ok((project.id, id))
    }

    /// Changes a rule of a project. Its number stays: one of another project does not exist here.
    /// Without any selector it is only switched off or on.
    pub async fn update_immutable_rule(
        &self,
        caller: &Caller,
        project: &ProjectName,
        id: i64,
        rule: &ImmutableRule,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let project = self.keeper_of(&mut tx, caller, project, Act::Update).await?;
        if rule.id != 0 && rule.id != id {
            return Err(Error::invalid(
                ErrorCode::Unsupported,
                format!("the rule {id} is changed, and the body is about {}", rule.id),
            ));
        }
        // Clients that only switch a rule off or on say no more than that.
        let switched = rule.tag_selectors.is_empty() && rule.scope_selectors.is_empty();
        let (priority, selectors) = match switched {
            true => {
                let row = rows::get(&mut tx, project.id, id).await?.ok_or_else(|| unknown(id))?;
                (row.priority, row.selectors)
            }
            false => (rule.priority, rule.checked()?),
        };
        let disabled = rule.disabled;
        let done = rows::update(&mut tx, project.id, id, priority, disabled, &selectors).await;
        match done {
            Ok(true) => {}
            Ok(false) => return Err(unknown(id)),
            Err(metadata::Error::Conflict { .. }) => return Err(twin()),
            Err(error) => return Err(error.into()),
        }
        let told = (id, disabled, selectors.as_str());
        record(&mut tx, caller, "update-immutable-rule", &project, told).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a rule of a project.
    pub async fn delete_immutable_rule(
        &self,
        caller: &Caller,
        project: &ProjectName,
        id: i64,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let project = self.keeper_of(&mut tx, caller, project, Act::Delete).await?;
        let row = rows::delete(&mut tx, project.id, id).await?.ok_or_else(|| unknown(id))?;
        let told = (id, row.disabled, row.selectors.as_str());
        record(&mut tx, caller, "delete-immutable-rule", &project, told).await?;
        Ok(tx.commit().await?)
    }

    /// A project whose rules the caller keeps: a maintainer or an administrator of it, or a robot
    /// that was given it.
    async fn keeper_of(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        name: &ProjectName,
        act: Act,
    ) -> Result<Project> {
        Ok(self.harbor_project(tx, caller, name, Resource::ImmutableTag, act).await?.0)
    }
}

/// Fails when a rule of the project covers one of these tags, which are to be moved: what comes
/// under them is no accessory, whatever the tag's name says.
pub(crate) async fn require_movable(
    tx: &mut Tx,
    (project, name): (&Project, &RepositoryName),
    tags: &[Tag],
) -> Result<()> {
    match covered(tx, (project, name), tags).await?.into_iter().next() {
        Some(tag) => Err(immutable(name, &tag)),
        None => Ok(()),
    }
}

/// Fails when a rule of the project covers one of these tags, which are to be removed. The names
/// under which clients keep accessories of what is here are not covered.
pub(crate) async fn require_removable(
    tx: &mut Tx,
    scope: &Scope,
    repository_id: i64,
    tags: &[Tag],
) -> Result<()> {
    for tag in covered(tx, (&scope.project, &scope.name), tags).await? {
        if !is_accessory_of_something(tx, repository_id, &tag).await? {
            return Err(immutable(&scope.name, &tag));
        }
    }
    Ok(())
}

/// Fails when a tag that does not move names an index above this digest: the index would lose a
/// part of what the tag promises.
pub(crate) async fn require_no_fixed_index(
    tx: &mut Tx,
    scope: &Scope,
    repository_id: i64,
    digest: &Digest,
) -> Result<()> {
    let ruled = !rows::list(tx, scope.project.id).await?.is_empty();
    let above = metadata::manifests::tags_above(tx, repository_id, digest, !ruled).await?;
    if let Some((tag, _)) = above.iter().find(|(_, fixed)| *fixed) {
        return Err(Error::new(
            Kind::Policy,
            ErrorCode::ProjectPolicyViolation,
            format!(
                "the immutable tag {tag} names an index with {digest}; only eradication \
                     removes it"
            ),
        ));
    }
    let tags: Vec<Tag> = above.iter().filter_map(|(name, _)| name.parse().ok()).collect();
    require_removable(tx, scope, repository_id, &tags).await
}

/// Fails when a rule of the project covers any tag of a repository.
pub(crate) async fn require_none_covered(
    tx: &mut Tx,
    scope: &Scope,
    repository_id: i64,
) -> Result<()> {
    /// Tags that are looked at at once.
    const AT_ONCE: u32 = 1_000;
    if rows::list(tx, scope.project.id).await?.is_empty() {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let tags = metadata::tags::names(tx, repository_id, &after, AT_ONCE).await?;
        require_removable(tx, scope, repository_id, &tags).await?;
        match tags.last() {
            Some(last) => after = last.to_string(),
            None => return Ok(()),
        }
    }
}

/// The rules of a project, whoever asks.
pub(crate) async fn rules_of(tx: &mut Tx, project_id: i64) -> Result<Vec<ImmutableRule>> {
    rows::list(tx, project_id).await?.iter().map(ImmutableRule::read).collect()
}

/// Those of these tags that a rule covers.
async fn covered(
    tx: &mut Tx,
    (project, name): (&Project, &RepositoryName),
    tags: &[Tag],
) -> Result<Vec<Tag>> {
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    let rules = rules_of(tx, project.id).await?;
    let within = name.within_project().unwrap_or_default();
    let covers = |tag: &&Tag| rules.iter().any(|rule| rule.covers(within, tag.as_str()));
    Ok(tags.iter().filter(covers).cloned().collect())
}

/// In the words that Harbor's clients match.
fn immutable(name: &RepositoryName, tag: &Tag) -> Error {
    let within = name.within_project().unwrap_or_default();
    Error::new(
        Kind::Precondition,
        ErrorCode::Precondition,
        format!("Failed to process request due to '{within}:{tag}' configured as immutable."),
    )
}

/// Whether clients keep accessories of an artifact that is here under this tag. Without the
/// artifact such a name is a tag like any other.
async fn is_accessory_of_something(tx: &mut Tx, repository_id: i64, tag: &Tag) -> Result<bool> {
    if let Some(subject) = legacy_subject(tag) {
        return Ok(metadata::manifests::find(tx, repository_id, &subject).await?.is_some());
    }
    match ReferrersTag::parse(tag) {
        Some(tag) => Ok(metadata::manifests::has_subject_of(tx, repository_id, &tag).await?),
        None => Ok(false),
    }
}

async fn record(
    tx: &mut Tx,
    caller: &Caller,
    action: &'static str,
    project: &Project,
    (id, disabled, selectors): (i64, bool, &str),
) -> Result<()> {
    let event = Event::new(caller, action).project(project).detail("rule", id);
    event.detail("disabled", disabled).detail("selectors", selectors).record(tx).await
}

fn unknown(id: i64) -> Error {
    Error::not_found(ErrorCode::NameUnknown, format!("there is no rule {id} in this project"))
}

fn twin() -> Error {
    Error::conflict("the project has a rule with the same selectors")
}
