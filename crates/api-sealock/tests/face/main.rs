//! The face as a client sees it: requests and answers, over a real registry on either engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

/// Makes each of these functions, `async fn name(server: &Server)`, a test on SQLite and one on
/// PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::server::Server;
            use sealock_metadata::testing::TestDatabase;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let server = Server::on(TestDatabase::sqlite().await).await;
                super::$name(&server).await;
                server.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(database) = TestDatabase::postgres().await else { return };
                let server = Server::on(database).await;
                super::$name(&server).await;
                server.finish().await;
            }
        }
    )+};
}

mod artifacts;
mod clusters;
mod document;
mod exceptions;
mod logins;
mod people;
mod policies;
mod projects;
mod promotions;
mod scope;
mod server;
