#!/usr/bin/env bash
# Plays the whole story of an image on a server of its own, with real clients, and prints it for a person.
#
#   make demo                                       an application with two known flaws, built here
#   scripts/demo.sh --image oci:DIR:REF             an image whose packages somebody else chose
#   scripts/demo.sh --advisories FILE               more vulnerability data than the starter set (a file or a folder)
#   scripts/demo.sh --keep                          leave the server running at the end
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh

image="" advisories="" keep=""
while [ $# -gt 0 ]; do
  case "$1" in
    --image) image="$2"; shift 2 ;;
    --advisories) advisories="$2"; shift 2 ;;
    --keep) keep=1; shift ;;
    *) die "unknown option $1" ;;
  esac
done

# Large data of third parties is never committed; where it lies beside the clone, the story is told with it.
if [ -z "$advisories" ] && [ -d ../shared/vulndb ]; then advisories=../shared/vulndb; fi

scripts/tools.sh
share_target
cargo build --locked --release --bin sealock
SEALOCK="$CARGO_TARGET_DIR/release/sealock"
exec 8>&-
if [ -z "$image" ]; then
  scripts/images.sh
  # minimist 0.0.8 has a finding at or above high, and so has the zlib of Debian 12, which Debian does not mend.
  image="$(scripts/images.sh build demo --base base \
    --python "MarkupSafe==3.0.2 packaging==24.2 idna==3.10" --node "minimist@0.0.8 ms@2.1.3")"
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/sealock-demo.XXXXXX")"
server=""
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  chmod -R u+w "$work" 2>/dev/null || true
  rm -rf "$work"
}
[ -n "$keep" ] || trap cleanup EXIT

# ---- How the story is told -------------------------------------------------------------------------------------
bold=$'\033[1m' dim=$'\033[2m' green=$'\033[32m' red=$'\033[31m' plain=$'\033[0m'
[ -t 1 ] || bold="" dim="" green="" red="" plain=""
step=0
chapter() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"; }
tell() { printf '   %s\n' "$*"; }
show() { printf '%s   $ %s%s\n' "$dim" "$*" "$plain"; }
indent() { sed 's/^/   /'; }
stop() { printf '%sThe demo failed: %s%s\n' "$red" "$*" "$plain" >&2; tail -n 20 "$work/server.log" >&2; exit 1; }

# Runs a command that must succeed and shows it with its output.
must() {
  show "$(spoken "$@")"
  "$@" >"$work/out" 2>&1 || { indent <"$work/out"; stop "$(spoken "$@")"; }
  indent <"$work/out"
}
# The same without the output of a chatty client.
quietly() {
  show "$(spoken "$@")"
  "$@" >"$work/out" 2>&1 || { indent <"$work/out"; stop "$(spoken "$@")"; }
}
# Runs a command that the gate must refuse, and shows why. $1 is a word that the refusal must contain.
refused() {
  local word="$1"
  shift
  show "$(spoken "$@")"
  if "$@" >"$work/out" 2>&1; then indent <"$work/out"; stop "this should have been refused: $(spoken "$@")"; fi
  grep -qi -- "$word" "$work/out" || { indent <"$work/out"; stop "refused, but not because of: $word"; }
  # podman asks thrice; the last answer is enough.
  grep -v 'Failed, retrying' "$work/out" | sed -E 's/^(time="[^"]*" level=[a-z]+ msg=)//' | fold -s -w 150 | indent
  printf '   %srefused, as it should be%s\n' "$green" "$plain"
}
# The command as a person would type it: no temporary paths, no passwords.
spoken() {
  local text="$*"
  text="${text//"$SEALOCK"/sealock}"
  text="${text//"$work/"/}"
  text="${text//as dana /}"
  text="${text//as sofia /}"
  printf '%s' "$text"
}
# Removes the package whose metadata lies at this path of the unpacked image, with the files that it lists.
remove_package() {
  local root="$work/bundle/rootfs" folder
  folder="$(dirname "$1")"
  tell "removing $folder"
  if [ -f "$root/$folder/RECORD" ]; then
    cut -d, -f1 "$root/$folder/RECORD" | while read -r file; do
      case "$file" in /* | *..*) ;; *) rm -f "$root/$(dirname "$folder")/$file" ;; esac
    done
  fi
  if [ "$folder" = . ]; then rm -f "$root/$1"; else rm -rf "${root:?}/${folder:?}"; fi
}
as() { local user="$1"; shift; SEALOCK_USER="$user" SEALOCK_PASSWORD="${passwords[$user]}" "$@"; }
declare -A passwords

# ---- The server ------------------------------------------------------------------------------------------------
port=$((20000 + RANDOM % 10000))
admission_port=$((port + 1))
host="127.0.0.1:$port"
export SEALOCK_URL="http://$host"
export HOME="$work" XDG_RUNTIME_DIR="$work/run" REGISTRY_AUTH_FILE="$work/auth.json"
export COSIGN_PASSWORD="" SEALOCK_USER=admin
mkdir -p "$work/run"

chapter "A server, from nothing"
show "sealock serve --data-dir data --listen $host"
"$SEALOCK" serve --data-dir "$work/data" --listen "$host" --admission-listen "127.0.0.1:$admission_port" \
  >"$work/server.out" 2>"$work/server.log" &
server=$!
for _ in $(seq 100); do
  curl -fs "$SEALOCK_URL/health" >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || stop "the server ended"
  sleep 0.1
done
indent <"$work/server.out"
passwords[admin]="$(sed -n 's/.*password \([^ ]*\).*/\1/p' "$work/server.out" | head -n 1)"
export SEALOCK_PASSWORD="${passwords[admin]}"
[ -n "$SEALOCK_PASSWORD" ] || stop "no admin password was printed"

chapter "People, projects, a key"
for person in dana:developer sofia:security; do
  name="${person%%:*}"
  passwords[$name]="$(openssl rand -hex 12)"
  flags=()
  [ "$name" = sofia ] && flags=(--security-officer)
  SEALOCK_NEW_PASSWORD="${passwords[$name]}" quietly "$SEALOCK" user create "$name" "${flags[@]}"
done
quietly "$SEALOCK" project create shop --tier sandbox
quietly "$SEALOCK" project create shop-release --tier release
for project in shop shop-release; do
  quietly "$SEALOCK" project member add "$project" dana maintainer
  quietly "$SEALOCK" project member add "$project" sofia guest
done
(cd "$work" && quietly cosign generate-key-pair)
quietly "$SEALOCK" project key add shop pipeline "$work/cosign.pub"
quietly "$SEALOCK" project key add shop-release pipeline "$work/cosign.pub"
if [ -n "$advisories" ]; then quietly "$SEALOCK" advisories import "$advisories" --source extra; fi
login() { printf '%s' "${passwords[$1]}" | skopeo login --tls-verify=false -u "$1" --password-stdin "$host" >/dev/null; }
login dana

# ---- The image -------------------------------------------------------------------------------------------------
chapter "A real application on a real Debian base, pushed to the sandbox"
first="$image"
quietly skopeo copy --dest-tls-verify=false "$first" "docker://$host/shop/app:1.0"
digest_of() { skopeo inspect --tls-verify=false "docker://$host/$1" --format '{{.Digest}}'; }
as dana must "$SEALOCK" show shop/app:1.0
tell "What is vulnerable in it, at or above high:"
as dana "$SEALOCK" scan shop/app:1.0 --severity high | cut -c1-150 | indent
# What release objects to: at or above high, known to be exploited, or rated by nobody (unknown is not a pass).
objections() {
  as dana "$SEALOCK" scan "$1" --output json \
    | jq '[.[] | select((.severity | IN("high", "critical", "unknown")) or .known_exploited)]'
}
count="$(objections shop/app:1.0 | jq length)"

chapter "Try to promote it to release: $count finding(s) that release objects to, and nobody signed it"
refused "signed" as dana "$SEALOCK" promote shop/app:1.0 shop-release

chapter "Rebuild without one of them; ask for a waiver for the rest, which a second person grants"
# The first vulnerable component that is not part of the distribution leaves the image.
victim="$(objections shop/app:1.0 | jq -r '[.[] | select(.purl | startswith("pkg:deb") or startswith("pkg:apk") | not)][0].path // empty')"
skopeo copy --src-tls-verify=false "docker://$host/shop/app:1.0" "oci:$work/layout:1.1" >/dev/null
if [ -n "$victim" ]; then
  rootless=()
  [ "$(id -u)" = 0 ] || rootless=(--rootless)
  umoci unpack "${rootless[@]}" --image "$work/layout:1.1" "$work/bundle" >/dev/null 2>&1
  remove_package "$victim"
  umoci repack --image "$work/layout:1.1" "$work/bundle" >/dev/null 2>&1
fi
quietly skopeo copy --dest-tls-verify=false "oci:$work/layout:1.1" "docker://$host/shop/app:1.1"
digest="$(digest_of shop/app:1.1)"
tell "shop/app:1.1 is $digest"
mapfile -t left < <(objections shop/app:1.1 | jq -r '.[].vulnerability' | sort -u)
if [ "${#left[@]}" -gt 0 ]; then
  refused "findings" as dana "$SEALOCK" promote shop/app:1.1 shop-release
else
  tell "nothing is left that needs a waiver"
fi
first_waiver=yes
for vulnerability in "${left[@]}"; do
  [ "$first_waiver" = yes ] && show "sealock waiver request shop-release $vulnerability --until 30d --reason 'not reachable from our code'"
  id="$(as dana "$SEALOCK" waiver request shop-release "$vulnerability" --until 30d \
    --reason "not reachable from our code" --output json | jq .id)"
  if [ "$first_waiver" = yes ]; then
    tell "the one who asked may not grant it:"
    refused "" as dana "$SEALOCK" waiver grant shop-release "$id"
    show "sealock waiver grant shop-release $id"
    first_waiver=no
  fi
  as sofia "$SEALOCK" waiver grant shop-release "$id" >"$work/out" 2>&1 || { indent <"$work/out"; stop "waiver $id"; }
done
[ "${#left[@]}" -lt 2 ] || tell "… and so for $((${#left[@]} - 1)) more"
refused "signed" as dana "$SEALOCK" promote shop/app:1.1 shop-release

chapter "Sign it with cosign, promote it"
config="$work/signing-config.json"
cosign signing-config create --out "$config" >/dev/null 2>&1
export DOCKER_CONFIG="$work/docker"
mkdir -p "$DOCKER_CONFIG"
printf '{"auths":{"%s":{"auth":"%s"}}}' "$host" \
  "$(printf 'dana:%s' "${passwords[dana]}" | base64 -w0)" >"$DOCKER_CONFIG/config.json"
quietly cosign sign --yes --key "$work/cosign.key" --signing-config "$config" --allow-http-registry "$host/shop/app@$digest"
as dana must "$SEALOCK" promote shop/app:1.1 shop-release
tell "The summary that Sealock signed is one that cosign accepts:"
curl -fsS "$SEALOCK_URL/api/sealock/v1/evidence-key" >"$work/sealock.pub"
quietly cosign verify-attestation --key "$work/sealock.pub" --insecure-ignore-tlog --allow-http-registry \
  --type https://slsa.dev/verification_summary/v1 "$host/shop-release/app@$digest"

chapter "Try to push to release directly"
refused "promot" skopeo copy --dest-tls-verify=false "$first" "docker://$host/shop-release/app:hotfix"

chapter "Pull by digest with podman"
quietly podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver vfs \
  pull --tls-verify=false "$host/shop-release/app@$digest"
podman --root "$work/podman" --runroot "$work/podman-run" --storage-driver vfs images --digests | cut -c1-120 | indent

# ---- The cluster -----------------------------------------------------------------------------------------------
chapter "A cluster asks: may this run?"
show "sealock cluster register prod --host-name $host --namespace 'production=release'"
token="$("$SEALOCK" cluster register prod --host-name "$host" --namespace production=release --output json | jq -r .token)"
"$SEALOCK" admission manifest prod --webhook-url "https://127.0.0.1:$admission_port" --token "$token" >"$work/webhooks.yaml"
grep -m1 -oE 'caBundle: *"?[A-Za-z0-9+/=]+' "$work/webhooks.yaml" | grep -oE '[A-Za-z0-9+/=]+$' | base64 -d >"$work/ca.pem"
validate_url="$(grep -oE 'https://[^" ]*/admission/validate[^" ]*' "$work/webhooks.yaml" | head -n 1)"
mutate_url="$(grep -oE 'https://[^" ]*/admission/mutate[^" ]*' "$work/webhooks.yaml" | head -n 1)"
review() {
  jq -n --arg image "$1" '{apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {
    uid: "5a0cbeb6-5b4b-4f3a-9d0a-000000000001", operation: "CREATE", namespace: "production", name: "shop",
    kind: {group: "apps", version: "v1", kind: "Deployment"}, resource: {group: "apps", version: "v1", resource: "deployments"},
    userInfo: {username: "deployer"}, dryRun: false,
    object: {apiVersion: "apps/v1", kind: "Deployment", metadata: {name: "shop", namespace: "production"}, spec: {
      selector: {matchLabels: {app: "shop"}}, template: {metadata: {labels: {app: "shop"}},
      spec: {containers: [{name: "shop", image: $image}]}}}}}}'
}
ask() { review "$2" | curl -fsS --cacert "$work/ca.pem" -H 'Content-Type: application/json' -d @- "$1"; }
answer() { jq -r '"allowed: \(.response.allowed)", (.response.status.message // empty), (.response.warnings // [] | .[] | "warning: \(.)")' | fold -s -w 150 | indent; }
allowed() { [ "$(jq .response.allowed <<<"$1")" = "$2" ] || { jq . <<<"$1" | indent; stop "the webhook should have answered allowed: $2"; }; }
tell "a Deployment with the digest:"
reply="$(ask "$validate_url" "$host/shop-release/app@$digest")"
answer <<<"$reply"; allowed "$reply" true
tell "with the tag, which is replaced by the digest:"
reply="$(ask "$mutate_url" "$host/shop-release/app:1.1")"
jq -r '.response.patch' <<<"$reply" | base64 -d | jq -c . | indent
grep -q "$digest" <(jq -r .response.patch <<<"$reply" | base64 -d) || stop "the tag was not replaced by its digest"
tell "with the unsigned image:"
reply="$(ask "$validate_url" "$host/shop/app:1.0")"
answer <<<"$reply"; allowed "$reply" false

# ---- A day later -----------------------------------------------------------------------------------------------
chapter "An advisory is published today"
component="$(as dana "$SEALOCK" sbom shop-release/app:1.1 | jq -c '[.components[] | select(.purl // "" | startswith("pkg:pypi") or startswith("pkg:npm"))][0]
  // [.components[] | select(.purl // "" | startswith("pkg:deb") or startswith("pkg:apk"))][0]')"
purl="$(jq -r .purl <<<"$component")"
# A distribution's advisories name its release and the source package.
distro="$(sed -nE 's/.*[?&]distro=([a-z]+)-([0-9.]+).*/\1 \2/p' <<<"$purl")"
package="$(jq -r 'if .group then "\(.group)/\(.name)" else .name end' <<<"$component")"
case "$purl" in
  pkg:pypi/*) ecosystem=PyPI ;;
  pkg:npm/*) ecosystem=npm ;;
  pkg:deb/*) ecosystem="Debian:${distro#* }" package="$(sed -nE "s/.*[?&]upstream=([^&@%]+).*/\\1/p" <<<"$purl" | grep . || echo "$package")" ;;
  pkg:apk/*) ecosystem="Alpine:v$(cut -d. -f1,2 <<<"${distro#* }")" package="$(sed -nE "s/.*[?&]upstream=([^&@%]+).*/\\1/p" <<<"$purl" | grep . || echo "$package")" ;;
  *) stop "the image has no component that an advisory could name" ;;
esac
today="$(date -u +%Y-%m-%dT%H:%M:%SZ)"
jq -n --argjson c "$component" --arg e "$ecosystem" --arg name "$package" --arg now "$today" '{schema_version: "1.6.0", id: "CVE-2026-99999", modified: $now, published: $now,
  summary: "An example published today", severity: [{type: "CVSS_V3", score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
  affected: [{package: {ecosystem: $e, name: $name}, versions: [$c.version],
    ranges: [{type: "ECOSYSTEM", events: [{introduced: "0"}]}]}]}' >"$work/CVE-2026-99999.json"
tell "CVE-2026-99999 is in $purl"
started="$(date +%s%N)"
quietly "$SEALOCK" advisories import "$work/CVE-2026-99999.json" --source today
for _ in $(seq 100); do
  if "$SEALOCK" affected CVE-2026-99999 --output json | jq -e 'length > 0' >/dev/null; then break; fi
  sleep 0.02
done
took=$(( ($(date +%s%N) - started) / 1000000 ))
tell "the released image is reported $took ms after the import began"

chapter "Which images are affected?"
must "$SEALOCK" affected CVE-2026-99999
grep -q "shop-release/app" "$work/out" || stop "the released image is not reported"

chapter "Quarantine it: every door closes"
SEALOCK_USER=sofia SEALOCK_PASSWORD="${passwords[sofia]}" quietly "$SEALOCK" quarantine add "$digest" --reason "CVE-2026-99999 is exploited"
refused "quarantine" podman --root "$work/podman2" --runroot "$work/podman2-run" --storage-driver vfs \
  pull --tls-verify=false "$host/shop-release/app@$digest"
refused "quarantine" as dana "$SEALOCK" promote shop/app:1.1 shop-release
reply="$(ask "$validate_url" "$host/shop-release/app@$digest")"
answer <<<"$reply"; allowed "$reply" false

chapter "The evidence of the release"
show "sealock evidence shop-release/app:1.1"
"$SEALOCK" evidence "shop-release/app@$digest" >"$work/evidence.json" || stop "no evidence"
jq 'del(.artifact.advisories, .artifact.findings)' "$work/evidence.json" | cut -c1-150 | sed -n '1,60p' | indent
tell "… $(jq . "$work/evidence.json" | wc -l) lines in all"

chapter "Replay the decision to promote"
decision="$("$SEALOCK" decision list --door promote --digest "$digest" --output json | jq '[.[] | select(.action == "allow" or .action == "warn")][0].id')"
must "$SEALOCK" decision replay "$decision"
"$SEALOCK" decision export "$decision" >"$work/decision.json"
tell "in a fresh process, from the exported document, without a server:"
must "$SEALOCK" decision replay --document "$work/decision.json"

printf '\n%sThe demo is complete.%s\n' "$green" "$plain"
[ -z "$keep" ] || tell "The server still runs: $SEALOCK_URL (process $server, files in $work)."
