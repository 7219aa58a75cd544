//! Rules of projects by which tags do not move.

use crate::{
    Result, Row, Tx,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
};
use jiff::Timestamp;

/// What a list of rules may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("id", "id", Holds::Int),
    Field::new("priority", "priority", Holds::Int),
    Field::new("disabled", "disabled", Holds::Bool),
    Field::new("creation_time", "created_at", Holds::Time),
    Field::new("update_time", "updated_at", Holds::Time),
];

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Number.
    pub id: i64,
    /// Place in the list that people see; it decides nothing.
    pub priority: i64,
    /// It holds nothing for now.
    pub disabled: bool,
    /// Which tags of which repositories, JSON.
    pub selectors: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What became of a rule that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is there, under this number.
    Rule(i64),
    /// The project has the same one.
    Twin,
    /// The project has as many as it may.
    Full,
}

fn read(row: &Row) -> Result<RuleRow> {
    Ok(RuleRow {
        id: row.get("id")?,
        priority: row.get("priority")?,
        disabled: row.get("disabled")?,
        selectors: row.get("selectors")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Makes a rule, if the project has fewer than `most`.
///
/// Safe under READ COMMITTED: the project's row is locked, so of two the second counts the first.
pub async fn create(
    tx: &mut Tx,
    project_id: i64,
    priority: i64,
    disabled: bool,
    selectors: &str,
    most: i64,
) -> Result<Made> {
    let sql = "SELECT id FROM projects WHERE id = $1 /*pg: FOR NO KEY UPDATE */";
    tx.query(sql, params![project_id]).await?;
    let sql = "SELECT count(*) AS n FROM immutable_rules WHERE project_id = $1";
    let count = tx.find(sql, params![project_id], |row| row.get("n")).await?.unwrap_or(0);
    if count >= most {
        return Ok(Made::Full);
    }
    let now = tx.now();
    let sql = "INSERT INTO immutable_rules (project_id, priority, disabled, selectors, \
               created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) \
               ON CONFLICT (project_id, selectors) DO NOTHING RETURNING id";
    let values = params![project_id, priority, disabled, selectors, now];
    let made = tx.find(sql, values, |row| row.get("id")).await?;
    Ok(made.map_or(Made::Twin, Made::Rule))
}

/// Changes a rule of a project. False when the project has none of this number; a second rule with
/// the same selectors is a conflict.
pub async fn update(
    tx: &mut Tx,
    project_id: i64,
    id: i64,
    priority: i64,
    disabled: bool,
    selectors: &str,
) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE immutable_rules SET priority = $3, disabled = $4, selectors = $5, \
               updated_at = $6 WHERE project_id = $1 AND id = $2";
    let values = params![project_id, id, priority, disabled, selectors, now];
    Ok(tx.execute(sql, values).await? == 1)
}

/// Removes a rule of a project. The rule; `None` when the project has none of this number.
pub async fn delete(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<RuleRow>> {
    let sql = "DELETE FROM immutable_rules WHERE project_id = $1 AND id = $2 RETURNING *";
    tx.find(sql, params![project_id, id], read).await
}

/// A rule of a project.
pub async fn get(tx: &mut Tx, project_id: i64, id: i64) -> Result<Option<RuleRow>> {
    let sql = "SELECT * FROM immutable_rules WHERE project_id = $1 AND id = $2";
    tx.find(sql, params![project_id, id], read).await
}

/// The rules of a project, first those of the least priority number. There are few.
pub async fn list(tx: &mut Tx, project_id: i64) -> Result<Vec<RuleRow>> {
    let sql = "SELECT * FROM immutable_rules WHERE project_id = $1 ORDER BY priority, id";
    tx.list(sql, params![project_id], read).await
}

/// Rules of a project, by conditions and in an order.
pub async fn page(tx: &mut Tx, project_id: i64, wanted: &Wanted) -> Result<Listed<RuleRow>> {
    let source = Source {
        select: "SELECT * FROM immutable_rules WHERE project_id = $1",
        whole: None,
        count: "SELECT count(*) AS total FROM immutable_rules WHERE project_id = $1",
        values: params![project_id],
        fields: FIELDS,
        order: "priority, id",
    };
    listing::page(tx, source, wanted, read).await
}
