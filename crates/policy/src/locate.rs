//! Finds the place in a document's text that a path names, for errors that are met after reading.

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;
use std::fmt;

/// A document as nothing but places.
enum Node {
    Leaf,
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::List(nodes))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(key) = map.next_key()? {
                    nodes.push((key, map.next_value()?));
                }
                Ok(Node::Map(nodes))
            }
        }
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// Line and column of the value at `path`, such as `rules[2].name`, or of the nearest one around
/// it.
pub(crate) fn position(text: &str, path: &str) -> Option<(u64, u64)> {
    let root: Spanned<Node> =
        serde_saphyr::from_str_with_options(text, crate::parse::options()).ok()?;
    let mut node = &root;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let index = part.strip_suffix(']').and_then(|number| number.parse::<usize>().ok());
        let next = match (&node.value, index) {
            (Node::List(list), Some(index)) => list.get(index),
            (Node::Map(map), None) => {
                map.iter().find(|(key, _)| key == part).map(|(_, value)| value)
            }
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    let place = node.referenced;
    (place.line() > 0).then(|| (place.line(), place.column()))
}

/// The error in plain words, without its place, which callers show apart.
pub(crate) fn plain_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
    let clear = if said.starts_with("budget breached: Anchors")
        || said.starts_with("budget breached: Aliases")
        || said.starts_with("alias references")
    {
        "anchors and aliases (& and *) are not read in policies; write the value out"
    } else if said.starts_with("budget breached: Documents") {
        "one policy is one document; remove the second one"
    } else if said.starts_with("YAML merge keys") {
        "merge keys (<<) are not read in policies; write the fields out"
    } else if said.starts_with("budget breached") {
        "the document is too deeply nested or holds too many values"
    } else if said.starts_with("invalid u32") {
        "write a whole number, 0 or more"
    } else if let Some(rest) = said.strip_prefix("duplicate mapping key: ") {
        let key = rest.split(',').next().unwrap_or(rest);
        return format!("the field {key} is there twice; keep one");
    } else if said.starts_with("unexpected end of input") {
        "the document ends too early; it needs at least apiVersion, kind and name"
    } else {
        said
    };
    clear.to_owned()
}
