-- Schema 1. Times are microseconds since 1970, booleans 0 or 1, digests `sha256:<hex>`.
-- Ids are never reused: a row's id in a link, an audit record or a client's state stays its own.

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Revisions that doors compare (decision D4): system_rev.
CREATE TABLE revisions (
    name TEXT PRIMARY KEY,
    value INT NOT NULL
);
INSERT INTO revisions (name, value) VALUES ('system', 1);

CREATE TABLE users (
    id ID,
    name TEXT NOT NULL UNIQUE,
    email TEXT,
    real_name TEXT NOT NULL,
    password_hash TEXT,
    sysadmin INT NOT NULL,
    security_officer INT NOT NULL,
    disabled INT NOT NULL,
    deleted_at INT,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);

CREATE TABLE projects (
    id ID,
    name TEXT NOT NULL UNIQUE,
    public INT NOT NULL,
    tier TEXT NOT NULL,
    policy_rev INT NOT NULL,
    owner_id INT,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);

CREATE TABLE members (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id INT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role INT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (project_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE robots (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_hash BYTES NOT NULL,
    rights TEXT NOT NULL,
    disabled INT NOT NULL,
    expires_at INT,
    created_by TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE project_keys (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    pem TEXT NOT NULL,
    compromised_at INT,
    added_by TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (project_id, name),
    UNIQUE (project_id, key_id)
);

CREATE TABLE repositories (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL UNIQUE,
    created_at INT NOT NULL
);
CREATE INDEX repositories_project ON repositories (project_id, name);

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size INT NOT NULL,
    generation INT NOT NULL,
    state TEXT NOT NULL,
    created_at INT NOT NULL
);

CREATE TABLE repository_blobs (
    repository_id INT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest TEXT NOT NULL REFERENCES blobs (digest),
    linked_at INT NOT NULL,
    PRIMARY KEY (repository_id, digest)
);
CREATE INDEX repository_blobs_digest ON repository_blobs (digest);

-- What the layers of an image hold together, once per ordered list of layers and inspector.
CREATE TABLE image_contents (
    id ID,
    chain TEXT NOT NULL,
    inspector TEXT NOT NULL,
    contents BYTES NOT NULL,
    complete INT NOT NULL,
    components INT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (chain, inspector)
);

CREATE TABLE manifests (
    id ID,
    repository_id INT NOT NULL REFERENCES repositories (id),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    kind TEXT NOT NULL,
    size INT NOT NULL,
    config_digest TEXT,
    config_media_type TEXT,
    subject_digest TEXT,
    annotations TEXT NOT NULL,
    chain TEXT,
    contents_id INT REFERENCES image_contents (id),
    state TEXT NOT NULL,
    facts_rev INT NOT NULL,
    pushed_by TEXT NOT NULL,
    pushed_at INT NOT NULL,
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifests_digest ON manifests (digest);
CREATE INDEX manifests_subject ON manifests (repository_id, subject_digest, digest);
CREATE INDEX manifests_contents ON manifests (contents_id);
CREATE INDEX manifests_chain ON manifests (chain);

-- Apart, so that lists do not read over megabytes of JSON.
CREATE TABLE manifest_payloads (
    manifest_id INT PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    payload BYTES NOT NULL
);

CREATE TABLE manifest_blobs (
    manifest_id INT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    position INT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INT NOT NULL,
    diff_id TEXT,
    PRIMARY KEY (manifest_id, role, position)
);
CREATE INDEX manifest_blobs_digest ON manifest_blobs (digest, manifest_id);

CREATE TABLE manifest_children (
    parent_id INT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    position INT NOT NULL,
    repository_id INT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INT NOT NULL,
    platform TEXT,
    PRIMARY KEY (parent_id, position)
);
CREATE INDEX manifest_children_digest ON manifest_children (repository_id, digest);

CREATE TABLE tags (
    id ID,
    repository_id INT NOT NULL REFERENCES repositories (id),
    name TEXT NOT NULL,
    manifest_id INT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    immutable INT NOT NULL,
    pushed_by TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL,
    UNIQUE (repository_id, name)
);
CREATE INDEX tags_manifest ON tags (manifest_id);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    repository_id INT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    principal TEXT NOT NULL,
    state TEXT NOT NULL,
    received INT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE INDEX uploads_updated ON uploads (updated_at);
CREATE INDEX uploads_repository ON uploads (repository_id);

-- What one layer holds, by bytes and inspector (decision D5).
CREATE TABLE layer_contents (
    digest TEXT NOT NULL,
    inspector TEXT NOT NULL,
    contents BYTES NOT NULL,
    complete INT NOT NULL,
    created_at INT NOT NULL,
    PRIMARY KEY (digest, inspector)
);

-- Distinct components. `identity` is a hash of all that tells two apart; `package` is
-- ecosystem and name of the advisory key, `purl_name` the purl without version and qualifiers.
CREATE TABLE components (
    id ID,
    identity TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    purl TEXT NOT NULL,
    purl_name TEXT NOT NULL,
    ecosystem TEXT,
    match_name TEXT,
    match_version TEXT,
    package TEXT,
    matched_with TEXT,
    matched_at INT
);
CREATE INDEX components_package ON components (package, id);
CREATE INDEX components_purl_name ON components (purl_name, id);

CREATE TABLE image_components (
    contents_id INT NOT NULL REFERENCES image_contents (id) ON DELETE CASCADE,
    position INT NOT NULL,
    component_id INT NOT NULL REFERENCES components (id),
    path TEXT NOT NULL,
    layer TEXT NOT NULL,
    PRIMARY KEY (contents_id, position)
);
CREATE INDEX image_components_component ON image_components (component_id, contents_id);

CREATE TABLE component_findings (
    id ID,
    component_id INT NOT NULL REFERENCES components (id) ON DELETE CASCADE,
    scanner TEXT NOT NULL,
    vulnerability TEXT NOT NULL,
    severity INT NOT NULL,
    fixed_version TEXT,
    kev_added INT,
    published INT,
    snapshot TEXT NOT NULL,
    finding TEXT NOT NULL,
    found_at INT NOT NULL,
    UNIQUE (component_id, scanner, vulnerability)
);

CREATE TABLE finding_ids (
    alias TEXT NOT NULL,
    finding_id INT NOT NULL REFERENCES component_findings (id) ON DELETE CASCADE,
    PRIMARY KEY (alias, finding_id)
);
CREATE INDEX finding_ids_finding ON finding_ids (finding_id);

-- Signatures and attestations as they were judged (decision D6): one repository's own.
CREATE TABLE evidence (
    id ID,
    repository_id INT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    subject_digest TEXT NOT NULL,
    accessory_digest TEXT NOT NULL,
    class TEXT NOT NULL,
    position INT NOT NULL,
    state TEXT NOT NULL,
    key_id TEXT,
    predicate_type TEXT,
    statement TEXT,
    fact TEXT NOT NULL,
    first_seen INT NOT NULL,
    UNIQUE (repository_id, subject_digest, accessory_digest, class, position)
);
CREATE INDEX evidence_accessory ON evidence (repository_id, accessory_digest);
CREATE INDEX evidence_key ON evidence (key_id);

CREATE TABLE waivers (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    vulnerability TEXT NOT NULL,
    component TEXT,
    repository TEXT,
    digest TEXT,
    reason TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requester_id INT NOT NULL,
    requested_at INT NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at INT,
    decision_reason TEXT,
    expires_at INT NOT NULL
);
CREATE INDEX waivers_project ON waivers (project_id, id);

CREATE TABLE quarantines (
    id ID,
    digest TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INT NOT NULL,
    lifted_by TEXT,
    lifted_at INT
);
CREATE UNIQUE INDEX quarantines_active ON quarantines (digest, target) WHERE lifted_at IS NULL;

-- Policy documents, every version kept; no document means that the scope's policy was removed.
CREATE TABLE policies (
    id ID,
    scope TEXT NOT NULL,
    target TEXT NOT NULL,
    version INT NOT NULL,
    document TEXT,
    author TEXT NOT NULL,
    created_at INT NOT NULL,
    UNIQUE (scope, target, version)
);

-- Canonical input documents of decisions, by digest: most decisions share one.
CREATE TABLE decision_inputs (
    digest TEXT PRIMARY KEY,
    document BYTES NOT NULL
);

CREATE TABLE decisions (
    id ID,
    door TEXT NOT NULL,
    project_id INT,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    action TEXT NOT NULL,
    verdict TEXT NOT NULL,
    input_digest TEXT NOT NULL REFERENCES decision_inputs (digest),
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    context TEXT NOT NULL,
    decided_at INT NOT NULL
);
CREATE INDEX decisions_digest ON decisions (digest, id);
CREATE INDEX decisions_project ON decisions (project_id, id);

CREATE TABLE promotions (
    id ID,
    digest TEXT NOT NULL,
    source_project_id INT NOT NULL,
    source_repository TEXT NOT NULL,
    target_project_id INT NOT NULL,
    target_repository TEXT NOT NULL,
    target_tag TEXT,
    decision_id INT NOT NULL REFERENCES decisions (id),
    summary_digest TEXT,
    left_behind TEXT NOT NULL,
    actor TEXT NOT NULL,
    promoted_at INT NOT NULL
);
CREATE INDEX promotions_digest ON promotions (digest, id);
CREATE INDEX promotions_target ON promotions (target_project_id, id);
CREATE INDEX promotions_source ON promotions (source_project_id, id);

-- A cache; every row can be rebuilt (law 4 of the gate).
CREATE TABLE verdicts (
    manifest_id INT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    door TEXT NOT NULL,
    context TEXT NOT NULL,
    facts_rev INT NOT NULL,
    policy_rev INT NOT NULL,
    system_rev INT NOT NULL,
    valid_until INT,
    verdict TEXT NOT NULL,
    input_digest TEXT NOT NULL,
    PRIMARY KEY (manifest_id, door, context)
);

-- `sequence`, `previous_hash` and `hash` are filled by the sequencer (decision D16).
CREATE TABLE audit_events (
    id ID,
    sequence INT UNIQUE,
    previous_hash BYTES,
    hash BYTES,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    request_id TEXT NOT NULL,
    project_id INT,
    project TEXT,
    repository TEXT,
    digest TEXT,
    tag TEXT,
    detail TEXT NOT NULL,
    happened_at INT NOT NULL
);
CREATE INDEX audit_events_digest ON audit_events (digest, id);
CREATE INDEX audit_events_project ON audit_events (project_id, id);
CREATE INDEX audit_events_actor ON audit_events (actor, id);
CREATE INDEX audit_events_action ON audit_events (action, id);

CREATE TABLE clusters (
    id ID,
    name TEXT NOT NULL UNIQUE,
    token_hash BYTES NOT NULL UNIQUE,
    hosts TEXT NOT NULL,
    namespaces TEXT NOT NULL,
    unlisted_images TEXT NOT NULL,
    disabled INT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);

CREATE TABLE product_keys (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    sealed BYTES NOT NULL,
    public_pem TEXT,
    created_at INT NOT NULL,
    retired_at INT
);
CREATE INDEX product_keys_purpose ON product_keys (purpose, created_at);

CREATE TABLE jobs (
    id ID,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INT NOT NULL,
    run_after INT NOT NULL,
    lease INT NOT NULL,
    leased_until INT,
    last_error TEXT,
    created_at INT NOT NULL
);
CREATE UNIQUE INDEX jobs_queued ON jobs (kind, key) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs (state, run_after, id);
CREATE INDEX jobs_key ON jobs (kind, key);
