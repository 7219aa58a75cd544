#!/usr/bin/env bash
# Formatting, lints and, where its tool is installed, licences. Changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
scripts/tools.sh compiler
share_target

say "formatting"
cargo fmt --all --check
say "lints"
cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
say "shell scripts"
for script in scripts/*.sh scripts/bench/*.sh .ci/run; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then shellcheck -x -S warning scripts/*.sh scripts/bench/*.sh .ci/run; fi
if command -v cargo-deny >/dev/null; then
  say "licences and banned crates"
  cargo deny --locked check licenses bans sources
fi
