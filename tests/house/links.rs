//! Links between pages lead somewhere.

use crate::tree;

/// Targets of the relative links of a page, without their anchors.
fn links(page: &str) -> Vec<&str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or(""))
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn every_relative_link_has_a_target() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for file in tree::files().iter().filter(|file| file.ends_with(".md")) {
        let path = tree::root().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        for link in links(&text) {
            seen += 1;
            if !path.parent().unwrap().join(link).exists() {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(seen > 20, "only {seen} links are seen");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn links_are_read_as_pages_write_them() {
    let page = "[a](b.md) [c](d/e.md#f) [g](https://example.com) [h](#i)";
    assert_eq!(links(page), ["b.md", "d/e.md"]);
}
