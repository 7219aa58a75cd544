use super::error::{Error, Result};
use jiff::Timestamp;
use sealock_facts::{Door, Tier};
use sealock_oci::{Digest, RepositoryName, Tag};
use sqlx::{Column as _, Row as _, TypeInfo as _, postgres::PgRow};
use std::{fmt::Display, str::FromStr, sync::Arc};

/// The columns of an answer.
pub(super) type Names = Arc<[Box<str>]>;

/// One row of an answer.
#[derive(Debug)]
pub struct Row(Inner);

enum Inner {
    Sqlite { names: Names, cells: Box<[Cell]> },
    Postgres(PgRow),
}

/// A value as SQLite stores it.
pub(super) enum Cell {
    Null,
    Int(i64),
    Real,
    /// UTF-8 unless another program wrote it.
    Text(Box<[u8]>),
    Bytes(Box<[u8]>),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row")
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(Inner::Postgres(row))
    }
}

impl Cell {
    fn is_not(&self, wanted: &str) -> String {
        let kind = match self {
            Self::Null => "NULL",
            Self::Int(_) => "a number",
            Self::Real => "a number with a fraction",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        };
        format!("holds {kind} instead of {wanted}")
    }
}

/// What a column can be read as.
pub trait Column: Sized {
    /// The column's value; `None` for NULL.
    fn column(row: &Row, name: &str) -> Result<Option<Self>>;
}

impl Row {
    /// What SQLite answered.
    pub(super) fn of(names: Names, cells: Box<[Cell]>) -> Self {
        Self(Inner::Sqlite { names, cells })
    }

    /// The value of a column that cannot be NULL.
    pub fn get<T: Column>(&self, name: &str) -> Result<T> {
        T::column(self, name)?
            .ok_or_else(|| Error::Column { name: name.to_owned(), why: "is NULL".to_owned() })
    }

    /// The value of a column that may be NULL.
    pub fn opt<T: Column>(&self, name: &str) -> Result<Option<T>> {
        T::column(self, name)
    }

    /// A text column through the type's `FromStr`.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: Display,
    {
        self.text(name)?
            .map(|text| text.parse().map_err(|error| bad_column(name, error)))
            .transpose()
    }

    /// A text column as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?.ok_or_else(|| bad_column(name, "is NULL"))?;
        serde_json::from_str(text).map_err(|error| bad_column(name, error))
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        match &self.0 {
            Inner::Sqlite { names, cells } => match cell(names, cells, name)? {
                Cell::Null => Ok(None),
                Cell::Text(text) => {
                    Ok(Some(str::from_utf8(text).map_err(|error| bad_column(name, error))?))
                }
                other => Err(bad_column(name, other.is_not("text"))),
            },
            Inner::Postgres(row) => row.try_get(name).map_err(|error| bad_column(name, error)),
        }
    }

    fn bytes(&self, name: &str) -> Result<Option<&[u8]>> {
        match &self.0 {
            Inner::Sqlite { names, cells } => match cell(names, cells, name)? {
                Cell::Null => Ok(None),
                Cell::Bytes(bytes) | Cell::Text(bytes) => Ok(Some(bytes)),
                other => Err(bad_column(name, other.is_not("bytes"))),
            },
            Inner::Postgres(row) => row.try_get(name).map_err(|error| bad_column(name, error)),
        }
    }
}

/// The cell of a column: the last one of this name, as for PostgreSQL.
fn cell<'a>(names: &Names, cells: &'a [Cell], name: &str) -> Result<&'a Cell> {
    let place = names.iter().rposition(|known| **known == *name);
    place.and_then(|place| cells.get(place)).ok_or_else(|| bad_column(name, "is not in the answer"))
}

fn bad_column(name: &str, error: impl Display) -> Error {
    Error::Column { name: name.to_owned(), why: error.to_string() }
}

impl Column for i64 {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        match &row.0 {
            Inner::Sqlite { names, cells } => match cell(names, cells, name)? {
                Cell::Null => Ok(None),
                Cell::Int(value) => Ok(Some(*value)),
                other => Err(bad_column(name, other.is_not("a number"))),
            },
            // Literals and some functions are INT4 in PostgreSQL.
            Inner::Postgres(row) => {
                let small = row
                    .columns()
                    .iter()
                    .any(|column| column.name() == name && column.type_info().name() == "INT4");
                if small {
                    let value: Option<i32> = row.try_get(name).map_err(|e| bad_column(name, e))?;
                    Ok(value.map(i64::from))
                } else {
                    row.try_get(name).map_err(|e| bad_column(name, e))
                }
            }
        }
    }
}

impl Column for String {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        Ok(row.text(name)?.map(str::to_owned))
    }
}

impl Column for Vec<u8> {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        Ok(row.bytes(name)?.map(<[u8]>::to_vec))
    }
}

impl Column for bool {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        Ok(i64::column(row, name)?.map(|value| value != 0))
    }
}

impl Column for u64 {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        let value = i64::column(row, name)?;
        value.map(|v| Self::try_from(v).map_err(|error| bad_column(name, error))).transpose()
    }
}

impl Column for u32 {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        let value = i64::column(row, name)?;
        value.map(|v| Self::try_from(v).map_err(|error| bad_column(name, error))).transpose()
    }
}

impl Column for Timestamp {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        let value = i64::column(row, name)?;
        value
            .map(|v| Self::from_microsecond(v).map_err(|error| bad_column(name, error)))
            .transpose()
    }
}

macro_rules! parsed_column {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn column(row: &Row, name: &str) -> Result<Option<Self>> {
                row.parsed(name)
            }
        }
    )*};
}
parsed_column!(Digest, Tier, Door, RepositoryName, Tag);
