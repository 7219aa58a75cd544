//! The languages of `q` and `sort`: `k=v` is equal, `k=~v` holds, `k=[a~b]` lies between (either
//! end may be open), `k={a b}` is one of, `k=(a b)` is all of; commas stand between conditions, and
//! quotes around a value that has one of these signs, or a backslash before the first of them. `-k`
//! sorts by the greatest first. Names are written as they are answered, or as Harbor calls them in
//! its code: `creation_time` or `CreationTime`.

use crate::face::bad;
use percent_encoding::percent_decode_str;
use sealock_http::Result;
use sealock_registry::{MAX_TERMS, Term};

/// The conditions of a `q`.
pub(crate) fn terms(text: &str) -> Result<Vec<(String, Term)>> {
    let mut terms = Vec::new();
    if text.is_empty() {
        return Ok(terms);
    }
    // Harbor's own pages encode it twice, and so do those who learned from them.
    let text = percent_decode_str(text).decode_utf8().map_err(|_| bad("q is not UTF-8"))?;
    for piece in split(&text, ',')? {
        let piece = piece.trim();
        let (name, value) = piece
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
            .ok_or_else(|| bad(format!("q: {piece:?} is no condition; write key=value")))?;
        terms.push((snake_case(name), term(value)?));
    }
    match terms.len() {
        0..=MAX_TERMS => Ok(terms),
        _ => Err(bad(format!("q has at most {MAX_TERMS} conditions"))),
    }
}

fn term(value: &str) -> Result<Term> {
    let inner = |open: char, close: char| {
        value.strip_prefix(open).map(|rest| {
            rest.strip_suffix(close)
                .ok_or_else(|| bad(format!("q: {value:?} is not closed by {close:?}")))
        })
    };
    let list = |text: &str| -> Result<Vec<String>> {
        let words = split(text, ' ')?.into_iter().filter(|word| !word.is_empty());
        Ok(words.map(plain).collect())
    };
    if let Some(range) = inner('[', ']') {
        let range = range?;
        let ends = split(range, '~')?;
        let [low, high] = ends.as_slice() else {
            return Err(bad(format!("q: {value:?} is no range; write [from~to]")));
        };
        let end = |text: &str| Some(plain(text.trim())).filter(|text| !text.is_empty());
        return match (end(low), end(high)) {
            (None, None) => Err(bad(format!("q: {value:?} has neither end; write [from~to]"))),
            (low, high) => Ok(Term::Between(low, high)),
        };
    }
    if let Some(any) = inner('{', '}') {
        return Ok(Term::AnyOf(list(any?)?));
    }
    if let Some(all) = inner('(', ')') {
        return Ok(Term::AllOf(list(all?)?));
    }
    match value.strip_prefix('~') {
        Some("") => Err(bad("q: there is nothing after ~; write key=~part")),
        Some(part) => Ok(Term::Like(plain(part))),
        None => Ok(Term::Is(plain(value.strip_prefix('\\').unwrap_or(value)))),
    }
}

/// The name that an answer has for what Harbor's code calls `ProjectID`.
fn snake_case(name: &str) -> String {
    let signs: Vec<char> = name.chars().collect();
    let is_lower = |at: usize| signs.get(at).is_some_and(char::is_ascii_lowercase);
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, sign) in signs.iter().enumerate() {
        if at > 0 && sign.is_ascii_uppercase() && (is_lower(at - 1) || is_lower(at + 1)) {
            snake.push('_');
        }
        snake.push(sign.to_ascii_lowercase());
    }
    snake
}

/// A value without the quotes around it.
fn plain(text: &str) -> String {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    quoted.unwrap_or(text).to_owned()
}

/// Splits where a sign stands outside of quotes.
fn split(text: &str, sign: char) -> Result<Vec<&str>> {
    let (mut pieces, mut begin, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == '"' {
            quoted = !quoted;
        } else if c == sign && !quoted {
            pieces.push(&text[begin..at]);
            begin = at + c.len_utf8();
        }
    }
    if quoted {
        return Err(bad("q: a quote is not closed"));
    }
    pieces.push(&text[begin..]);
    Ok(pieces)
}

/// The order of a `sort`.
pub(crate) fn order(text: &str) -> Result<Vec<(String, bool)>> {
    let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
    let order: Vec<_> = keys
        .map(|key| match key.strip_prefix('-') {
            Some(key) => (snake_case(key), true),
            None => (snake_case(key), false),
        })
        .collect();
    match order.len() {
        0..=MAX_TERMS => Ok(order),
        _ => Err(bad(format!("sort has at most {MAX_TERMS} keys"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Term {
        let found = terms(text).unwrap();
        assert_eq!((found.len(), found[0].0.as_str()), (1, "k"), "{text}");
        found[0].1.clone()
    }

    #[test]
    fn each_form_is_read() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let between = |low: Option<&str>, high: Option<&str>| {
            Term::Between(low.map(str::to_owned), high.map(str::to_owned))
        };
        for (text, term) in [
            ("k=v", Term::Is("v".into())),
            ("k=a=b", Term::Is("a=b".into())),
            ("K=v", Term::Is("v".into())),
            ("k=\\~v", Term::Is("~v".into())),
            ("k%3D~50%2525", Term::Like("50%25".into())),
            ("k=50%", Term::Is("50%".into())),
            ("k=~v", Term::Like("v".into())),
            ("k=\"~a,b\"", Term::Is("~a,b".into())),
            ("k=[1~5]", between(Some("1"), Some("5"))),
            ("k=[~5]", between(None, Some("5"))),
            ("k=[\"a~b\"~]", between(Some("a~b"), None)),
            ("k={a \"b c\"}", Term::AnyOf(words(&["a", "b c"]))),
            ("k=(1 2)", Term::AllOf(words(&["1", "2"]))),
        ] {
            assert_eq!(one(text), term, "{text}");
        }
        assert_eq!(terms("a=1,b=2").unwrap().len(), 2);
        assert!(terms("").unwrap().is_empty());
        assert_eq!(order("-a,b").unwrap(), [("a".into(), true), ("b".into(), false)]);
    }

    #[test]
    fn a_name_is_that_of_the_answer_or_that_of_harbors_code() {
        for (name, snake) in [
            ("ProjectID", "project_id"),
            ("OpTime", "op_time"),
            ("SysAdminFlag", "sys_admin_flag"),
            ("ID", "id"),
            ("creation_time", "creation_time"),
            ("owner__password", "owner__password"),
            ("Ä", "Ä"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
        assert_eq!(order("-CreationTime").unwrap(), [("creation_time".into(), true)]);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [
            "k",
            "=",
            "k=",
            "=v",
            "k=~",
            " ",
            ",",
            "k=v,",
            "k=[1]",
            "k=[~]",
            "k=[1~2",
            "k={a",
            "k=(a",
            "k=\"a",
            "k=[1~2~3]",
        ] {
            assert_eq!(terms(text).expect_err(text).status(), 400, "{text}");
        }
        let conditions = |count| vec!["k=v"; count].join(",");
        assert_eq!(terms(&conditions(MAX_TERMS)).unwrap().len(), MAX_TERMS);
        assert!(terms(&conditions(MAX_TERMS + 1)).is_err());
        assert!(order(&"k,".repeat(MAX_TERMS + 1)).is_err());
    }
}
