use super::{MAX_LICENCE, Parsed, is_word, lines};
use crate::{
    evidence::{ApkPackage, Found},
    path::{is_language, join, normalise},
};

/// Reads apk's installed database: paragraphs of one-letter fields (apk-package(5)).
pub(crate) fn installed(bytes: &[u8], root: &str, max: usize) -> Parsed {
    let (mut packages, mut package) = (Vec::new(), ApkPackage::default());
    let (mut directory, mut seen, mut bad) = (String::new(), false, 0);
    let mut first = None;
    let mut finish = |package: &mut ApkPackage, seen: &mut bool| {
        let package = std::mem::take(package);
        if !std::mem::take(seen) {
            return packages.len();
        }
        if is_word(&package.name) && is_word(&package.version) {
            packages.push(package);
        } else {
            bad += 1;
            first.get_or_insert_with(|| {
                format!("package {:?} version {:?}", package.name, package.version)
            });
        }
        packages.len()
    };
    for line in lines(bytes) {
        if line.is_empty() {
            directory.clear();
            if finish(&mut package, &mut seen) > max {
                break;
            }
            continue;
        }
        seen = true;
        let Some((key, value)) = line.split_once(':') else { continue };
        match key {
            "P" => value.clone_into(&mut package.name),
            "V" => value.clone_into(&mut package.version),
            "A" if is_word(value) => value.clone_into(&mut package.architecture),
            "o" if is_word(value) => value.clone_into(&mut package.origin),
            "L" if value.len() <= MAX_LICENCE => value.trim().clone_into(&mut package.licence),
            "F" => value.clone_into(&mut directory),
            "R" => {
                let file = join(&directory, value);
                if is_language(&file) {
                    package.paths.push(join(root, &normalise("", file.as_bytes()).path));
                }
            }
            _ => {}
        }
    }
    finish(&mut package, &mut seen);
    if packages.len() > max {
        packages.truncate(max);
        return Parsed::cut(Found::Apk(packages), max);
    }
    Parsed::database(Found::Apk(packages), bad, first.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "C:Q1x=\nP:py3-six\nV:1.16.0-r9\nA:x86_64\nL:MIT\no:py3-six\nF:usr/lib/python3.12/site-packages/six-1.16.0.dist-info\nR:METADATA\nR:RECORD\nF:usr/bin\nR:METADATA\n\nP:libcrypto3\nV:3.3.2-r0\nL:Apache-2.0\no:openssl\n\n";

    #[test]
    fn reads_packages_origin_and_files() {
        let parsed = installed(TEXT.as_bytes(), "", 10);
        assert_eq!(parsed.damage, None);
        let Found::Apk(list) = parsed.found else { panic!("no database") };
        assert_eq!(list.len(), 2);
        assert_eq!((list[1].origin.as_str(), list[1].licence.as_str()), ("openssl", "Apache-2.0"));
        let base = "usr/lib/python3.12/site-packages/six-1.16.0.dist-info";
        assert_eq!(list[0].paths, [format!("{base}/METADATA"), format!("{base}/RECORD")]);
        let cut = installed(TEXT.as_bytes(), "", 1);
        assert!(matches!(cut.found, Found::Apk(list) if list.len() == 1));
        assert!(cut.damage.is_some());
    }

    #[test]
    fn a_package_without_version_is_damage() {
        let text = TEXT.replace("V:3.3.2-r0\n", "");
        let parsed = installed(text.as_bytes(), "", 10);
        assert!(parsed.damage.unwrap().1.contains("libcrypto3"));
        assert!(installed(b"asdf\n\nyolo\n", "", 10).damage.is_some());
        assert_eq!(installed(b"", "", 10).damage, None);
    }
}
