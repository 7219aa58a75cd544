//! Reads the runnable blocks of a page.
//!
//! A fenced block ```` ```sh test ```` runs as it stands; ```` ```sh test refused=WORD ```` must
//! fail and say WORD. A comment `<!-- sh test` ... `-->` runs too, unseen by readers: it stands for
//! what another person does, or for what the reader has done before. All blocks of a page run in
//! one shell, in order.

use std::fmt::Write as _;

/// One runnable block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Line of the page at which it begins, from 1.
    pub(crate) line: usize,
    /// The commands.
    pub(crate) text: String,
    /// A word that its refusal must contain; absent if it must succeed.
    pub(crate) refused: Option<String>,
}

/// The runnable blocks of a page, in order.
///
/// # Panics
/// If a block is not closed, or its heading has an unknown word.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let (heading, end) = match line.strip_prefix("```sh test") {
            Some(heading) => (heading, "```"),
            None => match line.strip_prefix("<!-- sh test") {
                Some(heading) => (heading, "-->"),
                None => continue,
            },
        };
        let mut block = Block { line: number + 1, text: String::new(), refused: None };
        for word in heading.split_whitespace() {
            let word = word.strip_prefix("refused=");
            block.refused = Some(word.expect("`refused=WORD` and nothing else").to_owned());
        }
        loop {
            let (_, line) = lines.next().expect("a block ends");
            if line == end {
                break;
            }
            block.text.push_str(line);
            block.text.push('\n');
        }
        blocks.push(block);
    }
    blocks
}

/// One shell script that runs all blocks and says which one failed.
pub(crate) fn script(blocks: &[Block]) -> String {
    let mut script = String::from("set -euo pipefail\n");
    for Block { line, text, refused } in blocks {
        let _ = writeln!(script, "echo '## line {line}' >&2");
        match refused {
            None => script.push_str(text),
            Some(word) => {
                let _ = write!(
                    script,
                    "if ( set -e\n{text}) >refusal 2>&1; then\n  \
                     cat refusal >&2; echo 'should have been refused' >&2; exit 1\nfi\n\
                     cat refusal >&2\ngrep -qi -e '{word}' refusal || \
                     {{ echo 'refused, but without the word {word}' >&2; exit 1; }}\n"
                );
            }
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealock_tests::clients::run;

    const PAGE: &str = "# Title\n\n```sh test\na=1\n```\ntext\n```sh\nnot run\n```\n\
        <!-- sh test\ntest $a = 1\n-->\n```sh test refused=nope\necho NOPE; false\n```\n";

    #[test]
    fn blocks_are_found_in_order_with_their_lines() {
        let blocks = blocks(PAGE);
        let lines: Vec<usize> = blocks.iter().map(|block| block.line).collect();
        assert_eq!(lines, [3, 10, 13]);
        assert_eq!(blocks[2].refused.as_deref(), Some("nope"));
    }

    fn status(page: &str) -> Option<i32> {
        let directory = tempfile::tempdir().unwrap();
        let script = format!("cd {}\n{}", directory.path().display(), script(&blocks(page)));
        run("bash", &["-c", &script]).code()
    }

    #[test]
    fn a_page_passes_only_if_every_block_does_what_it_says() {
        assert_eq!(status(PAGE), Some(0));
        assert_ne!(status(&PAGE.replace("a=1", "a=2")), Some(0));
        assert_ne!(status(&PAGE.replace("NOPE", "other")), Some(0));
        assert_ne!(status(&PAGE.replace("false", "true")), Some(0));
    }
}
