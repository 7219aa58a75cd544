use std::borrow::Cow;

/// The statement as SQLite reads it: `= ANY($n)` becomes a look into a JSON list, and `$n`, which
/// is a name there, the number `?n`. What stands in `/*pg: … */` is a comment to it.
pub(super) fn sqlite(sql: &str) -> String {
    const ANY: &str = "= ANY($";
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let taken = if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            end
        } else if c == '\'' || c == '"' {
            let end = rest[1..].find(c).map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            end
        } else if let Some(tail) = rest.strip_prefix(ANY) {
            let end = tail.find(')').unwrap_or(tail.len());
            out.push_str("IN (SELECT value FROM json_each(?");
            out.push_str(&tail[..end]);
            out.push(')');
            ANY.len() + end
        } else if c == '$' && rest[1..].starts_with(|next: char| next.is_ascii_digit()) {
            out.push('?');
            1
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    out
}

/// The statement as PostgreSQL reads it: what stands in `/*pg: … */` is uncovered.
pub(super) fn postgres(sql: &'static str) -> Cow<'static, str> {
    const OPEN: &str = "/*pg:";
    if !sql.contains(OPEN) {
        return Cow::Borrowed(sql);
    }
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find(OPEN) {
        out.push_str(&rest[..at]);
        let tail = &rest[at + OPEN.len()..];
        let end = tail.find("*/").unwrap_or(tail.len());
        out.push_str(&tail[..end]);
        rest = tail.get(end + 2..).unwrap_or("");
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_two_readings() {
        let sql = "SELECT a FROM t WHERE b = ANY($2) AND c = $1 /*pg: FOR UPDATE*/ LIMIT 1";
        assert_eq!(
            sqlite(sql),
            "SELECT a FROM t WHERE b IN (SELECT value FROM json_each(?2)) AND c = ?1 \
             /*pg: FOR UPDATE*/ LIMIT 1"
        );
        assert_eq!(
            postgres(sql),
            "SELECT a FROM t WHERE b = ANY($2) AND c = $1  FOR UPDATE LIMIT 1"
        );
        assert_eq!(
            sqlite("SELECT '$1 it''s', \"a$2\", x$, $12"),
            "SELECT '$1 it''s', \"a$2\", x$, ?12"
        );
        assert_eq!(sqlite("SELECT 'open $1"), "SELECT 'open $1");
        assert!(matches!(postgres("SELECT 1"), Cow::Borrowed(_)));
    }
}
