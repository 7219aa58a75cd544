//! What was found in layers and images: it can be found again.

use super::{Check, Example, Kind, PAGE, Step};
use sealock_metadata::{
    Tx,
    fsck::contents::{self as rows, Without},
};
use sealock_registry::{CONTENTS_JOB, Fact, queue_contents};

/// Facts read at a time; each has at most a few megabytes.
const FACTS: u32 = 8;

impl Check<'_> {
    pub(super) async fn layer_facts(&mut self) -> Step<()> {
        if self.quick() {
            return Ok(());
        }
        self.progress.stage("layer contents", 0, "layers");
        let mut after = (String::new(), String::new());
        loop {
            let mut tx = self.read().await?;
            let page = rows::layers(&mut tx, (&after.0, &after.1), FACTS).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = (last.digest.clone(), last.inspector.clone());
            for layer in page {
                self.progress.advance(1);
                if readable(Fact::Layer, layer.contents.clone()).await {
                    continue;
                }
                let mut example = Example::of("it does not unpack").digest(&layer.digest);
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        let done = rows::forget_layer(&mut tx, &layer).await?;
                        tx.commit().await?;
                        Ok(done)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::LayerFacts, 0, example);
            }
        }
    }

    pub(super) async fn image_facts(&mut self) -> Step<()> {
        if !self.quick() {
            self.damaged_images().await?;
        }
        self.wrong_images().await?;
        self.images_without_facts().await
    }

    async fn damaged_images(&mut self) -> Step<()> {
        self.progress.stage("image contents", 0, "images");
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = rows::images(&mut tx, after, FACTS).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for image in page {
                self.progress.advance(1);
                let detail = match image.components == image.recorded {
                    false => format!(
                        "{} of {} components are recorded",
                        image.recorded, image.components
                    ),
                    true if readable(Fact::Image, image.contents).await => continue,
                    true => "it does not unpack".to_owned(),
                };
                let mut example = Example::of(format!("contents {}: {detail}", image.id));
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        for user in rows::forget_image(&mut tx, image.id).await? {
                            queue(&mut tx, &user).await?;
                        }
                        tx.commit().await?;
                        Ok(true)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::ImageFacts, 0, example);
            }
        }
    }

    async fn wrong_images(&mut self) -> Step<()> {
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = rows::wrong(&mut tx, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for image in page {
                // The row's layers are wrong, and were reported; its contents may be right.
                if self.other_chain.contains(&image.id) {
                    continue;
                }
                let mut example = about(&image);
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        rows::forget_wrong(&mut tx, image.id).await?;
                        queue(&mut tx, &image).await?;
                        tx.commit().await?;
                        Ok(true)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::ImageFactsWrong, 0, example);
            }
        }
    }

    async fn images_without_facts(&mut self) -> Step<()> {
        let mut after = 0;
        loop {
            let mut tx = self.read().await?;
            let page = rows::missing(&mut tx, CONTENTS_JOB, after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for image in page {
                let mut example = about(&image);
                if self.repair() {
                    let mended = async {
                        let mut tx = self.write().await?;
                        queue(&mut tx, &image).await?;
                        tx.commit().await?;
                        Ok(true)
                    };
                    example.outcome = self.outcome(mended.await);
                }
                self.report.add(Kind::ImageFactsMissing, 0, example);
            }
        }
    }
}

fn about(image: &Without) -> Example {
    Example::default().digest(&image.digest).repository(Some(image.repository.clone()))
}

async fn queue(tx: &mut Tx, image: &Without) -> Step<()> {
    let chain = image.chain.as_deref().and_then(|chain| chain.parse().ok());
    let digest = image.digest.parse().ok();
    if let (Some(chain), Some(digest)) = (chain, digest) {
        queue_contents(tx, image.repository_id, &digest, &chain).await?;
    }
    Ok(())
}

async fn readable(fact: Fact, bytes: Vec<u8>) -> bool {
    tokio::task::spawn_blocking(move || fact.is_readable(&bytes)).await.unwrap_or(false)
}
