//! What the first start makes, and what a person has to read then.

use anyhow::{Context, Result, bail};
use rand::{RngExt, distr::Alphanumeric};
use sealock_facts::Tier;
use sealock_metadata::{self as metadata, Database};

/// The first administrator.
pub(crate) const ADMIN: &str = "admin";
const PASSWORD_VARIABLE: &str = "SEALOCK_ADMIN_PASSWORD";
/// Length of a generated password: 24 letters and digits hold 142 bits.
const PASSWORD_CHARACTERS: usize = 24;
/// The public project that every Harbor user expects.
const LIBRARY: &str = "library";

/// What to tell the person who started the server.
pub(crate) enum Welcome {
    /// The password was generated: it is shown now and never again.
    Generated(String),
    /// The password came from the environment.
    Chosen,
    /// Not the first start.
    Back,
}

/// Makes the administrator and the project `library` where there are no users yet.
pub(crate) async fn prepare(database: &Database) -> Result<Welcome> {
    let mut tx = database.read().await?;
    if metadata::users::any(&mut tx).await? {
        return Ok(Welcome::Back);
    }
    drop(tx);
    let chosen = std::env::var(PASSWORD_VARIABLE).ok();
    let password = match &chosen {
        Some(password) => password.clone(),
        None => rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARACTERS).map(char::from).collect(),
    };
    let hash = hash(&password).await?;
    let mut tx = database.write().await?;
    // Two replicas may start on one empty database; the first that commits has made the administrator.
    let admin = metadata::users::create(
        &mut tx,
        &metadata::users::NewUser {
            name: ADMIN,
            email: None,
            real_name: "Administrator",
            password_hash: Some(&hash),
            sysadmin: true,
            security_officer: true,
        },
    )
    .await?;
    let Some(admin) = admin else { return Ok(Welcome::Back) };
    metadata::projects::create(&mut tx, LIBRARY, true, Tier::Sandbox, Some(admin.id)).await?;
    tx.commit().await?;
    Ok(if chosen.is_some() { Welcome::Chosen } else { Welcome::Generated(password) })
}

async fn hash(password: &str) -> Result<String> {
    if password.is_empty() {
        bail!("{PASSWORD_VARIABLE} is empty; unset it to have a password generated");
    }
    let password = sealock_auth::SecretString::from(password.to_owned());
    sealock_auth::hash_password(&password)
        .await
        .with_context(|| format!("{PASSWORD_VARIABLE} cannot be used as a password"))
}

/// The lines that say how to log in, push and look.
#[expect(clippy::print_stdout, reason = "the password is for the person, not for the log")]
pub(crate) fn greet(welcome: &Welcome, url: &str) {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let secret = match welcome {
        Welcome::Generated(password) => format!(" with the password {password} (shown only now)"),
        Welcome::Chosen => format!(" with the password in {PASSWORD_VARIABLE}"),
        Welcome::Back => String::new(),
    };
    println!("Log in:  docker login {host} -u {ADMIN}{secret}");
    println!("Push:    skopeo copy docker-archive:app.tar docker://{host}/{LIBRARY}/app:1.0");
    println!("Look:    sealock --url {url} show {LIBRARY}/app:1.0");
}
