use std::{collections::BTreeSet, path::Path};

/// `docs/reference/conformance.md`, as far as it lists what is off and what is skipped.
pub(crate) struct Page {
    /// Switches that are off.
    pub(crate) switches_off: BTreeSet<String>,
    /// Checks that are not run.
    pub(crate) skips: BTreeSet<String>,
}

impl Page {
    /// Reads the page of this tree. Every row must give a reason.
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/conformance.md");
        let text = std::fs::read_to_string(&path).expect("the page on conformance");
        let mut page = Self { switches_off: BTreeSet::new(), skips: BTreeSet::new() };
        for line in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [name, why] = cells.as_slice() else { panic!("a row has two cells: {line}") };
            assert!(why.len() > 20, "a row gives a reason: {line}");
            let name = name.trim_matches('`').to_owned();
            let list =
                if name.starts_with("OCI_") { &mut page.switches_off } else { &mut page.skips };
            list.insert(name);
        }
        page
    }
}
