#!/usr/bin/env bash
# Runs every fuzz target for a while on the stable toolchain: scripts/fuzz.sh [SECONDS] [CRATE[/TARGET]...]
#
# What a target finds lies under crates/NAME/fuzz/artifacts: make it a test, then a file of the corpus.
# New inputs of interest stay in the cache; FUZZ_KEEP=1 puts the smallest set of them into the corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
CARGO_FUZZ_VERSION=0.13.1

seconds="${1:-60}"
[ "$#" -eq 0 ] || shift
if [ "$("$SEALOCK_CACHE/fuzz/bin/cargo-fuzz" --version 2>/dev/null)" != "cargo-fuzz $CARGO_FUZZ_VERSION" ]; then
  say "setting up cargo-fuzz"
  cargo install --quiet --locked --root "$SEALOCK_CACHE/fuzz" "cargo-fuzz@$CARGO_FUZZ_VERSION"
fi
fuzz() { "$SEALOCK_CACHE/fuzz/bin/cargo-fuzz" fuzz "$@"; }

failed=()
for folder in crates/*/fuzz; do
  crate="$(basename "$(dirname "$folder")")"
  # The same versions of libraries as the product's.
  cp Cargo.lock "$folder/Cargo.lock"
  for file in "$folder"/fuzz_targets/*.rs; do
    target="$(basename "$file" .rs)"
    if [ "$#" -gt 0 ] && [[ " $* " != *" $crate "* && " $* " != *" $crate/$target "* ]]; then continue; fi
    found="$SEALOCK_CACHE/fuzz/corpus/$crate/$target"
    mkdir -p "$found"
    say "$crate: $target, $seconds s"
    # No sanitizer: Sealock has next to no unsafe code, and without one the stable toolchain will do.
    options=(--fuzz-dir "$folder" --sanitizer none --target-dir "$SEALOCK_CACHE/fuzz/target")
    fuzz run "${options[@]}" "$target" "$found" "$folder/corpus/$target" -- \
      -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -max_len=65536 -print_final_stats=1 ||
      failed+=("$crate/$target")
    if [ -n "${FUZZ_KEEP:-}" ]; then
      fuzz cmin "${options[@]}" "$target" "$folder/corpus/$target"
    fi
  done
  rm -f "$folder/Cargo.lock"
done
[ "${#failed[@]}" -eq 0 ] || die "inputs that must not fail did: ${failed[*]}"
