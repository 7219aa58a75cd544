#!/usr/bin/env bash
# What one client's abuse costs the others: scripts/bench/abuse.sh [--rounds N] [--seconds N] [--keep FILE]
#
# A well-behaved client at a fixed rate (manifests by tag, pulls and pushes of small images), first alone, then beside
# each abuser, which comes from an address of its own. The server is alone on core 0; the client and the abuser, which
# runs only when nobody else wants to, share core 1; a control tells what that alone costs the client. All of it in turn,
# round after round, every second one in reverse order: a p99 is made by a few requests, and by whatever else the machine did
# then. Prints the table, of medians: the aim is a p99 of at most twice the one without abuse.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
# shellcheck source=scripts/bench/servers.sh
source scripts/bench/servers.sh

seconds=8 rounds=3 keep=""
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds="$2" ;;
    --seconds) seconds="$2" ;;
    --keep) keep="$2" ;;
    *) die "unknown option: $1" ;;
  esac
  shift 2
done
set_up "$keep"

say "filling: 20,000 referrers of one subject"
serve sealock "$work/abuse"
stop
subject="$("$load" fill --database "$work/abuse/data/sealock.db" --tags 1 --referrers 20000 --repositories 1 --artifacts 1 --blobs 1 \
  --projects 0 --people 0 --robots 0 --events 0 | jq -r .subject)"
# What the system has still to write out would be waited for by the first loads.
sync

good() { # ABUSER: the client that means well, three times
  local seed=0 result
  for workload in get-tag pull push; do
    local rate=100
    [ "$workload" = get-tag ] || rate=25
    seed=$((RANDOM))
    result="$(taskset -c 1 "$load" load "$workload" --url "$url" --user admin --server-pid "$server" --clients 8 --rate "$rate" \
      --seconds "$seconds" --layer 16 --repository library/good --seed "$seed")"
    jq -cn --arg abuser "$1" --arg workload "$workload" --argjson result "$result" '{$abuser, $workload} + $result' >>"$results"
  done
}
beside() { # NAME KIND CONNECTIONS [OPTION...]: the same beside an abuser
  local name="$1" kind="$2" connections="$3"
  shift 3
  say "beside: $name"
  # Ends by itself, after the three loads and their preparation.
  SEALOCK_PASSWORD="$abuser_password" chrt --idle 0 taskset -c 1 \
    "$load" abuse "$kind" --server "127.0.0.1:$port" --user abuser --connections "$connections" \
    --seconds "$((seconds * 3 + 6))" "$@" >"$work/abuser.json" &
  abuser=$!
  sleep 1
  good "$name"
  wait "$abuser"
  abuser=""
  jq -c --arg abuser "$name" '{$abuser, workload: "abuse"} + .' "$work/abuser.json" >>"$results"
}

alone() { # NAME
  say "beside: $1"
  good "$1"
}
control() { # NAME: a busy program on the client's core, and nobody who abuses the server
  say "beside: $1"
  chrt --idle 0 taskset -c 1 bash -c 'while :; do :; done' &
  abuser=$!
  good "$1"
  kill "$abuser" && wait "$abuser" || true
  abuser=""
}
limited() { # NAME: a server that limits an address to 500 requests a second
  stop
  SEALOCK_RATE_LIMIT_ADDRESS=500 serve sealock "$work/abuse"
  beside "$1" hammer 16
  stop
  serve sealock "$work/abuse"
}
# Each row's name and what makes it.
rows=(
  "nobody|alone"
  "a control: no abuser, a busy program on the client's core|control"
  "500 slow bodies|beside slow-bodies 500"
  "16 connections that ask without a pause|beside hammer 16"
  "8 connections that list 20,000 referrers|beside referrers 8 --path /v2/library/referrers/referrers/$subject"
  "8 connections that begin uploads|beside uploads 8"
  "8 connections that guess passwords|beside guess 8"
  "the same 16, limited to 500 a second|limited"
)

serve sealock "$work/abuse"
# A user of its own: what one user may ask for in a second is limited as well.
abuser_password="Abuser-$RANDOM$RANDOM"
api() { # PATH BODY
  curl -sSf -o "$work/answer" -u "admin:$SEALOCK_PASSWORD" -H 'content-type: application/json' -d "$2" "$url/api/v2.0$1"
}
api /users "{\"username\":\"abuser\",\"realname\":\"abuser\",\"email\":\"abuser@example.org\",\"password\":\"$abuser_password\"}"
api /projects/library/members '{"role_id":2,"member_user":{"username":"abuser"}}'
for ((round = 1; round <= rounds; round++)); do
  say "round $round of $rounds"
  for ((number = 0; number < ${#rows[@]}; number++)); do
    position=$((round % 2 ? number : ${#rows[@]} - 1 - number))
    IFS='|' read -r name kind <<<"${rows[position]}"
    read -ra kind <<<"$kind"
    case "${kind[0]}" in
      beside) beside "$name" "${kind[@]:1}" ;;
      *) "${kind[0]}" "$name" ;;
    esac
  done
done
halt "$work/abuse"
scripts/bench/tables.py --abuse "$results"
