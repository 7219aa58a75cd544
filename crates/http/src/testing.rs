//! A whole registry on SQLite behind a real socket, for tests of the faces.
#![expect(clippy::expect_used, reason = "a test's own errors end the test")]

use crate::{Front, Gatekeeper, ListenerLimits, around, serve};
use axum::Router;
use sealock_advisories::SnapshotStore;
use sealock_auth::{
    Authenticator, Caller, FIRST_ADMIN, Right, Role, SecretString, SystemRandomness, TokenKey,
    Tokens,
};
use sealock_blobs::{BlobStore, testing::FaultyDisk};
use sealock_metadata::{testing::TestDatabase, users::NewUser};
use sealock_registry::{Config, NewProject, NewRobot, Registry};
use sealock_signing::MasterKey;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The password of every user of a test.
pub const PASSWORD: &str = "Correct-horse-7-battery";

/// A registry of one test.
pub struct Stand {
    /// The registry.
    pub registry: Registry,
    /// Its accounts.
    pub authenticator: Authenticator,
    /// The disk of its blobs, which fails on demand.
    pub disk: FaultyDisk,
    /// The first administrator.
    pub admin: Caller,
    /// Its database, with the clock.
    pub database: TestDatabase,
    _folder: TempDir,
}

impl Stand {
    /// An empty registry on SQLite with an administrator.
    pub async fn new() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    /// An empty registry on this database with an administrator.
    pub async fn on(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = FaultyDisk::new();
        let blobs = BlobStore::open(&folder.path().join("blobs"), Arc::new(disk.clone()));
        let registry = Registry::open(Config {
            database: database.db.clone(),
            blobs: blobs.expect("a blob store"),
            snapshots: SnapshotStore::open(&folder.path().join("advisories")).expect("a store"),
            master_key: MasterKey::generate().expect("a master key"),
            external_url: "http://registry.test".to_owned(),
            inspectors: None,
            inspect_while_receiving: true,
            door_wait: Duration::from_secs(5),
        })
        .await
        .expect("a registry");
        let random = Arc::new(SystemRandomness);
        let key = TokenKey::generate().expect("a token key");
        let tokens = Tokens::new("sealock", &key, &[], database.clock.clone(), random.clone());
        let authenticator =
            Authenticator::new(database.db.clone(), tokens, random).expect("an authenticator");
        let given = Some(SecretString::new(PASSWORD));
        authenticator.bootstrap(given).await.expect("an administrator");
        let login = authenticator
            .login([127, 0, 0, 1].into(), FIRST_ADMIN, &PASSWORD.into())
            .await
            .expect("logs in");
        let admin = Caller {
            principal: login.principal,
            address: IpAddr::from([127, 0, 0, 1]),
            user_agent: "test".to_owned(),
            request_id: "test".to_owned(),
            scope: None,
        };
        Self { registry, authenticator, disk, admin, database, _folder: folder }
    }

    /// What the faces ask who is calling. 10.0.0.1 is a proxy that is believed.
    pub fn gatekeeper(&self) -> Gatekeeper {
        let trusted_proxies = vec![IpAddr::from([10, 0, 0, 1])];
        let front = Arc::new(Front { external_url: None, trusted_proxies });
        Gatekeeper::new(front, self.authenticator.clone(), self.registry.clone())
    }

    /// Serves a face on a socket of its own and returns its URL. It ends with the test.
    pub async fn serve(&self, face: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let app = around(face, Arc::new(Front::default()));
        let limits = ListenerLimits::default();
        tokio::spawn(serve(listener, None, app, limits, std::future::pending()));
        format!("http://{address}")
    }

    /// Makes a user with [`PASSWORD`].
    pub async fn user(&self, name: &str) {
        let new = NewUser { name, ..NewUser::default() };
        let made = self.authenticator.create_user(&new, &PASSWORD.into()).await;
        made.expect("a user").expect("a new name");
    }

    /// Makes a security officer with [`PASSWORD`].
    pub async fn officer(&self, name: &str) {
        let new = NewUser { name, security_officer: true, ..NewUser::default() };
        let made = self.authenticator.create_user(&new, &PASSWORD.into()).await;
        made.expect("a user").expect("a new name");
    }

    /// Makes a project in the tier sandbox.
    pub async fn project(&self, name: &str, public: bool) {
        let new = NewProject { name: name.to_owned(), public, tier: sealock_facts::Tier::Sandbox };
        self.registry.create_project(&self.admin, &new).await.expect("a project");
    }

    /// Makes a user a member of a project.
    pub async fn member(&self, project: &str, user: &str, role: Role) {
        let put = self.registry.put_member(&self.admin, project, user, role, None).await;
        put.expect("a member");
    }

    /// Makes a robot and returns its login name and secret.
    pub async fn robot(&self, project: &str, name: &str, rights: &[Right]) -> (String, String) {
        let new =
            NewRobot { name: name.to_owned(), rights: rights.to_vec(), ..NewRobot::default() };
        let made = self.registry.create_robot(&self.admin, project, &new).await;
        let (robot, secret) = made.expect("a robot");
        (robot.name, secret.expose().to_owned())
    }
}
