//! One document, one reading.
//!
//! Container clients are written in Go, whose JSON reader takes `Layers`, `LAYERS` and even
//! `layer\u{17f}` for `layers`, and the last of several wins. Such a document would be one image
//! to us, who judge it, and another to who runs it. So every field that a client knows is spelled
//! exactly here, and an object is an object, not the list that serde would take for one.

use serde::Deserialize as _;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;

/// What is expected at a place of a manifest.
#[derive(Clone, Copy)]
enum Shape {
    Manifest,
    Descriptor,
    Descriptors,
    Platform,
    /// Anything: no client reads it as one of the above.
    Free,
}

impl Shape {
    /// The fields of an object that clients know (image-spec manifest.md, image-index.md,
    /// descriptor.md; Docker's schema 1 for its list of layers), with what they hold.
    const fn fields(self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Manifest => &[
                ("schemaVersion", Self::Free),
                ("mediaType", Self::Free),
                ("artifactType", Self::Free),
                ("config", Self::Descriptor),
                ("layers", Self::Descriptors),
                ("manifests", Self::Descriptors),
                ("subject", Self::Descriptor),
                ("annotations", Self::Free),
                ("fsLayers", Self::Free),
            ],
            Self::Descriptor => &[
                ("mediaType", Self::Free),
                ("artifactType", Self::Free),
                ("digest", Self::Free),
                ("size", Self::Free),
                ("urls", Self::Free),
                ("annotations", Self::Free),
                ("data", Self::Free),
                ("platform", Self::Platform),
            ],
            Self::Platform => &[
                ("architecture", Self::Free),
                ("os", Self::Free),
                ("os.version", Self::Free),
                ("os.features", Self::Free),
                ("variant", Self::Free),
                ("features", Self::Free),
            ],
            Self::Descriptors | Self::Free => &[],
        }
    }
}

/// Fails when a manifest could be read in two ways.
pub(crate) fn check(bytes: &[u8]) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Shape::Manifest.deserialize(&mut reader)?;
    reader.end()
}

/// A letter as Go's JSON reader compares it: without case, by Unicode's simple folding, which
/// puts two letters beyond ASCII beside `k` and `s`.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|letter| match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    })
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Free => IgnoredAny::deserialize(deserializer).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "a list of descriptors",
            _ => "an object",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if !matches!(self, Self::Descriptors) {
            return Err(A::Error::custom("a list stands where an object is expected"));
        }
        while list.next_element_seed(Self::Descriptor)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let fields = self.fields();
        let mut seen = 0_u32;
        while let Some(key) = object.next_key::<std::borrow::Cow<'de, str>>()? {
            let known = fields.iter().position(|(name, _)| folded(name).eq(folded(&key)));
            let Some(at) = known else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let (name, shape) = fields[at];
            if name != key {
                return Err(A::Error::custom(format!(
                    "the field {key:?} would be taken for {name:?} by clients; write {name:?}"
                )));
            }
            if seen & (1 << at) != 0 {
                return Err(A::Error::custom(format!("the field {name:?} stands there twice")));
            }
            seen |= 1 << at;
            object.next_value_seed(shape)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: &str = r#"{"mediaType":"a/b","digest":"d","size":1}"#;

    #[test]
    fn what_every_reader_reads_alike() {
        for good in [
            "{}".to_owned(),
            format!(r#"{{"config":{DESCRIPTOR},"layers":[{DESCRIPTOR}],"x":{{"Digest":1}}}}"#),
            r#"{"annotations":{"Layers":"a","layers":"b"},"subject":null,"layers":null}"#.into(),
            r#"{"manifests":[{"platform":{"os":"linux","os.version":"1"}}],"tag":"x"}"#.into(),
        ] {
            assert!(check(good.as_bytes()).is_ok(), "{good}: {:?}", check(good.as_bytes()));
        }
    }

    #[test]
    fn what_a_go_client_would_read_as_something_else() {
        for bad in [
            r#"{"layers":[],"Layers":[{}]}"#,
            r#"{"LAYERS":[]}"#,
            "{\"layer\u{17f}\":[]}",
            r#"{"layer\u017f":[]}"#,
            "{\"\u{17f}ubject\":{}}",
            r#"{"layers":[],"layers":[]}"#,
            r#"{"config":{"Digest":"x"}}"#,
            r#"{"config":{"data":"a","data":"b"}}"#,
            r#"{"layers":[{"digest":"x","dIgest":"y"}]}"#,
            r#"{"manifests":[{"platform":{"OS":"linux"}}]}"#,
            r#"{"fslayers":[]}"#,
            "[2]",
            r#"{"config":["a/b","d",1]}"#,
            r#"{"layers":[["a/b","d",1]]}"#,
            r#"{"layers":{}} {}"#,
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
