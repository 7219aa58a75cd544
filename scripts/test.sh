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
# The whole-product tests start this binary; cargo does not know that, so it is built first.
cargo build --locked --bin sealock
scripts/images.sh

say "testing"
if [ $# -gt 0 ]; then
  scripts/with-postgres.sh cargo nextest run --locked "$@"
else
  scripts/with-postgres.sh cargo nextest run --locked --workspace --all-targets
fi
