#!/usr/bin/env bash
# Builds an optimised binary and serves: scripts/run.sh [ARGUMENTS OF sealock serve]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
scripts/tools.sh compiler
share_target
cargo build --locked --release --bin sealock
# The lock on compiled code is for the build, not for as long as the server runs.
exec 8>&-
exec "$CARGO_TARGET_DIR/release/sealock" serve "$@"
