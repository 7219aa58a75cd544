//! Artifacts as Harbor's API has them, with what stands beside them in lists. What is shown beside
//! the rows of a page is read for all of them at once.

use super::{ProjectName, missing, overview::Overview};
use crate::{
    Error, Kind, Registry, Result,
    immutability::{ImmutableRule, rules_of},
    inspect::blocking,
    shown,
};
use jiff::Timestamp;
use sealock_auth::{Act, Caller, Permission, Resource, Spot};
use sealock_blobs::{BlobKey, BlobStore};
use sealock_metadata::{
    self as metadata, Tx,
    artifacts::{Accessory, Place, ShownTag},
    labels::Label,
    listing::{Listed, Term, Wanted},
    manifests::{Kind as RowKind, Manifest as ManifestRow},
    projects::{Project as ProjectRow, Visible},
    repositories::Repository,
};
use sealock_oci::{Digest, Reference, RepositoryName};
use std::collections::{BTreeSet, HashMap};

pub use sealock_metadata::{artifacts::Reference as Child, manifests::Manifest as ArtifactRow};

/// To list artifacts.
const LISTED: Permission = (Resource::Artifact, Act::List);
/// Most children of the indexes of one page, and most accessories of its artifacts.
const MAX_CHILDREN: u32 = 20_000;
const MAX_ACCESSORIES: u32 = 10_000;
/// Longest configuration that is read to show a list, of an artifact that came before what it says
/// was kept, in bytes.
const MAX_SHOWN_CONFIG_BYTES: u64 = 1024 * 1024;

/// What is shown beside an artifact, where it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beside {
    /// Its tags.
    pub tags: bool,
    /// Whether its tags may move.
    pub immutable: bool,
    /// Its labels.
    pub labels: bool,
    /// Its accessories.
    pub accessories: bool,
    /// How many findings it has.
    pub overview: bool,
    /// How its signatures were judged.
    pub signature: bool,
}

/// An artifact with what stands beside it; none where that was not asked for.
#[derive(Debug, Clone)]
pub struct ArtifactDetail {
    /// The artifact.
    pub row: ArtifactRow,
    /// Full name of its repository.
    pub repository: String,
    /// What its configuration says, as JSON.
    pub attributes: Option<String>,
    /// When it was pulled last.
    pub pulled_at: Option<Timestamp>,
    /// What an index lists, as far as it is here.
    pub children: Vec<Child>,
    /// Its tags.
    pub tags: Option<Vec<TagDetail>>,
    /// Its labels.
    pub labels: Option<Vec<Label>>,
    /// Its accessories.
    pub accessories: Option<Vec<AccessoryDetail>>,
    /// How many findings it has; none where there is nothing to look into.
    pub overview: Option<Overview>,
    /// How its signatures were judged.
    pub signature: Option<Signature>,
}

/// A tag of an artifact.
#[derive(Debug, Clone)]
pub struct TagDetail {
    /// The tag.
    pub shown: ShownTag,
    /// Whether it may neither move nor go; false unless that was asked for.
    pub immutable: bool,
}

/// An accessory of an artifact.
#[derive(Debug, Clone)]
pub struct AccessoryDetail {
    /// The accessory.
    pub row: ArtifactRow,
    /// Number of the artifact.
    pub subject_id: i64,
    /// Its digest.
    pub subject: Digest,
    /// Full name of their repository.
    pub repository: String,
}

/// How the signatures of an artifact were judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// Ids of the keys under which one is verified.
    pub keys: BTreeSet<String>,
    /// Signatures in all.
    pub total: usize,
}

/// Something in a repository that a caller may look at.
pub(super) struct Found {
    pub(super) project: ProjectRow,
    pub(super) repository: Repository,
    pub(super) row: ManifestRow,
}

impl Found {
    pub(super) fn name(&self) -> Result<RepositoryName> {
        self.repository.name.parse().map_err(Error::internal)
    }
}

impl Registry {
    /// Artifacts of a repository.
    pub async fn harbor_artifacts(
        &self,
        caller: &Caller,
        project: &str,
        repository: &str,
        wanted: &Wanted,
        beside: Beside,
    ) -> Result<Listed<ArtifactDetail>> {
        let mut tx = self.database().read().await?;
        let (name, spot) = (ProjectName::Name(project.to_owned()), Spot::Repository(repository));
        let (project, _) = self.harbor_spot(&mut tx, caller, &name, spot, LISTED).await?;
        // As in Harbor, a repository that is not there has no artifacts.
        let repository = match named(&mut tx, &project, repository).await {
            Ok(repository) => repository,
            Err(error) if error.kind() == Kind::NotFound => {
                return Ok(Listed { items: Vec::new(), total: 0 });
            }
            Err(error) => return Err(error),
        };
        let place = Place::Repository(repository.id);
        let listed = metadata::artifacts::page(&mut tx, place, wanted).await?;
        self.with_beside(tx, &project, listed, beside).await
    }

    /// Artifacts of all repositories of a project; with `newest` the newest one of each, of those
    /// of one artifact type or media type.
    pub async fn harbor_artifacts_of_project(
        &self,
        caller: &Caller,
        project: &ProjectName,
        wanted: &Wanted,
        newest: bool,
        beside: Beside,
    ) -> Result<Listed<ArtifactDetail>> {
        let mut tx = self.database().read().await?;
        let spot = Spot::Somewhere;
        let (project, standing) = self.harbor_spot(&mut tx, caller, project, spot, LISTED).await?;
        let mut wanted = wanted.clone();
        let visible = sealock_auth::visible_in(&mut tx, &standing, &project, LISTED).await?;
        if let Visible::Parts { repositories, .. } = visible {
            let only = repositories.iter().map(ToString::to_string).collect();
            // Before all that a caller asks for, of which not endlessly much counts.
            wanted.terms.insert(0, ("repository_id".to_owned(), Term::AnyOf(only)));
        }
        let wanted = &wanted;
        let place = match newest {
            true => Place::NewestOfEach(project.id),
            false => Place::Project(project.id),
        };
        let listed = metadata::artifacts::page(&mut tx, place, wanted).await?;
        self.with_beside(tx, &project, listed, beside).await
    }

    /// An artifact by tag or digest. What is still queued about it is done first, as far as a door
    /// would wait: who asks right after a push or a signature sees what it brought.
    pub async fn harbor_artifact(
        &self,
        caller: &Caller,
        place: (&str, &str, &str),
        beside: Beside,
    ) -> Result<ArtifactDetail> {
        let what = (Resource::Artifact, Act::Read);
        if beside.overview || beside.signature {
            let mut tx = self.database().read().await?;
            let found = self.artifact_for(&mut tx, caller, place, what).await?;
            drop(tx);
            self.settle(found.repository.id, &found.row.digest, self.door_wait()).await?;
        }
        let mut tx = self.database().read().await?;
        let found = self.artifact_for(&mut tx, caller, place, what).await?;
        let listed = Listed { items: vec![found.row], total: 1 };
        let mut listed = self.with_beside(tx, &found.project, listed, beside).await?;
        listed.items.pop().ok_or_else(|| missing("artifact", place.2))
    }

    /// Accessories of an artifact.
    pub async fn harbor_accessories(
        &self,
        caller: &Caller,
        place: (&str, &str, &str),
        wanted: &Wanted,
    ) -> Result<Listed<AccessoryDetail>> {
        let mut tx = self.database().read().await?;
        let what = (Resource::Accessory, Act::List);
        let found = self.artifact_for(&mut tx, caller, place, what).await?;
        let (id, digest) = (found.repository.id, found.row.digest);
        let listed = metadata::artifacts::accessory_page(&mut tx, id, &digest, wanted).await?;
        Ok(listed.map(|row| AccessoryDetail {
            row,
            subject_id: found.row.id,
            subject: digest,
            repository: found.repository.name.clone(),
        }))
    }

    /// An artifact with which the caller may do this. What is not there is told to those only who
    /// may do this with the others.
    pub(super) async fn artifact_for(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        (project, repository, reference): (&str, &str, &str),
        what: Permission,
    ) -> Result<Found> {
        let (name, spot) = (ProjectName::Name(project.to_owned()), Spot::Repository(repository));
        let (project, _) = self.harbor_spot(tx, caller, &name, spot, what).await?;
        let repository = named(tx, &project, repository).await?;
        let unknown = || missing("artifact", format!("{}: {reference}", repository.name));
        let digest = match reference.parse().map_err(|_| unknown())? {
            Reference::Digest(digest) => digest,
            Reference::Tag(tag) => {
                let tag = metadata::tags::find(tx, repository.id, &tag).await?;
                tag.ok_or_else(unknown)?.digest
            }
        };
        let row = metadata::manifests::find(tx, repository.id, &digest).await?;
        let row = row.ok_or_else(unknown)?;
        Ok(Found { project, repository, row })
    }

    /// Reads what is asked for beside the rows of a page.
    async fn with_beside(
        &self,
        mut tx: Tx,
        project: &ProjectRow,
        listed: Listed<ManifestRow>,
        beside: Beside,
    ) -> Result<Listed<ArtifactDetail>> {
        if listed.items.is_empty() {
            return Ok(listed.map(bare));
        }
        let rows = &listed.items;
        let overviews = match beside.overview {
            true => Some(self.overviews(&mut tx, rows).await?),
            false => None,
        };
        let mut page = Page::read(&mut tx, project, rows, beside).await?;
        let unread = page.read_attributes(&mut tx, rows).await?;
        drop(tx);
        let store = self.blobs().clone();
        page.attributes.extend(blocking(move || Ok(read_configurations(&store, unread))).await?);
        if let Some(overviews) = &overviews {
            self.keep_overviews(overviews).await;
        }
        let mut all = overviews.map(|overviews| overviews.all).unwrap_or_default();
        Ok(listed.map(|row| {
            let overview = all.remove(&row.id);
            ArtifactDetail { overview, ..page.detail(row, beside) }
        }))
    }
}

/// A repository of a project by its name within it.
pub(super) async fn named(tx: &mut Tx, project: &ProjectRow, name: &str) -> Result<Repository> {
    let unknown = || missing("repository", format!("{}/{name}", project.name));
    let full = format!("{}/{name}", project.name).parse().map_err(|_| unknown())?;
    metadata::repositories::find(tx, project.id, &full).await?.ok_or_else(unknown)
}

fn bare(row: ManifestRow) -> ArtifactDetail {
    ArtifactDetail {
        row,
        repository: String::new(),
        attributes: None,
        pulled_at: None,
        children: Vec::new(),
        tags: None,
        labels: None,
        accessories: None,
        overview: None,
        signature: None,
    }
}

/// What stands beside the rows of a page.
#[derive(Default)]
struct Page {
    names: HashMap<i64, String>,
    attributes: HashMap<i64, String>,
    pulled: HashMap<i64, Timestamp>,
    children: HashMap<i64, Vec<Child>>,
    tags: HashMap<i64, Vec<ShownTag>>,
    rules: Vec<ImmutableRule>,
    labels: HashMap<i64, Vec<Label>>,
    accessories: HashMap<(i64, Digest), Vec<Accessory>>,
    signatures: HashMap<(i64, Digest), Signature>,
}

impl Page {
    async fn read(
        tx: &mut Tx,
        project: &ProjectRow,
        rows: &[ManifestRow],
        beside: Beside,
    ) -> Result<Self> {
        use metadata::artifacts as read;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let repositories: BTreeSet<i64> = rows.iter().map(|row| row.repository_id).collect();
        let repositories: Vec<i64> = repositories.into_iter().collect();
        let digests: Vec<Digest> = rows.iter().map(|row| row.digest).collect();
        let mut page = Self {
            names: read::repository_names(tx, &repositories).await?.into_iter().collect(),
            pulled: read::pulled(tx, &ids).await?.into_iter().collect(),
            ..Self::default()
        };
        let indexes: Vec<i64> =
            rows.iter().filter(|row| row.kind == RowKind::Index).map(|row| row.id).collect();
        if !indexes.is_empty() {
            for child in read::references(tx, &indexes, MAX_CHILDREN).await? {
                page.children.entry(child.parent_id).or_default().push(child);
            }
        }
        if beside.tags {
            for tag in read::tags(tx, &ids).await? {
                page.tags.entry(tag.tag.manifest_id).or_default().push(tag);
            }
        }
        if beside.tags && beside.immutable {
            page.rules = rules_of(tx, project.id).await?;
        }
        if beside.labels {
            for (id, label) in read::labels(tx, &ids).await? {
                page.labels.entry(id).or_default().push(label);
            }
        }
        if beside.accessories {
            let found = read::accessories(tx, &repositories, &digests, MAX_ACCESSORIES).await?;
            for one in found {
                let key = (one.manifest.repository_id, one.subject);
                page.accessories.entry(key).or_default().push(one);
            }
        }
        if beside.signature {
            for one in metadata::evidence::signatures(tx, &repositories, &digests).await? {
                let signature = page.signatures.entry((one.repository_id, one.subject));
                let signature = signature.or_default();
                signature.total += 1;
                signature.keys.extend(one.key);
            }
        }
        Ok(page)
    }

    /// Reads what is known of configurations; which ones are to be read themselves.
    async fn read_attributes(
        &mut self,
        tx: &mut Tx,
        rows: &[ManifestRow],
    ) -> Result<Vec<(i64, String, BlobKey)>> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        self.attributes = metadata::manifests::attributes(tx, &ids).await?.into_iter().collect();
        let unknown = rows.iter().filter(|row| {
            let says = row.shown_type != "UNKNOWN" && row.config_digest.is_some();
            says && !self.attributes.contains_key(&row.id)
        });
        let kinds: HashMap<i64, &str> =
            unknown.map(|row| (row.id, row.shown_type.as_str())).collect();
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = kinds.keys().copied().collect();
        let found = metadata::artifacts::configurations(tx, &ids).await?.into_iter();
        let small = found.filter(|(_, blob)| blob.size <= MAX_SHOWN_CONFIG_BYTES);
        let key = |(id, blob): (i64, metadata::blobs::Blob)| {
            let key = BlobKey { digest: blob.digest, generation: blob.generation };
            Some((id, (*kinds.get(&id)?).to_owned(), key))
        };
        Ok(small.filter_map(key).collect())
    }

    fn detail(&mut self, row: ManifestRow, beside: Beside) -> ArtifactDetail {
        let key = (row.repository_id, row.digest);
        let repository = self.names.get(&row.repository_id).cloned().unwrap_or_default();
        let tags = self.tags.remove(&row.id).unwrap_or_default();
        let tag = |shown: ShownTag| TagDetail {
            immutable: beside.immutable && is_immutable(&shown, &repository, &self.rules),
            shown,
        };
        let accessories = self.accessories.remove(&key).unwrap_or_default();
        let accessory = |one: Accessory| AccessoryDetail {
            row: one.manifest,
            subject_id: row.id,
            subject: one.subject,
            repository: repository.clone(),
        };
        ArtifactDetail {
            attributes: self.attributes.remove(&row.id),
            pulled_at: self.pulled.remove(&row.id),
            children: self.children.remove(&row.id).unwrap_or_default(),
            tags: beside.tags.then(|| tags.into_iter().map(tag).collect()),
            labels: beside.labels.then(|| self.labels.remove(&row.id).unwrap_or_default()),
            accessories: beside
                .accessories
                .then(|| accessories.into_iter().map(accessory).collect()),
            signature: beside.signature.then(|| self.signatures.remove(&key).unwrap_or_default()),
            repository: repository.clone(),
            ..bare(row)
        }
    }
}

/// Whether a tag of a repository, by its full name, may neither move nor go.
pub(super) fn is_immutable(tag: &ShownTag, repository: &str, rules: &[ImmutableRule]) -> bool {
    let within = repository.split_once('/').map_or("", |(_, within)| within);
    tag.tag.immutable || rules.iter().any(|rule| rule.covers(within, &tag.tag.name))
}

/// Reads configurations of artifacts of these types. What cannot be read is not shown.
fn read_configurations(
    store: &BlobStore,
    unread: Vec<(i64, String, BlobKey)>,
) -> HashMap<i64, String> {
    use std::io::Read as _;
    let one = |(id, kind, key): (i64, String, BlobKey)| {
        let reader = store.open_sync(&key).ok()?;
        let mut bytes = Vec::new();
        reader.take(MAX_SHOWN_CONFIG_BYTES).read_to_end(&mut bytes).ok()?;
        Some((id, shown::attributes(&kind, &bytes)?))
    };
    unread.into_iter().filter_map(one).collect()
}
