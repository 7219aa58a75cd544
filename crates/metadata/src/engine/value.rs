use jiff::Timestamp;
use sealock_facts::{Door, Tier};
use sealock_oci::{Digest, RepositoryName, Tag};

/// A parameter of a statement. The variants are the only types that the schema uses; a NULL keeps
/// its type because PostgreSQL asks for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// BIGINT; also booleans (0 or 1) and times (microseconds since 1970).
    Int(Option<i64>),
    /// TEXT.
    Text(Option<String>),
    /// BYTEA or BLOB.
    Bytes(Option<Vec<u8>>),
    /// A list for `= ANY($n)`.
    Ints(Vec<i64>),
    /// A list for `= ANY($n)`.
    Texts(Vec<String>),
}

/// What can be a parameter.
pub trait ToValue {
    /// NULL of this type.
    const NULL: Value;
    /// The parameter.
    fn to_value(self) -> Value;
}

/// PostgreSQL cannot hold NUL in text. It is replaced on both engines, so that they answer alike;
/// no name, digest or version that this system accepts contains U+FFFD, so nothing matches it.
fn text(text: &str) -> Value {
    Value::Text(Some(if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text.to_owned()
    }))
}

macro_rules! to_value {
    ($($type:ty, $variant:ident, |$v:ident| $value:expr;)*) => {$(
        impl ToValue for $type {
            const NULL: Value = Value::$variant(None);
            fn to_value(self) -> Value { let $v = self; $value }
        }
    )*};
}

to_value! {
    i64, Int, |v| Value::Int(Some(v));
    i32, Int, |v| Value::Int(Some(i64::from(v)));
    u32, Int, |v| Value::Int(Some(i64::from(v)));
    u64, Int, |v| Value::Int(Some(i64::try_from(v).unwrap_or(i64::MAX)));
    usize, Int, |v| Value::Int(Some(i64::try_from(v).unwrap_or(i64::MAX)));
    bool, Int, |v| Value::Int(Some(i64::from(v)));
    Timestamp, Int, |v| Value::Int(Some(v.as_microsecond()));
    &str, Text, |v| text(v);
    String, Text, |v| text(&v);
    &String, Text, |v| text(v);
    Digest, Text, |v| Value::Text(Some(v.to_string()));
    &Digest, Text, |v| Value::Text(Some(v.to_string()));
    &Tag, Text, |v| text(v.as_str());
    &RepositoryName, Text, |v| text(v.as_str());
    Tier, Text, |v| text(v.as_str());
    Door, Text, |v| text(v.as_str());
    &[u8], Bytes, |v| Value::Bytes(Some(v.to_vec()));
    Vec<u8>, Bytes, |v| Value::Bytes(Some(v));
    &Vec<u8>, Bytes, |v| Value::Bytes(Some(v.clone()));
}

impl<T: ToValue> ToValue for Option<T> {
    const NULL: Value = T::NULL;
    fn to_value(self) -> Value {
        self.map_or(T::NULL, ToValue::to_value)
    }
}

macro_rules! list_value {
    ($($type:ty, |$v:ident| $value:expr;)*) => {$(
        impl ToValue for $type {
            const NULL: Value = Value::Texts(Vec::new());
            fn to_value(self) -> Value { let $v = self; $value }
        }
    )*};
}

list_value! {
    &[i64], |v| Value::Ints(v.to_vec());
    &Vec<i64>, |v| Value::Ints(v.clone());
    &[Digest], |v| Value::Texts(v.iter().map(Digest::to_string).collect());
    &Vec<Digest>, |v| Value::Texts(v.iter().map(Digest::to_string).collect());
    &[String], |v| Value::Texts(v.to_vec());
    &Vec<String>, |v| Value::Texts(v.clone());
    &[&str], |v| Value::Texts(v.iter().map(|&t| t.to_owned()).collect());
}

impl ToValue for Value {
    const NULL: Value = Value::Text(None);
    fn to_value(self) -> Value {
        self
    }
}

/// The parameters of a statement, in the order of `$1`, `$2`, …
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::ToValue::to_value($value)),*] };
}

/// Gives an enum its words in the database, both ways.
macro_rules! words {
    (
        $(#[$meta:meta])* $vis:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize)]
        $vis enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// The word in the database and in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("{text:?} is not one of {:?}", [$($word),+])),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::ToValue for $name {
            const NULL: $crate::Value = $crate::Value::Text(None);
            fn to_value(self) -> $crate::Value { $crate::ToValue::to_value(self.as_str()) }
        }

        impl $crate::Column for $name {
            fn column(row: &$crate::Row, name: &str) -> $crate::Result<Option<Self>> {
                row.parsed(name)
            }
        }
    };
}
pub(crate) use words;
