#!/usr/bin/env bash
# Runs connections through proxies that others wrote: nginx and HAProxy in front of a server, with the
# configurations of docs/deploy; tinyproxy and microsocks on the way of a client. The client is the
# library, and the program `ws`.
#
#   tests/proxies/run.sh [FILTER]    default: all tests
#
# What is missing is installed from Debian's packages, which needs root or sudo. All run on loopback, as
# the user who calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# Debian's servers are where only root looks.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for package in nginx haproxy tinyproxy microsocks; do
    command -v "$package" >/dev/null || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    # Run level 1, in which no package starts its service.
    install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get)
    "${install[@]}" update -qq
    "${install[@]}" install -y -qq --no-install-recommends "${missing[@]}"
fi

# The tests and all that they start are one process group, which ends with this script: tests that are
# killed leave their proxies behind.
group=
cleanup() {
    local status=$? tries
    trap - EXIT INT TERM
    if [ -n "$group" ]; then
        kill -TERM -- "-$group" 2>/dev/null || true
        for ((tries = 0; tries < 50; tries++)); do
            kill -0 -- "-$group" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$group" 2>/dev/null || true
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

nginx -v
haproxy -v | sed -n 1p # not `head`, which ends before haproxy has written all: SIGPIPE
tinyproxy -v
cargo build --quiet --locked --release -p sockeye-cli
cargo build --quiet --locked --release --all-features --example echo_server --example chat
# They mostly wait. With job control, what runs in the background has a group of its own.
set -m
cargo test --quiet --locked --release --all-features --test proxies -- --ignored --test-threads 6 "$@" </dev/null &
group=$!
set +m
wait "$group"
