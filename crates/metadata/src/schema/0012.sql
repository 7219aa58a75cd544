-- What Harbor's lists show of a manifest. `in_project` is its repository's project, which never changes; `shown_type` is Harbor's
-- word (IMAGE, CHART, ...), `shown_media_type` the media type that this word comes from; `total_size` counts what it names; `accessory`
-- is Harbor's word for what it is to another manifest, none where it is an artifact of its own; `child` says that an index of its
-- repository lists it; `listed` that a list shows it unless it is asked for all: it is no accessory, and has a tag or no index.
ALTER TABLE manifests ADD COLUMN in_project INT NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN shown_type TEXT NOT NULL DEFAULT 'UNKNOWN';
ALTER TABLE manifests ADD COLUMN shown_media_type TEXT NOT NULL DEFAULT '';
ALTER TABLE manifests ADD COLUMN total_size INT NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN accessory TEXT;
ALTER TABLE manifests ADD COLUMN child INT NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN listed INT NOT NULL DEFAULT 1;

UPDATE manifests SET
    in_project = (SELECT r.project_id FROM repositories r WHERE r.id = manifests.repository_id),
    shown_media_type = coalesce(config_media_type, media_type),
    shown_type = CASE
        WHEN kind = 'index' THEN 'IMAGE'
        WHEN config_media_type IN ('application/vnd.oci.image.config.v1+json',
            'application/vnd.docker.container.image.v1+json') THEN 'IMAGE'
        WHEN config_media_type = 'application/vnd.cncf.helm.config.v1+json' THEN 'CHART'
        WHEN config_media_type = 'application/vnd.wasm.config.v1+json' THEN 'WASM'
        WHEN config_media_type = 'application/vnd.goharbor.harbor.sbom.v1' THEN 'SBOM'
        ELSE 'UNKNOWN' END,
    total_size = size + coalesce((SELECT CAST(sum(b.size) AS BIGINT) FROM manifest_blobs b
        WHERE b.manifest_id = manifests.id), 0),
    accessory = CASE
        WHEN subject_digest IS NOT NULL THEN CASE
            WHEN artifact_type IN ('application/vnd.dev.cosign.artifact.sig.v1+json',
                'application/vnd.dev.sigstore.bundle.v0.3+json') THEN 'signature.cosign'
            WHEN artifact_type = 'application/vnd.cncf.notary.signature' THEN 'signature.notation'
            WHEN artifact_type = 'application/vnd.goharbor.harbor.sbom.v1' THEN 'sbom.harbor'
            ELSE 'subject.accessory' END
        WHEN EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = manifests.id
            AND t.name LIKE 'sha256-%.sig') THEN 'signature.cosign'
        WHEN EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = manifests.id
            AND (t.name LIKE 'sha256-%.att' OR t.name LIKE 'sha256-%.sbom')) THEN 'subject.accessory' END,
    child = CASE WHEN EXISTS (SELECT 1 FROM manifest_children c
        WHERE c.repository_id = manifests.repository_id AND c.digest = manifests.digest) THEN 1 ELSE 0 END;
UPDATE manifests SET total_size = total_size + coalesce((SELECT CAST(sum(x.total_size) AS BIGINT)
    FROM manifest_children c JOIN manifests x ON x.repository_id = c.repository_id AND x.digest = c.digest
    WHERE c.parent_id = manifests.id), 0) WHERE kind = 'index';
UPDATE manifests SET listed = CASE WHEN accessory IS NULL AND (child = 0
    OR EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = manifests.id)) THEN 1 ELSE 0 END;
CREATE INDEX manifests_listed ON manifests (repository_id, pushed_at, id) WHERE listed = 1;
CREATE INDEX manifests_listed_project ON manifests (in_project, pushed_at, id) WHERE listed = 1;

-- What a configuration says of its artifact, as JSON: made when it is pushed, or when it is first asked for.
ALTER TABLE manifest_payloads ADD COLUMN attributes TEXT;

CREATE TABLE artifact_labels (
    manifest_id INT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    label_id INT NOT NULL REFERENCES labels (id) ON DELETE CASCADE,
    created_at INT NOT NULL,
    PRIMARY KEY (manifest_id, label_id)
);
CREATE INDEX artifact_labels_label ON artifact_labels (label_id, manifest_id);

-- When a manifest was pulled last: by whatever reference where the tag is empty, else by that tag. Written in batches, apart
-- from the manifests, whose every change ends what was remembered of them; no foreign key, since a batch comes late.
CREATE TABLE pulls (
    manifest_id INT NOT NULL,
    tag TEXT NOT NULL,
    pulled_at INT NOT NULL,
    PRIMARY KEY (manifest_id, tag)
);

-- A cache of how many findings an artifact has; it holds while `facts_rev` is the manifest's.
CREATE TABLE overviews (
    manifest_id INT PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    facts_rev INT NOT NULL,
    overview TEXT NOT NULL
);
