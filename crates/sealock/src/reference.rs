//! The reference in `docs/reference` is made from the code. These tests compare; with
//! `SEALOCK_WRITE_REFERENCE=1` they write instead.

use crate::{
    cli::Cli,
    failure::EXIT_CODES,
    server::metrics::{Counted, Metrics},
};
use clap::{Arg, Command, CommandFactory as _};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> String {
    let path = root().join("docs/reference").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a part of a page with what the code says, or writes it.
fn keep(name: &str, part: &str, made: &str) {
    let (begin, end) = (format!("<!-- made: {part} -->\n"), format!("<!-- end: {part} -->"));
    let page = page(name);
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{name}: no {begin}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{name}: no {end}"));
    if std::env::var_os("SEALOCK_WRITE_REFERENCE").is_some() {
        let whole = format!("{before}{begin}{made}{end}{after}");
        std::fs::write(root().join("docs/reference").join(name), whole).expect("written");
        return;
    }
    let stale = "is not what the code says; run SEALOCK_WRITE_REFERENCE=1 cargo test -p sealock";
    assert_eq!(written, made, "{name}: {part} {stale}");
}

fn escaped(text: impl std::fmt::Display) -> String {
    text.to_string().replace('|', "\\|").replace('\n', " ")
}

/// One row for an option or argument: name, variable, default, meaning.
fn row(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first());
    let takes = argument.get_action().takes_values();
    let mut name = match argument.get_long() {
        Some(long) if takes => format!("--{long} {}", value.map_or("VALUE", |v| v.as_str())),
        Some(long) => format!("--{long}"),
        None => value.map_or("VALUE", |value| value.as_str()).to_owned(),
    };
    if let Some(short) = argument.get_short() {
        name = format!("-{short}, {name}");
    }
    let mut notes = Vec::new();
    if let Some(variable) = argument.get_env() {
        notes.push(format!("`{}`", variable.display()));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.display().to_string()).collect();
    if takes && !defaults.is_empty() {
        notes.push(format!("`{}` if absent", defaults.join(" ")));
    }
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| takes)
        .map(|value| value.get_name().to_owned())
        .collect();
    if !words.is_empty() {
        notes.push(words.join(", "));
    }
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    format!("| `{name}` | {} | {} |\n", escaped(help), escaped(notes.join("; ")))
}

fn own(command: &Command) -> Vec<&Arg> {
    let hidden = ["help", "version"];
    command
        .get_arguments()
        .filter(|argument| {
            !argument.is_global_set() && !hidden.contains(&argument.get_id().as_str())
        })
        .collect()
}

/// Every verb below a command, with its words and options.
fn verbs(command: &Command, path: &str, out: &mut String) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let path = format!("{path} {}", verb.get_name());
        if verb.has_subcommands() {
            verbs(verb, &path, out);
            continue;
        }
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        out.push_str(&format!("### `{path}`\n\n{about}.\n\n"));
        let arguments = own(verb);
        if path == "sealock serve" {
            out.push_str("Its options are on the page [configuration](configuration.md).\n\n");
        } else if !arguments.is_empty() {
            out.push_str("| word or option | means | |\n| --- | --- | --- |\n");
            arguments.iter().for_each(|argument| out.push_str(&row(argument)));
            out.push('\n');
        }
    }
}

#[test]
fn the_page_of_the_command_line() {
    let mut command = Cli::command();
    command.build();
    let mut options = "| option | means | |\n| --- | --- | --- |\n".to_owned();
    for argument in command.get_arguments().filter(|argument| argument.is_global_set()) {
        options.push_str(&row(argument));
    }
    keep("command-line.md", "options", &options);
    let mut codes = "| exit code | means |\n| --- | --- |\n".to_owned();
    for (code, means) in EXIT_CODES {
        codes.push_str(&format!("| {code} | {means} |\n"));
    }
    keep("command-line.md", "exit codes", &codes);
    let mut all = String::new();
    verbs(&command, "sealock", &mut all);
    keep("command-line.md", "verbs", &all);
}

#[test]
fn the_page_of_defects() {
    let mut kinds = "| kind | what it is | `--repair` | what a person does |\n\
                     | --- | --- | --- | --- |\n"
        .to_owned();
    for kind in sealock_lifecycle::fsck::Kind::ALL {
        let severity = serde_json::to_value(kind.severity()).expect("a word");
        kinds.push_str(&format!(
            "| `{kind}` ({}) | {} | {} | {} |\n",
            severity.as_str().unwrap_or_default(),
            escaped(kind.what()),
            escaped(kind.repair()),
            escaped(kind.person())
        ));
    }
    keep("fsck.md", "kinds", &kinds);
}

#[test]
fn the_page_of_the_configuration() {
    let mut command = Cli::command();
    command.build();
    let serve = command.find_subcommand("serve").expect("serve");
    let mut options = "| option | means | variable, default |\n| --- | --- | --- |\n".to_owned();
    own(serve).iter().for_each(|argument| options.push_str(&row(argument)));
    keep("configuration.md", "options", &options);
}

#[test]
fn the_page_of_the_api() {
    let document = sealock_api_sealock::openapi();
    let mut routes = "| method and path | does |\n| --- | --- |\n".to_owned();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let summary = operation["summary"].as_str().unwrap_or_default();
            let method = method.to_uppercase();
            let summary = escaped(summary);
            routes.push_str(&format!("| {method} `{path}` | {summary} |\n"));
        }
    }
    keep("http-api.md", "routes", &routes);
}

/// Lists what `/metrics` shows, from the descriptions that it shows.
#[test]
fn the_page_of_metrics() {
    let text = Metrics::of(&Counted::default()).text().expect("metrics");
    let mut kinds = std::collections::BTreeMap::new();
    let mut rows = "| metric | kind | means |\n| --- | --- | --- |\n".to_owned();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            kinds.insert(name, kind);
        }
    }
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' '))
        else {
            continue;
        };
        let kind = kinds[name];
        let end = if kind == "counter" { "_total" } else { "" };
        rows.push_str(&format!("| `{name}{end}` | {kind} | {} |\n", escaped(help)));
    }
    assert!(rows.contains("sealock_collection_freed_bytes_total"), "{rows}");
    keep("metrics.md", "metrics", &rows);
}

/// Every field and word of the schema of policies is on the page about them.
#[test]
fn the_page_of_policies_knows_every_field() {
    fn names(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                map.values().for_each(|inner| names(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| names(inner, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    names(&sealock_policy::json_schema(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let page = page("policy.md");
    let missing: Vec<_> = found.iter().filter(|name| !page.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference/policy.md does not mention {missing:?}");
}

/// The source of some crates, one text for each file.
fn sources(crates: &[&str]) -> Vec<String> {
    let mut open: Vec<PathBuf> =
        crates.iter().map(|name| root().join("crates").join(name).join("src")).collect();
    let mut texts = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => open.push(path),
                // Pictures stand there, too.
                false if path.extension().is_none_or(|kind| kind != "rs") => {}
                false => texts.push(std::fs::read_to_string(&path).expect("source")),
            }
        }
    }
    texts
}

/// What stands in quotes right after one of these beginnings.
fn quoted_after(texts: &[String], beginnings: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in texts {
        for beginning in beginnings {
            for rest in text.split(beginning).skip(1) {
                found.extend(rest.split('"').next().map(str::to_owned));
            }
        }
    }
    found
}

/// Words in capitals that are no codes.
const NO_CODES: [&str; 12] = [
    "CERTIFICATE",
    "CHART",
    "CNAB",
    "DELETE",
    "HEAD",
    "IMAGE",
    "LICENSE",
    "MODEL",
    "PATCH",
    "POST",
    "SBOM",
    "WASM",
];

#[test]
fn the_page_of_errors_knows_every_code() {
    let texts = sources(&["http", "api-sealock", "api-harbor", "api-distribution", "registry"]);
    let mut codes: BTreeSet<String> = texts
        .iter()
        .flat_map(|text| text.split('"'))
        .filter(|word| word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .filter(|word| !NO_CODES.contains(word) && !word.starts_with("CARGO_"))
        .map(str::to_owned)
        .collect();
    let oci = std::fs::read_to_string(root().join("crates/oci/src/error_code.rs"))
        .expect("the codes of the specification");
    let body = oci.split_once("pub enum ErrorCode {").expect("the list").1;
    for line in body.split('}').next().unwrap_or_default().lines() {
        let name = line.trim().trim_end_matches(',');
        if name.is_empty() || !name.chars().all(char::is_alphanumeric) {
            continue;
        }
        let snake = name.chars().enumerate().fold(String::new(), |mut snake, (index, c)| {
            if index > 0 && c.is_uppercase() {
                snake.push('_');
            }
            snake.push(c.to_ascii_uppercase());
            snake
        });
        // Two are written in one word, by the specification and by Harbor.
        codes.insert(match snake.as_str() {
            "TOO_MANY_REQUESTS" | "PROJECT_POLICY_VIOLATION" => snake.replace('_', ""),
            _ => snake,
        });
    }
    assert!(codes.contains("NAME_UNKNOWN") && codes.contains("CONFLICT"), "{codes:?}");
    let page = page("errors.md");
    let missing: Vec<_> =
        codes.iter().filter(|code| !page.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "docs/reference/errors.md does not mention {missing:?}");
}

#[test]
fn the_page_of_permissions_is_the_matrix() {
    use sealock_auth::{
        ADDITIONS, Act, MATRIX, OWN_CATALOGUE, PROJECT_CATALOGUE, Resource, SYSTEM_CATALOGUE,
    };
    let head = "| what | may be | admin | maintainer | developer | guest | limited guest | everybody \
                |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    let words = |acts: &[Act]| acts.iter().map(|act| act.as_str()).collect::<Vec<_>>().join(", ");
    let rows = |table: &[(Resource, &[Act], &str)]| {
        let row = |(resource, acts, letters): &(Resource, &[Act], &str)| {
            let marks = "AMDGLP".chars().map(|one| if letters.contains(one) { "yes" } else { "" });
            let marks = marks.collect::<Vec<_>>().join(" | ");
            format!("| {resource} | {} | {marks} |\n", words(acts))
        };
        table.iter().map(row).collect::<String>()
    };
    keep("permissions.md", "matrix", &format!("{head}{}", rows(MATRIX)));
    keep("permissions.md", "additions", &format!("{head}{}", rows(ADDITIONS)));
    let mut made = String::from("| where | what | may be |\n| --- | --- | --- |\n");
    for (resource, acts) in SYSTEM_CATALOGUE {
        made.push_str(&format!("| system | {resource} | {} |\n", words(acts)));
    }
    for (resource, acts) in PROJECT_CATALOGUE {
        made.push_str(&format!("| project | {resource} | {} |\n", words(acts)));
    }
    for (resource, acts) in OWN_CATALOGUE {
        made.push_str(&format!("| project, Sealock's own API | {resource} | {} |\n", words(acts)));
    }
    keep("permissions.md", "catalogue", &made);
}

#[test]
fn the_page_of_audit_events_knows_every_action() {
    let texts = sources(&["registry", "lifecycle"]);
    let beginnings = [
        "Event::new(caller, \"",
        "Event::new(&caller, \"",
        "by_system(\"",
        "event(\"",
        "action: \"",
    ];
    let mut actions = quoted_after(&texts, &beginnings);
    actions.extend(
        texts
            .iter()
            .flat_map(|text| text.split('"'))
            .filter(|w| w.ends_with("-waiver"))
            .map(str::to_owned),
    );
    assert!(actions.contains("push") && actions.contains("grant-waiver"), "{actions:?}");
    let page = page("audit.md");
    let missing: Vec<_> =
        actions.iter().filter(|one| !page.contains(&format!("`{one}`"))).collect();
    assert!(missing.is_empty(), "docs/reference/audit.md does not mention {missing:?}");
}
