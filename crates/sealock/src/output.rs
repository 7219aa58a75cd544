//! Printing: tables for people, JSON for programs.

#![expect(clippy::print_stdout, reason = "this is where results are printed")]

use anyhow::Result;
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for a person.
    Table,
    /// JSON, one document.
    Json,
}

/// A column: its heading and the JSON pointer to its value.
pub(crate) type Column = (&'static str, &'static str);

/// Prints a list.
pub(crate) fn list(format: Format, items: &[Value], columns: &[Column]) -> Result<()> {
    if format == Format::Json {
        return json(&Value::Array(items.to_vec()));
    }
    if items.is_empty() {
        println!("Nothing found.");
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(columns.iter().map(|(heading, _)| heading.to_uppercase()));
    for item in items {
        table.add_row(columns.iter().map(|(_, pointer)| cell(item.pointer(pointer))));
    }
    println!("{}", table.trim_fmt());
    Ok(())
}

/// Prints one object: `name: value` lines for a person.
pub(crate) fn object(format: Format, item: &Value, fields: &[Column]) -> Result<()> {
    if format == Format::Json {
        return json(item);
    }
    let width = fields.iter().map(|(heading, _)| heading.len()).max().unwrap_or(0) + 1;
    for (heading, pointer) in fields {
        let text = cell(item.pointer(pointer));
        if !text.is_empty() {
            println!("{:width$} {}", format!("{heading}:"), safe(&text));
        }
    }
    Ok(())
}

/// Prints a JSON document as it is.
pub(crate) fn json(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a line for a person; nothing in JSON mode.
pub(crate) fn line(format: Format, text: &str) {
    if format == Format::Table {
        println!("{}", safe(text));
    }
}

/// Prints text as it is (a policy, a manifest, a script).
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        writeln!(out)?;
    }
    Ok(())
}

/// Whether progress may be drawn.
pub(crate) fn interactive(quiet: bool) -> bool {
    !quiet && std::io::stderr().is_terminal()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Object(map)) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", cell(Some(value))))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    }
}

/// Names and messages may come from an image; control characters must not reach the terminal.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(safe("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb\nc");
    }

    #[test]
    fn cells_are_readable() {
        let value = serde_json::json!({"a": [1, "x"], "b": true});
        assert_eq!(cell(value.pointer("/a")), "1, x");
        assert_eq!(cell(value.pointer("/b")), "yes");
        assert_eq!(cell(value.pointer("/none")), "");
    }
}
