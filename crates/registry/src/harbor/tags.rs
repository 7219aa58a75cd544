//! Tags and labels of artifacts, and their deletion, as Harbor's API has them.

use super::{artifacts::is_immutable, bad, missing};
use crate::{
    Error, Expected, Kind, ManifestPush, Precondition, Registry, Result, audit::Event,
    harbor::TagDetail, immutability::rules_of, is_accessory_tag,
};
use sealock_auth::{Act, Caller, Resource};
use sealock_metadata::{
    self as metadata,
    listing::{Listed, Wanted},
};
use sealock_oci::{Algorithm, Reference, Tag};

/// An artifact as a client names it: project, repository within it, tag or digest.
type Place<'a> = (&'a str, &'a str, &'a str);

impl Registry {
    /// Tags of an artifact, the newest first; with `immutable` also whether they may move.
    pub async fn harbor_tags(
        &self,
        caller: &Caller,
        place: Place<'_>,
        wanted: &Wanted,
        immutable: bool,
    ) -> Result<Listed<TagDetail>> {
        let mut tx = self.database().read().await?;
        let found = self.artifact_for(&mut tx, caller, place, (Resource::Tag, Act::List)).await?;
        let listed = metadata::artifacts::tag_page(&mut tx, found.row.id, wanted).await?;
        let rules = match immutable {
            true => rules_of(&mut tx, found.project.id).await?,
            false => Vec::new(),
        };
        let repository = &found.repository.name;
        Ok(listed.map(|shown| TagDetail {
            immutable: immutable && is_immutable(&shown, repository, &rules),
            shown,
        }))
    }

    /// Gives an artifact a tag that its repository has not got yet. As for a push under that tag,
    /// which this is, the push door stands before it.
    pub async fn create_harbor_tag(
        &self,
        caller: &Caller,
        place: Place<'_>,
        name: &str,
    ) -> Result<()> {
        let mut tx = self.database().read().await?;
        let found = self.artifact_for(&mut tx, caller, place, (Resource::Tag, Act::Create)).await?;
        let tag: Tag = name.parse().map_err(|_| {
            bad("a tag has 1 to 128 letters, digits and ._- and begins with none of .-")
        })?;
        if is_accessory_tag(&tag) {
            return Err(bad("a tag of this form is kept for signatures; choose another one"));
        }
        let (id, digest) = (found.repository.id, found.row.digest);
        if metadata::tags::find(&mut tx, id, &tag).await?.is_some() {
            return Err(taken(&tag));
        }
        let stored = metadata::manifests::load(&mut tx, id, &digest).await?;
        let stored = stored.ok_or_else(|| missing("artifact", digest))?;
        drop(tx);
        let absent = Precondition { matches: None, none_matches: Some(Expected::Anything) };
        // A push by tag is one by SHA-256.
        let by_tag = digest.algorithm() == Algorithm::Sha256;
        let (reference, tags, condition) = match by_tag {
            true => (Reference::Tag(tag.clone()), Vec::new(), absent),
            false => (Reference::Digest(digest), vec![tag.clone()], Precondition::default()),
        };
        let push = ManifestPush {
            repository: &found.name()?,
            reference: &reference,
            tags: &tags,
            content_type: &found.row.media_type,
            payload: stored.payload.into(),
            condition: &condition,
        };
        match self.put_manifest(caller, push).await {
            Ok(_) => Ok(()),
            // Made by somebody else since the look.
            Err(error) if by_tag && error.kind() == Kind::Precondition => Err(taken(&tag)),
            Err(error) => Err(error),
        }
    }

    /// Takes a tag off an artifact.
    pub async fn delete_harbor_tag(
        &self,
        caller: &Caller,
        place: Place<'_>,
        name: &str,
    ) -> Result<()> {
        let mut tx = self.database().read().await?;
        let found = self.artifact_for(&mut tx, caller, place, (Resource::Tag, Act::Delete)).await?;
        let unknown = || missing("tag of this artifact", name);
        let tag: Tag = name.parse().map_err(|_| unknown())?;
        let row = metadata::tags::find(&mut tx, found.repository.id, &tag).await?;
        row.filter(|row| row.manifest_id == found.row.id).ok_or_else(unknown)?;
        drop(tx);
        let same = Expected::OneOf(vec![found.row.digest]);
        let condition = Precondition { matches: Some(same), none_matches: None };
        self.delete_manifest(caller, &found.name()?, &Reference::Tag(tag), &condition).await
    }

    /// Deletes an artifact with all its tags and its accessories; not while an index lists it.
    pub async fn delete_harbor_artifact(&self, caller: &Caller, place: Place<'_>) -> Result<()> {
        let mut tx = self.database().read().await?;
        let what = (Resource::Artifact, Act::Delete);
        let found = self.artifact_for(&mut tx, caller, place, what).await?;
        drop(tx);
        self.delete_artifact(caller, &found.name()?, &found.row.digest).await
    }

    /// Puts a label on an artifact: one of its project, or of the whole system.
    pub async fn add_harbor_artifact_label(
        &self,
        caller: &Caller,
        place: Place<'_>,
        id: i64,
    ) -> Result<()> {
        self.label_artifact(caller, place, id, Act::Create).await
    }

    /// Takes a label off an artifact.
    pub async fn remove_harbor_artifact_label(
        &self,
        caller: &Caller,
        place: Place<'_>,
        id: i64,
    ) -> Result<()> {
        self.label_artifact(caller, place, id, Act::Delete).await
    }

    /// Puts a label on, or takes it off with [`Act::Delete`].
    async fn label_artifact(
        &self,
        caller: &Caller,
        place: Place<'_>,
        id: i64,
        act: Act,
    ) -> Result<()> {
        let mut tx = self.database().write().await?;
        let what = (Resource::ArtifactLabel, act);
        let found = self.artifact_for(&mut tx, caller, place, what).await?;
        let label = metadata::labels::get(&mut tx, id).await?;
        // One of another project is as one that does not exist.
        let here = label.filter(|label| label.project_id.is_none_or(|of| of == found.project.id));
        let artifact = found.row.id;
        let action = match act {
            Act::Delete => {
                if !metadata::artifacts::remove_label(&mut tx, artifact, id).await? {
                    return Err(missing("label", format!("{id} on this artifact")));
                }
                "remove-label"
            }
            _ => {
                let label = here.as_ref().ok_or_else(|| missing("label", id))?;
                if !metadata::artifacts::add_label(&mut tx, artifact, id).await? {
                    let name = &label.name;
                    return Err(Error::conflict(format!(
                        "the artifact has the label {name} already"
                    )));
                }
                "add-label"
            }
        };
        Event::new(caller, action)
            .at((&found.project, &found.repository.name))
            .digest(&found.row.digest)
            .detail("label", here.map_or_else(|| id.to_string(), |label| label.name))
            .record(&mut tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

fn taken(tag: &Tag) -> Error {
    Error::conflict(format!("tag {tag} already exists in this repository"))
}
