//! What a check of the whole database reads and mends, one entity a file.
//!
//! The check looks at every project's rows, so nothing here asks who is asking: only the operator's
//! command calls it, on a database that no server uses. Lists are keyset-paged. Columns that damage
//! may have made unreadable come as text and numbers, so that one bad row does not end the check.

pub mod blobs;
pub mod contents;
pub mod integrity;
pub mod manifests;
pub mod quotas;
pub mod records;
pub mod references;
pub mod tags;
pub mod uploads;
