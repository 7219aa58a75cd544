use crate::{
    LayerContents,
    collect::resolve_parent,
    evidence::{Evidence, Found},
    path::{ancestors, classify, join, normalise, split},
    path_set::PathSet,
};
use sealock_oci::Digest;
use std::collections::{BTreeMap, HashMap};

/// Most links followed from one file to another, as Linux has it.
const MAX_LINKS: usize = 40;

/// One version of a file, and the layer it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) layer: usize,
    pub(crate) evidence: &'a Evidence,
}

/// The evidence of an image as a runtime would see it: the layers over one another.
pub(crate) struct View<'a> {
    layers: &'a [(Digest, LayerContents)],
    /// Versions of each file that is there, the visible one last. What a whiteout or a file in
    /// place of a directory took away starts anew.
    files: BTreeMap<String, Vec<Slot<'a>>>,
    /// Symbolic links near the root.
    links: BTreeMap<String, String>,
    /// Every directory above evidence by its hash, to be looked up among a layer's files.
    above: HashMap<u64, String>,
}

impl<'a> View<'a> {
    pub(crate) fn new(layers: &'a [(Digest, LayerContents)]) -> Self {
        let mut view =
            Self { layers, files: BTreeMap::new(), links: BTreeMap::new(), above: HashMap::new() };
        for (index, (_, layer)) in layers.iter().enumerate() {
            view.remove(index, layer);
            view.add(index, layer);
        }
        view
    }

    /// What a layer takes away from those below it.
    fn remove(&mut self, index: usize, layer: &LayerContents) {
        for directory in &layer.directories {
            self.links.remove(directory);
        }
        for hidden in &layer.whiteouts {
            let hidden = self.place(hidden);
            self.files.remove(&hidden);
            self.links.remove(&hidden);
            self.remove_below(&hidden);
        }
        for directory in &layer.opaque {
            let inside = self.place(&join(directory, "x"));
            self.remove_below(split(&inside).0);
        }
        let covered: Vec<String> = if layer.covers.len() < self.above.len() {
            layer.covers.hashes().filter_map(|hash| self.above.get(&hash).cloned()).collect()
        } else {
            let is = |(hash, _): &(&u64, &String)| layer.covers.contains_hash(**hash);
            self.above.iter().filter(is).map(|(_, path)| path.clone()).collect()
        };
        for path in covered {
            self.remove_below(&path);
            let older = |chain: &Vec<Slot<'_>>| chain.last().is_some_and(|s| s.layer < index);
            if classify(&path).is_none() && self.files.get(&path).is_some_and(older) {
                self.files.remove(&path);
            }
        }
    }

    fn remove_below(&mut self, directory: &str) {
        fn cut<V>(map: &mut BTreeMap<String, V>, directory: &str) {
            if directory.is_empty() {
                return map.clear();
            }
            // `0` is the character after `/`.
            let (from, to) = (format!("{directory}/"), format!("{directory}0"));
            let gone: Vec<String> = map.range(from..to).map(|(path, _)| path.clone()).collect();
            for path in gone {
                map.remove(&path);
            }
        }
        cut(&mut self.files, directory);
        cut(&mut self.links, directory);
    }

    /// What a layer brings.
    fn add(&mut self, index: usize, layer: &'a LayerContents) {
        for (path, target) in &layer.links {
            self.links.insert(path.clone(), target.clone());
        }
        for (path, evidence) in &layer.evidence {
            let path = self.place(path);
            let mut evidence = evidence;
            if let Found::HardLink(target) = &evidence.found {
                let target = self.place(target);
                if let Some(slot) = self.current(&target)
                    && same_class(&path, &target)
                {
                    evidence = slot.evidence;
                }
            }
            if evidence.found == Found::Nothing && evidence.damage.is_none() {
                self.files.remove(&path);
                continue;
            }
            for above in ancestors(&path) {
                self.watch(above);
            }
            if classify(&path).is_none() {
                self.watch(&path);
            }
            self.files.entry(path).or_default().push(Slot { layer: index, evidence });
        }
    }

    fn watch(&mut self, path: &str) {
        self.above.entry(PathSet::hash(path)).or_insert_with(|| path.to_owned());
    }

    /// Where a path of the archive comes to lie.
    fn place(&self, path: &str) -> String {
        resolve_parent(path, &self.links).unwrap_or_else(|| path.to_owned())
    }

    /// The visible version of the file at `path` itself.
    pub(crate) fn current(&self, path: &str) -> Option<Slot<'a>> {
        self.files.get(path)?.last().copied()
    }

    /// Every visible file with all its versions, lowest first.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[Slot<'a>])> {
        self.files.iter().map(|(path, chain)| (path.as_str(), chain.as_slice()))
    }

    pub(crate) fn chain(&self, path: &str) -> &[Slot<'a>] {
        self.files.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    /// Follows symbolic links from `path` to a file that was read.
    pub(crate) fn follow(&self, path: &str) -> Follow<'a> {
        let mut path = self.place(path);
        for _ in 0..MAX_LINKS {
            let target = match self.current(&path) {
                Some(Slot {
                    evidence: Evidence { found: Found::SymbolicLink(to), .. }, ..
                }) => to,
                Some(slot) => return Follow::File(path, slot),
                None => match self.links.get(&path) {
                    Some(to) => to,
                    None if self.layers.iter().any(|(_, l)| l.covers.contains(&path)) => {
                        return Follow::Unread(path);
                    }
                    None => return Follow::Missing,
                },
            };
            path = self.place(&normalise("", target.as_bytes()).path);
        }
        Follow::Unread(path)
    }
}

/// Where following links ends.
pub(crate) enum Follow<'a> {
    /// At a file that was read.
    File(String, Slot<'a>),
    /// At a file that was not read because its path says nothing, or in a loop.
    Unread(String),
    /// At nothing.
    Missing,
}

/// Whether two paths are of one class, or the second says nothing by itself.
fn same_class(path: &str, target: &str) -> bool {
    match (classify(path), classify(target)) {
        (Some((a, _)), Some((b, _))) => a == b,
        _ => true,
    }
}
