#!/usr/bin/env bash
# The registry beside its peers: scripts/bench/registry.sh [--servers 'NAME...'] [--rounds N] [--seconds N] [--keep FILE]
#
#   --servers   which (default: all that are installed; scripts/bench/servers.sh tells their settings)
#   --parts     which of: disk image tls zb (default: all)
#   --rounds    the servers in turn, so often, every second time in reverse order (default 2)
#   --seconds   length of each load (default 4)
#   --keep      append the raw results to this file, one JSON object a line, and make the tables from all that it holds
#
# Prints the tables. Called by scripts/bench.sh, which builds what is measured; SEALOCK and SEALOCK_BENCH name other binaries.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
# shellcheck source=scripts/bench/servers.sh
source scripts/bench/servers.sh

rounds=2 seconds=4 servers="" keep="" parts="disk image tls zb"
while [ $# -gt 0 ]; do
  case "$1" in
    --servers) servers="$2" ;;
    --parts) parts="$2" ;;
    --rounds) rounds="$2" ;;
    --seconds) seconds="$2" ;;
    --keep) keep="$2" ;;
    *) die "unknown option: $1" ;;
  esac
  shift 2
done
set_up "$keep"
# As many lines as the others write: by itself it has fewer for an address that asks without a pause.
export SEALOCK_RATE_LIMIT_LOG=0
for name in ${servers:-sealock zot zot-commit distribution docker-registry}; do
  if [ -x "$(peer "$name")" ]; then
    chosen="${chosen:-} $name"
  else
    say "$name is not installed and not measured; put the binary on PATH, or run scripts/tools.sh peers"
  fi
done
read -ra chosen <<<"${chosen:-}"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
  -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -keyout "$work/server.key" -out "$work/server.pem" 2>"$work/openssl.log"

record() { # SERVER WORKLOAD JSON
  jq -cn --arg server "$1" --arg workload "$2" --argjson result "$3" '{$server, $workload} + $result' >>"$results"
}

# measure SERVER WORKLOAD ARGS...: one load, on core 1, against the server that runs.
measure() {
  local name="$1" workload="$2" result
  shift 2
  result="$(taskset -c 1 "$load" load "$@" --url "$url" --user admin --server-pid "$server" --seconds "$seconds" \
    --ca "$work/server.pem" --repository "library/$workload" 2>"$work/load.err")" \
    || result="$(jq -cn --arg why "$(head -c 2000 "$work/load.err")" '{errors: 1, failed: true, first_error: $why}')"
  record "$name" "$workload" "$result"
}

disk() {
  local fio="$SEALOCK_CACHE/debian/fio" libraries size count pattern
  [ -x "$fio/usr/bin/fio" ] || { say "fio is not installed; run scripts/tools.sh peers"; return; }
  libraries="$(find "$fio" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)"
  for pattern in "1m 1 8 400" "256k 4 8 1600" "100m 100 1 6"; do
    read -r size _ jobs count <<<"$pattern"
    mkdir -p "$work/fio"
    # Each job makes its files, writes them, syncs the data of each and closes it.
    LD_LIBRARY_PATH="$libraries" "$fio/usr/bin/fio" --name=files --directory="$work/fio" --rw=write --bs=256k \
      --numjobs="$jobs" --nrfiles="$((count / jobs))" --filesize="$size" --openfiles=1 --file_service_type=sequential \
      --create_on_open=1 --fallocate=none --fdatasync="$(fio_sync "$size")" --end_fsync=0 --refill_buffers=1 \
      --group_reporting --output-format=json >"$work/fio.json"
    record fio "$size" "$(jq --arg size "$size" '.jobs[0] | {mib_per_second: (.write.bw_bytes / 1048576),
      files: '"$count"', seconds: (.write.runtime / 1000), per_second: ('"$count"' * 1000 / .write.runtime)}' "$work/fio.json")"
    rm -rf "$work/fio"
  done
  record machine hash "$("$load" hash)"
  record machine files "$("$load" files --folder "$work/files")"
  rm -rf "$work/files"
}
fio_sync() { case "$1" in 1m) echo 4 ;; 256k) echo 1 ;; *) echo 400 ;; esac; }

images() { # SERVER
  local name="$1" dir="$work/$1"
  serve "$name" "$dir"
  measure "$name" push-1m push --layer 1024
  measure "$name" push-4x256k push --style patch --layer 256 --layer 256 --layer 256 --layer 256
  measure "$name" push-100m push --layer 102400 --clients 1 --count 8
  measure "$name" pull-1m pull --layer 1024
  measure "$name" pull-100m pull --layer 102400 --clients 2 --images 4
  measure "$name" get-tag get-tag --layer 4
  measure "$name" get-digest get-digest --layer 4
  measure "$name" head-tag head-tag --layer 4
  measure "$name" head-digest head-digest --layer 4
  measure "$name" head-blob head-blob --layer 4
  measure "$name" mixed mixed --layer 1024
  measure "$name" open-push push --layer 1024 --rate 20 --clients 64
  measure "$name" open-pull pull --layer 1024 --rate 60 --clients 64
  measure "$name" open-head head-tag --layer 4 --rate 400 --clients 64
  halt "$dir"
}

tls() { # SERVER
  local name="$1" dir="$work/$1"
  serve "$name" "$dir" tls
  measure "$name" tls-pull-100m pull --layer 102400 --clients 2 --images 4
  halt "$dir"
}

zb() { # SERVER
  local name="$1" dir="$work/$1" test report
  command -v zb >"$work/which" || return 0
  # It drops the query of an upload's Location, in which distribution keeps its state, and so cannot push there.
  case "$name" in distribution | docker-registry) return 0 ;; esac
  serve "$name" "$dir"
  local login=()
  [[ "$name" != sealock* ]] || login=(-A "admin:$SEALOCK_PASSWORD")
  for test in "Push Monolith 1MB" "Push Chunk Streamed 1MB" "Pull 1MB" "Pull 100MB"; do
    mkdir -p "$work/zb"
    report="$(cd "$work/zb" && taskset -c 1 zb "$url" -c 4 -n 40 -r library/zb -d "$work/zb" -t "^$test\$" -o json "${login[@]}" 2>&1)" || true
    printf '%s\n' "$report" >"$work/zb.log"
    record "$name" "zb: $test" "$(scripts/bench/zb.py <"$work/zb.log")"
    rm -rf "$work/zb"
  done
  halt "$dir"
}

for part in $parts; do
  if [ "$part" = disk ]; then
    say "disk and hash"
    disk
    continue
  fi
  for ((round = 1; round <= rounds; round++)); do
    order=("${chosen[@]}")
    if ((round % 2 == 0)); then mapfile -t order < <(printf '%s\n' "${chosen[@]}" | tac); fi
    for name in "${order[@]}"; do
      say "$part, round $round: $name"
      case "$part" in
        image) images "$name" ;;
        tls) tls "$name" ;;
        zb) zb "$name" ;;
        *) die "unknown part: $part (disk, image, tls, zb)" ;;
      esac
    done
  done
done
scripts/bench/tables.py "$results"
