#!/usr/bin/env bash
# All tests, with everything they need: scripts/test.sh [ARGUMENTS OF cargo nextest run]
#
#   make test                                   everything
#   scripts/test.sh -p sealock-policy           one crate
#   scripts/test.sh -p sealock-tests -E 'test(cosign)'
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
scripts/tools.sh
share_target

say "building"
if [ $# = 0 ]; then
  set -- --workspace --all-targets
else
  # The whole-product tests start this binary. A run of the whole workspace builds it for the command line's own tests;
  # cargo does not know that others want it too.
  cargo build --locked --bin sealock
fi
cargo nextest run --locked --no-run "$@"
scripts/images.sh

# The runner hides what passing tests print, so what they will skip is said here; tests/skips.toml says why they may.
command -v docker >/dev/null || say "skipped for want of docker: tests of its client"
[ -e ../shared ] || say "skipped for want of shared-data: tests over large data of third parties"

say "testing"
scripts/with-postgres.sh cargo nextest run --locked "$@"
