use crate::{Access, Principal, Right, RightSet, Spot, rights_at};
use sealock_metadata::{Result, Tx, projects};
use sealock_oci::RepositoryName;
use std::collections::BTreeSet;

/// Most scopes of one token request that are looked at.
pub const MAX_SCOPES: usize = 32;

/// What a token request asks for: `repository:library/app:pull,push`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `repository` or `registry`.
    pub kind: String,
    /// Name of the repository, or `catalog`.
    pub name: String,
    /// Actions.
    pub actions: BTreeSet<String>,
}

impl Scope {
    /// Reads one scope (Docker's token specification, "resource scope grammar"). A class in
    /// brackets after the type is ignored, as Docker's own service does.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        // The name may hold a port's colon; the actions hold none.
        let (name, actions) = rest.rsplit_once(':')?;
        let kind = kind.split_once('(').map_or(kind, |(kind, _)| kind);
        let actions = actions.split(',').filter(|a| !a.is_empty()).map(str::to_owned).collect();
        Some(Self { kind: kind.to_owned(), name: name.to_owned(), actions })
    }

    /// Every scope in the values of the `scope` parameter, each of which may hold several.
    pub fn parse_all<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let words = values.into_iter().flat_map(str::split_whitespace);
        words.filter_map(Self::parse).take(MAX_SCOPES).collect()
    }
}

/// What of these scopes a principal gets. Actions that they may not do are left out; that is no
/// error (Docker's token specification, "Token Response").
pub(crate) async fn grant(
    tx: &mut Tx,
    principal: &Principal,
    scopes: &[Scope],
) -> Result<Vec<Access>> {
    let mut granted = Vec::new();
    for scope in scopes.iter().take(MAX_SCOPES) {
        if scope.kind == "registry" && scope.name == "catalog" {
            let (kind, name) = (scope.kind.clone(), scope.name.clone());
            let actions = vec!["*".to_owned()];
            granted.push(Access { kind, name, actions, project_id: None });
            continue;
        }
        let Ok(repository) = scope.name.parse::<RepositoryName>() else { continue };
        if scope.kind != "repository" {
            continue;
        }
        let project = projects::find(tx, repository.project()).await?;
        let rights = match &project {
            Some(project) => {
                let within = repository.within_project().unwrap_or_default();
                rights_at(tx, principal, project, Spot::Repository(within)).await?
            }
            None => RightSet::default(),
        };
        let asked = |action: &str| scope.actions.contains(action) || scope.actions.contains("*");
        let pushes = rights.contains(Right::Push) || rights.contains(Right::Attest);
        let deletes = rights.contains(Right::Delete) || rights.contains(Right::Untag);
        let actions =
            [("pull", rights.contains(Right::Pull)), ("push", pushes), ("delete", deletes)];
        let actions: Vec<String> = actions
            .into_iter()
            .filter(|(action, may)| *may && asked(action))
            .map(|(action, _)| action.to_owned())
            .collect();
        // Also without any action: the token shows that it was asked for, so that a challenge need
        // not ask again. A project that is not there looks like one that is closed.
        let project_id = project.filter(|_| !actions.is_empty()).map(|project| project.id);
        let (kind, name) = (scope.kind.clone(), scope.name.clone());
        granted.push(Access { kind, name, actions, project_id });
    }
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        let scope = Scope::parse("repository:library/app:pull,push").unwrap();
        assert_eq!((scope.kind.as_str(), scope.name.as_str()), ("repository", "library/app"));
        assert_eq!(scope.actions, ["pull".to_owned(), "push".to_owned()].into());
        let scope = Scope::parse("repository(plugin):localhost:5000/app:*").unwrap();
        assert_eq!(
            (scope.kind.as_str(), scope.name.as_str()),
            ("repository", "localhost:5000/app")
        );
        for bad in ["", "repository", "repository:app", ":"] {
            assert_eq!(Scope::parse(bad), None, "{bad}");
        }
        let all = Scope::parse_all(["repository:a/b:pull repository:c/d:pull", "x", "r:e:f"]);
        assert_eq!(all.len(), 3);
        let many = vec!["repository:a/b:pull"; 100];
        assert_eq!(Scope::parse_all(many).len(), MAX_SCOPES);
    }
}
