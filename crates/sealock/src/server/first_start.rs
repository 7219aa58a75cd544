//! What the first start makes, and what a person has to read then.

use anyhow::{Context, Result};
use sealock_auth::{Authenticator, FIRST_ADMIN, SecretString};
use sealock_facts::Tier;
use sealock_metadata::{self as metadata, Database};

const PASSWORD_VARIABLE: &str = "SEALOCK_ADMIN_PASSWORD";
/// The public project that every Harbor user expects.
const LIBRARY: &str = "library";

/// What to tell the person who started the server.
pub(crate) enum Welcome {
    /// The password was generated: it is shown now and never again.
    Generated(SecretString),
    /// The password came from the environment.
    Chosen,
    /// Not the first start.
    Back,
}

/// Makes the project `library` and the administrator where there are no users yet.
///
/// The project comes first: a start that is cut off between the two is a first start again.
pub(crate) async fn prepare(database: &Database, accounts: &Authenticator) -> Result<Welcome> {
    let mut tx = database.read().await?;
    let known = metadata::users::any(&mut tx).await?;
    drop(tx);
    if known {
        return Ok(Welcome::Back);
    }
    let mut tx = database.write().await?;
    metadata::projects::create(&mut tx, LIBRARY, true, Tier::Sandbox, None).await?;
    tx.commit().await?;
    let chosen = std::env::var(PASSWORD_VARIABLE).ok().map(SecretString::new);
    let given = chosen.is_some();
    let generated = accounts
        .bootstrap(chosen)
        .await
        .with_context(|| format!("{PASSWORD_VARIABLE} cannot be the administrator's password"))?;
    Ok(match generated {
        Some(password) => Welcome::Generated(password),
        None if given => Welcome::Chosen,
        None => Welcome::Back,
    })
}

/// The lines that say how to log in, push and look.
pub(crate) fn greet(welcome: &Welcome, url: &str) -> Result<()> {
    crate::output::print(&lines(welcome, url)).context("telling how to log in")
}

fn lines(welcome: &Welcome, url: &str) -> String {
    let (scheme, host) = url.split_once("://").unwrap_or(("http", url));
    let secret = match welcome {
        Welcome::Generated(password) => {
            format!("   # password {} (shown only now)", password.expose())
        }
        Welcome::Chosen => format!("   # the password is in {PASSWORD_VARIABLE}"),
        Welcome::Back => String::new(),
    };
    // Docker's client takes a server on the machine itself without TLS; skopeo must be told.
    let (login, push) = match scheme {
        "https" => ("", ""),
        _ => ("--tls-verify=false ", "--dest-tls-verify=false "),
    };
    format!(
        "Log in:  skopeo login {login}-u {FIRST_ADMIN} {host}{secret}\n\
         Push:    skopeo copy {push}docker-archive:app.tar docker://{host}/{LIBRARY}/app:1.0\n\
         Look:    sealock --url {url} show {LIBRARY}/app:1.0\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_lines_say_how_to_go_on() {
        let said = lines(&Welcome::Generated("s3cret".into()), "http://127.0.0.1:5000");
        assert_eq!(said.lines().count(), 3);
        assert!(
            said.contains("login --tls-verify=false -u admin 127.0.0.1:5000   # password s3cret")
        );
        let said = lines(&Welcome::Back, "https://registry.example.com");
        assert!(!said.contains("tls-verify") && !said.contains('#'), "{said}");
    }
}
