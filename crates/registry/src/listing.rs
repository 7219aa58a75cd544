//! Lists of the distribution API: tags, referrers, catalog.

use crate::{
    Page, PageRequest, Registry, Result,
    access::{Need, PULLED},
    incoming::legacy_subject,
};
use sealock_auth::{Act, Caller, Resource, Right};
use sealock_metadata::{self as metadata, Tx, manifests::Referrer, projects::Visible};
use sealock_oci::{Descriptor, Digest, Manifest, ReferrersTag, RepositoryName, Tag};
use tokio::task::yield_now;

/// Annotations in one page of referrers, in bytes, after which it ends: what a client reads as an
/// index may have 4 MiB.
const MAX_REFERRERS_BYTES: usize = 3 * 1024 * 1024;

/// Referrers that are read, or put into words, before others have their turn: less than a tenth of
/// a millisecond.
pub const REFERRERS_PIECE: u32 = 25;

/// Which tags are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TagsShown {
    /// Every tag, as the distribution API lists them.
    #[default]
    All,
    /// Without those that clients keep for accessories (`sha256-….sig` and the like).
    WithoutAccessories,
}

impl Registry {
    /// Tags of a repository in bytewise order.
    pub async fn list_tags(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        shown: TagsShown,
        page: &PageRequest,
    ) -> Result<Page<Tag>> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let repository_id = scope.repository()?.id;
        let after = page.after.clone().unwrap_or_default();
        let limit = page.limit();
        let tags = metadata::tags::names(&mut tx, repository_id, &after, limit + 1).await?;
        let mut page = Page::cut(tags, limit, Tag::to_string);
        if shown == TagsShown::WithoutAccessories {
            page.items.retain(|tag| !is_accessory_tag(tag));
        }
        Ok(page)
    }

    /// What refers to a digest (distribution-spec, "Listing Referrers"), by digest: manifests whose
    /// `subject` it is, and those without one that a client lists in its own index under the
    /// [`ReferrersTag`]. Entries of such an index count only while their manifest is here, and are
    /// described by it: a stale or wrong index misleads nobody. The subject need not exist.
    ///
    /// To be listed proves nothing: evidence is what was verified, wherever it is listed.
    pub async fn list_referrers(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Descriptor>> {
        let mut tx = self.database().read().await?;
        let scope = self.scope(&mut tx, caller, name, Need::Has(Right::Pull)).await?;
        let Some(repository) = &scope.repository else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let after = page.after.clone().unwrap_or_default();
        let limit = page.limit();
        let id = repository.id;
        let most = limit + 1;
        let mut rows = Vec::new();
        let (mut last, mut missing) = (after.clone(), most);
        while let wanted @ 1.. = missing.min(REFERRERS_PIECE) {
            missing -= wanted;
            let piece =
                metadata::manifests::referrers(&mut tx, id, subject, artifact_type, &last, wanted)
                    .await?;
            let Some(end) = piece.last().filter(|_| piece.len() == wanted as usize) else {
                rows.extend(piece);
                break;
            };
            last = end.digest.to_string();
            rows.extend(piece);
            tx = self.let_others(tx).await?;
        }
        // No manifest is in both: what is listed here names no subject.
        let listed =
            metadata::manifests::listed(&mut tx, id, subject, artifact_type, &after, most).await?;
        if !listed.is_empty() {
            rows.extend(listed);
            rows.sort_by_cached_key(|row| row.digest.to_string());
        }
        let items: Vec<_> = rows.into_iter().take(most as usize).map(described).collect();
        drop(tx);
        let fit = self.annotate(repository.id, items).await?;
        let limit = limit.min(u32::try_from(fit.0).unwrap_or(u32::MAX));
        Ok(Page::cut(fit.1, limit, |descriptor| descriptor.digest.to_string()))
    }

    /// Lets others have their turn. What is read afterwards is as it is then: a transaction that
    /// stays open meanwhile would keep the database's log from beginning anew.
    async fn let_others(&self, tx: Tx) -> Result<Tx> {
        drop(tx);
        yield_now().await;
        Ok(self.database().read().await?)
    }

    /// Adds the annotations that a row does not keep, and cuts a page that grows too long, after
    /// the first entry at the earliest. How many entries fit, and these with at most one more,
    /// which says that there is a next page.
    async fn annotate(
        &self,
        repository_id: i64,
        items: Vec<Descriptor>,
    ) -> Result<(usize, Vec<Descriptor>)> {
        let mut fit = Vec::new();
        let mut bytes = 0;
        // Most pages need none.
        let mut tx: Option<Tx> = None;
        for mut item in items {
            if fit.len() % REFERRERS_PIECE as usize == 0 {
                drop(tx.take());
                yield_now().await;
            }
            if bytes > MAX_REFERRERS_BYTES {
                let count = fit.len();
                fit.push(item);
                return Ok((count, fit));
            }
            let long = metadata::manifests::MAX_ROW_ANNOTATIONS_BYTES as u64;
            if item.annotations.is_empty()
                && item.size > long
                && let tx = match &mut tx {
                    Some(tx) => tx,
                    none => none.insert(self.database().read().await?),
                }
                && let Some(stored) =
                    metadata::manifests::load(tx, repository_id, &item.digest).await?
                && let Ok(manifest) = Manifest::parse(&item.media_type, &stored.payload)
            {
                item.annotations = manifest.annotations;
            }
            bytes +=
                item.annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            fit.push(item);
        }
        Ok((fit.len(), fit))
    }

    /// Names of the repositories that the caller may pull from, in bytewise order; all of them for
    /// a robot that may read the catalogue.
    pub async fn catalog(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<RepositoryName>> {
        let mut tx = self.database().read().await?;
        let visible = match caller.principal.may_in_system(Resource::Catalog, Act::Read) {
            true => Visible::All,
            false => self.visible(&mut tx, caller, PULLED).await?,
        };
        let after = page.after.clone().unwrap_or_default();
        let limit = page.limit();
        let names = metadata::repositories::names(&mut tx, &visible, &after, limit + 1).await?;
        Ok(Page::cut(names, limit, RepositoryName::to_string))
    }
}

/// Whether a tag is one that clients keep for accessories.
pub fn is_accessory_tag(tag: &Tag) -> bool {
    ReferrersTag::parse(tag).is_some() || legacy_subject(tag).is_some()
}

fn described(row: Referrer) -> Descriptor {
    Descriptor {
        media_type: row.media_type,
        digest: row.digest,
        size: row.size,
        artifact_type: row.artifact_type,
        urls: Vec::new(),
        annotations: row.annotations,
        platform: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accessory_tags_are_told_by_their_whole_name() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let tag = |text: String| text.parse::<Tag>().expect("a tag");
        for yes in
            [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att")]
        {
            assert!(is_accessory_tag(&tag(yes)));
        }
        for no in [format!("sha256-{hex}.sig2"), format!("sha256-{}", &hex[1..]), "v1".into()] {
            assert!(!is_accessory_tag(&tag(no)));
        }
    }
}
