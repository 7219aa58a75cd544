#!/usr/bin/env bash
# Lists of 100,000 and start-up with a million blobs: scripts/bench/lists.sh [--many N] [--blobs N] [--keep FILE]
#
# The rows are made through the metadata library into the database of a stopped server (`sealock-bench fill`); there are no
# files behind them, since nothing that is asked here reads one. Prints the table.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
# shellcheck source=scripts/bench/servers.sh
source scripts/bench/servers.sh

many=100000 blobs=1000000 keep=""
beside="with_tag=true&with_label=true&with_accessory=true&with_signature=true&with_immutable_status=true&with_scan_overview=true"
beside="$beside&with_sbom_overview=true"
while [ $# -gt 0 ]; do
  case "$1" in
    --many) many="$2" ;;
    --blobs) blobs="$2" ;;
    --keep) keep="$2" ;;
    *) die "unknown option: $1" ;;
  esac
  shift 2
done
set_up "$keep"

serve sealock "$work/many"
stop
say "filling: $many tags, referrers, repositories, artifacts; $blobs blobs"
filled="$("$load" fill --database "$work/many/data/sealock.db" --tags "$many" --referrers "$many" --repositories "$many" --artifacts "$many" --blobs "$blobs")"
subject="$(jq -r .subject <<<"$filled")"
for run in 1 2 3; do
  begun="$(date +%s%N)"
  serve sealock "$work/many"
  jq -cn --argjson ms "$((($(date +%s%N) - begun) / 1000000))" --argjson blobs "$blobs" --argjson run "$run" \
    '{server: "sealock", workload: "start", $ms, $blobs, $run}' >>"$results"
  [ "$run" = 3 ] || stop
done
list() { # NAME PATH
  local result
  result="$(taskset -c 1 "$load" load path --path "$2" --url "$url" --user admin --server-pid "$server" --clients 1 --seconds 3)"
  jq -cn --arg workload "list: $1" --argjson result "$result" '{server: "sealock", $workload} + $result' >>"$results"
}
for n in 1000 100; do
  list "tags, first $n" "/v2/library/tags/tags/list?n=$n"
  list "tags, $n from the middle" "/v2/library/tags/tags/list?n=$n&last=t5"
  list "catalog, first $n" "/v2/_catalog?n=$n"
  list "referrers, first $n" "/v2/library/referrers/referrers/$subject?n=$n"
done
list "referrers of one type, first 1000" "/v2/library/referrers/referrers/$subject?artifactType=application/vnd.example.signature.v1"
list "referrers of a type that none has" "/v2/library/referrers/referrers/$subject?artifactType=application/vnd.example.none"
pages=$((many / 100))
of=/api/v2.0/projects/decorated
list "artifacts of a repository with all beside them, 100 of $many" "$of/repositories/app/artifacts?page_size=100&$beside"
list "the same, from the middle" "$of/repositories/app/artifacts?page_size=100&page=$((pages / 2))&$beside"
list "artifacts of a project with all beside them, 100 of $many" "$of/artifacts?page_size=100&$beside"
list "the same, the last page" "$of/artifacts?page_size=100&page=$pages&$beside"
list "artifacts with a tag like v99, 100 of $many" "$of/repositories/app/artifacts?page_size=100&q=tags=~v99&$beside"
halt "$work/many"
scripts/bench/tables.py --lists "$results"
