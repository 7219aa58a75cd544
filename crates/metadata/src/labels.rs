//! Labels, of a project or of the whole system.

use crate::{
    Result, Row, Tx,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
};
use jiff::Timestamp;

/// What a list of labels may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("id", "id", Holds::Int),
    Field::new("name", "name", Holds::Text),
    Field::new("description", "description", Holds::Text),
    Field::new("color", "color", Holds::Text),
    Field::new("creation_time", "created_at", Holds::Time),
    Field::new("update_time", "updated_at", Holds::Time),
];

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Number.
    pub id: i64,
    /// Its project; none where it is of the whole system.
    pub project_id: Option<i64>,
    /// Name, unique there.
    pub name: String,
    /// For people.
    pub description: String,
    /// `#rrggbb`, or nothing.
    pub color: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a label says.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// Name.
    pub name: &'a str,
    /// For people.
    pub description: &'a str,
    /// `#rrggbb`, or nothing.
    pub color: &'a str,
}

pub(crate) fn read(row: &Row) -> Result<Label> {
    Ok(Label {
        id: row.get("id")?,
        project_id: row.opt("project_id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        color: row.get("color")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Makes a label. `None` when the name is taken.
pub async fn create(
    tx: &mut Tx,
    project_id: Option<i64>,
    words: Words<'_>,
) -> Result<Option<Label>> {
    let now = tx.now();
    let sql = "INSERT INTO labels (project_id, name, description, color, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING RETURNING *";
    let values = params![project_id, words.name, words.description, words.color, now];
    tx.find(sql, values, read).await
}

/// A label by number. It may be of any project: whoever asks checks that of the answer, and says
/// the same where there is none.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Label>> {
    tx.find("SELECT * FROM labels WHERE id = $1", params![id], read).await
}

/// Changes what a label says. False when another one there has the name.
pub async fn update(
    tx: &mut Tx,
    project_id: Option<i64>,
    id: i64,
    words: Words<'_>,
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE labels SET name = $3, description = $4, color = $5, updated_at = $6 \
               WHERE id = $1 AND coalesce(project_id, 0) = coalesce($2, 0) \
               AND NOT EXISTS (SELECT 1 FROM labels o WHERE o.id <> $1 AND o.name = $3 \
               AND coalesce(o.project_id, 0) = coalesce($2, 0))";
    let values = params![id, project_id, words.name, words.description, words.color, now];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Removes a label.
pub async fn delete(tx: &mut Tx, project_id: Option<i64>, id: i64) -> Result<bool> {
    let sql = "DELETE FROM labels WHERE id = $1 AND coalesce(project_id, 0) = coalesce($2, 0)";
    Ok(tx.execute(sql, params![id, project_id]).await? == 1)
}

/// Labels of a project, or of the whole system.
pub async fn page(tx: &mut Tx, project_id: Option<i64>, wanted: &Wanted) -> Result<Listed<Label>> {
    let (select, count) = match project_id {
        Some(_) => (
            "SELECT * FROM labels WHERE project_id = $1",
            "SELECT count(*) AS total FROM labels WHERE project_id = $1",
        ),
        None => (
            "SELECT * FROM labels WHERE project_id IS NULL AND $1 IS NULL",
            "SELECT count(*) AS total FROM labels WHERE project_id IS NULL AND $1 IS NULL",
        ),
    };
    let values = params![project_id];
    let source = Source { select, whole: None, count, values, fields: FIELDS, order: "name, id" };
    listing::page(tx, source, wanted, read).await
}
