//! Clients that remember what they were told.

use futures_util::stream;
use sealock_auth::Caller;
use sealock_metadata::Clock as _;
use sealock_oci::{Algorithm, Digest, Reference, RepositoryName};
use sealock_registry::{Body, Error, Kind, ManifestPush, Precondition, PromotionTarget};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    known::{
        Effect::{self, Becomes, Ends, Perhaps},
        State::{Absent, Names, Present},
        Thing,
    },
    recording::Recording,
};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A client at a registry.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    at: &'a Recording,
    caller: &'a Caller,
}

/// An image of two blobs.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layer: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    /// One that differs by `seed`, with a layer of `size` bytes.
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        let config = format!("{{\"image\":{seed}}}").into_bytes();
        let layer = bytes(seed, size);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.example.config.v1+json", &config),
            "layers": [descriptor("application/vnd.example.bytes", &layer)],
        });
        Self { config, layer, manifest: manifest.to_string().into_bytes() }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256(&self.manifest)
    }
}

/// Bytes that differ by `seed`, and are no archive of any kind.
pub(crate) fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let pattern = format!("seed {seed} ");
    pattern.bytes().cycle().take(size).collect()
}

/// A note about a manifest.
pub(crate) fn note(subject: &[u8], config: &[u8]) -> Vec<u8> {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.example.note",
        "config": descriptor("application/vnd.example.config.v1+json", config),
        "layers": [], "subject": descriptor(MANIFEST, subject),
    })
    .to_string()
    .into_bytes()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::sha256(bytes), "size": bytes.len()})
}

pub(crate) fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

/// A request's body, in pieces.
pub(crate) fn body(bytes: &[u8]) -> Body<'static> {
    let pieces: Vec<_> = bytes.chunks(1500).map(bytes::Bytes::copy_from_slice).collect();
    Body::new(stream::iter(pieces.into_iter().map(Ok)))
}

fn blob(name: &str, bytes: &[u8]) -> Thing {
    Thing::Blob(name.to_owned(), Digest::sha256(bytes))
}

impl<'a> Client<'a> {
    pub(crate) fn new(at: &'a Recording, name: &str) -> Self {
        Self { at, caller: at.caller(name) }
    }

    /// A collection, beside what others do.
    pub(crate) async fn collect(&self) {
        self.at.collect().await;
    }

    pub(crate) fn leases_end(&self) {
        self.at.leases_end();
    }

    /// Does something and remembers, when it was acknowledged, what that means. A refusal means
    /// nothing.
    async fn ask<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
        meaning: impl FnOnce(&T) -> Vec<(Thing, Effect)>,
    ) -> Result<T, Error> {
        // Unoptimised, the registry's futures are larger than a test's stack has room for.
        let work = Box::pin(work);
        let (asked, begin) = (self.at.clock.now(), self.at.disk.position());
        let outcome = work.await;
        let end = self.at.disk.position();
        match &outcome {
            Ok(done) => {
                let effects = meaning(done);
                self.at.told(&effects, asked);
                self.at.memory.lock().unwrap().known.add(begin, Some(end), effects);
            }
            Err(error) => assert_ne!(error.kind(), Kind::Internal, "{error}: {:?}", error.log()),
        }
        outcome
    }

    pub(crate) async fn push_blob(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (repository, digest) = (repo(name), Digest::sha256(bytes));
        let work = self.at.registry.push_blob(self.caller, &repository, &digest, body(bytes));
        self.ask(work, |_| vec![(blob(name, bytes), Becomes(Present))]).await.map(|_| ())
    }

    /// Sends bytes under a digest that they do not have.
    pub(crate) async fn push_wrong(&self, name: &str, bytes: &[u8], digest: &Digest) {
        let work = self.at.registry.push_blob(self.caller, &repo(name), digest, body(bytes)).await;
        assert_eq!(work.unwrap_err().kind(), Kind::Invalid);
        // Nothing becomes of it; it is only looked for.
        let effects = vec![(Thing::Blob(name.to_owned(), *digest), Ends(Absent))];
        let now = self.at.disk.position();
        self.at.memory.lock().unwrap().known.add(now, Some(now), effects);
    }

    /// Begins an upload of what will be `whole` in the end.
    pub(crate) async fn begin(&self, name: &str, whole: &[u8]) -> Result<Uuid, Error> {
        let repository = repo(name);
        let work = self.at.registry.begin_upload(self.caller, &repository, Algorithm::Sha256);
        let begun = self
            .ask(work, |begun| vec![(Thing::Upload(name.to_owned(), begun.id), Perhaps(Present))])
            .await?;
        self.at.memory.lock().unwrap().uploads.insert(begun.id, whole.to_vec());
        Ok(begun.id)
    }

    pub(crate) async fn append(&self, name: &str, id: Uuid, bytes: &[u8]) -> Result<u64, Error> {
        let repository = repo(name);
        let work = self.at.registry.append_upload(self.caller, &repository, id, None, body(bytes));
        self.ask(work, |_| Vec::new()).await.map(|status| status.offset)
    }

    /// Sends a chunk whose connection breaks in the middle.
    pub(crate) async fn append_broken(&self, name: &str, id: Uuid, bytes: &[u8]) {
        let pieces: Vec<_> = bytes.chunks(1500).map(bytes::Bytes::copy_from_slice).collect();
        let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let body = stream::iter(pieces.into_iter().map(Ok).chain([Err(cut)]));
        let (repository, body) = (repo(name), Body::new(body));
        let sent = self.at.registry.append_upload(self.caller, &repository, id, None, body);
        assert_eq!(sent.await.unwrap_err().kind(), Kind::Invalid);
    }

    pub(crate) async fn finish(&self, name: &str, id: Uuid, rest: &[u8]) -> Result<(), Error> {
        let whole = self.at.memory.lock().unwrap().uploads[&id].clone();
        let (repository, digest) = (repo(name), Digest::sha256(&whole));
        let registry = &self.at.registry;
        let work = registry.finish_upload(self.caller, &repository, id, &digest, None, body(rest));
        let meaning = |_: &_| {
            let upload = Thing::Upload(name.to_owned(), id);
            vec![(blob(name, &whole), Becomes(Present)), (upload, Becomes(Absent))]
        };
        self.ask(work, meaning).await.map(|_| ())
    }

    pub(crate) async fn cancel(&self, name: &str, id: Uuid) -> Result<(), Error> {
        let repository = repo(name);
        let work = self.at.registry.cancel_upload(self.caller, &repository, id);
        self.ask(work, |()| vec![(Thing::Upload(name.to_owned(), id), Becomes(Absent))]).await
    }

    pub(crate) async fn mount(&self, name: &str, from: &str, bytes: &[u8]) -> Result<bool, Error> {
        let (to, from, digest) = (repo(name), repo(from), Digest::sha256(bytes));
        let work = self.at.registry.mount_blob(self.caller, &to, &digest, Some(&from));
        let meaning = |mounted: &bool| match mounted {
            true => vec![(blob(name, bytes), Becomes(Present))],
            false => Vec::new(),
        };
        self.ask(work, meaning).await
    }

    pub(crate) async fn put(&self, name: &str, tag: &str, manifest: &[u8]) -> Result<(), Error> {
        let digest = Digest::sha256(manifest);
        let reference: Reference =
            if tag.is_empty() { Reference::Digest(digest) } else { tag.parse().unwrap() };
        let push = ManifestPush {
            repository: &repo(name),
            reference: &reference,
            tags: &[],
            content_type: MANIFEST,
            payload: manifest.to_vec().into(),
            condition: &Precondition::default(),
        };
        let work = self.at.registry.put_manifest(self.caller, push);
        let before = self.at.deletions();
        self.at.memory.lock().unwrap().tags.insert((name.to_owned(), tag.to_owned()));
        let this = Thing::Manifest(name.to_owned(), digest);
        let document: Value = serde_json::from_slice(manifest).unwrap();
        if let Some(subject) = document["subject"]["digest"].as_str() {
            let subject = Thing::Manifest(name.to_owned(), subject.parse().unwrap());
            self.at.memory.lock().unwrap().accessories.push((this.clone(), subject));
        }
        let layers = document["layers"].as_array().unwrap().iter();
        let named = layers.chain([&document["config"]]).map(|named| {
            let digest = named["digest"].as_str().unwrap().parse().unwrap();
            Thing::Blob(name.to_owned(), digest)
        });
        let meaning = |_: &_| {
            self.at.stands(&this, named.collect(), before);
            let mut effects = vec![(this, Becomes(Present))];
            if let Reference::Tag(tag) = &reference {
                let tag = Thing::Tag(name.to_owned(), tag.to_string());
                effects.push((tag, Becomes(Names(digest))));
            }
            effects
        };
        self.ask(work, meaning).await.map(|_| ())
    }

    /// Pushes an image, blobs first.
    pub(crate) async fn push(&self, name: &str, tag: &str, image: &Image) -> Result<(), Error> {
        Box::pin(self.push_blob(name, &image.layer)).await?;
        Box::pin(self.push_blob(name, &image.config)).await?;
        Box::pin(self.put(name, tag, &image.manifest)).await
    }

    pub(crate) async fn untag(&self, name: &str, tag: &str) -> Result<(), Error> {
        let (repository, reference) = (repo(name), tag.parse().unwrap());
        let any = Precondition::default();
        let work = self.at.registry.delete_manifest(self.caller, &repository, &reference, &any);
        let meaning = |_: &()| {
            let tag = Thing::Tag(name.to_owned(), tag.to_owned());
            vec![(tag, Becomes(Absent))]
        };
        self.ask(work, meaning).await
    }

    pub(crate) async fn delete(&self, name: &str, digest: &Digest) -> Result<(), Error> {
        let (repository, reference) = (repo(name), Reference::Digest(*digest));
        let any = Precondition::default();
        let work = self.at.registry.delete_manifest(self.caller, &repository, &reference, &any);
        let this = Thing::Manifest(name.to_owned(), *digest);
        let deletion = self.at.deletion(&this);
        let meaning = |_: &()| {
            deletion.was_done();
            let memory = self.at.memory.lock().unwrap();
            // Also of tags that others set at the same time.
            let tags = memory.tags.iter().filter(|(at, tag)| at == name && !tag.is_empty());
            let mut effects: Vec<_> = tags
                .map(|(at, tag)| (Thing::Tag(at.clone(), tag.clone()), Ends(Names(*digest))))
                .collect();
            let accessories = memory.accessories.iter().filter(|(_, subject)| *subject == this);
            effects.extend(accessories.map(|(accessory, _)| (accessory.clone(), Becomes(Absent))));
            effects.push((this, Becomes(Absent)));
            effects
        };
        self.ask(work, meaning).await
    }

    pub(crate) async fn delete_blob(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (repository, digest) = (repo(name), Digest::sha256(bytes));
        let any = Precondition::default();
        let work = self.at.registry.delete_blob(self.caller, &repository, &digest, &any);
        self.ask(work, |()| vec![(blob(name, bytes), Becomes(Absent))]).await
    }

    pub(crate) async fn promote(&self, name: &str, image: &Image, to: &str) -> Result<(), Error> {
        let (repository, digest) = (repo(name), image.digest());
        let target: PromotionTarget = format!("{to}:promoted").parse().unwrap();
        let reference = Reference::Digest(digest);
        let before = self.at.deletions();
        self.at.memory.lock().unwrap().tags.insert((to.to_owned(), "promoted".to_owned()));
        let work = self.at.registry.promote(self.caller, &repository, &reference, &target);
        let meaning = |_: &_| {
            let named = vec![blob(to, &image.layer), blob(to, &image.config)];
            self.at.stands(&Thing::Manifest(to.to_owned(), digest), named, before);
            vec![
                (blob(to, &image.layer), Becomes(Present)),
                (blob(to, &image.config), Becomes(Present)),
                (Thing::Manifest(to.to_owned(), digest), Becomes(Present)),
                (Thing::Tag(to.to_owned(), "promoted".to_owned()), Becomes(Names(digest))),
            ]
        };
        self.ask(work, meaning).await.map(|_| ())
    }
}
