use crate::{
    INSPECTOR_VERSION, LayerContents,
    components::{self, Place},
    distro::{ReleaseFiles, resolve},
    evidence::{ApkPackage, DebPackage, Evidence, Found},
    path::{classify, join, split},
    reasons::code,
    view::{Follow, Slot, View},
};
use sealock_facts::{Completeness, Component, ComponentKind, Distro, ImageContents, PartialReason};
use sealock_oci::Digest;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Most components of one image. The largest that people build hold some ten thousand; each costs
/// the server rows and memory, so a made-up image must not hold ever more.
const MAX_COMPONENTS: usize = 60_000;

/// Lays layers over one another, lowest first, as a container runtime does: whiteouts, opaque
/// directories, replaced files, files in place of directories, and links.
///
/// The first part of each pair is the digest of the layer blob. `diff_ids` are those of the image's
/// configuration; a difference is a partial reason. A component's layer is the lowest one since
/// which its file has said the same of it, so that packages of a base image stay with it.
pub fn merge(layers: &[(Digest, LayerContents)], diff_ids: Option<&[Digest]>) -> ImageContents {
    let mut merger = Merger {
        layers,
        view: View::new(layers),
        components: Vec::new(),
        reasons: BTreeMap::new(),
        distros: BTreeMap::new(),
        owners: HashMap::new(),
        licences: HashMap::new(),
    };
    merger.layer_reasons();
    merger.check_diff_ids(diff_ids);
    merger.find_distros();
    merger.find_licences();
    let visible: Vec<(String, String, Slot<'_>)> = merger.visible();
    for (path, read_at, slot) in &visible {
        merger.system_packages(path, read_at, slot);
    }
    merger.find_owners();
    for (path, read_at, slot) in &visible {
        merger.language_packages(path, read_at, slot);
    }
    merger.finish()
}

struct Owner {
    purl: String,
    /// Since which layer it has owned the file.
    since: usize,
}

struct Merger<'a> {
    layers: &'a [(Digest, LayerContents)],
    view: View<'a>,
    components: Vec<Component>,
    /// By layer and code: the first detail, and how many.
    reasons: BTreeMap<(usize, String), (String, u64)>,
    /// By root: that of the image is empty, systems nested in it have others.
    distros: BTreeMap<String, Distro>,
    owners: HashMap<String, Owner>,
    licences: HashMap<(String, String), Vec<String>>,
}

impl<'a> Merger<'a> {
    fn reason(&mut self, layer: usize, code: &str, detail: &str) {
        let slot = self
            .reasons
            .entry((layer, code.to_owned()))
            .or_insert_with(|| (crate::reasons::clip(detail.to_owned()), 0));
        slot.1 += 1;
    }

    fn layer_reasons(&mut self) {
        for (index, (_, layer)) in self.layers.iter().enumerate() {
            for reason in &layer.reasons {
                self.reason(index, &reason.code, &reason.detail);
            }
        }
    }

    fn check_diff_ids(&mut self, diff_ids: Option<&[Digest]>) {
        let Some(diff_ids) = diff_ids else { return };
        if diff_ids.len() != self.layers.len() {
            let (named, layers) = (diff_ids.len(), self.layers.len());
            let detail = format!("the configuration names {named} diff_ids for {layers} layers");
            self.reason(layers.saturating_sub(1), code::DIFF_ID_COUNT, &detail);
        }
        for (index, ((_, layer), named)) in self.layers.iter().zip(diff_ids).enumerate() {
            if let Some(own) = layer.diff_id.filter(|own| own != named) {
                let detail = format!("the layer expands to {own}, the configuration says {named}");
                self.reason(index, code::DIFF_ID_MISMATCH, &detail);
            }
        }
    }

    /// Every file that counts: its path, the path it was read at (another for links), its content.
    fn visible(&mut self) -> Vec<(String, String, Slot<'a>)> {
        let (mut visible, mut troubles) = (Vec::new(), Vec::new());
        for (path, chain) in self.view.files() {
            let (Some((class, _)), Some(slot)) = (classify(path), chain.last().copied()) else {
                continue;
            };
            if let Some(damage) = &slot.evidence.damage {
                troubles.push((slot.layer, damage.code.clone(), damage.detail.clone()));
            }
            match &slot.evidence.found {
                Found::SymbolicLink(_) => match self.view.follow(path) {
                    // What lies at a path that counts by itself is not counted twice.
                    Follow::File(at, _) if classify(&at).is_some_and(|(c, _)| c == class) => {}
                    Follow::File(at, target) => visible.push((path.to_owned(), at, target)),
                    Follow::Unread(at) if class.declares() => {
                        let detail = format!("{path} leads to {at}, which was not read");
                        troubles.push((slot.layer, code::UNREAD_LINK.to_owned(), detail));
                    }
                    Follow::Unread(_) | Follow::Missing => {}
                },
                Found::HardLink(to) if class.declares() => {
                    let detail = format!("{path} is a link to {to}, which was not read");
                    troubles.push((slot.layer, code::UNREAD_LINK.to_owned(), detail));
                }
                _ => visible.push((path.to_owned(), path.to_owned(), slot)),
            }
        }
        for (layer, code, detail) in troubles {
            self.reason(layer, &code, &detail);
        }
        visible
    }

    fn find_distros(&mut self) {
        let roots: BTreeSet<String> = self
            .view
            .files()
            .filter_map(|(path, _)| classify(path).map(|(_, root)| root.to_owned()))
            .collect();
        for root in roots {
            let read = |place: &str| match self.view.follow(&join(&root, place)) {
                Follow::File(_, slot) => Some(&slot.evidence.found),
                _ => None,
            };
            let os = |place| match read(place) {
                Some(Found::OsRelease(release)) => Some(release),
                _ => None,
            };
            let files = ReleaseFiles {
                os_release: os("etc/os-release").or_else(|| os("usr/lib/os-release")),
                alpine_release: match read("etc/alpine-release") {
                    Some(Found::AlpineRelease(version)) => Some(version),
                    _ => None,
                },
                branch: match read("etc/apk/repositories") {
                    Some(Found::ApkRepositories(branch)) => Some(branch),
                    _ => None,
                },
            };
            if let Some(distro) = resolve(files) {
                self.distros.insert(root, distro);
            }
        }
    }

    fn find_licences(&mut self) {
        for (path, chain) in self.view.files() {
            if let (Some((_, root)), Some(slot)) = (classify(path), chain.last())
                && let Found::DebCopyright { package, licences } = &slot.evidence.found
            {
                self.licences.insert((root.to_owned(), package.clone()), licences.clone());
            }
        }
    }

    fn place<'b>(&'b self, path: &'b str, root: &str, since: usize) -> Place<'b> {
        Place { path, layer: self.layers[since].0, distro: self.distros.get(root) }
    }

    fn system_packages(&mut self, path: &str, read_at: &str, slot: &Slot<'a>) {
        let Some((_, root)) = classify(path) else { return };
        let chain = self.view.chain(read_at);
        match &slot.evidence.found {
            Found::Dpkg(packages) => {
                let since = since(packages, chain, |found| match found {
                    Found::Dpkg(list) => Some(list.as_slice()),
                    _ => None,
                });
                for (package, since) in packages.iter().zip(since) {
                    let key = (root.to_owned(), package.name.clone());
                    let licences = self.licences.get(&key).cloned().unwrap_or_default();
                    let place = self.place(path, root, since);
                    let component = components::deb(package, &place, licences);
                    self.components.push(component);
                }
            }
            Found::Apk(packages) => {
                let since = since(packages, chain, |found| match found {
                    Found::Apk(list) => Some(list.as_slice()),
                    _ => None,
                });
                for (package, since) in packages.iter().zip(since) {
                    let component = components::apk(package, &self.place(path, root, since));
                    for owned in &package.paths {
                        let owner = Owner { purl: component.purl.clone(), since };
                        self.owners.insert(owned.clone(), owner);
                    }
                    self.components.push(component);
                }
            }
            _ => {}
        }
    }

    /// dpkg's file lists count only for packages that are installed in the same system.
    fn find_owners(&mut self) {
        let mut installed: HashMap<(&str, &str), &str> = HashMap::new();
        for component in self.components.iter().filter(|c| c.kind == ComponentKind::Deb) {
            let root = classify(&component.path).map_or("", |(_, root)| root);
            installed.insert((root, &component.name), &component.purl);
        }
        for (path, chain) in self.view.files() {
            let (Some((_, root)), Some(slot)) = (classify(path), chain.last()) else { continue };
            let Found::DpkgFiles { package, paths } = &slot.evidence.found else { continue };
            let Some(purl) = installed.get(&(root, package.as_str())) else { continue };
            let since = unchanged_since(chain, slot.evidence);
            for owned in paths {
                let owner = self
                    .owners
                    .entry(owned.clone())
                    .or_insert_with(|| Owner { purl: (*purl).to_owned(), since });
                owner.since = owner.since.max(since);
            }
        }
    }

    /// The distribution package that owns every identifying file. A file that changed in a layer
    /// after the owner's was not put there by it.
    fn owner(&self, path: &str, since: usize) -> Option<String> {
        let owns = |path: &str, since| self.owners.get(path).filter(|o| since <= o.since);
        let owner = owns(path, since)?;
        let record = join(split(path).0, "RECORD");
        if let Some(slot) = self.view.current(&record).filter(|_| path.ends_with("/METADATA")) {
            let since = unchanged_since(self.view.chain(&record), slot.evidence);
            owns(&record, since).filter(|other| other.purl == owner.purl)?;
        }
        Some(owner.purl.clone())
    }

    fn language_packages(&mut self, path: &str, read_at: &str, slot: &Slot<'a>) {
        let (kind, package) = match &slot.evidence.found {
            Found::Python(package) => (ComponentKind::Python, package),
            Found::Npm(package) => (ComponentKind::Npm, package),
            _ => return,
        };
        let since = unchanged_since(self.view.chain(read_at), slot.evidence);
        let mut component = components::language(kind, package, &self.place(path, "", since));
        component.owner = self.owner(path, since);
        self.components.push(component);
    }

    fn finish(mut self) -> ImageContents {
        self.components.sort_unstable();
        self.components.dedup();
        if self.components.len() > MAX_COMPONENTS {
            self.components.truncate(MAX_COMPONENTS);
            let last = self.layers.len() - 1;
            let detail = format!("the image has more than {MAX_COMPONENTS} components");
            self.reason(last, code::TOO_MANY_COMPONENTS, &detail);
        }
        let layer = |index: usize| {
            self.layers.get(index).map_or_else(|| Digest::sha256(b""), |(digest, _)| *digest)
        };
        let reasons: Vec<PartialReason> = self
            .reasons
            .iter()
            .map(|((index, code), (detail, count))| PartialReason {
                code: code.clone(),
                detail: match count {
                    1 => detail.clone(),
                    _ => format!("{detail} (and {} more)", count - 1),
                },
                layer: layer(*index),
            })
            .collect();
        ImageContents {
            inspector: INSPECTOR_VERSION.to_owned(),
            distro: self.distros.remove(""),
            components: self.components,
            completeness: match reasons.is_empty() {
                true => Completeness::Complete,
                false => Completeness::Partial { reasons },
            },
        }
    }
}

/// The lowest layer since which the file has held the same.
fn unchanged_since(chain: &[Slot<'_>], evidence: &Evidence) -> usize {
    let same = |slot: &&Slot<'_>| slot.evidence.found == evidence.found;
    chain.iter().rev().take_while(same).last().map_or(0, |slot| slot.layer)
}

/// For each package of a database, the lowest layer since which the database has listed it.
fn since<'a, P: Identity>(
    packages: &'a [P],
    chain: &[Slot<'a>],
    list: impl Fn(&'a Found) -> Option<&'a [P]>,
) -> Vec<usize> {
    let top = chain.last().map_or(0, |slot| slot.layer);
    let mut since = vec![top; packages.len()];
    let mut open: Vec<usize> = (0..packages.len()).collect();
    for slot in chain.iter().rev().skip(1) {
        let Some(older) = list(&slot.evidence.found) else { break };
        let older: HashSet<_> = older.iter().map(Identity::identity).collect();
        open.retain(|at| older.contains(&packages[*at].identity()));
        for at in &open {
            since[*at] = slot.layer;
        }
        if open.is_empty() {
            break;
        }
    }
    since
}

/// What makes two entries of a package database the same package.
trait Identity {
    fn identity(&self) -> (&str, &str, &str);
}

impl Identity for DebPackage {
    fn identity(&self) -> (&str, &str, &str) {
        (&self.name, &self.version, &self.architecture)
    }
}

impl Identity for ApkPackage {
    fn identity(&self) -> (&str, &str, &str) {
        (&self.name, &self.version, &self.architecture)
    }
}
