use crate::{PolicyDocument, PolicyError, document::Rule};

/// Largest policy document, in bytes.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;

/// Reads a policy document, YAML or JSON.
pub fn parse(text: &str) -> Result<PolicyDocument, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(PolicyError::input(format!(
            "the policy has {} bytes; at most {MAX_POLICY_BYTES} are read",
            text.len()
        )));
    }
    let document: PolicyDocument = serde_saphyr::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        PolicyError { line, column, path: String::new(), message: error.to_string() }
    })?;
    Ok(document)
}

impl PolicyDocument {
    /// A rule by its name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}
