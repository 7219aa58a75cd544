//! "Is this version in that range?", for searches by purl and version range.

use crate::version::Order;
use std::cmp::Ordering;

/// Why a range cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The ecosystem's order is unknown.
    #[error("versions of the ecosystem {0:?} cannot be ordered")]
    Ecosystem(String),
    /// A piece of the range is not understood.
    #[error(
        "{0:?} is not a version range; write comparators such as \"<2.0\" or \">=1,<2\" (commas \
         join, \"||\" offers alternatives) or a vers URI such as \"vers:pypi/>=1|<2\""
    )]
    Syntax(String),
    /// A version in the range is none of this ecosystem.
    #[error("{0:?} is not a version of this ecosystem")]
    Version(String),
    /// More comparators than are read.
    #[error("the range has more than {MAX_COMPARATORS} comparators")]
    TooLong,
}

/// Most comparators of one range.
const MAX_COMPARATORS: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Not,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    sign: Sign,
    version: String,
}

/// A range of versions of one ecosystem, read once and asked often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    order: Order,
    /// Alternatives of joined comparators; an empty join is every version.
    alternatives: Vec<Vec<Comparator>>,
}

impl VersionRange {
    /// Reads a range: `*` or nothing for every version; comparators `<`, `<=`, `>`, `>=`, `=`, `!=`
    /// (none means `=`), joined by commas or blanks, alternatives parted by `||`; or a vers URI,
    /// whose scheme is not looked at because the ecosystem is known.
    pub fn parse(ecosystem: &str, text: &str) -> Result<Self, RangeError> {
        let order = Order::of_ecosystem(ecosystem)
            .ok_or_else(|| RangeError::Ecosystem(ecosystem.to_owned()))?;
        let text = text.trim();
        let alternatives = match text.strip_prefix("vers:") {
            Some(vers) => {
                let (_, list) =
                    vers.split_once('/').ok_or_else(|| RangeError::Syntax(text.to_owned()))?;
                vers_intervals(order, list)?
            }
            None => text
                .split("||")
                .map(|join| comparators(order, join, |c| c == ',' || c.is_whitespace()))
                .collect::<Result<_, _>>()?,
        };
        if alternatives.iter().map(Vec::len).sum::<usize>() > MAX_COMPARATORS {
            return Err(RangeError::TooLong);
        }
        Ok(Self { order, alternatives })
    }

    /// Whether a version lies in it. What is no version of the ecosystem lies in no range but `*`,
    /// and in those that name it literally.
    pub fn contains(&self, version: &str) -> bool {
        let readable = self.order.accepts(version);
        let holds = |c: &Comparator| {
            if !readable {
                return c.sign == Sign::Equal && c.version == version;
            }
            let order = self.order.compare(version, &c.version);
            match c.sign {
                Sign::Less => order.is_lt(),
                Sign::AtMost => order.is_le(),
                Sign::Greater => order.is_gt(),
                Sign::AtLeast => order.is_ge(),
                Sign::Equal => order.is_eq(),
                Sign::Not => order.is_ne(),
            }
        };
        self.alternatives.iter().any(|join| join.iter().all(holds))
    }
}

fn comparator(order: Order, text: &str) -> Result<Comparator, RangeError> {
    let signs = [
        ("<=", Sign::AtMost),
        (">=", Sign::AtLeast),
        ("!=", Sign::Not),
        ("==", Sign::Equal),
        ("<", Sign::Less),
        (">", Sign::Greater),
        ("=", Sign::Equal),
    ];
    let (sign, version) = signs
        .into_iter()
        .find_map(|(word, sign)| Some((sign, text.strip_prefix(word)?)))
        .unwrap_or((Sign::Equal, text));
    let version = version.trim();
    if version.is_empty() || version.contains(['<', '>', '*', '^', '|']) {
        return Err(RangeError::Syntax(text.to_owned()));
    }
    if !order.accepts(version) {
        return Err(RangeError::Version(version.to_owned()));
    }
    Ok(Comparator { sign, version: version.to_owned() })
}

fn comparators(
    order: Order,
    text: &str,
    parts: impl Fn(char) -> bool,
) -> Result<Vec<Comparator>, RangeError> {
    let mut list = Vec::new();
    let mut sign = String::new();
    for word in text.split(parts).map(str::trim).filter(|w| !w.is_empty()) {
        // A blank may stand between a sign and its version.
        sign.push_str(word);
        if word.bytes().all(|b| matches!(b, b'<' | b'>' | b'=' | b'!')) {
            continue;
        }
        if sign != "*" {
            list.push(comparator(order, &sign)?);
        }
        sign.clear();
        if list.len() > MAX_COMPARATORS {
            return Err(RangeError::TooLong);
        }
    }
    if sign.is_empty() { Ok(list) } else { Err(RangeError::Syntax(text.to_owned())) }
}

/// vers: comparators sorted by version; `=` and `!=` stand alone, the others pair into intervals.
fn vers_intervals(order: Order, text: &str) -> Result<Vec<Vec<Comparator>>, RangeError> {
    let text = text.replace("%3C", "<").replace("%3E", ">").replace("%3D", "=");
    let mut list = comparators(order, &text, |c| c == '|')?;
    if list.is_empty() {
        return if text.trim() == "*" {
            Ok(vec![Vec::new()])
        } else {
            Err(RangeError::Syntax(text))
        };
    }
    list.sort_by(|a, b| order.compare(&a.version, &b.version).then(Ordering::Equal));
    let except: Vec<_> = list.iter().filter(|c| c.sign == Sign::Not).cloned().collect();
    let mut found: Vec<Vec<Comparator>> = Vec::new();
    let mut open: Option<Comparator> = None;
    for c in list {
        match c.sign {
            Sign::Not => {}
            Sign::Equal => found.push(vec![c]),
            Sign::Greater | Sign::AtLeast => {
                if let Some(before) = open.replace(c) {
                    found.push(vec![before]);
                }
            }
            Sign::Less | Sign::AtMost => found.push(open.take().into_iter().chain([c]).collect()),
        }
    }
    found.extend(open.map(|c| vec![c]));
    if found.is_empty() {
        found.push(Vec::new());
    }
    for join in &mut found {
        join.extend(except.iter().cloned());
    }
    Ok(found)
}

/// Whether `version` of a package of `ecosystem` lies in `range` (see [`VersionRange::parse`]).
pub fn version_in_range(ecosystem: &str, version: &str, range: &str) -> Result<bool, RangeError> {
    Ok(VersionRange::parse(ecosystem, range)?.contains(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (ecosystem, version, range, inside) in [
            ("PyPI", "1.26.4", "<2.0", true),
            ("PyPI", "2.0", "<2.0", false),
            ("PyPI", "2.0rc1", "<2.0", true),
            ("PyPI", "1.5", ">=1,<2", true),
            ("PyPI", "1.5", ">= 1, < 1.5", false),
            ("PyPI", "1.5", ">=1 <2", true),
            ("PyPI", "1.0.0", "1.0", true),
            ("PyPI", "1.0", "!=1.0", false),
            ("PyPI", "3", "<1 || >=3", true),
            ("PyPI", "2", "<1 || >=3", false),
            ("PyPI", "anything", "*", true),
            ("PyPI", "anything", "", true),
            ("PyPI", "anything", "<2", false),
            ("npm", "4.17.20", "vers:npm/>=4.0.0|<4.17.21", true),
            ("npm", "4.17.21", "vers:npm/<4.17.21|>=4.0.0", false),
            ("npm", "5.0.0", "vers:npm/1.0.0|>=2.0.0|<3.0.0|>=4.0.0", true),
            ("npm", "3.5.0", "vers:npm/1.0.0|>=2.0.0|<3.0.0|>=4.0.0", false),
            ("npm", "1.0.0", "vers:npm/1.0.0|>=2.0.0|<3.0.0|>=4.0.0", true),
            ("npm", "2.1.0", "vers:npm/>=2.0.0|!=2.1.0|<3.0.0", false),
            ("npm", "9.0.0", "vers:npm/*", true),
            ("Debian:12", "3.0.11-1~deb12u2", "<3.0.15-1~deb12u1", true),
            ("Debian:12", "1:1.0-1", "<2.0", false),
            ("Alpine:v3.20", "3.3.0-r1", "<=3.3.0-r1", true),
        ] {
            assert_eq!(
                version_in_range(ecosystem, version, range),
                Ok(inside),
                "{ecosystem} {version} in {range}"
            );
        }
    }

    #[test]
    fn refuses() {
        for range in ["<", "<<2", "^1.0", "~>2", "1.*", "vers:npm", "vers:npm/", ">=1,<"] {
            assert!(version_in_range("npm", "1.0.0", range).is_err(), "{range}");
        }
        assert!(matches!(version_in_range("Maven", "1", "<2"), Err(RangeError::Ecosystem(_))));
        assert_eq!(
            version_in_range("npm", "1.0.0", "<latest"),
            Err(RangeError::Version("latest".to_owned()))
        );
        let long = vec!["!=1.0.0"; 101].join(",");
        assert_eq!(version_in_range("npm", "1.0.0", &long), Err(RangeError::TooLong));
    }
}
