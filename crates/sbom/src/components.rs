use crate::{
    catalogue::python::normalised_name,
    evidence::{ApkPackage, DebPackage, LanguagePackage},
    purl::Purl,
};
use sealock_facts::{Component, ComponentKind, Distro, MatchKey};
use sealock_oci::Digest;

/// Where a component was found.
pub(crate) struct Place<'a> {
    pub(crate) path: &'a str,
    /// The layer that brought it.
    pub(crate) layer: Digest,
    /// The release that its system is of.
    pub(crate) distro: Option<&'a Distro>,
}

impl Place<'_> {
    /// `debian-12`, `alpine-3.20.3`, `debian-sid`: what the purl's `distro` says.
    fn distro_tag(&self) -> String {
        let Some(distro) = self.distro else { return String::new() };
        let release = match distro.version_id.as_str() {
            "" => distro.codename.as_deref().unwrap_or_default(),
            version => version,
        };
        if release.is_empty() { distro.id.clone() } else { format!("{}-{release}", distro.id) }
    }

    fn ecosystem(&self, families: &[&str]) -> Option<&str> {
        let ecosystem = self.distro?.ecosystem.as_deref()?;
        let family = ecosystem.split(':').next().unwrap_or_default();
        families.contains(&family).then_some(ecosystem)
    }
}

pub(crate) fn deb(package: &DebPackage, place: &Place<'_>, licences: Vec<String>) -> Component {
    let or = |given: &str, else_: &str| {
        if given.is_empty() { else_.to_owned() } else { given.to_owned() }
    };
    let source = or(&package.source, &package.name);
    let source_version = or(&package.source_version, &package.version);
    let upstream = match (package.source.is_empty(), package.source_version.is_empty()) {
        (true, true) => String::new(),
        (_, true) => source.clone(),
        (_, false) => format!("{source}@{source_version}"),
    };
    let match_key = place.ecosystem(&["Debian", "Ubuntu"]).map(|ecosystem| MatchKey {
        ecosystem: ecosystem.to_owned(),
        name: source,
        version: without_rebuild(ecosystem, &source_version).to_owned(),
    });
    let purl = Purl {
        kind: "deb",
        namespace: place.distro.map_or("debian", |distro| distro.id.as_str()),
        name: &package.name,
        version: &package.version,
        qualifiers: &[
            ("arch", &package.architecture),
            ("distro", &place.distro_tag()),
            ("upstream", &upstream),
        ],
    };
    Component {
        kind: ComponentKind::Deb,
        name: package.name.clone(),
        version: package.version.clone(),
        purl: purl.build(),
        match_key,
        architecture: (!package.architecture.is_empty()).then(|| package.architecture.clone()),
        licences,
        path: place.path.to_owned(),
        layer: place.layer,
        owner: None,
    }
}

/// Debian's binary rebuilds (`+b13`) are of the same source.
fn without_rebuild<'a>(ecosystem: &str, version: &'a str) -> &'a str {
    match version.rsplit_once("+b") {
        Some((source, number))
            if ecosystem.starts_with("Debian")
                && !source.is_empty()
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            source
        }
        _ => version,
    }
}

pub(crate) fn apk(package: &ApkPackage, place: &Place<'_>) -> Component {
    let origin = if package.origin.is_empty() { &package.name } else { &package.origin };
    let upstream = if *origin == package.name { "" } else { origin.as_str() };
    let match_key = place.ecosystem(&["Alpine", "Wolfi", "Chainguard"]).map(|ecosystem| MatchKey {
        ecosystem: ecosystem.to_owned(),
        name: origin.clone(),
        version: package.version.clone(),
    });
    let purl = Purl {
        kind: "apk",
        namespace: place.distro.map_or("alpine", |distro| distro.id.as_str()),
        // purl-spec: names of this type are lower case.
        name: &package.name.to_lowercase(),
        version: &package.version,
        qualifiers: &[
            ("arch", &package.architecture),
            ("distro", &place.distro_tag()),
            ("upstream", upstream),
        ],
    };
    Component {
        kind: ComponentKind::Apk,
        name: package.name.clone(),
        version: package.version.clone(),
        purl: purl.build(),
        match_key,
        architecture: (!package.architecture.is_empty()).then(|| package.architecture.clone()),
        licences: Some(package.licence.clone()).filter(|l| !l.is_empty()).into_iter().collect(),
        path: place.path.to_owned(),
        layer: place.layer,
        owner: None,
    }
}

pub(crate) fn language(
    kind: ComponentKind,
    package: &LanguagePackage,
    place: &Place<'_>,
) -> Component {
    let (ecosystem, matched, purl) = if kind == ComponentKind::Python {
        let name = normalised_name(&package.name);
        let purl = Purl {
            kind: "pypi",
            namespace: "",
            name: &name,
            version: &package.version,
            qualifiers: &[],
        };
        let purl = purl.build();
        ("PyPI", name, purl)
    } else {
        let (namespace, name) = package.name.split_once('/').unwrap_or(("", &package.name));
        let purl =
            Purl { kind: "npm", namespace, name, version: &package.version, qualifiers: &[] };
        ("npm", package.name.clone(), purl.build())
    };
    Component {
        kind,
        name: package.name.clone(),
        version: package.version.clone(),
        purl,
        match_key: Some(MatchKey {
            ecosystem: ecosystem.to_owned(),
            name: matched,
            version: package.version.clone(),
        }),
        architecture: None,
        licences: package.licences.clone(),
        path: place.path.to_owned(),
        layer: place.layer,
        owner: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distro(id: &str, version: &str, ecosystem: &str) -> Distro {
        Distro {
            id: id.to_owned(),
            version_id: version.to_owned(),
            codename: Some("sid".to_owned()),
            pretty_name: None,
            ecosystem: Some(ecosystem.to_owned()),
        }
    }

    fn place(distro: Option<&Distro>) -> Place<'_> {
        Place { path: "p", layer: Digest::sha256(b"l"), distro }
    }

    fn key(component: &Component) -> Option<(&str, &str, &str)> {
        component.match_key.as_ref().map(|k| (&*k.ecosystem, &*k.name, &*k.version))
    }

    #[test]
    fn deb_matches_by_source() {
        let debian = distro("debian", "12", "Debian:12");
        let mut package = DebPackage {
            name: "libstdc++6".into(),
            version: "1:12.2.0-14+b2".into(),
            architecture: "amd64".into(),
            source: "gcc-12".into(),
            source_version: "12.2.0-14".into(),
        };
        let found = deb(&package, &place(Some(&debian)), vec![]);
        assert_eq!(key(&found), Some(("Debian:12", "gcc-12", "12.2.0-14")));
        assert_eq!(
            found.purl,
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bb2?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14"
        );
        package.source_version.clear();
        let found = deb(&package, &place(Some(&debian)), vec![]);
        assert_eq!(key(&found), Some(("Debian:12", "gcc-12", "1:12.2.0-14")));
        let ubuntu = distro("ubuntu", "22.04", "Ubuntu:22.04:LTS");
        let found = deb(&package, &place(Some(&ubuntu)), vec![]);
        assert_eq!(key(&found), Some(("Ubuntu:22.04:LTS", "gcc-12", "1:12.2.0-14+b2")));
        let alpine = distro("alpine", "3.20.3", "Alpine:v3.20");
        assert_eq!(key(&deb(&package, &place(Some(&alpine)), vec![])), None);
        assert_eq!(key(&deb(&package, &place(None), vec![])), None);
        let sid = distro("debian", "", "Debian:sid");
        assert!(deb(&package, &place(Some(&sid)), vec![]).purl.contains("distro=debian-sid"));
    }

    #[test]
    fn apk_matches_by_origin() {
        let alpine = distro("alpine", "3.20.3", "Alpine:v3.20");
        let mut package = ApkPackage {
            name: "libcrypto3".into(),
            version: "3.3.2-r0".into(),
            origin: "openssl".into(),
            ..ApkPackage::default()
        };
        let found = apk(&package, &place(Some(&alpine)));
        assert_eq!(key(&found), Some(("Alpine:v3.20", "openssl", "3.3.2-r0")));
        assert_eq!(
            found.purl,
            "pkg:apk/alpine/libcrypto3@3.3.2-r0?distro=alpine-3.20.3&upstream=openssl"
        );
        package.origin.clear();
        assert_eq!(key(&apk(&package, &place(Some(&alpine)))).unwrap().1, "libcrypto3");
    }

    #[test]
    fn languages() {
        let package = |name: &str| LanguagePackage {
            name: name.into(),
            version: "1.0+x".into(),
            licences: vec![],
        };
        let found = language(ComponentKind::Python, &package("Zope.Interface"), &place(None));
        assert_eq!(found.purl, "pkg:pypi/zope-interface@1.0%2Bx");
        assert_eq!(key(&found), Some(("PyPI", "zope-interface", "1.0+x")));
        let found = language(ComponentKind::Npm, &package("@Babel/core"), &place(None));
        assert_eq!(found.purl, "pkg:npm/%40Babel/core@1.0%2Bx");
        assert_eq!(key(&found), Some(("npm", "@Babel/core", "1.0+x")));
    }
}
