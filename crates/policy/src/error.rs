use serde::Serialize;

/// Why a document cannot be used, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", self.text())]
pub struct PolicyError {
    /// Line, from 1; 0 when the whole document is meant.
    pub line: u64,
    /// Column, from 1; 0 when unknown.
    pub column: u64,
    /// The value's path, such as `rules[2].findings.severity`; empty for the whole document.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl PolicyError {
    pub(crate) fn input(message: String) -> Self {
        Self { line: 0, column: 0, path: String::new(), message }
    }

    pub(crate) fn from_json(error: serde_json::Error) -> Self {
        Self {
            line: error.line() as u64,
            column: error.column() as u64,
            path: String::new(),
            message: error.to_string(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.line > 0 {
            text.push_str(&format!("line {}, column {}: ", self.line, self.column));
        }
        if !self.path.is_empty() {
            text.push_str(&format!("{}: ", self.path));
        }
        text.push_str(&self.message);
        text
    }
}
