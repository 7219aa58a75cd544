//! Which tables a statement reads and writes, told from its text and the schema's.
//!
//! What cannot be told counts as touching every table: an answer that is read again for nothing is
//! slow, one that is not read again is wrong.

use crate::schema;
use std::{collections::HashMap, sync::OnceLock};

/// Tables that are told apart; further ones share the last place.
pub(super) const PLACES: usize = 128;

/// A set of tables, by their places in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TableSet(u128);

impl TableSet {
    const ALL: Self = Self(u128::MAX);

    fn one(place: usize) -> Self {
        Self(1 << place.min(PLACES - 1))
    }

    pub(super) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let place = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (place < PLACES).then_some(place)
        })
    }
}

/// What a statement touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Touched {
    pub(super) reads: TableSet,
    pub(super) writes: TableSet,
}

impl Touched {
    /// Everything, as a change of the schema does.
    pub(super) const ALL: Self = Self { reads: TableSet::ALL, writes: TableSet::ALL };

    /// What this statement touches.
    pub(super) fn by(sql: &str) -> Self {
        Schema::get().touched(sql)
    }
}

/// The tables and what a removed row takes with it.
#[derive(Debug, Default)]
struct Schema {
    places: HashMap<String, usize>,
    /// By table: those whose rows refer to its rows and are removed or changed with them, at any
    /// distance.
    follow: HashMap<String, TableSet>,
}

impl Schema {
    fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Self::read(&schema::MIGRATIONS))
    }

    fn read(migrations: &[&str]) -> Self {
        let mut schema = Self::default();
        let mut edges: Vec<(String, String)> = Vec::new();
        for statement in migrations.iter().flat_map(|text| schema::split(text)) {
            let words = words(&statement);
            let at = |index: usize| words.get(index).map(String::as_str).unwrap_or_default();
            let table = match (at(0), at(1), at(2)) {
                ("CREATE", "TABLE", "IF") => at(5),
                ("CREATE" | "ALTER", "TABLE", name) => name,
                _ => continue,
            };
            schema.add(table);
            for (index, _) in words.iter().enumerate().filter(|(_, word)| *word == "REFERENCES") {
                let mut rest =
                    words.iter().skip(index + 2).take_while(|word| *word != "REFERENCES");
                if rest.any(|word| matches!(word.as_str(), "CASCADE" | "SET")) {
                    edges.push((at(index + 1).to_owned(), table.to_owned()));
                }
            }
            if let Some(index) = words.windows(2).position(|pair| pair == ["RENAME", "TO"]) {
                let renamed = at(index + 2);
                schema.add(renamed);
                let same =
                    |name: &String| if name == table { renamed.into() } else { name.clone() };
                let again = edges.iter().map(|(from, to)| (same(from), same(to)));
                let again: Vec<_> = again.collect();
                edges.extend(again);
            }
        }
        schema.follow(&edges);
        schema
    }

    fn add(&mut self, table: &str) {
        let next = self.places.len();
        self.places.entry(table.to_owned()).or_insert(next);
    }

    fn follow(&mut self, edges: &[(String, String)]) {
        for table in self.places.keys() {
            let mut reached = vec![table.as_str()];
            let mut at = 0;
            while at < reached.len() {
                let table = reached[at];
                for (_, to) in edges.iter().filter(|(from, _)| from == table) {
                    if !reached.contains(&to.as_str()) {
                        reached.push(to);
                    }
                }
                at += 1;
            }
            let mut all = TableSet::default();
            for table in reached {
                all.insert(self.table(table));
            }
            self.follow.insert(table.clone(), all);
        }
    }

    /// The place of a table; every one for a name that is not known.
    fn table(&self, name: &str) -> TableSet {
        self.places.get(name).map_or(TableSet::ALL, |place| TableSet::one(*place))
    }

    fn touched(&self, sql: &str) -> Touched {
        let words = words(sql);
        let at = |index: usize| words.get(index).map(String::as_str).unwrap_or_default();
        if !matches!(at(0), "SELECT" | "WITH" | "INSERT" | "UPDATE" | "DELETE") {
            return Touched::ALL;
        }
        let mut touched = Touched::default();
        for (index, word) in words.iter().enumerate() {
            if let Some(place) = self.places.get(word) {
                touched.reads.insert(TableSet::one(*place));
            }
            match word.as_str() {
                "INTO" => touched.writes.insert(self.table(at(index + 1))),
                // Not the one of `ON CONFLICT … DO UPDATE SET`.
                "UPDATE" if at(index + 1) != "SET" => {
                    touched.writes.insert(self.table(at(index + 1)));
                }
                "DELETE" => {
                    let table = at(index + 2);
                    let all = self.follow.get(table).copied().unwrap_or(TableSet::ALL);
                    touched.writes.insert(all);
                }
                "REPLACE" if at(index + 1) == "INTO" => {
                    let all = self.follow.get(at(index + 2)).copied().unwrap_or(TableSet::ALL);
                    touched.writes.insert(all);
                }
                _ => {}
            }
        }
        touched
    }
}

/// The words of a statement, without texts in quotes and comments.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let skipped = if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |end| end + 4)
        } else if let Some(text) = rest.strip_prefix('\'') {
            text.find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if end > 0 {
                words.push(rest[..end].to_owned());
                end
            } else {
                c.len_utf8()
            }
        };
        rest = &rest[skipped..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: TableSet) -> Vec<&'static str> {
        let schema = Schema::get();
        let mut names: Vec<_> = schema
            .places
            .iter()
            .filter(|(_, place)| set.places().any(|one| one == **place))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    fn reads(sql: &'static str) -> Vec<&'static str> {
        names(Touched::by(sql).reads)
    }

    fn writes(sql: &'static str) -> Vec<&'static str> {
        names(Touched::by(sql).writes)
    }

    #[test]
    fn what_is_read() {
        let sql = "SELECT t.*, m.digest AS digest FROM tags t JOIN manifests m ON m.id = \
                   t.manifest_id WHERE t.name = 'users' /*pg: FOR UPDATE OF projects */";
        assert_eq!(reads(sql), ["manifests", "tags"]);
        assert_eq!(writes(sql), [""; 0]);
        let sql = "WITH a (id) AS (SELECT id FROM robots) SELECT * FROM a";
        assert_eq!((reads(sql), writes(sql)), (vec!["robots"], vec![]));
    }

    #[test]
    fn what_is_written() {
        let sql = "INSERT INTO tags (name) SELECT m.id FROM manifests m WHERE m.id = $1 \
                   ON CONFLICT (name) DO UPDATE SET name = excluded.name";
        assert_eq!(writes(sql), ["tags"]);
        assert_eq!(writes("UPDATE users SET name = $1 WHERE id = $2"), ["users"]);
        let sql = "WITH a (id) AS (SELECT id FROM tags) UPDATE manifests SET state = 'x'";
        assert_eq!(writes(sql), ["manifests"]);
        assert_eq!(writes("INSERT INTO audit_events (action)"), ["audit_events"]);
    }

    #[test]
    fn what_goes_with_a_removed_row() {
        let gone = writes("DELETE FROM manifests WHERE id = $1");
        for table in ["manifests", "manifest_payloads", "tags", "verdicts"] {
            assert!(gone.contains(&table), "{table}: {gone:?}");
        }
        assert!(!gone.contains(&"projects") && !gone.contains(&"audit_events"), "{gone:?}");
        // Over another table: a removed project takes its robots, and they what they were granted.
        let gone = writes("DELETE FROM projects WHERE id = $1");
        assert!(gone.contains(&"robots") && gone.contains(&"examiners"), "{gone:?}");
        assert_eq!(
            writes("INSERT OR REPLACE INTO projects (id) VALUES ($1)").len(),
            gone.len(),
            "a row that replaces another removes it"
        );
    }

    #[test]
    fn what_cannot_be_told_touches_everything() {
        for sql in ["CREATE TABLE x (id INT)", "PRAGMA x", "UPDATE unheard_of SET a = 1"] {
            assert_eq!(Touched::by(sql).writes, TableSet::ALL, "{sql}");
        }
    }

    #[test]
    fn every_table_has_a_place_and_nothing_works_behind_our_back() {
        let all = schema::MIGRATIONS.concat();
        assert!(Schema::get().places.len() < PLACES);
        assert_eq!(Schema::get().places.len(), all.matches("CREATE TABLE").count());
        for word in ["TRIGGER", "CREATE VIEW"] {
            assert!(!all.contains(word), "{word}: teach the reader of statements first");
        }
    }

    #[test]
    fn a_table_that_is_made_anew_keeps_what_follows_it() {
        let schema = Schema::read(&[
            "CREATE TABLE a (id ID); CREATE TABLE n (id ID, a INT REFERENCES a (id) ON DELETE \
             CASCADE); ALTER TABLE n RENAME TO b; ALTER TABLE a ADD COLUMN x INT REFERENCES c (id) \
             ON DELETE SET NULL; CREATE TABLE c (id ID)",
        ]);
        let places = |names: &[&str]| {
            let mut set = TableSet::default();
            names.iter().for_each(|name| set.insert(schema.table(name)));
            set
        };
        assert_eq!(schema.follow["a"], places(&["a", "n", "b"]));
        assert_eq!(schema.follow["c"], places(&["c", "a", "n", "b"]));
    }
}
