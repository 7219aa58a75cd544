use super::{Parsed, lines};
use crate::evidence::{Found, OsRelease};

/// Longest value kept, in bytes.
const MAX_VALUE: usize = 256;

/// Reads os-release(5): shell-like assignments, later ones win.
pub(crate) fn os_release(bytes: &[u8]) -> Parsed {
    let mut release = OsRelease::default();
    for line in lines(bytes) {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let slot = match key.trim() {
            "ID" => &mut release.id,
            "VERSION_ID" => &mut release.version_id,
            "VERSION_CODENAME" => &mut release.codename,
            "PRETTY_NAME" => &mut release.pretty_name,
            "UBUNTU_CODENAME" => &mut release.ubuntu_codename,
            "DEBIAN_CODENAME" => &mut release.debian_codename,
            _ => continue,
        };
        let value = unquote(value.trim());
        if value.len() <= MAX_VALUE {
            *slot = value;
        }
    }
    release.id.make_ascii_lowercase();
    if release.id.is_empty() {
        return Parsed::malformed(Found::Nothing, "os-release has no ID");
    }
    Parsed::whole(Found::OsRelease(release))
}

fn unquote(value: &str) -> String {
    let mut chars = value.chars();
    let quote = chars.clone().next().filter(|c| matches!(c, '"' | '\''));
    if quote.is_some() {
        chars.next();
    }
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            _ if Some(c) == quote => break,
            '\\' if quote != Some('\'') => out.extend(chars.next()),
            '#' | ' ' if quote.is_none() => break,
            _ => out.push(c),
        }
    }
    out
}

/// The version in `etc/alpine-release`.
pub(crate) fn alpine_release(bytes: &[u8]) -> Parsed {
    let first = lines(bytes).next().unwrap_or_default().trim().to_owned();
    if !super::is_word(&first) {
        return Parsed::nothing();
    }
    Parsed::whole(Found::AlpineRelease(first))
}

/// The branch that `etc/apk/repositories` installs from: that of the first plain `main`
/// repository, else of the first plain one. Tagged repositories (`@edge …`) are extras.
pub(crate) fn repositories(bytes: &[u8]) -> Parsed {
    let mut first = None;
    for line in lines(bytes) {
        let line = line.trim();
        if line.starts_with(['#', '@']) {
            continue;
        }
        let mut parts = line.trim_end_matches('/').rsplit('/');
        let (repository, branch) = (parts.next().unwrap_or_default(), parts.next());
        let Some(branch) = branch.filter(|b| is_branch(b)) else { continue };
        if repository == "main" {
            return Parsed::whole(Found::ApkRepositories(branch.to_owned()));
        }
        first.get_or_insert_with(|| branch.to_owned());
    }
    first.map_or_else(Parsed::nothing, |b| Parsed::whole(Found::ApkRepositories(b)))
}

fn is_branch(text: &str) -> bool {
    let number =
        |part: &str| !part.is_empty() && part.len() < 6 && part.bytes().all(|b| b.is_ascii_digit());
    text == "edge"
        || text
            .strip_prefix('v')
            .and_then(|v| v.split_once('.'))
            .is_some_and(|(major, minor)| number(major) && number(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_assignments() {
        let text = b"# c\nNAME=\"x\"\nID=\"Debian\"\r\nVERSION_ID='12'\nPRETTY_NAME=\"a \\\"b\\\" c\"\nVERSION_CODENAME=bookworm # no\n";
        let Found::OsRelease(release) = os_release(text).found else { panic!("no release") };
        assert_eq!(
            (release.id.as_str(), release.version_id.as_str(), release.pretty_name.as_str()),
            ("debian", "12", "a \"b\" c")
        );
        assert_eq!(release.codename, "bookworm");
        assert!(os_release(b"NAME=x\n").damage.is_some());
        assert!(os_release(b"\xff\xfe=\"").damage.is_some());
    }

    #[test]
    fn reads_the_branch() {
        for (text, want) in [
            ("https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n", Some("v3.20")),
            (
                "#http://x/edge/main\n@t http://x/edge/testing\nhttp://x/v3.19/community/",
                Some("v3.19"),
            ),
            ("http://x/edge/testing\nhttp://x/v3.19/main", Some("v3.19")),
            ("/media/cdrom/apks\n", None),
            ("http://x/latest-stable/main\n", None),
            ("http://x/v3./main\n", None),
        ] {
            let want = want.map_or(Found::Nothing, |b| Found::ApkRepositories(b.to_owned()));
            assert_eq!(repositories(text.as_bytes()).found, want, "{text}");
        }
    }
}
