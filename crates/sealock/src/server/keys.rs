//! Where the master key comes from (decision D17).

use super::home::Home;
use anyhow::{Context, Result};
use sealock_signing::MasterKey;
use std::path::Path;

const FILE: &str = "keys/master.key";
const VARIABLE: &str = "SEALOCK_MASTER_KEY";

/// From the file named by the operator, else the environment, else the data directory, where the
/// first start makes one.
pub(crate) fn master_key(home: &Home, file: Option<&Path>) -> Result<MasterKey> {
    if let Some(key) = given(home, file)? {
        return Ok(key);
    }
    let key = MasterKey::generate()?;
    home.write_secret(FILE, key.to_text().as_bytes())?;
    Ok(key)
}

/// As [`master_key`], and an error where a first start would make one.
pub(crate) fn existing_master_key(home: &Home, file: Option<&Path>) -> Result<MasterKey> {
    given(home, file)?.with_context(|| {
        format!("there is no master key: neither {VARIABLE} nor {}", home.join(FILE).display())
    })
}

fn given(home: &Home, file: Option<&Path>) -> Result<Option<MasterKey>> {
    if let Some(path) = file {
        let text = crate::files::read_text(path)?;
        let key = MasterKey::from_text(&text).with_context(|| path.display().to_string())?;
        return Ok(Some(key));
    }
    if let Ok(text) = std::env::var(VARIABLE) {
        return MasterKey::from_text(&text).context(VARIABLE).map(Some);
    }
    let Some(bytes) = home.read_optional(FILE)? else { return Ok(None) };
    let text = String::from_utf8(bytes).context(FILE)?;
    let key = MasterKey::from_text(&text).with_context(|| {
        format!("{} is damaged; restore it from a backup", home.join(FILE).display())
    })?;
    Ok(Some(key))
}
