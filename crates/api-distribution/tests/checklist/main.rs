//! Each line of the distribution specification's checklist, by one who has a token for what they
//! may do and is no administrator: `docs/reference/specification.md` says which line is held where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod chunks;
mod deletes;
mod manifests;
mod member;
mod pulls;
mod referrers;
mod tags;
mod uploads;

/// Makes each of these functions, `async fn name(member: Member)`, a test on SQLite and one on
/// PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::member::Member;
            use sealock_metadata::testing::TestDatabase;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Member::on(TestDatabase::sqlite().await).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(database) = TestDatabase::postgres().await else { return };
                super::$name(Member::on(database).await).await;
            }
        }
    )+};
}
pub(crate) use on_both_engines;
