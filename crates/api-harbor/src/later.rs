//! The operations of Harbor's API that this version does not have. Each answers, to whoever is
//! logged in, that it is not available; none is passed over in silence.

use crate::face::{Face, Known};
use axum::{
    Router,
    routing::{MethodFilter, on},
};
use http::StatusCode;
use sealock_http::HttpError;

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const PATCH: MethodFilter = MethodFilter::PATCH;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// A path and its methods.
type Place = (&'static str, &'static [MethodFilter]);

/// By tag: its places.
const LATER: &[(&str, &[Place])] = &[
    (
        "gc",
        &[
            ("/system/gc", &[GET]),
            ("/system/gc/{gc_id}", &[GET, PUT]),
            ("/system/gc/{gc_id}/log", &[GET]),
            ("/system/gc/schedule", &[GET, POST, PUT]),
        ],
    ),
    (
        "jobservice",
        &[
            ("/jobservice/pools", &[GET]),
            ("/jobservice/pools/{pool_id}/workers", &[GET]),
            ("/jobservice/jobs/{job_id}", &[PUT]),
            ("/jobservice/jobs/{job_id}/log", &[GET]),
            ("/jobservice/queues", &[GET]),
            ("/jobservice/queues/{job_type}", &[PUT]),
        ],
    ),
    (
        "Ldap",
        &[
            ("/ldap/ping", &[POST]),
            ("/ldap/users/search", &[GET]),
            ("/ldap/users/import", &[POST]),
            ("/ldap/groups/search", &[GET]),
        ],
    ),
    ("oidc", &[("/system/oidc/ping", &[POST])]),
    (
        "preheat",
        &[
            ("/p2p/preheat/providers", &[GET]),
            ("/p2p/preheat/instances/ping", &[POST]),
            ("/p2p/preheat/instances", &[GET, POST]),
            ("/p2p/preheat/instances/{preheat_instance_name}", &[GET, DELETE, PUT]),
            ("/projects/{project_name}/preheat/policies", &[POST, GET]),
            (
                "/projects/{project_name}/preheat/policies/{preheat_policy_name}",
                &[GET, PUT, POST, DELETE],
            ),
            ("/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions", &[GET]),
            (
                "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}",
                &[GET, PATCH],
            ),
            (
                "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}/tasks",
                &[GET],
            ),
            (
                "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}/tasks/{task_id}/logs",
                &[GET],
            ),
            ("/projects/{project_name}/preheat/providers", &[GET]),
        ],
    ),
    (
        "project",
        &[
            ("/projects/{project_name_or_id}/scanner", &[GET, PUT]),
            ("/projects/{project_name_or_id}/scanner/candidates", &[GET]),
        ],
    ),
    (
        "purge",
        &[
            ("/system/purgeaudit", &[GET]),
            ("/system/purgeaudit/{purge_id}", &[GET, PUT]),
            ("/system/purgeaudit/{purge_id}/log", &[GET]),
            ("/system/purgeaudit/schedule", &[GET, POST, PUT]),
        ],
    ),
    (
        "registry",
        &[
            ("/replication/adapters", &[GET]),
            ("/replication/adapterinfos", &[GET]),
            ("/registries", &[POST, GET]),
            ("/registries/ping", &[POST]),
            ("/registries/{id}", &[GET, DELETE, PUT]),
            ("/registries/{id}/info", &[GET]),
        ],
    ),
    (
        "replication",
        &[
            ("/replication/policies", &[GET, POST]),
            ("/replication/policies/{id}", &[GET, DELETE, PUT]),
            ("/replication/executions", &[GET, POST]),
            ("/replication/executions/{id}", &[GET, PUT]),
            ("/replication/executions/{id}/tasks", &[GET]),
            ("/replication/executions/{id}/tasks/{task_id}/log", &[GET]),
        ],
    ),
    (
        "Retention",
        &[
            ("/retentions/metadatas", &[GET]),
            ("/retentions", &[POST]),
            ("/retentions/{id}", &[GET, PUT, DELETE]),
            ("/retentions/{id}/executions", &[POST, GET]),
            ("/retentions/{id}/executions/{eid}", &[PATCH]),
            ("/retentions/{id}/executions/{eid}/tasks", &[GET]),
            ("/retentions/{id}/executions/{eid}/tasks/{tid}", &[GET]),
        ],
    ),
    (
        "scan",
        &[
            (
                "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan",
                &[POST],
            ),
            (
                "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan/stop",
                &[POST],
            ),
            (
                "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan/{report_id}/log",
                &[GET],
            ),
        ],
    ),
    (
        "scan data export",
        &[
            ("/export/cve", &[POST]),
            ("/export/cve/execution/{execution_id}", &[GET]),
            ("/export/cve/executions", &[GET]),
            ("/export/cve/download/{execution_id}", &[GET]),
        ],
    ),
    (
        "scanAll",
        &[
            ("/scans/all/metrics", &[GET]),
            ("/scans/schedule/metrics", &[GET]),
            ("/system/scanAll/schedule", &[GET, PUT, POST]),
            ("/system/scanAll/stop", &[POST]),
        ],
    ),
    (
        "scanner",
        &[
            ("/scanners", &[GET, POST]),
            ("/scanners/ping", &[POST]),
            ("/scanners/{registration_id}", &[GET, PUT, DELETE, PATCH]),
            ("/scanners/{registration_id}/metadata", &[GET]),
        ],
    ),
    ("schedule", &[("/schedules", &[GET]), ("/schedules/{job_type}/paused", &[GET])]),
    ("securityhub", &[("/security/summary", &[GET]), ("/security/vul", &[GET])]),
    (
        "webhook",
        &[
            ("/projects/{project_name_or_id}/webhook/policies", &[GET, POST]),
            (
                "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}",
                &[GET, PUT, DELETE],
            ),
            (
                "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions",
                &[GET],
            ),
            (
                "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/{execution_id}/tasks",
                &[GET],
            ),
            (
                "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/{execution_id}/tasks/{task_id}/log",
                &[GET],
            ),
            ("/projects/{project_name_or_id}/webhook/lasttrigger", &[GET]),
            ("/projects/{project_name_or_id}/webhook/events", &[GET]),
        ],
    ),
    ("webhookjob", &[("/projects/{project_name_or_id}/webhook/jobs", &[GET])]),
];

/// Their routes.
pub(crate) fn router() -> Router<Face> {
    let mut router = Router::new();
    for (tag, paths) in LATER {
        for (path, methods) in *paths {
            for method in *methods {
                let answer = move |_: Known| async move { not_available(tag) };
                router = router.route(path, on(*method, answer));
            }
        }
    }
    router
}

fn not_available(tag: &str) -> HttpError {
    HttpError::with_code(
        StatusCode::NOT_IMPLEMENTED,
        "NOT_IMPLEMENTED",
        format!("this operation ({tag}) is not available in this version"),
    )
}
