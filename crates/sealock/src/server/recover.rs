//! What the operator of the machine does when nobody can log in any more.

use super::home::Home;
use crate::commands::user::ResetPassword;
use anyhow::{Context, Result};
use sealock_auth::{Authenticator, SecretString, SystemRandomness, TokenKey, Tokens};
use sealock_metadata::{Clock, Database, DatabaseConfig, SystemClock};
use sealock_registry::Registry;
use std::sync::Arc;

/// Gives a user the password, or a new one; it is returned.
///
/// The data directory is locked meanwhile: two programs, perhaps of two versions, do not share an
/// embedded database. With PostgreSQL nothing of the directory is needed.
pub(crate) async fn reset_password(
    args: &ResetPassword,
    chosen: Option<String>,
) -> Result<SecretString> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (config, home) = match &args.database_url {
        Some(url) => (DatabaseConfig::postgres(url), None),
        None => {
            let folder = &args.data_dir;
            std::fs::metadata(folder.join("sealock.db")).with_context(|| {
                format!("{} is no data directory; name it with --data-dir", folder.display())
            })?;
            let home = Home::open(folder)?;
            let path = home.join("sealock.db");
            (DatabaseConfig::Sqlite { path, must_exist: true }, Some(home))
        }
    };
    let database = Database::open(config, clock.clone()).await?;
    let random = Arc::new(SystemRandomness);
    // No token is made or read here: the key may be any.
    let tokens = Tokens::new("sealock", &TokenKey::generate()?, &[], clock, random.clone());
    let accounts = Authenticator::new(database.clone(), tokens, random)?;
    let password = match chosen {
        Some(chosen) => SecretString::new(chosen),
        None => accounts.random_secret::<18>()?,
    };
    Registry::recover_user(&database, &accounts, &args.name, &password).await?;
    database.close().await;
    drop(home);
    Ok(password)
}
