//! Artifacts as Harbor's lists have them: pages with conditions, and what is shown beside each,
//! read for a whole page at a time.
//!
//! A page is found by numbers alone, which stand in one index, and then read: passing over the
//! rows before it touches none of them.

use crate::{
    Result, Row, Tx, Value,
    blobs::{self, Blob},
    labels::{self, Label},
    listing::{self, Field, Holds, Listed, Source, Term, Wanted},
    manifests::{self, Manifest},
    params,
};
use jiff::Timestamp;
use sealock_oci::Digest;

/// What lists of artifacts may be asked for. `$1` is the repository, or the project.
macro_rules! fields {
    ($tags:literal, $labels:literal) => {
        &[
            Field::new("id", "m.id", Holds::Int),
            Field::new("type", "m.shown_type", Holds::Text),
            Field::new("media_type", "m.shown_media_type", Holds::Text),
            Field::new("manifest_media_type", "m.media_type", Holds::Text),
            Field::new("artifact_type", "m.artifact_type", Holds::Text),
            Field::new("project_id", "m.in_project", Holds::Int),
            Field::new("repository_id", "m.repository_id", Holds::Int),
            Field::new("repository_name", REPOSITORY_NAME, Holds::Text),
            Field::new("digest", "m.digest", Holds::Text),
            Field::new("size", "m.total_size", Holds::Int),
            Field::new("push_time", "m.pushed_at", Holds::Time),
            Field::new("pull_time", PULL_TIME, Holds::Time),
            Field::through("tags", $tags, "t.name", Holds::Text),
            Field::through("labels", $labels, "l.label_id", Holds::Int),
        ]
    };
}

const REPOSITORY_NAME: &str = "(SELECT r.name FROM repositories r WHERE r.id = m.repository_id)";
const PULL_TIME: &str =
    "(SELECT p.pulled_at FROM pulls p WHERE p.manifest_id = m.id AND p.tag = '')";

/// What a list of the artifacts of a repository may be asked for.
pub const IN_REPOSITORY: &[Field] = fields!(
    "SELECT t.manifest_id FROM tags t WHERE t.repository_id = $1",
    "SELECT l.manifest_id FROM artifact_labels l WHERE TRUE"
);
/// What a list of the artifacts of a project may be asked for.
pub const IN_PROJECT: &[Field] = fields!(
    "SELECT t.manifest_id FROM tags t WHERE t.repository_id IN (SELECT r.id \
     FROM repositories r WHERE r.project_id = $1)",
    "SELECT l.manifest_id FROM artifact_labels l WHERE TRUE"
);

/// Newest first; the order of an index, backwards.
const NEWEST: &str = "m.pushed_at DESC, m.id DESC";
const OLDEST: &str = "m.pushed_at, m.id";

/// Where artifacts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a repository, by its number.
    Repository(i64),
    /// In all repositories of a project, by its number.
    Project(i64),
    /// The newest one of each repository of a project, of those that a condition on
    /// `artifact_type` or `media_type` leaves.
    NewestOfEach(i64),
}

macro_rules! numbers {
    ($what:literal, $rest:literal) => {
        concat!("SELECT ", $what, " FROM manifests m WHERE ", $rest)
    };
}

macro_rules! newest {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM repositories r JOIN manifests m ON m.id = (SELECT o.id FROM manifests o \
             WHERE o.repository_id = r.id AND o.listed = 1 \
             AND ($2 IS NULL OR o.artifact_type = $2) \
             AND ($3 IS NULL OR o.shown_media_type = $3) \
             ORDER BY o.pushed_at DESC, o.id DESC LIMIT 1) WHERE r.project_id = $1"
        )
    };
}

/// A page of artifacts: accessories, and what only an index names, are left out unless `base=*` is
/// among the conditions. Three statements.
pub async fn page(tx: &mut Tx, place: Place, wanted: &Wanted) -> Result<Listed<Manifest>> {
    let mut wanted = wanted.clone();
    let all = wanted.terms.iter().any(|(name, term)| name == "base" && *term == star());
    let order = match wanted.order.as_slice() {
        [(name, false)] if name == "push_time" => OLDEST,
        _ => NEWEST,
    };
    if matches!(wanted.order.as_slice(), [(name, _)] if name == "push_time") {
        wanted.order.clear();
    }
    let (select, count, fields, values) = texts(place, all, &wanted);
    let source = Source { select, whole: None, count, values, fields, order };
    let ids = listing::page(tx, source, &wanted, |row| row.get::<i64>("id")).await?;
    let mut rows = manifests::get_many(tx, &ids.items).await?;
    let at = |id: i64| ids.items.iter().position(|one| *one == id);
    rows.sort_by_cached_key(|row| at(row.id));
    Ok(Listed { items: rows, total: ids.total })
}

fn star() -> Term {
    Term::Is("*".to_owned())
}

type Texts = (&'static str, &'static str, &'static [Field], Vec<Value>);

fn texts(place: Place, all: bool, wanted: &Wanted) -> Texts {
    match (place, all) {
        (Place::Repository(id), false) => (
            numbers!("m.id AS id", "m.repository_id = $1 AND m.listed = 1"),
            numbers!("count(*) AS total", "m.repository_id = $1 AND m.listed = 1"),
            IN_REPOSITORY,
            params![id],
        ),
        (Place::Repository(id), true) => (
            numbers!("m.id AS id", "m.repository_id = $1"),
            numbers!("count(*) AS total", "m.repository_id = $1"),
            IN_REPOSITORY,
            params![id],
        ),
        (Place::Project(id), false) => (
            numbers!("m.id AS id", "m.in_project = $1 AND m.listed = 1"),
            numbers!("count(*) AS total", "m.in_project = $1 AND m.listed = 1"),
            IN_PROJECT,
            params![id],
        ),
        (Place::Project(id), true) => (
            numbers!("m.id AS id", "m.in_project = $1"),
            numbers!("count(*) AS total", "m.in_project = $1"),
            IN_PROJECT,
            params![id],
        ),
        (Place::NewestOfEach(id), _) => (
            newest!("m.id AS id"),
            newest!("count(*) AS total"),
            IN_PROJECT,
            params![id, is(wanted, "artifact_type"), is(wanted, "media_type")],
        ),
    }
}

fn is<'a>(wanted: &'a Wanted, field: &str) -> Option<&'a str> {
    wanted.terms.iter().find_map(|(name, term)| match term {
        Term::Is(text) if name == field => Some(text.as_str()),
        _ => None,
    })
}

/// An accessory with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accessory {
    /// The accessory.
    pub manifest: Manifest,
    /// What it is about.
    pub subject: Digest,
}

/// The accessories of these digests, which are in some of these repositories, by number: by their
/// `subject`, and by the tags under which clients keep older ones. At most `limit` of each kind.
/// Two statements.
pub async fn accessories(
    tx: &mut Tx,
    repository_ids: &[i64],
    subjects: &[Digest],
    limit: u32,
) -> Result<Vec<Accessory>> {
    let sql = "SELECT m.*, r.project_id AS project_id, m.subject_digest AS about FROM manifests p \
               JOIN manifests m ON m.repository_id = p.repository_id \
               AND m.subject_digest = p.digest \
               JOIN repositories r ON r.id = m.repository_id \
               WHERE p.digest = ANY($2) AND +p.repository_id = ANY($1) \
               ORDER BY m.id LIMIT $3";
    let read =
        |row: &Row| Ok(Accessory { manifest: manifests::read(row)?, subject: row.get("about")? });
    let mut found = tx.list(sql, params![repository_ids, subjects, limit], read).await?;
    let named: Vec<String> = subjects.iter().flat_map(names).collect();
    let sql = "SELECT m.*, r.project_id AS project_id, t.name AS about FROM tags t \
               JOIN manifests m ON m.id = t.manifest_id \
               JOIN repositories r ON r.id = m.repository_id \
               WHERE t.repository_id = ANY($1) AND t.name = ANY($2) \
               AND m.accessory IS NOT NULL AND m.subject_digest IS NULL ORDER BY m.id LIMIT $3";
    for row in tx.query(sql, params![repository_ids, &named, limit]).await? {
        let name: String = row.get("about")?;
        let about = |digest: &&Digest| names(digest).contains(&name);
        if let Some(subject) = subjects.iter().find(about) {
            found.push(Accessory { manifest: manifests::read(&row)?, subject: *subject });
        }
    }
    found.sort_by_key(|accessory| accessory.manifest.id);
    Ok(found)
}

/// What a list of accessories may be asked for.
pub const ACCESSORY_FIELDS: &[Field] = &[
    Field::new("id", "m.id", Holds::Int),
    Field::new("artifact_id", "m.id", Holds::Int),
    Field::new("digest", "m.digest", Holds::Text),
    Field::new("type", "m.accessory", Holds::Text),
    Field::new("size", "m.total_size", Holds::Int),
    Field::new("creation_time", "m.pushed_at", Holds::Time),
];

/// A page of the accessories of a digest.
pub async fn accessory_page(
    tx: &mut Tx,
    repository_id: i64,
    subject: &Digest,
    wanted: &Wanted,
) -> Result<Listed<Manifest>> {
    const SELECT: &str = "SELECT m.*, r.project_id AS project_id FROM manifests m \
                          JOIN repositories r ON r.id = m.repository_id \
                          WHERE +m.repository_id = $1 AND ((m.repository_id = $1 \
                          AND m.subject_digest = $2) OR (m.id IN (\
                          SELECT t.manifest_id FROM tags t WHERE t.repository_id = $1 \
                          AND t.name = ANY($3)) AND m.accessory IS NOT NULL \
                          AND m.subject_digest IS NULL))";
    const COUNT: &str = "SELECT count(*) AS total FROM manifests m \
                         WHERE +m.repository_id = $1 AND ((m.repository_id = $1 \
                          AND m.subject_digest = $2) OR (m.id IN (\
                         SELECT t.manifest_id FROM tags t WHERE t.repository_id = $1 \
                         AND t.name = ANY($3)) AND m.accessory IS NOT NULL \
                         AND m.subject_digest IS NULL))";
    let source = Source {
        select: SELECT,
        whole: None,
        count: COUNT,
        values: params![repository_id, subject, &names(subject)[..]],
        fields: ACCESSORY_FIELDS,
        order: "m.id",
    };
    listing::page(tx, source, wanted, manifests::read).await
}

/// The tags under which clients keep the accessories of a digest that have no `subject`.
fn names(digest: &Digest) -> [String; 3] {
    let stem = digest.to_string().replacen(':', "-", 1);
    ["sig", "att", "sbom"].map(|kind| format!("{stem}.{kind}"))
}

/// A tag with when it was pulled last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTag {
    /// The tag.
    pub tag: crate::tags::TagRow,
    /// When it was pulled last.
    pub pulled_at: Option<Timestamp>,
}

macro_rules! tags {
    ($rest:literal) => {
        concat!(
            "SELECT t.*, m.digest AS digest, (SELECT p.pulled_at FROM pulls p \
             WHERE p.manifest_id = t.manifest_id AND p.tag = t.name) AS pulled_at \
             FROM tags t JOIN manifests m ON m.id = t.manifest_id ",
            $rest
        )
    };
}

fn read_tag(row: &Row) -> Result<ShownTag> {
    Ok(ShownTag { tag: crate::tags::read(row)?, pulled_at: row.opt("pulled_at")? })
}

/// Tags of these manifests, by name.
pub async fn tags(tx: &mut Tx, manifest_ids: &[i64]) -> Result<Vec<ShownTag>> {
    let sql = tags!("WHERE t.manifest_id = ANY($1) ORDER BY t.name");
    tx.list(sql, params![manifest_ids], read_tag).await
}

/// What a list of tags may be asked for.
pub const TAG_FIELDS: &[Field] = &[
    Field::new("id", "t.id", Holds::Int),
    Field::new("name", "t.name", Holds::Text),
    Field::new("push_time", "t.updated_at", Holds::Time),
    Field::new(
        "pull_time",
        "(SELECT p.pulled_at FROM pulls p WHERE p.manifest_id = t.manifest_id AND p.tag = t.name)",
        Holds::Time,
    ),
];

/// A page of the tags of a manifest.
pub async fn tag_page(tx: &mut Tx, manifest_id: i64, wanted: &Wanted) -> Result<Listed<ShownTag>> {
    let source = Source {
        select: tags!("WHERE t.manifest_id = $1"),
        whole: None,
        count: "SELECT count(*) AS total FROM tags t WHERE t.manifest_id = $1",
        values: params![manifest_id],
        fields: TAG_FIELDS,
        order: "t.updated_at DESC, t.id DESC",
    };
    listing::page(tx, source, wanted, read_tag).await
}

/// Full names of these repositories: of numbers that a query found.
pub async fn repository_names(tx: &mut Tx, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT id, name FROM repositories WHERE id = ANY($1)";
    tx.list(sql, params![ids], |row| Ok((row.get("id")?, row.get("name")?))).await
}

/// The configurations of these manifests, as their repositories hold them.
pub async fn configurations(tx: &mut Tx, manifest_ids: &[i64]) -> Result<Vec<(i64, Blob)>> {
    let sql = "SELECT b.*, m.id AS manifest_id FROM manifests m \
               JOIN repository_blobs l ON l.repository_id = m.repository_id \
               AND l.digest = m.config_digest JOIN blobs b ON b.digest = l.digest \
               WHERE m.id = ANY($1) AND b.state = 'active'";
    let read = |row: &Row| Ok((row.get("manifest_id")?, blobs::read(row)?));
    tx.list(sql, params![manifest_ids], read).await
}

/// When these manifests were pulled last, of those that were.
pub async fn pulled(tx: &mut Tx, manifest_ids: &[i64]) -> Result<Vec<(i64, Timestamp)>> {
    let sql = "SELECT manifest_id, pulled_at FROM pulls WHERE manifest_id = ANY($1) AND tag = ''";
    let read = |row: &Row| Ok((row.get("manifest_id")?, row.get("pulled_at")?));
    tx.list(sql, params![manifest_ids], read).await
}

/// Records pulls: manifest, tag if it was one, and when. The same manifest and tag once only.
pub async fn pull(tx: &mut Tx, pulls: &[(i64, &str, Timestamp)]) -> Result<()> {
    let rows = pulls.iter().map(|(id, tag, at)| params![*id, *tag, *at]).collect();
    let tail = "ON CONFLICT (manifest_id, tag) DO UPDATE SET pulled_at = excluded.pulled_at \
                WHERE pulls.pulled_at < excluded.pulled_at";
    tx.insert_many("INSERT INTO pulls (manifest_id, tag, pulled_at)", rows, tail).await?;
    Ok(())
}

/// A child of an index that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Number of the index.
    pub parent_id: i64,
    /// Number of the child.
    pub child_id: i64,
    /// The child's digest.
    pub digest: Digest,
    /// `os/architecture[/variant]`.
    pub platform: Option<String>,
}

/// What these indexes list, in order, as far as it is here; at most `limit` in all.
pub async fn references(tx: &mut Tx, index_ids: &[i64], limit: u32) -> Result<Vec<Reference>> {
    let sql = "SELECT c.parent_id AS parent_id, m.id AS child_id, m.digest AS digest, \
               c.platform AS platform FROM manifest_children c \
               JOIN manifests m ON m.repository_id = c.repository_id AND m.digest = c.digest \
               WHERE c.parent_id = ANY($1) ORDER BY c.parent_id, c.position LIMIT $2";
    tx.list(sql, params![index_ids, limit], |row| {
        Ok(Reference {
            parent_id: row.get("parent_id")?,
            child_id: row.get("child_id")?,
            digest: row.get("digest")?,
            platform: row.opt("platform")?,
        })
    })
    .await
}

/// The labels of these manifests, by name.
pub async fn labels(tx: &mut Tx, manifest_ids: &[i64]) -> Result<Vec<(i64, Label)>> {
    let sql = "SELECT l.*, a.manifest_id AS manifest_id FROM artifact_labels a \
               JOIN labels l ON l.id = a.label_id WHERE a.manifest_id = ANY($1) \
               ORDER BY l.name, l.id";
    let read = |row: &Row| Ok((row.get("manifest_id")?, labels::read(row)?));
    tx.list(sql, params![manifest_ids], read).await
}

/// Puts a label on a manifest. False when it has it already.
pub async fn add_label(tx: &mut Tx, manifest_id: i64, label_id: i64) -> Result<bool> {
    let now = tx.now();
    let sql = "INSERT INTO artifact_labels (manifest_id, label_id, created_at) \
               VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![manifest_id, label_id, now]).await? == 1)
}

/// Takes a label off a manifest. False when it has not got it.
pub async fn remove_label(tx: &mut Tx, manifest_id: i64, label_id: i64) -> Result<bool> {
    let sql = "DELETE FROM artifact_labels WHERE manifest_id = $1 AND label_id = $2";
    Ok(tx.execute(sql, params![manifest_id, label_id]).await? == 1)
}

#[cfg(test)]
mod tests {
    use crate::{params, plan};

    macro_rules! page_of {
        ($place:literal) => {
            concat!(
                "EXPLAIN QUERY PLAN SELECT m.id AS id FROM manifests m WHERE ",
                $place,
                " = $1 AND m.listed = 1 ORDER BY m.pushed_at DESC, m.id DESC LIMIT $2 OFFSET $3"
            )
        };
    }
    macro_rules! count_of {
        ($place:literal) => {
            concat!(
                "EXPLAIN QUERY PLAN SELECT count(*) AS total FROM manifests m WHERE ",
                $place,
                " = $1 AND m.listed = 1"
            )
        };
    }

    #[tokio::test]
    async fn a_page_is_found_and_counted_in_an_index_alone() {
        let covering = "USING COVERING INDEX manifests_listed";
        for (page, count) in [
            (page_of!("m.repository_id"), count_of!("m.repository_id")),
            (page_of!("m.in_project"), count_of!("m.in_project")),
        ] {
            plan::assert_one_step(page, params![1_i64, 100_i64, 0_i64], covering).await;
            plan::assert_one_step(count, params![1_i64], covering).await;
        }
    }
}
