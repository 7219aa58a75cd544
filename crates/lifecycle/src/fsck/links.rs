//! What repositories, manifests and tags name.

use super::{Check, Example, Kind, Outcome, PAGE, Step};
use sealock_metadata::fsck::{references, tags};
use sealock_oci::media_type::is_foreign_layer;

/// Where the list of what manifests name begins.
fn start() -> (i64, String, i64) {
    (0, String::new(), 0)
}

impl Check<'_> {
    /// Links and what manifests need of them.
    pub(super) async fn links(&mut self) -> Step<()> {
        self.progress.stage("links", 0, "links");
        self.dangling_links().await?;
        self.unlinked_blobs().await?;
        self.descriptor_sizes().await
    }

    async fn dangling_links(&mut self) -> Step<()> {
        let mut after = (0, String::new());
        loop {
            let mut tx = self.read().await?;
            let page = references::dangling(&mut tx, (after.0, &after.1), PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.repository_id, last.digest.clone());
            for link in page {
                // Its file is there, and was reported already.
                if link.digest.parse().is_ok_and(|digest| self.revivable.contains(&digest)) {
                    continue;
                }
                let mut example = Example::default()
                    .digest(&link.digest)
                    .repository(Some(link.repository.clone()));
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        let done = references::remove_dangling(&mut tx, &link).await?;
                        tx.commit().await?;
                        Ok(done)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::LinkDangling, 0, example);
            }
        }
    }

    async fn unlinked_blobs(&mut self) -> Step<()> {
        let mut after = start();
        loop {
            let mut tx = self.read().await?;
            let page = references::unlinked(&mut tx, &after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.at);
            for mut blob in page {
                blob.stored |=
                    blob.digest.parse().is_ok_and(|digest| self.revivable.contains(&digest));
                if !blob.stored && is_foreign_layer(&blob.media_type) {
                    continue;
                }
                let mut example = Example::of(format!("named by the manifest {}", blob.manifest))
                    .digest(&blob.digest)
                    .repository(Some(blob.repository.clone()));
                if !blob.stored {
                    self.note(Kind::ManifestBlobMissing, 0, example);
                    continue;
                }
                if is_foreign_layer(&blob.media_type) {
                    continue;
                }
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        references::link_named(&mut tx, &blob).await?;
                        tx.commit().await?;
                        // Two places of a manifest may name one blob: the first link serves both.
                        Ok(true)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::ManifestBlobUnlinked, 0, example);
            }
        }
    }

    async fn descriptor_sizes(&mut self) -> Step<()> {
        let mut after = start();
        loop {
            let mut tx = self.read().await?;
            let page = references::other_sizes(&mut tx, &after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.at);
            for other in page {
                if is_foreign_layer(&other.media_type) || self.other_size.contains(&other.digest) {
                    continue;
                }
                let detail = format!(
                    "the manifest {} says {} bytes, there are {}",
                    other.manifest, other.declared, other.actual
                );
                let example =
                    Example::of(detail).digest(&other.digest).repository(Some(other.repository));
                self.note(Kind::DescriptorSize, 0, example);
            }
        }
    }

    /// Tags that name nothing of their repository.
    pub(super) async fn tags(&mut self) -> Step<()> {
        self.progress.stage("tags", 0, "tags");
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = tags::wrong(&mut tx, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for tag in page {
                self.wrong_tag(tag).await;
            }
        }
    }

    async fn wrong_tag(&mut self, tag: tags::WrongTag) {
        let (kind, detail) = match (&tag.digest, &tag.elsewhere) {
            (Some(_), elsewhere) => {
                let elsewhere = elsewhere.as_deref().unwrap_or("a repository that is gone");
                (Kind::TagForeign, format!("the tag {} names a manifest of {elsewhere}", tag.name))
            }
            (None, _) => (Kind::TagDangling, format!("the tag {} names nothing", tag.name)),
        };
        let mut example = Example::of(detail).repository(Some(tag.repository.clone()));
        example.digest.clone_from(&tag.digest);
        if self.repair() {
            let mended = async {
                let mut tx = self.write().await?;
                let done = match tag.own {
                    Some(own) => tags::retarget(&mut tx, tag.id, own).await?,
                    None => tags::remove_wrong(&mut tx, tag.id).await?,
                };
                tx.commit().await?;
                Ok(done)
            };
            example.outcome = self.outcome(mended.await);
            if example.outcome == Outcome::Repaired {
                let done =
                    if tag.own.is_some() { "moved to its own repository's" } else { "removed" };
                example.detail = format!("{}; {done}", example.detail);
            }
        }
        self.report.add(kind, 0, example);
    }
}
