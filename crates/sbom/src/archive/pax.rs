/// The PAX records of one entry that matter (POSIX pax, "Extended Header").
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    /// Any of GNU's sparse formats.
    pub(crate) sparse: bool,
}

impl Pax {
    /// Reads `LENGTH KEY=VALUE\n` records. `None` when one breaks the form.
    pub(crate) fn parse(mut rest: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        let mut sparse_name = None;
        while !rest.is_empty() {
            let space = rest.iter().take(12).position(|b| *b == b' ')?;
            let length: usize = digits(&rest[..space])?.try_into().ok()?;
            let record = rest.get(space + 1..length)?;
            rest = &rest[length..];
            let record = record.strip_suffix(b"\n")?;
            let equals = record.iter().position(|b| *b == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() || key.contains(&0) {
                return None;
            }
            // An empty value takes the record back (and the header's own field counts).
            let given = (!value.is_empty()).then(|| value.to_vec());
            match key {
                b"path" => pax.path = given,
                b"linkpath" => pax.link = given,
                b"size" if given.is_none() => pax.size = None,
                b"size" => pax.size = Some(digits(value)?),
                b"GNU.sparse.name" => sparse_name = given,
                _ => pax.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        if sparse_name.is_some() {
            pax.path = sparse_name;
        }
        Some(pax)
    }

    /// Whether it says anything that changes what or where an entry is.
    pub(crate) fn changes_entries(&self) -> bool {
        *self != Self::default()
    }
}

/// A decimal number that fits a file size.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value <= i64::MAX as u64).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let pax =
            Pax::parse(b"10 path=a\n11 size=42\n14 linkpath=b\n19 mtime=123456789\n").unwrap();
        assert_eq!(
            (pax.path.as_deref(), pax.size, pax.link.as_deref()),
            (Some(&b"a"[..]), Some(42), Some(&b"b"[..]))
        );
        let taken_back = Pax::parse(b"10 path=a\n8 path=\n").unwrap();
        assert_eq!(taken_back, Pax::default());
        for bad in [
            &b"10 path=a"[..],
            b"11 path=a\n",
            b"8 path=a\n",
            b"x path=a\n",
            b"0 \n",
            b"3 \n",
            b"99999999999999999999 path=a\n",
            b"11 size=-2\n",
            b"11 size=4x\n",
            b"8 path\n\n",
        ] {
            assert_eq!(Pax::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
