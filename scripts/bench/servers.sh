# Sourced by registry.sh, lists.sh and abuse.sh: what they measure with, and how each server is started, alone on core 0, bound
# to loopback, and ended.
# shellcheck shell=bash disable=SC2154
#
# Every server logs its requests into a file and keeps its defaults, except for what its name says:
#
#   sealock             durable: file and directory synced before a blob's 201, metadata in a synced log
#   sealock-later       the same, layers read by a job after the push (--inspect-later)
#   zot                 dedupe on (its default); syncs no blob
#   zot-commit          "commit": true, its safest setting; syncs a blob's file before it is renamed, not the directory
#   distribution        v3; syncs every file it writes; the rename that publishes a blob is not followed by a directory sync.
#                       It has no safer setting
#   docker-registry     Debian's distribution 2.8; as above, with fewer directory syncs. It has no safer setting

# set_up KEEP: what is measured and measures (SEALOCK and SEALOCK_BENCH name other binaries), a folder for the time of the
# measurement, and the file of the raw results, which is KEEP if that is not empty.
set_up() {
  sealock="${SEALOCK:-${CARGO_TARGET_DIR:-$SEALOCK_CACHE/target}/release/sealock}"
  load="${SEALOCK_BENCH:-${CARGO_TARGET_DIR:-$SEALOCK_CACHE/target}/release/sealock-bench}"
  work="$(mktemp -d "${TMPDIR:-/tmp}/sealock-bench.XXXXXX")"
  results="${1:-$work/results.jsonl}"
  server="" abuser=""
  trap clean_up EXIT
  export HOME="$work" SEALOCK_ADMIN_PASSWORD="benchmark-$RANDOM$RANDOM"
  export SEALOCK_PASSWORD="$SEALOCK_ADMIN_PASSWORD"
  port=$((20000 + RANDOM % 10000))
  : >"$work/server.pem"
}

# shellcheck disable=SC2329
clean_up() {
  local process
  for process in "$abuser" "$server"; do
    [ -z "$process" ] || kill "$process" 2>/dev/null || true
  done
  rm -rf "$work"
}

peer() {
  case "$1" in
    zot | zot-commit) command -v zot ;;
    distribution) command -v distribution ;;
    docker-registry) echo "$SEALOCK_CACHE/debian/docker-registry/usr/bin/docker-registry" ;;
    sealock*) echo "$sealock" ;;
  esac
}

zot_config() { # DIR COMMIT [TLS]
  jq -n --arg dir "$1/data" --arg port "$port" --argjson commit "$2" --arg tls "${3:-}" --arg log "$1/requests.log" \
    --arg cert "$work/server.pem" --arg key "$work/server.key" \
    '{distSpecVersion: "1.1.1", storage: {rootDirectory: $dir, commit: $commit},
      http: ({address: "127.0.0.1", port: $port} + if $tls == "" then {} else {tls: {cert: $cert, key: $key}} end),
      log: {level: "info", output: $log}}' >"$1/config.json"
}

distribution_config() { # DIR [TLS]
  {
    printf 'version: 0.1\nlog:\n  level: info\nstorage:\n  cache:\n    blobdescriptor: inmemory\n'
    printf '  filesystem:\n    rootdirectory: %s/data\n  delete:\n    enabled: true\n' "$1"
    printf 'http:\n  addr: 127.0.0.1:%s\n  secret: benchmark\n' "$port"
    [ -z "${2:-}" ] || printf '  tls:\n    certificate: %s\n    key: %s\n' "$work/server.pem" "$work/server.key"
  } >"$1/config.yml"
}

# serve NAME DIR [TLS]: starts a server on core 0 and waits until it answers; sets $server and $url.
serve() {
  local name="$1" dir="$2" tls="${3:-}" program
  mkdir -p "$dir"
  program="$(peer "$name")"
  local command=("$program")
  case "$name" in
    sealock*)
      command+=(serve --data-dir "$dir/data" --listen "127.0.0.1:$port" --no-admission)
      [ "$name" != sealock-later ] || command+=(--inspect-later)
      [ -z "$tls" ] || command+=(--tls-cert "$work/server.pem" --tls-key "$work/server.key")
      ;;
    zot) zot_config "$dir" false "$tls" && command+=(serve "$dir/config.json") ;;
    zot-commit) zot_config "$dir" true "$tls" && command+=(serve "$dir/config.json") ;;
    *) distribution_config "$dir" "$tls" && command+=(serve "$dir/config.yml") ;;
  esac
  # distribution v3 would look for a collector of traces.
  OTEL_TRACES_EXPORTER=none OTEL_SDK_DISABLED=true taskset -c 0 "${command[@]}" >"$dir/server.log" 2>&1 &
  server=$!
  url="http${tls:+s}://127.0.0.1:$port"
  until curl -so "$work/answer" --cacert "$work/server.pem" "$url/v2/"; do
    kill -0 "$server" 2>"$work/gone" || die "$name ended: $(tail -n 5 "$dir/server.log")"
    sleep 0.01
  done
}

# stop: ends the server.
stop() {
  kill "$server"
  wait "$server" || true
  server=""
}

# halt DIR: ends the server and removes what it stored.
halt() {
  stop
  rm -rf "$1"
}
