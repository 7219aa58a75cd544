#!/usr/bin/env bash
# Builds real images as OCI layouts under $SEALOCK_CACHE/images, without a container engine. What is there already is kept.
#
#   scripts/images.sh                          the images that tests and demo use (listed at the end of this file)
#   scripts/images.sh build NAME [OPTIONS]     one image of your own choice; prints `oci:DIR:latest`
#     --debian "PACKAGE ..."   Debian packages on top of a minimal Debian 12; `none` leaves Debian out
#     --python "NAME==VERSION ..."   installed Python packages, exactly these (no dependencies are added)
#     --node "NAME@VERSION ..."      installed Node packages, with what they need
#     --base NAME              start from this image instead of Debian (an earlier NAME)
#     --without "PATH ..."     remove these paths (by whiteouts in a layer of their own)
#     --platform ARCH          what the configuration says, e.g. arm64
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

SUITE=bookworm
IMAGES="$SEALOCK_CACHE/images"
mkdir -p "$IMAGES"
scratch="$(mktemp -d "$SEALOCK_CACHE/images.XXXXXX")"
trap 'rm -rf "$scratch"' EXIT

# reproducible_tar DIR FILE: the tree DIR as a tar that depends on its content only.
reproducible_tar() {
  tar -C "$1" --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -cf "$2" .
}

# layer TAR COMMENT: one more layer on the image under construction.
layer() {
  umoci raw add-layer --image "$scratch/layout:latest" --history.created_by "$2" \
    --history.created 2023-11-14T22:13:20Z "$1"
  rm -f "$1"
}

# debian "PACKAGE ...": a root file system as mmdebstrap makes it, kept by the list of packages.
debian() {
  local key tar
  key="$(printf '%s' "$SUITE $1" | sha256sum | cut -c1-16)"
  tar="$IMAGES/debian-$key.tar"
  if [ ! -e "$tar" ]; then
    say "bootstrapping Debian $SUITE${1:+ with $1} (once)"
    local include=()
    if [ -n "$1" ]; then include=(--include="$(tr -s ' ' ',' <<<"$1")"); fi
    # In an environment that mmdebstrap cannot unshare, root works as root; others need unprivileged user namespaces.
    SOURCE_DATE_EPOCH=1700000000 mmdebstrap --quiet --format=tar --variant=minbase "${include[@]}" \
      "$SUITE" "$tar.part" </dev/null 2>"$scratch/mmdebstrap.log" || {
      tail -n 20 "$scratch/mmdebstrap.log" >&2
      die "mmdebstrap failed"
    }
    mv "$tar.part" "$tar"
  fi
  cp "$tar" "$scratch/debian.tar"
  layer "$scratch/debian.tar" "Debian $SUITE, minbase${1:+, $1}"
}

python_packages() {
  local venv="$SEALOCK_CACHE/pip"
  [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
  local root="$scratch/python" packages
  read -ra packages <<<"$1"
  mkdir -p "$root/opt/app"
  "$venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps --only-binary=:all: \
    --target "$root/opt/app/site-packages" "${packages[@]}" </dev/null >&2
  reproducible_tar "$root" "$scratch/python.tar"
  layer "$scratch/python.tar" "pip install $1"
}

node_packages() {
  local root="$scratch/node" packages
  read -ra packages <<<"$1"
  mkdir -p "$root/opt/app"
  npm install --silent --prefix "$root/opt/app" --ignore-scripts --no-audit --no-fund \
    --cache "$SEALOCK_CACHE/npm" "${packages[@]}" </dev/null >&2
  reproducible_tar "$root" "$scratch/node.tar"
  layer "$scratch/node.tar" "npm install $1"
}

whiteouts() {
  local path
  for path in $1; do
    mkdir -p "$scratch/whiteouts/$(dirname "$path")"
    touch "$scratch/whiteouts/$(dirname "$path")/.wh.$(basename "$path")"
  done
  reproducible_tar "$scratch/whiteouts" "$scratch/whiteouts.tar"
  layer "$scratch/whiteouts.tar" "rm -rf $1"
}

build() {
  local name="$1" debian="" python="" node="" base="" without="" platform="amd64"
  shift
  local recipe="$SUITE $*"
  while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || die "$1 needs a value"
    case "$1" in
      --debian) debian="$2" ;;
      --python) python="$2" ;;
      --node) node="$2" ;;
      --base) base="$2" ;;
      --without) without="$2" ;;
      --platform) platform="$2" ;;
      *) die "unknown option: $1" ;;
    esac
    shift 2
  done
  if [ -n "$base" ]; then recipe+=" on $(cat "$IMAGES/$base.recipe")"; fi
  if [ "$(cat "$IMAGES/$name.recipe" 2>/dev/null)" = "$recipe" ] && [ -d "$IMAGES/$name" ]; then return; fi

  say "building image $name"
  rm -rf "${scratch:?}"/*
  if [ -n "$base" ]; then
    cp -r "$IMAGES/$base" "$scratch/layout"
  else
    umoci init --layout "$scratch/layout"
    umoci new --image "$scratch/layout:latest"
    if [ "$debian" != none ]; then debian "$debian"; fi
  fi
  if [ -n "$python" ]; then python_packages "$python"; fi
  if [ -n "$node" ]; then node_packages "$node"; fi
  if [ -n "$without" ]; then whiteouts "$without"; fi
  umoci config --image "$scratch/layout:latest" --architecture "$platform" --os linux \
    --created 2023-11-14T22:13:20Z --history.created 2023-11-14T22:13:20Z \
    --config.env PYTHONPATH=/opt/app/site-packages --config.workingdir /opt/app \
    --config.label "org.opencontainers.image.title=$name"
  umoci gc --layout "$scratch/layout"
  rm -rf "${IMAGES:?}/$name" "$IMAGES/$name.recipe"
  mv "$scratch/layout" "$IMAGES/$name"
  printf '%s\n' "$recipe" >"$IMAGES/$name.recipe"
}

# index NAME IMAGE...: one index of several platforms over images that are built already.
index() {
  local name="$1" image entries="[]" recipe="index of ${*:2}"
  shift
  for image in "$@"; do recipe+=" $(jq -r '.manifests[0].digest' "$IMAGES/$image/index.json")"; done
  if [ "$(cat "$IMAGES/$name.recipe" 2>/dev/null)" = "$recipe" ] && [ -d "$IMAGES/$name" ]; then return; fi
  say "building index $name"
  local layout="$scratch/layout" config
  rm -rf "$layout"
  mkdir -p "$layout/blobs/sha256"
  for image in "$@"; do
    cp -r "$IMAGES/$image/blobs/sha256/." "$layout/blobs/sha256/"
    local digest file
    digest="$(jq -r '.manifests[0].digest' "$IMAGES/$image/index.json")"
    file="$layout/blobs/sha256/${digest#sha256:}"
    config="$layout/blobs/sha256/$(jq -r '.config.digest | ltrimstr("sha256:")' "$file")"
    entries="$(jq -c --arg digest "$digest" --argjson size "$(stat -c %s "$file")" \
      --slurpfile config "$config" '. + [{
        mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
        platform: {architecture: $config[0].architecture, os: $config[0].os}}]' <<<"$entries")"
  done
  jq -cn --argjson manifests "$entries" '{schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json", manifests: $manifests}' >"$scratch/index"
  local digest
  digest="$(sha256sum "$scratch/index" | cut -d' ' -f1)"
  jq -cn --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$scratch/index")" '{
    schemaVersion: 2, manifests: [{mediaType: "application/vnd.oci.image.index.v1+json",
    digest: $digest, size: $size, annotations: {"org.opencontainers.image.ref.name": "latest"}}]}' \
    >"$layout/index.json"
  mv "$scratch/index" "$layout/blobs/sha256/$digest"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  rm -rf "${IMAGES:?}/$name"
  mv "$layout" "$IMAGES/$name"
  printf '%s\n' "$recipe" >"$IMAGES/$name.recipe"
}

exec 9>"$IMAGES/.lock"
flock 9
if [ "${1:-}" = build ]; then
  [ $# -ge 2 ] || die "usage: scripts/images.sh build NAME [OPTIONS] (the top of this file lists them)"
  shift
  build "$@"
  echo "oci:$IMAGES/$1:latest"
  exit
fi
[ $# = 0 ] || die "unknown command: $1 (the top of scripts/images.sh says how to use it)"

# One package with a well-known hole of high severity (Debian brings another), beside lesser ones and some with none.
PYTHON="requests==2.32.4 urllib3==2.2.1 Jinja2==3.1.2 MarkupSafe==3.0.2 idna==3.10 chardet==3.0.4 certifi==2025.1.31 packaging==24.2"
NODE="lodash@4.17.21 minimist@0.0.8 express@4.21.2"
# A minimal Debian; an application with old parts; the same rebuilt without one of them; the same with the other part
# deleted in an upper layer; an index of two platforms; a small one for tests that push a lot.
build small --debian none --python "Jinja2==2.10 MarkupSafe==3.0.2 packaging==24.2"
build base
build app --base base --python "$PYTHON" --node "$NODE"
build app-rebuilt --base base --python "$PYTHON" --node "${NODE/minimist@0.0.8/minimist@1.2.8}"
build app-deleted --base app --without "opt/app/node_modules/minimist"
build app-arm64 --base base --python "$PYTHON" --platform arm64
index app-index app app-arm64
