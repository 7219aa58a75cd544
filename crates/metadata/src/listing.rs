//! Lists with conditions and an order of the caller's choice, page by page, with their whole
//! length: what Harbor's clients expect. Each entity says which of its columns may be asked for;
//! names outside of that list never reach a statement, and values travel as parameters.

use crate::{Result, Row, Tx, Value, params};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::fmt::Write as _;

/// Most rows of one page.
pub const MAX_ROWS: u32 = 1_000;
/// Most conditions, and most columns in an order.
pub const MAX_TERMS: usize = 32;

/// A column that callers may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name for callers.
    pub name: &'static str,
    /// What stands for it in a statement.
    pub column: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Where a row has many of them: a statement for the numbers of the rows `m` that have any.
    pub through: Option<&'static str>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// A number.
    Int,
    /// 0 or 1.
    Bool,
    /// A moment.
    Time,
}

/// What a column must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// This value.
    Is(String),
    /// Text that holds this one, in whatever case.
    Like(String),
    /// From the first to the second, both included; either may be open.
    Between(Option<String>, Option<String>),
    /// One of these.
    AnyOf(Vec<String>),
    /// All of these at once, which a column that has one value is only where they are one.
    AllOf(Vec<String>),
}

/// What is asked of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Conditions, all of which must hold, by the names of fields. Unknown ones are passed over.
    pub terms: Vec<(String, Term)>,
    /// The order, by the names of fields; true for the greatest first. Unknown ones are passed
    /// over.
    pub order: Vec<(String, bool)>,
    /// Rows to pass over.
    pub offset: u64,
    /// Most rows.
    pub limit: u32,
    /// The length of the whole list is of no interest: what is told in its place ends with this
    /// page.
    pub uncounted: bool,
}

/// A page and the length of the whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of the page.
    pub items: Vec<T>,
    /// Rows of the whole list.
    pub total: u64,
}

impl<T> Listed<T> {
    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(f).collect(), total: self.total }
    }
}

/// What a list is read from.
pub(crate) struct Source<'a> {
    /// `SELECT … FROM … WHERE …`; further conditions are added by AND.
    pub(crate) select: &'static str,
    /// Where `select` gives numbers only: `SELECT … FROM … WHERE …` of the whole rows, which ends
    /// with the column of the number and calls tables by the same names. What stands beside a row
    /// is then read for those of the page alone, and not for all that are put in order.
    pub(crate) whole: Option<&'static str>,
    /// `SELECT count(*) AS total`, from the same.
    pub(crate) count: &'static str,
    /// Its parameters.
    pub(crate) values: Vec<Value>,
    /// What may be asked for.
    pub(crate) fields: &'a [Field],
    /// The order where none is asked for, and between equals.
    pub(crate) order: &'static str,
}

/// Reads a page and counts the list: two statements.
pub(crate) async fn page<T>(
    tx: &mut Tx,
    source: Source<'_>,
    wanted: &Wanted,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Listed<T>> {
    page_up_to(tx, source, wanted, None, read).await
}

/// The same of a list that may be endless: rows after the first `most` are neither counted nor
/// shown. Its `count` is then `SELECT 1 AS one`, from the same.
pub(crate) async fn page_up_to<T>(
    tx: &mut Tx,
    source: Source<'_>,
    wanted: &Wanted,
    most: Option<u32>,
    read: impl Fn(&Row) -> Result<T>,
) -> Result<Listed<T>> {
    let Source { select, whole, count, mut values, fields, order: last } = source;
    let field = |name: &str| fields.iter().find(|field| field.name == name);
    let mut conditions = String::new();
    let (mut counted, mut selected) = (vec![count], vec![select]);
    for (name, term) in wanted.terms.iter().take(MAX_TERMS) {
        if let Some(field) = field(name) {
            match field.through {
                Some(others) => {
                    through(&mut conditions, &mut values, (field, others), term);
                    counted.push(others);
                    selected.push(others);
                }
                None => condition(&mut conditions, &mut values, field, term),
            }
        }
    }
    let counting = match most {
        None => format!("{count}{conditions}"),
        Some(most) => {
            format!("SELECT count(*) AS total FROM ({count}{conditions} LIMIT {most}) AS counted")
        }
    };
    let mut total = 0;
    if !wanted.uncounted {
        let rows = tx.query_shaped(&counted, counting, values.clone()).await?;
        total = rows.first().map_or(Ok(0), |row| row.get("total"))?;
        if wanted.offset >= total {
            return Ok(Listed { items: Vec::new(), total });
        }
    }
    let mut order = String::new();
    for (name, descending) in wanted.order.iter().take(MAX_TERMS) {
        if let Some(field) = field(name).filter(|field| field.through.is_none()) {
            let direction = if *descending { "DESC" } else { "ASC" };
            _ = write!(order, "{} {direction}, ", field.column);
        }
    }
    order.push_str(last);
    values.extend(params![wanted.limit.min(MAX_ROWS), wanted.offset]);
    let place = values.len();
    let mut sql =
        format!("{select}{conditions} ORDER BY {order} LIMIT ${} OFFSET ${place}", place - 1);
    if let Some(whole) = whole {
        selected.push(whole);
        sql = format!("{whole} IN ({sql}) ORDER BY {order}");
    }
    let rows = tx.query_shaped(&selected, sql, values).await?;
    let items: Vec<T> = rows.iter().map(read).collect::<Result<_>>()?;
    if wanted.uncounted {
        total = wanted.offset.saturating_add(items.len() as u64);
    }
    Ok(Listed { items, total })
}

/// Adds a condition. A value that the column can never hold makes one that never holds.
pub(crate) fn condition(sql: &mut String, values: &mut Vec<Value>, field: &Field, term: &Term) {
    let column = field.column;
    let mut compare = |sql: &mut String, operator: &str, text: &str| match field.value(text) {
        Some(value) => {
            values.push(value);
            _ = write!(sql, " AND {column} {operator} ${}", values.len());
        }
        None => sql.push_str(" AND 1 = 0"),
    };
    match term {
        Term::Is(text) => compare(sql, "=", text),
        Term::AllOf(texts) => texts.iter().for_each(|text| compare(sql, "=", text)),
        Term::Between(low, high) => {
            if let Some(low) = low {
                compare(sql, ">=", low);
            }
            if let Some(high) = high {
                compare(sql, "<=", high);
            }
        }
        Term::Like(text) if field.holds == Holds::Text => {
            values.push(Value::Text(Some(holding(text))));
            _ = write!(sql, " AND lower({column}) LIKE lower(${}) ESCAPE '\\'", values.len());
        }
        Term::Like(text) => compare(sql, "=", text),
        Term::AnyOf(texts) => {
            let known: Vec<Value> = texts.iter().filter_map(|text| field.value(text)).collect();
            let list = match field.holds {
                Holds::Text => Value::Texts(texts.clone()),
                _ => Value::Ints(known.into_iter().filter_map(number).collect()),
            };
            values.push(list);
            _ = write!(sql, " AND {column} = ANY(${})", values.len());
        }
    }
}

/// Adds a condition on what a row may have many of: `*` for any, `nil` for none, and of all of some
/// each one.
fn through(
    sql: &mut String,
    values: &mut Vec<Value>,
    (field, others): (&Field, &'static str),
    term: &Term,
) {
    let mut one = |term: &Term| {
        _ = write!(sql, " AND m.id IN ({others}");
        condition(sql, values, field, term);
        sql.push(')');
    };
    match term {
        Term::Is(text) if text == "nil" => _ = write!(sql, " AND NOT m.id IN ({others})"),
        Term::Is(text) if text == "*" => _ = write!(sql, " AND m.id IN ({others})"),
        Term::AllOf(texts) => texts.iter().for_each(|text| one(&Term::Is(text.clone()))),
        _ => one(term),
    }
}

fn number(value: Value) -> Option<i64> {
    match value {
        Value::Int(number) => number,
        _ => None,
    }
}

/// The pattern of texts that hold this one.
pub(crate) fn holding(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        // As `Value`'s own conversion does.
        pattern.push(if c == '\0' { '\u{fffd}' } else { c });
    }
    pattern.push('%');
    pattern
}

impl Field {
    /// A column.
    pub const fn new(name: &'static str, column: &'static str, holds: Holds) -> Self {
        Self { name, column, holds, through: None }
    }

    /// What a row `m` may have many of, in a column of the statement `others`.
    pub const fn through(
        name: &'static str,
        others: &'static str,
        column: &'static str,
        holds: Holds,
    ) -> Self {
        Self { name, column, holds, through: Some(others) }
    }

    /// What callers write as a value of this column; none if it can never hold that.
    fn value(&self, text: &str) -> Option<Value> {
        match self.holds {
            Holds::Text => Some(crate::ToValue::to_value(text)),
            Holds::Int => text.parse().ok().map(|number| Value::Int(Some(number))),
            Holds::Bool => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(Value::Int(Some(1))),
                "false" | "0" => Some(Value::Int(Some(0))),
                _ => None,
            },
            Holds::Time => moment(text).map(|at| Value::Int(Some(at.as_microsecond()))),
        }
    }
}

/// A moment as callers write it: with its offset from UTC, or in UTC.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(field: &Field, term: Term) -> (String, usize) {
        let (mut sql, mut values) = (String::new(), Vec::new());
        condition(&mut sql, &mut values, field, &term);
        (sql, values.len())
    }

    #[test]
    fn values_never_stand_in_the_statement() {
        let evil = "x'; DROP TABLE users; --".to_owned();
        let field = Field::new("name", "u.name", Holds::Text);
        for term in [
            Term::Is(evil.clone()),
            Term::Like(evil.clone()),
            Term::Between(Some(evil.clone()), Some(evil.clone())),
            Term::AnyOf(vec![evil.clone()]),
            Term::AllOf(vec![evil.clone(), "b".into()]),
        ] {
            let (sql, values) = made(&field, term);
            assert!(!sql.contains("DROP") && values > 0, "{sql}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_matches_nothing() {
        let number = Field::new("id", "id", Holds::Int);
        assert_eq!(made(&number, Term::Is("x".into())), (" AND 1 = 0".into(), 0));
        assert_eq!(made(&number, Term::Is("7".into())), (" AND id = $1".into(), 1));
        let time = Field::new("at", "at", Holds::Time);
        assert_eq!(made(&time, Term::Between(Some("2026-01-02T03:04:05".into()), None)).1, 1);
        assert_eq!(made(&time, Term::Is("now".into())).0, " AND 1 = 0");
    }

    #[test]
    fn signs_of_patterns_are_letters() {
        assert_eq!(holding("50%_a\\b"), "%50\\%\\_a\\\\b%");
    }
}
