#!/usr/bin/env bash
# Lists of 100,000, start-up with a million blobs, Harbor's lists of 10,000 and an audit log of 10,000,000:
#   scripts/bench/lists.sh [--many N] [--blobs N] [--crowd N] [--events N] [--count N] [--postgres] [--only registry|harbor]
#                          [--keep FILE] [--store DIR]
#
#   --many      tags, referrers, repositories and artifacts (100,000)
#   --crowd     projects, people, groups, labels, and robots of the system and of a project (10,000)
#   --events    rows of the audit log (10,000,000)
#   --count     how often each of Harbor's lists is asked for (100)
#   --postgres  on PostgreSQL, which runs on the client's core, instead of the embedded database
#   --only      /v2 and start-up, or the lists of both APIs
#   --store     a folder that was filled before and stays, or is filled now
#
# The rows are made through the metadata library into the database of a stopped server (`sealock-bench fill`); there are no
# files behind them, since nothing that is asked here reads one. Prints the tables.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
# shellcheck source=scripts/bench/servers.sh
source scripts/bench/servers.sh

many=100000 blobs=1000000 crowd=10000 events=10000000 count=100 only="" keep="" store=""
options=("$@")
while [ $# -gt 0 ]; do
  case "$1" in
    --many) many="$2" && shift ;;
    --blobs) blobs="$2" && shift ;;
    --crowd) crowd="$2" && shift ;;
    --events) events="$2" && shift ;;
    --count) count="$2" && shift ;;
    --postgres) [ -n "${SEALOCK_TEST_POSTGRES:-}" ] || exec scripts/with-postgres.sh scripts/bench/lists.sh "${options[@]}" ;;
    --only) only="$2" && shift ;;
    --keep) keep="$2" && shift ;;
    --store) store="$2" && shift ;;
    *) die "unknown option: $1" ;;
  esac
  shift
done
set_up "$keep"
# One password for everybody who asks; it must please the rules for those of people.
export SEALOCK_PASSWORD="Benchmark-$RANDOM$RANDOM"
export SEALOCK_ADMIN_PASSWORD="$SEALOCK_PASSWORD"
data="${store:-$work/many}"
database="$data/data/sealock.db" engine="the embedded database"
if [ -n "${SEALOCK_TEST_POSTGRES:-}" ]; then
  database="$SEALOCK_TEST_POSTGRES" engine="PostgreSQL"
  export SEALOCK_DATABASE_URL="$database"
fi

if [ -s "$data/filled.json" ]; then
  SEALOCK_PASSWORD="$(cat "$data/password")"
else
  mkdir -p "$data"
  echo "$SEALOCK_PASSWORD" >"$data/password"
  serve sealock "$data"
  for person in few busy many part; do
    curl -fsS -u "admin:$SEALOCK_PASSWORD" -H 'Content-Type: application/json' "$url/api/v2.0/users" \
      -d "{\"username\": \"$person\", \"email\": \"$person@example.com\", \"realname\": \"$person\", \"password\": \"$SEALOCK_PASSWORD\"}"
  done
  stop
  say "filling: $many tags, referrers, repositories, artifacts; $blobs blobs; $crowd projects, people, robots; $events events"
  "$load" fill --database "$database" --tags "$many" --referrers "$many" --repositories "$many" --artifacts "$many" \
    --blobs "$blobs" --projects "$crowd" --people "$crowd" --robots "$crowd" --events "$events" >"$work/filled.json"
  mv "$work/filled.json" "$data/filled.json"
fi
subject="$(jq -r .subject "$data/filled.json")"
jq -c --argjson events "$events" --arg engine "$engine" '{server: "sealock", workload: "fill", $events, $engine} + .' \
  "$data/filled.json" >>"$results"
for run in 1 2 3; do
  begun="$(date +%s%N)"
  serve sealock "$data"
  jq -cn --argjson ms "$((($(date +%s%N) - begun) / 1000000))" --argjson blobs "$blobs" --argjson run "$run" \
    '{server: "sealock", workload: "start", $ms, $blobs, $run}' >>"$results"
  [ "$run" = 3 ] || stop
done
# What a start leaves to be done (jobs of images whose files are not there, as here) is done before anything is asked.
settle() {
  local before after
  for _ in $(seq 60); do
    before="$(awk '{print $14 + $15}' "/proc/$server/stat")"
    sleep 1
    after="$(awk '{print $14 + $15}' "/proc/$server/stat")"
    [ $((after - before)) -gt 10 ] || return 0
  done
  die "the server does not come to rest after its start"
}
settle
list() { # NAME PATH
  local result
  result="$(taskset -c 1 "$load" load path --path "$2" --url "$url" --user admin --server-pid "$server" --clients 1 --seconds 3)"
  jq -cn --arg workload "list: $1" --argjson result "$result" '{server: "sealock", $workload} + $result' >>"$results"
}
if [ "$only" != harbor ]; then
  for n in 1000 100; do
    list "tags, first $n" "/v2/library/tags/tags/list?n=$n"
    list "tags, $n from the middle" "/v2/library/tags/tags/list?n=$n&last=t5"
    list "catalog, first $n" "/v2/_catalog?n=$n"
    list "referrers, first $n" "/v2/library/referrers/referrers/$subject?n=$n"
  done
  list "referrers of one type, first 1000" "/v2/library/referrers/referrers/$subject?artifactType=application/vnd.example.signature.v1"
  list "referrers of a type that none has" "/v2/library/referrers/referrers/$subject?artifactType=application/vnd.example.none"
fi

# shapes NAME WHO: asks for the paths on standard input, below /api, as somebody.
shapes() {
  local result
  result="$(sed 's|^|/api/|' | taskset -c 1 "$load" shapes --url "$url" --user "$2" --count "$count" --server-pid "$server")"
  jq -cn --arg workload "shapes: $1" --arg who "$2" --argjson result "$result" '{server: "sealock", $workload, $who} + $result' >>"$results"
}
# pages BASE ROWS: the first page of a list, a middle one and the last one.
pages() {
  local last=$((($2 + 99) / 100))
  printf '%s\n' "$1" "$1&page=$(((last + 1) / 2))" "$1&page=$last"
}
# asked BASE FIELD=VALUE...: a list by a condition on each public field, and in the order of each, the greatest first.
asked() {
  local base="$1" pair
  shift
  for pair in "$@"; do
    printf '%s\n' "$base&q=$pair" "$base&sort=${pair%%=*}" "$base&sort=-${pair%%=*}"
  done
}
# below BASE REST...: paths that begin alike.
below() {
  local base="$1" rest
  shift
  for rest in "$@"; do printf '%s\n' "$base$rest"; done
}
encoded() { sed -e 's/ /%20/g' -e 's/{/%7B/g' -e 's/}/%7D/g' -e 's/\[/%5B/g' -e 's/\]/%5D/g'; }

if [ "$only" != registry ]; then
  v2=v2.0 size="page_size=100" middle="$((crowd / 2))"
  begin="creation_time=[2026-01-01~]" update="update_time=[2026-01-01~]"
  everything="with_tag=true&with_label=true&with_accessory=true&with_signature=true&with_immutable_status=true&with_scan_overview=true"
  everything="$everything&with_sbom_overview=true"
  artifact=("push_time=[2026-01-01~]" "type=IMAGE" "digest=sha256:0" "size=[100~]" "tags=~v99" "tags=v77" "labels=(1)" "id=500")
  for of in repositories/app/artifacts artifacts; do
    base="$v2/projects/decorated/$of?$size&$everything"
    { pages "$base" "$many" && asked "$base" "${artifact[@]}" | encoded; } | shapes "artifacts of a $([ "$of" = artifacts ] && echo project || echo repository) with all beside them" admin
  done
  project=("project_id=$middle" "name=p05000" "name=~p05" "public=true" "owner=few" "owner_name=~f" "owner_id=3" "$begin" "$update")
  person=("user_id=$middle" "username=user05000" "username=~ser05" "email=~user05" "realname=~ser05" "comment=~x" "sysadmin_flag=false" "$begin" "$update")
  robot=("id=$middle" "name=robot00500" "name=~bot05" "description=~bench" "disable=true" "duration=-1" "expires_at=-1" "$begin" "$update")
  label=("id=$middle" "name=label05000" "name=~bel05" "description=~bench" "color=~ab" "$begin" "$update")
  repository=("id=$middle" "name=p05000/app1" "name=~app1" "project_id=$middle" "description=~x" "$begin" "$update")
  for who in admin few many part; do
    {
      pages "$v2/projects?$size&with_detail=true" "$([ $who = admin ] && echo "$crowd" || echo $((crowd / 10)))"
      asked "$v2/projects?$size" "${project[@]}" | encoded
      printf '%s\n' "sealock/v1/projects?limit=100" "sealock/v1/projects?limit=100&after=p05"
    } | shapes "projects" $who
    {
      pages "$v2/repositories?$size" "$many"
      asked "$v2/repositories?$size" "${repository[@]}" | encoded
    } | shapes "repositories of all projects" $who
    printf '%s\n' $v2/statistics $v2/search?q=p0500 "$v2/search?q=nothing-like-it" "$v2/search?q=a" $v2/users/search?username=user05 $v2/users/current/permissions |
      shapes "statistics and searches" $who
  done
  home=projects/crowd
  {
    pages "$v2/$home/members?$size" "$crowd"
    asked "$v2/$home/members?$size" "entity_name=~ser05" "entity_name=user05000" "role_id=2"
    printf '%s\n' "$v2/$home/members?$size&entityname=ser0" "sealock/v1/$home/members?limit=100" "sealock/v1/$home/members?limit=100&after=$middle"
    printf '%s\n' "$v2/$home/summary"
  } | shapes "members of a project" admin
  id="$(curl -fsS -u "admin:$SEALOCK_PASSWORD" "$url/api/$v2/$home" | jq .project_id)"
  { pages "$v2/robots?$size" "$crowd" && asked "$v2/robots?$size" "${robot[@]}" | encoded; } | shapes "robots of the system" admin
  {
    pages "$v2/robots?$size&q=Level=project,ProjectID=$id" "$crowd"
    below "$v2/robots?$size&q=Level=project,ProjectID=$id" "${robot[@]/#/,}" "&sort=-name" "&sort=-description" "&sort=-expires_at" \
      "&sort=-creation_time" "&sort=disable" "&sort=-id" | encoded
    below "sealock/v1/$home/robots?limit=100" "" "&after=$middle"
  } | shapes "robots of a project" admin
  { pages "$v2/users?$size" "$crowd" && asked "$v2/users?$size" "${person[@]}" | encoded && printf '%s\n' "sealock/v1/users?limit=100"; } |
    shapes "users" admin
  { pages "$v2/usergroups?$size" "$crowd" && asked "$v2/usergroups?$size" "group_name=~up05" "group_type=2"; } | shapes "groups" admin
  { pages "$v2/labels?scope=g&$size" "$crowd" && asked "$v2/labels?scope=g&$size" "${label[@]}" | encoded; } | shapes "labels of the system" admin
  { pages "$v2/labels?scope=p&project_id=$id&$size" "$crowd" && asked "$v2/labels?scope=p&project_id=$id&$size" "${label[@]}" | encoded; } |
    shapes "labels of a project" admin
  {
    pages "$v2/quotas?$size" "$crowd"
    below "$v2/quotas?$size&sort=" used.storage -used.storage hard.storage -hard.storage creation_time -update_time
    printf '%s\n' "$v2/quotas?reference=project&reference_id=$middle"
  } | shapes "quotas" admin

  # Of the time that the log spans, a week in the middle; every log shows and counts the first 100,000 rows.
  from="$(date -u -d "-$((events * 3 / 2)) seconds" +%FT%TZ)" to="$(date -u -d "-$((events * 3 / 2 - 604800)) seconds" +%FT%TZ)"
  week="op_time=[$from~$to]"
  for log in audit-logs auditlog-exts projects/p00001/logs projects/p00001/auditlog-exts projects/p09999/auditlog-exts; do
    below "$v2/$log?page_size=" 10 100 "100&page=2" "100&sort=op_time" "100&sort=-op_time" "100&sort=id"
  done | shapes "audit log: first pages" admin
  for log in audit-logs auditlog-exts projects/p00001/logs; do
    below "$v2/$log?$size&" page=500 page=1000 "q=username=user05000" "q=username=robot\$crowd%2brobot00001" \
      "q=username={user05000 user05001}" "q=operation=pull" "q=operation=delete" "q=operation=delete,resource_type=artifact" \
      "q=resource_type=artifact" "q=username=user05000,operation=create" "q=id=$middle" "q=$week" "q=$week&sort=op_time" \
      "q=$week,operation=create" "q=$week,username=~05000"
  done | encoded | shapes "audit log: far pages, conditions that an index answers" admin
  for log in audit-logs projects/p00001/logs projects/p09999/auditlog-exts; do
    below "$v2/$log?$size&q=" "username=~05000" "username=~nobody" "resource=~app1" "resource=~nothing" "resource=p09999/app1:v3" \
      "username=nobody" "username=nobody,resource=~x"
  done | shapes "audit log: parts of names" admin
  for who in few busy many; do
    {
      below "$v2/" audit-logs auditlog-exts
      below "$v2/auditlog-exts?$size&" page=3 page=500 sort=op_time "q=username=user05000" "q=operation=delete" "q=$week"
    } | encoded | shapes "audit log: of the projects that one administers" $who
  done
  below "sealock/v1/audit?limit=100" "" "&after=$((events / 2))" "&actor=user05000" "&actor=nobody" "&action=delete" \
    "&action=delete&actor=user05000" "&project=p09999" "&project=p00001&actor=user05000" "&since=$from&until=$to" \
    "&project=p09999&action=delete" | shapes "audit log of our own API" admin
  below "sealock/v1/audit?limit=100&project=p09999" "" "&action=delete" "&actor=nobody" | shapes "audit log of our own API" few
fi
stop
scripts/bench/tables.py --lists "$results"
