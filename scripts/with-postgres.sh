#!/usr/bin/env bash
# Runs a command beside a private PostgreSQL: scripts/with-postgres.sh COMMAND [ARG...]
#
# The cluster lives in a temporary directory, listens on a Unix socket only, keeps fsync on (the product refuses a server
# without it) and ends with the command. Its address is in SEALOCK_TEST_POSTGRES. PostgreSQL will not run as root, so root
# starts it as `postgres`, or as `nobody` where there is no such user.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
[ $# -gt 0 ] || die "usage: scripts/with-postgres.sh COMMAND [ARG...]"

if command -v initdb >/dev/null && command -v postgres >/dev/null; then
  bin="$(dirname "$(readlink -f "$(command -v initdb)")")"
else
  bin="$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)" || true
fi
if [ ! -x "${bin:-}/initdb" ]; then die "PostgreSQL is not installed; run scripts/tools.sh"; fi

# A short path: a Unix socket's is limited to 107 bytes. Not under $TMPDIR, which another user may be unable to enter.
home="$(mktemp -d /tmp/sealock-pg.XXXXXX)"
run=()
if [ "$(id -u)" = 0 ]; then
  user=postgres
  id -u "$user" >/dev/null 2>&1 || user=nobody
  chown "$user" "$home"
  run=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups env "HOME=$home")
fi

cleanup() {
  if [ -e "$home/data/postmaster.pid" ]; then
    (cd / && "${run[@]}" "$bin/pg_ctl" -D "$home/data" -m immediate -s stop) >&2 || true
  fi
  rm -rf "$home"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

log() { sed 's/^/  /' "$home/log" >&2 2>/dev/null || true; }
cd /
"${run[@]}" "$bin/initdb" -D "$home/data" -U sealock -A trust -E UTF8 --locale=C --no-sync \
  >"$home/log" 2>&1 || { log; die "initdb failed"; }
"${run[@]}" "$bin/pg_ctl" -D "$home/data" -s -w -t 60 -l "$home/server.log" \
  -o "-k $home -c listen_addresses='' -c fsync=on -c max_connections=300 -c shared_buffers=64MB" \
  start >"$home/log" 2>&1 8>&- 9>&- || { log; die "PostgreSQL did not start"; }
cd "$OLDPWD"

export SEALOCK_TEST_POSTGRES="postgres://sealock@localhost/postgres?host=$home"
status=0
"$@" || status=$?
exit "$status"
