//! The durable queue: claims, retries, executions.
