//! Kubernetes admission webhooks.
