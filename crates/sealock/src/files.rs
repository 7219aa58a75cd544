//! Files named on the command line.

use anyhow::{Context, Result, bail};
use std::{io::Read, path::Path};

/// Largest file that a command reads whole, in bytes: keys, policies, certificates.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a small file whole.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        bail!("{} has more than {MAX_FILE_BYTES} bytes", path.display());
    }
    Ok(bytes)
}

/// Reads a small text file, or standard input for `-`.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            bail!("standard input has more than {MAX_FILE_BYTES} bytes");
        }
        return Ok(text);
    }
    String::from_utf8(read(path)?).with_context(|| format!("{} is not UTF-8", path.display()))
}
