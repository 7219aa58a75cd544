//! Patterns of tags and repositories, as Harbor's rules write them: doublestar.
//!
//! | pattern | matches |
//! | --- | --- |
//! | `*` | any run of characters without `/`, also none |
//! | `?` | one character that is not `/` |
//! | `[a-z]`, `[^a-z]` | one character of the class, or not of it; never `/` |
//! | `{a,b}` | one of the alternatives, which are patterns |
//! | `**` between slashes | any number of whole parts of a path, also none |
//! | `**` at the end, alone or after a slash | all that is left |
//! | `\c` | the character `c` itself |
//!
//! Harbor evaluates rules with version 1 of the Go module of that name; what it says of the cases
//! in `doublestar.tsv` is said here, too. Where it loses a match because it never goes back to an
//! earlier choice, the rule above counts. A pattern is matched in one pass over sets of places, so
//! the time is bounded by its length times the name's: no pattern makes it explode.

/// Longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1_024;
/// Most braces within one another.
pub const MAX_PATTERN_DEPTH: usize = 8;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is longer than [`MAX_PATTERN_BYTES`].
    #[error("a pattern has at most {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// Braces stand deeper than [`MAX_PATTERN_DEPTH`].
    #[error("alternatives in braces stand at most {MAX_PATTERN_DEPTH} deep")]
    TooDeep,
    /// A `[` without a class or an end.
    #[error("a character class is written [a-z] or [^a-z]; write \\[ for the bracket itself")]
    Class,
    /// A `{` without its end.
    #[error("alternatives are written {{a,b}}; write \\{{ for the brace itself")]
    Braces,
    /// A `\` at the end.
    #[error("a backslash stands before the character that it is about; write \\\\ for itself")]
    Escape,
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`
    One,
    /// `*`
    Run,
    /// `**/`
    Parts,
    /// `**` at the end.
    Rest,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Alternatives(Vec<Vec<Self>>),
}

impl Pattern {
    /// Reads a pattern. The empty one matches everything, as in Harbor.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        if text.is_empty() {
            return Ok(Self(vec![Piece::Rest]));
        }
        let chars: Vec<char> = text.chars().collect();
        let mut reader = Reader { chars: &chars, at: 0 };
        Ok(Self(reader.sequence(0)?))
    }

    /// Whether it holds no sign, so that it matches one name.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Char(_)))
    }

    /// What each name that it matches begins with.
    pub fn prefix(&self) -> String {
        let chars = self.0.iter().map_while(|piece| match piece {
            Piece::Char(c) => Some(*c),
            _ => None,
        });
        chars.collect()
    }

    /// Whether it matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let mut places = vec![false; name.len() + 1];
        if let Some(first) = places.first_mut() {
            *first = true;
        }
        through(&self.0, &name, places).last().copied().unwrap_or(false)
    }
}

/// Reads a pattern from the first line and matches what follows it: for the fuzz target.
#[doc(hidden)]
pub fn fuzz_pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, name) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(read) = Pattern::parse(pattern) {
        read.matches(name);
    }
}

struct Reader<'c> {
    chars: &'c [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    /// Pieces up to the end, or to a `,` or `}` within braces.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Piece>, PatternError> {
        let mut pieces = Vec::new();
        while let Some(c) = self.peek() {
            if depth > 0 && matches!(c, ',' | '}') {
                break;
            }
            let begins = self.at == 0 || self.chars.get(self.at - 1) == Some(&'/');
            self.at += 1;
            pieces.push(match c {
                '\\' => Piece::Char(self.next().ok_or(PatternError::Escape)?),
                '?' => Piece::One,
                '[' => self.class()?,
                '{' => self.alternatives(depth)?,
                '*' => self.star(begins),
                c => Piece::Char(c),
            });
        }
        Ok(pieces)
    }

    /// What begins with a `*`, which was read.
    fn star(&mut self, begins: bool) -> Piece {
        if self.peek() != Some('*') {
            return Piece::Run;
        }
        let rest = self.chars.get(self.at + 1..).unwrap_or_default();
        // The end of an alternative is the end of a part if what comes after the braces says so.
        let after = match rest.first() {
            Some(',' | '}') => {
                let end = rest.iter().position(|c| *c == '}').map_or(rest.len(), |end| end + 1);
                rest.get(end..).unwrap_or_default()
            }
            _ => rest,
        };
        match (begins, after.first()) {
            (true, None) => {
                self.at += 1;
                Piece::Rest
            }
            (true, Some('/')) if rest.first() == Some(&'/') => {
                self.at += 2;
                Piece::Parts
            }
            _ => {
                while self.peek() == Some('*') {
                    self.at += 1;
                }
                Piece::Run
            }
        }
    }

    /// A class whose `[` was read.
    fn class(&mut self) -> Result<Piece, PatternError> {
        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            let low = match self.next().ok_or(PatternError::Class)? {
                ']' if ranges.is_empty() && !negated => return Err(PatternError::Class),
                ']' => return Ok(Piece::Class { negated, ranges }),
                '-' => return Err(PatternError::Class),
                '\\' => self.next().ok_or(PatternError::Class)?,
                c => c,
            };
            let mut high = low;
            if self.peek() == Some('-') {
                self.at += 1;
                high = match self.next().ok_or(PatternError::Class)? {
                    ']' | '-' => return Err(PatternError::Class),
                    '\\' => self.next().ok_or(PatternError::Class)?,
                    c => c,
                };
            }
            ranges.push((low, high));
        }
    }

    /// Alternatives whose `{` was read.
    fn alternatives(&mut self, depth: usize) -> Result<Piece, PatternError> {
        if depth >= MAX_PATTERN_DEPTH {
            return Err(PatternError::TooDeep);
        }
        let mut all = Vec::new();
        loop {
            all.push(self.sequence(depth + 1)?);
            match self.next() {
                Some(',') => {}
                Some('}') => return Ok(Piece::Alternatives(all)),
                _ => return Err(PatternError::Braces),
            }
        }
    }
}

/// The places in a name that are reached through a sequence of pieces from some places: place `n`
/// is before the `n`th character.
fn through(pieces: &[Piece], name: &[char], from: Vec<bool>) -> Vec<bool> {
    pieces.iter().fold(from, |from, piece| step(piece, name, &from))
}

fn step(piece: &Piece, name: &[char], from: &[bool]) -> Vec<bool> {
    let one = |fits: &dyn Fn(char) -> bool| {
        let mut to = vec![false; from.len()];
        for ((c, from), to) in name.iter().zip(from).zip(to.iter_mut().skip(1)) {
            *to = *from && fits(*c);
        }
        to
    };
    match piece {
        Piece::Char(expected) => one(&|c| c == *expected),
        Piece::One => one(&|c| c != '/'),
        Piece::Class { negated, ranges } => one(&|c| {
            let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
            c != '/' && within != *negated
        }),
        Piece::Run => spread(name, from, |reached, c| reached && c != '/'),
        // From any place on, behind each slash: parts are taken as a whole.
        Piece::Parts => {
            let mut open = false;
            let mut to = from.to_vec();
            for ((c, from), to) in name.iter().zip(from).zip(to.iter_mut().skip(1)) {
                open |= *from;
                *to |= open && *c == '/';
            }
            to
        }
        Piece::Rest => spread(name, from, |reached, _| reached),
        Piece::Alternatives(all) => {
            let mut to = vec![false; from.len()];
            for pieces in all {
                let reached = through(pieces, name, from.to_vec());
                to.iter_mut().zip(reached).for_each(|(to, reached)| *to |= reached);
            }
            to
        }
    }
}

/// Each place that is reached from the one before it by `on`, which sees the character between.
fn spread(name: &[char], from: &[bool], on: impl Fn(bool, char) -> bool) -> Vec<bool> {
    let mut to = from.to_vec();
    let mut reached = from.first().copied().unwrap_or(false);
    for (c, to) in name.iter().zip(to.iter_mut().skip(1)) {
        reached = *to || on(reached, *c);
        *to = reached;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// What Go's module says of patterns and names: `yes`, `no` or `bad`.
    const CASES: &str = include_str!("doublestar.tsv");

    #[test]
    fn the_table_of_cases() {
        let (mut count, mut faults) = (0, Vec::new());
        for line in CASES.lines().filter(|line| !line.starts_with('#')) {
            let [expected, pattern, name] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line:?}")
            };
            let said = match Pattern::parse(pattern) {
                Err(_) => "bad",
                Ok(parsed) if parsed.matches(name) => "yes",
                Ok(_) => "no",
            };
            if said != expected {
                faults.push(format!("{pattern} on {name} is {said}, expected {expected}"));
            }
            count += 1;
        }
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(count > 300, "{count}");
    }

    #[test]
    fn where_the_first_choice_is_the_wrong_one() {
        // Harbor's module stops at the first star that fits.
        let fits = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().matches(name);
        assert!(fits("*a/b", "aa/b") && fits("*{a,}/x", "ca/x") && fits("v*{,-rc}", "v"));
        assert!(fits("{a,ab}c", "abc") && fits("{{a,b},c}d", "bd") && fits("{,v}1", "1"));
        assert!(!fits("a[^b]c", "a/c") && !fits("a?c", "a/c"), "a slash divides");
        assert!(fits("", "anything/at all"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (text, why) in [
            ("[", PatternError::Class),
            ("[]", PatternError::Class),
            ("[a-]", PatternError::Class),
            ("[a", PatternError::Class),
            ("{a,b", PatternError::Braces),
            ("a\\", PatternError::Escape),
        ] {
            assert_eq!(Pattern::parse(text), Err(why), "{text}");
        }
        let deep = "{".repeat(MAX_PATTERN_DEPTH + 1) + &"}".repeat(MAX_PATTERN_DEPTH + 1);
        assert_eq!(Pattern::parse(&deep), Err(PatternError::TooDeep));
        assert!(Pattern::parse(deep.trim_start_matches('{')).is_ok(), "a brace that ends nothing");
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        assert_eq!(Pattern::parse(&long), Err(PatternError::TooLong));
    }

    #[test]
    fn the_corpus_of_the_fuzz_target() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/pattern");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let files: Vec<_> = files.collect();
        assert!(files.len() >= 5);
        for file in files {
            let bytes = std::fs::read(file).unwrap();
            fuzz_pattern(&bytes);
            for end in 0..bytes.len() {
                fuzz_pattern(&bytes[..end]);
            }
        }
    }

    #[test]
    fn no_pattern_explodes() {
        let name = "a".repeat(255);
        let hostile = [
            "a*".repeat(500) + "b",
            "{a,aa}".repeat(170) + "b",
            "*{a,*}".repeat(170) + "b",
            "**/".repeat(340) + "b",
            "{".repeat(8) + &"a,".repeat(400) + &"}".repeat(8) + "*b",
        ];
        for pattern in hostile {
            let started = Instant::now();
            let parsed = Pattern::parse(&pattern).unwrap();
            assert!(!parsed.matches(&name) && !parsed.matches(&"a/".repeat(127)), "{pattern}");
            assert!(started.elapsed() < Duration::from_millis(500), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn text_without_signs_matches_itself_only(name in "[a-z/.-]{0,20}", other in "[a-z/.-]{1,20}") {
            let pattern = Pattern::parse(&name).unwrap();
            proptest::prop_assert!(pattern.matches(&name));
            proptest::prop_assert_eq!(pattern.prefix(), &*name);
            proptest::prop_assert_eq!(pattern.matches(&other), name == other || name.is_empty());
            let escaped: String = other.chars().flat_map(|c| ['\\', c]).collect();
            proptest::prop_assert!(Pattern::parse(&escaped).unwrap().matches(&other));
            proptest::prop_assert!(Pattern::parse("**").unwrap().matches(&other));
        }

        #[test]
        fn alternatives_are_the_union(
            one in "[ab*?]{0,6}", two in "[ab*?]{0,6}", name in "[ab]{0,8}"
        ) {
            let (a, b) = (format!("x{one}y"), format!("x{two}y"));
            let both = Pattern::parse(&format!("x{{{one},{two}}}y")).unwrap();
            let name = format!("x{name}y");
            let each = [a, b].iter().any(|p| Pattern::parse(p).unwrap().matches(&name));
            proptest::prop_assert_eq!(both.matches(&name), each);
        }

        #[test]
        fn what_matches_begins_with_the_prefix(
            pattern in "[ab*?{},]{0,6}", name in "[ab/]{0,6}"
        ) {
            if let Ok(pattern) = Pattern::parse(&pattern) && pattern.matches(&name) {
                proptest::prop_assert!(name.starts_with(&pattern.prefix()));
                proptest::prop_assert!(!pattern.is_plain() || pattern.prefix() == name);
            }
        }

        #[test]
        fn nothing_panics(pattern in "[-a*?/{},\\\\\\[\\]^]{0,40}", name in "[a/]{0,20}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&name);
            }
        }
    }
}
