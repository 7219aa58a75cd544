//! Values of policy documents that have a form of their own. Each is checked where it stands, so
//! that an error names its line.

use crate::document::{Mode, OnUnknown};
use globset::{GlobBuilder, GlobMatcher};
use jiff::{SignedDuration, Timestamp, civil};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use sealock_facts::Severity;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{borrow::Cow, fmt, net::IpAddr};

/// Most days that a document may name, ten years.
pub const MAX_DAYS: u32 = 3650;
/// Most entries of one list in a document.
pub const MAX_LIST: usize = 1000;

/// A number of days of 24 hours, at most [`MAX_DAYS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Days(u32);

impl Days {
    /// So many days; none above [`MAX_DAYS`].
    pub const fn new(days: u32) -> Option<Self> {
        if days <= MAX_DAYS { Some(Self(days)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether it is none.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// That long after `start`, or the end of time.
    pub fn after(self, start: Timestamp) -> Timestamp {
        start
            .checked_add(SignedDuration::from_hours(i64::from(self.0) * 24))
            .unwrap_or(Timestamp::MAX)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = u32::deserialize(deserializer)?;
        Self::new(days).ok_or_else(|| {
            de::Error::custom(format!("{days} days are too many; write 0 to {MAX_DAYS}"))
        })
    }
}

impl JsonSchema for Days {
    fn schema_name() -> Cow<'static, str> {
        "Days".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": MAX_DAYS})
    }
}

/// A moment: an RFC 3339 time, or a date, which means its beginning in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(time));
        }
        text.parse::<civil::Date>()
            .ok()
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .map(|start| Self(start.timestamp()))
            .ok_or_else(|| {
                de::Error::custom(format!(
                    "{text:?} is not a moment; write a date such as 2026-12-01 or a time such as \
                     2026-12-01T08:00:00Z"
                ))
            })
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$",
            "description": "An RFC 3339 time, or a date, which means its beginning in UTC."
        })
    }
}

/// A glob: `*` and `?` within one part between slashes, `**` over any number of parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

/// Compiles a glob in the one dialect that Sealock uses.
pub(crate) fn glob(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
}

impl Pattern {
    /// Checks a glob.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 512 {
            return Err("a pattern has 1 to 512 bytes".to_owned());
        }
        glob(text).map_err(|error| format!("{text:?} is not a pattern: {}", error.kind()))?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.0 == text || glob(&self.0).is_ok_and(|glob| glob.is_match(text))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": 512,
            "description": "A glob: * and ? within one part between slashes, ** over any number of parts."
        })
    }
}

/// A network in CIDR form, such as `10.0.0.0/8`; a bare address is a network of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NetworkText(String);

fn network(text: &str) -> Option<ipnet::IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from))
}

impl NetworkText {
    /// Whether the address lies in it. An IPv4 address in IPv6 form is taken as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        network(&self.0).is_some_and(|network| network.contains(&address.to_canonical()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for NetworkText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if network(&text).is_none() {
            return Err(de::Error::custom(format!(
                "{text:?} is not a network; write it as 10.0.0.0/8 or fd00::/8"
            )));
        }
        Ok(Self(text))
    }
}

impl JsonSchema for NetworkText {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 2, "maxLength": 64,
            "description": "A network in CIDR form, such as 10.0.0.0/8."
        })
    }
}

/// Which of a project's keys count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keys {
    /// Every key that the project lists.
    #[default]
    Any,
    /// Those with these names or ids.
    Listed(Vec<String>),
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Listed(keys) => keys.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the word any, or a list of key names or ids")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Keys, E> {
                if text == "any" {
                    return Ok(Keys::Any);
                }
                Err(E::custom(format!(
                    "{text:?} is neither the word any nor a list; write [{text}] for one key"
                )))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
                let mut keys: Vec<String> = Vec::new();
                while let Some(key) = list.next_element::<String>()? {
                    if key.is_empty() || keys.contains(&key) {
                        return Err(de::Error::custom(format!(
                            "the key {key:?} is empty or listed twice"
                        )));
                    }
                    keys.push(key);
                    if keys.len() > MAX_LIST {
                        return Err(de::Error::custom(format!("more than {MAX_LIST} keys")));
                    }
                }
                if keys.is_empty() {
                    return Err(de::Error::custom(
                        "the list of keys is empty; name at least one, or write any",
                    ));
                }
                Ok(Keys::Listed(keys))
            }
        }
        deserializer.deserialize_any(KeysVisitor)
    }
}

impl JsonSchema for Keys {
    fn schema_name() -> Cow<'static, str> {
        "Keys".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The word any, or a list of names or ids of keys that the project lists.",
            "oneOf": [
                {"const": "any"},
                {"type": "array", "minItems": 1, "maxItems": MAX_LIST, "uniqueItems": true,
                 "items": {"type": "string", "minLength": 1}}
            ]
        })
    }
}

/// What one door does with a rule: a [`Mode`] alone, or with when it begins and what unknown means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorSetting {
    /// What a failure does.
    pub mode: Mode,
    /// Warn for so many days after the policy came into force, then enforce.
    pub after_days: Option<Days>,
    /// Warn until this moment, then enforce.
    pub from: Option<Moment>,
    /// What unknown does; absent: as the document's `doors` say, else deny (hold at the push door)
    /// above sandbox and warn up to sandbox.
    pub unknown: Option<OnUnknown>,
}

/// The long form of a door's setting.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LongSetting {
    /// What a failure does.
    mode: Mode,
    /// Warn for so many days after the policy came into force, then enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_days: Option<Days>,
    /// Warn until this moment, then enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Moment>,
    /// What an unknown outcome does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<OnUnknown>,
}

impl From<Mode> for DoorSetting {
    fn from(mode: Mode) -> Self {
        Self { mode, after_days: None, from: None, unknown: None }
    }
}

impl Serialize for DoorSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::from(self.mode) {
            return self.mode.serialize(serializer);
        }
        let Self { mode, after_days, from, unknown } = *self;
        LongSetting { mode, after_days, from, unknown }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DoorSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SettingVisitor;
        impl<'de> Visitor<'de> for SettingVisitor {
            type Value = DoorSetting;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("off, warn, enforce, or a mapping with mode, afterDays, from, unknown")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<DoorSetting, E> {
                Mode::deserialize(de::value::StrDeserializer::<E>::new(text)).map(Into::into)
            }
            // YAML 1.1 readers take a bare `off` for false; so do some writers of JSON.
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<DoorSetting, E> {
                if on {
                    return Err(E::invalid_value(de::Unexpected::Bool(on), &self));
                }
                Ok(Mode::Off.into())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DoorSetting, A::Error> {
                let LongSetting { mode, after_days, from, unknown } =
                    LongSetting::deserialize(MapAccessDeserializer::new(map))?;
                if after_days.is_some() && from.is_some() {
                    return Err(de::Error::custom("write afterDays or from, not both"));
                }
                if (after_days.is_some() || from.is_some()) && mode != Mode::Enforce {
                    return Err(de::Error::custom("afterDays and from need the mode enforce"));
                }
                Ok(DoorSetting { mode, after_days, from, unknown })
            }
        }
        deserializer.deserialize_any(SettingVisitor)
    }
}

impl JsonSchema for DoorSetting {
    fn schema_name() -> Cow<'static, str> {
        "DoorSetting".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (mode, long) =
            (generator.subschema_for::<Mode>(), generator.subschema_for::<LongSetting>());
        json_schema!({"anyOf": [mode, {"const": false}, long]})
    }
}

/// A severity that can be a threshold: `unknown` cannot.
pub(crate) fn threshold<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Severity>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<Severity>() {
        Ok(severity) if severity > Severity::Unknown && text == severity.as_str() => {
            Ok(Some(severity))
        }
        _ => Err(de::Error::custom(format!(
            "{text:?} is not a threshold; write negligible, low, medium, high or critical"
        ))),
    }
}
