use super::error::{Error, Result};
use jiff::Timestamp;
use sealock_facts::{Door, Tier};
use sealock_oci::{Digest, RepositoryName, Tag};
use sqlx::{Column as _, Row as _, TypeInfo as _, postgres::PgRow, sqlite::SqliteRow};
use std::{fmt::Display, str::FromStr};

/// One row of an answer.
#[derive(Debug)]
pub struct Row(pub(super) Inner);

pub(super) enum Inner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row")
    }
}

/// What a column can be read as.
pub trait Column: Sized {
    /// The column's value; `None` for NULL.
    fn column(row: &Row, name: &str) -> Result<Option<Self>>;
}

impl Row {
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
        String::column(self, name)?
            .map(|text| text.parse().map_err(|error| bad_column(name, error)))
            .transpose()
    }

    /// A text column as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text: String = self.get(name)?;
        serde_json::from_str(&text).map_err(|error| bad_column(name, error))
    }
}

fn bad_column(name: &str, error: impl Display) -> Error {
    Error::Column { name: name.to_owned(), why: error.to_string() }
}

impl Column for i64 {
    fn column(row: &Row, name: &str) -> Result<Option<Self>> {
        match &row.0 {
            Inner::Sqlite(row) => row.try_get(name).map_err(|e| bad_column(name, e)),
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

macro_rules! plain_column {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn column(row: &Row, name: &str) -> Result<Option<Self>> {
                match &row.0 {
                    Inner::Sqlite(row) => row.try_get(name),
                    Inner::Postgres(row) => row.try_get(name),
                }
                .map_err(|error| bad_column(name, error))
            }
        }
    )*};
}
plain_column!(String, Vec<u8>);

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
