//! What is wrong with the files of a store.

use super::{Manifest, SnapshotStore, file_mark};
use crate::index::Index;
use std::{
    fs,
    path::{Path, PathBuf},
};

impl SnapshotStore {
    /// What is wrong with the snapshot that is current and with the sources it was built from:
    /// files below the folder, and why. With `deep` every byte of them is read. Changes nothing,
    /// and makes nothing where no store is. Blocks.
    pub fn damage(folder: &Path, deep: bool) -> Vec<(PathBuf, String)> {
        let mut damage = Vec::new();
        let store = Self::at(folder);
        let current = PathBuf::from("current");
        let hex = match store.current_hex() {
            Ok(Some(hex)) => hex,
            Ok(None) => return vec![(current, "no snapshot is current".to_owned())],
            Err(error) => return vec![(current, error.to_string())],
        };
        let index = PathBuf::from("snapshots").join(format!("{hex}.idx"));
        if deep {
            if let Err(error) = Index::open(&folder.join(&index)) {
                damage.push((index.clone(), error.to_string()));
            }
        } else if let Err(error) = fs::metadata(folder.join(&index)) {
            damage.push((index.clone(), error.to_string()));
        }
        let description = index.with_extension("json");
        let read = fs::read(folder.join(&description)).map_err(|error| error.to_string());
        let manifest =
            read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
        let manifest: Manifest = match manifest {
            Ok(manifest) => manifest,
            Err(why) => {
                damage.push((description, why));
                return damage;
            }
        };
        for source in manifest.sources.values() {
            let names = source.added.iter().chain([&source.segment]).chain(&source.kev);
            for name in names {
                let path = PathBuf::from("sources").join(name);
                if let Some(why) = wrong(&folder.join(&path), name, deep) {
                    damage.push((path, why));
                }
            }
        }
        damage
    }
}

/// What is wrong with a file of records, whose name carries the mark of its bytes.
fn wrong(path: &Path, name: &str, deep: bool) -> Option<String> {
    if !deep {
        return fs::metadata(path).err().map(|error| error.to_string());
    }
    match file_mark(path) {
        Ok(mark) if name.contains(&format!("-{mark}.")) => None,
        Ok(_) => Some("its bytes are not those that its name says".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_less_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = folder.path().join("none");
        assert_eq!(SnapshotStore::damage(&nothing, true).len(), 1);
        assert!(!nothing.exists(), "looking makes nothing");
        let store = SnapshotStore::open(folder.path()).unwrap();
        store.ensure_starter("2026-01-02T03:04:05Z".parse().unwrap()).unwrap();
        for deep in [false, true] {
            assert_eq!(SnapshotStore::damage(folder.path(), deep), []);
        }
        for part in ["snapshots", "sources"] {
            for entry in fs::read_dir(folder.path().join(part)).unwrap() {
                let path = entry.unwrap().path();
                let whole = fs::read(&path).unwrap();
                fs::write(&path, &whole[..whole.len() - 1]).unwrap();
                let damage = SnapshotStore::damage(folder.path(), true);
                assert_eq!(damage.len(), 1, "{}: {damage:?}", path.display());
                fs::remove_file(&path).unwrap();
                assert_eq!(SnapshotStore::damage(folder.path(), false).len(), 1);
                fs::write(&path, whole).unwrap();
            }
        }
        fs::write(folder.path().join("current"), "{}").unwrap();
        assert_eq!(SnapshotStore::damage(folder.path(), false).len(), 1);
    }
}
