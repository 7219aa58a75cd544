use super::{Parsed, add_licence, is_word, lines};
use crate::{
    evidence::{DebPackage, Found},
    path::{is_language, join, normalise},
};

/// The fields of one paragraph that matter.
#[derive(Default)]
struct Paragraph {
    lines: u64,
    package: DebPackage,
    status: Option<String>,
    source: String,
    /// A line that is neither a field nor a continuation.
    stray: bool,
}

struct Database {
    packages: Vec<DebPackage>,
    needs_status: bool,
    bad: u64,
    first: Option<String>,
}

/// Reads a dpkg status file (deb-status, deb822). With `needs_status` a paragraph without a
/// `Status` is not installed, as dpkg reads it; distroless `status.d` files have none.
pub(crate) fn status(bytes: &[u8], needs_status: bool, max: usize) -> Parsed {
    let mut database = Database { packages: Vec::new(), needs_status, bad: 0, first: None };
    let mut paragraph = Paragraph::default();
    for line in lines(bytes) {
        if line.trim().is_empty() {
            database.add(std::mem::take(&mut paragraph));
            if database.packages.len() > max {
                break;
            }
            continue;
        }
        paragraph.lines += 1;
        if line.starts_with([' ', '\t', '#']) {
            continue;
        }
        let Some((key, value)) = line.split_once(':') else {
            paragraph.stray = true;
            continue;
        };
        let value = value.trim();
        let slot = match key {
            k if k.eq_ignore_ascii_case("Package") => &mut paragraph.package.name,
            k if k.eq_ignore_ascii_case("Version") => &mut paragraph.package.version,
            k if k.eq_ignore_ascii_case("Architecture") => &mut paragraph.package.architecture,
            k if k.eq_ignore_ascii_case("Source") => &mut paragraph.source,
            k if k.eq_ignore_ascii_case("Status") => {
                paragraph.status.get_or_insert_with(String::new)
            }
            _ => continue,
        };
        value.clone_into(slot);
    }
    database.add(paragraph);
    if database.packages.len() > max {
        database.packages.truncate(max);
        return Parsed::cut(Found::Dpkg(database.packages), max);
    }
    Parsed::database(Found::Dpkg(database.packages), database.bad, database.first.as_deref())
}

impl Database {
    fn add(&mut self, paragraph: Paragraph) {
        if paragraph.lines == 0 || !is_installed(paragraph.status.as_deref(), self.needs_status) {
            if paragraph.stray {
                self.refuse("a line that is no field".to_owned());
            }
            return;
        }
        let Paragraph { mut package, source, stray, .. } = paragraph;
        if !is_word(&package.name) || !is_word(&package.version) || stray {
            let (name, version) = (&package.name, &package.version);
            self.refuse(format!("package {name:?} version {version:?}"));
            if !is_word(&package.name) || !is_word(&package.version) {
                return;
            }
        }
        if !is_word(&package.architecture) {
            package.architecture.clear();
        }
        let (name, version) = match source.split_once('(') {
            Some((name, version)) => (name.trim(), version.trim().trim_end_matches(')').trim()),
            None => (source.trim(), ""),
        };
        if is_word(name) && name != package.name {
            name.clone_into(&mut package.source);
        }
        if is_word(version) && version != package.version {
            version.clone_into(&mut package.source_version);
        }
        self.packages.push(package);
    }

    fn refuse(&mut self, detail: String) {
        self.bad += 1;
        self.first.get_or_insert(detail);
    }
}

/// `Status` is "want flag state". All states but these two have files on disk, so what is marked
/// for removal, or only unpacked, still counts.
fn is_installed(status: Option<&str>, needed: bool) -> bool {
    match status {
        Some(status) => {
            let state = status.split_ascii_whitespace().nth(2).unwrap_or_default();
            !matches!(state, "" | "not-installed" | "config-files")
        }
        None => !needed,
    }
}

/// Reads `info/PACKAGE[:arch].list` or `.md5sums`, keeping only files that identify language
/// packages.
pub(crate) fn files(name: &str, root: &str, bytes: &[u8]) -> Parsed {
    let (stem, sums) = match name.strip_suffix(".md5sums") {
        Some(stem) => (stem, true),
        None => (name.strip_suffix(".list").unwrap_or(name), false),
    };
    let package = stem.split(':').next().unwrap_or_default().to_owned();
    let mut paths = Vec::new();
    for line in lines(bytes) {
        // md5sums: 32 hex digits, two spaces, path.
        let path = if sums { line.get(32..).unwrap_or_default().trim_start() } else { &line };
        if !path.is_empty() && is_language(path.trim_start_matches('/')) {
            paths.push(join(root, &normalise("", path.as_bytes()).path));
        }
    }
    if paths.is_empty() || !is_word(&package) {
        return Parsed::nothing();
    }
    paths.sort_unstable();
    paths.dedup();
    Parsed::whole(Found::DpkgFiles { package, paths })
}

/// The short names of a machine-readable copyright file (DEP-5). Free text gives none.
pub(crate) fn copyright(package: &str, bytes: &[u8]) -> Parsed {
    let mut licences = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        if let Some(rest) = line.strip_prefix(b"License:") {
            add_licence(&mut licences, &String::from_utf8_lossy(rest));
        }
    }
    if licences.is_empty() || !is_word(package) {
        return Parsed::nothing();
    }
    licences.sort_unstable();
    Parsed::whole(Found::DebCopyright { package: package.to_owned(), licences })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(parsed: &Parsed) -> Vec<(&str, &str, &str, &str)> {
        let Found::Dpkg(list) = &parsed.found else { panic!("no database") };
        list.iter().map(|p| (&*p.name, &*p.version, &*p.source, &*p.source_version)).collect()
    }

    #[test]
    fn source_and_version() {
        let text = "Package: libc-bin\nStatus: install ok installed\nSource: glibc\nVersion: 2.36-9\n\nPackage: bash\nStatus: install ok installed\nSource: bash (5.2.15-2)\nVersion: 5.2.15-2+b13\nDescription: x\n Version: 9\n\n\nPackage: tar\nstatus: hold ok installed\nVersion: 1\n";
        let parsed = status(text.as_bytes(), true, 100);
        assert_eq!(parsed.damage, None);
        assert_eq!(
            packages(&parsed),
            [
                ("libc-bin", "2.36-9", "glibc", ""),
                ("bash", "5.2.15-2+b13", "", "5.2.15-2"),
                ("tar", "1", "", "")
            ]
        );
        let cut = status(text.as_bytes(), true, 2);
        assert_eq!((packages(&cut).len(), cut.damage.is_some()), (2, true));
        assert_eq!(status(text.as_bytes(), true, 3).damage, None);
    }

    #[test]
    fn only_what_has_files_is_installed() {
        for (state, installed) in [
            ("install ok installed", true),
            ("deinstall ok installed", true),
            ("install reinstreq half-installed", true),
            ("install ok unpacked", true),
            ("deinstall ok config-files", false),
            ("purge ok not-installed", false),
            ("install ok", false),
        ] {
            let text = format!("Package: a\nStatus: {state}\nVersion: 1\n");
            assert_eq!(packages(&status(text.as_bytes(), true, 9)).len(), usize::from(installed));
        }
        let bare = b"Package: a\nVersion: 1\n";
        assert_eq!(packages(&status(bare, true, 9)).len(), 0);
        assert_eq!(packages(&status(bare, false, 9)).len(), 1);
    }

    #[test]
    fn malformed_paragraphs_are_counted_and_the_rest_is_read() {
        let text = b"Package: a\nStatus: install ok installed\n\nasdf\n\nPackage: b\nStatus: install ok installed\nVersion: 1 2\n\nPackage: c\nStatus: install ok installed\nVersion: 3\n";
        let parsed = status(text, true, 9);
        assert_eq!(packages(&parsed), [("c", "3", "", "")]);
        assert!(parsed.damage.unwrap().1.starts_with("3 unreadable entries"));
    }

    #[test]
    fn file_lists_keep_language_files_only() {
        let list = b"/.\n/usr\n/usr/lib/python3/dist-packages/six.egg-info\n/usr/bin/x\n/usr/share/nodejs/a/package.json\n";
        let want = |root: &str| Found::DpkgFiles {
            package: "p".to_owned(),
            paths: vec![
                join(root, "usr/lib/python3/dist-packages/six.egg-info"),
                join(root, "usr/share/nodejs/a/package.json"),
            ],
        };
        assert_eq!(files("p:amd64.list", "", list).found, want(""));
        assert_eq!(files("p.list", "srv/r", list).found, want("srv/r"));
        let sums = b"0123456789abcdef0123456789abcdef  usr/lib/python3/dist-packages/six.egg-info\nshort\n0123456789abcdef0123456789abcdef  usr/share/nodejs/a/package.json";
        assert_eq!(files("p.md5sums", "", sums).found, want(""));
    }
}
