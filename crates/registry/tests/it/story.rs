//! A world in which something is released.

use crate::world::{Image, World, descriptor, repo};
use sealock_advisories::{CoverageStatement, ImportRequest};
use sealock_auth::Caller;
use sealock_facts::{Coverage, Tier};
use sealock_oci::{Digest, Reference};
use sealock_registry::{PolicyTarget, PromotionTarget, PulledManifest, Result};
use sealock_signing::{BundleManifest, COSIGN_SIGNATURE, SigningKey, bundle_manifest};
use serde_json::{Value, json};

pub(crate) const OS: (&str, &str) = ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
pub(crate) const DPKG: (&str, &str) = (
    "var/lib/dpkg/status",
    "Package: sealed-sample\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.1-1\n\n",
);
const HIGH: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A sandbox and a release project, an image in the sandbox, and a key that the release project
/// lists.
pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) dev: Caller,
    pub(crate) officer: Caller,
    pub(crate) key: SigningKey,
    pub(crate) image: Image,
}

impl Story {
    /// A sandbox and a release project; an image with one package in the sandbox; a key that the
    /// release project lists.
    pub(crate) async fn new(world: World) -> Self {
        let story = Self::without_advisories(world).await;
        story.advise("CVE-2020-0001", "0").await;
        story
    }

    /// The same before any advisory was imported.
    pub(crate) async fn without_advisories(world: World) -> Self {
        let (dev, officer) = (world.user("dev").await, world.officer().await);
        world.project(&dev, "team", Tier::Sandbox, false).await;
        world.project(&dev, "release", Tier::Release, false).await;
        let key = SigningKey::generate().unwrap();
        let pem = key.public_key().to_pem();
        world.registry.add_project_key(&dev, "release", "pipeline", &pem).await.unwrap();
        let image = world.image(&dev, "team/app", "v1", &[OS, DPKG]).await.unwrap();
        Self { world, dev, officer, key, image }
    }

    /// Imports an advisory about the package below 3.0.9, fixed there unless `fixed` says
    /// otherwise.
    pub(crate) async fn advise(
        &self,
        id: &str,
        affected_from: &str,
    ) -> sealock_registry::AdvisoryImport {
        let package = if affected_from == "0" { "other" } else { "sealed-sample" };
        let record = json!({
            "id": id, "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
            "severity": [{"type": "CVSS_V3", "score": HIGH}],
            "affected": [{
                "package": {"ecosystem": "Debian:12", "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.9-1"}]}],
            }],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), record.to_string()).unwrap();
        let request = ImportRequest {
            source: id.to_lowercase(),
            paths: vec![folder.path().to_owned()],
            coverage: CoverageStatement { default: Coverage::Full, ..Default::default() },
            ..ImportRequest::default()
        };
        self.world.registry.import_advisories(&self.officer, request).await.unwrap()
    }

    /// Imports a catalogue in which these are known to be exploited since a day.
    pub(crate) async fn exploit(&self, id: &str, since: &str) {
        let catalogue = json!({
            "title": "known exploited", "catalogVersion": "1", "dateReleased": since, "count": 1,
            "vulnerabilities": [{"cveID": id, "dateAdded": since}],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kev.json"), catalogue.to_string()).unwrap();
        let request = ImportRequest {
            source: "kev".to_owned(),
            paths: vec![folder.path().to_owned()],
            ..ImportRequest::default()
        };
        self.world.registry.import_advisories(&self.officer, request).await.unwrap();
    }

    /// Signs a digest with a key, as cosign 3 does.
    pub(crate) async fn sign(
        &self,
        name: &str,
        subject: &Digest,
        size: usize,
        key: &SigningKey,
    ) -> Digest {
        self.attest(name, (subject, size), key, COSIGN_SIGNATURE).await
    }

    /// States something about a digest, signed with a key.
    pub(crate) async fn attest(
        &self,
        name: &str,
        (subject, size): (&Digest, usize),
        key: &SigningKey,
        predicate_type: &str,
    ) -> Digest {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {subject.algorithm().name(): subject.hex()}}],
            "predicateType": predicate_type,
            "predicate": {},
        });
        let bundle = key.sign_statement(statement.to_string().as_bytes()).unwrap();
        let subject = json!({"mediaType": MANIFEST, "digest": subject, "size": size});
        let subject = serde_json::from_value(subject).unwrap();
        let now = self.world.database.clock.now_();
        let manifest = bundle_manifest(&bundle, &subject, predicate_type, now);
        self.world.blob(&self.dev, name, BundleManifest::CONFIG).await.unwrap();
        self.world.blob(&self.dev, name, &bundle).await.unwrap();
        let pushed = self.world.raw_manifest(&self.dev, name, "", &manifest.bytes).await.unwrap();
        pushed.digest
    }

    /// Pushes an index of images of the same repository. Its digest and size.
    pub(crate) async fn index(&self, name: &str, tag: &str, images: &[&Image]) -> (Digest, usize) {
        let entries: Vec<Value> =
            images.iter().map(|image| descriptor(MANIFEST, &image.manifest)).collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        let bytes = serde_json::to_vec(&index).unwrap();
        let pushed = self.world.raw_manifest(&self.dev, name, tag, &bytes).await.unwrap();
        (pushed.digest, bytes.len())
    }

    /// Sets a project's own policy.
    pub(crate) async fn policy(&self, project: &str, text: &str) {
        let target = PolicyTarget::Project(project.to_owned());
        self.world.registry.put_policy(&self.dev, &target, text).await.unwrap();
    }

    pub(crate) async fn pull(
        &self,
        caller: &Caller,
        name: &str,
        reference: &str,
    ) -> Result<PulledManifest> {
        let reference = reference.parse().unwrap();
        self.world.registry.get_manifest(caller, &repo(name), &reference).await
    }

    pub(crate) async fn sign_image(&self) -> Digest {
        let size = self.image.manifest.len();
        self.sign("team/app", &self.image.digest, size, &self.key).await
    }

    pub(crate) async fn promote(&self) -> Result<sealock_registry::Promotion> {
        let target: PromotionTarget = "release/app:v1".parse().unwrap();
        let reference = Reference::Digest(self.image.digest);
        self.world.registry.promote(&self.dev, &repo("team/app"), &reference, &target).await
    }
}

pub(crate) trait Now {
    fn now_(&self) -> jiff::Timestamp;
}

impl Now for sealock_metadata::TestClock {
    fn now_(&self) -> jiff::Timestamp {
        sealock_metadata::Clock::now(self)
    }
}
