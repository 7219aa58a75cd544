/// Size of a tar block in bytes.
pub(crate) const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    SymbolicLink,
    Directory,
    /// Device or FIFO.
    Special,
    /// A type that readers do not agree on.
    Unknown,
    /// PAX records for the next entry.
    Pax,
    /// PAX records for all that follows.
    PaxGlobal,
    GnuLongName,
    GnuLongLink,
    /// Old GNU sparse file.
    GnuSparse,
}

/// One header block, read (POSIX ustar, GNU, old V7, star).
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) kind: Kind,
    /// An old GNU sparse map goes on in further blocks.
    pub(crate) sparse_continues: bool,
    /// A plain file whose name ends with a slash: some readers make a directory of it.
    pub(crate) slash_file: bool,
}

impl Header {
    /// `None` when the checksum or a number is wrong.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let stated = number(&block[148..156])?;
        let sum = |signed: bool| {
            block.iter().enumerate().fold(0i64, |sum, (i, byte)| {
                let byte = if (148..156).contains(&i) { b' ' } else { *byte };
                sum + if signed { i64::from(byte as i8) } else { i64::from(byte) }
            })
        };
        let stated = i64::try_from(stated).ok()?;
        if stated != sum(false) && stated != sum(true) {
            return None;
        }
        let (magic, version) = (&block[257..263], &block[263..265]);
        let gnu = magic == b"ustar " && version == b" \0";
        let ustar = magic == b"ustar\0";
        let mut name = text(&block[..100]).to_vec();
        if ustar {
            let star = &block[508..512] == b"tar\0";
            let prefix = text(&block[345..if star { 476 } else { 500 }]);
            if !prefix.is_empty() {
                name = [prefix, b"/", &name].concat();
            }
        }
        let flag = block[156];
        let slash = name.ends_with(b"/");
        let kind = match flag {
            0 if slash => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymbolicLink,
            b'3' | b'4' | b'6' => Kind::Special,
            b'5' => Kind::Directory,
            b'x' => Kind::Pax,
            b'g' => Kind::PaxGlobal,
            b'L' => Kind::GnuLongName,
            b'K' => Kind::GnuLongLink,
            b'S' => Kind::GnuSparse,
            _ => Kind::Unknown,
        };
        Some(Self {
            name,
            link: text(&block[157..257]).to_vec(),
            size: number(&block[124..136])?,
            kind,
            sparse_continues: kind == Kind::GnuSparse && gnu && block[482] != 0,
            slash_file: matches!(flag, b'0' | b'7') && slash,
        })
    }
}

/// A field up to its NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Octal with spaces and NULs around it, or GNU's base 256. `None` when negative, too large for a
/// file, or no number.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    let value = if first & 0x80 != 0 {
        if first & 0x40 != 0 {
            return None;
        }
        rest.iter().try_fold(u64::from(first & 0x3f), |sum, byte| {
            (sum >> 55 == 0).then_some((sum << 8) | u64::from(*byte))
        })?
    } else {
        let skip = |b: &&u8| !matches!(**b, b' ' | 0);
        let start = field.iter().position(|b| skip(&b)).unwrap_or(field.len());
        let digits = text(&field[start..]);
        let end = digits.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
        digits[..end].iter().try_fold(0u64, |sum, byte| match byte {
            b'0'..=b'7' => sum.checked_mul(8).map(|sum| sum + u64::from(byte - b'0')),
            _ => None,
        })?
    };
    (value <= i64::MAX as u64).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, want) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"00000000010 ", Some(8)),
            (b"0000064x", None),
            (b"-1", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX as u64)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field), want, "{field:?}");
        }
    }

    #[test]
    fn a_changed_byte_breaks_the_checksum() {
        let mut header = tar::Header::new_ustar();
        header.set_path("usr/share/x").unwrap();
        header.set_size(7);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let mut block = *header.as_bytes();
        let read = Header::parse(&block).unwrap();
        assert_eq!(
            (read.name.as_slice(), read.size, read.kind),
            (&b"usr/share/x"[..], 7, Kind::File)
        );
        block[0] ^= 1;
        assert!(Header::parse(&block).is_none());
    }
}
