# Sourced by the other scripts: where the clone is, and where everything lies that outlives a clone.
# shellcheck shell=bash

SEALOCK_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export SEALOCK_ROOT
# Tools, test images and compiled code are kept here, so that a second clone need not make them again.
export SEALOCK_CACHE="${SEALOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sealock}"
export PATH="$SEALOCK_CACHE/bin:$HOME/.cargo/bin:$PATH"
mkdir -p "$SEALOCK_CACHE/bin" "$SEALOCK_CACHE/stamps"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Compiled code goes to the cache unless the caller chose a place. Two clones may share it one after the other, never at
# once: the lock is held until this process ends. Cargo tells what changed by modification times, which say nothing about a
# clone that was made before the other's build, so the sources of a clone that did not build last are touched.
share_target() {
  if [ -n "${CARGO_TARGET_DIR:-}" ]; then return; fi
  export CARGO_TARGET_DIR="$SEALOCK_CACHE/target"
  mkdir -p "$CARGO_TARGET_DIR"
  exec 8>"$SEALOCK_CACHE/target.lock"
  if ! flock -n 8; then
    say "another clone is building or testing; waiting for it"
    flock 8
  fi
  local last="$CARGO_TARGET_DIR/.last-clone"
  if [ "$(cat "$last" 2>/dev/null)" != "$SEALOCK_ROOT" ]; then
    git -C "$SEALOCK_ROOT" ls-files -z -- '*.rs' '*.toml' '*.sql' '*.json' '*.yaml' \
      | (cd "$SEALOCK_ROOT" && xargs -0 -r touch -c)
    printf '%s\n' "$SEALOCK_ROOT" >"$last"
  fi
}
