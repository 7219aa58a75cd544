//! Every kind of defect, with the words that people read about it.

/// How bad a defect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A crash may leave it, and no promise is broken: no defect.
    Expected,
    /// Takes room and does no harm: what a crash may leave.
    Leftover,
    /// Something that was stored or found out is lost, wrong, or open to whom it should not be.
    Damage,
}

macro_rules! kinds {
    ($($variant:ident $severity:ident $word:literal:
       $what:literal; $repair:literal; $person:literal,)+) => {
        /// A kind of defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $(#[doc = $what] $variant,)+ }

        impl Kind {
            /// Every kind, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in reports; it stays the same between versions.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }
            /// What it is.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)+ }
            }
            /// What `--repair` does about it; empty for nothing.
            pub const fn repair(self) -> &'static str {
                match self { $(Self::$variant => $repair,)+ }
            }
            /// What a person has to do, before or after; empty for nothing.
            pub const fn person(self) -> &'static str {
                match self { $(Self::$variant => $person,)+ }
            }
        }
    };
}

impl Kind {
    /// Whether it leaves the counts of what projects hold wrong with itself: what it is about is
    /// counted, and stands otherwise than it was counted.
    pub const fn upsets_counts(self) -> bool {
        matches!(
            self,
            Self::DatabaseDamaged
                | Self::ForeignKey
                | Self::BlobRowSize
                | Self::BlobRowMissing
                | Self::BlobRowInvalid
                | Self::BlobGeneration
                | Self::BlobDying
                | Self::FileMisplaced
                | Self::ManifestColumns
                | Self::ManifestReferences
                | Self::LinkDangling
                | Self::ManifestBlobUnlinked
                | Self::ManifestBlobMissing
                | Self::DescriptorSize
        )
    }
}

kinds! {
    DatabaseDamaged Damage "database-damaged":
        "the database engine itself finds damage";
        ""; "keep a copy of the database and restore the newest backup",
    ForeignKey Damage "foreign-key":
        "a row names a row of another table that is gone";
        "removes rows that should have gone with the other one"; "restore what the rest belongs to from a backup",
    BlobMissing Damage "blob-missing":
        "a blob has no file";
        "isolates the blob, so that clients see that it is gone and push it again"; "push the image again",
    BlobSize Damage "blob-size":
        "a blob's file has another length, and its bytes are not the blob's";
        "isolates the blob; the file stays"; "push the image again",
    BlobCorrupt Damage "blob-corrupt":
        "a blob's file has the right length and wrong bytes (bit rot)";
        "isolates the blob; the file stays"; "push the image again, and look at the disk",
    BlobNotAFile Damage "blob-not-a-file":
        "where a blob's file should be is a link, a directory or something else";
        "isolates the blob; what is there stays"; "find out who put it there, remove it, push the image again",
    BlobUnreadable Damage "blob-unreadable":
        "a blob's file cannot be read";
        ""; "look at the disk and at the file's owner; replace the disk, then check again",
    BlobRowSize Damage "blob-row-size":
        "a blob's file is right, its row states another size";
        "corrects the row"; "",
    BlobRowMissing Damage "blob-row-missing":
        "a file that repositories or manifests need has lost its row";
        "checks the file's bytes and makes the row again"; "",
    BlobRowInvalid Damage "blob-row-invalid":
        "a blob's row holds what no version wrote";
        "checks the file's bytes and corrects the row"; "restore the row from a backup where even its digest is unreadable",
    BlobGeneration Damage "blob-generation":
        "a blob's own file is lost or damaged, and another one with the right bytes is there";
        "lets the row name the good file"; "",
    BlobIsolated Damage "blob-isolated":
        "a blob was isolated because its bytes were lost or damaged, and is still needed";
        ""; "push the image again: that replaces it",
    BlobRecovered Damage "blob-recovered":
        "a blob is isolated, and its file has the right bytes";
        "opens the blob again"; "",
    BlobDying Leftover "blob-dying":
        "the collection of a blob was cut off";
        "ends it; a blob that something refers to again stays"; "",
    FileMisplaced Damage "file-misplaced":
        "a blob's file lies in another directory than its digest belongs into";
        "moves it to its place, or removes it when no row needs it"; "",
    FileLeaked Leftover "file-leaked":
        "a file that no row names and nothing needs";
        "removes it"; "",
    FileStale Leftover "file-stale":
        "an older file of a blob whose row names another one";
        "removes it"; "",
    FileForeign Damage "file-foreign":
        "a name in the store that Sealock never gives";
        ""; "find out who put it there, and move it away",
    Exposed Damage "exposed":
        "others may read what is secret, or change what is stored";
        "takes these rights from them"; "replace a key that others could read",
    UploadLeaked Leftover "upload-leaked":
        "bytes of an upload that has no row";
        "removes them"; "",
    UploadMissing Expected "upload-missing":
        "an upload's acknowledged bytes have no file";
        "forgets the upload; its client begins again"; "",
    UploadShort Expected "upload-short":
        "an upload's file is shorter than what was acknowledged";
        "forgets the upload; its client begins again"; "",
    UploadUnreadable Damage "upload-unreadable":
        "an upload's kept state cannot be gone on from";
        "forgets the upload; its client begins again"; "",
    PayloadMissing Damage "payload-missing":
        "a manifest has no bytes";
        "takes them from the same manifest of another repository"; "where there is none, push the manifest again",
    PayloadCorrupt Damage "payload-corrupt":
        "a manifest's bytes have another digest";
        "takes them from the same manifest of another repository, else isolates the manifest"; "where there is none, push the manifest again",
    PayloadIsolated Damage "payload-isolated":
        "a manifest was isolated because its bytes were damaged";
        "takes them from the same manifest of another repository"; "where there is none, push the manifest again: that replaces them",
    ManifestInvalid Damage "manifest-invalid":
        "a manifest's bytes have its digest and are no manifest";
        ""; "delete the manifest; say how it came here",
    ManifestSubject Damage "manifest-subject":
        "a manifest's row states another subject than its bytes";
        "corrects the row"; "",
    ManifestColumns Damage "manifest-columns":
        "a manifest's row states something else than its bytes";
        "corrects the row"; "",
    ManifestReferences Damage "manifest-references":
        "the recorded layers or children of a manifest are not those in its bytes";
        "records them again"; "",
    LinkDangling Damage "link-dangling":
        "a repository holds a blob that does not exist";
        "removes the link"; "push the images that need it again",
    ManifestBlobUnlinked Damage "manifest-blob-unlinked":
        "a manifest names a blob that its repository does not hold";
        "links the blob"; "",
    ManifestBlobMissing Damage "manifest-blob-missing":
        "a manifest names a blob that does not exist";
        ""; "push the image again",
    DescriptorSize Damage "descriptor-size":
        "a manifest states another size for a blob than it has";
        ""; "delete the manifest and push a right one",
    TagForeign Damage "tag-foreign":
        "a tag names a manifest of another repository";
        "lets it name the same digest in its own repository, or removes it"; "tag again what was removed",
    TagDangling Damage "tag-dangling":
        "a tag names a manifest that does not exist";
        "removes it"; "push the image again",
    QuotaCount Damage "quota-count":
        "what a project holds is counted wrongly for its quota";
        "counts it anew"; "",
    LayerFacts Damage "layer-facts":
        "what was found in a layer cannot be read";
        "forgets it; the layer is inspected again when it is needed"; "",
    ImageFacts Damage "image-facts":
        "what was found in an image cannot be read, or components are missing";
        "forgets it and queues the inspection"; "",
    ImageFactsWrong Damage "image-facts-wrong":
        "an image has the contents of other layers";
        "takes them from it and queues the inspection"; "",
    ImageFactsMissing Leftover "image-facts-missing":
        "an image's contents are not known, and no job is to find them out";
        "queues the inspection"; "",
    EvidenceOrphaned Leftover "evidence-orphaned":
        "evidence of which neither the image nor the signature is here any more";
        "removes it"; "",
    VerdictWrong Damage "verdict-wrong":
        "a stored verdict is unreadable, or made from revisions that have not come yet";
        "forgets it; the next question makes it again"; "",
    DecisionDamaged Damage "decision-damaged":
        "the document that a recorded decision was made from has another digest";
        ""; "restore it from a backup: the decision cannot be replayed",
    JobDead Leftover "job-dead":
        "a job failed too often and was given up";
        "queues it again"; "if it dies again, its error says why",
    KeyMissing Damage "key-missing":
        "a key of the product is missing";
        ""; "restore the database from a backup; without one, the next start makes a new key",
    KeySealed Damage "key-sealed":
        "a key of the product does not open with the master key";
        ""; "give the master key under which it was sealed",
    AdvisoriesDamaged Damage "advisories-damaged":
        "the vulnerability data on disk is damaged or incomplete";
        ""; "import the advisories again",
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_has_its_own_word_and_somebody_to_mend_it() {
        let words: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(!(kind.repair().is_empty() && kind.person().is_empty()), "{kind}");
        }
    }
}
