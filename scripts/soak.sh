#!/usr/bin/env bash
# The slow forms of the tests that look for what seldom happens: scripts/soak.sh [ARGUMENTS OF cargo nextest run]
#
#   make soak                                                all of them
#   SEALOCK_KILL_ROUNDS=20 make soak ARGS='-E test(sigkill)'   some, for less long
#
# CONTRIBUTING.md lists the variables; each may be set by the caller.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
scripts/tools.sh
share_target

export SEALOCK_KILL_ROUNDS="${SEALOCK_KILL_ROUNDS:-200}"
export SEALOCK_HISTORY_ROUNDS="${SEALOCK_HISTORY_ROUNDS:-200}"
export SEALOCK_COLLECTION_SECONDS="${SEALOCK_COLLECTION_SECONDS:-300}"
export SEALOCK_HARBOR_EXAMPLES="${SEALOCK_HARBOR_EXAMPLES:-100}"
export SEALOCK_HARBOR_SEED="${SEALOCK_HARBOR_SEED:-$(date +%s)}"

if [ $# = 0 ]; then
  set -- -E 'test(sigkill) or test(several_clients_and_a_cut_anywhere) or test(no_acknowledged_digest)
    or test(whatever_the_contract_allows)'
fi
say "building"
cargo build --locked --bin sealock
cargo nextest run --locked --no-run -p sealock-tests
say "soaking: $SEALOCK_KILL_ROUNDS SIGKILLs on each database, $SEALOCK_HISTORY_ROUNDS histories, $SEALOCK_COLLECTION_SECONDS s of collection, $SEALOCK_HARBOR_EXAMPLES made-up requests to each of Harbor's operations (seed $SEALOCK_HARBOR_SEED)"
scripts/with-postgres.sh cargo nextest run --locked --profile soak --success-output final -p sealock-tests "$@"
