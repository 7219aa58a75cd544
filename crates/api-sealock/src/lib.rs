//! The face `/api/sealock/v1`: what Harbor has no words for.
//!
//! Conventions. JSON in and out. A list answers `{"items": [...], "next": "<cursor>" | null}` and
//! takes `after=<cursor>` and `limit=` (1 to 1,000, 100 when absent). Errors are the envelope that
//! every face uses, `{"errors": [{"code", "message", "detail"?}]}`. What does not exist and what
//! the caller may not see are the same 404. An image is named by the query value
//! `image=project/repository[:tag][@digest]`, because repository names hold slashes; without tag
//! and digest it means `:latest`.
//!
//! | method and path | body or query | answer |
//! | --- | --- | --- |
//! | GET `/me` | | `{name, kind: user\|robot\|anonymous, admin, security_officer}` |
//! | GET, POST `/users` | `{name, password, email?, real_name?, admin?, security_officer?}` | list; 201 user |
//! | PATCH, DELETE `/users/{name}` | `{password?, admin?, security_officer?, disabled?}` | 200 user; 204 |
//! | PUT `/users/{name}/name` | `{name}` | user with `named_by: [...]` |
//! | GET, DELETE `/sessions` | `user=`? | list of `{id, address, user_agent, created_at, used_at}`; `{ended}` |
//! | DELETE `/sessions/{id}` | | 204 |
//! | GET, POST, DELETE `/tokens` | `{name, scopes: [read,push,delete,promote], projects?, expires_in_days?}`; `user=`? | list; 201 with `secret`, shown once; `{ended}` |
//! | DELETE `/tokens/{id}` | | 204 |
//! | GET, POST `/projects` | `{name, public?, tier?}` | list; 201 `{id, name, public, tier, created_at}` |
//! | PUT `/projects/{project}/name` | `{name}` | project |
//! | POST `/repositories/rename` | `{from, to}` | 204 |
//! | GET, PATCH `/projects/{project}` | `{public?, tier?}` | project |
//! | GET, POST `/projects/{project}/keys` | `{name, pem}` | list; 201 `{name, id, algorithm, added_at, compromised_at}` |
//! | POST `/projects/{project}/keys/{name}/compromise` | `{at?}` | key |
//! | DELETE `/projects/{project}/keys/{name}` | | 204 |
//! | GET, POST `/projects/{project}/members` | `{user, role, repositories?}` | list; 201 `{user, role, repositories}` |
//! | DELETE `/projects/{project}/members/{user}` | | 204 |
//! | GET, POST `/projects/{project}/robots` | `{name, rights: [pull,push,attest,promote], repositories?, expires_in_days?}` | list; 201 `{name, secret, rights, expires_at}` |
//! | DELETE `/projects/{project}/robots/{name}` | | 204 |
//! | POST `/projects/{project}/robots/{name}/secret` | | `{name, secret, rights, expires_at}`, a new secret |
//! | GET `/projects/{project}/examiners`; PUT, DELETE `/projects/{project}/examiners/{name}` | | list of `{name, granted_by, granted_at}`; 204 |
//! | GET `/projects/{project}/repositories` | | list of `{name, artifacts, tags}` |
//! | GET, PUT, DELETE `/projects/{project}/policy` | YAML or JSON text | `{scope, name, revision, digest, text}` |
//! | GET, PUT `/tiers/{tier}/policy`, `/policy/floor` | YAML or JSON text | the same |
//! | GET `/projects/{project}/policy/history`, `/tiers/{tier}/policy/history`, `/policy/floor/history` | | list of the same, newest first |
//! | POST `/policies/validate` | YAML or JSON text | `{valid: true}` or 422 with line and column |
//! | GET `/policies/schema` | | JSON schema |
//! | GET `/artifacts` | `repository=` | list of `{digest, kind, media_type, size, tags, pushed_at, pushed_by, state, facts}` |
//! | GET `/artifact` | `image=` | one of them, with contents summary, findings counts, signatures, attestations |
//! | GET `/artifact/findings` | `image=`, `severity=`, `fixable=` | list of findings with path and layer |
//! | GET `/artifact/sbom` | `image=` | CycloneDX 1.6 |
//! | GET `/artifact/verdicts` | `image=`, `door=`? | list of `{door, action, reasons, valid_until}` |
//! | GET `/artifact/evidence` | `image=` | the evidence document |
//! | POST `/promotions` | `{image, to: "project[/repository][:tag]"}` | 201 `{digest, image, decision, vsa, linked, left_behind}` or 412 |
//! | GET `/promotions` | `project=`? | list |
//! | GET `/allowlist`, `/projects/{project}/allowlist` | | what it excuses, and who granted it |
//! | POST `/allowlist/grant`, `/projects/{project}/allowlist/grant` | | the same |
//! | GET, POST `/projects/{project}/waivers` | `{vulnerability, component?, repository?, digest?, reason, expires_at}` | list; 201 waiver |
//! | POST `/projects/{project}/waivers/{id}/grant`, `/projects/{project}/waivers/{id}/refuse`, `/projects/{project}/waivers/{id}/revoke` | `{reason?}` | waiver |
//! | GET `/quarantines`; PUT, DELETE `/quarantines/{digest}` | `{target: manifest\|blob, reason}` | list; quarantine; 204 |
//! | POST `/eradications` | `{digest, reason}` | `{digest, deleted: [...], pulled: [...], admitted: [...]}` |
//! | GET `/decisions` | `digest=`, `door=`, `project=` | list of `{id, door, repository, digest, action, actor, address, at, repeats, last_at, input_digest}` |
//! | GET `/decisions/{id}`, `/decisions/{id}/document` | | with verdict; the canonical input |
//! | POST `/decisions/{id}/replay` | | `{same: bool, recorded: verdict, replayed: verdict}` |
//! | GET `/affected` | `vulnerability=` or `purl=` with `range=`? | list of `{repository, digest, tags, tier, vulnerability, component, version, path, layer, severity, fix, kev}` |
//! | GET `/advisories` | | snapshot, coverage and data date per ecosystem, sources |
//! | POST `/advisories/import` | file as body; `source=`, `format=` (zip, json, jsonl, json.zst, jsonl.zst), `mode=` replace or add, `coverage=` full or partial, `force=` true | import report |
//! | POST `/advisories/update` | `{url, ecosystems: [...], force?}` | import report |
//! | GET, POST `/clusters` | `{name, host_names: [...], namespaces: {...}, other_images: [...], client_certificate?}` | list; 201 with `token`, shown once |
//! | GET, PATCH, DELETE `/clusters/{name}` | `{host_names?, namespaces?, other_images?, disabled?, client_certificate?}` | cluster; 204 |
//! | POST `/clusters/{name}/token` | | 201 `{name, token}`, shown once |
//! | GET, PUT, DELETE `/clusters/{name}/namespaces/{namespace}/policy` | YAML or JSON text | `{scope, name, revision, digest, text}`; 204 |
//! | GET `/clusters/{name}/namespaces/{namespace}/policy/history` | | list of the same, newest first |
//! | GET `/clusters/{name}/webhooks` | `url=`, `token=`? | webhook configuration with CA bundle |
//! | GET, POST `/collections` | `{dry_run?, ignore_leases?}` | list; 201 `{id, state, actor, dry_run, ignore_leases, report, error, started_at, finished_at}` |
//! | GET `/collections/{id}` | | one of them, with its report so far |
//! | GET `/audit` | `project=`, `digest=`, `action=`, `actor=`, `since=`, `until=` | list of events |
//! | GET `/evidence-key` | | PEM of the public keys that verify this server's summaries (VSA), newest first; no login needed |
//! | GET `/openapi.json` | | OpenAPI 3.1 of this face |
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod advisories;
mod artifacts;
mod clusters;
mod collections;
mod document;
mod examiners;
mod exceptions;
mod face;
mod people;
mod policies;
mod projects;
mod records;
mod releases;
mod routes;
mod schema;
mod sessions;
mod tokens;

pub use advisories::MAX_ADVISORY_UPLOAD_BYTES;
pub use face::Face;
pub use routes::{BASE, openapi, router};
