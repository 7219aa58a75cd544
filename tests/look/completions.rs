//! The completion scripts, loaded by the shells that they are for.

use std::process::Command;

use sealock_tests::{server::binary, skips};

/// What a shell says when it has loaded the script and is asked to go on from `sealock pro`.
fn completed(shell: &str, ask: &str) -> String {
    let program = skips::require_tool(shell).expect("a shell");
    let scratch = tempfile::tempdir().unwrap();
    let script = Command::new(binary()).args(["completions", shell]).output().unwrap();
    assert!(script.status.success(), "{shell}");
    // Where zsh looks: a file named after the function, in a folder of `fpath`.
    std::fs::write(scratch.path().join("_sealock"), script.stdout).unwrap();
    let mut command = Command::new(program);
    if shell == "zsh" {
        command.arg("-f");
    }
    command.args(["-c", ask]).current_dir(scratch.path()).env("HOME", scratch.path());
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "{shell}: {said}");
    said
}

#[test]
fn every_shell_loads_its_completions() {
    let bash = completed(
        "bash",
        "source ./_sealock && complete -p sealock && COMP_WORDS=(sealock pro) COMP_CWORD=1 \
         && _sealock sealock pro sealock && echo \"${COMPREPLY[@]}\"",
    );
    let fish = completed("fish", "source ./_sealock; and complete --do-complete 'sealock pro'");
    for (shell, said) in [("bash", bash), ("fish", fish)] {
        for verb in ["project", "promote", "promotions"] {
            assert!(said.contains(verb), "{shell} does not complete {verb}: {said}");
        }
        assert!(!said.contains("quarantine"), "{shell} completes what was not asked for: {said}");
    }
    // Completing needs a terminal there; that the function is loaded and taken is what can be seen.
    let zsh = completed(
        "zsh",
        "fpath=($PWD $fpath); autoload -U compinit && compinit -D -u && \
         print -r -- ${_comps[sealock]} && autoload +X _sealock && functions _sealock | \
         grep -c promotions && zsh -n ./_sealock",
    );
    assert!(zsh.starts_with("_sealock\n"), "{zsh}");
}
