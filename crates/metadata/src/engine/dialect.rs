use std::borrow::Cow;

/// The statement as SQLite reads it: `= ANY($n)` becomes a look into a JSON list. What stands in
/// `/*pg: … */` is a comment to it.
pub(super) fn sqlite(sql: &'static str) -> Cow<'static, str> {
    const ANY: &str = "= ANY($";
    if !sql.contains(ANY) {
        return Cow::Borrowed(sql);
    }
    let mut out = String::with_capacity(sql.len() + 64);
    let mut rest = sql;
    while let Some(at) = rest.find(ANY) {
        out.push_str(&rest[..at]);
        let tail = &rest[at + ANY.len()..];
        let end = tail.find(')').unwrap_or(tail.len());
        out.push_str("IN (SELECT value FROM json_each($");
        out.push_str(&tail[..end]);
        out.push(')');
        rest = &tail[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
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
            "SELECT a FROM t WHERE b IN (SELECT value FROM json_each($2)) AND c = $1 \
             /*pg: FOR UPDATE*/ LIMIT 1"
        );
        assert_eq!(
            postgres(sql),
            "SELECT a FROM t WHERE b = ANY($2) AND c = $1  FOR UPDATE LIMIT 1"
        );
        assert!(matches!(sqlite("SELECT 1"), Cow::Borrowed(_)));
        assert!(matches!(postgres("SELECT 1"), Cow::Borrowed(_)));
    }
}
