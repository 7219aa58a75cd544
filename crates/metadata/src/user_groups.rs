//! Groups of people, as a directory or an identity provider names them.

use crate::{
    Result, Row, Tx,
    listing::{self, Field, Holds, Listed, Source, Wanted},
    params,
};

/// What a list of groups may be asked for.
pub const FIELDS: &[Field] = &[
    Field::new("id", "id", Holds::Int),
    Field::new("group_name", "name", Holds::Text),
    Field::new("group_type", "kind", Holds::Int),
    Field::new("ldap_group_dn", "ldap_dn", Holds::Text),
];

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Number.
    pub id: i64,
    /// Name, unique among those of its kind.
    pub name: String,
    /// 1 LDAP, 2 HTTP, 3 OIDC.
    pub kind: i64,
    /// Its distinguished name, for LDAP.
    pub ldap_dn: String,
}

fn read(row: &Row) -> Result<Group> {
    Ok(Group {
        id: row.get("id")?,
        name: row.get("name")?,
        kind: row.get("kind")?,
        ldap_dn: row.get("ldap_dn")?,
    })
}

/// Makes a group; its number. `None` when there is one of this kind and name.
pub async fn create(tx: &mut Tx, name: &str, kind: i64, ldap_dn: &str) -> Result<Option<i64>> {
    let now = tx.now();
    let sql = "INSERT INTO user_groups (name, kind, ldap_dn, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $4) ON CONFLICT (kind, name) DO NOTHING RETURNING id";
    tx.find(sql, params![name, kind, ldap_dn, now], |row| row.get("id")).await
}

/// A group by number.
pub async fn get(tx: &mut Tx, id: i64) -> Result<Option<Group>> {
    tx.find("SELECT * FROM user_groups WHERE id = $1", params![id], read).await
}

/// A group by kind and name.
pub async fn find(tx: &mut Tx, kind: i64, name: &str) -> Result<Option<Group>> {
    let sql = "SELECT * FROM user_groups WHERE kind = $1 AND name = $2";
    tx.find(sql, params![kind, name], read).await
}

/// The first group of LDAP with a distinguished name.
pub async fn find_ldap(tx: &mut Tx, dn: &str) -> Result<Option<Group>> {
    let sql = "SELECT * FROM user_groups WHERE kind = 1 AND ldap_dn = $1 ORDER BY id LIMIT 1";
    tx.find(sql, params![dn], read).await
}

/// Renames a group. False when another one of its kind has the name.
pub async fn rename(tx: &mut Tx, id: i64, name: &str) -> Result<bool> {
    let now = tx.now();
    let sql = "UPDATE user_groups SET name = $2, updated_at = $3 WHERE id = $1 \
               AND NOT EXISTS (SELECT 1 FROM user_groups o WHERE o.id <> $1 AND o.name = $2 \
               AND o.kind = user_groups.kind)";
    Ok(tx.execute(sql, params![id, name, now]).await? == 1)
}

/// Removes a group and its memberships.
pub async fn delete(tx: &mut Tx, id: i64) -> Result<bool> {
    Ok(tx.execute("DELETE FROM user_groups WHERE id = $1", params![id]).await? == 1)
}

/// Groups.
pub async fn page(tx: &mut Tx, wanted: &Wanted) -> Result<Listed<Group>> {
    let source = Source {
        select: "SELECT * FROM user_groups WHERE 1 = 1",
        whole: None,
        count: "SELECT count(*) AS total FROM user_groups WHERE 1 = 1",
        values: Vec::new(),
        fields: FIELDS,
        order: "name, id",
    };
    listing::page(tx, source, wanted, read).await
}
