use super::{ImageSelection, InspectError, Layout};
use sealock_oci::{
    Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, ManifestKind, Platform, media_type,
};

/// Deepest index within an index.
const MAX_DEPTH: usize = 4;
/// Most descriptors looked at in one layout.
const MAX_SEEN: usize = 10_000;
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The image that was chosen.
pub(super) struct Chosen {
    pub(super) digest: Digest,
    pub(super) name: Option<String>,
    pub(super) manifest: Manifest,
}

/// An image manifest that a layout names, not yet read.
struct Candidate {
    descriptor: Descriptor,
    names: Vec<String>,
    /// Digests of the indexes above it.
    parents: Vec<Digest>,
}

impl Candidate {
    fn label(&self) -> String {
        let name = self.names.first().map(|name| format!("{name} ")).unwrap_or_default();
        let platform = self.descriptor.platform.as_ref().map(|p| format!("{} ", show(p)));
        format!("{name}{}{}", platform.unwrap_or_default(), self.descriptor.digest)
    }
}

/// Finds the one image that the selection means.
pub(super) fn choose(
    layout: &Layout<'_>,
    index: &Manifest,
    selection: &ImageSelection,
) -> Result<Chosen, InspectError> {
    let mut all = Vec::new();
    gather(layout, index, &[], &[], &mut all, 0)?;
    let known = || all.iter().map(Candidate::label).collect::<Vec<_>>();
    let fail = |detail: String| InspectError::Selection { detail, known: known() };
    let named: Vec<&Candidate> = all.iter().filter(|c| is_meant(c, selection)).collect();
    if named.is_empty() {
        let what = selection.reference.as_deref().unwrap_or_default();
        return Err(fail(match what {
            "" => "the layout names no image".to_owned(),
            what => format!("the layout has no image {what:?}"),
        }));
    }
    let fitting = by_platform(&named, selection.platform.as_deref());
    let mut digests: Vec<&Candidate> = Vec::new();
    for candidate in fitting {
        if digests.iter().all(|have| have.descriptor.digest != candidate.descriptor.digest) {
            digests.push(candidate);
        }
    }
    match digests.as_slice() {
        [one] => {
            let bytes = layout.blob(&one.descriptor, MAX_MANIFEST_BYTES as u64)?;
            let digest = one.descriptor.digest;
            let manifest = Manifest::parse(&one.descriptor.media_type, &bytes)
                .map_err(|e| layout.wrong(format!("manifest {digest}: {e}")))?;
            Ok(Chosen { digest, name: one.names.first().cloned(), manifest })
        }
        [] => Err(fail(match &selection.platform {
            Some(platform) => format!("no image is for the platform {platform:?}"),
            None => "choose a platform".to_owned(),
        })),
        _ => Err(fail("several images fit; choose one by reference or platform".to_owned())),
    }
}

fn gather(
    layout: &Layout<'_>,
    index: &Manifest,
    names: &[String],
    parents: &[Digest],
    out: &mut Vec<Candidate>,
    depth: usize,
) -> Result<(), InspectError> {
    for descriptor in &index.manifests {
        if out.len() >= MAX_SEEN {
            return Err(layout.wrong(format!("more than {MAX_SEEN} manifests")));
        }
        let mut own: Vec<String> = [CONTAINERD_NAME, REF_NAME]
            .iter()
            .filter_map(|key| descriptor.annotations.get(*key).cloned())
            .collect();
        own.extend(names.iter().cloned());
        match descriptor.media_type.as_str() {
            media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST if depth < MAX_DEPTH => {
                let bytes = layout.blob(descriptor, MAX_MANIFEST_BYTES as u64)?;
                let digest = descriptor.digest;
                let child = Manifest::parse(&descriptor.media_type, &bytes)
                    .map_err(|e| layout.wrong(format!("index {digest}: {e}")))?;
                if child.kind == ManifestKind::Index {
                    let parents = [parents, &[digest]].concat();
                    gather(layout, &child, &own, &parents, out, depth + 1)?;
                }
            }
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => out.push(Candidate {
                descriptor: descriptor.clone(),
                names: own,
                parents: parents.to_vec(),
            }),
            _ => {}
        }
    }
    Ok(())
}

fn is_meant(candidate: &Candidate, selection: &ImageSelection) -> bool {
    let Some(reference) = &selection.reference else { return true };
    match reference.parse::<Digest>() {
        Ok(digest) => candidate.descriptor.digest == digest || candidate.parents.contains(&digest),
        Err(_) => candidate.names.iter().any(|name| name == reference),
    }
}

/// Those for the platform asked for; without one those for this machine, else all that are images
/// (an index's attestations have the platform unknown/unknown).
fn by_platform<'a>(named: &[&'a Candidate], wanted: Option<&str>) -> Vec<&'a Candidate> {
    let is = |wanted: &str| {
        let fits = |p: &Platform| {
            let variant = wanted.split('/').nth(2);
            show(p) == wanted
                || (variant.is_none() && format!("{}/{}", p.os, p.architecture) == wanted)
        };
        let found: Vec<&Candidate> = named
            .iter()
            .filter(|c| c.descriptor.platform.as_ref().is_some_and(fits))
            .copied()
            .collect();
        found
    };
    if let Some(wanted) = wanted {
        // A layout of one image need not state its platform.
        let silent = named.len() == 1 && named[0].descriptor.platform.is_none();
        return if silent { named.to_vec() } else { is(wanted) };
    }
    let images: Vec<&Candidate> = named
        .iter()
        .filter(|c| c.descriptor.platform.as_ref().is_none_or(|p| p.os != "unknown"))
        .copied()
        .collect();
    if images.len() <= 1 {
        return if images.is_empty() { named.to_vec() } else { images };
    }
    let here = match std::env::consts::ARCH {
        "x86_64" => "linux/amd64",
        "aarch64" => "linux/arm64",
        "riscv64" => "linux/riscv64",
        _ => return images,
    };
    let own = is(here);
    if own.is_empty() { images } else { own }
}

fn show(platform: &Platform) -> String {
    let variant = platform.variant.as_deref().map(|v| format!("/{v}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os, platform.architecture)
}
