//! Printing: tables for people, JSON for programs.

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};

/// Narrowest terminal that tables are fitted to, in columns; below it lines run over.
const MIN_WIDTH: u16 = 40;

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
        return print("Nothing found.\n");
    }
    let table = table(items, columns, terminal_width());
    print(&format!("{}\n", table.trim_fmt()))
}

/// A table of items; fitted to `width` columns if there is a terminal. What reads a pipe gets a
/// line for each item, however long.
fn table(items: &[Value], columns: &[Column], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(columns.iter().map(|(heading, _)| heading.to_uppercase()));
    for item in items {
        let cells = columns.iter().map(|(_, pointer)| cell(item.pointer(pointer)));
        table.add_row(cells.map(|text| safe(&text).replace('\n', " ")));
    }
    table
}

/// Columns of the terminal that standard output is, if it is one.
fn terminal_width() -> Option<u16> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (width, _) = terminal_size::terminal_size()?;
    Some(width.0.max(MIN_WIDTH))
}

/// Prints the first items of a list, and says when there are more.
pub(crate) fn first(
    format: Format,
    (items, more): (Vec<Value>, bool),
    columns: &[Column],
) -> Result<()> {
    list(format, &items, columns)?;
    if more {
        note(&format!("These are the first {}; --limit 0 lists all.", items.len()));
    }
    Ok(())
}

/// Prints one object: `name: value` lines for a person.
pub(crate) fn object(format: Format, item: &Value, fields: &[Column]) -> Result<()> {
    if format == Format::Json {
        return json(item);
    }
    let width = fields.iter().map(|(heading, _)| heading.len()).max().unwrap_or(0) + 1;
    let mut lines = String::new();
    for (heading, pointer) in fields {
        let text = cell(item.pointer(pointer));
        if !text.is_empty() {
            lines.push_str(&format!("{:width$} {}\n", format!("{heading}:"), safe(&text)));
        }
    }
    print(&lines)
}

/// Prints a JSON document as it is.
pub(crate) fn json(value: &Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}

/// Prints a line for a person; nothing in JSON mode.
pub(crate) fn line(format: Format, text: &str) -> Result<()> {
    match format {
        Format::Table => print(&format!("{}\n", safe(text))),
        Format::Json => Ok(()),
    }
}

/// Says something beside the result: below a table, on standard error beside JSON.
pub(crate) fn remark(format: Format, text: &str) -> Result<()> {
    match format {
        Format::Table => line(format, text),
        Format::Json => {
            note(text);
            Ok(())
        }
    }
}

/// Prints text as it is (a policy, a manifest, a script).
pub(crate) fn text(text: &str) -> Result<()> {
    print(text)?;
    if text.ends_with('\n') { Ok(()) } else { print("\n") }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure: the command
/// goes on to its end, and its exit code is what it would have been.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Says something beside the results, on standard error.
pub(crate) fn note(text: &str) {
    // Nobody is left to be told that nobody listens.
    let _ = writeln!(std::io::stderr().lock(), "{}", safe(text));
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
    fn tables_fit_terminals_and_pipes_get_whole_lines() {
        let long = "word ".repeat(40);
        let items = [serde_json::json!({"a": "x\u{1b}[2J\ny", "b": long.trim()})];
        let columns: &[Column] = &[("first", "/a"), ("second", "/b")];
        let piped = table(&items, columns, None).trim_fmt();
        assert_eq!(piped.lines().count(), 2, "{piped}");
        assert!(!piped.contains('\u{1b}'), "{piped}");
        let narrow = table(&items, columns, Some(60)).trim_fmt();
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        assert_eq!(narrow.matches("word").count(), 40);
    }

    #[test]
    fn cells_are_readable() {
        let value = serde_json::json!({"a": [1, "x"], "b": true});
        assert_eq!(cell(value.pointer("/a")), "1, x");
        assert_eq!(cell(value.pointer("/b")), "yes");
        assert_eq!(cell(value.pointer("/none")), "");
    }
}
